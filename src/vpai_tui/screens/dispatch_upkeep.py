"""Commands of the morning look and of upkeep: the checks, what was seen, backups."""

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

    def do_backups(self, _argument: str) -> None:
        from vpai_tui.screens.backups import BackupsScreen

        if not isinstance(self._shell.cockpit, BackupsScreen):
            self._shell.push_screen(BackupsScreen(self._shell.context))

    def do_backups_run(self, _argument: str) -> None:
        self._shell.backups_watch.run(self._flows.work)

    def do_backups_restore(self, argument: str) -> None:
        from vpai_tui.screens.backups import BackupsScreen

        screen = self._shell.cockpit
        database = argument or (screen.database if isinstance(screen, BackupsScreen) else "")
        self._shell.backups_watch.restore_test(database, self._flows.work)

    def do_seen(self, _argument: str) -> None:
        self._shell.upkeep_watch.settle()
