"""What is drawn for each line of a log: its rows, and between them gaps, starts of containers, new days."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vpai_tui.errors import UsageError
from vpai_tui.logs.model import Labels, Line, Source
from vpai_tui.logs.pattern import Found, over_text
from vpai_tui.widgets.log_marks import Marks
from vpai_tui.widgets.log_rows import Item, Rows
from vpai_tui.widgets.log_style import Style, Times, from_cell, message, prefix, when, width_of, wrapped
from vpai_tui.widgets.paint import Line as Spans

_KEPT = 3000  # lines whose spans are remembered


@dataclass(frozen=True, slots=True)
class Aside:
    """A row between lines that is no line: a gap, a container that started."""

    ns: int
    spans: Spans


@dataclass(frozen=True, slots=True)
class Row:
    """One row on the screen: spans, and the line it is of (None: an aside)."""

    spans: Spans
    line: Line | None = None


@dataclass(frozen=True, slots=True)
class Top:
    """What the first row is: row `sub` of what is drawn for `line`."""

    line: Line
    sub: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where the operator is in a log: kept while something else is shown."""

    cursor: Line | None
    top: Top | None
    following: bool
    left_ns: int
    marks: Marks | None = None


Blocks = Sequence[tuple[Item, list[Row]]]


@dataclass(slots=True)
class Layout:
    """Lays items out in rows of `width` cells, in one style; remembers the spans of lines."""

    style: Style = field(default_factory=Style)
    source: Callable[[Labels], Source] | None = None
    asides: Sequence[Aside] = ()  # in order of time
    width: int = 80
    offset: int = 0  # cells that are scrolled away on the left
    _known: dict[tuple[int, Labels, bytes, int, int, Style], tuple[Spans, Spans]] = field(default_factory=dict)

    def restyle(self, style: Style) -> None:
        """What is remembered of another style is no use any more."""
        if style != self.style:
            self.style = style
            self._known.clear()

    def blocks(self, rows: Rows, items: Sequence[Item]) -> list[tuple[Item, list[Row]]]:
        """The rows of each item, the asides before it among them."""
        found: list[tuple[Item, list[Row]]] = []
        before: Line | None = None
        if items and items[0].place:
            earlier = rows.backward(items[0].place, 1)
            before = earlier[-1].line if earlier else rows.view[items[0].place - 1]
        for item in items:
            found.append((item, [*self._between(before, item.line), *self._of_item(item)]))
            before = item.line
        return found

    def _between(self, before: Line | None, line: Line) -> list[Row]:
        asides, rows = self.asides, []
        if asides:
            low = 0 if before is None else bisect_right(asides, before.ns, key=lambda it: it.ns)
            high = bisect_right(asides, line.ns, key=lambda it: it.ns)
            rows = [Row(it.spans) for it in asides[low:high]]
        if before is not None and self.style.times in (Times.LOCAL, Times.UTC):
            day = when(line.ns, self.style.times).date()
            if when(before.ns, self.style.times).date() != day:
                rows.append(Row(((f"  ── {day:%a %d %b %Y} ──", "dim"),)))
        return rows

    def _of_item(self, item: Item) -> list[Row]:
        line, style = item.line, self.style
        key = (line.ns, line.labels, line.raw, item.more, line.mark, style)
        found = self._known.get(key)
        if found is None:
            if self.source is None:
                return []
            if len(self._known) >= _KEPT:
                self._known.clear()
            head = prefix(line, item.level, self.source(line.labels), style)
            found = self._known[key] = (head, message(line, item.level, item.more, style))
        head, body = found
        room = self.width - 1 - width_of(head)
        if not style.wrap:
            return [Row((*head, *from_cell(body, self.offset)), line)]
        first, *rest = wrapped(body, room)
        blank = (" " * width_of(head), "")
        return [Row((*head, *first), line), *(Row((blank, *piece), line) for piece in rest)]

    def after(self, items: Sequence[Item]) -> list[Row]:
        """The asides that come after the last of `items`."""
        return [Row(it.spans) for it in self.asides if items and it.ns > items[-1].line.ns]


def top_of(blocks: Blocks, skipped: int) -> Top | None:
    """The row that is first when `skipped` rows are above."""
    for item, block in blocks:
        if skipped < len(block):
            return Top(item.line, skipped)
        skipped -= len(block)
    return Top(blocks[-1][0].line) if blocks else None


def pattern_of(text: str) -> Found | None:
    """For what is highlighted: as the filter of lines reads it; None when there is none, or it is none."""
    try:
        return over_text(text) if text else None
    except UsageError:
        return None
