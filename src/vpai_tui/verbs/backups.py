"""What is backed up, how fresh, what is not; a backup now; a restore test."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import aclosing

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.checks import Standing
from vpai_tui.upkeep.backups.findings import findings
from vpai_tui.upkeep.backups.session import Backups, Event, JobEnded, Unreached
from vpai_tui.verbs import say_backups as show
from vpai_tui.verbs.ask import confirm
from vpai_tui.verbs.disk import surface_of
from vpai_tui.verbs.run import Verb
from vpai_tui.world import World


async def _backups(world: World, args: Namespace) -> int:
    host = Backups.host_of(world.stacks)
    async with surface_of(world, host, read_only=args.read_only) as surface:
        backups = Backups(surface)
        if args.action == "run":
            return await _run(backups, args)
        if args.action == "restore-test":
            return await _restore_test(backups, args)
        found = await backups.look_all()
    show.listing(found, as_json=args.json)
    bad = any(isinstance(it, Unreached) or _red(it) for it in found)
    return 1 if bad else 0


def _red(found: show.HostBackups) -> bool:
    return any(it.standing is Standing.ERROR for it in findings(found))


async def _run(backups: Backups, args: Namespace) -> int:
    found = await backups.refuse_unfit()
    if not args.json:
        show.before_run(found)
    confirm([None], f"back up {found.host} now", args)
    return await _followed(backups.run(), args)


async def _restore_test(backups: Backups, args: Namespace) -> int:
    found = await backups.refuse_unfit(args.database)
    if not args.json:
        show.before_restore(found, args.database)
    confirm([None], f"restore the newest dump of {args.database} into a database that is thrown away", args)
    return await _followed(backups.restore_test(args.database), args)


async def _followed(events: AsyncIterator[Event], args: Namespace) -> int:
    last: JobEnded | None = None
    async with aclosing(events) as told:  # type: ignore[type-var]
        async for event in told:
            show.event(event, as_json=args.json)
            last = event if isinstance(event, JobEnded) else last
    if last is None:
        raise OperatorError("it ended without an outcome", remedy="vpai-tui backups")
    return last.exit_code


VERBS: dict[str, Verb] = {"backups": _backups}
