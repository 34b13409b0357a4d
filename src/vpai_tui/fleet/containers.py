"""What the Docker engine of a host says of its containers: read once, then kept fresh by its events.

The first half turns the engine's answers into `Container`s; nothing in an answer is trusted to have the right type.
`DockerWatch` keeps the picture.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.model import Container, Port
from vpai_tui.text import clean_line

_PROJECT = "com.docker.compose.project"
_SERVICE = "com.docker.compose.service"
_ONE_OFF = "com.docker.compose.oneoff"
_INSPECTIONS = 3  # at once: each is a channel of its own
_COALESCE_S = 0.05
_HISTORY_S = 3600
_EVENTS_KEPT = 500
# Not exec_*: every healthcheck makes three of them.
_ACTIONS = (
    "create start restart die kill stop oom pause unpause rename update destroy health_status".split()  # noqa: SIM905
)
_EXITED = re.compile(r"^Exited \((\d{1,9})\)")
_TIME = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?$")


class Engine(Protocol):
    """The part of `remote.docker.Docker` this module stands on."""

    async def call(self, fn_name: str, /, *args: Any, **kw: Any) -> Any:
        """`docker.APIClient.<fn_name>` with these arguments."""
        ...

    def iterate(self, fn_name: str, /, *args: Any, **kw: Any) -> AsyncIterator[Any]:
        """The items of a streaming call."""
        ...


@dataclass(frozen=True, slots=True)
class ContainerEvent:
    """Something that happened to a container, as its engine told it."""

    at: datetime | None
    container: str  # its id
    name: str
    action: str  # start, die, health_status: healthy, …
    detail: str = ""  # `exit 137`, `signal 15`


# ── the engine's answers ─────────────────────────────────────────────────────────────────────────────────────────────


def from_list(answer: object) -> Container | None:
    """One entry of `GET /containers/json`: everything but restarts, OOM and exact times."""
    entry = _mapping(answer)
    if not entry.get("Id"):
        return None
    status = _text(entry.get("Status"))
    names = entry.get("Names")
    code = _EXITED.match(status)
    return _built(
        entry,
        name=_text(names[0]).lstrip("/") if isinstance(names, list) and names else "",
        image=_text(entry.get("Image")),
        image_id=_text(entry.get("ImageID")),
        labels=_labels(entry.get("Labels")),
        state=_text(entry.get("State")),
        health=_health_of_status(status),
        created_at=_epoch(entry.get("Created")),
        exit_code=int(code[1]) if code else None,
        ports=_listed_ports(entry.get("Ports")),
    )


def from_inspect(answer: object) -> Container | None:
    """`GET /containers/{id}/json`: everything."""
    entry = _mapping(answer)
    if not entry.get("Id"):
        return None
    state, config = _mapping(entry.get("State")), _mapping(entry.get("Config"))
    policy = _mapping(_mapping(entry.get("HostConfig")).get("RestartPolicy"))
    health = _text(_mapping(state.get("Health")).get("Status"))
    return _built(
        entry,
        name=_text(entry.get("Name")).lstrip("/"),
        image=_text(config.get("Image")),
        image_id=_text(entry.get("Image")),
        labels=_labels(config.get("Labels")),
        state=_text(state.get("Status")),
        health=health if health in ("starting", "healthy", "unhealthy") else None,
        created_at=moment(entry.get("Created")),
        started_at=moment(state.get("StartedAt")),
        finished_at=moment(state.get("FinishedAt")),
        restarts=whole(entry.get("RestartCount")),
        exit_code=whole(state.get("ExitCode")),
        oom_killed=bool(state.get("OOMKilled")),
        ports=_inspected_ports(_mapping(entry.get("NetworkSettings")).get("Ports")),
        restart_policy=_text(policy.get("Name")) or "no",
    )


def from_event(answer: object) -> ContainerEvent | None:
    """One entry of `GET /events`; None when it is not about a container."""
    entry = _mapping(answer)
    actor = _mapping(entry.get("Actor"))
    container, action = _text(actor.get("ID")), _text(entry.get("Action"))
    if entry.get("Type") != "container" or not container or not action:
        return None
    attributes = _mapping(actor.get("Attributes"))
    code, signal = _text(attributes.get("exitCode")), _text(attributes.get("signal"))
    detail = f"exit {code}" if code else f"signal {signal}" if signal else ""
    nanos = entry.get("timeNano")
    at = _epoch(nanos // 10**3 / 1e6 if isinstance(nanos, int) and 0 < nanos < 2**63 else entry.get("time"))
    return ContainerEvent(at, container, _text(attributes.get("name")), action, detail)


def after_event(container: Container, event: ContainerEvent) -> Container:
    """What an event alone tells already, before the container is asked: who sees it need not wait for a round trip."""
    match event.action.partition(":")[0]:
        case "start" | "restart":
            health = "starting" if container.health else None
            return replace(container, state="running", health=health, started_at=event.at, oom_killed=False)
        case "die":
            code = event.detail.removeprefix("exit ")
            return replace(
                container, state="exited", exit_code=int(code) if code.isdecimal() else None, finished_at=event.at
            )
        case "oom":
            return replace(container, oom_killed=True)
        case "pause":
            return replace(container, state="paused")
        case "unpause":
            return replace(container, state="running")
        case "health_status":
            health = event.action.partition(":")[2].strip()
            return replace(container, health=health if health in ("starting", "healthy", "unhealthy") else None)
        case _:
            return container


def moment(value: object) -> datetime | None:
    """An RFC 3339 time of the engine in UTC; None for its `0001-01-01`, which means never, and for anything else."""
    match = _TIME.match(value) if isinstance(value, str) else None
    if match is None or match[1] < "1970":
        return None
    zone = "+00:00" if match[3] in (None, "Z") else match[3]
    with suppress(ValueError, OverflowError):
        return datetime.fromisoformat(f"{match[1]}.{(match[2] or '0')[:6]:0<6}{zone}").astimezone(UTC)
    return None


def _built(entry: Mapping[str, Any], *, labels: dict[str, str], **facts: Any) -> Container:
    one_off = labels.get(_ONE_OFF, "").lower() == "true"  # made by `compose run`: not the service itself
    return Container(
        id=_text(entry.get("Id")),
        project=labels.get(_PROJECT),
        service=None if one_off else labels.get(_SERVICE),
        labels=labels,
        **facts,
    )


def _health_of_status(status: str) -> str | None:
    if status.endswith("(unhealthy)"):
        return "unhealthy"
    if status.endswith("(healthy)"):
        return "healthy"
    return "starting" if status.endswith("(health: starting)") else None


def _text(value: object) -> str:
    return clean_line(value) if isinstance(value, str) else ""


def whole(value: object) -> int | None:
    """A whole number of at most 64 bits; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _labels(value: object) -> dict[str, str]:
    return {_text(key): _text(content) for key, content in _mapping(value).items()}


