"""The top of the budget screen: spend in big digits, the bar with its marks, mode, pace, forecast, reset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from textual.renderables.digits import DIGITS, DIGITS3X3_BOLD

from vpai_tui.budget.model import THRESHOLDS, BudgetSnapshot
from vpai_tui.clock import duration
from vpai_tui.widgets import budget_words as words
from vpai_tui.widgets import paint
from vpai_tui.widgets.budget_look import BudgetLook
from vpai_tui.widgets.paint import Line, Span

_GAP = 3
_BETWEEN = 2  # cells between two tiles
_FULL, _HALF, _EMPTY = "━", "╸", "─"
Tile = tuple[str, Span]


def big(text: str) -> list[str]:
    """`text` in digits three rows high; what the font lacks stands small on its last row."""
    rows = ["", "", ""]
    for letter in text:
        at = DIGITS.find(letter)
        cells = DIGITS3X3_BOLD[at * 3 : at * 3 + 3] if at > 0 else [" ", " ", letter]
        wide = max(len(cell) for cell in cells)
        rows = [row + cell.ljust(wide) for row, cell in zip(rows, cells, strict=True)]
    return rows


def head_lines(look: BudgetLook, now_boot_s: float, width: int) -> list[Line]:
    """Three rows: the sum; what it is of, mode and proof; the bar; its marks."""
    found = look.snapshot
    if found is None:
        return _nothing(look, width)
    spent = found.spend.spend_usd if found.spend else None
    # Dollars alone from a thousand on: the cents of such a day interest nobody, and the rest of the row must fit.
    digits = big("$-.--" if spent is None else f"${spent:.2f}" if spent < 1000 else f"${spent:.0f}")
    role = "stale" if spent is None or look.stale(now_boot_s) else words.level(found.used or 0.0)
    role = "strong" if role == "accent" else role
    taken = max(len(row) for row in digits) + 1 + _GAP
    room = max(10, width - taken - 1)
    right = [_first_row(look, found, now_boot_s, room), *_bar(look, found, now_boot_s, room)]
    return [
        ((f" {big_row.ljust(taken - 1 - _GAP)}", role), (" " * _GAP, ""), *row)
        for big_row, row in zip(digits, right, strict=True)
    ]


def _nothing(look: BudgetLook, width: int) -> list[Line]:
    """Nothing was heard yet, or nothing can be."""
    if look.failure is not None:
        what: Span = (f"{paint.STALE} nothing is known of the budget", "stale")
    else:
        what = (f"{paint.BUSY} asking LiteLLM, its database and Redis", "busy")
    rows = big("$-.--")
    bar: Line = ((_EMPTY * max(10, width - len(rows[0]) - _GAP - 2), "track"),)
    return [
        ((f" {row}", "stale"), (" " * _GAP, ""), *right) for row, right in zip(rows, ((what,), bar, ()), strict=True)
    ]


def _first_row(look: BudgetLook, found: BudgetSnapshot, now_boot_s: float, room: int) -> Line:
    """`of $5.00 · 28% · $3.58 left   activity 12s ago        ✔ normal  ✔ enforced`, as much of it as fits."""
    used, cap = found.used, found.cap_usd
    spent = found.spend.spend_usd if found.spend else None
    if cap is None:
        of: Line = (("no cap", "warn") if found.cap_source == "none" and found.beat else ("cap unknown", "stale"),)
    else:
        of = (("of ", "dim"), (words.usd(cap), "strong"))
    if used is not None:
        of = (*of, ("  ", ""), (words.share(used), words.level(used)))
    left: Span = ("", "")
    if cap is not None and spent is not None:
        rest = cap - spent
        left = (f"  {words.usd(rest)} left", "dim") if rest > 0 else (f"  {words.usd(-rest)} over", "error")
    read: Line = (("  ", ""), words.read_span(look, now_boot_s))
    states = words.state_lines(look, now_boot_s)
    variants = [(start, state) for start in ((*of, left, *read), (*of, left), of) for state in states]
    fits = (it for it in variants if paint.width_of(it[0]) + 2 + paint.width_of(it[1]) <= room)
    start, end = next(fits, variants[-1])
    return paint.spread(start, end, room)


def _bar(look: BudgetLook, found: BudgetSnapshot, now_boot_s: float, room: int) -> list[Line]:
    """The bar and, below it, its marks. It ends at the cap, or at what was spent when that is more."""
    used, now = found.used, look.now(now_boot_s) or found.at
    if used is None:
        why = "no cap is in force, so there is nothing to fill" if found.spend else "the sum of today is not known"
        return [((_EMPTY * room, "track"),), ((why, "dim"),)]
    whole = max(1.0, used)
    places = {mark: min(room - 1, round(room * mark / 100 / whole) - 1) for mark in THRESHOLDS}
    role = "stale" if look.stale(now_boot_s) else words.level(used)
    return [_cells(used / whole, places.values(), room, role), _marks(places, words.elapsed(found, now), whole, room)]


def _cells(filled: float, ticks: Iterable[int], room: int, role: str) -> Line:
    """Heavy where money was spent, light where it was not, a tick at each mark: readable without colours."""
    halves = round(filled * room * 2)
    at_ticks = set(ticks)
    spans: list[Span] = []
    for cell in range(room):
        full = halves >= 2 * cell + 2
        if cell in at_ticks:
            spans.append(("╋" if full else "┼", role if full else "dim"))
        elif full:
            spans.append((_FULL, role))
        elif halves == 2 * cell + 1:
            spans.append((_HALF, role))
        else:
            spans.append((_EMPTY, "track"))
    return _joined(spans)


def _joined(spans: Sequence[Span]) -> Line:
    """Neighbours of one role as one span."""
    rows: list[Span] = []
    for text, role in spans:
        if rows and rows[-1][1] == role:
            rows[-1] = (rows[-1][0] + text, role)
        else:
            rows.append((text, role))
    return tuple(rows)


def _marks(places: dict[int, int], gone: float, whole: float, room: int) -> Line:
    """`70  90  100%` below their ticks and, where there is room, how much of the day is over."""
    row = [" "] * room
    for mark, at in reversed(places.items()):
        text = f"{mark}%" if mark == 100 else str(mark)
        start = max(0, min(room - len(text), at - len(text) // 2))
        if all(cell == " " for cell in row[max(0, start - 1) : start + len(text) + 1]):
            row[start : start + len(text)] = text
    roles = ["dim"] * room
    here = min(room - 1, max(0, round(room * gone / whole) - 1))
    percent = f"{100 * gone:.0f}%"
    for text, start in ((f"▴ {percent} of the day", here), (f"{percent} of the day ▴", here - len(percent) - 12)):
        end = start + len(text)
        if start >= 0 and end <= room and all(cell == " " for cell in row[max(0, start - 1) : end + 1]):
            row[start:end] = text
            roles[start:end] = ["busy"] * len(text)
            break
    return _joined(list(zip(row, roles, strict=True)))


# -- tiles ----------------------------------------------------------------------------------------------------------


def tile_lines(look: BudgetLook, now_boot_s: float, width: int) -> list[Line]:
    """Two rows: names above, values below. The first ones are kept when not all fit."""
    found = look.snapshot
    if found is None:
        return []
    now = look.now(now_boot_s) or found.at
    roomy, old = width >= 110, look.stale(now_boot_s)
    names: list[Span] = []
    values: list[Span] = []
    used = 0
    tiles = [*_money_tiles(found, now, roomy=roomy), *(_count_tiles(found) if roomy else ())]
    for name, (value, role) in tiles:
        cells = max(len(name), paint.width_of(((value, role),)))
        if used + _BETWEEN + cells > width:
            break
        gap = " " * (_BETWEEN if used else 1)
        names += [(gap, ""), (paint.fit(name, cells), "head")]
        values += [(gap, ""), (paint.fit(value, cells), "stale" if old and name != "resets in" else role)]
        used += len(gap) + cells
    return [tuple(names), tuple(values)]


def _money_tiles(found: BudgetSnapshot, now: datetime, *, roomy: bool) -> list[Tile]:
    forecast, gone = found.forecast, words.elapsed(found, now)
    return [
        ("pace", _pace(found.used, gone, "in {}% of day"))
        if roomy
        else ("spent / day", _pace(found.used, gone, "/ {}%")),
        ("per hour", (words.usd(forecast.rate_usd_per_hour), "")),
        ("at midnight", _midnight(found)),
        ("cap reached", _cap_reached(found)),
        ("resets in", _reset(found, now)),
    ]


def _pace(used: float | None, gone: float, of_day: str) -> Span:
    """Spend as a share of the cap against the share of the day that is over."""
    if used is None:
        return ("–", "dim")
    told = f"{100 * used:.0f}% {of_day.format(f'{100 * gone:.0f}')}"
    if used >= 1:
        return (f"{paint.DOWN} {told}", "error")
    if used <= gone:
        return (f"{paint.OK} {told}", "ok")
    return (f"{paint.WARN} {told}", "warn")


def _midnight(found: BudgetSnapshot) -> Span:
    end, cap = found.forecast.end_of_day_usd, found.cap_usd
    if end is None:
        return ("–", "dim")
    over = cap is not None and end > cap
    return (f"{paint.WARN + ' ' if over else ''}≈ {words.usd(end)}", "warn" if over else "")


def _cap_reached(found: BudgetSnapshot) -> Span:
    forecast = found.forecast
    if found.reached is not None and (found.used or 0.0) >= 1:
        return (f"{paint.DOWN} at {words.at(found.reached.since, found.timezone)}", "error")
    if (found.used or 0.0) >= 1:
        return (f"{paint.DOWN} already", "error")
    if forecast.cap_reached_at is not None:
        return (f"{paint.WARN} ≈ {words.at(forecast.cap_reached_at, found.timezone)}", "warn")
    if forecast.end_of_day_usd is None or found.cap_usd is None:
        return ("–", "dim")
    return (f"{paint.OK} not today", "ok")


def _reset(found: BudgetSnapshot, now: datetime) -> Span:
    left = (found.resets_at - now).total_seconds()
    return (f"{duration(left)}, {words.reset(found)}", "") if left > 0 else (f"{paint.STALE} that day is over", "stale")


def _count_tiles(found: BudgetSnapshot) -> list[Tile]:
    spend = found.spend
    if spend is None:
        return []
    failed: Span = (f"{paint.WARN} {words.count(spend.failed)}" if spend.failed else words.count(spend.failed), "")
    return [
        ("requests", (words.count(spend.requests), "")),
        ("failed", (failed[0], "warn" if spend.failed else "")),
        ("tokens", (words.count(spend.tokens), "")),
        ("cached", (words.count(spend.cached_tokens), "")),
    ]


def count_line(look: BudgetLook, now_boot_s: float, width: int) -> Line:
    """Below the tables where the tiles have no room: `212 requests · ▲ 3 failed · 1.24M tokens · 210k cached`."""
    found = look.snapshot
    if found is None or found.spend is None:
        return ()
    spend = found.spend
    failed: Span = (
        (f"{paint.WARN} {words.count(spend.failed)} failed", "warn")
        if spend.failed
        else (f"{words.count(spend.failed)} failed", "dim")
    )
    left: Line = (
        (f" {words.count(spend.requests)} requests · ", "dim"),
        failed,
        (f" · {words.count(spend.tokens)} tokens · {words.count(spend.cached_tokens)} from a cache", "dim"),
    )
    return paint.spread(left, (words.read_span(look, now_boot_s), (" ", "")), width)
