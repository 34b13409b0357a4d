"""A look at one host, for commands that need its live picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpai_tui.world import World

if TYPE_CHECKING:
    from vpai_tui.fleet.watch import FleetWatch


class looking:  # noqa: N801 - read as a word: `async with looking(world, host)`
    """A watch on one host only, until it has told what it has to tell."""

    def __init__(self, world: World, host: str) -> None:
        from vpai_tui.config import Fleet
        from vpai_tui.fleet.watch import FleetWatch

        fleet = Fleet(hosts={host: world.fleet.hosts[host]}, domain=world.fleet.domain)
        stacks = [stack for stack in world.stacks if stack.host == host]
        self._host = host
        self._watch = FleetWatch(fleet, stacks, clock=world.clock, prompts=world.prompts)

    async def __aenter__(self) -> FleetWatch:
        await self._watch.start()
        try:
            await self._watch.settled()
            self._watch.connection(self._host)
        except BaseException:
            await self._watch.stop()
            raise
        return self._watch

    async def __aexit__(self, *_: object) -> None:
        await self._watch.stop()
