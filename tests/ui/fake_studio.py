"""The studio's feature as a test scripts it: a real picture of a made-up fleet, scripted starts and stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.model import Container, FleetSnapshot, Health, HostState, Link, Service, Sync, Usage
from vpai_tui.fleet.operation import (
    Cause,
    Change,
    Effect,
    Event,
    Finished,
    Journaled,
    Outcome,
    Plan,
    RevertStarted,
    RunnerStarted,
    ServiceHealthy,
    ServiceRemoved,
    ServiceStarted,
    StepFailed,
    StepStarted,
)
from vpai_tui.ondemand.fold import fold
from vpai_tui.ondemand.model import Idle, IdleState, Look, OnDemandSnapshot, OnDemandStack, Queue, Start, Stop
from vpai_tui.ondemand.room import room_of

from . import fake_fleet as fake

AT = "2026-02-26T23:04:00Z"
MIB, GIB = fake.MIB, fake.GIB
LIMITS = {"opencut-db": 256 * MIB, "opencut-valkey": 128 * MIB, "opencut-srh": 128 * MIB, "opencut": 1024 * MIB}
URL = "https://cut.ewutelo.cloud"
OPENCUT = OnDemandStack(
    id="pi/opencut",
    host="pi",
    name="opencut",
    title="OpenCut (video editor)",
    project="opencut",
    services=tuple(LIMITS),
    url=URL,
    limits=MappingProxyType(LIMITS),
    front=("opencut",),
    data=("opencut-db",),
)
COMFYUI, REMOTION = "pi/creative/comfyui", "pi/creative/remotion"
JOB = "3f2c9a1b-7c1d-4d6a-9a55-0b6a6f1f2e11"
HELD = {"opencut-db": 41, "opencut-valkey": 12, "opencut-srh": 88, "opencut": 471}


def service(
    name: str,
    health: Health,
    *,
    stack: str = "opencut",
    memory: int | None = None,
    up_s: float = 3900,
    image: str = "",
    **container: object,
) -> Service:
    there = health is not Health.STOPPED or bool(container)
    made = Container(
        id=(name.encode().hex() * 6)[:64],
        name=f"{stack}-{name}-1",
        project=stack,
        service=name,
        image=image or f"{name}:1",
        image_id="sha256:" + (name.encode().hex() * 6)[:64],
        state="running" if health not in (Health.STOPPED, Health.DOWN) else "exited",
        health=health.value if health in (Health.HEALTHY, Health.STARTING) else None,
        created_at=fake.NOW - timedelta(seconds=up_s),
        started_at=fake.NOW - timedelta(seconds=up_s),
        restarts=0,
    )
    known = Usage(memory * MIB, 4.0) if memory is not None else None
    found = replace(made, **container) if there else None  # type: ignore[arg-type]
    return Service("pi", stack, name, Sync.IN_SYNC, health, image or f"{name}:1", found, known)


def own(health: Mapping[str, Health] | Health, **more: Mapping[str, object]) -> tuple[Service, ...]:
    found = []
    for at, name in enumerate(LIMITS):
        now = health if isinstance(health, Health) else health.get(name, Health.STOPPED)
        memory = HELD[name] if now in (Health.HEALTHY, Health.RUNNING, Health.STARTING) else None
        found.append(service(name, now, memory=memory, up_s=3900 - 12 * at, **more.get(name, {})))  # type: ignore[arg-type]
    return tuple(found)


def beside(comfyui_mib: int = 2900) -> tuple[Service, ...]:
    return (
        service(
            "comfyui", Health.HEALTHY, stack="creative", memory=comfyui_mib, up_s=70_000, image="comfyui-local:v0.3.27"
        ),
        service("remotion", Health.HEALTHY, stack="creative", memory=310, up_s=70_000, image="remotion-local:4.0.259"),
        service("caddy", Health.HEALTHY, stack="edge", memory=36, up_s=900_000),
    )


def fleet(
    services: Sequence[Service], *, free_gib: float = 9.8, others: Sequence[Service] | None = None
) -> FleetSnapshot:
    """The calm fleet, with these services on the Pi and so much of its memory left."""
    calm = fake.calm()
    pi = calm.host("pi")
    assert pi.metrics is not None
    pi = replace(pi, metrics=replace(pi.metrics, memory_available_bytes=int(free_gib * GIB)))
    rest = [it for it in calm.services if it.host != "pi"]
    return replace(
        calm, hosts=(*calm.hosts[:2], pi), services=(*rest, *services, *(beside() if others is None else others))
    )


def away(found: FleetSnapshot) -> FleetSnapshot:
    link = Link(HostState.BACKOFF, fake.BOOT - 38, step="tcp", error="no answer in 3 s", remedy="is it powered?")
    pi = replace(found.host("pi"), link=link, seen_boot_s=fake.BOOT - 38)
    stale = tuple(replace(it, stale=True) if it.host == "pi" else it for it in found.services)
    return replace(found, hosts=(*found.hosts[:2], pi), services=stale)


QUIET = {COMFYUI: Queue(0, 0), REMOTION: Queue(0, None, note="the last one: completed")}
RENDERS = {COMFYUI: Queue(1, 2, JOB), REMOTION: Queue(1, None, JOB, 0.42)}
SILENT = {COMFYUI: Queue(error="no answer within 10 s"), REMOTION: Queue(error="/health answers HTTP 502")}
WATCHED = Idle(IdleState.WATCHING, 30, "ann@lap", AT, AT, 22 * 60.0)
REBOOTED = Idle(IdleState.REBOOTED, 30, "ann@lap", AT, AT)
STOPPED_IT = Idle(IdleState.STOPPED, 30, "ann@lap", AT, AT, why="30 min without network bytes")


def look(*, owner: str = "", idle: Idle | None = None, queues: Mapping[str, Queue] | None = None) -> Look:
    idles = {"opencut": idle} if idle is not None else {}
    return Look(
        "pi", fake.BOOT, owner, MappingProxyType(idles), MappingProxyType(dict(QUIET if queues is None else queues))
    )


def plan(services: Sequence[str] = tuple(LIMITS), **changed: object) -> Plan:
    changes = tuple(Change(name, Effect.CREATE, (Cause("new", "does not run yet"),)) for name in services)
    made = Plan("pi/opencut", "start", "20260224T101500-3f2a", "20260224T101500-3f2a", "print", changes)
    return replace(made, **changed)  # type: ignore[arg-type]


def _bring(name: str) -> list[Event]:
    return [StepStarted(AT, name, "up"), ServiceStarted(AT, name), ServiceHealthy(AT, name)]


BEGUN: tuple[Event, ...] = (
    RunnerStarted(AT, "20260226T230400-9c1e"),
    Journaled(AT, "begin", "20260224T101500-3f2a me"),
)
HALF_WAY = (*BEGUN, *_bring("opencut-db"), *_bring("opencut-valkey"), *_bring("opencut-srh")[:2])
STARTED = (
    *BEGUN,
    *(event for name in LIMITS for event in _bring(name)),
    Finished(AT, Outcome.COMMITTED, "20260226T230400-9c1e"),
)
SAID = """ ⨯ Error: DATABASE_URL is not set
    at resolve (/app/apps/web/server.js:12:11)
