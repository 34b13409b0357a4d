"""The checks: what fails in silence and how each of it stands, the worst first; the whole of one below."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widget import Widget

from vpai_tui.commands import bindings_of
from vpai_tui.screens.base import CockpitScreen
from vpai_tui.screens.messages import TargetWanted
from vpai_tui.widgets.canvas import SafeStatic
from vpai_tui.widgets.check_rows import check_columns, check_detail, check_head, check_rows, pick_findings
from vpai_tui.widgets.filter_row import FilterRow
from vpai_tui.widgets.safe_table import SafeTable


class ChecksScreen(CockpitScreen):
    """Enter goes to where the finding is mended."""

    KIND = "checks"
    CSS_PATH = "checks.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("checks")]

    def body(self) -> Iterable[Widget]:
        yield SafeStatic(id="reach")
        yield Vertical(SafeTable(check_columns(()), id="main-table"), FilterRow(id="filter"), id="list")
        yield SafeStatic(id="line")

    def draw(self) -> None:
        look, needle = self.context.upkeep, self.query_one(FilterRow).text
        findings = look.morning.report.findings if look.morning else ()
        picked = pick_findings(findings, self.context.scope, needle)
        rows = check_rows(picked)
        table = self.query_one("#main-table", SafeTable)
        table.set_columns(check_columns(rows, self.size.width))
        words = (
            " no check holds these words"
            if look.morning
            else " … asking every host"
            if look.asking
            else " not asked yet"
        )
        table.empty_line = ((words, "dim"),)
        table.show(rows)
        self.query_one("#reach", SafeStatic).show([check_head(look, self.context.clock.boot_s())])
        at = int(table.cursor_key) if table.cursor_key is not None else -1
        shown = picked[at] if 0 <= at < len(picked) else None
        self.query_one("#line", SafeStatic).show(check_detail(shown, self.size.width, self.size.height))

    def _target(self) -> str:
        key = self.query_one("#main-table", SafeTable).cursor_key
        findings = self.context.upkeep.morning.report.findings if self.context.upkeep.morning else ()
        picked = pick_findings(findings, self.context.scope, self.query_one(FilterRow).text)
        if key is None or int(key) >= len(picked):
            return ""
        return picked[int(key)].target or picked[int(key)].host

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
        if command != "filter":
            return False
        self.query_one(FilterRow).open(argument or None)
        self.redraw()
        return True

    def go_back(self) -> bool:
        if super().go_back():
            return True
        if self.query_one(FilterRow).clear():
            self.focus_main()
            self.redraw()
            return True
        return False

    @on(SafeTable.Chosen, "#main-table")
    def _jump(self) -> None:
        if target := self._target():
            self.app.pop_screen()
            self.app.post_message(TargetWanted(target))

    @on(SafeTable.Moved, "#main-table")
    @on(FilterRow.Changed)
    def _moved(self) -> None:
        self.redraw()
