"""Checks that need no question: what the watched fleet shows already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.fleet.model import FleetSnapshot, Health, Sync
from vpai_tui.upkeep.examiner import Source

if TYPE_CHECKING:
    from vpai_tui.upkeep.surface import Surface

CHECKS = ("containers",)


def seen_source(surface: Surface) -> Source:
    """What is read off the snapshot."""

    async def ask() -> Sequence[Finding]:
        return list(containers(surface.snapshot()))

    return Source("the fleet as it is watched", CHECKS, "", ask)


def containers(snapshot: FleetSnapshot) -> Iterator[Finding]:
    """`containers`: per live host, each service of a deployed stack that has no container, or is down; else how many
    there are. What was stopped on purpose is nobody's fault."""
    deployed = {
        stack.id
        for stack in snapshot.stacks
        if stack.sync is not Sync.NOT_DEPLOYED and not stack.on_demand and not stack.busy
    }
    for host in snapshot.hosts:
        if not host.live or host.containers is None:
            why = "its containers are not known" if host.live else "the host is gone"
            yield Finding("containers", host.name, "", Standing.UNKNOWN, why)
            continue
        expected = [
            service
            for service in snapshot.services
            if service.host == host.name
            and f"{service.host}/{service.stack}" in deployed
            and not (service.off or service.one_shot)
        ]
        missing = [service for service in expected if service.container is None]
        for service in missing:
            remedy = f"see the plan: vpai-tui plan {service.host}/{service.stack}"
            yield Finding(
                "containers", host.name, service.service, Standing.ERROR, "has no container", remedy, service.id
            )
        down = [it for it in expected if it.container is not None and it.health is Health.DOWN]
        for service in down:
            state = service.container.state if service.container else ""
            remedy = f"read its last lines: vpai-tui describe {service.id}"
            yield Finding(
                "containers",
                host.name,
                service.service,
                Standing.ERROR,
                f"does not run: its container is {state}",
                remedy,
                service.id,
            )
        if not missing and not down:
            stopped = sum(1 for it in expected if it.health is Health.STOPPED)
            told = (
                f"all {len(expected)} services have a container{f', {stopped} stopped on purpose' if stopped else ''}"
            )
            yield Finding("containers", host.name, "", Standing.OK, told)
