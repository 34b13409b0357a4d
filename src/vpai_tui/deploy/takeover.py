"""A survey that was decided about → the names and places under which the stacks deploy onto what runs. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from vpai_tui.deploy.bundle import below
from vpai_tui.deploy.facts import Held
from vpai_tui.deploy.survey import Found, Match, Survey
from vpai_tui.errors import PreflightRefused
from vpai_tui.fleet.adopted import Adopted, AdoptedStack
from vpai_tui.fleet.compose import Mount, mounts_of, services_of
from vpai_tui.fleet.stacks import Stack


@dataclass(frozen=True, slots=True)
class Takeover:
    """What is written, and what the operator should know of it."""

    adopted: Adopted
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Places:
    """Where one stack's data is, as far as it is elsewhere than its compose.yaml says."""

    volumes: dict[str, str] = field(default_factory=dict)
    mounts: dict[str, dict[str, str]] = field(default_factory=dict)


def take_over(
    survey: Survey, stacks: Sequence[Stack], networks: Iterable[str], fleet_root: str, root: str | None = None
) -> Takeover:
    """`stacks`: those of the host as their compose.yaml has them; `networks`: all there are on the host.

    Raises:
        PreflightRefused: something is undecided, cannot be taken over, or has no common root; all of it at once.
    """
    problems = [_undecided(match) for match in survey.undecided]
    own = {stack.id: stack for stack in stacks}
    chosen = [match for match in survey.matches if match.choice]
    problems += [text for match in chosen if (text := unfit(match, own[match.stack]))]
    root, unclear = _root([match.choice.found for match in chosen if match.choice], fleet_root, root)
    problems += unclear
    if survey.deployed and root != fleet_root:
        problems.append(
            f"{', '.join(sorted(survey.deployed))} has releases below {fleet_root}: the root {root} would lose them"
        )
    projects = _projects(chosen, problems)
    if problems:
        raise _refusal(survey.host, problems)
    present, notes, found = frozenset(networks), [], {}
    for stack in stacks:
        project = projects.get(stack.id) or _beside(stack, stacks, projects)
        if project is None or _ours(stack, project, survey):
            continue
        mine = {match.service: match.choice.found for match in chosen if match.choice and match.stack == stack.id}
        places = _places(stack, mine, root)
        named, missing = _networks(stack, mine.values(), project, present)
        notes += missing
        containers = {service: item.name for service, item in mine.items()}
        found[stack.name] = AdoptedStack(
            project=project, containers=containers, networks=named, volumes=places.volumes, mounts=places.mounts
        )
    if not found:
        raise _refusal(survey.host, ["nothing there runs under other names than the stacks give it"])
    return Takeover(Adopted(root=root, stacks=found), tuple(dict.fromkeys(notes)))


def _refusal(host: str, problems: Sequence[str]) -> PreflightRefused:
    more = f" (and {len(problems) - 1} more)" if problems[1:] else ""
    return PreflightRefused(
        f"{host} cannot be adopted so: {problems[0]}{more}",
        host=host,
        step="adopt",
        output="\n".join(problems),
        remedy="nothing was changed; decide with --map SERVICE=CONTAINER or --map SERVICE=- (leave it out)",
    )


def _undecided(match: Match) -> str:
    names = ", ".join(item.found.name for item in match.candidates)
    return f"{match.id} may be {names}: say which"


def unfit(match: Match, stack: Stack) -> str:
    """Why the chosen container cannot become that service, with the remedy; empty when it can."""
    if match.choice is None:
        return ""
    found = match.choice.found
    if not found.project or not found.service:
        data = ", ".join(f"{held.target} from {held.source}" for held in found.mounts if held.writable)
        kept = f"; its data ({data}) stays: mount it in compose.yaml" if data else ""
        return (
            f"{match.id}: {found.name} was made by hand, and Compose takes only its own over: stop it, rename or "
            f"remove it, then deploy{kept}"
        )
    if found.service != match.service:
        return (
            f"{match.id}: {found.name} is the service {found.service} of the project {found.project}: rename "
            f"{match.service} to {found.service} in {stack.compose_path}"
        )
    return ""


