"""Who did what, when, where, with what result: of every host that answers, whichever laptop it was."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.containers import Vertical
from textual.widget import Widget

from vpai_tui.commands import bindings_of
from vpai_tui.errors import OperatorError
from vpai_tui.screens.listed import ListedScreen
from vpai_tui.screens.messages import Failed
from vpai_tui.widgets.canvas import SafeStatic
from vpai_tui.widgets.context import Context
from vpai_tui.widgets.filter_row import FilterRow
from vpai_tui.widgets.history_rows import failed, history_columns, history_rows, line_detail, pick_lines, reach_lines
from vpai_tui.widgets.safe_table import SafeTable

if TYPE_CHECKING:
    from vpai_tui.deploy.chronicle import Chronicle, Told
    from vpai_tui.logs.happenings import Happening


class HistoryScreen(ListedScreen):
    """The newest line first; the whole of the one under the cursor below."""

    KIND = "history"
    CSS_PATH = "history.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("history")]

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.found: Chronicle | None = None
        self._line: Told | None = None  # the one under the cursor
        self._asked = -1

    def body(self) -> Iterable[Widget]:
        yield SafeStatic(id="reach")
        yield Vertical(SafeTable(history_columns(()), id="main-table"), FilterRow(id="filter"), id="list")
        yield SafeStatic(id="line")

    def draw(self) -> None:
        self._ask()
        found, needle = self.found, self.query_one(FilterRow).text
        lines = pick_lines(found.lines, self.context.scope, needle) if found else []
        rows = history_rows(lines)
        table = self.query_one("#main-table", SafeTable)
        table.set_columns(history_columns(rows))
        table.empty_line = ((" … asking the hosts" if found is None else " nothing is known here", "dim"),)
        table.show(rows)
        self.query_one("#reach", SafeStatic).show(reach_lines(found, self.size.width))
        chosen = table.cursor_key
        line = self._line = lines[int(chosen)] if chosen is not None and int(chosen) < len(lines) else None
        self.query_one("#line", SafeStatic).show(line_detail(line, self.size.width) if line else [])

    def target_services(self) -> list[str]:
        subject = self._line.subject if self._line is not None else ""
        return [subject] if self.context.service(subject) is not None else []

    def target_stack(self) -> str | None:
        subject = self._line.subject if self._line is not None else ""
        return next((stack.id for stack in self.context.snapshot.stacks if stack.id == subject), None)

    def target_moment(self) -> Happening | None:
        """When the deploy under the cursor failed, in the log of the service that failed, else of its stack."""
        from vpai_tui.logs.happenings import failure

        line = self._line
        if line is None or not failed(line) or self.target_stack() is None:
            return None
        service = f"{line.subject}/{line.failed}"
        subject = service if self.context.service(service) is not None else line.subject
        return failure(line.failed_at or line.at, subject, f"{line.what} by {line.by} failed: {line.detail}")

    def _ask(self) -> None:
        """Once, and again on ctrl+r."""
        if self._asked == self.context.refreshes or self.context.backend is None:
            return
        self._asked = self.context.refreshes
        self.run_worker(self._fetch(), group="history", exclusive=True, exit_on_error=False, description="the history")

    async def _fetch(self) -> None:
        backend = self.context.backend
        if backend is None:
            return
        try:
            self.found = await backend.history()
        except OperatorError as error:
            self.post_message(Failed(error, "Asking for the history"))
        self.redraw()

    def crumbs(self) -> tuple[str, ...]:
        return ("history", self.context.scope or "all hosts")

    def copy_text(self) -> str:
        return self.query_one("#line", SafeStatic).text
