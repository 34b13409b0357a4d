"""Backups: what there is, how fresh, what is not; the last run step by step; a backup now, a restore test."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widget import Widget

from vpai_tui.commands import bindings_of
from vpai_tui.screens.listed import ListedScreen
from vpai_tui.screens.shell import Shell
from vpai_tui.widgets.backup_rows import (
    backup_columns,
    backup_head,
    backup_line,
    backup_pane,
    backup_rows,
    hosts_of,
    pick_backups,
)
from vpai_tui.widgets.canvas import LineView, SafeStatic
from vpai_tui.widgets.context import Context
from vpai_tui.widgets.filter_row import FilterRow
from vpai_tui.widgets.safe_table import SafeTable

if TYPE_CHECKING:
    from vpai_tui.upkeep.backups.findings import Row

EVERY_S = 300.0
TALL = 32  # rows: on lower screens the open pane takes the place of the line


class BackupsScreen(ListedScreen):
    """Enter opens the host's last run below the table; esc closes it."""

    KIND = "backups"
    CSS_PATH = "backups.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("backups")]

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._row: Row | None = None  # the one under the cursor
        self._asked = (-1, float("-inf"))

    def body(self) -> Iterable[Widget]:
        yield SafeStatic(id="reach")
        yield Vertical(SafeTable(backup_columns(()), id="main-table"), FilterRow(id="filter"), id="list")
        yield SafeStatic(id="line")
        pane = LineView(id="pane")
        pane.display = False
        yield pane

    def draw(self) -> None:
        look, now = self.context.backups, self.context.clock.boot_s()
        self._ask(now)
        picked = pick_backups(look, self.context.scope, self.needle) if look.found else []
        rows = backup_rows(picked)
        table = self.query_one("#main-table", SafeTable)
        table.set_columns(backup_columns(rows))
        words = " … asking the hosts" if look.found is None else " no stack of the fleet says what is backed up"
        table.empty_line = ((words if not self.needle else " nothing has these words", "dim"),)
        table.show(rows)
        at = int(table.cursor_key) if table.cursor_key is not None else -1
        self._row = picked[at] if 0 <= at < len(picked) else None
        self.query_one("#reach", SafeStatic).show(backup_head(look, now, self.size.width))
        self.query_one("#line", SafeStatic).show(backup_line(self._row, self.size.width))
        self._draw_pane()

    def _draw_pane(self) -> None:
        pane = self.query_one("#pane", LineView)
        self.query_one("#line").display = not (pane.display and self.size.height < TALL)
        if not pane.display:
            return
        from vpai_tui.upkeep.backups.findings import findings

        host = next((it for it in hosts_of(self.context.backups) if self._row and it.host == self._row.host), None)
        pane.show(backup_pane(host, findings(host) if host else (), max(40, pane.size.width)))

    def _ask(self, now_boot_s: float) -> None:
        """When it is opened, on ctrl+r, and every five minutes while it is seen."""
        refreshes, at = self._asked
        if self.context.backend is None or (refreshes == self.context.refreshes and now_boot_s - at < EVERY_S):
            return
        self._asked = (self.context.refreshes, now_boot_s)
        cast("Shell", self.app).backups_watch.again()

    @property
    def database(self) -> str:
        """The database under the cursor, where a restore can be tried; else empty."""
        return self._row.subject if self._row is not None and self._row.restorable else ""

    def target_stack(self) -> str | None:
        return self._row.stack if self._row is not None else None

    def crumbs(self) -> tuple[str, ...]:
        return ("backups", self.context.scope or "all hosts")

    def copy_text(self) -> str:
        pane = self.query_one("#pane", LineView)
        return pane.text if pane.display else self.query_one("#line", SafeStatic).text

    def view(self, command: str, argument: str) -> bool:
        if command == "describe" and not argument:
            self._open()
            return True
        return super().view(command, argument)

    def take_back(self) -> bool:
        pane = self.query_one("#pane", LineView)
        was, pane.display = pane.display, False
        return was

    @on(SafeTable.Chosen, "#main-table")
    def _open(self) -> None:
        pane = self.query_one("#pane", LineView)
        if self._row is not None:
            pane.display = True
            self.redraw()
            pane.focus()
