"""Hands on: a shell."""

from __future__ import annotations

from argparse import Namespace

from vpai_tui.errors import UsageError
from vpai_tui.verbs.run import Verb
from vpai_tui.world import World


async def _shell(world: World, args: Namespace) -> int:
    if args.json:
        raise UsageError("shell needs a terminal and prints no JSON", remedy="leave --json out")
    return await world.shells().open(args.place)


VERBS: dict[str, Verb] = {
    "shell": _shell,
}
