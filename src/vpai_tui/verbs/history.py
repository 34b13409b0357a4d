"""The journal: of this laptop, and of the hosts, which know what others did."""

from __future__ import annotations

from argparse import Namespace

from vpai_tui.deploy.chronicle import chronicle, local
from vpai_tui.errors import UsageError
from vpai_tui.verbs import say_history as show
from vpai_tui.verbs.run import Verb
from vpai_tui.world import World


async def _history(world: World, args: Namespace) -> int:
    known = list(world.fleet.hosts)
    if args.host not in (None, *known):
        raise UsageError(f'no host "{args.host}"', remedy=f"known: {', '.join(known)}")
    if args.limit < 1:
        raise UsageError("--limit is a number from 1 on", remedy="leave it out for the last 50")
    if args.local:
        found = local(world.history, args.host, args.limit)
    else:
        found = await chronicle(world.connection, [args.host] if args.host else known, world.history)
    show.history(found, args.limit, as_json=args.json)
    return 0


VERBS: dict[str, Verb] = {
    "history": _history,
}
