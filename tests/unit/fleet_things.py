"""Hand-made hosts, stacks and containers for the fleet's tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vpai_tui.fleet.model import Container, DockerInfo, HostSnapshot, HostState, Link, Metrics
from vpai_tui.fleet.stacks import Stack, StackSpec

NOW = datetime(2026, 2, 26, 23, 4, tzinfo=UTC)


class StillClock:
    """A clock that moves only when told to."""

    def __init__(self) -> None:
        self.boot = 1000.0

    def boot_s(self) -> float:
        return self.boot

    def now(self) -> datetime:
        return NOW


def stack(name: str = "apps", *services: str, host: str = "sese", **spec: Any) -> Stack:
    services = services or ("web", "db")
    return Stack(
        id=f"{host}/{name}",
        host=host,
        name=name,
        dir=Path("/nowhere"),
        spec=StackSpec(**spec),
        compose={"services": {service: {"image": f"lab/{service}:1"} for service in services}},
        compose_path=Path("/nowhere/compose.yaml"),
        services=tuple(services),
        env_uses=(),
        binds=dict.fromkeys(services, ()),
    )


def container(service: str | None = "web", state: str = "running", *, project: str | None = "apps", **facts: Any):
    base = Container(
        id=f"{project}-{service}-1" + "0" * 40,
        name=f"{project}-{service}-1",
        project=project,
        service=service,
        image=f"lab/{service}:1",
        image_id="sha256:abc",
        state=state,
        health=None,
        created_at=NOW,
        labels={"com.docker.compose.config-hash": "h1"},
    )
    return replace(base, **facts)


def metrics(**facts: Any) -> Metrics:
    base = Metrics(
        at_boot_s=1000.0,
        load1=0.1,
        load5=0.1,
        load15=0.1,
        cpus=2,
        cpu_percent=1.0,
        memory_total_bytes=8 * 2**30,
        memory_available_bytes=4 * 2**30,
        swap_total_bytes=0,
        swap_used_bytes=0,
        disks=(),
        uptime_s=100.0,
        clock_skew_s=0.0,
    )
    return replace(base, **facts)


def host(name: str = "sese", state: HostState = HostState.READY, *containers: Container, **facts: Any) -> HostSnapshot:
    link = Link(state, 1000.0, **facts.pop("link", {}))
    return HostSnapshot(name, name.title(), link, docker=DockerInfo("26", "2.30.0"), containers=containers, **facts)
