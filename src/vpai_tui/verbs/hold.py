"""Freezing deploys on a host, and letting them go again."""

from __future__ import annotations

from argparse import Namespace

from vpai_tui.fleet.history import who
from vpai_tui.verbs.ask import confirm, line
from vpai_tui.verbs.run import Verb
from vpai_tui.verbs.say import document
from vpai_tui.world import World


async def _hold(world: World, args: Namespace) -> int:
    deployer = world.deployer()
    if args.off:
        return await _lift(world, args)
    why = args.why if args.why is not None else line("why (everybody is shown it): ", args)
    hold = await deployer.hold(args.host, why)
    if args.json:
        document({"host": args.host, "hold": hold._asdict(), "lifted": None})
    else:
        print(f"deploys on {args.host} are held {hold.told}")
        print(f"→ when that is done: vpai-tui hold {args.host} --off")
    return 0


async def _lift(world: World, args: Namespace) -> int:
    deployer = world.deployer()
    hold = await deployer.held(args.host)
    if hold is not None:
        if hold.by != who():  # one's own is lifted without a question, somebody else's is theirs
            confirm([None], f"lift the hold {hold.told}", args)
        await deployer.lift(args.host, hold)
    if args.json:
        document({"host": args.host, "hold": None, "lifted": hold._asdict() if hold else None})
    else:
        print(
            f"deploys on {args.host} are free again; they were held {hold.told}" if hold else "nothing was held there"
        )
    return 0


VERBS: dict[str, Verb] = {
    "hold": _hold,
}
