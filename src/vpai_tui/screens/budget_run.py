"""A change of the budget while it runs and after: the steps, the proof, the journal, the way back."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from vpai_tui.commands import bindings_of
from vpai_tui.screens.operation import OperationScreen
from vpai_tui.widgets.budget_run_view import run_headline, run_lines, run_outcome
from vpai_tui.widgets.canvas import LineView, SafeStatic
from vpai_tui.widgets.operation_view import journal_lines

BUDGET = "budget"  # the kind of such an operation; it is done to `sese/cap` or `sese/mode`


class BudgetRunScreen(OperationScreen):
    """Watches one change. Leaving it changes nothing: the app owns it."""

    KIND = "budget-run"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("budget-run")]

    def draw(self) -> None:
        operation, now = self.operation, self.context.clock.boot_s()
        self.query_one("#headline", SafeStatic).show([run_headline(operation, now, self.size.width)])
        self.query_one("#outcome", SafeStatic).show(run_outcome(operation, self.size.width))
        steps = self.query_one("#steps", LineView)
        steps.show(run_lines(operation, steps.size.width or self.size.width))
        self.query_one("#journal", LineView).show(journal_lines(operation.progress))

    def crumbs(self) -> tuple[str, ...]:
        return ("budget", self.operation.stack.rpartition("/")[2])

    def target_stack(self) -> str | None:
        return None
