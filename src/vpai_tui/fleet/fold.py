"""Hosts and stacks folded into one `FleetSnapshot`. Pure: the same input gives the same picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from vpai_tui.fleet.alerts import alerts
from vpai_tui.fleet.health import container_health, ok, stack_sync, worst_health
from vpai_tui.fleet.model import (
    Container,
    DeployState,
    FleetSnapshot,
    Health,
    HostSnapshot,
    Service,
    StackStatus,
    Sync,
)
from vpai_tui.fleet.stacks import Stack

_KEEP_LABEL = "vpai.keep"  # containers by which the deployer holds on to images: nobody's services
_AGAIN_S = 5.0  # each host is looked at anew at least this often
_STATES = ("running", "restarting", "exited", "paused", "created", "removing", "dead")  # which one stands for a service

SyncByService = Mapping[str, Sync]


def fold(
    hosts: Sequence[HostSnapshot],
    stacks: Sequence[Stack],
    syncs: Mapping[str, SyncByService | str],
    *,
    at_boot_s: float,
    now: datetime,
) -> FleetSnapshot:
    """The whole picture. `syncs` has, per stack id, what the last comparison said, or why there is none."""
    return Folder().fold(hosts, stacks, syncs, at_boot_s=at_boot_s, now=now)


class Folder:
    """Folds again and again. Of a host that has told nothing new its services are the very same objects as before, so
    that whoever draws thousands of them can tell by identity what did not change."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[_Ground, list[StackStatus], list[Service]]] = {}

    def fold(
        self,
        hosts: Sequence[HostSnapshot],
        stacks: Sequence[Stack],
        syncs: Mapping[str, SyncByService | str],
        *,
        at_boot_s: float,
        now: datetime,
    ) -> FleetSnapshot:
        """As the function of this name."""
        services: list[Service] = []
        statuses: list[StackStatus] = []
        for at, host in enumerate(hosts):
            own = [stack for stack in stacks if stack.host == host.name]
            told = [syncs.get(stack.id, "") for stack in own]
            ground = _Ground(host, own, told, (now.timestamp() + at) // _AGAIN_S)  # not all of them at once
            kept = self._kept.get(host.name)
            if kept is None or not kept[0].same(ground):
                kept = self._kept[host.name] = (ground, *_host(host, own, told, _host_time(host, now)))
            statuses += kept[1]
            services += kept[2]
        found = alerts(hosts, statuses, services)
        return FleetSnapshot(at_boot_s, tuple(hosts), tuple(statuses), tuple(services), found)


@dataclass(frozen=True, slots=True)
class _Ground:
    """What the parts of one host were made of; `turn` because some words depend on how long something has run."""

    host: HostSnapshot
    stacks: list[Stack]
    syncs: list[SyncByService | str]
    turn: float

    def same(self, other: _Ground) -> bool:
        pairs = ((self.stacks, other.stacks), (self.syncs, other.syncs))
        alike = all(len(a) == len(b) and all(x is y for x, y in zip(a, b, strict=True)) for a, b in pairs)
        return self.host is other.host and self.turn == other.turn and alike


def _host(
    host: HostSnapshot, own: Sequence[Stack], syncs: Sequence[SyncByService | str], now: datetime
) -> tuple[list[StackStatus], list[Service]]:
    statuses: list[StackStatus] = []
    services: list[Service] = []
    for stack, sync in zip(own, syncs, strict=True):
        status, members = _stack(host, stack, sync, now)
        statuses.append(status)
        services += [*members, *(_off(host, stack, service, now) for service in stack.off)]
    return statuses, [*services, *_unclaimed(host, own, now)]


def service_containers(containers: Sequence[Container], project: str, service: str) -> list[Container]:
    """The containers of one service, the one that stands for it first."""
    own = [item for item in containers if item.service == service and item.project == project]
    return sorted(own, key=_precedence) if len(own) > 1 else own


def _precedence(container: Container) -> tuple[int, float]:
    """Running ones first, then the newest: a deploy in flight leaves two for a moment."""
    state = _STATES.index(container.state) if container.state in _STATES else len(_STATES)
    created = container.created_at.timestamp() if container.created_at else 0.0
    return state, -created


def _host_time(host: HostSnapshot, now: datetime) -> datetime:
    skew = host.metrics.clock_skew_s if host.metrics else None
    return now + timedelta(seconds=skew) if skew and abs(skew) < 10**9 else now


def _stack(
    host: HostSnapshot, stack: Stack, sync: SyncByService | str, now: datetime
) -> tuple[StackStatus, list[Service]]:
    deploy = next((item for item in host.deploys if item.stack == stack.id), None)
    present = {service: service_containers(host.containers or (), stack.project, service) for service in stack.services}
    deployed = bool(deploy and deploy.current) or any(present.values())
    members = [
        _service(
            host, stack, service, present[service], _sync_of(sync, service, host, deployed, present), deployed, now
        )
        for service in stack.services
    ]
    return _status(stack, deploy, members, sync), members


def _sync_of(
    sync: SyncByService | str, service: str, host: HostSnapshot, deployed: bool, present: Mapping[str, list[Container]]
) -> Sync:
    if not isinstance(sync, str) and service in sync:
        return sync[service]
    if host.containers is None:
        return Sync.UNKNOWN
    return Sync.UNKNOWN if present[service] or deployed else Sync.NOT_DEPLOYED


def _service(
    host: HostSnapshot,
    stack: Stack,
    service: str,
    containers: Sequence[Container],
    sync: Sync,
    deployed: bool,
    now: datetime,
) -> Service:
    container = containers[0] if containers else None
    one_shot = service in stack.spec.one_shots
    health = container_health(container, one_shot=one_shot, on_demand=stack.spec.on_demand, deployed=deployed, now=now)
    return Service(
        host=host.name,
        stack=stack.name,
        service=service,
        sync=sync,
        health=Health.UNKNOWN if host.containers is None else health,
        image=container.image if container else stack.image(service),
        container=container,
        usage=host.usage.get(container.id) if container else None,
        stale=not host.live,
        one_shot=one_shot,
    )


def _off(host: HostSnapshot, stack: Stack, service: str, now: datetime) -> Service:
    """A service without a source. One that runs from earlier is shown as it does: the next deploy removes it."""
    found = service_containers(host.containers or (), stack.project, service)
    container = found[0] if found else None
    return Service(
        host=host.name,
        stack=stack.name,
        service=service,
        sync=Sync.DRIFTED if container else Sync.NOT_DEPLOYED,
        health=container_health(container, now=now) if container else Health.STOPPED,
        image=container.image if container else None,
        container=container,
        usage=host.usage.get(container.id) if container else None,
        stale=not host.live,
        off=container is None,
    )


def _status(
    stack: Stack, deploy: DeployState | None, members: Sequence[Service], sync: SyncByService | str
) -> StackStatus:
    return StackStatus(
        host=stack.host,
        stack=stack.name,
        title=stack.title,
        sync=stack_sync(member.sync for member in members) if members else Sync.NOT_DEPLOYED,
        health=worst_health(member.health for member in members) if members else Health.STOPPED,
        services=len(members),
        services_ok=sum(1 for member in members if ok(member.health)),
        current=deploy.current if deploy else None,
        pending=deploy.pending if deploy else None,
        busy=deploy.busy if deploy else False,
        owner=deploy.owner if deploy else "",
        on_demand=stack.spec.on_demand,
        order=stack.spec.order,
        note=sync if isinstance(sync, str) else "",
        off=stack.off,
        holds_data=bool(stack.spec.data),
        revert_failed=deploy.revert_failed if deploy else "",
    )


def _unclaimed(host: HostSnapshot, stacks: Sequence[Stack], now: datetime) -> list[Service]:
    """What runs there and no stack of ours claims. Containers that were never started are not services."""
    claimed = {(stack.project, service) for stack in stacks for service in (*stack.services, *stack.off)}
    rest = [
        container
        for container in host.containers or ()
        if (container.project, container.service) not in claimed
        and container.state != "created"
        and _KEEP_LABEL not in container.labels
    ]
    return [
        Service(
            host=host.name,
            stack="",
            service=container.name,
            sync=Sync.UNKNOWN,
            health=container_health(container, now=now),
            image=container.image,
            container=container,
            usage=host.usage.get(container.id),
            stale=not host.live,
        )
        for container in rest
    ]
