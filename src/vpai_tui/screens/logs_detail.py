"""The pane with all of a line on the logs screen: opened, gone into, left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpai_tui.redact import redact
from vpai_tui.widgets.log_detail import belonging, detail_rows
from vpai_tui.widgets.log_fields import FieldView

if TYPE_CHECKING:
    from vpai_tui.screens.logs import LogsScreen

_WIDE = 56  # cells beside the log


class LogDetail:
    """Shows the line under the log's cursor."""

    def __init__(self, screen: LogsScreen) -> None:
        self._screen = screen

    @property
    def pane(self) -> FieldView:
        return self._screen.query_one("#detail", FieldView)

    @property
    def read(self) -> bool:
        """Whether the operator is in it."""
        return self.pane.has_focus

    @property
    def text(self) -> str:
        """All of it, masked."""
        return redact(self.pane.text)

    def open(self) -> None:
        """Open the pane; when it is open, go into it."""
        if self.pane.display:
            self.pane.focus()
        elif self._screen.log_view.cursor is not None:
            self._screen.log_view.follow(False)  # what is being read stays
            self.pane.display = True
            self.draw(top=True)

    def enter(self) -> None:
        """Open it where it is not, and go into it."""
        if not self.pane.display:
            self.open()
        self.open()

    def back(self) -> bool:
        """Leave it, then close it; says whether there was anything to leave."""
        if not self.pane.display:
            return False
        self.pane.display = self.read
        self._screen.focus_main()
        return True

    def close(self) -> None:
        """Leave it and close it at once."""
        if self.pane.display:
            self.pane.display = False
            self._screen.focus_main()

    def draw(self, *, top: bool) -> None:
        screen, line, look = self._screen, self._screen.log_view.cursor, self._screen.context.logs
        if not self.pane.display or line is None or look.source_of is None or screen.buffer is None:
            return
        width = _WIDE if screen.has_class("-wide") else screen.size.width
        now_ns = int(screen.context.clock.now().timestamp()) * 1_000_000_000
        rows = detail_rows(line, look.source(line.labels), belonging(screen.buffer, line), now_ns, width - 1)
        self.pane.show_rows(rows, top=top)
