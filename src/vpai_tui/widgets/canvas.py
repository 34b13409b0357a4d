"""Line-drawing widgets: one widget draws many lines, so a refresh costs what is visible and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from vpai_tui.widgets.paint import ROLES, Line, clip, safe, width_of

_CACHE_LIMIT = 2000


class Painter:
    """Turns lines into strips with the roles' colours of one widget, remembering what it drew."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._strips: dict[tuple[Line, int, int, str], Strip] = {}

    def clear(self) -> None:
        """Forget drawn strips: the theme or the styles changed."""
        self._strips.clear()

    def strip(self, row: Line, width: int, *, offset: int = 0, ground: str = "") -> Strip:
        """`row` from cell `offset` on, in exactly `width` cells, on the ground of component `ground`."""
        key = (row, width, offset, ground)
        found = self._strips.get(key)
        if found is None:
            if len(self._strips) >= _CACHE_LIMIT:
                self._strips.clear()
            found = self._strips[key] = self._draw(row, width, offset, ground)
        return found

    def _draw(self, row: Line, width: int, offset: int, ground: str) -> Strip:
        base = self._base(ground)
        if not offset:
            row = clip(tuple((safe(text), role) for text, role in row), width)
        segments = [Segment(safe(text), base + self._role(role)) for text, role in row if text]
        strip = Strip(segments)
        if offset:
            strip = strip.crop(offset, offset + width)
        return strip.adjust_cell_length(width, base)

    def _base(self, ground: str) -> Style:
        return self._widget.rich_style + self._role(ground)

    def _role(self, role: str) -> Style:
        """A role's colours are the screen's: resolved once there, not once for every widget that draws."""
        if not role:
            return Style.null()
        return self._widget.screen.get_component_rich_style(f"paint--{role}", partial=True, default=Style.null())


PAINT_CLASSES: set[str] = {f"paint--{role}" for role in ROLES} | {"paint--cursor", "paint--cursor-blur", "paint--mark"}


class SafeStatic(Widget):
    """Some lines of text that do not scroll; takes lines of spans only, never markup."""

    DEFAULT_CSS = "SafeStatic { height: auto; }"

    def __init__(self, rows: Sequence[Line] = (), *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._rows: tuple[Line, ...] = tuple(rows)
        self._painter = Painter(self)

    @property
    def rows(self) -> tuple[Line, ...]:
        return self._rows

    @property
    def text(self) -> str:
        """What is shown, without colours."""
        return "\n".join("".join(text for text, _ in row) for row in self._rows)

    def show(self, rows: Sequence[Line]) -> bool:
        """Draw `rows`; says whether anything differed."""
        fresh = tuple(rows)
        if fresh == self._rows:
            return False
        before, self._rows = self._rows, fresh
        if len(fresh) != len(before):
            self.refresh(layout=True)
            return True
        for y, (old, new) in enumerate(zip(before, fresh, strict=True)):
            if old != new:
                self.refresh(Region(0, y, self.size.width, 1))
        return True

    def get_content_width(self, container: Size, viewport: Size) -> int:
        return max((width_of(row) for row in self._rows), default=0)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._rows)

    def notify_style_update(self) -> None:
        self._painter.clear()
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        row = self._rows[y] if y < len(self._rows) else ()
        return self._painter.strip(row, self.size.width)


class LineView(ScrollView, can_focus=True):
    """Lines that scroll both ways, without a cursor: describe, YAML, diffs, journals, log lines."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "scroll_down", "Down", show=False),
        Binding("k,up", "scroll_up", "Up", show=False),
        Binding("g,home", "scroll_home", "Top", show=False),
        Binding("G,end", "scroll_end", "Bottom", show=False),
    ]

    def __init__(self, *, id: str | None = None, classes: str | None = None, follow: bool = False) -> None:
        super().__init__(id=id, classes=classes)
        self._rows: tuple[Line, ...] = ()
        self._painter = Painter(self)
        self._follow = follow

    @property
    def text(self) -> str:
        """What is held, without colours."""
        return "\n".join("".join(text for text, _ in row) for row in self._rows)

    def show(self, rows: Sequence[Line], *, top: bool = False) -> bool:
        """Draw `rows`, at the top or where the operator was; says whether anything differed."""
        fresh = tuple(rows)
        if top:
            self.scroll_to(0, 0, animate=False)
        if fresh == self._rows:
            return False
        at_end = self.scroll_offset.y >= self.max_scroll_y
        self._rows = fresh
        self.virtual_size = Size(max((width_of(row) for row in fresh), default=0), len(fresh))
        if self._follow and at_end:
            self.call_after_refresh(self.scroll_end, animate=False)
        self.refresh()
        return True

    def notify_style_update(self) -> None:
        self._painter.clear()
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        at, offset = y + self.scroll_offset.y, self.scroll_offset.x
        row = self._rows[at] if at < len(self._rows) else ()
        return self._painter.strip(row, self.scrollable_content_region.width, offset=offset)
