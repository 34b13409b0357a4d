"""Which container of a host is which service of ours, told by what can be seen of it; nothing is guessed silently."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vpai_tui.deploy.facts import Held
from vpai_tui.errors import UsageError
from vpai_tui.fleet.compose import default_name, mounts_of, services_of
from vpai_tui.fleet.stacks import Stack
from vpai_tui.remote.docker import Docker
from vpai_tui.text import clean_line

LEAST = 4  # points below which a container is no candidate
NEAR = 1  # a rival this close to the best must be decided about

_LABEL = "com.docker.compose."


@dataclass(frozen=True, slots=True)
class Found:
    """A container of the host, as its engine lists it."""

    id: str
    name: str
    state: str
    image: str
    project: str = ""  # empty: not made by Compose
    service: str = ""
    config_files: str = ""
    working_dir: str = ""
    ports: frozenset[tuple[str, str]] = frozenset()  # published, as (port, protocol)
    mounts: tuple[Held, ...] = ()
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A container that may be a service: points, and the words for what speaks for it."""

    found: Found
    points: int
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """One service of ours. `choice` None and not `undecided`: no container, or left out by the operator."""

    stack: str  # host/stack
    service: str
    candidates: tuple[Candidate, ...] = ()
    choice: Candidate | None = None
    undecided: bool = False  # several come near each other: the operator must say which

    @property
    def id(self) -> str:
        return f"{self.stack}/{self.service}"


@dataclass(frozen=True, slots=True)
class Survey:
    """A host's containers against its stacks' services, in the stacks' order."""

    host: str
    matches: tuple[Match, ...]
    containers: tuple[Found, ...]
    deployed: frozenset[str] = frozenset()  # stacks with a release of ours below the root of fleet.yaml
    adopted: frozenset[str] = frozenset()  # stacks that the host's file names already

    @property
    def unclaimed(self) -> tuple[Found, ...]:
        """Containers that are no service of ours."""
        claimed = {match.choice.found.id for match in self.matches if match.choice}
        return tuple(item for item in self.containers if item.id not in claimed)

    @property
    def undecided(self) -> tuple[Match, ...]:
        return tuple(match for match in self.matches if match.undecided)

    def choose(self, service: str, container: str | None) -> Survey:
        """That service mapped to the container of that name, or to none; a service that had it loses it.

        Raises:
            UsageError: there is no such service or container.
        """
        wanted = self._match(service)
        candidate = None if container is None else self._candidate(wanted, container)
        matches = []
        for match in self.matches:
            if match is wanted:
                match = replace(match, choice=candidate, undecided=False)
            elif candidate and match.choice and match.choice.found.id == candidate.found.id:
                match = replace(match, choice=None)
            matches.append(match)
        return replace(self, matches=tuple(matches))

    def _match(self, name: str) -> Match:
        fitting = [match for match in self.matches if match.id == name or match.id.endswith(f"/{name}")]
        if len(fitting) != 1:
            known = ", ".join(match.id for match in fitting or self.matches)
            raise UsageError(
                f'"{name}" is {"several services" if fitting else "no service"} of {self.host}', remedy=known
            )
        return fitting[0]

    def _candidate(self, match: Match, container: str) -> Candidate:
        known = next((item for item in match.candidates if item.found.name == container), None)
        found = next((item for item in self.containers if item.name == container), None)
        if found is None:
            names = ", ".join(item.name for item in self.containers)
            raise UsageError(f'{self.host} has no container "{clean_line(container)}"', remedy=f"it has: {names}")
        return known or Candidate(found, 0, ("chosen",))


async def containers_of(docker: Docker) -> tuple[Found, ...]:
    """Every container of a host but those that only hold images and those of `compose run`, by name."""
    answer = await docker.call("containers", all=True)
    found = [_found(entry) for entry in answer if isinstance(entry, dict)]
    return tuple(sorted((item for item in found if item is not None), key=lambda item: item.name))


def _found(entry: Mapping[str, Any]) -> Found | None:
    labels = {str(key): clean_line(str(value)) for key, value in (entry.get("Labels") or {}).items()}
    names = entry.get("Names") or [""]
    if labels.get("vpai.keep") or labels.get(f"{_LABEL}oneoff", "").lower() == "true":
        return None
    ports = frozenset(
        (str(port["PublicPort"]), str(port.get("Type") or "tcp"))
        for port in entry.get("Ports") or ()
        if port.get("PublicPort")
    )
    networks = (entry.get("NetworkSettings") or {}).get("Networks") or {}
    return Found(
        id=clean_line(str(entry.get("Id"))),
        name=clean_line(str(names[0])).lstrip("/"),
        state=clean_line(str(entry.get("State"))),
        image=clean_line(str(entry.get("Image"))),
        project=labels.get(f"{_LABEL}project", ""),
        service=labels.get(f"{_LABEL}service", ""),
        config_files=labels.get(f"{_LABEL}project.config_files", ""),
        working_dir=labels.get(f"{_LABEL}project.working_dir", ""),
        ports=ports,
        mounts=tuple(_held(item) for item in entry.get("Mounts") or () if item.get("Type") in ("bind", "volume")),
        networks=tuple(sorted(clean_line(str(name)) for name in networks)),
    )


