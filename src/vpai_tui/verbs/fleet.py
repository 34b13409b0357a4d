"""Checks of the way in, and one service: doctor, describe, restart, stop, start."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from vpai_tui.errors import HostUnreachable, OperatorError, UsageError
from vpai_tui.fleet.operation import stop_word
from vpai_tui.fleet.stacks import find_service
from vpai_tui.verbs import say_fleet as show
from vpai_tui.verbs.ask import confirm
from vpai_tui.verbs.looking import looking, past_of
from vpai_tui.verbs.run import Verb
from vpai_tui.verbs.say import document
from vpai_tui.world import World

if TYPE_CHECKING:
    from vpai_tui.fleet.doctor import CheckResult


async def _doctor(world: World, args: Namespace) -> int:
    from vpai_tui.fleet.doctor import check_hosts, check_laptop

    results: list[CheckResult] = []

    def take(result: CheckResult) -> None:
        results.append(result)
        if not args.json:
            show.check(result)

    for result in check_laptop(world.fleet, world.config_path):
        take(result)
    async for result in check_hosts(world.fleet, clock=world.clock, prompts=world.prompts):
        take(result)
    if (budget := await _budget_check(world)) is not None:
        take(budget)
    reached = [result.host for result in results if result.check == "ssh" and result.ok]
    async for result in world.questioner(lambda: reached).of(await _deployed(world, reached)):
        take(result)
    if args.json:
        document({"checks": [show.check_json(result) for result in results]})
    return 1 if any(result.ok is False for result in results) else 0


async def _deployed(world: World, hosts: Sequence[str]) -> set[str]:
    """The services that have a container: before its deploy a name leads nowhere, and that is no fault."""
    from vpai_tui.fleet.containers import from_list

    found: set[tuple[str, str | None, str | None]] = set()
    for host in hosts:
        with suppress(OperatorError):  # an engine that does not answer has a line of its own
            rows = await world.docker(await world.connection(host)).call("containers", all=True)
            found |= {(host, it.project, it.service) for it in map(from_list, rows) if it is not None}
    return {
        f"{stack.id}/{service}"
        for stack in world.stacks
        for service in stack.services
        if (stack.host, stack.project, service) in found
    }


async def _budget_check(world: World) -> CheckResult | None:
    """Whether anything holds the AI budget; None without LiteLLM, and where its host has a line of its own already."""
    from vpai_tui.budget.model import Enforcement
    from vpai_tui.fleet.doctor import CheckResult

    try:
        budget = world.budget()
        found = await budget.snapshot()
    except (UsageError, HostUnreachable):
        return None
    except OperatorError as error:
        return CheckResult(budget.host, "budget", None, f"unknown: {error.message}", error.remedy)
    cap = "no cap" if found.cap_usd is None else f"${found.cap_usd:.2f} a day"
    if found.enforcement is Enforcement.ENFORCED:
        return CheckResult(found.host, "budget", True, f"enforced, {cap}: {found.why}")
    if found.enforcement is Enforcement.DECLARED:
        remedy = f"deploy the stack with eco_mode.py: vpai-tui plan {found.stack or found.host}"
        return CheckResult(found.host, "budget", None, f"declared only, nothing holds {cap}: {found.why}", remedy)
    return CheckResult(found.host, "budget", None, f"unknown: {found.why}", found.remedy or "vpai-tui budget")


async def _act(world: World, args: Namespace) -> int:
    from vpai_tui.backend import act_and_record

    stack, service = find_service(world.stacks, args.service)
    word = stop_word(service, hub=args.verb == "stop" and world.fleet.hosts[stack.host].hub)
    confirm([word], f"{args.verb} {stack.id}/{service}", args)
    async with looking(world, stack.host) as watch:
        await act_and_record(world, watch, f"{stack.id}/{service}", args.verb)
        if args.json:
            document({"service": f"{stack.id}/{service}", "action": args.verb, "outcome": "done"})
        else:
            print(f"{args.verb}: {stack.id}/{service} done")
    return 0


async def _describe(world: World, args: Namespace) -> int:
    from vpai_tui.backend import find
    from vpai_tui.description import sections
    from vpai_tui.fleet.describe import describe
    from vpai_tui.fleet.endpoints import place

    stack, name = find_service(world.stacks, args.service)
    async with looking(world, stack.host) as watch:
        service = find(watch.snapshot(), f"{stack.id}/{name}")
        events = watch.events(stack.host, service.container.id) if service.container else ()
        facts = await describe(watch.docker(stack.host), service, events, tail=0 if args.json else 10)
        past = await past_of(world, watch, service)
    placed = place(world.stacks, world.fleet.domain, f"{stack.id}/{name}")
    if not args.json:
        show.description(sections(facts, placed))
        show.past(past)
    checks = []
    if args.check:
        async for result in world.questioner().of({f"{stack.id}/{name}"}):
            checks.append(result)
            if not args.json:
                show.check(result)
    if args.json:
        told = {**facts, **placed, **show.past_json(past)}
        document({**told, "checks": [show.check_json(it) for it in checks] if args.check else None})
    return 1 if any(it.ok is False for it in checks) else 0


VERBS: dict[str, Verb] = {
    "doctor": _doctor,
    "restart": _act,
    "stop": _act,
    "start": _act,
    "describe": _describe,
}
