"""A stack that runs when it is wanted, as it is known at one moment. Sizes in bytes, spans in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from vpai_tui.fleet.model import Health

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpai_tui.fleet.operation import Plan


class State(StrEnum):
    """What a stack on demand does."""

    STOPPED = "stopped"
    STARTING = "starting"
    HEALTHY = "healthy"
    FAILING = "failing"  # something of it does not run, or is not well
    STOPPING = "stopping"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class OnDemandStack:
    """One stack with `on_demand: true`, as the laptop's files have it."""

    id: str  # host/stack
    host: str
    name: str
    title: str
    project: str
    services: tuple[str, ...]  # in start-up order
    one_shots: tuple[str, ...] = ()
    url: str | None = None  # where a browser finds it
    limits: Mapping[str, int | None] = field(default_factory=lambda: MappingProxyType({}))  # by service, in bytes
    front: tuple[str, ...] = ()  # services that people reach: their network bytes tell whether it is used
    on_host_network: tuple[str, ...] = ()  # of those: they have no bytes of their own
    data: tuple[str, ...] = ()


class IdleState(StrEnum):
    """How an idle stop stands."""

    WATCHING = "watching"
    STOPPED = "stopped"  # it has stopped the stack
    ENDED = "ended"  # the stack was stopped by somebody else
    REBOOTED = "rebooted"  # its host was started anew, and it was not
    GONE = "gone"  # its process was ended


@dataclass(frozen=True)
class Idle:
    """The idle stop of a stack, as its watcher on the host has left it. `left_s`: None where nothing waits any more."""

    state: IdleState
    minutes: int
    by: str
    at: str  # RFC 3339 UTC, the host's clock: when it was set
    told: str = ""  # the same: when it last said something
    left_s: float | None = None
    why: str = ""  # what keeps it from its work, or how it ended

    @property
    def watching(self) -> bool:
        return self.state is IdleState.WATCHING


@dataclass(frozen=True)
class Queue:
    """What a service says of its work. None: its API does not tell; `error`: why nothing is known at all."""

    running: int | None = None
    pending: int | None = None
    job: str = ""  # the one that runs
    progress: float | None = None  # of it, 0 to 1
    note: str = ""
    error: str = ""

    @property
    def active(self) -> bool:
        return bool(self.running or self.pending)


@dataclass(frozen=True)
class Look:
    """What a host was asked for on purpose: who holds its lock, its idle stops by stack, queues by service id."""

    host: str
    at_boot_s: float
    owner: str = ""  # of the lock: who does what since when; empty: it is free
    idles: Mapping[str, Idle] = field(default_factory=lambda: MappingProxyType({}))
    queues: Mapping[str, Queue] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class ServiceState:
    """One service of the stack."""

    service: str
    health: Health
    memory_bytes: int | None = None
    up_s: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Neighbour:
    """Another service of the host that runs."""

    id: str  # host/stack/service
    service: str
    health: Health
    memory_bytes: int | None = None
    up_s: float | None = None
    queue: Queue | None = None  # None: it is none of those that have one


@dataclass(frozen=True)
class OnDemandSnapshot:
    """All that is known of one stack on demand and of what shares its host."""

    stack: OnDemandStack
    state: State
    why: str = ""  # of `failing`, `starting`, `stopping` and `unknown`: in a few words
    remedy: str = ""
    stale: bool = False  # the host is away: last known values
    age_s: float | None = None
    uptime_s: float | None = None  # since the first of what runs was started
    memory_bytes: int | None = None  # what its containers hold
    host_memory_bytes: int | None = None
    host_available_bytes: int | None = None
    services: tuple[ServiceState, ...] = ()
    beside: tuple[Neighbour, ...] = ()  # the largest first
    idle: Idle | None = None
    owner: str = ""  # who holds the host's lock
    looked: bool = False  # whether lock, idle stop and queues were asked for
    notes: tuple[str, ...] = ()

    @property
    def renders(self) -> tuple[Neighbour, ...]:
        """Of what runs beside it: whatever has a job."""
        return tuple(it for it in self.beside if it.queue is not None and it.queue.active)


@dataclass(frozen=True)
class Room:
    """Whether the memory for a start is there. None: not known, and then nothing is refused for it."""

    wanted_bytes: int  # the most that what is to be started may take, by its limits
    available_bytes: int | None
    total_bytes: int | None
    kept_bytes: int  # left to the host
    unlimited: tuple[str, ...] = ()  # services without a limit: what they take is not known
    holders: tuple[tuple[str, int | None], ...] = ()  # what else runs there, the largest first

    @property
    def enough(self) -> bool | None:
        if self.available_bytes is None:
            return None
        return self.wanted_bytes + self.kept_bytes <= self.available_bytes


@dataclass(frozen=True)
class Start:
    """A start before it is done. `plan` is the deployer's; `word` is typed where more than a start is needed."""

    stack: OnDemandStack
    plan: Plan
    room: Room
    word: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        return self.plan.empty


@dataclass(frozen=True)
class Stop:
    """A stop before it is done. `word` is typed while something renders."""

    stack: OnDemandStack
    running: tuple[str, ...]  # services that are stopped
    frees_bytes: int | None
    renders: tuple[Neighbour, ...] = ()
    unknown: tuple[str, ...] = ()  # whether these render could not be learnt, and why
    word: str | None = None

    @property
    def empty(self) -> bool:
        return not self.running


def queue_json(queue: Queue | None) -> dict[str, Any] | None:
    """As `--json` has it."""
    if queue is None:
        return None
    return {
        "running": queue.running,
        "pending": queue.pending,
        "job": queue.job or None,
        "progress": queue.progress,
        "error": queue.error or None,
    }
