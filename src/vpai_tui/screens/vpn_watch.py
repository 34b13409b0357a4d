"""Looks at the VPN when it is due: often while its screen is seen, rarely for the fleet's alerts."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from vpai_tui.errors import OperatorError

if TYPE_CHECKING:
    from vpai_tui.screens.shell import Shell

SCREEN_EVERY_S = 10.0
ALERTS_EVERY_S = 300.0
RESOLVE_EVERY_S = 60.0


class VpnWatch:
    """One look at a time, as a worker of the app: a host that never answers holds up nobody else."""

    def __init__(self, shell: Shell) -> None:
        self._app = shell
        self._asked_boot_s: float | None = None
        self._again = False

    def due(self, every_s: float, *, resolve: bool = False) -> None:
        """Look when the last look began more than `every_s` ago; with `resolve` a resolver is asked at times too."""
        look, now = self._app.context.vpn, self._app.context.clock.boot_s()
        if look.asking or self._app.context.backend is None:
            return
        fresh = self._asked_boot_s is not None and now - self._asked_boot_s < every_s
        answered = look.answered_boot_s
        wants_answers = resolve and (answered is None or now - answered >= RESOLVE_EVERY_S) and look.failure is None
        if fresh and not self._again and not (wants_answers and look.snapshot is not None):
            return
        self._start(resolve=wants_answers and look.snapshot is not None)

    def for_alerts(self) -> None:
        """The rare look, once the hub is there: nothing is asked of a fleet without one."""
        context = self._app.context
        live = {host.name for host in context.snapshot.hosts if host.live}
        if not live:
            return
        from vpai_tui.vpn.hub import SERVICE, hub_host  # a host is live: what it imports is there

        carrying = (it.host for it in context.snapshot.services if it.stack and it.service == SERVICE)
        if hub_host(context.fleet, carrying) in live:
            self.due(ALERTS_EVERY_S)

    def again(self) -> None:
        """Look now, or right after the look under way: something was changed."""
        self._again = True
        self.due(0.0)

    def _start(self, *, resolve: bool) -> None:
        context = self._app.context
        context.vpn.asking, self._again = True, False
        self._asked_boot_s = context.clock.boot_s()
        self._app.run_worker(
            self._look(resolve=resolve), group="vpn", exit_on_error=False, description="looking at the VPN"
        )

    async def _look(self, *, resolve: bool) -> None:
        context, backend = self._app.context, self._app.context.backend
        try:
            if backend is None:
                return
            await asyncio.to_thread(import_module, "vpai_tui.vpn.session")  # slow the first time
            found = await backend.vpn.snapshot(resolve=resolve)
            context.vpn.take(found, context.clock.boot_s(), resolved=resolve)
        except OperatorError as error:
            context.vpn.fail(error, context.clock.boot_s())
        finally:
            context.vpn.asking = False
        self._app.redraw()
