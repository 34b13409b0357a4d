"""A look at one host, for commands that need its live picture."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from vpai_tui.world import World

if TYPE_CHECKING:
    from vpai_tui.fleet.model import Service
    from vpai_tui.fleet.trend import Past
    from vpai_tui.fleet.watch import FleetWatch
    from vpai_tui.remote.connection import Connection
    from vpai_tui.remote.docker import Docker

_PAST_WITHIN_S = 12.0


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


async def past_of(world: World, watch: FleetWatch, service: Service) -> Past:
    """The last day of a service of the host that `watch` looks at. Never raises; another host is given a moment."""
    from vpai_tui.fleet.trend import Past

    async def connection(host: str) -> Connection:
        return watch.connection(host) if host == service.host else await world.connection(host)

    def docker(of: Connection) -> Docker:
        return watch.docker(of.name) if of.name == service.host else world.docker(of)

    trends = world.trends(connection, docker)
    try:
        async with asyncio.timeout(_PAST_WITHIN_S):
            return await trends.of_service(service)
    except TimeoutError:
        return Past({}, f"{trends.host}: no answer within {_PAST_WITHIN_S:.0f} s")
