"""What is said of the fleet: status, checks, one service. Text from hosts is cleaned already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vpai_tui.fleet import sources
from vpai_tui.fleet.model import Alert, FleetSnapshot, Health, HostSnapshot, HostState, Service, Severity, Sync
from vpai_tui.verbs.say import table

if TYPE_CHECKING:
    from vpai_tui.fleet.doctor import CheckResult
    from vpai_tui.fleet.trend import Past
    from vpai_tui.widgets.backend import Section

_MARKS = {Severity.ERROR: "✖", Severity.WARN: "▲", Severity.INFO: "·"}
_HEALTH = {Health.HEALTHY: "✔", Health.RUNNING: "✔", Health.STARTING: "…", Health.STOPPED: "·", Health.UNKNOWN: "◌"}
_HOST = {HostState.READY: "✔", HostState.CONNECTING: "…", HostState.DEGRADED: "▲"}


def status_json(snapshot: FleetSnapshot) -> dict[str, Any]:
    """The `status` document."""
    now = snapshot.at_boot_s
    return {
        "hosts": [_host_json(host, now) for host in snapshot.hosts],
        "stacks": [
            {
                "stack": item.id,
                "sync": item.sync,
                "health": item.health,
                "release": item.current,
                "pending": item.pending,
            }
            for item in snapshot.stacks
        ],
        "services": [_service_json(item, snapshot) for item in snapshot.services],
        "alerts": [alert_json(it) for it in snapshot.alerts],
        "notes": [f"{host.name}: {host.link.error}" for host in snapshot.hosts if host.link.error]
        + [f"{stack.id}: {stack.note}" for stack in snapshot.stacks if stack.note]
        + sources.words(item.id for item in snapshot.services if item.off),
    }


def alert_json(alert: Alert) -> dict[str, Any]:
    """One alert."""
    return {name: getattr(alert, name) for name in ("severity", "host", "subject", "message", "remedy")}


def _host_json(host: HostSnapshot, now: float) -> dict[str, Any]:
    seen, sample = host.seen_boot_s, host.metrics
    return {
        "name": host.name,
        "state": host.link.state,
        "address": host.link.address,
        "error": host.link.error or None,
        "age_s": None if seen is None else round(max(0.0, now - seen), 1),
        "load": None if sample is None else [sample.load1, sample.load5, sample.load15],
        "memory": None
        if sample is None
        else {"total_bytes": sample.memory_total_bytes, "available_bytes": sample.memory_available_bytes},
        "disks": None
        if sample is None
        else [{"mount": it.mount, "size_bytes": it.size_bytes, "used_bytes": it.used_bytes} for it in sample.disks],
        "docker": host.docker.version if host.docker else None,
        "compose": host.docker.compose if host.docker else None,
        "hold": host.hold._asdict() if host.hold else None,
    }


def _service_json(item: Service, snapshot: FleetSnapshot) -> dict[str, Any]:
    container, host = item.container, snapshot.host(item.host)
    at = host.containers_at_boot_s
    return {
        "host": item.host,
        "stack": item.stack,
        "service": item.service,
        "sync": item.sync,
        "health": item.health,
        "image": item.image,
        "restarts": container.restarts if container else None,
        "ports": [str(port) for port in container.ports] if container else [],
        "age_s": None if at is None else round(max(0.0, snapshot.at_boot_s - at), 1),
    }


def status(snapshot: FleetSnapshot) -> None:
    """Hosts, what needs attention, services."""
    for host in snapshot.hosts:
        sample, mark = host.metrics, _HOST.get(host.link.state, "✖")
        load = f"load {sample.load1:.2f}" if sample else ""
        memory = f"mem {_used_percent(sample.memory_total_bytes, sample.memory_available_bytes)}%" if sample else ""
        engine = (
            f"docker {host.docker.version} compose {host.docker.compose}" if host.docker and host.docker.version else ""
        )
        words = (
            f"{mark} {host.name:<6} {host.link.state:<10}",
            host.link.address or "",
            load,
            memory,
            engine,
            host.link.error,
        )
        print("  ".join(word for word in words if word))
    for stack in snapshot.stacks:
        if stack.note:
            print(f"◌ {stack.id}: {stack.note}")
        for text in sources.words(f"{stack.id}/{name}" for name in stack.off):
            print(f"■ {text}")
    for alert in snapshot.alerts:
        alert_line(alert)
    rows = [_service_row(item) for item in snapshot.services]
    table(("", "SERVICE", "SYNC", "HEALTH", "IMAGE", "RESTARTS"), rows)


def _used_percent(total: int, available: int) -> int:
    return round(100 * (total - available) / total) if total else 0


def alert_line(alert: Alert) -> None:
    """One alert, and what to do."""
    print(
        f"{_MARKS[alert.severity]} {alert.host} {alert.subject}: {alert.message}"
        + (f"  → {alert.remedy}" if alert.remedy else "")
    )


def _service_row(item: Service) -> tuple[str, ...]:
    restarts = item.container.restarts if item.container else None
    sync = item.sync if item.sync is not Sync.IN_SYNC else "in sync"
    mark = "◌" if item.stale else _HEALTH.get(item.health, "✖")
    image = item.image or ("no source given" if item.off else "–")
    return (
        mark,
        item.id,
        str(sync),
        "off" if item.off else str(item.health),
        image,
        "–" if restarts is None else str(restarts),
    )


def check_json(result: CheckResult) -> dict[str, Any]:
    """One line of the `doctor` document."""
    return {name: getattr(result, name) for name in ("host", "check", "ok", "detail", "remedy")}


def check(result: CheckResult) -> None:
    """One line, and the remedy below it."""
    mark = "▲" if result.ok is None else "✔" if result.ok else "✖"
    print(f"{mark} {result.host:<8} {result.check:<14} {result.detail}", flush=True)
    if result.remedy and result.ok is not True:
        print(f"    → {result.remedy}", flush=True)


def description(found: Sequence[Section]) -> None:
    """Titled pairs."""
    for section in found:
        print(section.title)
        for name, value in section.items:
            print(f"  {name:<18} {value}".rstrip())


_PAST = {"cpu": "cpu_percent", "memory": "memory_bytes"}


def past(found: Past) -> None:
    """The least, the mean and the most of a day."""
    if found.why:
        print(f"last 24 h: no history: {found.why}")
    for name, series in found.figures.items():
        least, mean, most = (_figure(name, value) for value in (series.least, series.mean, series.most))
        print(f"last 24 h: {name:<7} least {least}, mean {mean}, most {most}")


def past_json(found: Past) -> dict[str, Any]:
    """`past` and `notes` of `describe`."""
    told = {
        key: {"least": it.least, "mean": it.mean, "most": it.most} if (it := found.figures.get(name)) else None
        for name, key in _PAST.items()
    }
    return {"past": {"hours": 24, **told}, "notes": [f"no history: {found.why}"] if found.why else []}


def _figure(name: str, value: float) -> str:
    return f"{value:.1f} % of a core" if name == "cpu" else f"{value / (1 << 20):.0f} MiB"
