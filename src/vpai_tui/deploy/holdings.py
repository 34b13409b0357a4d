"""What a plan would take of the host that is somebody else's, and data that it would leave behind."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vpai_tui.deploy.facts import Held, HostFacts, Occupant, Published
from vpai_tui.deploy.host import Place, probe
from vpai_tui.errors import Collision, PreflightRefused
from vpai_tui.fleet.compose import default_name
from vpai_tui.fleet.operation import Cause, Change, Effect, Plan
from vpai_tui.remote.connection import Connection
from vpai_tui.text import clean

_EVERY_V4, _EVERY_V6 = "0.0.0.0", "::"  # noqa: S104 (addresses to compare, not to bind)
# Written to by several containers on purpose, and nobody's data.
_SHARED = ("/dev", "/proc", "/run", "/sys", "/tmp", "/var/run")  # noqa: S108 (paths to compare)
_OURS = "/deploy/stacks/"  # what Compose made a container from, where a deploy of ours did
_LIVE = ("running", "restarting", "paused")


@dataclass(frozen=True, slots=True)
class Moved:
    """A writable mount of a running service that the plan gives another source (None: no mount there any more)."""

    service: str
    target: str
    before: Held
    after: Held | None

    @property
    def cause(self) -> Cause:
        after = _said(self.after) if self.after else "not mounted any more"
        return Cause("mount", f"{self.target}: {_said(self.before)} → {after}", danger=True)


def _said(held: Held) -> str:
    return f"volume {held.source}" if held.volume else held.source


# ── collisions ───────────────────────────────────────────────────────────────────────────────────────────────────────


def collisions(changes: Sequence[Change], facts: HostFacts, project: str, services: Sequence[str]) -> list[str]:
    """One sentence for each container that holds what a service to be created wants. Pure."""
    others = [item for item in facts.occupants if not (item.project == project and item.service in services)]
    return [
        f"{change.service} would be created, but {what} of the container {other.name} ({_whose(other)})"
        for change in changes
        if change.effect is Effect.CREATE
        for other in others
        for what in _taken(change.service, other, facts, project)
    ]


def _whose(other: Occupant) -> str:
    return f"project {other.project}, service {other.service}" if other.project else "made by hand"


def _taken(service: str, other: Occupant, facts: HostFacts, project: str) -> Iterator[str]:
    name = facts.named.get(service, default_name(project, service))
    if name == other.name:
        yield f"{name} is the name"
    if other.state not in _LIVE:
        return
    for port in facts.published.get(service, ()):
        if any(same_port(port, held) for held in other.ports):
            yield f"port {_address(port)} is one"
    if _OURS in other.config_files:
        return  # two of our stacks share a directory because the operator wrote it so
    data = {item.source for item in other.mounts if item.writable and not _is_shared(item)}
    for mount in facts.mounts.get(service, ()):
        held = resolved(mount, facts)
        if held.writable and held.source in data and not _is_shared(held):
            yield f"{_said(held)} is the data"


def _address(port: Published) -> str:
    return f"{port.address}:{port.port}" if port.address else port.port


def _is_shared(held: Held) -> bool:
    return not held.volume and (held.source == "/" or any(held.source.startswith(path) for path in _SHARED))


def resolved(mount: Held, facts: HostFacts) -> Held:
    """A wanted mount with its volume's name in place of its key, its path without detours."""
    source = facts.volumes.get(mount.source, mount.source) if mount.volume else posixpath.normpath(mount.source)
    return replace(mount, source=source)


def same_port(one: Published, other: Published) -> bool:
    """Whether both want one port of one address: `0.0.0.0` is every IPv4 one, `::` every IPv6 one, none is all."""
    return one.protocol == other.protocol and _ranges_meet(one.port, other.port) and _meet(one.address, other.address)


def _meet(one: str, other: str) -> bool:
    if not one or not other or one == other:
        return True
    if (":" in one) != (":" in other):
        return False
    return bool({one, other} & {_EVERY_V4, _EVERY_V6})


def _ranges_meet(one: str, other: str) -> bool:
    (first, last), (begin, end) = _range(one), _range(other)
    return first <= end and begin <= last


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last or first)


# ── data ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def moved(changes: Sequence[Change], facts: HostFacts) -> list[Moved]:
    """The writable mounts of running services that are to be recreated, and have another source then. Pure.

    A mount that vanishes counts where the service holds data; a volume without a name follows its service.
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
            gone = new is None and change.has_data and not _anonymous(held)
            if held.writable and not _is_shared(held) and (gone or (new is not None and not _same(held, new))):
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


async def guarded(connection: Connection, place: Place, plan: Plan, facts: HostFacts, services: Sequence[str]) -> Plan:
    """`plan` with the dangers of its mounts.

    Raises:
        Collision: it would create what somebody else's container is in the way of.
        PreflightRefused: it would put an empty place where data is.
    """
    if not any(change.effect in (Effect.CREATE, Effect.RECREATE) for change in plan.changes):
        return plan  # nothing is taken and nothing left behind: the host is not asked
    facts.occupants = (await probe(connection, place, "occupants")).occupants
    problems = collisions(plan.changes, facts, place.project, services)
    if problems:
        remedy = f"`vpai-tui adopt {connection.name}` takes over what runs; else change the stack"
        raise _refusal(Collision, plan, connection.name, problems, remedy)
    found = moved(plan.changes, facts)
    bare = await _bare(connection, place, found)
    if bare:
        remedy = "copy the data there first, or name where it is in compose.yaml or adopted/HOST.yaml"
        raise _refusal(PreflightRefused, plan, connection.name, bare, remedy)
    return with_dangers(plan, found)


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
