"""The AI budget: what is spent, the cap, eco mode."""

from __future__ import annotations

from argparse import Namespace

from vpai_tui.budget.change import Change
from vpai_tui.budget.prove import Proof
from vpai_tui.budget.session import Budget
from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.operation import Finished
from vpai_tui.verbs import say_budget as show
from vpai_tui.verbs.ask import confirm
from vpai_tui.verbs.run import Verb
from vpai_tui.verbs.say_stacks import EventPrinter
from vpai_tui.world import World


async def _run(world: World, args: Namespace) -> int:
    budget = world.budget(read_only=args.read_only)
    if args.action == "set":
        return await _turn(budget, await budget.plan_cap(args.usd), args)
    if args.action == "eco":
        return await _eco(budget, args)
    if args.action == "undo":
        planned = await budget.plan_undo()
        if planned is None:
            raise UsageError("this laptop has changed nothing of the budget yet", remedy="vpai-tui history")
        return await _turn(budget, planned, args)
    if args.action == "prove":
        proof = await _prove(budget, args.alias, args)
        show.proof(proof, as_json=args.json)
        return int(not proof.good)
    show.budget(await budget.snapshot(), as_json=args.json)
    return 0


async def _eco(budget: Budget, args: Namespace) -> int:
    code = await _turn(budget, await budget.plan_mode(args.word), args)
    if code or args.prove is None:
        return code
    proof = await _prove(budget, args.prove, args)
    show.proof(proof, as_json=args.json, line=True)
    return int(not proof.good)


async def _turn(budget: Budget, planned: Change, args: Namespace) -> int:
    """Shows the plan, has it confirmed, carries it out; the exit code."""
    if not args.json:
        show.change(planned, as_json=False)
    if not planned.empty:
        confirm([planned.word], planned.title, args)
    if args.json:
        show.change(planned, as_json=True)
    printer = EventPrinter(as_json=args.json)
    last: Finished | None = None
    async for event in budget.apply(planned, typed=planned.word or ""):
        printer.event(event)
        last = event if isinstance(event, Finished) else last
    if last is None:
        raise OperatorError("it ended without an outcome", remedy="vpai-tui budget")
    if not args.json and not planned.empty and last.exit_code == 0:
        print(f"back: {planned.undo}")
    return last.exit_code


async def _prove(budget: Budget, alias: str, args: Namespace) -> Proof:
    """One live call; what costs money is said and confirmed before."""
    found = await budget.question(alias or None)
    show.asked(found, as_json=args.json)
    if found.costs:
        confirm([None], f"make one paid call to {found.alias}", args)
    return await budget.prove(found.alias)


VERBS: dict[str, Verb] = {"budget": _run}
