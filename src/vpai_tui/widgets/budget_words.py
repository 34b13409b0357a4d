"""Money, counts and moments of the budget as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from vpai_tui.budget.model import BudgetSnapshot, Enforcement, Mode, Source
from vpai_tui.clock import duration
from vpai_tui.widgets import paint
from vpai_tui.widgets.budget_look import BudgetLook
from vpai_tui.widgets.paint import Line, Span, width_of

SOURCES = {
    Source.ACTIVITY: "activity",
    Source.SPEND: "spend API",
    Source.SQL: "SQL",
    Source.COUNTERS: "counters",
}
# BytePlus has a budget of its own: its name and what `BYTEPLUS` says of it.
OUTSIDE = "byteplus"


def usd(value: float | None) -> str:
    """`$1.42`, `<$0.01` for what is not quite nothing, `–` when unknown."""
    if value is None:
        return "–"
    if 0 < value < 0.005:
        return "<$0.01"
    return f"${value:,.2f}" if value < 1000 else f"${value:,.0f}"


def price(value: float | None) -> str:
    """Dollars per million tokens: `$3.00`, `0` where it costs nothing, `–` where there is no price."""
    if value is None:
        return "–"
    return "0" if value == 0 else f"${value:.3f}" if value < 0.1 else f"${value:.2f}"


def count(value: float | None) -> str:
    """`212`, `34.1k`, `1.24M`, `–` when unknown."""
    if value is None:
        return "–"
    if value < 10_000:
        return f"{value:.0f}"
    if value < 1_000_000:
        return f"{value / 1000:.1f}k" if value < 100_000 else f"{value / 1000:.0f}k"
    return f"{value / 1e6:.2f}M" if value < 10_000_000 else f"{value / 1e6:.0f}M"


def share(value: float | None) -> str:
    """A share of one as percent."""
    return paint.percent(None if value is None else 100 * value)


@lru_cache(maxsize=8)
def zone(name: str) -> tuple[tzinfo, str]:
    """The time zone of that name, and the name it is shown with; UTC where this laptop does not know it."""
    try:
        return ZoneInfo(name), name
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC, "UTC"


def at(moment: datetime, timezone: str) -> str:
    """`16:40` in the budget's time zone."""
    return moment.astimezone(zone(timezone)[0]).strftime("%H:%M")


def reset(found: BudgetSnapshot) -> str:
    """`00:00 Europe/Paris`: when the day's sum begins again."""
    return f"{at(found.resets_at, found.timezone)} {zone(found.timezone)[1]}"


def day_starts(day: date, timezone: str) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone(timezone)[0])


def elapsed(found: BudgetSnapshot, now: datetime) -> float:
    """How much of the budget's day is over, 0 to 1."""
    known = zone(found.timezone)[1] == found.timezone
    start = day_starts(found.day, found.timezone) if known else found.resets_at - timedelta(days=1)
    whole = (found.resets_at - start) / timedelta(seconds=1)
    return min(1.0, max(0.0, (now - start) / timedelta(seconds=1) / whole)) if whole > 0 else 1.0


def level(used: float | None) -> str:
    """The role of a share of the cap: calm, told at 70 %, an error from 100 % on."""
    if used is None:
        return "stale"
    return "error" if used >= 1 else "warn" if used >= 0.7 else "accent"


def mode_span(found: BudgetSnapshot, *, stale: bool) -> Span:
    """Glyph and word of what acts, or of what is only declared."""
    declared = found.enforcement is Enforcement.DECLARED
    mode = found.manual or found.mode if declared else found.mode
    if mode is None:
        return (f"{paint.STALE} mode unknown", "stale")
    glyph, role = {
        Mode.NORMAL: (paint.OK, "ok"),
        Mode.ECO: (paint.WARN, "warn"),
        Mode.BLOCKED: (paint.OFF, "error"),
    }[mode]
    how = "" if mode is Mode.NORMAL or declared else " by hand" if found.manual is mode else " by itself"
    if stale:
        return (f"{paint.STALE} {mode.value}{how}", "stale")
    return (f"{glyph} {mode.value}{how}", role)


def state_lines(look: BudgetLook, now_boot_s: float) -> list[Line]:
    """Mode and proof, at several lengths, the longest first."""
    found = look.snapshot
    if found is None:
        return [()]
    if found.mode is None and found.enforcement is Enforcement.UNKNOWN:
        return [((f"{paint.STALE} mode and enforcement unknown", "stale"),)]
    proofs = enforcement_spans(look, now_boot_s)
    if found.enforcement is Enforcement.DECLARED and found.manual not in (Mode.ECO, Mode.BLOCKED):
        return [(proof,) for proof in proofs]  # there is no mode to speak of: nothing holds anything
    mode = mode_span(found, stale=look.stale(now_boot_s))
    return [(mode, ("  ", ""), proof) for proof in proofs]


def enforcement_spans(look: BudgetLook, now_boot_s: float) -> list[Span]:
    """Whether it acts, at several lengths, the longest first; an old look proves nothing any more."""
    found = look.snapshot
    if found is None:
        return [("", "")]
    beat = look.age_s(found.beat.seen_at, now_boot_s) if found.beat else None
    match found.enforcement:
        case Enforcement.ENFORCED if look.stale(now_boot_s):
            old = duration(now_boot_s - look.taken_boot_s)
            return [(f"{paint.STALE} enforced {old} ago", "stale")]
        case Enforcement.ENFORCED:
            age = duration(beat)
            words = [f"enforced, heartbeat {age} ago", f"enforced, beat {age}", f"enforced {age}"]
            return [(f"{paint.OK} {it}", "ok") for it in words]
        case Enforcement.DECLARED:
            return [(f"{paint.WARN} {it}", "warn") for it in ("declared only: nothing acts on it", "declared only")]
    return [(f"{paint.STALE} {it}", "stale") for it in ("not known whether enforced", "enforcement ?")]


def first_fit(lines: Sequence[Line], width: int) -> Line:
    """The first of these that fits, the longest being the first; else the last."""
    return next((row for row in lines if width_of(row) <= width), lines[-1])


def read_span(look: BudgetLook, now_boot_s: float) -> Span:
    """`activity 12s ago` of the day's sum."""
    found = look.snapshot
    if found is None or found.spend is None:
        return (f"{paint.STALE} not known", "stale")
    part = found.spend.total
    age = duration(look.age_s(part, now_boot_s))
    if look.stale(now_boot_s):
        return (f"{paint.STALE} {SOURCES[part.source]} {age} old", "stale")
    return (f"{SOURCES[part.source]} {age} ago", "dim")
