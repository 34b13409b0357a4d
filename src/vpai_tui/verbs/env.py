"""Env files: check, init, edit."""

from __future__ import annotations

from argparse import Namespace

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.verbs import say_env as show
from vpai_tui.verbs.ask import confirm
from vpai_tui.verbs.run import Verb
from vpai_tui.verbs.say import document
from vpai_tui.world import World


async def _env(world: World, args: Namespace) -> int:
    return await {"check": _check, "init": _init, "edit": _edit}[args.action](world, args)


async def _check(world: World, args: Namespace) -> int:
    report = await world.env_keeper().check(args.stack, args.file)
    if args.json:
        document(show.report_json(report))
    else:
        show.report(report)
    return 0 if report.ok else 1


async def _init(world: World, args: Namespace) -> int:
    keeper = world.env_keeper()
    plan = await keeper.plan(args.stack, args.file)
    if not args.json:
        show.plan(plan)
    if plan.empty:
        if args.json:
            document({"stack": plan.stack, "outcome": "unchanged", "files": [], "fill_in": []})
        return 0
    confirm([plan.confirm_word], f"write the env files of {plan.stack}", args)
    done = await keeper.init(plan)
    if args.json:
        document(show.done_json(plan, done))
    else:
        show.done(done)
    return 0


async def _edit(world: World, args: Namespace) -> int:
    if args.json:
        raise UsageError("env edit needs a terminal and prints no JSON", remedy="leave --json out")
    keeper = world.env_keeper()
    path, status = await keeper.edit(args.stack, args.file)
    if status:
        raise OperatorError(
            f"the editor ended with status {status}", step="env edit", remedy="what it said stands above"
        )
    report = await keeper.check(args.stack, path)
    show.report(report)
    try:
        found = await world.deployer().plan(args.stack)
        print(f"a deploy would now: {found.summary}" + ("" if found.empty else f"   (vpai-tui plan {found.stack})"))
    except OperatorError as error:
        print(f"a deploy would now be refused: {error}")
    return 0 if report.ok else 1


VERBS: dict[str, Verb] = {
    "env": _env,
}
