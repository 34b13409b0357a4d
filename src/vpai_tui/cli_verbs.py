"""The verbs. Each opens the world it works in, does one thing through a feature's function, and prints the result."""

from __future__ import annotations

import asyncio
import sys
from argparse import Namespace
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from vpai_tui import cli_print as show
from vpai_tui.cli_ask import TerminalPrompts, confirm, confirmed
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.model import Severity
from vpai_tui.fleet.operation import Finished, Outcome, Plan, confirm_word, stop_word
from vpai_tui.fleet.stacks import find_service, find_stack
from vpai_tui.world import World, open_world

Verb = Callable[[World, Namespace], Awaitable[int]]


def run(args: Namespace) -> int:
    """Runs `args.verb`; returns the exit code. OperatorErrors are the caller's to print."""
    if args.verb == "init":
        return _init(args.dir, as_json=args.json)
    return asyncio.run(_in_world(_VERBS[args.verb], args))


async def _in_world(verb: Verb, args: Namespace) -> int:
    async with open_world(args) as world:
        world.prompts = TerminalPrompts(args)
        try:
            return await verb(world, args)
        finally:
            if world.history.problem:
                print(world.history.problem, file=sys.stderr)


def _init(folder: Path, *, as_json: bool) -> int:
    from vpai_tui.starter import write_starter

    done = write_starter(folder)
    if as_json:
        written, kept = [str(path) for path in done.written], [str(path) for path in done.kept]
        show.document({"directory": str(done.directory), "written": written, "kept": kept})
        return 0
    for path in done.written:
        print(f"wrote {done.directory / path}")
    for path in done.kept:
        print(f"kept  {done.directory / path} (was there)")
    print("next: put your machines into config/fleet.yaml, then `vpai-tui doctor`")
    return 0


async def _doctor(world: World, args: Namespace) -> int:
    from vpai_tui.fleet.doctor import CheckResult, check_hosts, check_laptop

    results: list[CheckResult] = []

    def take(result: CheckResult) -> None:
        results.append(result)
        if not args.json:
            show.check(result)

    for result in check_laptop(world.fleet, world.config_path):
        take(result)
    async for result in check_hosts(world.fleet, clock=world.clock, prompts=world.prompts):
        take(result)
    if args.json:
        show.document({"checks": [show.check_json(result) for result in results]})
    return 1 if any(result.ok is False for result in results) else 0


async def _status(world: World, args: Namespace) -> int:
    from vpai_tui.fleet.watch import FleetWatch

    deployer = world.deployer()
    watch = FleetWatch(world.fleet, world.stacks, clock=world.clock, prompts=world.prompts, sync_probe=deployer.sync_of)
    deployer.use(watch.docker)
    await watch.start()
    try:
        snapshot = await watch.settled()
    finally:
        await watch.stop()
    if args.json:
        show.document(show.status_json(snapshot))
    else:
        show.status(snapshot)
    bad = {"warn": (Severity.WARN, Severity.ERROR), "error": (Severity.ERROR,)}.get(args.fail_on, ())
    return 1 if any(alert.severity in bad for alert in snapshot.alerts) else 0


async def _plan(world: World, args: Namespace) -> int:
    plans = await _plans(world, args.stacks)
    show.plans(plans, as_json=args.json)
    return 3 if args.exit_code and any(not plan.empty for plan in plans) else 0


async def _plans(world: World, stacks: Sequence[str]) -> list[Plan]:
    deployer = world.deployer()
    return [await deployer.plan(stack, stacks[:index]) for index, stack in enumerate(stacks)]


async def _deploy(world: World, args: Namespace) -> int:
    deployer = world.deployer()
    plans = [await deployer.plan(stack, args.stacks[:index]) for index, stack in enumerate(args.stacks)]
    if not args.json:
        show.plans(plans, as_json=False)
    if any(not plan.empty for plan in plans):
        confirm([plan.confirm_word for plan in plans if not plan.empty], "deploy", args)
    done: list[Plan] = []
    for plan in plans:
        try:
            last = await _carry_out(deployer.apply(plan), plan, args)
        except OperatorError as error:
            if done:
                print(f"{plan.stack}: {error}", file=sys.stderr)
                await _take_back(deployer, done, args)
            raise
        if last.exit_code:
            await _take_back(deployer, done, args)
            return last.exit_code
        if last.outcome is Outcome.COMMITTED:
            done.append(plan)
    return 0


async def _carry_out(events: Any, plan: Plan | None, args: Namespace) -> Finished:
    """Prints the events as they come; returns the last."""
    printer = show.EventPrinter(as_json=args.json)
    if plan is not None:
        printer.planned(plan)
    last: Finished | None = None
    async for event in events:
        printer.event(event)
        if isinstance(event, Finished):
            last = event
    if last is None:
        raise OperatorError("the operation ended without an outcome", remedy="vpai-tui status")
    return last


