"""What fills a host's disk, and freeing it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.operation import Finished
from vpai_tui.upkeep.disk.session import Disks
from vpai_tui.verbs import say_disk as show
from vpai_tui.verbs.ask import confirm
from vpai_tui.verbs.looking import looking
from vpai_tui.verbs.run import Verb
from vpai_tui.world import World

if TYPE_CHECKING:
    from vpai_tui.remote.connection import Connection
    from vpai_tui.remote.docker import Docker
    from vpai_tui.upkeep.surface import Surface


async def _disk(world: World, args: Namespace) -> int:
    async with surface_of(world, args.host, read_only=args.read_only) as surface:
        disks = Disks(surface)
        usage = await disks.look(args.host, deep=not args.prune)
        if args.prune:
            return await _prune(disks, usage, args)
        show.usage(usage, await disks.forecasts(args.host, usage.disks), as_json=args.json)
    return 0


@asynccontextmanager
async def surface_of(world: World, host: str, *, read_only: bool) -> AsyncIterator[Surface]:
    """What upkeep of one host stands on: that host is watched, others are connected to when they are asked.

    Raises:
        UsageError: there is no such host.
    """
    if host not in world.fleet.hosts:
        raise UsageError(f'no host "{host}"', remedy=f"known: {', '.join(world.fleet.hosts)}")
    async with looking(world, host) as watch:
        beside: dict[str, Connection] = {}

        async def connection(name: str) -> Connection:
            if name == host:
                return watch.connection(name)
            beside[name] = await world.connection(name)
            return beside[name]

        def docker(name: str) -> Docker:
            return world.docker(beside[name]) if name in beside else watch.docker(name)

        yield replace(world.upkeep(watch, read_only=read_only), connection=connection, docker=docker)


async def _prune(disks: Disks, usage: show.Usage, args: Namespace) -> int:
    prune = disks.plan(usage, older_than_s=args.older_than)
    show.plan(prune, as_json=args.json)
    if not prune.empty:
        confirm([prune.word], f"free the disk of {args.host}", args)
    last: Finished | None = None
    async with aclosing(disks.prune(prune, typed=prune.word or "")) as events:  # type: ignore[type-var]
        async for event in events:
            show.event(event, as_json=args.json)
            last = event if isinstance(event, Finished) else last
    if last is None:
        raise OperatorError("it ended without an outcome", remedy=f"vpai-tui disk {args.host}")
    return last.exit_code


VERBS: dict[str, Verb] = {"disk": _disk}
