"""All that is known of one line of a log: when, whose, how bad and who says so, its fields, what was folded into it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vpai_tui.clock import duration
from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.fold import MOST, NEAR_NS, Folder
from vpai_tui.logs.model import SECOND_NS, Line, Mark, Source, moment, rfc3339_ns
from vpai_tui.logs.narrow import Field, Kind, message_field, parsed_fields
from vpai_tui.redact import redact
from vpai_tui.text import clean
from vpai_tui.widgets import paint
from vpai_tui.widgets.dialogs import wrap
from vpai_tui.widgets.log_fields import Row
from vpai_tui.widgets.log_style import LONGEST, level_role, level_span, masked
from vpai_tui.widgets.paint import Line as Spans

_LABEL = 14
_TEXT_ROWS = 400
_FOLDED_ROWS = 20  # of one line that was folded
_MARKS = {Mark.RECOVERED: "recovered: the tail lost it", Mark.LATE: "late: after its time was counted"}


def detail_rows(line: Line, source: Source, with_it: Sequence[Line], now_ns: int, width: int) -> list[Row]:
    """The detail of `line` in rows of `width` cells, each with its field. `with_it`: the lines folded into it."""
    found, fields = masked(line.raw), parsed_fields(line)
    rows: list[Row] = [(((" message", "head"),), None)]
    said = message_field(line)
    rows += [(row, said) for row in _text(found.message[: 10 * LONGEST], level_role(line.level), width, _TEXT_ROWS)]
    for other in with_it:
        rows += [(row, None) for row in _text(redact(other.text), "", width, _FOLDED_ROWS)]
    if found.fields:
        rows += _head("fields")
        for name, value in found.fields.items():
            rows += [(row, fields.get(name)) for row in _named(name, value, "", width)]
    rows += _head("line")
    rows += [(row, None) for item in _about(line, source, now_ns) for row in _named(*item, width)]
    rows += _head("labels")
    for kind, pairs in ((Kind.LABEL, line.labels), (Kind.META, line.meta.items())):
        for name, value in pairs:
            field = Field(name, value, kind)
            rows += [(row, field) for row in _named(name, value, "", width)]
    return rows


def _head(word: str) -> list[Row]:
    return [((), None), (((f" {word}", "head"),), None)]


def _about(line: Line, source: Source, now_ns: int) -> Iterator[tuple[str, str, str]]:
    """Name, value and role of what is known of the line beside its text."""
    at, (glyph, role) = moment(line.ns), level_span(line.level)
    yield "time", f"{at.astimezone():%Y-%m-%d %H:%M:%S}.{line.ns % SECOND_NS:09d}", ""
    yield "UTC", rfc3339_ns(line.ns), ""
    yield "age", duration((now_ns - line.ns) / SECOND_NS), ""
    yield "level", f"{glyph.strip()} {line.level.word}".strip(), role
    if line.disagrees and line.loki_level is not None:
        yield "Loki says", line.loki_level.word, "warn"
    yield "source", source.id, ""
    if source.host:
        yield "host", source.host, ""
    if line.mark:
        yield "came", _MARKS[line.mark], "busy"


def _text(text: str, role: str, width: int, most: int) -> list[Spans]:
    """`text` in rows; what is indented stays so."""
    rows: list[Spans] = []
    for row in text.expandtabs(4).split("\n"):
        indent = " " * min(len(row) - len(row.lstrip(" ")), 24)
        rows += [((f"  {indent}{piece}", role),) for piece in wrap(row.strip(" "), max(width - 3 - len(indent), 20))]
        if len(rows) >= most:
            return rows[:most]
    return rows


def _named(name: str, value: str, role: str, width: int) -> list[Spans]:
    room = max(width - _LABEL - 3, 16)
    first, *rest = wrap(clean(value).expandtabs(4), room)[:_TEXT_ROWS] or [""]
    head: Spans = ((paint.fit(f"  {paint.safe(name)}", _LABEL + 2), "dim"), (first, role))
    return [head, *(((" " * (_LABEL + 2), ""), (row, role)) for row in rest)]


def belonging(buffer: Buffer, line: Line) -> list[Line]:
    """The lines after `line` that go with it, whatever is filtered now."""
    folder = Folder()
    found: list[Line] = []
    folder.joins(line)
    last, passed = line.ns, False
    for other in buffer.between(line.ns, line.ns + 60 * SECOND_NS):
        if other.ns - last > NEAR_NS or len(found) >= MOST:
            break
        if other.labels != line.labels:
            continue
        if not passed:
            passed = other.identity == line.identity
            continue
        if not folder.joins(other):
            break
        found.append(other)
        last = other.ns
    return found
