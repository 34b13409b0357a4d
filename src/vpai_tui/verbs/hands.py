"""Hands on: a shell, a stack's files, a service's port on the laptop."""

from __future__ import annotations

import asyncio
import signal
import sys
from argparse import Namespace
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from vpai_tui.config import find_stacks_dir
from vpai_tui.errors import UsageError
from vpai_tui.text import clean
from vpai_tui.verbs import say_hands as show
from vpai_tui.verbs.run import Verb
from vpai_tui.world import World

if TYPE_CHECKING:
    from vpai_tui.fleet.forward import Forward, Forwards

_CHANNELS = 8  # nobody else wants any of the nine


async def _shell(world: World, args: Namespace) -> int:
    if args.json:
        raise UsageError("shell needs a terminal and prints no JSON", remedy="leave --json out")
    return await world.shells().open(args.place)


async def _edit(world: World, args: Namespace) -> int:
    """The file, then the plan. A broken file is told with its lines and may be opened again; it stays as saved."""
    from vpai_tui.deploy.editing import edit, folder_of
    from vpai_tui.verbs.ask import confirmed
    from vpai_tui.verbs.say_stacks import plans

    if args.json:
        raise UsageError("edit needs a terminal and prints no JSON", remedy="leave --json out, then: vpai-tui plan")
    folder = folder_of(find_stacks_dir(world.config_path), world.fleet.stacks, args.stack)
    changed: set[str] = set()
    while True:
        edited = await edit(folder, args.file, world.clock, world.history)
        changed |= set(edited.changed)
        try:
            world.reread()
            break
        except UsageError as error:
            print(f"{clean(error.message)}", file=sys.stderr)
            if not confirmed("open it again?", args):
                raise UsageError(f"{folder.id} does not hold any more", remedy=f"vpai-tui edit {folder.id}") from error
    if not changed:
        print(f"{folder.id}: nothing was changed")
        return 0
    plans([await world.deployer().plan(folder.id)], as_json=False)
    return 0


async def _forward(world: World, args: Namespace) -> int:
    """Until ctrl+c, which is how it is meant to end."""
    forwards = world.forwards(channels=_CHANNELS)
    try:
        forward = await forwards.open(args.service, args.port, args.local)
        telling = asyncio.create_task(_tell(forwards, forward, as_json=args.json))
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError):
            loop.add_signal_handler(signal.SIGINT, telling.cancel)
            loop.add_signal_handler(signal.SIGTERM, telling.cancel)
        try:
            await telling
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
    finally:
        await forwards.close()
    show.ended(forward, as_json=args.json)
    return 0


async def _tell(forwards: Forwards, forward: Forward, *, as_json: bool) -> None:
    async with aclosing(forwards.events(forward)) as events:
        async for event in events:
            show.event(event, as_json=as_json)


VERBS: dict[str, Verb] = {
    "shell": _shell,
    "edit": _edit,
    "forward": _forward,
}
