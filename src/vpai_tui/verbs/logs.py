"""Logs: past or live, from Loki or from a container itself, with the count that proves them at the end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from argparse import Namespace
from contextlib import aclosing, suppress

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.live import AHEAD_NS
from vpai_tui.logs.model import SECOND_NS, Level, Window
from vpai_tui.logs.past import price, worth_asking
from vpai_tui.logs.query import Now, least_level, time_ns
from vpai_tui.logs.session import Choice, Logs
from vpai_tui.verbs import say_logs as show
from vpai_tui.verbs.run import Verb
from vpai_tui.world import World

_KEPT = 200_000  # lines, so that what comes twice is known
_SINCE = "1h"
_SKEW_TOLD_S = 5.0


async def _logs(world: World, args: Namespace) -> int:
    if args.follow and args.until:
        raise UsageError("-f has no end", remedy="leave --until out, or -f")
    _span(args, world.clock)  # mistakes are told before anybody is asked
    logs = world.logs()
    try:
        choice = await logs.choose(logs.target(args.target), grep=args.grep)
        since_ns, until_ns = _span(args, logs)
        if choice.query is None and args.grep:
            raise UsageError(f"{choice.reason}; --grep is Loki's", remedy="leave --grep out, and use grep")
        least = least_level(args.level) if args.level else Level.UNKNOWN
        printer = show.Printer(logs.source, as_json=args.json, utc=args.utc, least=least)
        try:
            if args.follow:
                return await _follow(logs, choice, printer, args, (logs.now_ns() - since_ns) / SECOND_NS)
            return await _read(logs, choice, printer, args, since_ns, until_ns)
        except BrokenPipeError:  # whoever read it has what they wanted
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
    finally:
        await logs.close()


def _span(args: Namespace, clock: Now) -> tuple[int, int | None]:
    """Since and until, by the clock given. UsageError when they are none."""
    since_ns = time_ns(args.since or _SINCE, clock)
    until_ns = time_ns(args.until, clock) if args.until else None
    if until_ns is not None and until_ns <= since_ns:
        raise UsageError("--until lies before --since", remedy="give an earlier --since")
    return since_ns, until_ns


async def _read(
    logs: Logs, choice: Choice, printer: show.Printer, args: Namespace, since_ns: int, until_ns: int | None
) -> int:
    to_ns = until_ns or logs.now_ns() + AHEAD_NS
    await _tell_price(logs, choice, since_ns, min(to_ns, logs.now_ns()))
    if args.level:
        return await _pick(logs, choice, printer, args, since_ns, to_ns)
    found = await logs.read(choice, Buffer(max(args.limit, 1) + _KEPT), since_ns, to_ns, args.limit)
    printer.lines(found.lines)
    sys.stdout.flush()
    if choice.query is None:
        name = dict(found.lines[0].labels).get("container", "") if found.lines else choice.target.name
        show.fallback(name, choice.reason)
        return 0
    _tell_skew(logs)
    if not found.complete:
        show.cut(len(found.lines), found.expected)
        return 0
    if found.expected is None:
        printer.closing(following=False)
        return 0
    printer.proof.add(
        Window(since_ns, min(to_ns, logs.now_ns()), found.expected, min(len(found.lines), found.expected))
    )
    printer.closing(following=False)
    return 0 if printer.proof.complete else 1


async def _pick(logs: Logs, choice: Choice, printer: show.Printer, args: Namespace, since_ns: int, to_ns: int) -> int:
    """The newest lines that are bad enough: as many as were asked for, however many others lie between them."""
    found = await logs.pick(choice, since_ns, to_ns, args.limit, least_level(args.level))
    printer.picked(found)
    sys.stdout.flush()
    if choice.query is None:
        name = dict(found.lines[0].labels).get("container", "") if found.lines else choice.target.name
        show.fallback(name, choice.reason)
        return 0
    _tell_skew(logs)
    if not found.complete:
        show.picked_cut(args.limit, args.level, found.from_ns, utc=args.utc)
    if found.expected is None:
        printer.closing(following=False)
        return 0
    proven = min(found.counted, found.expected)
    printer.proof.add(Window(found.from_ns, found.counted_to_ns, found.expected, proven))
    printer.closing(following=False)
    return 0 if printer.proof.complete else 1


async def _follow(logs: Logs, choice: Choice, printer: show.Printer, args: Namespace, since_s: float) -> int:
    following = asyncio.create_task(_print_all(logs, choice, printer, args.limit, max(since_s, 1.0)))
    loop = asyncio.get_running_loop()  # its end takes the handlers away; a second ctrl+c does not cut the sum short
    with suppress(NotImplementedError):
        loop.add_signal_handler(signal.SIGINT, following.cancel)
        loop.add_signal_handler(signal.SIGTERM, following.cancel)
    try:
        await following
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
    if choice.query is not None:
        _tell_skew(logs)
        printer.closing(following=True)
    return 1 if printer.proof.incomplete() else 0


async def _print_all(logs: Logs, choice: Choice, printer: show.Printer, limit: int, since_s: float) -> None:
    buffer = Buffer(max(limit, _KEPT))
    async with aclosing(logs.follow(choice, buffer, lines=limit, since_s=since_s)) as events:
        async for event in events:
            printer.event(event)


async def _tell_price(logs: Logs, choice: Choice, from_ns: int, to_ns: int) -> None:
    """What a wide span will cost the server, before it is read."""
    if choice.query is not None and worth_asking(from_ns, to_ns):
        with suppress(OperatorError):  # the query itself will tell
            show.price(await price(logs.link, choice.query, from_ns, to_ns))


def _tell_skew(logs: Logs) -> None:
    ahead_s = logs.link.skew_s
    if ahead_s is not None and abs(ahead_s) > _SKEW_TOLD_S:
        show.skewed(ahead_s)


VERBS: dict[str, Verb] = {
    "logs": _logs,
}
