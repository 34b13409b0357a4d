"""Stacks on demand: how they stand, start, stop, idle stop."""

from __future__ import annotations

import base64
import sys
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import aclosing

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.operation import Event, Finished
from vpai_tui.ondemand.files import find
from vpai_tui.ondemand.idle import minutes_of
from vpai_tui.ondemand.model import OnDemandStack
from vpai_tui.ondemand.session import Studio
from vpai_tui.verbs import say_ondemand as show
from vpai_tui.verbs.ask import confirm
from vpai_tui.verbs.looking import looking
from vpai_tui.verbs.run import Verb
from vpai_tui.verbs.say import document
from vpai_tui.verbs.say_stacks import EventPrinter
from vpai_tui.world import World

OPENCUT = "opencut"


async def _run(world: World, args: Namespace) -> int:
    stack = find(world.stacks, world.fleet.domain, getattr(args, "stack", OPENCUT))
    minutes = minutes_of(args.minutes) if args.action == "idle" else None
    async with looking(world, stack.host) as watch:
        studio = world.studio(watch, read_only=args.read_only)
        match args.action:
            case "start":
                return await _start(studio, stack, args)
            case "stop":
                return await _stop(studio, stack, args)
            case "idle":
                return await _idle(studio, stack, minutes, args)
        show.status(studio.snapshot(stack, await studio.look(stack)), as_json=args.json)
    return 0


async def _start(studio: Studio, stack: OnDemandStack, args: Namespace) -> int:
    planned = await studio.plan_start(stack)
    if not args.json:
        show.start(planned)
    if not planned.empty:
        confirm([planned.word], f"start {stack.id}", args)
    printer = EventPrinter(as_json=args.json)
    if args.json:
        show.start_json(planned)
    last = await _followed(studio.start(planned, typed=planned.word or ""), printer)
    if last.exit_code == 0 and stack.url and not args.json:
        print(f"{stack.title}: {stack.url}" + (" (copied)" if _copied(stack.url) else ""))
    return last.exit_code


async def _stop(studio: Studio, stack: OnDemandStack, args: Namespace) -> int:
    planned = await studio.plan_stop(stack)
    if not args.json:
        show.stop(planned)
    if not planned.empty:
        confirm([planned.word], f"stop {stack.id}", args)
    printer = EventPrinter(as_json=args.json)
    if args.json:
        show.stop_json(planned)
    last = await _followed(studio.stop(planned, typed=planned.word or ""), printer)
    if last.exit_code == 0 and not args.json:
        print(f"{stack.title} is stopped; its data stays. Again: vpai-tui ondemand {stack.id} start")
    return last.exit_code


async def _idle(studio: Studio, stack: OnDemandStack, minutes: int | None, args: Namespace) -> int:
    await studio.set_idle(stack, minutes)
    found = studio.snapshot(stack, await studio.look(stack))
    if args.json:
        document({"stack": stack.id, "idle": show.idle_json(found.idle)})
    else:
        show.idle(found)
    return 0


async def _followed(events: AsyncIterator[Event], printer: EventPrinter) -> Finished:
    """Prints the events as they come; returns the last."""
    last: Finished | None = None
    async with aclosing(events) as told:  # type: ignore[type-var]
        async for event in told:
            printer.event(event)
            last = event if isinstance(event, Finished) else last
    if last is None:
        raise OperatorError("it ended without an outcome", remedy="vpai-tui status")
    return last


def _copied(text: str) -> bool:
    """Whether the terminal was asked (OSC 52, as the cockpit does) to take `text` to its clipboard."""
    if not sys.stdout.isatty():
        return False
    sys.stdout.write(f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\a")
    sys.stdout.flush()
    return True


VERBS: dict[str, Verb] = {"opencut": _run, "ondemand": _run}
