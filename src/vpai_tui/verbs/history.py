"""The journal."""

from __future__ import annotations

from argparse import Namespace

from vpai_tui.verbs import say_history as show
from vpai_tui.verbs.run import Verb
from vpai_tui.world import World


async def _history(world: World, args: Namespace) -> int:
    entries, bad = world.history.read(args.limit)
    show.history(entries, bad, as_json=args.json)
    return 0


VERBS: dict[str, Verb] = {
    "history": _history,
}
