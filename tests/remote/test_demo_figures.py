"""The machines' figures of the demo: read by the real metrics channel, moved by the clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from vpai_tui import demo
from vpai_tui.demo import DemoFleet, proc
from vpai_tui.demo.hosts import PROFILES
from vpai_tui.fleet.metrics import MetricsParser, Sample, script
from vpai_tui.remote.connection import connect

NOON = datetime(2026, 2, 26, 12, 0, tzinfo=UTC)


class Standing:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.moment = NOON

    def boot_s(self) -> float:
        return self.moment.timestamp()

    def now(self) -> datetime:
        return self.moment


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[DemoFleet]:
    async with demo.start(tmp_path, clock=Standing()) as running:
        yield running


async def sample(fleet: DemoFleet, host: str) -> Sample:
    """The first whole sample of the metrics script, run on the host as the cockpit runs it."""
    parser = MetricsParser(host)
    connection = await connect(host, fleet.fleet.hosts[host])
    found = None
    async with connection.stream(
        ["sh", "-s", "--", "1", fleet.fleet.hosts[host].root], root=True, stdin=script()
    ) as lines:
        async for line in lines:
            found = parser.feed(line, now=NOON, at_boot_s=0.0)
            if found is not None:
                break
    await connection.close()
    assert found is not None
    return found


async def test_every_host_shows_its_own_figures(fleet: DemoFleet) -> None:
    seen = {host: await sample(fleet, host) for host in fleet.hosts}
    for host, one in seen.items():
        assert one.metrics is not None
        profile = PROFILES[host]
        assert one.metrics.cpus == profile.cpus
        assert one.metrics.memory_total_bytes == profile.memory_bytes
        assert 0 < one.metrics.memory_available_bytes < profile.memory_bytes
        assert one.metrics.disks[0].size_bytes == profile.disk_bytes
        assert (one.metrics.temperature_c is not None) == profile.hot
        assert one.metrics.clock_skew_s is not None and abs(one.metrics.clock_skew_s) < 30
        running = {c["id"] for c in fleet.engine(host).read()["containers"].values() if c["started"]}
        assert one.usage and set(one.usage) <= running
        assert {deploy.stack for deploy in one.deploys if deploy.current}
    assert len({one.metrics.load1 for one in seen.values() if one.metrics}) == 3


def read(fleet: DemoFleet, host: str, name: str) -> list[float]:
    text = (fleet.home(host) / "proc" / name).read_text().splitlines()[0]
    return [float(word) for word in text.split() if word.replace(".", "", 1).isdigit()]


async def test_figures_follow_the_clock_and_counters_never_fall(fleet: DemoFleet) -> None:
    profile = PROFILES["sese"]
    loads, ticks = [], []
    for step in range(12):
        proc.write(fleet.home("sese"), profile, fleet.seed, (NOON + timedelta(seconds=10 * step)).timestamp())
        loads.append(read(fleet, "sese", "loadavg")[0])
        ticks.append(read(fleet, "sese", "stat"))
    assert len(set(loads)) > 6
    for before, after in pairwise(ticks):
        assert all(later >= earlier for earlier, later in zip(before, after, strict=True))
    proc.write(fleet.home("sese"), profile, fleet.seed, NOON.timestamp())
    assert read(fleet, "sese", "loadavg")[0] == loads[0]


async def test_the_hosts_clock_is_the_demos(fleet: DemoFleet) -> None:
    connection = await connect("pi", fleet.fleet.hosts["pi"])
    told = (await connection.run(["date", "-u", "+%Y-%m-%dT%H"])).stdout.decode().strip()
    listed = (await connection.run(["docker", "ps", "--format", "{{.Names}} {{.RunningFor}}"], root=True)).stdout
    await connection.close()
    assert told == "2026-02-26T12"
    assert b"days ago" in listed
