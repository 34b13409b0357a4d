"""Memory: what a start may take at most, what the host has left, and who holds the rest. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from vpai_tui.errors import PreflightRefused
from vpai_tui.fleet.model import FleetSnapshot, Health, Service
from vpai_tui.ondemand.model import OnDemandStack, Room

KEPT_BYTES = 256 << 20  # left to the host: below that its kernel ends somebody, and nobody chooses whom
_UP = (Health.HEALTHY, Health.RUNNING, Health.STARTING, Health.DEGRADED)


def room_of(stack: OnDemandStack, fleet: FleetSnapshot) -> Room:
    """What starting what does not run of `stack` would take of its host."""
    host = next((it for it in fleet.hosts if it.name == stack.host), None)
    metrics = host.metrics if host is not None and host.live else None
    up = {it.service for it in own_services(stack, fleet) if runs(it)}
    missing = [name for name in stack.services if name not in up and name not in stack.one_shots]
    limits = {name: stack.limits.get(name) for name in missing}
    return Room(
        wanted_bytes=sum(limit for limit in limits.values() if limit is not None),
        available_bytes=metrics.memory_available_bytes if metrics else None,
        total_bytes=metrics.memory_total_bytes if metrics else None,
        kept_bytes=KEPT_BYTES if missing else 0,
        unlimited=tuple(name for name, limit in limits.items() if limit is None),
        holders=tuple((it.id, it.usage.memory_bytes if it.usage else None) for it in others(stack, fleet)),
    )


def own_services(stack: OnDemandStack, fleet: FleetSnapshot) -> list[Service]:
    return [it for it in fleet.services if it.host == stack.host and it.stack == stack.name and not it.off]


def others(stack: OnDemandStack, fleet: FleetSnapshot) -> list[Service]:
    """What else runs on the host, the largest first."""
    found = [it for it in fleet.services if it.host == stack.host and it.stack != stack.name and runs(it)]
    return sorted(found, key=lambda it: (-(it.usage.memory_bytes if it.usage else 0), it.id))


def runs(service: Service) -> bool:
    return service.container is not None and service.health in _UP


def refuse_full(stack: OnDemandStack, room: Room) -> None:
    """Nothing is started where the memory for it is not there.

    Raises:
        PreflightRefused: who holds how much stands in its output.
    """
    if room.enough is not False or room.available_bytes is None:
        return
    holders = list(_told(room.holders))
    largest = next((name for name, held in room.holders if held), None)
    free_it = f"stop what is not needed, such as `vpai-tui stop {largest}`" if largest else "free memory there"
    raise PreflightRefused(
        f"{stack.title} may take {gib(room.wanted_bytes)}, and {stack.host} has {gib(room.available_bytes)} left "
        f"({gib(room.kept_bytes)} of it stay with the host)",
        host=stack.host,
        step="memory",
        output="\n".join(holders),
        remedy=f"nothing was started; {free_it}, then start again",
    )


def _told(holders: Iterable[tuple[str, int | None]]) -> Iterable[str]:
    for name, held in holders:
        yield f"{name} holds {gib(held) if held is not None else 'an unknown amount'}"


def gib(count: int) -> str:
    """`512M`, `1.5G`."""
    return f"{count / (1 << 30):.1f}G" if count >= 1 << 30 else f"{count >> 20}M"
