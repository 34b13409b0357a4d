"""A start or a stop of a stack on demand while it runs and after: steps, health, the failing service's last lines."""

from __future__ import annotations

from typing import ClassVar, cast

from textual.binding import BindingType

from vpai_tui.commands import bindings_of
from vpai_tui.screens.operation import OperationScreen
from vpai_tui.screens.shell import Shell
from vpai_tui.widgets.canvas import LineView, SafeStatic
from vpai_tui.widgets.ondemand_run_view import run_headline, run_lines, run_outcome
from vpai_tui.widgets.operation_view import journal_lines

START, STOP = "start", "stop"  # the kinds of such operations; they are done to the stack


class StudioRunScreen(OperationScreen):
    """Watches one of them. Leaving it changes nothing: the app owns it, and the host goes on."""

    KIND = "studio-run"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("studio-run")]

    def draw(self) -> None:
        operation, now = self.operation, self.context.clock.boot_s()
        self.query_one("#headline", SafeStatic).show([run_headline(operation, now, self.size.width)])
        self.query_one("#outcome", SafeStatic).show(run_outcome(operation, self.size.width, self._url))
        steps = self.query_one("#steps", LineView)
        steps.show(run_lines(operation, max(40, steps.size.width)))
        self.query_one("#journal", LineView).show(journal_lines(operation.progress))

    @property
    def _url(self) -> str | None:
        studio = cast("Shell", self.app).studio_watch.studio
        stacks = studio.stacks if studio is not None else ()
        return next((it.url for it in stacks if it.id == self.operation.stack), None)

    def copy_text(self) -> str:
        return self._url or "" if self.operation.kind == START else super().copy_text()

    def crumbs(self) -> tuple[str, ...]:
        return ("studio", self.operation.stack, self.operation.kind)