async def _take_back(deployer: Any, done: Sequence[Plan], args: Namespace) -> None:
    """Offers, in reverse order, to roll back what this command committed before something failed.

    One that cannot be taken back does not keep the others from it.
    """
    for plan in reversed(done):
        before = plan.base or ("what ran before" if plan.adopts else None)
        by_hand = f"to take it back: vpai-tui rollback {plan.stack}" + (f" --to {plan.base}" if plan.base else "")
        if before is None:
            print(f"{plan.stack} was deployed for the first time and stays as it is", file=sys.stderr)
        elif not args.take_back and not confirmed(f"take {plan.stack} back to {before}?", args):
            print(by_hand, file=sys.stderr)
        else:
            try:
                back = await deployer.plan_rollback(plan.stack, plan.base)
                taken = not (await _carry_out(deployer.apply(back), back, args)).exit_code
            except OperatorError as error:
                taken = False
                print(f"{plan.stack}: {error}", file=sys.stderr)
            if not taken:
                print(f"{plan.stack} was not taken back; {by_hand}", file=sys.stderr)


async def _releases(world: World, args: Namespace) -> int:
    stack = find_stack(world.stacks, args.stack)
    found = await world.deployer().releases(stack.id)
    show.releases(stack.id, found, as_json=args.json)
    return 0


async def _rollback(world: World, args: Namespace) -> int:
    deployer = world.deployer()
    plan = await deployer.plan_rollback(args.stack, args.to)
    if not args.json:
        show.plans([plan], as_json=False)
    if not plan.empty:
        confirm([plan.confirm_word], "roll back", args)
    return (await _carry_out(deployer.apply(plan), plan, args)).exit_code


async def _settle(world: World, args: Namespace) -> int:
    stack = find_stack(world.stacks, args.stack)
    deployer = world.deployer()
    release = await deployer.interrupted(stack.id)
    word = confirm_word(stack.id, data=bool(stack.spec.data), hub=world.fleet.hosts[stack.host].hub)
    confirm([word], f"{args.verb} the interrupted deploy {release} of {stack.id}", args)
    last = await _carry_out(deployer.settle(stack.id, args.verb), None, args)
    settled = args.verb == "revert" and last.outcome is Outcome.REVERTED
    return 0 if settled else last.exit_code


async def _act(world: World, args: Namespace) -> int:
    from vpai_tui.backend import act_and_record

    stack, service = find_service(world.stacks, args.service)
    word = stop_word(service, hub=args.verb == "stop" and world.fleet.hosts[stack.host].hub)
    confirm([word], f"{args.verb} {stack.id}/{service}", args)
    async with _looking(world, stack.host) as watch:
        await act_and_record(world, watch, f"{stack.id}/{service}", args.verb)
        if args.json:
            show.document({"service": f"{stack.id}/{service}", "action": args.verb, "outcome": "done"})
        else:
            print(f"{args.verb}: {stack.id}/{service} done")
    return 0


async def _describe(world: World, args: Namespace) -> int:
    from vpai_tui.backend import find, sections
    from vpai_tui.fleet.describe import describe

    stack, name = find_service(world.stacks, args.service)
    async with _looking(world, stack.host) as watch:
        service = find(watch.snapshot(), f"{stack.id}/{name}")
        events = watch.events(stack.host, service.container.id) if service.container else ()
        facts = await describe(watch.docker(stack.host), service, events, tail=0 if args.json else 10)
    if args.json:
        show.document(facts)
    else:
        show.description(sections(facts))
    return 0


class _looking:  # noqa: N801 - read as a word: `async with _looking(world, host)`
    """A watch on one host only, until it has told what it has to tell."""

    def __init__(self, world: World, host: str) -> None:
        from vpai_tui.config import Fleet
        from vpai_tui.fleet.watch import FleetWatch

        fleet = Fleet(hosts={host: world.fleet.hosts[host]}, domain=world.fleet.domain)
        stacks = [stack for stack in world.stacks if stack.host == host]
        self._host = host
        self._watch = FleetWatch(fleet, stacks, clock=world.clock, prompts=world.prompts)

    async def __aenter__(self) -> Any:
        await self._watch.start()
        try:
            await self._watch.settled()
            self._watch.connection(self._host)
        except BaseException:
            await self._watch.stop()
            raise
        return self._watch

    async def __aexit__(self, *_: object) -> None:
        await self._watch.stop()


async def _history(world: World, args: Namespace) -> int:
    entries, bad = world.history.read(args.limit)
    show.history(entries, bad, as_json=args.json)
    return 0


_VERBS: dict[str, Verb] = {
    "doctor": _doctor,
    "status": _status,
    "plan": _plan,
    "deploy": _deploy,
    "releases": _releases,
    "rollback": _rollback,
    "revert": _settle,
    "resume": _settle,
    "restart": _act,
    "stop": _act,
    "start": _act,
    "describe": _describe,
    "history": _history,
}
