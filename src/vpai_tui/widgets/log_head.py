"""The rows above a log: what is followed and how much of it is proven, levels and options, what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from vpai_tui.clock import duration
from vpai_tui.errors import OperatorError
from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.happenings import Happening
from vpai_tui.logs.model import SECOND_NS, Cause, Gap, Level
from vpai_tui.text import clean
from vpai_tui.widgets import paint
from vpai_tui.widgets.context import Seen
from vpai_tui.widgets.dialogs import wrap
from vpai_tui.widgets.log_layout import Aside
from vpai_tui.widgets.log_look import LogLook, Tail
from vpai_tui.widgets.log_style import Times, when
from vpai_tui.widgets.paint import Line, Span

LEAST = (Level.UNKNOWN, Level.DEBUG, Level.INFO, Level.WARN, Level.ERROR)
_BANNER_ROWS = 5


@dataclass(frozen=True, slots=True)
class Reading:
    """How the operator reads now: what the second row says."""

    following: bool = True
    new: int = 0
    least: Level = Level.UNKNOWN
    shown: int = 0
    pattern: str = ""
    inverted: bool = False
    around: bool = False  # the filter only highlights
    problem: str = ""  # what is wrong with the filter
    given_up: bool = False  # it took too long: all lines are shown
    times: Times = Times.LOCAL
    wrap: bool = False
    offset: int = 0
    name: str = ""  # of what was narrowed; empty: the query says it all


def count(value: int) -> str:
    """`1 240`: thousands apart, so that they are read at a glance."""
    return f"{value:,}".replace(",", " ")


# ── the first row ────────────────────────────────────────────────────────────────────────────────────────────────────


def head_line(look: LogLook, reading: Reading, width: int) -> Line:
    """Whose lines, whether live, and the proof."""
    name = reading.name or (look.choice.target.name if look.choice else look.asked)
    left: Line = ((f" {paint.safe(name)} ", "strong"), (" ", ""), *_state(look, reading))
    right = badge(look, short=width < 100)
    room = width - paint.width_of(right) - paint.width_of(left[1:])
    if room < paint.width_of(left[:1]):
        left = ((paint.fit(f" {paint.safe(name)}", max(room - 1, 8)) + " ", "strong"), *left[1:])
    return paint.spread(left, right, width)


def _state(look: LogLook, reading: Reading) -> tuple[Span, ...]:
    match look.tail:
        case Tail.OFF:
            return ((f"{paint.OFF} not followed", "dim"),)
        case Tail.OPENING:
            return ((f"{paint.BUSY} opening", "busy"),)
        case Tail.FAILED:
            return ((f"{paint.DOWN} failed", "error"),)
    if not reading.following:
        new: tuple[Span, ...] = ((f"  ▼ {count(reading.new)} new", "accent"),) if reading.new else ()
        paused: Span = (f"{paint.OFF} paused", "warn")
        return (paused, *new)
    match look.tail:
        case Tail.AWAY:
            return ((f"{paint.WARN} reconnecting", "warn"),)
        case Tail.POLLING:
            return ((f"{paint.WARN} polling", "warn"),)
    return ((f"{paint.OK} live", "ok"),)


def badge(look: LogLook, *, short: bool = False) -> Line:
    """`✔ 1 240 proven to 14:02:11`, what was recovered, what is missing; nothing is claimed that was not counted."""
    if look.fallback is not None:
        return ((f"{paint.STALE} not counted: the container's own log ", "stale"),)
    proof = look.proof
    if proof is None or proof.to_ns is None:
        waits = look.tail in (Tail.LIVE, Tail.POLLING)
        return ((f"{paint.BUSY} counting ", "busy"),) if waits else ()
    to = f"{when(proof.to_ns, Times.LOCAL):%H:%M:%S}"
    spans: list[Span] = []
    if proof.recovered:
        spans.append((f"{paint.WARN} {count(proof.recovered)} {'rec.' if short else 'recovered'}  ", "warn"))
    covers = f"to {to}{_kept_from(look)} "
    if not proof.complete:
        lost = proof.expected - proof.proven
        spans.append((f"{paint.DOWN} {count(lost)} missing of {count(proof.expected)} {covers}", "error"))
    elif proof.given_up:
        some = "1 stretch" if proof.given_up == 1 else f"{count(proof.given_up)} stretches"
        spans.append((f"{paint.WARN} {count(proof.proven)} proven {covers.rstrip()}, {some} given up ", "warn"))
    else:
        spans.append((f"{paint.OK} {count(proof.proven)} proven {covers}", "ok"))
    return tuple(spans)


def _kept_from(look: LogLook) -> str:
    """Since when lines are still here, once there were too many: what was proven before is proven, and gone."""
    buffer = look.buffer
    if buffer is None or not buffer.evicted or buffer.oldest_ns is None:
        return ""
    return f", kept from {when(buffer.oldest_ns, Times.LOCAL):%H:%M:%S}"


# ── the second row ───────────────────────────────────────────────────────────────────────────────────────────────────


def chips_line(levels: Sequence[int], reading: Reading, width: int) -> Line:
    """Levels with how many lines each would show, the filter, the options that are not usual."""
    spans: list[Span] = [(" ", "")]
    for least in _chips(levels):
        total = sum(levels[int(least) :])
        word = "all" if least is Level.UNKNOWN else least.word if least is Level.ERROR else f"{least.word}+"
        role = "chip" if least is reading.least else "dim"
        spans.append((f" {word} {count(total)} ", role))
    return paint.spread(tuple(spans), _options(reading), width)


def _chips(levels: Sequence[int]) -> list[Level]:
    """`debug+` is shown only where it would leave something out."""
    below = any(levels[: int(Level.DEBUG)])
    return [it for it in LEAST if it is not Level.DEBUG or below]


def chip_at(levels: Sequence[int], reading: Reading, x: int) -> Level | None:
    """The level whose chip is at cell `x`."""
    left = 0
    for span, least in zip(chips_line(levels, reading, 10_000)[1:], _chips(levels), strict=False):
        size = paint.width_of((span,))
        if left + 1 <= x < left + 1 + size:
            return least
        left += size
    return None


def _options(reading: Reading) -> Line:
    spans: list[Span] = []
    if reading.problem:
        spans.append((f"{paint.WARN} {reading.problem}  ", "warn"))
    elif reading.pattern:
        sign = "not " if reading.inverted else ""
        what = "marked" if reading.around else f"{count(reading.shown)} shown"
        spans.append((f"{sign}/{paint.safe(reading.pattern)}/ {what}  ", "accent"))
    words = [] if reading.times is Times.LOCAL else [f"times {reading.times.value}"]
    words += ["wrap"] if reading.wrap else [f"→ {reading.offset}"] if reading.offset else []
    if words:
        spans.append((f"{' · '.join(words)} ", "dim"))
    return tuple(spans)


# ── what is wrong ────────────────────────────────────────────────────────────────────────────────────────────────────


def banner_lines(look: LogLook, *, lines: bool, width: int) -> list[Line]:
    """What must not be overlooked while lines are shown. `lines`: there are some (else the body says why not)."""
    rows: list[Line] = []
    if look.fallback is not None:
        told = f"{look.fallback.reason}. Lines of {look.fallback.container} by Docker, unproven"
        rows += _told(paint.WARN, "warn", told, "ctrl+r asks Loki again", width)
    if look.failure is not None and lines:
        rows += _told(paint.DOWN, "error", str(look.failure), look.failure.remedy or "ctrl+r tries again", width)
    if look.tail is Tail.AWAY:
        rows += _told(paint.WARN, "warn", look.lost, "opened again by itself; what is missed is fetched", width)
    if look.polling is not None:
        told = f"{look.polling.cause.value}: asking every {look.polling.every_s:g} s instead"
        rows += _told(paint.WARN, "warn", told, "", width)
    if look.uncounted:
        rows += _told(paint.STALE, "stale", f"not counted for now: {look.uncounted}", "tried again", width)
    return rows[:_BANNER_ROWS]


def _told(glyph: str, role: str, text: str, remedy: str, width: int) -> list[Line]:
    told = clean(f"{text} → {remedy}" if remedy else text)
    pieces = wrap(told, max(20, width - 4))
    return [((f" {glyph if not at else ' '} ", role), (piece, role)) for at, piece in enumerate(pieces[:3])]


def failure_lines(error: OperatorError, width: int) -> list[Line]:
    """Why nothing is followed; with LogQL, where in it."""
    rows: list[Line] = []
    for at, row in enumerate(wrap(clean(error.message), max(20, width - 6))):
        rows.append(((f" {paint.DOWN} " if not at else "   ", "error"), (row, "error")))
    if error.host:
        rows.append(((f"   on {paint.safe(error.host)}", "dim"),))
    if error.output:
        rows.append(())
        rows += [((" │ ", "track"), (row, "")) for row in _caret(error.output, max(20, width - 6))]
    if error.remedy:
        rows.append(())
        for at, row in enumerate(wrap(error.remedy, max(20, width - 6))):
            rows.append(((" → " if not at else "   ", "accent"), (row, "")))
    return rows


def _caret(output: str, width: int) -> list[str]:
    """A query and the caret below it, both cut to where the caret is seen."""
    rows = output.split("\n")[:12]
    caret = next((row.index("^") for row in rows if row.strip() == "^"), -1)
    start = max(caret - width + 10, 0)
    return [row[start : start + width] for row in rows]


# ── rows between lines ───────────────────────────────────────────────────────────────────────────────────────────────


def asides(look: LogLook, seen: Sequence[Seen], times: Times) -> list[Aside]:
    """Gaps of the tail, and what happened to the containers whose lines are followed; in order of time."""
    found = [gap_row(look, gap, times) for gap in look.gaps]
    target = look.choice.target if look.choice else None
    if target is not None and target.query is None:
        for item in seen:
            host, stack, service = item.service.split("/", 2) if item.service.count("/") >= 2 else ("", "", "")
            mine = (host, f"{host}/{stack}", service)
            wanted = (target.host, target.stack, target.service)
            if all(it is None or it == own for it, own in zip(wanted, mine, strict=True)):
                found.append(_mark(item.at, item.service, item.text, item.role, times))
    return sorted(found, key=lambda it: it.ns)


def gap_row(look: LogLook, gap: Gap, times: Times) -> Aside:
    """`┄ 14:02:11  link lost, 12s: all lines of it fetched ┄`."""
    at = when(gap.from_ns, Times.UTC if times is Times.UTC else Times.LOCAL)
    length = duration((gap.to_ns - gap.from_ns) / SECOND_NS)
    filled = look.filled(gap)
    if gap.missing:
        end, role = f"{count(gap.missing)} line{'s' if gap.missing > 1 else ''} missing", "error"
    elif gap.cause is Cause.EVICTED:
        end, role = "given up: too many lines came", "error"
    elif filled:
        end, role = "nothing is missing", "ok"
    elif filled is None:
        end, role = "not counted yet", "warn"
    else:
        end, role = "lines are missing", "error"
    cause = f"{gap.cause.value}: {gap.detail}" if gap.detail else gap.cause.value
    text = f"  ┄┄ {at:%H:%M:%S}  {paint.safe(cause)}, {length}"
    glyph = paint.OK if role == "ok" else paint.WARN
    return Aside(gap.from_ns, ((text, "warn"), (f"  {glyph} {end}", role), (" ┄┄", "warn")))


def mark_row(it: Happening, times: Times) -> Aside:
    """Something that happened, as a row between lines."""
    return _mark_at(it.ns, it.subject, it.text, "error" if it.bad else "accent", times)


def _mark(at: datetime, service: str, text: str, role: str, times: Times) -> Aside:
    return _mark_at(int(at.timestamp()) * SECOND_NS + at.microsecond * 1000, service, text, role, times)


def _mark_at(ns: int, service: str, text: str, role: str, times: Times) -> Aside:
    shown = when(ns, Times.UTC if times is Times.UTC else Times.LOCAL)
    return Aside(ns, ((f"  ── {shown:%H:%M:%S}  {paint.safe(service)}: ", "dim"), (paint.safe(text), role or "accent")))


def empty_line(look: LogLook, buffer: Buffer | None, reading: Reading, failure: str) -> Line:
    """What stands where lines would."""
    if buffer is not None and len(buffer):
        what = f"fits /{paint.safe(reading.pattern)}/" if reading.pattern else f"is {reading.least.word} or worse"
        sign = "no other line" if reading.inverted else "no line"
        return ((f" {sign} of {count(len(buffer))} {what}", "dim"),)
    if look.tail is Tail.OFF:
        return ((f" {failure or 'nothing is followed: `:logs SERVICE` opens one'}", "dim"),)
    if look.tail is Tail.OPENING or look.buffer is None:
        return ((f" {paint.BUSY} asking Loki", "busy"),)
    return ((" no line in the last hour; the next one is shown as it comes", "dim"),)
