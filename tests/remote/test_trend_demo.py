"""The demo's past over SSH: sese's containers and every host's figures, and why there is none."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.trend import DAY_S, Past, Trends
from vpai_tui.fleet.watch import FleetWatch
from vpai_tui.remote.connection import Connection
from vpai_tui.world import World, open_world

pytestmark = pytest.mark.xdist_group("trend-demo")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trend")


@pytest.fixture
async def world(folder: Path) -> AsyncIterator[World]:
    args = Namespace(demo=True, demo_dir=folder, demo_reset=False, demo_foreign=None, config=None, verb=None)
    async with open_world(args) as world:
        yield world


@pytest.fixture
async def watch(world: World) -> AsyncIterator[FleetWatch]:
    watch = FleetWatch(world.fleet, world.stacks, clock=world.clock)
    await watch.start()
    await watch.settled()
    yield watch
    await watch.stop()


async def _past(world: World, watch: FleetWatch, trends: Trends, service_id: str) -> Past:
    service = next(it for it in watch.snapshot().services if it.id == service_id)
    return await trends.of_service(service)


async def test_a_service_and_each_host_have_a_day(world: World, watch: FleetWatch) -> None:
    trends = world.trends()
    assert trends.host == "sese"
    past = await _past(world, watch, trends, "sese/infra/postgresql")
    assert past.why == ""
    cpu, memory = past.figures["cpu"], past.figures["memory"]
    assert len(cpu.points) > 280
    assert 0 < cpu.least <= cpu.mean <= cpu.most < 100
    service = next(it for it in watch.snapshot().services if it.id == "sese/infra/postgresql")
    assert service.usage is not None
    assert memory.values[-1] == pytest.approx(service.usage.memory_bytes, rel=0.2)  # the same figure, 10 % cached
    for host in world.fleet.hosts:
        figures = (await trends.of_host(host)).figures
        assert set(figures) == {"load", "memory", "disk"}
        metrics = watch.snapshot().host(host).metrics
        assert metrics is not None
        assert figures["disk"].values[-1] == pytest.approx(metrics.disks[0].used_percent, abs=1)
        assert figures["disk"].values[0] < figures["disk"].values[-1]


async def test_nothing_stays_open_and_a_day_is_not_asked_twice(world: World, watch: FleetWatch) -> None:
    asked = 0

    async def connect(host: str) -> Connection:
        nonlocal asked
        asked += 1
        return watch.connection(host)

    trends = world.trends(connect, lambda it: watch.docker(it.name))
    for _ in range(3):
        await _past(world, watch, trends, "sese/infra/redis")
    assert asked == 1
    running = [it.command for it in watch.connection("sese").log.records() if it.running and "nc to" in it.command]
    assert running == []


async def test_any_figure_can_be_asked_for(world: World) -> None:
    now = world.clock.now().timestamp()
    query = 'node_filesystem_avail_bytes{host="pi",mountpoint="/"}'
    (found,) = await world.trends().series(query, now - 7 * DAY_S, now, 3600)
    assert found.labels["fstype"] == "ext4"
    assert len(found.points) in (168, 169)
    assert found.values[0] > found.values[-1]


async def test_why_there_is_no_past_is_told(world: World, watch: FleetWatch) -> None:
    trends = world.trends()
    past = await _past(world, watch, trends, "seko/headscale/headscale")
    assert past == Past({}, "VictoriaMetrics has no figures of the container headscale-headscale-1")
    with pytest.raises(OperatorError, match="VictoriaMetrics: HTTP 422: cannot parse"):
        await trends.series("load @", 0, 60, 60)
    assert await Trends((), world.connection, world.docker, world.clock).of_host("pi") == Past(
        {}, "history: no stack has VictoriaMetrics"
    )
    await watch.docker("sese").call("stop", "vpai-victoriametrics-1")
    try:
        assert (await world.trends().of_host("pi")).why == (
            "sese: sese/monitoring/victoriametrics does not run: its container is exited"
        )
    finally:
        await watch.docker("sese").call("start", "vpai-victoriametrics-1")
    assert world.demo is not None
    await world.demo.cut("sese")
    gone = await trends.of_host("seko")
    assert not gone.figures
    assert gone.why.startswith("sese: ")
    await world.demo.heal("sese")
