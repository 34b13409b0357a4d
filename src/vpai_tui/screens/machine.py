"""A host beside Docker: guards, bans, open ports, units; a ban lifted with `X`, a unit restarted with `R`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widget import Widget

from vpai_tui.commands import bindings_of
from vpai_tui.errors import OperatorError
from vpai_tui.screens.base import CockpitScreen
from vpai_tui.screens.messages import Failed
from vpai_tui.widgets.canvas import SafeStatic
from vpai_tui.widgets.context import Context
from vpai_tui.widgets.machine_rows import COLUMNS, head_lines, machine_rows, row_lines
from vpai_tui.widgets.safe_table import SafeTable

if TYPE_CHECKING:
    from vpai_tui.upkeep.machine import Machine

_HINTS = {"ban": "X lets it in again", "unit": "R restarts it"}


class MachineScreen(CockpitScreen):
    """Asked once, and again on ctrl+r or after a change."""

    KIND = "guard"
    CSS_PATH = "machine.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("guard")]

    def __init__(self, context: Context, host: str) -> None:
        super().__init__(context)
        self.host = host
        self.machine: Machine | None = None
        self._asked = -1
        self._why = ""

    def body(self) -> Iterable[Widget]:
        yield SafeStatic(id="head")
        yield Vertical(SafeTable(COLUMNS, id="main-table"), id="list")
        yield SafeStatic(id="line")

    def draw(self) -> None:
        self._ask()
        rows, table = machine_rows(self.machine) if self.machine is not None else [], self._table
        table.empty_line = ((f" … asking {self.host}" if not self._why else " nothing is known", "dim"),)
        table.show(rows)
        stale = not self.context.snapshot.host(self.host).live
        why = f"{self.host} is gone; this is what it told last" if stale else self._why
        head = head_lines(self.machine, why)
        self.query_one("#head", SafeStatic).show([*head, *(head_lines(None, why) if stale and self.machine else [])])
        shown = next((row for row in rows if row.key == table.cursor_key), None)
        hint = "" if self.context.read_only else _HINTS.get(self.chosen[0], "")
        self.query_one("#line", SafeStatic).show(row_lines(shown, hint, self.size.width))

    @property
    def _table(self) -> SafeTable:
        return self.query_one("#main-table", SafeTable)

    @property
    def chosen(self) -> tuple[str, str]:
        """Kind and name of the row under the cursor."""
        kind, _, rest = (self._table.cursor_key or "").partition(":")
        return kind, rest.rpartition(":")[0] if kind == "ban" else rest

    def _ask(self) -> None:
        if self._asked == self.context.refreshes or self.context.backend is None:
            return
        self._asked = self.context.refreshes
        self.run_worker(self._fetch(), group="machine", exclusive=True, exit_on_error=False, description=self.host)

    async def _fetch(self) -> None:
        backend = self.context.backend
        if backend is None:
            return
        try:
            self.machine, self._why = await backend.machines.look(self.host), ""
        except OperatorError as error:
            self._why = error.message
            self.post_message(Failed(error, f"Looking at {self.host}"))
        self.redraw()

    def again(self) -> None:
        """Ask once more."""
        self._asked = -1
        self.redraw()

    def crumbs(self) -> tuple[str, ...]:
        return ("guard", self.host)

    def copy_text(self) -> str:
        return self.chosen[1]

    @on(SafeTable.Moved, "#main-table")
    def _moved(self) -> None:
        self.redraw()
