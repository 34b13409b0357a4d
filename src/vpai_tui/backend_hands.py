"""The part of the cockpit's backend that lays hands on a service: shells, forwards, a stack's files; and its past."""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING

from vpai_tui.config import find_stacks_dir

if TYPE_CHECKING:
    from vpai_tui.fleet.forward import Forwards
    from vpai_tui.fleet.trend import Trends
    from vpai_tui.fleet.watch import FleetWatch
    from vpai_tui.remote.connection import Connection
    from vpai_tui.world import World


class HandsOn:
    """What `LiveBackend` is made of, beside the rest."""

    _world: World
    _watch: FleetWatch

    if TYPE_CHECKING:  # what the backend has besides

        def _may_change(self) -> None: ...
        async def _connection(self, host: str) -> Connection: ...

    @cached_property
    def trends(self) -> Trends:
        """VictoriaMetrics over the watched connections; nothing is asked at first."""
        docker_of = self._watch.docker
        return self._world.trends(self._connection, lambda it: docker_of(it.name))

    @cached_property
    def forwards(self) -> Forwards:
        """Ports of services on this laptop, over the watched connections."""
        docker_of = self._watch.docker
        return self._world.forwards(self._connection, lambda it: docker_of(it.name))

    async def close_forwards(self) -> None:
        """Ends them, if there are any."""
        if (forwards := self.__dict__.pop("forwards", None)) is not None:
            await forwards.close()

    async def shell(self, place: str) -> int:
        self._may_change()
        docker_of = self._watch.docker
        return await self._world.shells(self._connection, lambda it: docker_of(it.name)).open(place)

    async def edit_stack(self, stack: str, file: str) -> tuple[str, ...]:
        self._may_change()
        from vpai_tui.deploy.editing import edit, folder_of

        world = self._world
        folder = folder_of(find_stacks_dir(world.config_path), world.fleet.stacks, stack)
        return (await edit(folder, file, world.clock, world.history)).changed

    async def reread(self) -> None:
        await asyncio.to_thread(self._world.reread)
        self._watch.reread(self._world.stacks)
        for name in ("studio", "upkeep", "_morning", "_deployer"):
            self.__dict__.pop(name, None)  # made anew, with the files as they are now
