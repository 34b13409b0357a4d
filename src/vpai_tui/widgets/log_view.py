"""The log itself: draws the lines that are seen and no others, follows the end until the operator scrolls.

What is on top is a line, not a number: lines that come late, above or below, move nothing that is being read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from vpai_tui.logs.model import Labels, Line, Source
from vpai_tui.logs.pattern import Pattern
from vpai_tui.logs.view import View
from vpai_tui.widgets.canvas import Painter
from vpai_tui.widgets.log_layout import Aside, Layout, Place, Row, Top, top_of
from vpai_tui.widgets.log_marks import SIGN, Marks, marked_lines
from vpai_tui.widgets.log_rows import Rows
from vpai_tui.widgets.log_style import Style
from vpai_tui.widgets.paint import Line as Spans

_STEP = 8  # cells of one step sideways
_FARTHEST = 8000


class LogView(Widget, can_focus=True):
    """Lines of a `View`, a cursor among them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "Down", show=False),
        Binding("k,up", "move(-1)", "Up", show=False),
        Binding("g,home", "top", "First", show=False),
        Binding("G,end", "bottom", "Last", show=False),
        Binding("pagedown,ctrl+d", "page(1)", "Page down", show=False),
        Binding("pageup,ctrl+u", "page(-1)", "Page up", show=False),
        Binding("right", "sideways(1)", "Right", show=False),
        Binding("left", "sideways(-1)", "Left", show=False),
    ]

    class Moved(Message):
        """The cursor is on another line, or following began or ended."""

    class AtTop(Message):
        """The operator wants to go above the oldest line there is."""

    class AtBottom(Message):
        """The operator wants to go below the newest line there is."""

    class Chosen(Message):
        """A line was clicked while the cursor was on it."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.following = True
        self.offset_cells = 0
        self.cursor: Line | None = None
        self.marks: Marks | None = None
        self._view: View | None = None
        self._rows: Rows | None = None
        self._lay = Layout()
        self._empty: Spans = ()
        self._top: Top | None = None
        self._left_ns = 0  # the newest line there was when following ended
        self._drawn: list[Row] = []
        self._painter = Painter(self)

    # -- what is shown -------------------------------------------------------------------------------------------

    def show(
        self,
        view: View | None,
        style: Style,
        source: Callable[[Labels], Source] | None = None,
        asides: Sequence[Aside] = (),
        empty: Spans = (),
        *,
        fold: bool = True,
    ) -> None:
        """Draw lines of `view`, which the caller refreshes; `asides` are in order of time."""
        if view is None:
            self.marks = None
        if view is not self._view or self._rows is None or self._rows.fold is not fold:
            if self._view is not None and view is not None and view.buffer is not self._view.buffer:
                self._top, self.cursor, self.following, self.marks = None, None, True, None
            self._view = view
            self._rows = Rows(view, fold=fold) if view is not None else None
        rewrapped = style.wrap is not self._lay.style.wrap and not self.following
        self._lay.restyle(style)
        self._lay.source, self._lay.asides, self._empty = source, asides, empty
        self._settle()
        if rewrapped and self.cursor is not None:
            self._reveal(self.cursor)
        self.lay_out()

    def _settle(self) -> None:
        """A cursor whose line is not there (hidden, given up, of another query) goes to the nearest that is."""
        rows = self._rows
        if rows is None or self.following or not len(rows.view):
            return
        if self.cursor is None or rows.view.place_of(self.cursor) is None:
            place = len(rows.view) - 1 if self.cursor is None else self._place(self.cursor)
            self.cursor = rows.nearest(place).line

    @property
    def new_count(self) -> int:
        """Lines that came since following ended."""
        if self.following or self._view is None:
            return 0
        return len(self._view) - self._view.index_at(self._left_ns + 1)

    @property
    def text(self) -> str:
        """What is seen, without colours."""
        return "\n".join("".join(text for text, _ in row.spans) for row in self._drawn)

    def lay_out(self) -> None:
        """Work out what each row shows; draws when something differs."""
        fresh = self._layout()
        if fresh != self._drawn:
            self._drawn = fresh
            self.refresh()

    # -- layout --------------------------------------------------------------------------------------------------

    def _layout(self) -> list[Row]:
        height, rows, view = self.size.height, self._rows, self._view
        self._lay.width, self._lay.offset = self.size.width, self.offset_cells
        if not height:
            return []
        if rows is None or view is None or not len(view):
            return [Row(aside.spans) for aside in self._lay.asides[-height:]] or [Row(self._empty)]
        if not self.following and self._top is not None:
            found = self._from_top(rows, self._top, height)
            if len(found) == height:
                return found
        return self._to_bottom(rows, height)

    def _to_bottom(self, rows: Rows, height: int) -> list[Row]:
        """The last rows; with following the cursor is on the last line."""
        view = rows.view
        items = rows.backward(len(view), height)
        blocks = self._lay.blocks(rows, items)
        tail = self._lay.after(items)
        drawn = [row for _, block in blocks for row in block] + tail
        if items and (self.following or self.cursor is None):
            self.cursor = items[-1].line
        self._top = top_of(blocks, max(len(drawn) - height, 0))
        return drawn[-height:]

    def _from_top(self, rows: Rows, top: Top, height: int) -> list[Row]:
        items = rows.forward(self._place(top.line), height + top.sub)
        blocks = self._lay.blocks(rows, items)
        drawn = [row for _, block in blocks for row in block]
        if len(drawn) < height + top.sub:
            drawn += self._lay.after(items)
        return drawn[top.sub : top.sub + height]

    def _place(self, line: Line) -> int:
        """Where a line is; where it was, when it is not seen any more."""
        view = self._view
        if view is None:
            return 0
        place = view.place_of(line)
        return min(view.index_at(line.ns), max(len(view) - 1, 0)) if place is None else place

    # -- moving --------------------------------------------------------------------------------------------------

    def follow(self, wanted: bool) -> None:
        """Stay at the end, or stay where it is now."""
        if wanted != self.following:
            self.following = wanted
            self._leave() if not wanted else None
            self.lay_out()
            self.post_message(self.Moved())

    def _leave(self) -> None:
        self.following = False
        newest = self._view.buffer.newest_ns if self._view is not None else None
        self._left_ns = newest or 0

    def select(self, line: Line) -> None:
        """Put the cursor on a line, and show it."""
        if self.following:
            self._leave()
        self.cursor = line
        if self.marks is not None:
            self.marks.head = line
            self.refresh()
        self._reveal(line)
        self.lay_out()
        self.post_message(self.Moved())

    def go_to(self, ns: int) -> None:
        """The first line that is not older than `ns`, on top."""
        rows = self._rows
        if rows is not None and len(rows.view):
            found = rows.forward(min(rows.view.index_at(ns), len(rows.view) - 1), 1) or rows.backward(len(rows.view), 1)
            self._leave()
            self._top = Top(found[0].line)
            self.select(found[0].line)

    def centre(self, line: Line) -> None:
        """The cursor on a line, with as much above as below."""
        rows = self._rows
        if rows is not None:
            above = rows.backward(self._place(line), max(self.size.height, 1) // 2)
            self._leave()
            self._top = Top(above[0].line if above else line)
            self.select(line)

    @property
    def place(self) -> Place:
        """For `restore`."""
        return Place(self.cursor, self._top, self.following, self._left_ns, self.marks)

    def restore(self, place: Place) -> None:
        """Back to a place in the log that is shown again; following, its end is one."""
        self.following, self.marks = place.following, place.marks
        if not place.following and place.cursor is not None:
            self.cursor, self._top, self._left_ns = place.cursor, place.top, place.left_ns
        self.lay_out()
        self.post_message(self.Moved())

    def action_move(self, step: int) -> None:
        rows = self._rows
        if rows is None or not len(rows.view) or self.cursor is None:
            return
        place = self._place(self.cursor)
        found = rows.forward(place + 1, step)[-1:] if step > 0 else rows.backward(place, -step)[:1]
        if found:
            self.select(found[0].line)
        else:
            self.post_message(self.AtTop() if step < 0 else self.AtBottom())

    def action_top(self) -> None:
        rows = self._rows
        if rows is not None and (found := rows.forward(0, 1)):
            self._top = Top(found[0].line)
            self.select(found[0].line)

    def action_bottom(self) -> None:
        """To the end, and stay there; while lines are marked, up to what is the end now."""
        rows = self._rows
        if self.marks is None or rows is None:
            self.follow(True)
        elif found := rows.backward(len(rows.view), 1):
            self.select(found[0].line)

    def action_page(self, step: int) -> None:
        self.action_move(step * max(self.size.height - 2, 1))

    def action_sideways(self, step: int) -> None:
        if not self._lay.style.wrap:
            self.offset_cells = max(0, min(self.offset_cells + step * _STEP, _FARTHEST))
            self.lay_out()
            self.post_message(self.Moved())

    def find(self, pattern: Pattern | None, step: int) -> bool:
        """The cursor on the next line that fits, without a pattern on the next error; says whether there is one."""
        rows, view = self._rows, self._view
        if rows is None or view is None or self.cursor is None:
            return False
        start: int | None = self._place(self.cursor) + step
        if pattern is not None:
            start = view.find(pattern, start or 0, forward=step > 0) if 0 <= (start or 0) < len(view) else None
        else:
            start = next(rows.errors(start or 0, step), None)
        if start is not None:
            self.select(view[start])
        return start is not None

    def _reveal(self, line: Line) -> None:
        """Scroll so that all rows of the line are seen, or as many as there is room for."""
        rows, height = self._rows, max(self.size.height, 1)
        if rows is None:
            return
        place = self._place(line)
        if self._top is None or place < self._place(self._top.line):
            self._top = Top(line)
            return
        items = rows.backward(place + 1, height)
        blocks = self._lay.blocks(rows, items)
        total = sum(len(block) for _, block in blocks)
        bottom = top_of(blocks, max(total - height, 0))
        if bottom is None:
            return
        first, now = self._place(bottom.line), self._place(self._top.line)
        if first > now or (first == now and bottom.sub > self._top.sub):
            self._top = bottom
        elif place == now:
            self._top = Top(line)

    def _scroll(self, step: int) -> None:
        """By rows, as the wheel does; the cursor stays among what is seen."""
        rows = self._rows
        if rows is None or self._top is None:
            return
        if self.following:
            self._leave()
        place, sub = self._place(self._top.line), self._top.sub + step
        if sub < 0:
            earlier = self._lay.blocks(rows, rows.backward(place, -sub))
            total = sum(len(block) for _, block in earlier)
            self._top = top_of(earlier, max(total + sub, 0)) or replace(self._top, sub=0)
        else:
            self._top = top_of(self._lay.blocks(rows, rows.forward(place, sub + 1)), sub) or self._top
        self.lay_out()
        seen = [row.line for row in self._drawn if row.line is not None]
        if seen and self.cursor not in seen:
            self.cursor = seen[0] if step > 0 else seen[-1]
            self.refresh()
        self.post_message(self.Moved())

    # -- marking -------------------------------------------------------------------------------------------------

    def mark(self, wanted: bool) -> bool:
        """Begin to mark at the cursor, or mark nothing any more; says whether that changed anything."""
        if wanted is (self.marks is not None) or (wanted and self.cursor is None):
            return False
        self.marks = Marks(self.cursor, self.cursor) if wanted and self.cursor is not None else None
        if wanted:
            self.follow(False)  # what is marked stays where it is
        self.refresh()
        self.post_message(self.Moved())
        return True

    @property
    def marked(self) -> tuple[int, int] | None:
        """The first and the last place that is marked."""
        return self.marks.places(self._view) if self.marks is not None and self._view is not None else None

    def marked_lines(self) -> Iterator[Line]:
        """What is marked, each row's line and what is folded into it."""
        return marked_lines(self._rows, self.marked)

    # -- mouse ---------------------------------------------------------------------------------------------------

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._scroll(-3)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        if not self.following:
            self._scroll(3)

    def on_click(self, event: events.Click) -> None:
        line = self._drawn[event.y].line if event.y < len(self._drawn) else None
        if line is None:
            return
        if self.cursor is not None and line.identity == self.cursor.identity:
            self.post_message(self.Chosen())
        self.select(line)

    # -- drawing -------------------------------------------------------------------------------------------------

    @on(events.Focus)
    @on(events.Blur)
    def _ground_changed(self) -> None:
        self.refresh()

    def on_resize(self) -> None:
        self._lay.width = self.size.width
        if not self.following and self.cursor is not None:
            self._reveal(self.cursor)
        self.lay_out()

    def notify_style_update(self) -> None:
        self._painter.clear()
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        row = self._drawn[y] if y < len(self._drawn) else Row(())
        at_cursor = row.line is not None and self.cursor is not None and row.line.identity == self.cursor.identity
        ground = ("cursor" if self.has_focus else "cursor-blur") if at_cursor else ""
        spans = row.spans
        places = self.marked
        if places is not None and row.line is not None and places[0] <= self._place(row.line) <= places[1]:
            ground = ground or "cursor-blur"
            spans = ((SIGN, "mark"), (spans[0][0][1:], spans[0][1]), *spans[1:]) if spans[0][0][:1] == " " else spans
        strip = self._painter.strip(spans, width - 1, ground=ground)
        return Strip.join([strip, self._painter.strip(self._bar(y), 1)])

    def _bar(self, y: int) -> Spans:
        """A cell of the scroll bar: where in all lines this page is."""
        view, height = self._view, self.size.height
        if view is None or len(view) <= height or self._top is None:
            return ((" ", ""),)
        size = max(height * height // len(view), 1)
        first = 1.0 if self.following else self._place(self._top.line) / max(len(view) - height, 1)
        start = round(min(first, 1.0) * (height - size))
        return (("▐", "track"),) if start <= y < start + size else ((" ", ""),)
