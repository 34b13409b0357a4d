"""An apply of DNS records while it runs and after: the steps, the proof, the host's journal."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from vpai_tui.commands import bindings_of
from vpai_tui.screens.operation import OperationScreen
from vpai_tui.widgets.canvas import LineView, SafeStatic
from vpai_tui.widgets.operation_view import headline, journal_lines
from vpai_tui.widgets.vpn_run_view import run_lines, run_outcome

DNS = "dns"  # the kind of such an operation, and what it is done to: `seko/dns`


class VpnRunScreen(OperationScreen):
    """Watches one apply. Leaving it changes nothing: the host goes on."""

    KIND = "vpn-run"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("vpn-run")]

    def draw(self) -> None:
        operation, now = self.operation, self.context.clock.boot_s()
        self.query_one("#headline", SafeStatic).show([headline(operation, now, self.size.width)])
        self.query_one("#outcome", SafeStatic).show(run_outcome(operation, self.size.width))
        self.query_one("#steps", LineView).show(run_lines(operation))
        self.query_one("#journal", LineView).show(journal_lines(operation.progress))

    def crumbs(self) -> tuple[str, ...]:
        return ("vpn", "dns", "apply")

    def target_stack(self) -> str | None:
        return None
