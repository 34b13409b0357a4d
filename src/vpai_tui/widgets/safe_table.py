"""A table drawn in one widget: columns that drop by priority, rows known by key, a cursor that stays on its row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from vpai_tui.widgets.canvas import Painter
from vpai_tui.widgets.paint import Line, Span, fit, safe, width_of


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `width` counts cells (0: takes what is left); the highest `drop` leaves first, 0 never does."""

    id: str
    title: str
    width: int = 0
    drop: int = 0
    right: bool = False
    least: int = 0  # the fewest cells a flexible column is worth showing with


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its key and a span per column id. `dim` greys all of it (its host is gone)."""

    key: str
    cells: dict[str, Span] = field(default_factory=dict)
    dim: bool = False


class SafeTable(ScrollView, can_focus=True):
    """The table of every list in the cockpit. Text is drawn as it is: no markup, no control characters."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "Down", show=False),
        Binding("k,up", "move(-1)", "Up", show=False),
        Binding("g,home", "edge(0)", "Top", show=False),
        Binding("G,end", "edge(1)", "Bottom", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
    ]

    class Moved(Message):
        """The cursor is on another row."""

        def __init__(self, table: SafeTable, key: str | None) -> None:
            super().__init__()
            self.table = table
            self.key = key

        @property
        def control(self) -> SafeTable:
            return self.table

    class Chosen(Message):
        """A row was clicked while the cursor was on it."""

        def __init__(self, table: SafeTable, key: str) -> None:
            super().__init__()
            self.table = table
            self.key = key

        @property
        def control(self) -> SafeTable:
            return self.table

    class HeaderClicked(Message):
        """A column's title was clicked."""

        def __init__(self, table: SafeTable, column: str) -> None:
            super().__init__()
            self.table = table
            self.column = column

        @property
        def control(self) -> SafeTable:
            return self.table

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        header: bool = True,
        quiet: bool = False,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._columns = tuple(columns)
        self._header = header
        self._quiet = quiet  # shows no cursor while the focus is elsewhere
        self._rows: tuple[Row, ...] = ()
        self._cursor = 0
        self._shown: tuple[tuple[Column, int], ...] = ()
        self._shown_for = -1
        self._painter = Painter(self)
        self.marks: frozenset[str] = frozenset()
        self.sorted_by = ""
        self._empty_line: Line = ()

    # -- what it holds -------------------------------------------------------------------------------------------

    @property
    def rows(self) -> tuple[Row, ...]:
        return self._rows

    @property
    def cursor_key(self) -> str | None:
        """Key of the row under the cursor."""
        return self._rows[self._cursor].key if self._cursor < len(self._rows) else None

    def show(self, rows: Sequence[Row]) -> int:
        """Draw `rows`, keeping the cursor on its key; returns how many visible lines were redrawn."""
        fresh, before, key = tuple(rows), self._rows, self.cursor_key
        if fresh == before:
            return 0
        self._rows = fresh
        same = len(fresh) == len(before) and all(a.key == b.key for a, b in zip(fresh, before, strict=True))
        if not same:
            self._cursor = self._find(key, min(self._cursor, max(0, len(fresh) - 1)))
            self._resize()
            self.refresh()
            if self.cursor_key != key:
                self.post_message(self.Moved(self, self.cursor_key))
            return len(fresh)
        changed = [at for at, (a, b) in enumerate(zip(fresh, before, strict=True)) if a != b]
        for at in changed:
            self._refresh_row(at)
        return len(changed)

    def select(self, key: str) -> bool:
        """Put the cursor on the row with `key`; says whether it is there."""
        at = self._find(key, -1)
        if at < 0:
            return False
        self._move_to(at)
        return True

    def set_marks(self, marks: frozenset[str]) -> None:
        """Mark the rows with these keys."""
        if marks != self.marks:
            self.marks = marks
            self.refresh()

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Draw other columns; the same ones cost nothing."""
        fresh = tuple(columns)
        if fresh != self._columns:
            self._columns = fresh
            self._shown_for = -1
            self.refresh()

    @property
    def empty_line(self) -> Line:
        """What stands in place of the first row when there is none."""
        return self._empty_line

    @empty_line.setter
    def empty_line(self, value: Line) -> None:
        if value != self._empty_line:
            self._empty_line = value
            if not self._rows:
                self.refresh()

    def visible_columns(self) -> list[str]:
        """Ids of the columns that fit."""
        return [column.id for column, _ in self._layout_columns(self.scrollable_content_region.width)]

    # -- movement ------------------------------------------------------------------------------------------------

    def action_move(self, step: int) -> None:
        self._move_to(self._cursor + step)

    def action_edge(self, end: int) -> None:
        self._move_to(len(self._rows) - 1 if end else 0)

    def action_page(self, step: int) -> None:
        self._move_to(self._cursor + step * max(1, self.size.height - 2))

    def _move_to(self, at: int) -> None:
        if not self._rows:
            return
        at = max(0, min(len(self._rows) - 1, at))
        if at == self._cursor:
            return
        old, self._cursor = self._cursor, at
        self._refresh_row(old)
        self._refresh_row(at)
        self._scroll_to_cursor()
        self.post_message(self.Moved(self, self.cursor_key))

    def _scroll_to_cursor(self) -> None:
        head = int(self._header)
        top, room = self.scroll_offset.y, max(1, self.scrollable_content_region.height - head)
        if self._cursor < top:
            self.scroll_to(y=self._cursor, animate=False)
        elif self._cursor >= top + room:
            self.scroll_to(y=self._cursor - room + 1, animate=False)

    def _find(self, key: str | None, otherwise: int) -> int:
        return next((at for at, row in enumerate(self._rows) if row.key == key), otherwise)

    # -- drawing -------------------------------------------------------------------------------------------------

    def _resize(self) -> None:
        self.virtual_size = Size(0, len(self._rows) + int(self._header))

    def on_mount(self) -> None:
        self._resize()

    def on_resize(self) -> None:
        self._scroll_to_cursor()

    def on_focus(self) -> None:
        self._refresh_row(self._cursor)

    def on_blur(self) -> None:
        self._refresh_row(self._cursor)

    def notify_style_update(self) -> None:
        self._painter.clear()
        super().notify_style_update()

    def _refresh_row(self, at: int) -> None:
        y = at - self.scroll_offset.y + int(self._header)
        if 0 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def _layout_columns(self, width: int) -> tuple[tuple[Column, int], ...]:
        if width != self._shown_for:
            self._shown_for, self._shown = width, _layout(self._columns, width)
        return self._shown

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        if self._header and y == 0:
            return self._painter.strip(self._header_line(width), width)
        at = y - int(self._header) + self.scroll_offset.y
        if at >= len(self._rows):
            empty = self.empty_line if not self._rows and at == 0 else ()
            return self._painter.strip(empty, width)
        return self._painter.strip(self._row_line(self._rows[at], width), width, ground=self._ground(at))

    def _ground(self, at: int) -> str:
        if at == self._cursor:
            return "cursor" if self.has_focus else "" if self._quiet else "cursor-blur"
        return ""

    def _header_line(self, width: int) -> Line:
        spans: list[Span] = [(" ", "head")]
        for column, cells in self._layout_columns(width):
            title = column.title + ("▾" if column.id == self.sorted_by else "")
            spans.append((fit(title, cells, right=column.right) + " ", "head"))
        return tuple(spans)

    def _row_line(self, row: Row, width: int) -> Line:
        marked = row.key in self.marks
        spans: list[Span] = [("▌" if marked else " ", "accent")]
        for column, cells in self._layout_columns(width):
            text, role = row.cells.get(column.id, ("", ""))
            role = "stale" if row.dim and role not in ("error", "warn") else role
            spans.append((fit(safe(text), cells, right=column.right), role))
            spans.append((" ", ""))
        return tuple(spans)

    # -- mouse ---------------------------------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        if self._header and event.y == 0:
            column = self._column_at(event.x)
            if column:
                self.post_message(self.HeaderClicked(self, column))
            return
        at = event.y - int(self._header) + self.scroll_offset.y
        if not 0 <= at < len(self._rows):
            return
        if at == self._cursor:
            self.post_message(self.Chosen(self, self._rows[at].key))
        self._move_to(at)

    def _column_at(self, x: int) -> str | None:
        left = 1
        for column, cells in self._layout_columns(self.scrollable_content_region.width):
            if left <= x < left + cells:
                return column.id
            left += cells + 1
        return None


def _layout(columns: Sequence[Column], width: int) -> tuple[tuple[Column, int], ...]:
    """The columns that fit in `width` cells, with their widths; the highest `drop` leaves first."""
    kept = list(columns)
    while True:
        need = 1 + sum((column.width or column.least or 4) + 1 for column in kept)
        droppable = [column for column in kept if column.drop]
        if need <= width or not droppable:
            break
        kept.remove(max(droppable, key=lambda column: column.drop))
    room = width - 1 - sum(column.width + 1 for column in kept)
    flexible = [column for column in kept if not column.width]
    share = max(0, room) // len(flexible) if flexible else 0
    extra = max(0, room) - share * len(flexible)
    sized: list[tuple[Column, int]] = []
    for column in kept:
        cells = column.width or share + (extra if column is flexible[-1] else 0)
        sized.append((column, cells))
    return tuple(sized)


def widest(rows: Sequence[Row], column: str) -> int:
    """Cells the widest cell of a column takes."""
    texts = {row.cells[column][0] for row in rows if column in row.cells}  # of thousands of rows most say the same
    return max((width_of(((text, ""),)) for text in texts), default=0)