def _held(item: Mapping[str, Any]) -> Held:
    volume = item["Type"] == "volume"
    source = clean_line(str((item.get("Name") if volume else item.get("Source")) or ""))
    return Held(source, clean_line(str(item.get("Destination") or "")), volume, bool(item.get("RW")))


# ── scores ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def survey(
    host: str,
    stacks: Sequence[Stack],
    containers: Sequence[Found],
    deployed: Iterable[str] = (),
    adopted: Iterable[str] = (),
) -> Survey:
    """Each service with its candidates, the best chosen where it stands out. Pure."""
    rows = [(stack, service) for stack in stacks for service in stack.services]
    found = {(stack.id, service): _candidates(stack, service, containers) for stack, service in rows}
    taken = _assigned(found)
    open_ = _undecided(found, taken)
    matches = [
        Match(*key, candidates, None if key in open_ else taken.get(key), key in open_)
        for key, candidates in found.items()
    ]
    return Survey(host, tuple(matches), tuple(containers), frozenset(deployed), frozenset(adopted))


_Key = tuple[str, str]


def _assigned(found: Mapping[_Key, Sequence[Candidate]]) -> dict[_Key, Candidate]:
    """Each container to the one service it speaks for most, the clearest first."""
    pairs = sorted(
        ((item.points, key, item) for key, candidates in found.items() for item in candidates),
        key=lambda pair: (-pair[0], pair[1], pair[2].found.name),
    )
    taken: dict[_Key, Candidate] = {}
    used: set[str] = set()
    for _, key, candidate in pairs:
        if key not in taken and candidate.found.id not in used:
            taken[key] = candidate
            used.add(candidate.found.id)
    return taken


def _undecided(found: Mapping[_Key, Sequence[Candidate]], taken: Mapping[_Key, Candidate]) -> set[_Key]:
    """The services for which another container comes too near, or one that is not another service's for certain."""
    open_: set[_Key] = set()
    while True:
        sure = {item.found.id: (key, item.points) for key, item in taken.items() if key not in open_}
        more = {key for key in found if key not in open_ and _disputed(found[key], taken.get(key), sure, key)}
        if not more:
            return open_
        open_ |= more


def _disputed(
    candidates: Sequence[Candidate], mine: Candidate | None, sure: Mapping[str, tuple[_Key, int]], key: _Key
) -> bool:
    for rival in candidates:
        if mine is not None and rival.found.id == mine.found.id:
            continue
        owner, points = sure.get(rival.found.id, (key, 0))
        firmly = owner != key and points > rival.points + NEAR
        if rival.points >= (mine or rival).points - NEAR and not firmly:
            return True
    return False


def _candidates(stack: Stack, service: str, containers: Sequence[Found]) -> tuple[Candidate, ...]:
    scored = (score(stack, service, item) for item in containers)
    return tuple(
        sorted((item for item in scored if item.points >= LEAST), key=lambda item: (-item.points, item.found.name))
    )


def score(stack: Stack, service: str, found: Found) -> Candidate:
    """How much speaks for `found` being that service, and what. Pure."""
    return likeness(stack.project, service, services_of(stack.compose)[service], found)


def likeness(project: str, service: str, body: Mapping[str, Any], found: Found) -> Candidate:
    """As `score`, of a service by its name and its body as a compose file has it. Pure."""
    told: list[tuple[int, str]] = []
    if found.service == service:
        told.append((4, "service"))
    if found.name in (body.get("container_name"), service, default_name(project, service)):
        told.append((3, "name"))
    elif _names(found.name, service):
        told.append((2, "name"))
    told += _image(body.get("image"), found.image)
    if published(body) & found.ports:
        told.append((3, "port"))
    targets = {mount.target for mount in mounts_of(body) if not mount.read_only}
    if targets & {held.target for held in found.mounts if held.writable}:
        told.append((2, "mount"))
    return Candidate(found, sum(points for points, _ in told), tuple(words for _, words in told))


def _names(container: str, service: str) -> bool:
    bare = container.removesuffix("-1").removesuffix("_1")
    return bare.endswith((f"_{service}", f"-{service}"))


def _image(ours: object, theirs: str) -> list[tuple[int, str]]:
    if not isinstance(ours, str) or "$" in ours:
        return []
    one, other = _repository(ours), _repository(theirs)
    if one == other:
        return [(3, "image")]
    return [(1, "image's name")] if posixpath.basename(one) == posixpath.basename(other) else []


def _repository(ref: str) -> str:
    bare = ref.split("@", 1)[0].removeprefix("docker.io/").removeprefix("library/")
    head, slash, last = bare.rpartition("/")
    return head + slash + last.split(":", 1)[0]


def published(body: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """The host's ports that a service publishes, as (port, protocol); one with a variable or a range is left out."""
    found = set()
    for entry in body.get("ports") or ():
        if isinstance(entry, dict):
            port, protocol = str(entry.get("published") or ""), str(entry.get("protocol") or "tcp")
        else:
            text, _, protocol = str(entry).partition("/")
            port = text.rpartition(":")[0].rpartition(":")[2]
        if port.isdecimal():
            found.add((port, protocol or "tcp"))
    return frozenset(found)
