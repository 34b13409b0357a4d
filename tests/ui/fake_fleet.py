"""A fleet that never changes by itself, and the states it may be in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from vpai_tui.config import Fleet, Host, Ssh
from vpai_tui.fleet.alerts import alerts
from vpai_tui.fleet.model import (
    Alert,
    Container,
    Disk,
    DockerInfo,
    FleetSnapshot,
    Health,
    Hold,
    HostSnapshot,
    HostState,
    Link,
    Metrics,
    Port,
    Service,
    Severity,
    StackStatus,
    Sync,
    Usage,
)

NOW = datetime(2026, 2, 26, 23, 4, 0, tzinfo=UTC)
BOOT = 5000.0
GIB = 1024**3
MIB = 1024**2


class FixedClock:
    """A clock that moves only when a test moves it."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def boot_s(self) -> float:
        return BOOT + self.passed_s

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.passed_s)


def make_fleet() -> Fleet:
    """Three hosts as VPAI names them, at addresses nobody has."""
    return Fleet(
        hosts={
            "sese": Host(title="Sese-AI", addresses=("127.0.0.1",), ssh=Ssh(user="mobuone", port=804)),
            "seko": Host(title="Seko-VPN", addresses=("127.0.0.2",), ssh=Ssh(user="mobuone"), hub=True),
            "pi": Host(title="Workstation Pi", addresses=("127.0.0.3",), ssh=Ssh(user="mobuone")),
        },
        stacks=("sese/infra", "sese/apps", "sese/monitoring", "sese/edge", "seko/headscale", "pi/opencut"),
    )


# host, stack, service, image, health, sync, memory MiB, cpu %, restarts, age, ports
_SERVICES: tuple[tuple[str, str, str, str, Health, Sync, int, float, int, int, tuple[Port, ...]], ...] = (
    ("sese", "infra", "postgresql", "postgres:18.1-bookworm", Health.HEALTHY, Sync.IN_SYNC, 486, 3.2, 0, 900_000, ()),
    ("sese", "infra", "redis", "redis:8.0-bookworm", Health.HEALTHY, Sync.IN_SYNC, 41, 0.4, 0, 900_000, ()),
    ("sese", "infra", "qdrant", "qdrant/qdrant:v1.16.3", Health.HEALTHY, Sync.IN_SYNC, 310, 1.1, 0, 900_000, ()),
    ("sese", "apps", "n8n", "docker.n8n.io/n8nio/n8n:2.7.3", Health.HEALTHY, Sync.DRIFTED, 402, 4.0, 0, 180_000, ()),
    (
        "sese", "apps", "litellm", "ghcr.io/berriai/litellm:v1.81.3-stable", Health.HEALTHY, Sync.IN_SYNC, 688, 11.0,
        0, 180_000, (),
    ),
    ("sese", "apps", "openclaw", "ghcr.io/openclaw/openclaw:2026.2.23", Health.STARTING, Sync.IN_SYNC, 221, 38.0, 1,
     24, ()),
    ("sese", "apps", "palais", "palais:4f1c2a", Health.DEGRADED, Sync.IN_SYNC, 96, 0.0, 7, 9, ()),
    ("sese", "monitoring", "grafana", "grafana/grafana:12.3.2", Health.HEALTHY, Sync.IN_SYNC, 142, 0.9, 0, 900_000, ()),
    ("sese", "monitoring", "loki", "grafana/loki:3.6.5", Health.HEALTHY, Sync.IN_SYNC, 190, 1.6, 0, 900_000, ()),
    ("sese", "monitoring", "alloy", "grafana/alloy:v1.13.0", Health.RUNNING, Sync.IN_SYNC, 88, 2.0, 0, 900_000, ()),
    (
        "sese", "edge", "caddy", "caddy:2.10.2-alpine", Health.HEALTHY, Sync.IN_SYNC, 36, 0.3, 0, 900_000,
        (Port("0.0.0.0", 80, 80), Port("0.0.0.0", 443, 443)),
    ),
    (
        "seko", "headscale", "headscale", "headscale/headscale:0.26.0", Health.HEALTHY, Sync.IN_SYNC, 52, 0.2, 0,
        4_000_000, (Port("127.0.0.1", 8080, 8080),),
    ),
    ("seko", "", "couchdb", "apache/couchdb:3.3.3", Health.RUNNING, Sync.UNKNOWN, 74, 0.5, 0, 4_000_000, ()),
    ("pi", "opencut", "opencut", "opencut:0.1.0", Health.STOPPED, Sync.IN_SYNC, 0, 0.0, 0, 7_000, ()),
    ("pi", "opencut", "opencut-db", "postgres:17", Health.STOPPED, Sync.NOT_DEPLOYED, 0, 0.0, 0, 7_000, ()),
    ("pi", "", "comfyui", "comfyui-local:v0.3.27", Health.RUNNING, Sync.UNKNOWN, 2900, 62.0, 0, 70_000,
     (Port("127.0.0.1", 8188, 8188),)),
)  # fmt: skip


