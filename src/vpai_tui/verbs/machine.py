"""Units, programs, guards and open ports of the hosts; a unit restarted, a ban lifted."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from contextlib import aclosing

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.operation import Finished
from vpai_tui.upkeep.machine import Machine, Machines
from vpai_tui.verbs import say_machine as show
from vpai_tui.verbs.ask import confirm
from vpai_tui.verbs.disk import surface_of
from vpai_tui.verbs.run import Verb
from vpai_tui.verbs.say import document
from vpai_tui.world import World

_Show = Callable[[list[tuple[str, Machine | OperatorError]]], None]


async def _look(world: World, args: Namespace, shown: _Show) -> int:
    """Every host that is asked for, one that does not answer with its reason."""
    hosts = [args.host] if args.host else list(world.fleet.hosts)
    found: list[tuple[str, Machine | OperatorError]] = []
    for host in hosts:
        try:
            async with surface_of(world, host, read_only=args.read_only) as surface:
                found.append((host, await Machines(surface).look(host)))
        except UsageError:
            raise
        except OperatorError as error:
            if args.host:
                raise
            found.append((host, error))
    shown(found)
    return 0


async def _units(world: World, args: Namespace) -> int:
    if args.action is None:
        return await _look(world, args, lambda found: show.units(found, as_json=args.json))
    if not args.unit:
        raise UsageError("name a unit", remedy=f"vpai-tui units {args.host} lists them")
    async with surface_of(world, args.host, read_only=args.read_only) as surface:
        machines = Machines(surface)
        plan = machines.plan_restart(await machines.look(args.host), args.unit)
        show.restart(plan, as_json=args.json)
        confirm([plan.word], f"restart {plan.unit} on {plan.host}", args)
        last: Finished | None = None
        async with aclosing(machines.restart(plan, typed=plan.word or "")) as events:  # type: ignore[type-var]
            async for event in events:
                show.event(event, as_json=args.json)
                last = event if isinstance(event, Finished) else last
    return 1 if last is None else last.exit_code


async def _guard(world: World, args: Namespace) -> int:
    if args.action is None:
        return await _look(world, args, lambda found: show.guard(found, as_json=args.json))
    if not args.address:
        raise UsageError("name an address", remedy=f"vpai-tui guard {args.host} lists what is kept out")
    async with surface_of(world, args.host, read_only=args.read_only) as surface:
        machines = Machines(surface)
        plan = machines.plan_unban(await machines.look(args.host), args.address)
        if not args.json:
            print(f"{plan.address} is kept out of {plan.host} by {', '.join(ban.by for ban in plan.bans)}")
        confirm([None], f"let {plan.address} in again", args)
        await machines.unban(plan)
    if args.json:
        body = {"host": plan.host, "address": plan.address, "lifted": [ban.by for ban in plan.bans]}
        document({**body, "way_back": plan.way_back})
    else:
        print(f"{plan.address} may come again\nway back: {plan.way_back}")
    return 0


VERBS: dict[str, Verb] = {"units": _units, "guard": _guard}
