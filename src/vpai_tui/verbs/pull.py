"""Fetching a stack's files from its host."""

from __future__ import annotations

import re
from argparse import Namespace

from vpai_tui import config
from vpai_tui.clock import rfc3339
from vpai_tui.deploy.pull import fetch
from vpai_tui.deploy.pulled import Local, check, compare, only_here, write
from vpai_tui.errors import UsageError
from vpai_tui.fleet.history import Entry, who
from vpai_tui.verbs.ask import confirm
from vpai_tui.verbs.run import Verb
from vpai_tui.verbs.say import document
from vpai_tui.world import World

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}\Z")


async def _pull(world: World, args: Namespace) -> int:
    host, name = _which(world.fleet, args.stack)
    stack = f"{host}/{name}"
    kept = await fetch(await world.connection(host), name)
    notes = [*kept.notes, *check(kept, stack)]
    stacks_dir = config.find_stacks_dir(world.config_path)
    folder = stacks_dir / host / name
    local = compare(folder, kept)
    _ask(local, str(folder), args)
    aside = write(folder, kept, local, world.clock)
    world.history.append(Entry(rfc3339(world.clock.now()), who(), host, "pull", stack, "done", kept.release))
    notes += [f"{path} is only here: the next deploy would send it" for path in only_here(stacks_dir, stack, kept)]
    if stack not in world.fleet.stacks:
        notes.append(f"{world.config_path} does not name it yet: add {stack} to its stacks")
    notes.append("env files stay on the host; examples of them are not kept by a release")
    told = {"stack": stack, "release": kept.release, "directory": str(folder)}
    paths = {"new": list(local.new), "same": list(local.same), "replaced": list(local.differing)}
    if args.json:
        document({**told, **paths, "aside": str(aside) if aside else None, "notes": notes})
        return 0
    print(f"{stack}: the files of {kept.release} are in {folder}")
    marks = {"new": "+", "same": "=", "replaced": "~"}
    for word, found in paths.items():
        for path in found:
            print(f"  {marks[word]} {path}")
    if aside:
        print(f"  what was replaced lies in {aside}")
    for note in notes:
        print(f"  ! {note}")
    return 0


def _ask(local: Local, folder: str, args: Namespace) -> None:
    if not local.differing:
        return
    if not args.force:
        count = len(local.differing)
        raise UsageError(
            f"{count} {'file differs' if count == 1 else 'files differ'} in {folder} from the release that runs;"
            " nothing was written",
            output="\n".join(local.differing),
            remedy="look at them first; --force replaces them and keeps the present ones beside the folder",
        )
    confirm([None], f"replace {', '.join(local.differing[:6])} in {folder}", args)


def _which(fleet: config.Fleet, text: str) -> tuple[str, str]:
    """Host and short name; a stack that fleet.yaml does not name is given in full."""
    host, slash, name = text.partition("/")
    if not slash:
        fitting = [stack for stack in fleet.stacks if stack.partition("/")[2] == text]
        if len(fitting) != 1:
            what = f'"{text}" may be {" or ".join(fitting)}' if fitting else f'no stack "{text}" in fleet.yaml'
            raise UsageError(what, remedy="name it in full, as host/stack")
        host, _, name = fitting[0].partition("/")
    if host not in fleet.hosts:
        raise UsageError(f'no host "{host}"', remedy=f"known: {', '.join(fleet.hosts)}")
    if not _NAME.match(name):
        raise UsageError(f'"{name}" is no name of a stack', remedy="a stack's name has a-z, 0-9, - and _")
    return host, name


VERBS: dict[str, Verb] = {
    "pull": _pull,
}
