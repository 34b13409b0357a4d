"""What a plan would take of the host that is somebody else's, and data that it would leave behind."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vpai_tui.deploy.claims import LIVE, address, is_shared, resolved, said, same_port, shared_data
from vpai_tui.deploy.facts import Held, HostFacts, Occupant
from vpai_tui.deploy.host import Place, probe
from vpai_tui.deploy.renames import left_running, project_moved, replacing
from vpai_tui.deploy.survey import Found, likeness
from vpai_tui.errors import Collision, PreflightRefused
from vpai_tui.fleet.compose import default_name
from vpai_tui.fleet.operation import Cause, Change, Effect, Plan
from vpai_tui.fleet.stacks import Stack
from vpai_tui.remote.connection import Connection
from vpai_tui.text import clean


@dataclass(frozen=True, slots=True)
class Moved:
    """A writable mount of a running service that the plan gives another source (None: no mount there any more)."""

    service: str
    target: str
    before: Held
    after: Held | None

    @property
    def cause(self) -> Cause:
        after = said(self.after) if self.after else "not mounted any more"
        return Cause("mount", f"{self.target}: {said(self.before)} → {after}", danger=True)


# ── collisions ───────────────────────────────────────────────────────────────────────────────────────────────────────


def collisions(
    changes: Sequence[Change],
    facts: HostFacts,
    project: str,
    services: Sequence[str],
    beside: Sequence[Stack] = (),
    *,
    stack: str = "",
) -> list[str]:
    """One sentence for each container that holds what a service to be created wants, or is that service already. Pure.

    `beside` are the other stacks of the host: what is theirs by the laptop's files is no stranger. `stack` is the short
    name of the plan's own: what a deploy of another made is no stranger to services without data either. A container
    that the plan removes goes first (see `renames`).
    """
    mine = {*services, *(change.service for change in changes if change.effect is Effect.REMOVE)}
    others = [item for item in facts.occupants if not (item.project == project and item.service in mine)]
    return [
        f"{change.service} would be created, but {what} the container {other.name} ({_whose(other)})"
        for change in changes
        if change.effect is Effect.CREATE
        for other in others
        for what in _taken(
            change,
            other,
            facts,
            project,
            known=_is_known(other, beside),
            of_another=not change.has_data and _of_another_stack(other, stack),
        )
    ]


def _whose(other: Occupant) -> str:
    return f"project {other.project}, service {other.service}" if other.project else "made by hand"


def _is_known(other: Occupant, beside: Sequence[Stack]) -> bool:
    return any(other.project == stack.project and other.service in stack.services for stack in beside)


def _of_another_stack(other: Occupant, stack: str) -> bool:
    """Whether a deploy of another stack made it, by the release that its compose files lie in."""
    made = re.search(r"/deploy/stacks/([^/,]+)/releases/", other.config_files)
    return made is not None and bool(stack) and made[1] != stack


def _taken(
    change: Change, other: Occupant, facts: HostFacts, project: str, *, known: bool, of_another: bool
) -> Iterator[str]:
    service, live = change.service, other.state in LIVE
    alike = _likeness(service, other, facts, project)
    if facts.named.get(service, default_name(project, service)) == other.name:
        yield f"{other.name} is the name of"
    for port in facts.published.get(service, ()) if live else ():
        if any(same_port(port, held) for held in other.ports):
            yield f"port {address(port)} is one of"
    twin = change.has_data and "image" in alike  # two servers of one kind on one data, whoever wrote it so
    if twin or (not known and (live or change.has_data)):
        for held in shared_data(service, other, facts):
            yield f"{said(held)} is the data of"
    if not known and not of_another and _is_it(change, other, alike):
        yield f"it runs already ({', '.join(alike)} are the same) as"


def _likeness(service: str, other: Occupant, facts: HostFacts, project: str) -> tuple[str, ...]:
    """What speaks for a container being that service, by the same scores as `adopt`."""
    body = {
        "image": facts.refs.get(service),
        "container_name": facts.named.get(service),
        "ports": [{"published": port.port, "protocol": port.protocol} for port in facts.published.get(service, ())],
        "volumes": [
            {
                "type": "volume" if held.volume else "bind",
                "source": held.source,
                "target": held.target,
                "read_only": not held.writable,
            }
            for held in facts.mounts.get(service, ())
        ],
    }
    ports = frozenset((port.port, port.protocol) for port in other.ports)
    found = Found(
        other.id, other.name, other.state, other.image, other.project, other.service, ports=ports, mounts=other.mounts
    )
    return likeness(project, service, body, found).evidence


def _is_it(change: Change, other: Occupant, alike: Sequence[str]) -> bool:
    """A database is known by its name and image; another by what it holds of the host besides."""
    named = "service" in alike or (not other.project and "name" in alike)
    if change.has_data:
        return named and ("image" in alike or "image's name" in alike)
    return named and "image" in alike and ("port" in alike or "mount" in alike)


# ── data ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def moved(changes: Sequence[Change], facts: HostFacts) -> list[Moved]:
    """The writable mounts of running services that are to be recreated, and have another source then. Pure.

    A mount that vanishes counts as well; a volume without a name follows its service.
    """
    there = {item.id: item for item in facts.occupants}
    running = {item.service: there[item.id] for item in facts.containers if item.id in there}
    found: list[Moved] = []
    for change in changes:
        if change.effect is not Effect.RECREATE or change.service not in running:
            continue
        after = {item.target: resolved(item, facts) for item in facts.mounts.get(change.service, ())}
        for held in running[change.service].mounts:
            new = after.get(held.target)
            gone = new is None and not _anonymous(held)
            if held.writable and not is_shared(held) and (gone or (new is not None and not _same(held, new))):
                found.append(Moved(change.service, held.target, held, new))
    return found


def _anonymous(held: Held) -> bool:
    return held.volume and len(held.source) == 64 and set(held.source) <= set("0123456789abcdef")


def _same(one: Held, other: Held) -> bool:
    if one.volume != other.volume:
        return False
    return one.source == other.source if one.volume else posixpath.normpath(one.source) == other.source


def with_dangers(plan: Plan, found: Sequence[Moved]) -> Plan:
    """`plan` in which each moved mount is a cause in red of its service, and the stack's name is to be typed."""
    if not found:
        return plan
    changes = tuple(
        replace(change, causes=(*change.causes, *(it.cause for it in found if it.service == change.service)))
        for change in plan.changes
    )
    dangers = tuple(Cause("mount", f"{it.service} {it.cause.detail}", danger=True) for it in found)
    return replace(plan, changes=changes, dangers=(*plan.dangers, *dangers), confirm_word=plan.stack)


