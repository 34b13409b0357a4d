"""Hands on: flows that give the terminal away, to a shell."""

from __future__ import annotations

from vpai_tui.screens.away import away
from vpai_tui.screens.shell import Shell, Work
from vpai_tui.widgets.backend import Backend


class HandsFlows:
    """`work` runs something slow and shows its error."""

    def __init__(self, shell: Shell, work: Work) -> None:
        self._app = shell
        self._context = shell.context
        self._work = work

    def shell(self, place: str) -> None:
        """A shell in a service or on a host; the cockpit goes on behind it and comes back after it."""
        backend = self._context.backend
        if backend is not None and not self._context.read_only:
            self._work(f"a shell in {place}", lambda: self._shell(backend, place))

    async def _shell(self, backend: Backend, place: str) -> None:
        status = await away(self._app, lambda: backend.shell(place), f"vpai-tui shell {place}")
        if status:
            self._app.toast(f"the shell in {place} ended with status {status}", severity="warning")
