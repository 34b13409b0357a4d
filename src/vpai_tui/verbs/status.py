"""The morning look on the command line: hosts, stacks, services, what needs the operator, what has happened since."""

from __future__ import annotations

import asyncio
import sys
from argparse import Namespace
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.alerts import ranked
from vpai_tui.fleet.model import Alert, FleetSnapshot, Service, Severity
from vpai_tui.verbs import say_fleet, say_status
from vpai_tui.verbs.run import Verb
from vpai_tui.verbs.say import document
from vpai_tui.world import World

if TYPE_CHECKING:
    from vpai_tui.fleet.watch import FleetWatch
    from vpai_tui.remote.connection import Connection
    from vpai_tui.upkeep.news import Morning

_REGISTRIES = 5  # asked by one look; what is left is asked by the next ones, and nobody again for hours
_IMAGES_WITHIN_S = 15.0
_BAD = {"warn": (Severity.WARN, Severity.ERROR), "error": (Severity.ERROR,)}


async def _status(world: World, args: Namespace) -> int:
    from vpai_tui.fleet.watch import FleetWatch

    deployer = world.deployer()
    watch = FleetWatch(world.fleet, world.stacks, clock=world.clock, prompts=world.prompts, sync_probe=deployer.sync_of)
    deployer.use(watch.docker)
    await watch.start()
    try:
        snapshot = await watch.settled()
        (more, silent), morning = await asyncio.gather(_more_alerts(world, watch), _morning(world, watch, args))
    finally:
        await watch.stop()
    found = replace(snapshot, alerts=ranked((*snapshot.alerts, *more, *_alerts_of(morning))))
    counted: Sequence[Alert] = found.alerts
    if args.new:
        counted = _new(world, found, morning, args, silent=silent)
    elif args.json:
        document({**say_fleet.status_json(found), **say_status.morning_json(morning)})
    else:
        say_fleet.status(found)
        say_status.morning(morning, every=args.checks)
    return 1 if any(alert.severity in _BAD.get(args.fail_on, ()) for alert in counted) else 0


def _new(
    world: World, found: FleetSnapshot, morning: Morning | None, args: Namespace, *, silent: bool
) -> Sequence[Alert]:
    """Prints what came and went since the last time it was asked; the alerts that came.

    `silent`: the VPN or the budget could not be asked. Whose alert is whose is not kept, so nothing goes then.
    """
    from vpai_tui.fleet.checks import Finding, Standing
    from vpai_tui.upkeep.table import CHECKS
    from vpai_tui.upkeep.told import Told

    unasked = [Finding(it.id, "", "", Standing.UNKNOWN, "not asked") for it in CHECKS]
    findings = morning.report.findings if morning is not None else unasked
    change = Told(world.laptop).changes(
        found.alerts,
        world.clock.now(),
        gone={host.name for host in found.hosts if silent or not host.live},
        unknown=[it for it in findings if it.standing is Standing.UNKNOWN],
    )
    if change.problem:
        print(change.problem, file=sys.stderr)
    if args.json:
        document(say_status.change_json(change))
    else:
        say_status.change(change)
    return change.came


async def _morning(world: World, watch: FleetWatch, args: Namespace) -> Morning | None:
    if args.quick:
        return None
    from vpai_tui.deploy.chronicle import Chronicle, chronicle
    from vpai_tui.fleet.updates import Updates
    from vpai_tui.fleet.updates import look as look_for_updates
    from vpai_tui.morning import MorningLook, Sources, spend_of

    async def connection(host: str) -> Connection:
        return watch.connection(host)

    async def history() -> Chronicle:
        return await chronicle(connection, list(world.fleet.hosts), world.history)

    updates = Updates(world.laptop / "updates.json", world.clock)

    async def ask() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_IMAGES_WITHIN_S):
                await look_for_updates(updates, services, watch.docker, most=_REGISTRIES)

    def services() -> Sequence[Service]:
        return watch.snapshot().services

    sources = Sources(
        history,
        lambda: spend_of(lambda: world.budget(connection)),
        moved=lambda: updates.moved(services()),
        unasked=lambda: updates.unasked(services()),
        ask=ask,
    )
    look = MorningLook(world.upkeep(watch), sources)
    found = await look.look()
    if args.seen and (problem := look.keep()):
        print(problem, file=sys.stderr)
    return found


def _alerts_of(morning: Morning | None) -> tuple[Alert, ...]:
    if morning is None:
        return ()
    from vpai_tui.upkeep.examiner import alerts_of

    return alerts_of(morning.report.findings)


async def _more_alerts(world: World, watch: FleetWatch) -> tuple[tuple[Alert, ...], bool]:
    """Machines of the VPN whose key ends soon, and the AI budget; and whether one of them could not be asked, which has
    an alert of its own already. A fleet without one of them has no alerts of it."""

    async def connection(host: str) -> Connection:
        return watch.connection(host)

    async def found(ask: Callable[[], Awaitable[tuple[Alert, ...]]]) -> tuple[Alert, ...] | None:
        try:
            return await ask()
        except UsageError:
            return ()
        except OperatorError:
            return None

    vpn = found(lambda: world.vpn(connection).expiring())
    budget = found(lambda: world.budget(connection).alerts())
    answers = await asyncio.gather(vpn, budget)
    return tuple(alert for alerts in answers for alert in alerts or ()), None in answers


VERBS: dict[str, Verb] = {"status": _status}
