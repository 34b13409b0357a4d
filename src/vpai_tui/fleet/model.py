"""What is there, as immutable snapshots: the words of the cockpit, of `--json` and of the tests.

Every value that may not be known is `None`; a number is never invented. Times named `*_boot_s` are readings of
`Clock.boot_s`, ages are differences of two of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from vpai_tui.text import clean_line


class HostState(StrEnum):
    """How the connection to a host stands."""

    CONNECTING = "connecting"
    READY = "ready"
    DEGRADED = "degraded"  # connected, but something the cockpit needs does not work (Docker, sudo, Compose)
    BACKOFF = "backoff"  # lost or failed; tried again in `retry_in_s`
    REFUSED = "refused"  # host key, user or key refused: not tried again by itself
    OFFLINE = "offline"  # no address answers


class Sync(StrEnum):
    """Whether what runs is what the stack's files say."""

    IN_SYNC = "in_sync"
    DRIFTED = "drifted"
    NOT_DEPLOYED = "not_deployed"
    UNKNOWN = "unknown"


class Health(StrEnum):
    """How a service does. `RUNNING` is up without a healthcheck; `STOPPED` is down on purpose."""

    HEALTHY = "healthy"
    RUNNING = "running"
    STARTING = "starting"
    DEGRADED = "degraded"  # unhealthy by its own check, or restarting
    DOWN = "down"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


class Severity(StrEnum):
    """Rank of an alert."""

    INFO = "info"
    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True)
class Link:
    """The connection to one host."""

    state: HostState
    since_boot_s: float
    step: str = ""  # resolve, tcp, host key, auth, login, docker: where it stands or failed
    address: str | None = None  # the one in use
    rtt_s: float | None = None
    error: str = ""
    remedy: str = ""
    retry_at_boot_s: float | None = None
    http_bridge: str | None = None  # how HTTP reaches containers: direct-tcpip, bash, nc, socat


@dataclass(frozen=True)
class Disk:
    """One mounted filesystem."""

    mount: str
    size_bytes: int
    used_bytes: int
    available_bytes: int | None = None  # without what the filesystem keeps for root

    @property
    def used_percent(self) -> float:
        """The share `df` shows: of what an ordinary process may fill, where that is known."""
        size = self.size_bytes if self.available_bytes is None else self.used_bytes + self.available_bytes
        return 100 * self.used_bytes / size if size else 0.0


@dataclass(frozen=True)
class Metrics:
    """One sample of a host, as its metrics channel sent it."""

    at_boot_s: float
    load1: float
    load5: float
    load15: float
    cpus: int
    cpu_percent: float | None  # None in the first sample: a share needs two
    memory_total_bytes: int
    memory_available_bytes: int
    swap_total_bytes: int
    swap_used_bytes: int
    disks: tuple[Disk, ...]
    uptime_s: float
    clock_skew_s: float | None  # host minus laptop
    temperature_c: float | None = None


@dataclass(frozen=True)
class Port:
    """A published port."""

    host_ip: str
    host_port: int
    container_port: int
    protocol: str = "tcp"

    def __str__(self) -> str:
        where = "" if self.host_ip in ("0.0.0.0", "::", "") else f"{self.host_ip}:"  # noqa: S104
        return f"{where}{self.host_port}→{self.container_port}"


@dataclass(frozen=True)
class Usage:
    """CPU and memory of one container, from its control group."""

    memory_bytes: int
    cpu_percent: float | None  # of one core; None in the first sample


