"""The detail of a line as a pane whose fields can be walked: what stands under the cursor can be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.strip import Strip

from vpai_tui.logs.narrow import Field
from vpai_tui.widgets.canvas import LineView
from vpai_tui.widgets.paint import Line

Row = tuple[Line, Field | None]
"""A row, and the field that it is a part of."""
_SIGN = "▸"


class FieldView(LineView):
    """Rows with a cursor among them, which is seen while the pane has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "Down", show=False),
        Binding("k,up", "move(-1)", "Up", show=False),
        Binding("g,home", "edge(-1)", "Top", show=False),
        Binding("G,end", "edge(1)", "Bottom", show=False),
        Binding("pagedown,ctrl+d", "page(1)", "Page down", show=False),
        Binding("pageup,ctrl+u", "page(-1)", "Page up", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._fields: tuple[Field | None, ...] = ()
        self._at = 0

    def show_rows(self, rows: Sequence[Row], *, top: bool) -> None:
        """Draw them; the cursor stays on the field of its name, where there is one."""
        before = self.field
        self._fields = tuple(field for _, field in rows)
        if not _alike(self.field, before):
            same = (at for at, it in enumerate(self._fields) if before is not None and _alike(it, before))
            self._at = next(same, 0 if top else min(self._at, max(len(rows) - 1, 0)))
        if self.show([row for row, _ in rows], top=top and not self.has_focus) and self.has_focus:
            self._reveal()

    @property
    def field(self) -> Field | None:
        """What is under the cursor."""
        return self._fields[self._at] if self._at < len(self._fields) else None

    def _block(self, at: int) -> tuple[int, int]:
        """The first and the last row of what a row is a part of."""
        first = last = at
        field = self._fields[at]
        while field is not None and first and self._fields[first - 1] is field:
            first -= 1
        while field is not None and last + 1 < len(self._fields) and self._fields[last + 1] is field:
            last += 1
        return first, last

    def _lit(self) -> tuple[int, int]:
        """The first and the last row under the cursor: a whole field, or one row of what is higher than the pane."""
        first, last = self._block(self._at)
        return (self._at, self._at) if last - first >= self.size.height else (first, last)

    def action_move(self, step: int) -> None:
        """To the next field, or row where there is none; what is higher than the pane is gone through row by row."""
        if not self._fields:
            return
        first, last = self._lit()
        at = last + 1 if step > 0 else first - 1
        while 0 <= at < len(self._rows) and self._is_blank(at):
            at += step
        self._go(at)

    def _is_blank(self, at: int) -> bool:
        """Whether a row is none to stop at: empty, or a heading."""
        row = self._rows[at]
        return self._fields[at] is None and (not row or row[0][1] == "head")

    def action_edge(self, step: int) -> None:
        self._go(0 if step < 0 else len(self._fields) - 1)

    def action_page(self, step: int) -> None:
        self._go(self._at + step * max(self.size.height - 1, 1))

    def _go(self, at: int) -> None:
        if not self._fields:
            return
        if at < 0:
            self.scroll_to(0, 0, animate=False)
        self._at = min(max(at, 0), len(self._fields) - 1)
        self._reveal()
        self.refresh()

    def _reveal(self) -> None:
        """Scroll so that the field is seen, its first row at least."""
        if not self._fields:
            return
        first, last = self._lit()
        top, height = self.scroll_offset.y, max(self.size.height, 1)
        if first < top:
            self.scroll_to(y=first, animate=False)
        elif last >= top + height:
            self.scroll_to(y=last - height + 1, animate=False)

    def on_focus(self) -> None:
        """Begin at the first field that is seen."""
        top = self.scroll_offset.y
        if self.field is None:
            seen = range(top, min(top + max(self.size.height, 1), len(self._fields)))
            self._at = next(
                (at for at in seen if self._fields[at] is not None), min(top, max(len(self._fields) - 1, 0))
            )
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def render_line(self, y: int) -> Strip:
        at, offset = y + self.scroll_offset.y, self.scroll_offset.x
        if not self.has_focus or at >= len(self._rows) or not self._fields:
            return super().render_line(y)
        first, last = self._lit()
        if not first <= at <= last:
            return super().render_line(y)
        row = self._rows[at]
        if row and at == first and row[0][0][:1] == " ":
            row = ((_SIGN, "accent"), (row[0][0][1:], row[0][1]), *row[1:])
        return self._painter.strip(row, self.scrollable_content_region.width, offset=offset, ground="cursor")


def _alike(one: Field | None, other: Field | None) -> bool:
    """Whether they are the same field, of whatever lines."""
    return (one and (one.name, one.kind)) == (other and (other.name, other.kind))