Node.js v22.11.0"""
FAILED = (
    *BEGUN,
    *(event for name in tuple(LIMITS)[:3] for event in _bring(name)),
    StepStarted(AT, "opencut", "up"),
    ServiceStarted(AT, "opencut"),
    StepFailed(AT, "opencut", "restarts again and again (exit 1)"),
    RevertStarted(AT, "nothing", "opencut: restarts again and again (exit 1)"),
    Finished(
        AT,
        Outcome.REVERTED,
        "20260226T230400-9c1e",
        "opencut: restarts again and again (exit 1)",
        f"--- last lines of opencut:\n{SAID}",
    ),
)
STOPPING = (
    *BEGUN,
    StepStarted(AT, "opencut", "rm"),
    ServiceRemoved(AT, "opencut"),
    StepStarted(AT, "opencut-srh", "rm"),
)
STOPPED = (
    *BEGUN,
    *(event for name in reversed(LIMITS) for event in (StepStarted(AT, name, "rm"), ServiceRemoved(AT, name))),
    Finished(AT, Outcome.COMMITTED, "20260226T230400-9c1e"),
)


class FakeStudio:
    """`Studio` as a test scripts it; remembers what was asked of it."""

    def __init__(
        self,
        found: FleetSnapshot,
        looked: Look | OperatorError | None = None,
        stacks: tuple[OnDemandStack, ...] = (OPENCUT,),
        clock: fake.FixedClock | None = None,
    ) -> None:
        self.stacks = stacks
        self.fleet = found
        self.looked: Look | OperatorError = looked if looked is not None else look()
        self.clock = clock or fake.FixedClock()
        self.asked: list[tuple[object, ...]] = []
        self.planned: Plan | OperatorError = plan()
        self.notes: tuple[str, ...] = ()
        self.word: str | None = None
        self.script: Sequence[Event] = STARTED
        self.gate = asyncio.Event()  # an operation goes on past its script when set
        self.idle_fails: OperatorError | None = None

    def find(self, name: str) -> OnDemandStack:
        found = next((it for it in self.stacks if name in (it.id, it.name)), None)
        if found is None:
            raise UsageError(f"{name} is not on demand", remedy="on demand: pi/opencut")
        return found

    async def look(self, stack: OnDemandStack) -> Look:
        self.asked.append(("look", stack.id))
        if isinstance(self.looked, OperatorError):
            raise self.looked
        return replace(self.looked, at_boot_s=self.clock.boot_s())

    def snapshot(self, stack: OnDemandStack, look: Look | None, acting: str = "") -> OnDemandSnapshot:
        now, boot_s = self.clock.now(), self.clock.boot_s()
        return fold(stack, self.fleet, look, now=now, now_boot_s=boot_s, acting=acting)

    async def plan_start(self, stack: OnDemandStack) -> Start:
        self.asked.append(("plan_start", stack.id))
        if isinstance(self.planned, OperatorError):
            raise self.planned
        return Start(stack, self.planned, room_of(stack, self.fleet), self.word, self.notes)

    async def start(self, start: Start, *, typed: str = "") -> AsyncIterator[Event]:
        self.asked.append(("start", start.stack.id, typed))
        async for event in self._play():
            yield event

    async def plan_stop(self, stack: OnDemandStack) -> Stop:
        self.asked.append(("plan_stop", stack.id))
        if isinstance(self.planned, OperatorError):
            raise self.planned
        found = self.snapshot(stack, self.looked if isinstance(self.looked, Look) else None)
        there = tuple(it.service for it in found.services if it.health is not Health.STOPPED)
        unknown = tuple(f"{it.service}: {it.queue.error}" for it in found.beside if it.queue and it.queue.error)
        return Stop(stack, there, found.memory_bytes, found.renders, unknown, stack.id if found.renders else None)

    async def stop(self, stop: Stop, *, typed: str = "") -> AsyncIterator[Event]:
        self.asked.append(("stop", stop.stack.id, typed))
        async for event in self._play():
            yield event

    async def _play(self) -> AsyncIterator[Event]:
        for event in self.script:
            yield event
        if not self.script or not isinstance(self.script[-1], Finished):
            await self.gate.wait()

    async def set_idle(self, stack: OnDemandStack, minutes: int | None) -> str:
        self.asked.append(("set_idle", stack.id, minutes))
        if self.idle_fails is not None:
            raise self.idle_fails
        return ""


def poisoned(text: str) -> FakeStudio:
    """Everything that a host, an API or the files say is hostile."""
    stack = replace(OPENCUT, title=text, url=text, front=(text,), data=(text,))
    services = tuple(replace(it, service=f"{text}{at}") for at, it in enumerate(own(Health.HEALTHY)))
    others = tuple(replace(it, service=f"{text}{it.service}") for it in beside())
    found = fleet(services, others=others)
    queues = {it.id: Queue(1, 2, text, 0.5, text) for it in others[:1]} | {others[1].id: Queue(error=text)}
    idle = Idle(IdleState.WATCHING, 30, text, text, text, 60.0, text)
    made = FakeStudio(found, look(owner=f"pid=1 start opencut by {text}", idle=idle, queues=queues), (stack,))
    made.planned, made.notes = plan((text,), base=text), (text,)
    made.script = (
        Journaled(text, text, text),
        StepFailed(text, text, text, text),
        Finished(text, Outcome.REVERTED, text, text, text),
    )
    return made