def _service(row: tuple[str, str, str, str, Health, Sync, int, float, int, int, tuple[Port, ...]]) -> Service:
    host, stack, name, image, health, sync, memory, cpu, restarts, age, ports = row
    up = health is not Health.STOPPED
    container = Container(
        id=(name.encode().hex() * 4)[:64],
        name=f"javisi_{name}",
        project="javisi",
        service=name,
        image=image,
        image_id="sha256:" + (name.encode().hex() * 6)[:64],
        state="running" if up else "exited",
        health=health.value if health is Health.HEALTHY else None,
        created_at=NOW - timedelta(seconds=age),
        started_at=NOW - timedelta(seconds=age),
        restarts=restarts,
        ports=ports,
    )
    usage = Usage(memory * MIB, cpu) if up else None
    return Service(host, stack, name, sync, health, image, container if sync is not Sync.NOT_DEPLOYED else None, usage)


def services() -> tuple[Service, ...]:
    return tuple(_service(row) for row in _SERVICES)


def calm_services() -> tuple[Service, ...]:
    """The services with nothing wrong in them."""
    return tuple(
        replace(item, health=Health.HEALTHY, sync=Sync.IN_SYNC) if item.stack == "apps" else item for item in services()
    )


def _metrics(load: float, memory: float, disk: float, cpus: int, total_gib: int, heat: float | None = None) -> Metrics:
    total = total_gib * GIB
    return Metrics(
        at_boot_s=BOOT - 2,
        load1=load,
        load5=load,
        load15=load,
        cpus=cpus,
        cpu_percent=100 * load / cpus,
        memory_total_bytes=total,
        memory_available_bytes=int(total * (1 - memory)),
        swap_total_bytes=2 * GIB,
        swap_used_bytes=0,
        disks=(Disk("/", 80 * GIB, int(80 * GIB * disk)),),
        uptime_s=900_000,
        clock_skew_s=0.01,
        temperature_c=heat,
    )


def _host(name: str, title: str, rtt_ms: int, metrics: Metrics) -> HostSnapshot:
    link = Link(HostState.READY, BOOT - 600, address="127.0.0.1", rtt_s=rtt_ms / 1000)
    docker = DockerInfo("29.1.3", "2.40.3")
    return HostSnapshot(name, title, link, metrics, docker, containers=(), seen_boot_s=BOOT - 2)


def hosts() -> tuple[HostSnapshot, ...]:
    return (
        _host("sese", "Sese-AI", 42, _metrics(1.84, 0.71, 0.62, 4, 8)),
        _host("seko", "Seko-VPN", 38, _metrics(0.12, 0.44, 0.88, 2, 4)),
        _host("pi", "Workstation Pi", 6, _metrics(2.31, 0.35, 0.47, 4, 16, 61.0)),
    )


def stacks() -> tuple[StackStatus, ...]:
    ok, healthy = Sync.IN_SYNC, Health.HEALTHY
    return (
        StackStatus("sese", "infra", "PostgreSQL, Redis, Qdrant", ok, healthy, 3, 3, "r8", None, False),
        StackStatus("sese", "apps", "n8n, LiteLLM", Sync.DRIFTED, Health.DEGRADED, 4, 2, "r12", None, False),
        StackStatus("sese", "monitoring", "Grafana, Loki, Alloy", ok, healthy, 3, 3, "r3", None, False),
        StackStatus("sese", "edge", "Caddy", ok, healthy, 1, 1, "r5", None, False),
        StackStatus("seko", "headscale", "Headscale", ok, healthy, 1, 1, "r2", None, False),
        StackStatus(
            "pi", "opencut", "OpenCut", Sync.NOT_DEPLOYED, Health.STOPPED, 2, 2, None, None, False, on_demand=True
        ),
    )


