"""What must not be overlooked on the budget screen: no answer, old values, a cap that was reached, nothing enforced."""

from __future__ import annotations

from vpai_tui.budget.alerts import SUBJECT
from vpai_tui.budget.model import BYTEPLUS, BudgetSnapshot, Enforcement, Mode
from vpai_tui.clock import duration
from vpai_tui.fleet.model import Alert, Severity
from vpai_tui.widgets import budget_words as words
from vpai_tui.widgets import paint
from vpai_tui.widgets.budget_look import BudgetLook
from vpai_tui.widgets.dialogs import wrap
from vpai_tui.widgets.paint import Line, Span

_ROLES = {Severity.ERROR: "error", Severity.WARN: "warn", Severity.INFO: "dim"}


def banner_lines(look: BudgetLook, now_boot_s: float, width: int, most: int) -> list[Line]:
    """At most `most` rows, the gravest first; what has no room is in the describe pane."""
    rows: list[Line] = []
    found, failure = look.snapshot, look.failure
    if failure is not None:
        rows += _told(paint.DOWN, "error", str(failure), failure.remedy, width)
    if found is None:
        return rows[:most]
    if failure is None and look.stale(now_boot_s):
        old = duration(now_boot_s - look.taken_boot_s)
        rows += _told(paint.STALE, "stale", f"nothing new was heard for {old}", "ctrl+r asks again", width)
    for glyph, role, text, remedy in sayings(found):
        rows += _told(glyph, role, text, remedy, width)
    most = most if rows else max(1, most - 1)  # notes alone take less
    for note in (it for it in found.notes if it != BYTEPLUS):  # it has a row of its own
        rows += _told("·", "dim", note, "", width)
    return _cut(rows, most, width)


def sayings(found: BudgetSnapshot) -> list[tuple[str, str, str, str]]:
    """Glyph, role, what is so and what to do: an error, the mode that acts, alerts."""
    rows: list[tuple[str, str, str, str]] = []
    if found.error:
        rest = f"; the numbers are from {words.SOURCES[found.spend.total.source]}" if found.spend is not None else ""
        rows.append((paint.DOWN, "error", f"{found.error}{rest}", found.remedy))
    of_mode = _of_mode(found) if found.enforcement is Enforcement.ENFORCED else []
    rows += of_mode
    for alert in sorted(found.alerts, key=_of_cap):  # that nothing holds the cap goes before how full it is
        if _of_cap(alert) and of_mode:
            continue  # the mode says it already, and the sum stands above
        glyph, _ = paint.severity(alert.severity)
        remedy = alert.remedy
        if _of_cap(alert):
            remedy = "M, a higher cap" if found.enforcement is Enforcement.ENFORCED else ""
        rows.append((glyph, _ROLES[alert.severity], alert.message, remedy))
    if found.enforcement is not Enforcement.ENFORCED and not found.alerts and found.why:
        role = "warn" if found.enforcement is Enforcement.DECLARED else "stale"
        rows.append((paint.WARN if role == "warn" else paint.STALE, role, found.why, ""))
    return rows


def _of_cap(alert: Alert) -> bool:
    return alert.subject.startswith(f"{SUBJECT}: ") and "%" in alert.subject


def _of_mode(found: BudgetSnapshot) -> list[tuple[str, str, str, str]]:
    """What a mode that is not normal does to requests, and until when."""
    free = found.beat.free[0] if found.beat and found.beat.free else "the first free model"
    if found.mode is Mode.BLOCKED:
        return [(paint.OFF, "error", "paid requests are refused, free models answer, until the mode is set back",
                 "E, off")]  # fmt: skip
    if found.mode is not Mode.ECO:
        return []
    if found.manual is Mode.ECO:
        return [(paint.WARN, "warn", f"{free} answers paid requests until the mode is set back", "E, off")]
    since = f" since {words.at(found.reached.since, found.timezone)}" if found.reached is not None else ""
    return [(paint.WARN, "warn", f"{free} answers paid requests{since}, until {words.reset(found)}", "M, a higher cap")]


def _told(glyph: str, role: str, text: str, remedy: str, width: int) -> list[Line]:
    told = f"{text} → {remedy}" if remedy else text
    pieces = wrap(told, max(20, width - 4))
    return [((f" {glyph if not at else ' '} ", role), (piece, role)) for at, piece in enumerate(pieces)]


def _cut(rows: list[Line], most: int, width: int) -> list[Line]:
    """The first `most` rows; the last one says when there are more."""
    if len(rows) <= most:
        return rows
    kept = rows[:most]
    more: Span = ("  ↵ more", "dim")
    return [*kept[:-1], (*paint.clip(kept[-1], width - paint.width_of((more,))), more)] if kept else []