def _epoch(value: object) -> datetime | None:
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) and value > 0 else None
    return None


def _listed_ports(value: object) -> tuple[Port, ...]:
    found = []
    for item in value if isinstance(value, list) else []:
        port = _mapping(item)
        outer, inner = whole(port.get("PublicPort")), whole(port.get("PrivatePort"))
        if outer and inner:
            found.append(Port(_text(port.get("IP")), outer, inner, _text(port.get("Type")) or "tcp"))
    return _without_twins(found)


def _inspected_ports(value: object) -> tuple[Port, ...]:
    found = []
    for key, bindings in _mapping(value).items():
        inner, _, protocol = _text(key).partition("/")
        for item in bindings if isinstance(bindings, list) else []:
            outer = _text(_mapping(item).get("HostPort"))
            if inner.isdecimal() and outer.isdecimal():
                address = _text(_mapping(item).get("HostIp"))
                found.append(Port(address, int(outer[:5]), int(inner[:5]), protocol or "tcp"))
    return _without_twins(found)


def _without_twins(ports: list[Port]) -> tuple[Port, ...]:
    """Without the IPv6 half of a port that is published on every address."""
    everywhere = {(port.host_port, port.container_port, port.protocol) for port in ports if port.host_ip == "0.0.0.0"}  # noqa: S104
    kept = [
        port
        for port in ports
        if port.host_ip != "::" or (port.host_port, port.container_port, port.protocol) not in everywhere
    ]
    return tuple(sorted(set(kept), key=lambda port: (port.container_port, port.protocol, port.host_ip)))


# ── kept fresh ───────────────────────────────────────────────────────────────────────────────────────────────────────


