"""What pushed screens of rows share that have a filter: `/` narrows, esc widens again, the cursor draws anew."""

from __future__ import annotations

from textual import on

from vpai_tui.screens.base import CockpitScreen
from vpai_tui.widgets.filter_row import FilterRow
from vpai_tui.widgets.safe_table import SafeTable


class ListedScreen(CockpitScreen):
    """The rows are `#main-table`, the filter is the screen's only `FilterRow`."""

    @property
    def table(self) -> SafeTable:
        return self.query_one("#main-table", SafeTable)

    @property
    def needle(self) -> str:
        """The words that the filter wants."""
        return self.query_one(FilterRow).text

    def take_back(self) -> bool:
        """What esc takes back before it clears the filter; says whether there was something."""
        return False

    def view(self, command: str, argument: str) -> bool:
        if command != "filter":
            return False
        self.query_one(FilterRow).open(argument or None)
        self.redraw()
        return True

    def go_back(self) -> bool:
        if super().go_back():
            return True
        if not (self.take_back() or self.query_one(FilterRow).clear()):
            return False
        self.focus_main()
        self.redraw()
        return True

    @on(SafeTable.Moved, "#main-table")
    @on(FilterRow.Changed)
    def _moved(self) -> None:
        self.redraw()
