"""Bars of the budget: today by the hour, and the last seven days with the line of the cap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vpai_tui.budget.model import BudgetSnapshot, DaySpend, Part
from vpai_tui.clock import duration
from vpai_tui.widgets import budget_words as words
from vpai_tui.widgets import paint
from vpai_tui.widgets.budget_look import BudgetLook
from vpai_tui.widgets.paint import Line, Span, fit

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_HOURS = 24
_DAYS = 7
_LINE = "╌"


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its value, its role, and what stands on the ground where there is none."""

    value: float
    role: str
    ground: str = " "


def bar_rows(
    bars: Sequence[Bar], top: float, height: int, *, wide: int, gap: int, line_at: float | None = None
) -> list[Line]:
    """`height` rows from the top down, each bar `wide` cells and `gap` blank ones.

    `line_at`: a value that is marked with a broken line wherever no bar covers it.
    """
    level = None if line_at is None or top <= 0 else min(height - 1, int(height * line_at / top - 1e-9))
    rows: list[Line] = []
    for row in reversed(range(height)):
        spans: list[Span] = []
        for bar in bars:
            glyph = _cell(bar.value, top, height, row)
            if glyph == " " and row == level:
                spans.append((_LINE * (wide + gap), "warn"))
                continue
            ground = bar.ground if row == 0 and glyph == " " else glyph
            spans.append((ground * wide, bar.role if glyph != " " else "track"))
            spans.append((_LINE * gap if row == level else " " * gap, "warn" if row == level else ""))
        rows.append(tuple(spans))
    return rows


def _cell(value: float, top: float, height: int, row: int) -> str:
    """The block of one row; what is not nothing is seen."""
    if top <= 0 or value <= 0:
        return " "
    eighths = max(1, round(8 * height * value / top)) - 8 * row
    return _EIGHTHS[max(0, min(8, eighths))]


def chart_lines(look: BudgetLook, now_boot_s: float, width: int, height: int) -> list[Line]:
    """Both charts beside each other: a row of titles, `height` of bars, one or two of labels."""
    found = look.snapshot
    if found is None:
        return []
    roomy = width >= 110
    cell, day = (3, 5) if roomy else (2, 3)
    left, right = _hours(look, found, now_boot_s, cell, height), _days(look, found, now_boot_s, day, height)
    rows = max(len(left), len(right))
    left_wide = _HOURS * cell + 3
    left += [()] * (rows - len(left))
    right += [()] * (rows - len(right))
    right_wide = width - left_wide
    return [(*_padded(a, left_wide), *paint.clip(b, right_wide)) for a, b in zip(left, right, strict=True)]


def _padded(row: Line, width: int) -> Line:
    row = paint.clip(((" ", ""), *row), width)
    return (*row, (" " * (width - paint.width_of(row)), ""))


def _title(name: str, notes: Sequence[str], part: Part | None, look: BudgetLook, now_boot_s: float, room: int) -> Line:
    """Name, a note, and where it was read; the longest note that fits."""
    read = ""
    if part is not None:
        old = look.stale(now_boot_s)
        age = duration(look.age_s(part, now_boot_s))
        read = f"{words.SOURCES[part.source]} {age} ago"
        read = f"{paint.STALE} {read.removesuffix('ago')}old" if old else read
    role = "stale" if read.startswith(paint.STALE) else "dim"
    rows: list[Line] = [
        ((title, "head"), (f"  {note}" if note else "", ""), (f"  {read}", role))
        for title in (name, name.removeprefix("last "))
        for note in (*notes, "")
    ]
    return words.first_fit(rows, room)


def _hours(look: BudgetLook, found: BudgetSnapshot, now_boot_s: float, cell: int, height: int) -> list[Line]:
    spend = found.spend
    room = _HOURS * cell + 1
    now = look.now(now_boot_s) or found.at
    this = now.astimezone(words.zone(found.timezone)[0]).hour if now < found.resets_at else _HOURS
    if spend is None or spend.hours is None:
        empty: list[Line] = [()] * (height - 1)
        return [(("today by the hour", "head"),), ((f"{paint.STALE} the hours are not known", "stale"),), *empty]
    role = "stale" if look.stale(now_boot_s) else ""
    by_hour = {it.hour: it.spend_usd for it in spend.hours}
    peak = max(by_hour, key=lambda hour: by_hour[hour], default=0)
    most = by_hour.get(peak, 0.0)
    bars = [
        Bar(by_hour.get(hour, 0.0), role or ("strong" if hour == this else "accent"), "·" if hour > this else " ")
        for hour in range(_HOURS)
    ]
    notes = (f"most {words.usd(most)} at {peak:02d}h",) if most > 0 else ("nothing yet",)
    title = _title("today by the hour", notes, spend.hours_part, look, now_boot_s, room)
    return [title, *bar_rows(bars, most, height, wide=cell - 1, gap=1), _hour_axis(cell)]


def _hour_axis(cell: int) -> Line:
    """Each third hour named."""
    return tuple((fit(f"{hour:02d}h", cell * 3), "dim") for hour in range(0, _HOURS, 3))


def _day_role(it: DaySpend, found: BudgetSnapshot, cap: float | None) -> str:
    return "error" if cap and it.spend_usd >= cap else "strong" if it.day == found.day else "accent"


def _short(usd: float) -> str:
    """Dollars in four cells."""
    return f"{usd:.2f}" if usd < 9.995 else f"{usd:.1f}" if usd < 99.95 else f"{usd:.0f}"


def _days(look: BudgetLook, found: BudgetSnapshot, now_boot_s: float, cell: int, height: int) -> list[Line]:
    spend, cap = found.spend, found.cap_usd
    if spend is None or spend.days is None:
        return [(("last 7 days", "head"),), ((f"{paint.STALE} the days are not known", "stale"),)]
    days, stale = spend.days[-_DAYS:], look.stale(now_boot_s)
    most = max((it.spend_usd for it in days), default=0.0)
    top = max(most, cap or 0.0)
    bars = [Bar(it.spend_usd, "stale" if stale else _day_role(it, found, cap)) for it in days]
    rows = bar_rows(bars, top, height, wide=cell - 1, gap=1, line_at=cap)
    if cap and top > 0:
        level = min(height - 1, int(height * cap / top - 1e-9))
        at = height - 1 - level
        rows[at] = (*rows[at], (f" {words.usd(cap).removesuffix('.00')} cap" if cell > 3 else " cap", "warn"))
    title = _title("last 7 days", (), spend.days_part, look, now_boot_s, cell * _DAYS + 8)
    names = tuple((fit(f"{it.day:%a}"[: cell - 1], cell), "busy" if it.day == found.day else "dim") for it in days)
    lines = [title, *rows, names]
    if cell > 3:
        lines.append(tuple((fit(_short(it.spend_usd), cell), "dim") for it in days))
    return lines
