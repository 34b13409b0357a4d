"""What needs the operator, worst first, each with the next thing to do. Pure functions over a snapshot's parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from vpai_tui.fleet.model import (
    Alert,
    Container,
    Disk,
    Health,
    HostSnapshot,
    HostState,
    Metrics,
    Service,
    Severity,
    StackStatus,
    Sync,
)

DISK_WARN_PERCENT = 85.0
DISK_ERROR_PERCENT = 95.0
MEMORY_WARN_SHARE = 0.08  # of all memory still available
MEMORY_ERROR_SHARE = 0.03
SWAP_WARN_SHARE = 0.5  # of all swap in use, and less than a fifth of the memory available
SKEW_WARN_S = 2.0

_RANK = (Severity.ERROR, Severity.WARN, Severity.INFO)
_FINE = (Health.HEALTHY, Health.RUNNING, Health.STARTING)
_GONE = (HostState.OFFLINE, HostState.REFUSED, HostState.BACKOFF)


def alerts(
    hosts: Sequence[HostSnapshot], stacks: Sequence[StackStatus], services: Sequence[Service]
) -> tuple[Alert, ...]:
    """All alerts, ranked by severity, then by kind in the order below, then as the hosts are listed.

    What a host that is gone last said of its services is not repeated: its one alert stands for them.
    """
    live = {host.name: host for host in hosts if host.live}
    of_stack = {stack.id: stack for stack in stacks}
    reachable = [service for service in services if service.host in live]
    with_stack = [stack for stack in stacks if stack.host in live]
    found = [
        *(alert for host in hosts for alert in _link(host, services)),
        *(alert for stack in with_stack for alert in _interrupted(stack)),
        *(alert for service in reachable for alert in _service(service, of_stack.get(_stack_id(service)))),
        *(alert for host in live.values() for alert in _machine(host)),
        *(alert for stack in with_stack for alert in _drift(stack)),
        *(alert for host in live.values() for alert in _held(host)),
    ]
    return ranked(found)


def ranked(found: Iterable[Alert]) -> tuple[Alert, ...]:
    """Worst first; of one severity as they came."""
    return tuple(sorted(found, key=lambda alert: _RANK.index(alert.severity)))


def _link(host: HostSnapshot, services: Iterable[Service]) -> Iterator[Alert]:
    link = host.link
    at = f" at {link.step}" if link.step else ""
    if link.state is HostState.DEGRADED:
        message = link.error or f"{link.step} does not work"
        yield Alert(Severity.ERROR, host.name, link.step or host.name, message, link.remedy, host.name)
    elif link.state in _GONE or (link.state is HostState.CONNECTING and link.error):  # the next try is no good news yet
        hidden = sum(1 for service in services if service.host == host.name)
        folded = f"; {hidden} services unknown" if hidden else ""
        word = {HostState.REFUSED: "refused", HostState.OFFLINE: "offline"}.get(link.state, "no connection")
        severity = Severity.ERROR if link.state in (HostState.OFFLINE, HostState.REFUSED) else Severity.WARN
        message = f"{word}{at}: {link.error}{folded}" if link.error else f"{word}{at}{folded}"
        remedy = link.remedy or "ctrl+r tries again now"
        yield Alert(severity, host.name, host.name, message, remedy, host.name)


def _interrupted(stack: StackStatus) -> Iterator[Alert]:
    if stack.interrupted and stack.revert_failed:
        message = f"neither {stack.pending} nor {stack.current or 'what ran before'} is whole: the revert failed"
        remedy = (
            f"mend what {stack.revert_failed}/failure.log and out.log on {stack.host} tell, then "
            f"vpai-tui revert {stack.id}, or resume {stack.id}"
        )
        yield Alert(Severity.ERROR, stack.host, stack.id, message, remedy, stack.id)
    elif stack.interrupted:
        message = f"the deploy of {stack.pending} was interrupted; the way back is {stack.current or 'none'}"
        remedy = f"settle it: vpai-tui revert {stack.id}, or resume {stack.id}"
        yield Alert(Severity.ERROR, stack.host, stack.id, message, remedy, stack.id)


def _stack_id(service: Service) -> str:
    return f"{service.host}/{service.stack}"


def _service(service: Service, stack: StackStatus | None) -> Iterator[Alert]:
    """At most one alert of a service. While its stack is being deployed the gate judges, and this only informs."""
    verdict = _verdict(service, on_demand=stack is None or stack.on_demand)
    if verdict is not None:
        severity, message, remedy = verdict
        if stack is not None and stack.busy:
            severity, message = Severity.INFO, f"{message} (a deploy is running)"
        yield Alert(severity, service.host, service.service, message, remedy, service.id)


def _verdict(service: Service, *, on_demand: bool) -> tuple[Severity, str, str] | None:
    """Severity, message and remedy. Of an on-demand stack, and of what no stack claims, stopped is a normal state."""
    container = service.container
    if container is not None and service.health in _FINE and not container.oom_killed:
        return None
    if container is None:
        if service.health is Health.DOWN:
            return Severity.ERROR, "has no container", f"see the plan: vpai-tui plan {_stack_id(service)}"
        return None
    logs = f"read its last lines: vpai-tui describe {service.id}"
    restarts, status = _restarts(container), _exit(container)
    if container.oom_killed:
        remedy = "raise its memory limit, or free memory on the host"
        return Severity.ERROR, f"killed for want of memory{restarts}", remedy
    if service.health is Health.DEGRADED:
        if container.health == "unhealthy" and container.state == "running":
            return Severity.ERROR, f"unhealthy by its own check{restarts}", logs
        return Severity.ERROR, f"restarting over and over{status}{restarts}", logs
    if service.health is Health.DOWN and service.stack:
        return Severity.ERROR, f"down: {container.state}{status}{restarts}", logs
    if service.health is Health.STOPPED and not on_demand:
        word = "stopped" if container.state == "exited" else container.state
        return Severity.WARN, f"{word}{status}", f"start it: vpai-tui start {service.id}"
    return None


def _restarts(container: Container) -> str:
    count = container.restarts
    return f", {count} restart{'s' if count > 1 else ''}" if count else ""


def _exit(container: Container) -> str:
    return f" (exit {container.exit_code})" if container.exit_code and container.state != "running" else ""


def _machine(host: HostSnapshot) -> Iterator[Alert]:
    metrics = host.metrics
    if metrics is None:
        return
    for disk in metrics.disks:
        yield from _disk(host.name, disk)
    yield from _memory(host.name, metrics)
    skew = metrics.clock_skew_s
    if skew is not None and abs(skew) > SKEW_WARN_S:
        direction = "ahead of" if skew > 0 else "behind"
        message = f"its clock is {abs(skew):.1f} s {direction} this machine's"
        remedy = "check time synchronisation on both: timedatectl"
        yield Alert(Severity.WARN, host.name, "clock", message, remedy, host.name)


def _held(host: HostSnapshot) -> Iterator[Alert]:
    if host.hold is not None:
        remedy = f"when that is done: vpai-tui hold {host.name} --off"
        yield Alert(Severity.INFO, host.name, "hold", f"deploys are held {host.hold.told}", remedy, host.name)


def _disk(host: str, disk: Disk) -> Iterator[Alert]:
    percent = disk.used_percent
    if percent <= DISK_WARN_PERCENT:
        return
    severity = Severity.ERROR if percent > DISK_ERROR_PERCENT else Severity.WARN
    free = disk.size_bytes - disk.used_bytes if disk.available_bytes is None else disk.available_bytes
    message = f"{disk.mount} is {percent:.0f} % full, {free / 2**30:.1f} GiB left"
    yield Alert(
        severity, host, f"disk {disk.mount}", message, f"see what fills it: vpai-tui disk {host}", f"disk:{host}"
    )


def _memory(host: str, metrics: Metrics) -> Iterator[Alert]:
    if not metrics.memory_total_bytes:
        return
    share = metrics.memory_available_bytes / metrics.memory_total_bytes
    swap = metrics.swap_used_bytes / metrics.swap_total_bytes if metrics.swap_total_bytes else 0.0
    remedy = "stop what is not needed; sort the services by memory"
    if share < MEMORY_WARN_SHARE:
        severity = Severity.ERROR if share < MEMORY_ERROR_SHARE else Severity.WARN
        message = f"{100 * share:.0f} % of memory available ({metrics.memory_available_bytes / 2**20:.0f} MiB)"
        yield Alert(severity, host, "memory", message, remedy, host)
    elif swap > SWAP_WARN_SHARE and share < 0.2:
        message = f"{100 * swap:.0f} % of swap in use with {100 * share:.0f} % of memory available"
        yield Alert(Severity.WARN, host, "memory", message, remedy, host)


def _drift(stack: StackStatus) -> Iterator[Alert]:
    if stack.sync is Sync.DRIFTED and not stack.pending:
        message = "what runs is not what its files say"
        yield Alert(Severity.WARN, stack.host, stack.id, message, f"see the plan: vpai-tui plan {stack.id}", stack.id)
    elif stack.sync is Sync.NOT_DEPLOYED and stack.services and not stack.on_demand and not stack.busy:
        message = "not deployed yet"
        yield Alert(Severity.INFO, stack.host, stack.id, message, f"vpai-tui deploy {stack.id}", stack.id)
