"""Looks at the budget when it is due: often while its screen is seen, rarely and cheaply for the fleet's alerts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import TYPE_CHECKING

from vpai_tui.errors import OperatorError

if TYPE_CHECKING:
    from vpai_tui.fleet.model import Service
    from vpai_tui.screens.shell import Shell

SCREEN_EVERY_S = 10.0
ALERTS_EVERY_S = 300.0
_LOOK_WITHIN_S = 60.0  # each part of a look has a limit of its own; this one is for what nobody foresaw


class BudgetWatch:
    """One look at a time, as a worker of the app: a host that never answers holds up nobody else."""

    def __init__(self, shell: Shell) -> None:
        self._app = shell
        self._asked_boot_s: float | None = None  # when the last whole look began
        self._told_boot_s: float | None = None  # when the last one of either kind did
        self._again = False

    def due(self, every_s: float) -> None:
        """Look at all of it when the last look of this kind began more than `every_s` ago."""
        now = self._app.context.clock.boot_s()
        if self._free and (self._again or self._asked_boot_s is None or now - self._asked_boot_s >= every_s):
            self._again, self._asked_boot_s = False, now
            self._start(self._whole)

    def for_alerts(self) -> None:
        """The rare look, at what is in Redis only, once a host with a LiteLLM is there."""
        context, now = self._app.context, self._app.context.clock.boot_s()
        if not self._free or (self._told_boot_s is not None and now - self._told_boot_s < ALERTS_EVERY_S):
            return
        live = {host.name for host in context.snapshot.hosts if host.live}
        if any(it.host in live and is_litellm(it) for it in context.snapshot.services):
            self._start(self._alerts)

    def again(self) -> None:
        """Look now, or right after the look under way: something was changed."""
        self._again = True
        self.due(0.0)

    @property
    def _free(self) -> bool:
        return self._app.context.backend is not None and not self._app.context.budget.asking

    def _start(self, look: Callable[[], Awaitable[None]]) -> None:
        context = self._app.context
        context.budget.asking = True
        self._told_boot_s = context.clock.boot_s()
        self._app.run_worker(self._look(look), group="budget", exit_on_error=False, description="looking at the budget")

    async def _look(self, look: Callable[[], Awaitable[None]]) -> None:
        context = self._app.context
        try:
            await asyncio.to_thread(import_module, "vpai_tui.budget.session")  # slow the first time
            async with asyncio.timeout(_LOOK_WITHIN_S):
                await look()
        except OperatorError as error:
            context.budget.fail(error)
        except TimeoutError:
            why = f"no answer within {_LOOK_WITHIN_S:.0f} s"
            context.budget.fail(OperatorError(why, step="budget", remedy="ctrl+r asks again"))
        finally:
            context.budget.asking = False
        self._app.redraw()

    async def _whole(self) -> None:
        context = self._app.context
        if context.backend is not None:
            context.budget.take(await context.backend.budget.snapshot(), context.clock.boot_s())

    async def _alerts(self) -> None:
        context = self._app.context
        if context.backend is not None:
            context.budget.take_alerts(await context.backend.budget.alerts(), context.clock.boot_s())


def is_litellm(service: Service) -> bool:
    """Whether a service is the proxy, by its name or its image's."""
    image = (service.image or "").partition("@")[0].rpartition("/")[2]
    return bool(service.stack) and (service.service == "litellm" or "litellm" in image.partition(":")[0])
