"""What stands beside the tables of the budget where there is room: shares against the plan, keys, changes, in short."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vpai_tui.budget.model import BudgetSnapshot, Spend
from vpai_tui.widgets import budget_words as words
from vpai_tui.widgets import paint
from vpai_tui.widgets.budget_rows import pieces, share_bar
from vpai_tui.widgets.history_rows import result
from vpai_tui.widgets.paint import Line, Span, fit

if TYPE_CHECKING:
    from vpai_tui.deploy.chronicle import Told

_NAME = 11
_MOST = 4


def side_lines(found: BudgetSnapshot, changes: Sequence[Told] | None, part: str, width: int, height: int) -> list[Line]:
    """The parts whose table is not seen, each with a blank row before it; the last one gets what is left."""
    width -= 1  # a blank cell at the screen's edge
    parts = {
        "billed by": _shares(found.spend, width),
        "keys": _keys(found.spend, width),
        "changes": _changes(changes, width),
    }
    if part == "vendor":
        parts.pop("billed by")
    parts.pop(part, None)
    rows: list[Line] = []
    for lines in parts.values():
        gap: list[Line] = [()] if rows else []
        room = height - len(rows) - len(gap)
        if room >= 2:
            rows += [*gap, *lines[:room]]
    return rows


def _shares(spend: Spend | None, width: int) -> list[Line]:
    """Both views beside each other, with the plan; the bar is what is billed."""
    bar = width - _NAME - 21
    if spend is None:
        return [((" shares", "head"),), ((f" {paint.STALE} not known", "stale"),)]
    vendor = {it.name: it.share for it in pieces(spend, "vendor")}
    title = f" {fit('shares', _NAME + bar)}{'billed':>7}{'vendor':>7}{'plan':>6}"
    rows: list[Line] = [((title, "head"),)]
    for it in pieces(spend, "billed by"):
        name: Span = (f" {fit(paint.safe(it.name), _NAME)}", "")
        if it.usd is not None:
            rows.append(
                (
                    name,
                    (share_bar(it.share, it.target, bar), "accent"),
                    (f"{words.share(it.share):>7}", "strong"),
                    (f"{words.share(vendor.get(it.name)):>7}", ""),
                    ("" if it.target is None else f"{words.share(it.target):>6}", "dim"),
                )
            )
        elif it.target is None:
            rows.append((name, (f"{paint.STALE} cannot be known: enter", "stale")))
    return rows


def _keys(spend: Spend | None, width: int) -> list[Line]:
    rows: list[Line] = [((" keys, by alias", "head"),)]
    if spend is None or spend.keys is None:
        return [*rows, ((f" {paint.STALE} not known", "stale"),)]
    known = sorted(spend.keys, key=lambda it: -it.spend_usd)
    if not known:
        return [*rows, ((" none was used", "dim"),)]
    rows += [
        ((f" {fit(paint.safe(it.alias) or '–', width - 10)}", ""), (fit(words.usd(it.spend_usd), 9, right=True), ""))
        for it in known[: _MOST - 1]
    ]
    return rows


def _changes(changes: Sequence[Told] | None, width: int) -> list[Line]:
    rows: list[Line] = [((" changes of cap and mode, UTC", "head"),)]
    if changes is None:
        return [*rows, ((f" {paint.BUSY} asking the hosts", "busy"),)]
    if not changes:
        return [*rows, ((" none is known", "dim"),)]
    for it in changes[:_MOST]:
        word, role = result(it)
        what = it.what.removeprefix("budget ")
        text = f"{it.at[5:16].replace('T', ' ')} {what} {it.detail}  {it.by}"
        rows.append(paint.clip(((f" {word[:1]} ", role), (paint.safe(text), "")), width))
    return rows
