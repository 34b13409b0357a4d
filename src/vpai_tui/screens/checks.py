"""The checks: what fails in silence and how each of it stands, the worst first; the whole of one below."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widget import Widget

from vpai_tui.commands import bindings_of
from vpai_tui.fleet.checks import Finding
from vpai_tui.screens.listed import ListedScreen
from vpai_tui.screens.messages import TargetWanted
from vpai_tui.widgets.canvas import SafeStatic
from vpai_tui.widgets.check_rows import check_columns, check_detail, check_head, check_rows, pick_findings
from vpai_tui.widgets.context import Context
from vpai_tui.widgets.filter_row import FilterRow
from vpai_tui.widgets.safe_table import SafeTable


class ChecksScreen(ListedScreen):
    """Enter goes to where the finding is mended."""

    KIND = "checks"
    CSS_PATH = "checks.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("checks")]

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._finding: Finding | None = None  # the one under the cursor

    def body(self) -> Iterable[Widget]:
        yield SafeStatic(id="reach")
        yield Vertical(SafeTable(check_columns(()), id="main-table"), FilterRow(id="filter"), id="list")
        yield SafeStatic(id="line")

    def draw(self) -> None:
        look = self.context.upkeep
        findings = look.morning.report.findings if look.morning else ()
        picked = pick_findings(findings, self.context.scope, self.needle)
        rows = check_rows(picked)
        table = self.table
        table.set_columns(check_columns(rows, self.size.width))
        asked = " no check holds these words" if look.morning else ""
        table.empty_line = ((asked or (" … asking every host" if look.asking else " not asked yet"), "dim"),)
        table.show(rows)
        self.query_one("#reach", SafeStatic).show([check_head(look, self.context.clock.boot_s())])
        key = table.cursor_key
        self._finding = next((it for it, row in zip(picked, rows, strict=True) if row.key == key), None)
        self.query_one("#line", SafeStatic).show(check_detail(self._finding, self.size.width, self.size.height))

    def _target(self) -> str:
        return (self._finding.target or self._finding.host) if self._finding is not None else ""

    def target_services(self) -> list[str]:
        target = self._target()
        return [target] if self.context.service(target) is not None else []

    def target_stack(self) -> str | None:
        target = self._target()
        return next((stack.id for stack in self.context.snapshot.stacks if stack.id == target), None)

    def crumbs(self) -> tuple[str, ...]:
        return ("checks", self.context.scope or "all hosts")

    def copy_text(self) -> str:
        return self.query_one("#line", SafeStatic).text

    def view(self, command: str, argument: str) -> bool:
        if command == "describe" and not argument:
            self._jump()
            return True
        return super().view(command, argument)

    @on(SafeTable.Chosen, "#main-table")
    def _jump(self) -> None:
        if target := self._target():
            self.app.pop_screen()
            self.app.post_message(TargetWanted(target))
