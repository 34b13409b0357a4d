"""Runs the checks now and then, and asks often how this laptop itself stands."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from vpai_tui.errors import OperatorError

if TYPE_CHECKING:
    from vpai_tui.screens.shell import Shell

FIRST_AFTER_S = 6.0  # the hosts' own picture goes first
EVERY_S = 300.0
LAPTOP_AFTER_S = 2.0
LAPTOP_EVERY_S = 30.0
_WITHIN_S = 120.0  # each source has a limit of its own; this one is for what nobody foresaw


class UpkeepWatch:
    """One round at a time, as a worker of the app: a host that never answers holds up nobody else."""

    def __init__(self, shell: Shell) -> None:
        self._app = shell
        self._next_boot_s: float | None = None
        self._laptop_boot_s: float | None = None
        self._asking_laptop = False

    def due(self) -> None:
        """Called with every snapshot."""
        context = self._app.context
        now = context.clock.boot_s()
        if self._next_boot_s is None or self._laptop_boot_s is None:
            self._next_boot_s, self._laptop_boot_s = now + FIRST_AFTER_S, now + LAPTOP_AFTER_S
        if now >= self._next_boot_s and any(host.live for host in context.snapshot.hosts):
            self.again()
        if now >= self._laptop_boot_s and not self._asking_laptop and context.backend is not None:
            self._asking_laptop, self._laptop_boot_s = True, now + LAPTOP_EVERY_S
            self._app.run_worker(self._ask_laptop(), group="laptop", exit_on_error=False, description="this laptop")

    def soon(self) -> None:
        """Somebody looks at the checks: they run now, unless what is shown is fresh."""
        context = self._app.context
        if context.upkeep.morning is None or context.upkeep.stale(context.clock.boot_s()):
            self.again()

    def again(self) -> None:
        """Run the checks now, unless they run already."""
        context = self._app.context
        if context.upkeep.asking or context.backend is None:
            return
        context.upkeep.asking, self._next_boot_s = True, context.clock.boot_s() + EVERY_S
        self._app.run_worker(self._look(), group="checks", exit_on_error=False, description="running the checks")

    def settle(self) -> None:
        """All that is shown was seen: from now on is told what happens from now on."""
        context = self._app.context
        if context.backend is None:
            return
        problem = context.backend.settle_look()
        self._app.toast(problem or "seen: news are told from now on", severity="warning" if problem else "information")
        self.again()

    async def _look(self) -> None:
        context = self._app.context
        try:
            await asyncio.to_thread(import_module, "vpai_tui.morning")  # slow the first time
            if context.backend is not None:
                async with asyncio.timeout(_WITHIN_S):
                    context.upkeep.take(await context.backend.morning(), context.clock.boot_s())
                if context.upkeep.touched:
                    context.upkeep.touched = False
                    await asyncio.to_thread(context.backend.keep_look)
        except (OperatorError, TimeoutError):
            return  # what was found before stays, and says how old it is
        finally:
            context.upkeep.asking = False
        self._app.redraw()

    async def _ask_laptop(self) -> None:
        context = self._app.context
        try:
            if context.backend is not None:
                context.upkeep.laptop = await context.backend.laptop()
        except OperatorError:
            return
        finally:
            self._asking_laptop = False
        self._app.redraw()
