"""`adopt HOST`: the mapping shown, corrected, accepted; then the file is written and the way back recorded."""

from __future__ import annotations

from argparse import Namespace

from vpai_tui.deploy.adopt import Proposal
from vpai_tui.deploy.survey import Survey
from vpai_tui.errors import OperatorError, PreflightRefused, UsageError
from vpai_tui.fleet.operation import Event, Finished
from vpai_tui.verbs import say_adopt as show
from vpai_tui.verbs.ask import answer, confirm
from vpai_tui.verbs.run import Verb
from vpai_tui.world import World


async def _adopt(world: World, args: Namespace) -> int:
    adopter = world.adopter()
    adopter.stacks_of(args.host)
    connection = await world.connection(args.host)
    docker = world.docker(connection)
    found = _mapped(await adopter.survey(connection, docker), args.map)
    if args.show:
        show.survey(found, as_json=args.json)
        return 0
    if not args.json:
        show.survey(found, as_json=False)
        found = _corrected(found, args)
    if not any(match.choice for match in found.matches) and not found.undecided:
        raise PreflightRefused(
            "nothing that runs there is a service of ours",
            host=args.host,
            step="adopt",
            remedy="name one with --map SERVICE=CONTAINER, or deploy the stacks",
        )
    proposal = await adopter.propose(found, docker, args.root)
    if not args.json:
        show.proposal(proposal)
    confirm([None], f"adopt {args.host} as written above", args)
    events: list[Event] = []
    async for event in adopter.carry_out(connection, proposal):
        events.append(event)
        if not args.json:
            show.event(event)
    return _ended(found, proposal, events, args)


def _mapped(found: Survey, words: list[str]) -> Survey:
    for word in words:
        service, equals, container = word.partition("=")
        if not equals or not service or not container:
            raise UsageError(f"--map {word}: expected SERVICE=CONTAINER or SERVICE=-", remedy="vpai-tui adopt --help")
        found = found.choose(service, None if container == "-" else container)
    return found


def _corrected(found: Survey, args: Namespace) -> Survey:
    """The operator's corrections, one a line, where there is a terminal and `--yes` was not given."""
    while not args.yes:
        line = answer("correct it (SERVICE=CONTAINER, SERVICE=-), or Enter to go on: ", args)
        if not line:
            break
        try:
            found = _mapped(found, line.split())
        except UsageError as error:
            print(f"  {error.message}; {error.remedy}")
            continue
        show.survey(found, as_json=False)
    return found


def _ended(found: Survey, proposal: Proposal, events: list[Event], args: Namespace) -> int:
    last = events[-1] if events else None
    if not isinstance(last, Finished):
        raise OperatorError(
            "the adoption ended without an outcome", host=args.host, remedy=f"vpai-tui adopt {args.host}"
        )
    if args.json:
        show.adopted(found, proposal, events, last)
    return last.exit_code


VERBS: dict[str, Verb] = {"adopt": _adopt}
