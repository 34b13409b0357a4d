"""What screens of rows share that have a pane of details: `enter` opens it and goes into it, `esc` closes it again."""

from __future__ import annotations

from textual import on

from vpai_tui.screens.base import CockpitScreen
from vpai_tui.widgets.canvas import LineView
from vpai_tui.widgets.filter_row import FilterRow
from vpai_tui.widgets.safe_table import SafeTable


class DetailedScreen(CockpitScreen):
    """The pane is `#detail`; the rows are `table`."""

    @property
    def table(self) -> SafeTable:
        return self.query_one("#main-table", SafeTable)

    @property
    def _detail(self) -> LineView:
        return self.query_one("#detail", LineView)

    def describable(self) -> bool:
        """Whether there is something that the pane could show."""
        return True

    def draw_detail(self, *, top: bool) -> None:
        """Show what is known of the row under the cursor, where the pane is open; `top`: from its first line."""

    def cursor_moved(self) -> None:
        """The cursor is on another row."""
        self.draw_detail(top=True)

    def take_back(self) -> bool:
        """What esc takes back before it closes the pane; says whether there was something."""
        return False

    def describe(self) -> None:
        """Open the pane; when it is open, go into it to scroll."""
        if self._detail.display:
            self._detail.focus()
        elif self.describable():
            self._detail.display = True
            self.add_class("-detail")
            self.draw_detail(top=True)

    def go_back(self) -> bool:
        if super().go_back():
            return True
        if any(row.clear() for row in self.query(FilterRow)) or self._detail.has_focus:
            self.focus_main()
        elif self.take_back():
            pass
        elif self._detail.display:
            self._detail.display = False
            self.remove_class("-detail")
            self.focus_main()
        else:
            return False
        self.redraw()
        return True

    @on(SafeTable.Moved)
    def _moved(self) -> None:
        self.cursor_moved()

    @on(SafeTable.Chosen)
    def _chosen(self) -> None:
        self.view("describe", "")
