"""Hands on: a shell, a service's port on the laptop."""

from __future__ import annotations

import asyncio
import signal
from argparse import Namespace
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from vpai_tui.errors import UsageError
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
    "forward": _forward,
}
