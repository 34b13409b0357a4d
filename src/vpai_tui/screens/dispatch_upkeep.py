"""Commands of the morning look: the checks, and what was seen."""

from __future__ import annotations

from vpai_tui.screens.flows import Flows
from vpai_tui.screens.shell import Shell


class UpkeepCommands:
    """A part of the dispatcher."""

    _shell: Shell
    _flows: Flows

    def do_checks(self, _argument: str) -> None:
        from vpai_tui.screens.checks import ChecksScreen

        if not isinstance(self._shell.cockpit, ChecksScreen):
            self._shell.push_screen(ChecksScreen(self._shell.context))
        self._shell.upkeep_watch.soon()

    def do_seen(self, _argument: str) -> None:
        self._shell.upkeep_watch.settle()
