"""Opens the world a verb works in, and runs it there."""

from __future__ import annotations

import asyncio
import sys
from argparse import Namespace
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path

from vpai_tui.verbs.ask import TerminalPrompts
from vpai_tui.verbs.say import document
from vpai_tui.world import World, open_world

Verb = Callable[[World, Namespace], Awaitable[int]]

_HOMES = {
    "status": ("status",),
    "fleet": ("doctor", "restart", "stop", "start", "describe"),
    "stacks": ("plan", "deploy", "releases", "rollback", "revert", "resume"),
    "history": ("history",),
    "hold": ("hold",),
    "adopt": ("adopt",),
    "env": ("env",),
    "vpn": ("nodes", "users", "keys", "dns"),
    "pull": ("pull",),
    "logs": ("logs",),
    "budget": ("budget",),
    "ondemand": ("opencut", "ondemand"),
    "disk": ("disk",),
    "machine": ("units", "guard"),
    "backups": ("backups",),
    "hands": ("shell", "forward", "edit"),
}
"""The module of this package whose `VERBS` has each verb: only that one is imported."""


def run(args: Namespace) -> int:
    """Runs `args.verb`; returns the exit code. OperatorErrors are the caller's to print."""
    if args.verb == "init":
        return init(args.dir, as_json=args.json)
    home = next(name for name, verbs in _HOMES.items() if args.verb in verbs)
    verb: Verb = import_module(f"vpai_tui.verbs.{home}").VERBS[args.verb]
    return asyncio.run(_in_world(verb, args))


async def _in_world(verb: Verb, args: Namespace) -> int:
    from vpai_tui.remote.threads import use_threads

    use_threads()
    async with open_world(args) as world:
        world.prompts = TerminalPrompts(args)
        try:
            return await verb(world, args)
        finally:
            if world.history.problem:
                print(world.history.problem, file=sys.stderr)


def init(folder: Path, *, as_json: bool) -> int:
    from vpai_tui.starter import write_starter

    done = write_starter(folder)
    if as_json:
        written, kept = [str(path) for path in done.written], [str(path) for path in done.kept]
        document({"directory": str(done.directory), "written": written, "kept": kept})
        return 0
    for path in done.written:
        print(f"wrote {done.directory / path}")
    for path in done.kept:
        print(f"kept  {done.directory / path} (was there)")
    print("next: put your machines into config/fleet.yaml, then `vpai-tui doctor`")
    return 0