def _projects(chosen: Sequence[Match], problems: list[str]) -> dict[str, str]:
    """By stack id: the one project that its containers are of."""
    found: dict[str, dict[str, str]] = {}
    for match in chosen:
        if match.choice:
            found.setdefault(match.stack, {})[match.choice.found.project] = match.service
    for stack, projects in found.items():
        if len(projects) > 1:
            told = ", ".join(f"{service} in {project}" for project, service in projects.items())
            problems.append(f"{stack} runs in several projects ({told}): a stack is of one; leave out what is not its")
    return {stack: next(iter(projects)) for stack, projects in found.items() if projects}


def _beside(stack: Stack, stacks: Sequence[Stack], projects: Mapping[str, str]) -> str | None:
    """The project of a stack of which nothing runs: that of those it shares its own project with."""
    shared = {projects[other.id] for other in stacks if other.project == stack.project and other.id in projects}
    return next(iter(shared)) if len(shared) == 1 else None


def _ours(stack: Stack, project: str, survey: Survey) -> bool:
    """Whether it was deployed by us under its own names, and so has nothing to be adopted."""
    return stack.id in survey.deployed and stack.id not in survey.adopted and stack.project == project


def _root(found: Sequence[Found], fleet_root: str, wanted: str | None) -> tuple[str, list[str]]:
    """The directory that relative paths stand on: where the containers' compose files were run."""
    if wanted:
        return wanted, []
    places = sorted({posixpath.normpath(item.working_dir) for item in found if item.working_dir})
    if not places:
        return fleet_root, []
    common = posixpath.commonpath(places)
    if common in (*places, fleet_root):
        return common, []
    return fleet_root, [f"the containers were started in {', '.join(places)}: name the host's root with --root"]


# ── places ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _places(stack: Stack, mine: Mapping[str, Found], root: str) -> _Places:
    places = _Places()
    keys: dict[str, set[str]] = {}
    for _, mount, held in _pairs(stack, mine):
        if mount.volume and held.volume:
            keys.setdefault(mount.source, set()).add(held.source)
    places.volumes = {key: next(iter(names)) for key, names in sorted(keys.items()) if len(names) == 1}
    for service, mount, held in _pairs(stack, mine):
        if mount.volume and places.volumes.get(mount.source) == held.source:
            continue
        if mount.volume or held.volume or posixpath.normpath(below(root, mount.source)) != held.source:
            places.mounts.setdefault(service, {})[mount.target] = held.source
    return places


def _pairs(stack: Stack, mine: Mapping[str, Found]) -> list[tuple[str, Mount, Held]]:
    """What a service wants at a place and its container has there; files that the stack ships are its own."""
    services = services_of(stack.compose)
    return [
        (service, mount, held)
        for service, found in mine.items()
        for mount in mounts_of(services[service])
        for held in found.mounts
        if held.target == mount.target and not _shipped(stack, mount)
    ]


def _shipped(stack: Stack, mount: Mount) -> bool:
    source = posixpath.normpath(mount.source)
    sent = [entry.path for entry in stack.spec.files]
    return not mount.volume and any(
        source in (path, ".") or path.startswith(f"{source}/") or source.startswith(f"{path}/") for path in sent
    )


# ── networks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _networks(
    stack: Stack, mine: Iterable[Found], project: str, present: frozenset[str]
) -> tuple[dict[str, str], list[str]]:
    """By key: the host's network of that name; and a note for each that has no counterpart."""
    attached = frozenset(name for item in mine for name in item.networks)
    found, notes = {}, []
    for key, definition in (stack.compose.get("networks") or {}).items():
        ours = str((definition or {}).get("name") or f"{project}_{key}")
        name = _network(str(key), ours, project, attached) or _network(str(key), ours, project, present)
        if name:
            found[str(key)] = name
        elif (definition or {}).get("external"):
            notes.append(f"network {key} of {stack.id} has no counterpart on the host: name it under networks")
    return found, notes


def _network(key: str, ours: str, project: str, pool: frozenset[str]) -> str | None:
    exact = [name for name in (f"{project}_{key}", ours, key) if name in pool]
    ending = [name for name in pool if name.endswith((f"_{key}", f"-{key}"))]
    return exact[0] if exact else ending[0] if len(ending) == 1 else None