_FILLED = r"""
path() { case $1 in /*) printf '%s' "$1" ;; *) $DOCKER volume inspect -f '{{.Mountpoint}}' "$1" 2>/dev/null ;; esac; }
while [ $# -gt 0 ]; do
  place=$(path "$1"); shift
  if [ -z "$place" ] || [ ! -e "$place" ]; then echo missing
  elif [ -d "$place" ] && [ -z "$(ls -A "$place" | head -n 1)" ]; then echo empty
  else echo filled; fi
done
"""


async def guarded(
    connection: Connection,
    place: Place,
    plan: Plan,
    facts: HostFacts,
    services: Sequence[str],
    stacks: Sequence[Stack] = (),
) -> Plan:
    """`plan` with the dangers of its mounts and of a new project's name. `stacks`: all that the laptop knows.

    Raises:
        Collision: it would create what somebody else's container is in the way of, or what runs already.
        PreflightRefused: it would put an empty place where data is, or the stack runs under another project.
    """
    if not any(change.effect in (Effect.CREATE, Effect.RECREATE) for change in plan.changes):
        return plan  # nothing is taken and nothing left behind: the host is not asked
    facts.occupants = (await probe(connection, place, "occupants")).occupants
    beside = [item for item in stacks if item.host == connection.name and item.id != plan.stack]
    _refuse_left(plan, connection.name, left_running(facts, place.project, services, beside), place.project)
    problems = collisions(plan.changes, facts, place.project, services, beside, stack=place.stack)
    if problems:
        remedy = (
            f"`vpai-tui adopt {connection.name}` takes over what runs; what nobody needs any more is stopped and "
            "removed by hand; else change the stack"
        )
        raise _refusal(Collision, plan, connection.name, problems, remedy)
    found = moved(plan.changes, facts)
    bare = await _bare(connection, place, found)
    if bare:
        remedy = "copy the data there first, or name where it is in compose.yaml or adopted/HOST.yaml"
        raise _refusal(PreflightRefused, plan, connection.name, bare, remedy)
    plan = replacing(project_moved(plan, facts, place.project), facts, place.project)
    return with_dangers(plan, found)


def _refuse_left(plan: Plan, host: str, left: Sequence[Occupant], project: str) -> None:
    if left:
        was, names = left[0].project, " ".join(item.name for item in left)
        problems = [
            f"its project was {was} and is {project} now, and {item.name} ({_whose(item)}) is still there: "
            "a second one would be created beside it"
            for item in left
        ]
        remedy = (
            f"put `project: {was}` back in stack.yaml; or, if the new name is meant, take the old ones down by hand "
            f"(docker stop {names} && docker rm {names}) and move their data to the new volumes"
        )
        raise _refusal(PreflightRefused, plan, host, problems, remedy)


async def _bare(connection: Connection, place: Place, found: Sequence[Moved]) -> list[str]:
    """A sentence for each mount whose data would be replaced by nothing."""
    checked = [item for item in found if item.after is not None]
    if not checked:
        return []
    sources = [held.source for item in checked for held in (item.before, item.after) if held is not None]
    argv = [*("sh", "-c", f"DOCKER='{place.docker}'\n{_FILLED}", "sh"), *sources]
    done = await connection.run(argv, root=True, timeout_s=30, label=f"look at the data of {place.stack}")
    states = clean(done.stdout).split()
    pairs = zip(checked, states[::2], states[1::2], strict=True)
    return [
        f"{item.service} {item.cause.detail}: the new one is {after} on the host, and the old one has data"
        for item, before, after in pairs
        if before == "filled" and after != "filled"
    ]


def _refusal(
    kind: type[PreflightRefused], plan: Plan, host: str, problems: Sequence[str], remedy: str
) -> PreflightRefused:
    more = f" (and {len(problems) - 1} more)" if problems[1:] else ""
    return kind(
        f"{plan.stack} cannot be deployed: {problems[0]}{more}",
        host=host,
        step="preflight",
        output="\n".join(problems),
        remedy=remedy,
    )
