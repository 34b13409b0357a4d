"""Stacks: plan, deploy, releases, rollback, and settling an interrupted deploy."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.operation import Finished, Outcome, Plan, after_failed_revert, confirm_word, refuse_held
from vpai_tui.fleet.stacks import find_stack
from vpai_tui.verbs import say_stacks as show
from vpai_tui.verbs.ask import answer, confirm, confirmed
from vpai_tui.verbs.run import Verb
from vpai_tui.world import World


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
    for plan in plans:
        refuse_held(plan)
    if any(not plan.empty for plan in plans):
        confirm([plan.confirm_word for plan in plans if not plan.empty], "deploy", args)
    done: list[Plan] = []
    for plan in plans:
        try:
            last = await _carry_out(deployer.apply(plan), plan.stack, plan, args)
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


async def _carry_out(events: Any, stack: str, plan: Plan | None, args: Namespace) -> Finished:
    """Prints the events as they come; returns the last."""
    printer = show.EventPrinter(as_json=args.json)
    if plan is not None:
        printer.planned(plan)
    last: Finished | None = None
    async with aclosing(events):
        async for event in events:
            printer.event(event)
            if isinstance(event, Finished):
                last = event
    if last is None:
        raise OperatorError("the operation ended without an outcome", remedy="vpai-tui status")
    if last.outcome is Outcome.REVERT_FAILED and not args.json:
        for line in after_failed_revert(stack, last.release, last.reason):
            print(line, file=sys.stderr)
    return last


async def _take_back(deployer: Any, done: Sequence[Plan], args: Namespace) -> None:
    """Offers, in reverse order, to roll back what this command committed before something failed.

    One that cannot be taken back does not keep the others from it.
    """
    for plan in reversed(done):
        if plan.base is None and not plan.adopts:
            print(f"{plan.stack} was deployed for the first time and stays as it is", file=sys.stderr)
            continue
        try:
            taken = await _taken_back(deployer, plan, args)
        except OperatorError as error:
            taken = False
            print(f"{plan.stack}: {error}", file=sys.stderr)
        if not taken:
            by_hand = f"vpai-tui rollback {plan.stack}" + (f" --to {plan.base}" if plan.base else "")
            print(f"{plan.stack} was not taken back; to take it back: {by_hand}", file=sys.stderr)


async def _taken_back(deployer: Any, plan: Plan, args: Namespace) -> bool:
    """Shows the way back, asks, and goes it. What may cost data takes its name, typed now: no flag was given for it."""
    back: Plan = await deployer.plan_rollback(plan.stack, plan.base)
    if not args.json:
        show.plans([back], as_json=False)
    refuse_held(back)
    word = back.confirm_word or (back.stack if back.dangers else None)
    before = plan.base or "what ran before"
    if word is None:
        agreed = args.take_back or confirmed(f"take {plan.stack} back to {before}?", args)
    else:
        agreed = answer(f"type {word} to take {plan.stack} back to {before}: ", args) == word
    return agreed and not (await _carry_out(deployer.apply(back), back.stack, back, args)).exit_code


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
    refuse_held(plan)
    if not plan.empty:
        confirm([plan.confirm_word], "roll back", args)
    return (await _carry_out(deployer.apply(plan), plan.stack, plan, args)).exit_code


async def _settle(world: World, args: Namespace) -> int:
    stack = find_stack(world.stacks, args.stack)
    deployer = world.deployer()
    release = await deployer.interrupted(stack.id)
    word = confirm_word(stack.id, data=bool(stack.spec.data), hub=world.fleet.hosts[stack.host].hub)
    confirm([word], f"{args.verb} the interrupted deploy {release} of {stack.id}", args)
    last = await _carry_out(deployer.settle(stack.id, args.verb), stack.id, None, args)
    settled = args.verb == "revert" and last.outcome is Outcome.REVERTED
    return 0 if settled else last.exit_code


VERBS: dict[str, Verb] = {
    "plan": _plan,
    "deploy": _deploy,
    "releases": _releases,
    "rollback": _rollback,
    "revert": _settle,
    "resume": _settle,
}
