"""An operation while it runs and after: steps, layers on their way, the gate, the host's journal, the way back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.containers import Container
from textual.widget import Widget

from vpai_tui.commands import Situation, bindings_of
from vpai_tui.screens.base import CockpitScreen
from vpai_tui.widgets.canvas import LineView, SafeStatic
from vpai_tui.widgets.context import Context
from vpai_tui.widgets.operation_view import headline, journal_lines, outcome_lines, step_lines
from vpai_tui.widgets.operations import Operation

if TYPE_CHECKING:
    from vpai_tui.logs.happenings import Happening


class OperationScreen(CockpitScreen):
    """Watches one operation. Leaving it changes nothing: the app owns it, and the host goes on."""

    KIND = "operation"
    CSS_PATH = "operation.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("operation")]
    AUTO_FOCUS = "#steps"

    def __init__(self, context: Context, operation: Operation) -> None:
        super().__init__(context)
        self.operation = operation

    def body(self) -> Iterable[Widget]:
        yield SafeStatic(id="headline")
        yield SafeStatic(id="outcome")
        yield Container(LineView(id="steps"), LineView(id="journal", follow=True), id="panes")

    def draw(self) -> None:
        operation, now = self.operation, self.context.clock.boot_s()
        self.query_one("#headline", SafeStatic).show([headline(operation, now, self.size.width)])
        self.query_one("#outcome", SafeStatic).show(outcome_lines(operation))
        steps = self.query_one("#steps", LineView)
        steps.show(step_lines(operation.progress, max(40, steps.size.width)))
        self.query_one("#journal", LineView).show(journal_lines(operation.progress))

    def crumbs(self) -> tuple[str, ...]:
        return ("deploy", self.operation.stack, self.operation.kind)

    def hint(self) -> str:
        return "esc leaves, it goes on" if self.operation.running else ""

    def situation(self) -> Situation:
        return replace(super().situation(), finished=not self.operation.running)

    def watches(self, operation: Operation) -> bool:
        return operation is self.operation

    def target_stack(self) -> str | None:
        return self.operation.stack

    def target_moment(self) -> Happening | None:
        """When the service that failed did, or the whole of it."""
        from vpai_tui.logs.happenings import failure

        operation, progress = self.operation, self.operation.progress
        if progress.failed is None or self.KIND != "operation":
            return None
        at, service = progress.failed
        step = progress.services.get(service)
        subject = f"{operation.stack}/{service}"
        if self.context.service(subject) is None:  # nothing of that name is there any more, or none failed alone
            subject = operation.stack
        return failure(at, subject, f"{operation.kind} failed: {step.detail if step else progress.reason}")

    def copy_text(self) -> str:
        return self.query_one("#journal", LineView).text

    def focus_main(self) -> None:
        self.query_one("#steps").focus()
