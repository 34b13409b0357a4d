"""Commands that start and stop: services on their rows, and stacks on demand."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from vpai_tui.screens.flows import Flows
from vpai_tui.screens.shell import Shell

if TYPE_CHECKING:
    from vpai_tui.screens.studio_flows import StudioFlows


class StudioCommands:
    """A part of the dispatcher."""

    _shell: Shell
    _flows: Flows

    @cached_property
    def _studio_flows(self) -> StudioFlows:
        """Made when first wanted: what it imports would keep the first key waiting."""
        from vpai_tui.screens.studio_flows import StudioFlows

        return StudioFlows(self._shell, self._flows.work, self._flows.show)

    def do_restart(self, argument: str) -> None:
        self._flows.act("restart", [argument] if argument else self._shell.cockpit.target_services())

    def do_stop(self, argument: str) -> None:
        if not argument and self._shell.cockpit.KIND == "studio":
            self._studio_flows.stop()
        else:
            self._flows.act("stop", [argument] if argument else self._shell.cockpit.target_services())

    def do_start(self, argument: str) -> None:
        if not argument and self._shell.cockpit.KIND == "studio":
            self._studio_flows.start()
        else:
            self._flows.act("start", [argument] if argument else self._shell.cockpit.target_services())

    def do_studio_start(self, argument: str) -> None:
        self._studio_flows.start(argument)

    def do_studio_stop(self, argument: str) -> None:
        self._studio_flows.stop(argument)

    def do_studio_idle(self, argument: str) -> None:
        self._studio_flows.idle(argument)
