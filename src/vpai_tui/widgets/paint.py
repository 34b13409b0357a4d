"""Lines of styled text: what every widget of the cockpit draws.

A line is a tuple of spans, a span is a text and a *role* (`ok`, `warn`, `dim`, …) that the theme colours. There is no
markup anywhere: a bracket in a container's name is a bracket on the screen.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len, set_cell_size

from vpai_tui.fleet.model import Health, HostState, Severity, Sync
from vpai_tui.text import clean

Span = tuple[str, str]
Line = tuple[Span, ...]

ROLES = (
    "ok",
    "warn",
    "error",
    "busy",
    "stale",
    "dim",
    "accent",
    "strong",
    "name",
    "head",
    "add",
    "del",
    "chip",
    "key",
    "track",
)

OK, WARN, DOWN, STALE, BUSY, OFF = "✔", "▲", "✖", "◌", "…", "■"
UPDATE = "↑"  # the tag stands for another image upstream
NEWS = "◆"  # it has happened since the last look

_HEALTH: dict[Health, tuple[str, str]] = {
    Health.HEALTHY: (OK, "ok"),
    Health.RUNNING: (OK, "ok"),
    Health.STARTING: (BUSY, "busy"),
    Health.DEGRADED: (WARN, "warn"),
    Health.DOWN: (DOWN, "error"),
    Health.STOPPED: (OFF, "dim"),
    Health.UNKNOWN: (STALE, "stale"),
}
_SYNC: dict[Sync, tuple[str, str, str]] = {
    Sync.IN_SYNC: (OK, "in sync", "ok"),
    Sync.DRIFTED: (WARN, "drifted", "warn"),
    Sync.NOT_DEPLOYED: (OFF, "not deployed", "dim"),
    Sync.UNKNOWN: (STALE, "unknown", "stale"),
}
_HOST: dict[HostState, tuple[str, str]] = {
    HostState.CONNECTING: (BUSY, "busy"),
    HostState.READY: (OK, "ok"),
    HostState.DEGRADED: (WARN, "warn"),
    HostState.BACKOFF: (DOWN, "error"),
    HostState.REFUSED: (DOWN, "error"),
    HostState.OFFLINE: (DOWN, "error"),
}
_SEVERITY: dict[Severity, tuple[str, str]] = {
    Severity.INFO: (STALE, "dim"),
    Severity.WARN: (WARN, "warn"),
    Severity.ERROR: (DOWN, "error"),
}
_EFFECTS = {"create": "+", "recreate": "±", "restart": "↻", "reload": "↺", "remove": "−", "none": "·"}


def health(value: Health, *, stale: bool = False) -> Span:
    """Glyph and word of a service's health; a stale one keeps its word and says so by glyph and colour."""
    glyph, role = _HEALTH[value]
    return (f"{STALE} {value.value}", "stale") if stale else (f"{glyph} {value.value}", role)


def sync(value: Sync, *, stale: bool = False) -> Span:
    """Glyph and word of a sync state."""
    glyph, word, role = _SYNC[value]
    return (f"{STALE} {word}", "stale") if stale else (f"{glyph} {word}", "dim" if role == "ok" else role)


def host_glyph(value: HostState) -> Span:
    """Glyph and role of a host's connection."""
    return _HOST[value]


def severity(value: Severity) -> Span:
    """Glyph of an alert's rank."""
    return _SEVERITY[value]


def effect_glyph(effect: str) -> str:
    """One sign for what a plan does to a service."""
    return _EFFECTS.get(effect, "·")


def safe(text: str) -> str:
    """`text` as one printable line: what was cleaned at the boundary passes untouched and at no cost."""
    return text if text.isprintable() else clean(text.expandtabs(4)).replace("\n", "␤")


def line(*spans: Span | str) -> Line:
    """A line of spans; plain strings have no role."""
    return tuple((item, "") if isinstance(item, str) else item for item in spans)


def width_of(row: Iterable[Span]) -> int:
    """Cells the line takes."""
    return sum(cell_len(safe(text)) for text, _ in row)


def fit(text: str, width: int, *, right: bool = False) -> str:
    """`text` in exactly `width` cells: padded, or cut with `…`."""
    if width <= 0:
        return ""
    size = cell_len(text)
    if size <= width:
        return " " * (width - size) + text if right else text + " " * (width - size)
    return set_cell_size(text, width - 1) + "…"


def clip(row: Line, width: int) -> Line:
    """The line cut to `width` cells, with `…` where something was cut."""
    if width_of(row) <= width:
        return row
    kept: list[Span] = []
    left = width
    for text, role in row:
        size = cell_len(text)
        if size >= left:
            kept.append((fit(text, left) if size > left else fit(text + " ", left), role))
            break
        kept.append((text, role))
        left -= size
    return tuple(kept)


def spread(left: Line, right: Line, width: int) -> Line:
    """`left` at the left edge, `right` at the right one; the left part is cut first."""
    room = width - width_of(right)
    if room <= 0:
        return clip(right, width)
    head = clip(left, room)
    return (*head, (" " * (room - width_of(head)), ""), *right)


def level(percent: float) -> str:
    """The role of a fill level: calm below 75 %, a warning from 85 %, an error from 95 %."""
    if percent >= 95:
        return "error"
    return "warn" if percent >= 85 else ""


def meter(percent: float | None, width: int, role: str | None = None) -> Line:
    """A bar of fixed domain 0 to 100 % in `width` cells."""
    if percent is None:
        return (("╌" * width, "dim"),)
    filled = min(width, max(0, round(width * percent / 100)))
    colour = (level(percent) or "accent") if role is None else role
    return (("━" * filled, colour), ("━" * (width - filled), "track"))


def size(count: float | None) -> str:
    """Bytes for people: `512M`, `1.4G`; `–` when unknown."""
    if count is None:
        return "–"
    value = float(count)
    for unit in ("B", "K", "M", "G"):
        if value < 1024 or unit == "G":
            return f"{value:.1f}{unit}" if unit == "G" and value < 100 else f"{value:.0f}{unit}"
        value /= 1024
    return f"{value:.0f}G"


def percent(value: float | None) -> str:
    """`7%`, `–` when unknown; one decimal below one percent."""
    if value is None:
        return "–"
    return f"{value:.1f}%" if 0 < value < 1 else f"{value:.0f}%"
