"""A disk being freed, and after: what went, what stays and why, what came free."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from vpai_tui.clock import duration
from vpai_tui.commands import bindings_of
from vpai_tui.fleet.operation import Outcome
from vpai_tui.screens.operation import OperationScreen
from vpai_tui.widgets import paint
from vpai_tui.widgets.canvas import LineView, SafeStatic
from vpai_tui.widgets.dialogs import wrap
from vpai_tui.widgets.operation_view import journal_lines, outcome_span
from vpai_tui.widgets.paint import Line

DISK = "disk prune"  # the kind of such an operation; it is done to a host


class DiskRunScreen(OperationScreen):
    """Watches one. Leaving it changes nothing: the host goes on by itself."""

    KIND = "disk-run"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("disk-run")]
    AUTO_FOCUS = "#journal"

    def draw(self) -> None:
        operation, progress = self.operation, self.operation.progress
        now = self.context.clock.boot_s()
        state = outcome_span(progress.outcome) if progress.outcome else (f"{paint.BUSY} {progress.phase}", "busy")
        left: Line = ((f" {operation.kind} ", "dim"), (f"{operation.stack}   ", "strong"), state)
        head = paint.spread(left, ((f"{duration(operation.elapsed_s(now))} ", "strong"),), self.size.width)
        self.query_one("#headline", SafeStatic).show([head])
        self.query_one("#outcome", SafeStatic).show(self._outcome())
        self.query_one("#steps", LineView).display = False
        self.query_one("#journal", LineView).show(journal_lines(progress))

    def _outcome(self) -> list[Line]:
        progress = self.operation.progress
        if progress.outcome is None:
            return [((" the host does it by itself, under its lock: laptop and link may go", "dim"),)]
        good = progress.outcome in (Outcome.COMMITTED, Outcome.UNCHANGED)
        width = max(20, self.size.width - 2)
        return [((f" {piece}", "" if good else "error"),) for piece in wrap(progress.reason, width) if piece]

    def crumbs(self) -> tuple[str, ...]:
        return ("disk", self.operation.stack, "prune")

    def target_stack(self) -> str | None:
        return None

    def focus_main(self) -> None:
        self.query_one("#journal").focus()
