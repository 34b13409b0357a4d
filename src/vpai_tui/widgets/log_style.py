"""How one line of a log looks: its time, how bad it is, whose it is, its message and fields; as spans with roles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from zlib import crc32

from rich.cells import cell_len

from vpai_tui.clock import duration
from vpai_tui.logs.fields import Folded, folded
from vpai_tui.logs.highlight import STYLES, Rule, owners
from vpai_tui.logs.model import SECOND_NS, Level, Line, Mark, Source, moment
from vpai_tui.logs.pattern import Found
from vpai_tui.redact import redact
from vpai_tui.widgets import paint
from vpai_tui.widgets.paint import Span

SOURCE_ROLES = tuple(f"src{number}" for number in range(6))
RULE_ROLES = tuple(f"rule-{style}" for style in STYLES)
LONGEST = 8000  # characters of a message that a row has; the detail has all of it
_WRAPPED = 200  # rows of one line
# The head of the row has these already.
_SAID = frozenset(
    [
        *("ts", "time", "timestamp", "@timestamp", "t", "@t", "datetime", "asctime", "detected_level"),
        *("level", "lvl", "severity", "loglevel", "log_level", "levelname", "@l"),
    ]
)

_LEVELS: dict[Level, tuple[str, str]] = {
    Level.UNKNOWN: ("  ", ""),
    Level.TRACE: ("t ", "dim"),
    Level.DEBUG: ("d ", "dim"),
    Level.INFO: ("· ", ""),
    Level.WARN: (f"{paint.WARN} ", "warn"),
    Level.ERROR: (f"{paint.DOWN} ", "error"),
    Level.CRITICAL: (f"{paint.DOWN}!", "error"),
}
MARKS: dict[Mark, Span] = {Mark.NONE: (" ", ""), Mark.RECOVERED: ("+", "busy"), Mark.LATE: ("~", "busy")}


class Times(Enum):
    """How the time of a line is written."""

    LOCAL = "local"
    UTC = "UTC"
    RELATIVE = "relative"
    OFF = "off"

    @property
    def next(self) -> Times:
        every = list(Times)
        return every[(every.index(self) + 1) % len(every)]


@dataclass(frozen=True, slots=True)
class Style:
    """Everything the look of a line hangs on but the line itself."""

    times: Times = Times.LOCAL
    wrap: bool = False
    wide: bool = False
    source_width: int = 0  # cells; 0: all lines are of one source
    with_host: bool = False
    hit: Found | None = None
    rules: tuple[Rule, ...] = ()  # the operator's highlights; what is searched wins over them
    now_ns: int = 0  # for relative times alone

    @property
    def time_width(self) -> int:
        return {Times.OFF: 0, Times.RELATIVE: 6}.get(self.times, 12 if self.wide else 8)


def level_span(level: Level) -> Span:
    """Glyph of a level in two cells, and its role."""
    return _LEVELS[level]


def level_role(level: Level) -> str:
    return _LEVELS[level][1]


def source_role(source: Source) -> str:
    """One of six colours; the same source has always the same."""
    return SOURCE_ROLES[crc32(source.id.encode("utf-8", "replace")) % len(SOURCE_ROLES)]


def source_name(source: Source, *, with_host: bool) -> str:
    return f"{source.host}/{source.name}" if with_host and source.host else source.name


def when(ns: int, times: Times) -> datetime:
    """The moment in the zone that is shown."""
    at = moment(ns)
    try:
        return at if times is Times.UTC else at.astimezone()
    except (OverflowError, ValueError, OSError):
        return at.replace(tzinfo=UTC)


def stamp(ns: int, style: Style) -> str:
    """The time of a line in `style.time_width` cells."""
    if style.times is Times.OFF:
        return ""
    if style.times is Times.RELATIVE:
        age_s = (style.now_ns - ns) / SECOND_NS
        return paint.fit(f"-{duration(age_s)}" if age_s >= 0 else f"+{duration(-age_s)}", style.time_width, right=True)
    text = f"{when(ns, style.times):%H:%M:%S}"
    return f"{text}.{ns % SECOND_NS // 1_000_000:03d}" if style.wide else text


def prefix(line: Line, level: Level, source: Source, style: Style) -> tuple[Span, ...]:
    """What stands before the message: mark, time, level, source."""
    time = stamp(line.ns, style)
    spans: list[Span] = [MARKS[line.mark], (f"{time} " if time else "", "dim"), level_span(level)]
    if style.source_width:
        name = paint.fit(source_name(source, with_host=style.with_host), style.source_width)
        spans.append((f"{name} ", source_role(source)))
    return tuple(span for span in spans if span[0])


def masked(raw: bytes) -> Folded:
    """What a line holds, as it may be seen: the values of secret-looking names are out."""
    found = folded(raw)
    return Folded(redact(found.message), {name: _mask(name, it) for name, it in found.fields.items()}, found.kind)


def _mask(name: str, value: str) -> str:
    """A value alone does not say what it is."""
    told = redact(f"{name}={value}")
    return told[len(name) + 1 :] if told.startswith(f"{name}=") else redact(value)


def message(line: Line, level: Level, more: int, style: Style) -> tuple[Span, ...]:
    """The message, then its fields; what fits the pattern or a rule stands out. `more`: lines folded below it."""
    found = masked(line.raw if len(line.raw) <= 4 * LONGEST else line.raw[: 4 * LONGEST])
    text = paint.safe(found.message if len(found.message) <= LONGEST else f"{found.message[:LONGEST]}…")
    spans = list(_hits(text, level_role(level), style.hit))
    left = LONGEST - len(text)
    whole = found.kind == "text" or text.lstrip().startswith("{")  # there is no message: the line itself is it
    for name, value in () if whole else found.fields.items():
        if name in _SAID or not value:
            continue
        if left <= 0:
            spans.append((" …", "dim"))
            break
        value = paint.safe(value if len(value) <= 300 else f"{value[:300]}…")
        # `request.method` is `method` here; the detail has the whole name
        spans += [(f"  {paint.safe(name.rpartition('.')[2])}=", "dim"), *_hits(value, "name", style.hit)]
        left -= len(name) + len(value)
    spans = _ruled(spans, style.rules)
    if more:
        spans.append((f"  + {more} line{'s' if more > 1 else ''}", "accent"))
    return tuple(spans)


def _ruled(spans: list[Span], rules: tuple[Rule, ...]) -> list[Span]:
    """The spans with what a rule finds in their text in its style: over a name and its value too."""
    marked = owners("".join(text for text, _ in spans), rules) if rules else None
    if marked is None:
        return spans
    made: list[Span] = []
    at = 0
    for text, role in spans:
        own = marked[at : at + len(text)]
        at += len(text)
        if role == "hit" or not any(own):
            made.append((text, role))
            continue
        start = 0
        for end in range(1, len(text) + 1):
            if end == len(text) or own[end] != own[start]:
                made.append((text[start:end], f"rule-{rules[own[start] - 1].style}" if own[start] else role))
                start = end
    return made


def _hits(text: str, role: str, pattern: Found | None) -> Iterator[Span]:
    at = 0
    if pattern is not None:
        for found in pattern.finditer(text):
            if found.end() > found.start():
                if found.start() > at:
                    yield text[at : found.start()], role
                yield found[0], "hit"
                at = found.end()
    if at < len(text) or not text:
        yield text[at:], role


# ── cells ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def width_of(spans: tuple[Span, ...]) -> int:
    return sum(cell_len(text) for text, _ in spans)


def from_cell(spans: tuple[Span, ...], offset: int) -> tuple[Span, ...]:
    """The spans without their first `offset` cells."""
    kept: list[Span] = []
    for text, role in spans:
        size = cell_len(text)
        if offset >= size:
            offset -= size
            continue
        kept.append((_drop(text, offset), role) if offset else (text, role))
        offset = 0
    return tuple(kept)


def _drop(text: str, cells: int) -> str:
    if text.isascii():
        return text[cells:]
    at = _index(text, cells)
    return text[at:]


def _index(text: str, cells: int) -> int:
    """How many characters begin within `cells` cells and fit."""
    left = cells
    for at, char in enumerate(text):
        size = cell_len(char)
        if size > left:
            return at
        left -= size
    return len(text)


def wrapped(spans: tuple[Span, ...], width: int) -> list[tuple[Span, ...]]:
    """The spans in rows of at most `width` cells, broken anywhere: a log line is seen whole, as it is."""
    width = max(width, 10)
    rows: list[list[Span]] = [[]]
    left = width
    for text, role in spans:
        while text:
            if left <= 0:
                if len(rows) >= _WRAPPED:
                    rows[-1].append(("…", "dim"))
                    return [tuple(row) for row in rows]
                rows.append([])
                left = width
            at = min(left, len(text)) if text.isascii() else _index(text, left)
            if at == 0 and left < width:
                left = 0
                continue
            at = max(at, 1)
            rows[-1].append((text[:at], role))
            left -= cell_len(text[:at])
            text = text[at:]
    return [tuple(row) for row in rows]
