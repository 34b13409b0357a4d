"""Looks at the host of the stack on demand that is shown: its lock, its idle stops, the queues beside it."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from vpai_tui.errors import OperatorError, UsageError

if TYPE_CHECKING:
    from vpai_tui.ondemand.model import OnDemandStack
    from vpai_tui.ondemand.session import Studio
    from vpai_tui.screens.shell import Shell

SCREEN_EVERY_S = 10.0
_LOOK_WITHIN_S = 45.0  # each part of a look has a limit of its own; this one is for what nobody foresaw


class StudioWatch:
    """One look at a time, as a worker of the app: a host that never answers holds up nobody else."""

    def __init__(self, shell: Shell) -> None:
        self._app = shell
        self._asked: dict[str, float] = {}  # by host: when the last look at it began
        self._again = False

    @property
    def studio(self) -> Studio | None:
        backend = self._app.context.backend
        return None if backend is None else backend.studio

    @property
    def stack(self) -> OnDemandStack | None:
        """The stack that is shown; None where the fleet has none on demand, and before it is connected."""
        stacks = self.studio.stacks if self.studio is not None else ()
        chosen = self._app.context.studio.chosen
        return next((it for it in stacks if it.id == chosen), stacks[0] if stacks else None)

    def due(self, every_s: float = SCREEN_EVERY_S) -> None:
        """Look when the last look at this host began more than `every_s` ago, and the host is there."""
        stack, context = self.stack, self._app.context
        if stack is None or context.studio.asking:
            return
        now = context.clock.boot_s()
        host = next((it for it in context.snapshot.hosts if it.name == stack.host), None)
        last = self._asked.get(stack.host)
        if host is None or not host.live or host.containers is None:
            return
        if self._again or last is None or now - last >= every_s:
            self._again, self._asked[stack.host] = False, now
            context.studio.asking = True
            self._app.run_worker(
                self._look(stack), group="studio", exit_on_error=False, description="looking at the studio"
            )

    def again(self) -> None:
        """Look now, or right after the look under way: something was changed."""
        self._again = True
        self.due(0.0)

    async def _look(self, stack: OnDemandStack) -> None:
        look = self._app.context.studio
        try:
            await asyncio.to_thread(import_module, "vpai_tui.ondemand.beside")  # slow the first time
            async with asyncio.timeout(_LOOK_WITHIN_S):
                if self.studio is None:
                    raise UsageError("the fleet is still being connected")
                look.take(await self.studio.look(stack))
        except OperatorError as error:
            look.fail(stack.host, error)
        except TimeoutError:
            why = f"no answer within {_LOOK_WITHIN_S:.0f} s"
            look.fail(stack.host, OperatorError(why, step="look", remedy="ctrl+r asks again"))
        finally:
            look.asking = False
        self._app.redraw()