ALERTS = (
    Alert(Severity.ERROR, "sese", "apps/palais", "restarting, 7 times in the last hour", "l shows its last lines",
          "sese/apps/palais"),
    Alert(Severity.WARN, "sese", "apps", "n8n runs another configuration than its files", "D plans a deploy",
          "sese/apps"),
    Alert(Severity.WARN, "seko", "disk /", "88% of 80.0G used", "vpai-tui disk seko", "seko"),
)  # fmt: skip


def calm() -> FleetSnapshot:
    """Nothing needs anybody."""
    quiet = tuple(replace(s, sync=Sync.IN_SYNC, health=Health.HEALTHY, services_ok=s.services)
                  if s.stack == "apps" else s for s in stacks())  # fmt: skip
    return FleetSnapshot(BOOT, hosts(), quiet, calm_services(), ())


def troubled() -> FleetSnapshot:
    """A flapping service, a drifted stack, a full disk."""
    return FleetSnapshot(BOOT, hosts(), stacks(), services(), ALERTS)


def without_pi() -> FleetSnapshot:
    """The Pi went away 38 seconds ago; its last values stay."""
    fleet = calm()
    link = Link(HostState.BACKOFF, BOOT - 38, step="tcp", error="no answer in 3 s", remedy="is it powered?",
                retry_at_boot_s=BOOT + 12)  # fmt: skip
    pi = replace(fleet.host("pi"), link=link, seen_boot_s=BOOT - 38)
    alert = Alert(Severity.ERROR, "pi", "host", "no answer at tcp since 38s", "ctrl+r tries again now", "pi")
    stale = tuple(replace(s, stale=True) if s.host == "pi" else s for s in fleet.services)
    return replace(fleet, hosts=(*fleet.hosts[:2], pi), services=stale, alerts=(alert,))


def interrupted() -> FleetSnapshot:
    """A deploy of sese/apps stopped half way."""
    fleet = troubled()
    left = tuple(replace(s, pending="r13") if s.stack == "apps" else s for s in fleet.stacks)
    alert = Alert(Severity.ERROR, "sese", "apps", "a deploy was interrupted on its way to r13", "resume or revert it",
                  "sese/apps")  # fmt: skip
    return replace(fleet, stacks=left, alerts=(alert, *fleet.alerts))


def revert_failed() -> FleetSnapshot:
    """A deploy of sese/apps could neither be finished nor taken back."""
    fleet = interrupted()
    where = "/opt/vpai/deploy/stacks/apps/releases/r13"
    stacks = tuple(replace(s, revert_failed=where) if s.stack == "apps" else s for s in fleet.stacks)
    return replace(fleet, stacks=stacks, alerts=alerts(fleet.hosts, stacks, fleet.services))


def switched_off() -> FleetSnapshot:
    """Two services of the Pi wait for the operator's own sources."""
    fleet = calm()
    names = ("comfyui", "remotion")
    own = tuple(Service("pi", "creative", name, Sync.NOT_DEPLOYED, Health.STOPPED, None, off=True) for name in names)
    stack = StackStatus(
        "pi", "creative", "Image and video", Sync.NOT_DEPLOYED, Health.STOPPED, 0, 0, None, None, False, off=names
    )
    there = tuple(item for item in fleet.services if item.service not in names)
    return replace(fleet, stacks=(*fleet.stacks, stack), services=(*there, *own))


HELD = Hold("2026-02-26T21:10:00Z", "ann@desk", "kernel upgrade until midnight")


def held() -> FleetSnapshot:
    """Somebody froze deploys on sese."""
    fleet = troubled()
    sese = replace(fleet.hosts[0], hold=HELD)
    alert = Alert(Severity.INFO, "sese", "hold", f"deploys are held {HELD.told}",
                  "when that is done: vpai-tui hold sese --off", "sese")  # fmt: skip
    return replace(fleet, hosts=(sese, *fleet.hosts[1:]), alerts=(*fleet.alerts, alert))