@dataclass(frozen=True)
class Container:
    """One container as the engine tells it; all strings are cleaned."""

    id: str
    name: str
    project: str | None
    service: str | None
    image: str
    image_id: str
    state: str  # created, running, paused, restarting, removing, exited, dead
    health: str | None  # starting, healthy, unhealthy; None without a healthcheck
    created_at: datetime | None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    restarts: int | None = None
    exit_code: int | None = None
    oom_killed: bool | None = None
    ports: tuple[Port, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    restart_policy: str = ""  # no, always, unless-stopped, on-failure; "" while unknown


@dataclass(frozen=True)
class DockerInfo:
    """The engine and the Compose plugin of a host."""

    version: str | None
    compose: str | None
    error: str = ""


class Hold(NamedTuple):
    """Deploys on a host are frozen, as its file `deploy/hold` tells: since when (RFC 3339 UTC), by whom, for what."""

    at: str
    by: str
    why: str

    @classmethod
    def read(cls, line: str | bytes) -> Hold:
        """The hold of one line, its parts divided by tabs, or by blanks where tabs have become such."""
        text = clean_line(line, 400)
        at, by, why = [*text.split(" ", 2), "", ""][:3]
        return cls(at, by or "somebody", why.strip())

    @property
    def told(self) -> str:
        """`by ann@lap since 2026-02-27T08:00:00Z: kernel upgrade`."""
        return f"by {self.by} since {self.at or 'an unknown time'}: {self.why or 'no reason given'}"


@dataclass(frozen=True)
class DeployState:
    """A stack's release state on its host, as its release directory tells it."""

    stack: str  # host/stack
    current: str | None
    pending: str | None
    busy: bool  # a runner holds the host's lock
    owner: str = ""  # who holds it: who, what, since when
    revert_failed: str = ""  # the pending release could not be taken back: its directory on the host

    @property
    def interrupted(self) -> bool:
        return self.pending is not None and not self.busy


@dataclass(frozen=True)
class HostSnapshot:
    """All that is known of one host, and how old each part is. A dead host keeps its last values."""

    name: str
    title: str
    link: Link
    metrics: Metrics | None = None
    docker: DockerInfo | None = None
    containers: tuple[Container, ...] | None = None
    containers_at_boot_s: float | None = None
    usage: dict[str, Usage] = field(default_factory=dict)  # by container id
    deploys: tuple[DeployState, ...] = ()
    hold: Hold | None = None  # deploys there are frozen
    seen_boot_s: float | None = None  # last byte heard from it

    @property
    def live(self) -> bool:
        return self.link.state in (HostState.READY, HostState.DEGRADED)


@dataclass(frozen=True)
class Service:
    """One service of one stack, wanted or running."""

    host: str
    stack: str  # the stack's short name; "" for a container no stack of ours claims
    service: str
    sync: Sync
    health: Health
    image: str | None
    container: Container | None = None
    usage: Usage | None = None
    stale: bool = False  # its host is gone: last known values
    one_shot: bool = False
    off: bool = False  # its image or what it is built from is the operator's own, and stack.yaml gives none

    @property
    def id(self) -> str:
        return f"{self.host}/{self.stack}/{self.service}" if self.stack else f"{self.host}//{self.service}"


@dataclass(frozen=True)
class StackStatus:
    """One stack: its services' worst health and sync, and its release."""

    host: str
    stack: str
    title: str
    sync: Sync
    health: Health
    services: int
    services_ok: int
    current: str | None
    pending: str | None
    busy: bool
    owner: str = ""
    on_demand: bool = False
    order: int = 0
    note: str = ""  # why sync is unknown
    off: tuple[str, ...] = ()  # services that wait for the operator's own source; not counted
    holds_data: bool = False
    revert_failed: str = ""  # the pending release could not be taken back: its directory on the host

    @property
    def id(self) -> str:
        return f"{self.host}/{self.stack}"

    @property
    def interrupted(self) -> bool:
        return self.pending is not None and not self.busy


@dataclass(frozen=True)
class Alert:
    """Something that needs the operator; `target` is where it is fixed (a host, a stack or a service id)."""

    severity: Severity
    host: str
    subject: str
    message: str
    remedy: str
    target: str = ""


@dataclass(frozen=True)
class FleetSnapshot:
    """The whole fleet at one moment."""

    at_boot_s: float
    hosts: tuple[HostSnapshot, ...]
    stacks: tuple[StackStatus, ...]
    services: tuple[Service, ...]
    alerts: tuple[Alert, ...]

    def host(self, name: str) -> HostSnapshot:
        return next(host for host in self.hosts if host.name == name)
