"""A span of a log's rows that the operator marks: from where it began to where the cursor was moved."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.fold import MOST, NEAR_NS, Folder
from vpai_tui.logs.model import Labels, Line
from vpai_tui.logs.view import View
from vpai_tui.widgets.log_rows import Rows

SIGN = "▌"
_STEP = 1000  # rows that are looked at at once


@dataclass(slots=True)
class Marks:
    """Both ends are lines, not numbers: lines that come, above, below or between, move nothing.

    A filter may hide an end; what is shown between them is marked then.
    """

    anchor: Line
    head: Line

    def places(self, view: View) -> tuple[int, int] | None:
        """The first and the last place of the view that is marked; None when nothing of it is shown."""
        ends = [(line, view.place_of(line)) for line in (self.anchor, self.head)]
        (first, low), (last, high) = sorted(ends, key=lambda it: (it[0].ns, -1 if it[1] is None else it[1]))
        low = view.index_at(first.ns) if low is None else low
        high = view.index_at(last.ns + 1) - 1 if high is None else high
        return (low, high) if low <= high else None


def heads(rows: Rows, first: int, last: int) -> Iterator[Line]:
    """The lines of the rows from one place to another: what is folded into a row is none of its own."""
    while first <= last:
        items = rows.forward(first, _STEP)
        for item in items:
            if item.place > last:
                return
            yield item.line
        if not items:
            return
        first = items[-1].place + 1


def marked_lines(rows: Rows | None, places: tuple[int, int] | None) -> Iterator[Line]:
    """The lines from one place to another, each row's and what is folded into it; none where either is None."""
    if rows is not None and places is not None:
        lines = heads(rows, *places)
        yield from with_folded(rows.view.buffer, lines) if rows.fold else lines


@dataclass(slots=True)
class _Open:
    """A line and what goes with it, as long as something may."""

    lines: list[Line]
    folder: Folder = field(default_factory=Folder)
    closed: bool = False


def with_folded(buffer: Buffer, lines: Iterable[Line]) -> Iterator[Line]:
    """Each line, which are in order of time, and behind it what goes with it, whatever is filtered.

    Looks only at what lies behind the lines asked for, once.
    """
    groups: deque[_Open] = deque()
    open_: dict[Labels, _Open] = {}
    at = 0
    for line in lines:
        place = _place(buffer, line)
        at = _pass(buffer, at, place, open_) if open_ else place
        yield from _closed(groups)
        if line.labels in open_:
            open_.pop(line.labels).closed = True
        group = open_[line.labels] = _Open([line])
        group.folder.joins(line)
        groups.append(group)
        at = place + 1
    _pass(buffer, at, len(buffer), open_)
    for group in groups:
        yield from group.lines


def _place(buffer: Buffer, line: Line) -> int:
    """Where a line is in all lines; where it would be, when it is gone."""
    start = place = buffer.index_at(line.ns)
    while place < len(buffer):
        other = buffer[place]
        if other.ns != line.ns:
            break
        if other.identity == line.identity:
            return place
        place += 1
    return start


def _pass(buffer: Buffer, start: int, end: int, open_: dict[Labels, _Open]) -> int:
    """Gives each line to the group that it goes with, until no group may take any more."""
    at = start
    while at < end and open_:
        line = buffer[at]
        at += 1
        for labels, group in list(open_.items()):
            if line.ns - group.lines[-1].ns > NEAR_NS or len(group.lines) > MOST:
                open_.pop(labels).closed = True
        mine = open_.get(line.labels)
        if mine is not None:
            if mine.folder.joins(line):
                mine.lines.append(line)
            else:
                open_.pop(line.labels).closed = True
    return at


def _closed(groups: deque[_Open]) -> Iterator[Line]:
    while groups and groups[0].closed:
        yield from groups.popleft().lines
