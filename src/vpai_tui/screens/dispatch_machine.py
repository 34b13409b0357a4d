"""Commands of a host's disks, and of what is on it beside Docker; and where an alert's target leads."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import cached_property
from typing import TYPE_CHECKING

from vpai_tui.screens.flows import Flows
from vpai_tui.screens.shell import Shell
from vpai_tui.widgets.budget_look import TARGET as BUDGET_TARGET
from vpai_tui.widgets.vpn_look import TARGET

if TYPE_CHECKING:
    from vpai_tui.screens.disk_flows import DiskFlows
    from vpai_tui.screens.machine_flows import MachineFlows

DISK_TARGET, GUARD_TARGET = "disk:", "guard:"


class MachineCommands:
    """A part of the dispatcher."""

    _shell: Shell
    _flows: Flows

    if TYPE_CHECKING:  # what the dispatcher has besides

        def _host(self, argument: str, words: str) -> str: ...
        def _go(self, mode: str) -> None: ...
        def do_checks(self, _argument: str) -> None: ...
        def do_scope(self, argument: str) -> Awaitable[object] | None: ...

    @cached_property
    def _disk_flows(self) -> DiskFlows:
        """Made when first wanted: what it imports would keep the first key waiting."""
        from vpai_tui.screens.disk_flows import DiskFlows

        return DiskFlows(self._shell, self._flows.work, self._flows.show)

    @cached_property
    def _machine_flows(self) -> MachineFlows:
        from vpai_tui.screens.machine_flows import MachineFlows

        return MachineFlows(self._shell, self._flows.work)

    def do_disk(self, argument: str) -> None:
        if host := self._host(argument, "disk"):
            self._disk_flows.open(host)

    def do_disk_prune(self, argument: str) -> None:
        shown = getattr(self._shell.cockpit, "host", "") if self._shell.cockpit.KIND == "disk" else ""
        if host := self._host(argument or shown, "disk prune"):
            self._disk_flows.prune(host)

    def do_guard(self, argument: str) -> None:
        if host := self._host(argument, "guard"):
            self._machine_flows.open(host)

    def do_unit_restart(self, argument: str) -> None:
        self._machine_flows.restart(argument)

    def do_guard_unban(self, argument: str) -> None:
        self._machine_flows.unban(argument)

    def target(self, target: str) -> None:
        """Go where an alert is fixed: a service's row, a stack's releases, a host's services, disks or guards, a node
        of the VPN, the budget."""
        if not target:  # of no host: this laptop
            self.do_checks("")
        elif target.startswith(BUDGET_TARGET):
            self._go("budget")
        elif target.startswith(DISK_TARGET):
            self.do_disk(target.removeprefix(DISK_TARGET))
        elif target.startswith(GUARD_TARGET):
            self.do_guard(target.removeprefix(GUARD_TARGET))
        elif target.startswith(TARGET):
            self._go("vpn")
            self._shell.call_after_refresh(self._reveal_node, target.removeprefix(TARGET))
        elif self._shell.context.service(target) is not None:
            if self._shell.cockpit.KIND != "fleet":
                self._go("fleet")
            self._shell.cockpit.view("describe", target)
            self._shell.cockpit.focus_main()
        elif any(stack.id == target for stack in self._shell.context.snapshot.stacks):
            self._go("deploy")
            self._shell.call_after_refresh(self._reveal_stack, target)
        else:
            self.do_scope(target)

    def _reveal_stack(self, stack: str) -> None:
        screen = self._flows.deploy_screen()
        if screen is not None:
            screen.reveal(stack)

    def _reveal_node(self, node: str) -> None:
        from vpai_tui.screens.vpn import VpnScreen

        screen = self._shell.cockpit
        if isinstance(screen, VpnScreen):
            screen.reveal(node)
