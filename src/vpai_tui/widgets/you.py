"""You: this laptop's own cell beside the hosts, or a chip in the title where there is no room for one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from vpai_tui.fleet.checks import Standing
from vpai_tui.widgets import paint
from vpai_tui.widgets.paint import Line, Span

if TYPE_CHECKING:
    from vpai_tui.upkeep.laptop import Laptop

YOU_CELL = 16
_GLYPHS: dict[Standing, Span] = {
    Standing.OK: (paint.OK, "ok"),
    Standing.WARN: (paint.WARN, "warn"),
    Standing.ERROR: (paint.DOWN, "error"),
    Standing.UNKNOWN: (paint.STALE, "stale"),
}


def you_chip(laptop: Laptop | None, now: datetime) -> Line:
    """`✔ you vpn `; nothing before the laptop was asked."""
    if laptop is None:
        return ()
    glyph, role, word = _standing(laptop, now)
    return ((f"{glyph} ", role), ("you ", "dim"), (f"{word} ", role if role != "ok" else "dim"))


def you_cell(laptop: Laptop, now: datetime) -> list[Line]:
    """Three rows: how you stand, names, the key."""
    glyph, role, word = _standing(laptop, now)
    head: Line = ((f"{glyph} ", role), ("you", "strong"), (f" {word}", role))
    if not laptop.vpn:
        return [head, ((laptop.why or laptop.state, "dim"),), ()]
    good = all(leads for _, leads in laptop.names)
    names: Line = (("dns ", "dim"), ("✔ vpn", "ok") if good else ("✖ not vpn", "error"))
    if laptop.key_expires_at is None:
        return [head, names, (("key stays", "dim"),)]
    role = role if word.startswith("key") else ""
    return [head, names, (("key ", "dim"), (f"{laptop.key_expires_at:%d %b %y}", role))]


def _standing(laptop: Laptop, now: datetime) -> tuple[str, str, str]:
    from vpai_tui.upkeep.laptop import word_of  # not needed for the first frame

    standing, word = word_of(laptop, now)
    return (*_GLYPHS[standing], word)