class DockerWatch:
    """The containers of one host. `run` fills it and returns when the engine's events end; then it may run again."""

    def __init__(self, docker: Engine, on_change: Callable[[], None], known: tuple[Container, ...] | None = None):
        self._docker = docker
        self._on_change = on_change
        self._containers: dict[str, Container] | None = None
        self._known = {container.id: container for container in known or ()}
        self._gone: set[str] = set()
        self._dirty: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._ill: OperatorError | None = None  # what an inspection died of
        self.complete = False  # whether every listed container has been inspected
        self.version: str | None = None
        self.events: deque[ContainerEvent] = deque(maxlen=_EVENTS_KEPT)

    @property
    def containers(self) -> tuple[Container, ...] | None:
        """All containers, by name; None until the engine has answered."""
        if self._containers is None:
            return None
        return tuple(sorted(self._containers.values(), key=lambda container: (container.name, container.id)))

    async def run(self) -> None:
        """List, then follow. Raises OperatorError (LinkLost when the link died) when the engine does not answer."""
        asked, self._ill = time.monotonic(), None
        self._list(await self._docker.call("containers", all=True))
        info = _mapping(await self._docker.call("info"))
        self.version = _text(info.get("ServerVersion")) or None
        self._on_change()
        host_now = moment(info.get("SystemTime"))
        # Events since just before the list, by the host's clock: none that happened in between is missed.
        since = int(host_now.timestamp() - (time.monotonic() - asked) - 1) if host_now else None
        inspector = asyncio.create_task(self._inspect_dirty())
        follower = asyncio.create_task(self._follow(since))
        try:
            done, _ = await asyncio.wait((inspector, follower), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            inspector.cancel()
            follower.cancel()
            await asyncio.gather(inspector, follower, return_exceptions=True)

    def _list(self, answer: object) -> None:
        """Replace the picture; what was known of a container that did not change meanwhile stays until inspected."""
        listed = [from_list(entry) for entry in answer] if isinstance(answer, list) else []
        before = self._containers if self._containers is not None else self._known
        self._gone.clear()
        self._containers = {}
        for container in listed:
            if container is None:
                continue
            old = before.get(container.id)
            if old is not None and old.state == container.state:
                container = replace(old, health=container.health, ports=container.ports, name=container.name)
            self._containers[container.id] = container
            self._mark(container.id)
        self._on_change()

    def _mark(self, container: str) -> None:
        self._dirty[container] = None
        self._wake.set()

    async def _follow(self, since: int | None) -> None:
        options: dict[str, Any] = {"decode": True, "filters": {"type": ["container"], "event": list(_ACTIONS)}}
        if since is not None:
            options["since"] = since - _HISTORY_S
        async for answer in self._docker.iterate("events", **options):
            event = from_event(answer)
            if event is None:
                continue
            if event not in self.events:  # else it is history that an earlier run of the watch has seen
                self.events.append(event)
            if since is None or event.at is None or event.at.timestamp() >= since:
                self._apply(event)

    def _apply(self, event: ContainerEvent) -> None:
        containers = self._containers if self._containers is not None else {}
        if event.action == "destroy":
            self._gone.add(event.container)
            self._dirty.pop(event.container, None)
            containers.pop(event.container, None)
        else:
            if event.container in containers:
                containers[event.container] = after_event(containers[event.container], event)
            self._mark(event.container)
        self._on_change()

    async def _inspect_dirty(self) -> None:
        slots = asyncio.Semaphore(_INSPECTIONS)

        async def inspect(container: str) -> None:
            async with slots:
                await self._inspect(container)

        while True:
            self._wake.clear()
            batch, self._dirty = list(self._dirty), {}
            async with asyncio.TaskGroup() as group:
                for container in batch:
                    group.create_task(inspect(container))
            if self._ill is not None:
                raise self._ill  # what is shown would not be true any more
            if not self.complete:
                self.complete = True
                self._on_change()
            await self._wake.wait()
            await asyncio.sleep(_COALESCE_S)  # one death is three events

    async def _inspect(self, container: str) -> None:
        try:
            answer = await self._docker.call("inspect_container", container)
        except OperatorError as error:
            if getattr(error, "status_code", None) is None:  # else it is about this container: most often, it is gone
                self._ill = self._ill or error
            return
        inspected = from_inspect(answer)
        if inspected is None or self._containers is None or container in self._gone:
            return
        if container in self._dirty and container in self._containers:
            return  # something happened since: that answer is old, the next one is on its way
        if self._containers.get(container) != inspected:
            self._containers[container] = inspected
            self._on_change()
