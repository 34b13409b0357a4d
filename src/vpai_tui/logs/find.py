"""Who a stream belongs to, and how Loki is asked for somebody's lines: by whatever labels there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vpai_tui.config import Fleet
from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.compose import default_name, services_of
from vpai_tui.fleet.containers import Engine, from_list
from vpai_tui.fleet.model import Container
from vpai_tui.fleet.stacks import Stack, find_service, find_stack
from vpai_tui.logs.model import Labels, Source
from vpai_tui.logs.query import everything, is_logql, selector
from vpai_tui.text import clean_line

IMAGE = "loki"
PORT = 3100
PREFERRED = ("container", "container_name", "compose_service", "service", "service_name", "app", "job")
_HOSTS = ("host", "hostname", "node", "nodename", "instance")
_STACKS = ("stack", "compose_project", "project")
# Ways to name a service, the shortest first; each label must be there in all of its streams.
_WAYS = (
    ("container",),
    ("container_name",),
    ("host", "container"),
    ("hostname", "container"),
    ("compose_project", "compose_service"),
    ("host", "compose_project", "compose_service"),
    ("host", "stack", "service"),
    ("host", "service"),
    ("service",),
    ("compose_service",),
    ("service_name",),
    ("host", "service_name"),
    ("job",),
)
_BROAD = (("host",), ("hostname",), ("host", "stack"), ("compose_project",), *_WAYS)


@dataclass(frozen=True, slots=True)
class Target:
    """Whose lines are wanted: of one service, a stack, a host, all (nothing given), or what `query` says."""

    host: str | None = None
    stack: str | None = None  # host/stack
    service: str | None = None
    query: str | None = None

    @property
    def name(self) -> str:
        if self.query is not None:
            return self.query
        return f"{self.stack}/{self.service}" if self.service else self.stack or self.host or "all hosts"

    def has(self, source: Source) -> bool:
        """Whether a stream of that source is meant."""
        wanted = (self.host, self.stack, self.service)
        return all(
            it is None or it == own for it, own in zip(wanted, (source.host, source.stack, source.service), strict=True)
        )


def target_of(text: str, fleet: Fleet, stacks: Sequence[Stack]) -> Target:
    """What `text` names: LogQL (it has a `{`), `all`, a host, a stack, else a service. UsageError when none fits."""
    if is_logql(text):
        return Target(query=text)
    if text in ("all", "*", ""):
        return Target()
    if text in fleet.hosts:
        return Target(host=text)
    try:
        stack, service = find_service(stacks, text)
    except UsageError as no_service:
        try:
            found = find_stack(stacks, text)
        except UsageError:
            raise no_service from None
        return Target(found.host, found.id)
    return Target(stack.host, stack.id, service)


# ── Loki's own place ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Place:
    """Where Loki may be: a host, and the stack's service where one is known."""

    host: str
    stack: Stack | None = None
    service: str = ""
    port: int = PORT


def places(fleet: Fleet, stacks: Sequence[Stack]) -> list[Place]:
    """Where to look for it: the stack that has it, else every host."""
    found = [
        Place(stack.host, stack, service, _port(stack, service))
        for stack in stacks
        for service in stack.services
        if base_name(stack.image(service) or "") == IMAGE
    ]
    return found or [Place(host) for host in fleet.hosts]


def _port(stack: Stack, service: str) -> int:
    return next((it.port for it in stack.spec.access if it.service == service and it.port), PORT)


async def container_at(place: Place, engine: Engine) -> Container:
    """Loki's container on that host. OperatorError when there is none, or it does not run."""
    found = [it for it in await containers(engine) if _is_loki(it, place)]
    running = [it for it in found if it.state == "running"]
    if running:
        return running[0]
    where = place.stack.id if place.stack else ""
    if found:
        raise OperatorError(
            f"Loki's container {found[0].name} is {found[0].state}", host=place.host, remedy=f"start {found[0].name}"
        )
    raise OperatorError(
        "there is no Loki container", host=place.host, remedy=f"deploy it: vpai-tui deploy {where}" if where else ""
    )


def _is_loki(container: Container, place: Place) -> bool:
    if place.stack is not None:
        return (container.project, container.service) == (place.stack.project, place.service)
    return base_name(container.image) == IMAGE


async def containers(engine: Engine) -> list[Container]:
    """All containers of a host, from its engine."""
    answer: Any = await engine.call("containers", all=True)
    return [it for it in map(from_list, answer if isinstance(answer, list) else ()) if it is not None]


