"""Commands that lay hands on a service: a shell in it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from vpai_tui.screens.flows import Flows
from vpai_tui.screens.shell import Shell

if TYPE_CHECKING:
    from vpai_tui.screens.hands import HandsFlows


class HandsCommands:
    """A part of the dispatcher."""

    _shell: Shell
    _flows: Flows

    @cached_property
    def _hands(self) -> HandsFlows:
        """Made when first wanted: what it imports would keep the first key waiting."""
        from vpai_tui.screens.hands import HandsFlows

        return HandsFlows(self._shell, self._flows.work)

    def do_shell(self, argument: str) -> None:
        if place := self._place(argument, "shell"):
            self._hands.shell(place)

    def _place(self, argument: str, words: str) -> str:
        """The host or service that is named, else the service of the row; says so when there is none, or several."""
        snapshot = self._shell.context.snapshot
        hosts, services = [host.name for host in snapshot.hosts], [service.id for service in snapshot.services]
        named = [argument] if argument else self._shell.cockpit.target_services()
        fits = [it for it in (*hosts, *services) if it in named]
        fits = fits or [it for it in services if argument and it.endswith(f"/{argument}")]
        if len(fits) == 1:
            return fits[0]
        why = "no such service or host" if argument and not fits else "name one service or host"
        self._shell.toast(f"{words}: {why}", severity="warning")
        return ""
