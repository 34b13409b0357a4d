"""A plan, before anything happens: the services it touches, why, and the exact difference."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import BindingType
from textual.containers import Container
from textual.widget import Widget

from vpai_tui.commands import bindings_of
from vpai_tui.fleet.operation import Plan
from vpai_tui.screens.base import CockpitScreen
from vpai_tui.screens.messages import ApplyWanted
from vpai_tui.widgets.canvas import LineView, SafeStatic
from vpai_tui.widgets.context import Context
from vpai_tui.widgets.plan_view import PLAN_COLUMNS, change_lines, plan_head, plan_rows
from vpai_tui.widgets.safe_table import SafeTable


class PlanScreen(CockpitScreen):
    """The tree of a plan above, the difference behind the row under the cursor below."""

    KIND = "plan"
    CSS_PATH = "plan.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("plan")]

    def __init__(self, context: Context, plan: Plan) -> None:
        super().__init__(context)
        self.plan = plan

    def body(self) -> Iterable[Widget]:
        yield SafeStatic(id="plan-title")
        yield Container(SafeTable(PLAN_COLUMNS, id="main-table"), LineView(id="difference"), id="panes")

    def on_mount(self) -> None:
        rows = plan_rows(self.plan)
        table = self.query_one("#main-table", SafeTable)
        table.show(rows)
        table.styles.max_height = len(rows) + 1
        first = next((row.key for row in rows if row.cells.get("effect", ("", "dim"))[1] != "dim"), None)
        if first is not None:
            table.select(first)

    def draw(self) -> None:
        self.query_one("#plan-title", SafeStatic).show(plan_head(self.plan, self.size.width))
        self._show_difference(top=False)

    def _show_difference(self, *, top: bool) -> None:
        key = self.query_one("#main-table", SafeTable).cursor_key
        self.query_one("#difference", LineView).show(change_lines(self.plan, key), top=top)

    def crumbs(self) -> tuple[str, ...]:
        return ("deploy", self.plan.stack, f"plan of a {self.plan.kind}")

    def hint(self) -> str:
        return "nothing to apply" if self.plan.empty else "nothing has happened yet"

    def target_stack(self) -> str | None:
        return self.plan.stack

    def copy_text(self) -> str:
        return self.query_one("#difference", LineView).text

    def view(self, command: str, argument: str) -> bool:
        if command == "apply":
            self.post_message(ApplyWanted(self.plan))
            return True
        return False

    @on(SafeTable.Moved, "#main-table")
    def _moved(self) -> None:
        self._show_difference(top=True)