def base_name(image: str) -> str:
    """`docker.io/grafana/loki:3.6.5@sha256:…` is loki."""
    return image.partition("@")[0].rsplit("/", 1)[-1].partition(":")[0].lower()


# ── labels and the fleet ─────────────────────────────────────────────────────────────────────────────────────────────


class Directory:
    """Labels into the cockpit's words. `home`: the host that Loki runs on, whose containers go first."""

    def __init__(self, fleet: Fleet, stacks: Sequence[Stack], home: str | None = None) -> None:
        self._hosts = tuple(fleet.hosts)
        self._home = home
        self._known: dict[Labels, Source] = {}
        self._services: list[tuple[Source, str, str]] = []  # source, container, project
        for stack in stacks:
            bodies = services_of(stack.compose)
            for service in stack.services:
                name = bodies[service].get("container_name")
                container = name if isinstance(name, str) else default_name(stack.project, service)
                self._services.append((Source(service, stack.host, stack.id, service), container, stack.project))

    def source(self, labels: Labels) -> Source:
        """Whose lines those of a stream with these labels are."""
        known = self._known.get(labels)
        if known is None:
            if len(self._known) > 10_000:
                self._known.clear()
            known = self._known[labels] = self._find(dict(labels))
        return known

    def container(self, target: Target) -> str | None:
        """The name that a service's container has by its stack's files."""
        return next((name for source, name, _ in self._services if target.service and target.has(source)), None)

    def _find(self, labels: Mapping[str, str]) -> Source:
        host = next((labels[it] for it in _HOSTS if labels.get(it) in self._hosts), None)
        for fitting in self._fitting(labels):
            here = [it for it in fitting if host is None or it.host == host]
            here = [it for it in here if it.host == self._home] or here if len(here) > 1 else here
            if len(here) == 1:
                return here[0]
        name = next((labels[it] for it in PREFERRED if labels.get(it)), None)
        return Source(clean_line(name or " ".join(f"{key}={value}" for key, value in labels.items()), 120), host)

    def _fitting(self, labels: Mapping[str, str]) -> Iterable[list[Source]]:
        """Services that may be meant, the surest guess first."""
        container = labels.get("container") or labels.get("container_name") or ""
        service = labels.get("compose_service") or labels.get("service") or labels.get("service_name") or ""
        stacks = {labels[it] for it in _STACKS if it in labels}
        everyone = self._services
        yield [it for it, name, _ in everyone if container and name == container]
        yield [
            it
            for it, _, project in everyone
            if service and it.service == service and (project in stacks or (it.stack or "").partition("/")[2] in stacks)
        ]
        yield [it for it, _, _ in everyone if service and it.service == service]
        ends = [container.endswith((f"_{it.service}", f"-{it.service}", f"-{it.service}-1")) for it, _, _ in everyone]
        yield [it for (it, _, _), fits in zip(everyone, ends, strict=True) if fits]
        yield [it for it, _, _ in everyone if container and it.service == container]

    def selector(self, target: Target, series: Sequence[Mapping[str, str]]) -> str | None:
        """How Loki is asked for the target's lines; None when it has no stream of it.

        The shortest set of labels that all its streams have and that fits no stream of somebody else.
        """
        if target.query is not None:
            return target.query
        keyed = [(tuple(sorted(it.items())), it) for it in series]
        wanted = [it for labels, it in keyed if target.has(self.source(labels))]
        others = [it for labels, it in keyed if not target.has(self.source(labels))]
        if not wanted:
            return None
        if not others:
            return everything(_common(wanted))
        for way in _WAYS if target.service else _BROAD:
            if all(label in it for label in way for it in wanted):
                values = {label: sorted({it[label] for it in wanted}) for label in way}
                if not any(all(it.get(label) in values[label] for label in way) for it in others):
                    return selector(values)
        return selector(_exact(wanted))


def _common(series: Sequence[Mapping[str, str]]) -> str:
    """A label that all of them have, a usual one if possible."""
    shared = set(series[0]).intersection(*series)
    return next((it for it in PREFERRED if it in shared), min(shared, default=PREFERRED[0]))


def _exact(series: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """All labels that they share: as exact as one selector can be."""
    shared = sorted(set(series[0]).intersection(*series))
    return {label: sorted({it[label] for it in series}) for label in shared}
