"""What fills a disk, as rows with bars; and what freeing it would take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from vpai_tui.widgets import paint
from vpai_tui.widgets.dialogs import named, wrap
from vpai_tui.widgets.paint import Line, Span
from vpai_tui.widgets.safe_table import Column, Row

if TYPE_CHECKING:
    from vpai_tui.fleet.model import Disk
    from vpai_tui.upkeep.disk.model import Usage
    from vpai_tui.upkeep.disk.plan import Prune
    from vpai_tui.upkeep.disk.sums import Part
    from vpai_tui.upkeep.disk.trend import Forecast

COLUMNS = (
    Column("title", "what", 27),
    Column("bar", "", 16, drop=2),
    Column("size", "size", 9, right=True),
    Column("count", "count", 6, right=True, drop=3),
    Column("detail", "", least=12, drop=4),
)
_BAR = 16
_SHOWN = 9


def disk_lines(disks: Sequence[Disk], trends: Mapping[str, Forecast], width: int) -> list[Line]:
    """One line a filesystem: how full, how much is left, when there will be nothing."""
    rows: list[Line] = []
    wide = width >= 100
    for disk in disks[:4]:
        percent = disk.used_percent
        free = disk.size_bytes - disk.used_bytes if disk.available_bytes is None else disk.available_bytes
        left: Line = (
            (f" {paint.fit(paint.safe(disk.mount), 12 if wide else 8)} ", "strong"),
            *paint.meter(percent, 20 if wide else 8),
            (f" {percent:>3.0f}% ", paint.level(percent)),
            (f"{paint.size(free)} left   ", ""),
            *_full(trends.get(disk.mount)),
        )
        rows.append(paint.clip(left, width))
    return rows


def _full(trend: Forecast | None) -> Line:
    if trend is None:
        return (("full: not known yet", "dim"),)
    if trend.full_at_s is None:
        return ((f"no date: {trend.why}", "dim"),)
    return (("full on ", "dim"), (trend.day, "strong"), (f", {paint.size(trend.per_day_bytes)} a day", "dim"))


def part_rows(parts: Sequence[Part], whole_bytes: int) -> list[Row]:
    """One row a kind of thing, its bar a share of the disk."""
    return [
        Row(
            part.id,
            {
                "title": (part.title, _role(part)),
                "bar": _bar(part, whole_bytes),
                "size": (paint.size(part.bytes_), "" if part.bytes_ else "dim"),
                "count": ("" if part.count is None else str(part.count), "dim"),
                "detail": (part.detail, "warn" if part.bad else "dim"),
            },
        )
        for part in parts
    ]


def _role(part: Part) -> str:
    if part.id in ("images-nobody", "cache", "apt") and part.bytes_:
        return "accent"  # what a prune may free
    return "warn" if part.bad else ""


def _bar(part: Part, whole_bytes: int) -> Span:
    """Filled by its share; whatever is there at all has one cell."""
    if part.bytes_ is None:
        return ("╌" * _BAR, "dim")
    filled = 0 if not whole_bytes else min(_BAR, max(int(bool(part.bytes_)), round(_BAR * part.bytes_ / whole_bytes)))
    return ("━" * filled, "accent")


def part_lines(part: Part | None, usage: Usage, width: int) -> list[Line]:
    """The whole of one row, and what could not be learnt."""
    rows: list[Line] = []
    if part is not None:
        rows.append(((f" {part.title}  ", "strong"), (paint.size(part.bytes_), "")))
        rows += [((f" {piece}", "dim"),) for piece in wrap(part.detail, max(20, width - 2))[:3] if piece]
    rows += [
        ((f" {paint.WARN} {piece}", "warn"),) for note in usage.notes for piece in wrap(note, max(20, width - 4))[:2]
    ]
    return rows


def prune_lines(prune: Prune) -> list[Line]:
    """The dialog of a plan: what goes, how much it frees, what stays."""
    from vpai_tui.upkeep.disk.plan import told

    rows: list[Line] = [named("host", prune.host), *_named("frees", told(prune))]
    for item in prune.items[:_SHOWN]:
        rows.append((("− ", "del"), (paint.fit(item.subject, 34), ""), (f" {item.frees}", "strong")))
        rows += [((f"  {piece}", "dim"),) for piece in wrap(item.why)]
    if len(prune.items) > _SHOWN:
        rows.append(((f"− and {len(prune.items) - _SHOWN} more", "dim"),))
    rows += _named("stays", "all volumes, and every image that somebody needs or that has just come")
    rows += _named("way back", "images are pulled again when they are wanted; what was built here is built again")
    return rows + [((piece, "warn"),) for note in prune.notes for piece in wrap(note)]


def _named(name: str, text: str) -> list[Line]:
    """A name and its words on as many rows as they need."""
    return [named("" if at else name, piece) for at, piece in enumerate(wrap(text, 48))]
