"""Live sessions over real SSH: what is seen, what is said when it breaks, and that it all comes back."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from vpai_tui import config
from vpai_tui.errors import CommandFailed, HostUnreachable, UsageError
from vpai_tui.fleet.doctor import check_hosts
from vpai_tui.fleet.model import FleetSnapshot, Health, HostState, Sync
from vpai_tui.fleet.stacks import Stack, StackSpec
from vpai_tui.fleet.watch import FleetWatch
from vpai_tui.remote.command_log import CommandLog
from vpai_tui.remote.connection import Connection

from .fleet_engine import FleetEngine
from .hosts import Keys, SshHost, serve

APPS = Stack(
    id="sese/apps",
    host="sese",
    name="apps",
    dir=Path("/nowhere"),
    spec=StackSpec(),
    compose={"services": {"web": {"image": "lab/web:1"}, "db": {"image": "lab/db:1"}}},
    compose_path=Path("/nowhere/compose.yaml"),
    services=("web", "db"),
    env_uses=(),
    binds={"web": (), "db": ()},
)


class JumpingClock:
    def __init__(self) -> None:
        self.ahead_s = 0.0

    def boot_s(self) -> float:
        return time.monotonic() + self.ahead_s

    def now(self) -> datetime:
        return datetime.now(UTC)


class Probe:
    """Compares nothing; counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: Mapping[str, Sync] | Exception = {"web": Sync.IN_SYNC, "db": Sync.DRIFTED}

    async def __call__(self, connection: Connection, stack: Stack) -> Mapping[str, Sync]:
        self.asked.append(f"{connection.name} {stack.id}")
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Box:
    """One host `sese` with an engine, and what is needed to watch it."""

    def __init__(self, server: SshHost, engine: FleetEngine) -> None:
        self.server = server
        self.engine = engine
        self.probe = Probe()
        self.clock = JumpingClock()
        self.log = CommandLog()

    @asynccontextmanager
    async def watched(self, *, interval_s: float = 0.2, **hosts: config.Host) -> AsyncIterator[FleetWatch]:
        own = replace(self.server.host(), root=str(self.server.root / "root"))
        fleet = config.Fleet(hosts={"sese": own, **hosts}, stacks=("sese/apps",))
        watch = FleetWatch(
            fleet, [APPS], clock=self.clock, log=self.log, sync_probe=self.probe, interval_s=interval_s, tick_s=0.1
        )
        await watch.start()
        try:
            yield watch
        finally:
            await watch.stop()


@pytest.fixture
async def box(tmp_path: Path, keys: Keys) -> AsyncIterator[Box]:
    engine = FleetEngine(tmp_path / "bin")
    engine.put("w1", "web")
    engine.put("d1", "db", Health={"Status": "healthy"})
    async with serve(tmp_path / "host", keys, path=str(engine.path)) as server:
        release = server.root / "root/deploy/stacks/apps/releases/r1"
        release.mkdir(parents=True)
        (release.parents[1] / "current").symlink_to("releases/r1")
        (server.root / "root/deploy/lock").touch()
        yield Box(server, engine)


async def until(watch: FleetWatch, condition: Callable[[FleetSnapshot], object], within_s: float = 8) -> FleetSnapshot:
    async with asyncio.timeout(within_s):
        async for snapshot in watch.watch():
            if condition(snapshot):
                return snapshot
    raise AssertionError("the watch ended")


def web(snapshot: FleetSnapshot) -> Any:
    return next(service for service in snapshot.services if service.service == "web")


def link(snapshot: FleetSnapshot, host: str = "sese") -> Any:
    return snapshot.host(host).link


async def test_a_host_tells_everything(box: Box) -> None:
    async with box.watched() as watch:
        snapshot = await watch.settled()
        sese = snapshot.host("sese")
        assert (sese.link.state, sese.link.address) == (HostState.READY, "127.0.0.1")
        assert sese.docker is not None and (sese.docker.version, sese.docker.compose) == ("26.1.5", "2.30.1")
        assert sese.metrics is not None and sese.metrics.memory_total_bytes > 0
        (stack,) = snapshot.stacks
        assert (stack.current, stack.health, stack.sync) == ("r1", Health.RUNNING, Sync.DRIFTED)
        assert web(snapshot).container.restarts == 0, "inspected, not only listed"
        assert [alert.target for alert in snapshot.alerts if alert.subject == "sese/apps"] == ["sese/apps"]
        assert watch.connection("sese").address == "127.0.0.1"
        assert watch.docker("sese") is not None


async def test_a_death_is_seen_by_its_event_and_nothing_is_polled(box: Box) -> None:
    async with box.watched() as watch:
        await watch.settled()
        async with asyncio.timeout(5):
            while not any("/events" in call for call in box.engine.calls):
                await asyncio.sleep(0.05)
        before = len(box.engine.calls)
        await asyncio.sleep(0.7)
        assert len(box.engine.calls) == before
        box.engine.put("w1", "web", "exited", ExitCode=1)
        box.engine.say("die", "w1", time.time(), exitCode="1")
        snapshot = await until(watch, lambda seen: web(seen).health is Health.DOWN)
        assert [(alert.target, alert.message) for alert in snapshot.alerts if alert.subject == "web"] == [
            ("sese/apps/web", "down: exited (exit 1)")
        ]
        assert [event.action for event in watch.events("sese", "w1")] == ["die"]
        assert box.probe.asked == ["sese sese/apps"], "that a container stopped does not change its sync"


async def test_sync_is_asked_again_when_containers_or_releases_changed(box: Box) -> None:
    async with box.watched() as watch:
        await watch.settled()
        box.engine.put("w2", "web")
        box.engine.say("create", "w2", time.time())
        stacks = box.server.root / "root/deploy/stacks/apps"
        (stacks / "releases/r2").mkdir()
        (stacks / "current").unlink()
        (stacks / "current").symlink_to("releases/r2")
        box.probe.answer = {"web": Sync.IN_SYNC, "db": Sync.IN_SYNC}
        # the event and the sample that has the link come by ways of their own
        await until(watch, lambda seen: seen.stacks[0].sync is Sync.IN_SYNC and seen.stacks[0].current == "r2")
        assert len(box.probe.asked) in (2, 3), "changes close together are one question, or one more"


async def test_a_comparison_that_fails_says_why(box: Box) -> None:
    box.probe.answer = CommandFailed("no env file", exit_status=1)
    async with box.watched() as watch:
        snapshot = await watch.settled()
        assert (snapshot.stacks[0].sync, snapshot.stacks[0].note) == (Sync.UNKNOWN, "no env file")
        box.probe.answer = ZeroDivisionError("oops")
        watch.recheck("sese/apps")
        snapshot = await until(watch, lambda seen: "internal" in seen.stacks[0].note)
        assert snapshot.stacks[0].note == "internal error: ZeroDivisionError: oops"


async def test_an_interrupted_deploy_is_found_at_connect(box: Box) -> None:
    stacks = box.server.root / "root/deploy/stacks/apps"
    (stacks / "pending").symlink_to("releases/r2")
    async with box.watched() as watch:
        snapshot = await watch.settled()
        assert snapshot.stacks[0].interrupted
        assert "revert sese/apps" in snapshot.alerts[0].remedy


async def test_a_lost_connection_comes_back_with_everything(box: Box) -> None:
    async with box.watched() as watch:
        await watch.settled()
        box.server.drop()
        snapshot = await until(watch, lambda seen: not seen.host("sese").live)
        assert web(snapshot).stale and web(snapshot).health is Health.RUNNING, "the last values stay, as stale"
        assert snapshot.host("sese").metrics is not None
        await until(watch, lambda seen: link(seen).state is HostState.READY)
        snapshot = await watch.settled()
        first = snapshot.host("sese").metrics
        assert first is not None
        await until(watch, lambda seen: seen.host("sese").metrics.at_boot_s > first.at_boot_s)
        assert box.probe.asked == ["sese sese/apps"] * 2, "asked again at the second connect"
        box.engine.put("w1", "web", "exited", ExitCode=1)
        box.engine.say("die", "w1", time.time(), exitCode="1")
        await until(watch, lambda seen: web(seen).health is Health.DOWN)


async def test_a_dead_host_does_not_delay_the_others(box: Box) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never says a word
        async with box.watched(pi=box.server.host(port=silent.getsockname()[1])) as watch:
            snapshot = await until(watch, lambda seen: seen.host("sese").metrics and web(seen).container, 3)
            assert link(snapshot, "pi").state is HostState.CONNECTING
            with pytest.raises(HostUnreachable):
                watch.connection("pi")


async def test_nobody_there_is_offline_after_three_tries(
    box: Box, unused_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vpai_tui.fleet.pace.FIRST_RETRY_S", 0.05)
    async with box.watched(pi=box.server.host(port=unused_port)) as watch:
        snapshot = await until(watch, lambda seen: link(seen, "pi").state is HostState.OFFLINE)
        assert link(snapshot, "pi").step == "tcp" and link(snapshot, "pi").remedy
        assert [alert.target for alert in snapshot.alerts if alert.host == "pi"] == ["pi"]
        with pytest.raises(HostUnreachable) as caught:
            watch.connection("pi")
        assert (caught.value.step, caught.value.host) == ("tcp", "pi")


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_who_is_refused_waits_for_the_operator(box: Box) -> None:
    known = box.server.root / "known_hosts"
    right = known.read_text()
    wrong = box.server.keys.other.export_public_key().decode().strip()
    known.write_text(f"[127.0.0.1]:{box.server.port} {wrong}\n")
    async with box.watched() as watch:
        snapshot = await until(watch, lambda seen: link(seen).state is HostState.REFUSED)
        assert link(snapshot).step == "host key" and link(snapshot).remedy
        connections = len(box.server.connections)
        await asyncio.sleep(1.5)
        assert len(box.server.connections) == connections, "not tried again by itself"
        known.write_text(right)
        watch.reconnect("sese")
        await until(watch, lambda seen: link(seen).state is HostState.READY)


async def test_without_docker_the_host_is_degraded_and_its_metrics_go_on(box: Box) -> None:
    box.engine.down(True)
    async with box.watched() as watch:
        snapshot = await until(watch, lambda seen: link(seen).step == "docker" and seen.host("sese").metrics)
        assert link(snapshot).state is HostState.DEGRADED
        assert "daemon" in link(snapshot).error and link(snapshot).remedy
        assert snapshot.alerts[0].subject == "docker"
        assert snapshot.host("sese").live
        box.engine.down(False)
        watch.reconnect("sese")
        await until(watch, lambda seen: link(seen).step in ("", "compose") and web(seen).container)


async def test_an_engine_that_restarts_is_listed_again(box: Box) -> None:
    async with box.watched() as watch:
        await watch.settled()
        box.engine.down(True)
        await until(watch, lambda seen: link(seen).state is HostState.DEGRADED)
        box.engine.put("w1", "web", "exited", ExitCode=3)
        box.engine.down(False)
        watch.reconnect("sese")
        await until(watch, lambda seen: link(seen).state is HostState.READY and web(seen).health is Health.DOWN)


async def test_without_sudo_metrics_come_and_the_state_says_what_is_missing(box: Box, tmp_path: Path) -> None:
    sudo = box.engine.path / "sudo"
    sudo.write_text("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    sudo.chmod(0o755)
    host = replace(box.server.host(), sudo=True)
    watch = FleetWatch(config.Fleet(hosts={"sese": host}), (), clock=box.clock, interval_s=0.2)
    await watch.start()
    try:
        snapshot = await until(watch, lambda seen: seen.host("sese").metrics and link(seen).step == "docker")
        assert link(snapshot).state is HostState.DEGRADED
        assert "sudo" in link(snapshot).error + link(snapshot).remedy
    finally:
        await watch.stop()


async def test_a_laptop_that_is_busy_has_not_slept(box: Box) -> None:
    async with box.watched() as watch:
        await watch.settled()
        before = box.server.connections[-1]
        time.sleep(1)  # ten ticks
        await asyncio.sleep(0.5)
        assert box.server.connections[-1] is before
        assert link(watch.snapshot()).state is HostState.READY


async def test_after_a_suspend_everything_is_stale_and_connects_at_once(box: Box) -> None:
    async with box.watched(interval_s=60) as watch:  # one sample: none may come over the old connection after the jump
        await watch.settled()
        before = box.server.connections[-1]
        box.clock.ahead_s = 3600.0
        async with asyncio.timeout(2):  # looked at closely: the new connection may be there in a moment
            while link(snapshot := watch.snapshot()).state is not HostState.CONNECTING:
                await asyncio.sleep(0.005)
        assert web(snapshot).stale
        assert snapshot.host("sese").metrics is not None
        assert box.clock.boot_s() - snapshot.host("sese").metrics.at_boot_s > 3000, "ages ran on"
        await until(watch, lambda seen: link(seen).state is HostState.READY, 3)
        assert box.server.connections[-1] is not before
        assert box.clock.boot_s() - watch.snapshot().host("sese").link.since_boot_s < 60


async def test_watchers_get_the_last_word_at_most_ten_times_a_second_and_end_with_the_watch(box: Box) -> None:
    async with box.watched() as watch:
        await watch.settled()
        times: list[float] = []

        async def read() -> None:
            async for _ in watch.watch():
                times.append(time.monotonic())

        reader = asyncio.ensure_future(read())
        for _ in range(30):
            box.engine.say("health_status: healthy", "d1", time.time())
        await asyncio.sleep(0.6)
        assert 2 <= len(times) <= 8
        assert min(later - sooner for sooner, later in pairwise(times)) >= 0.09
        await watch.stop()
        await asyncio.wait_for(reader, 2)


async def test_stop_leaves_nothing_behind(box: Box) -> None:
    async with box.watched() as watch:
        await watch.settled()
    async with asyncio.timeout(5):
        while box.server.running:
            await asyncio.sleep(0.1)
    assert not [task.get_name() for task in asyncio.all_tasks() if "sese" in task.get_name()]
    with pytest.raises(HostUnreachable):
        watch.connection("sese")
    with pytest.raises(UsageError, match="no host"):
        watch.connection("nobody")


async def test_one_metrics_channel_and_few_others_stay_open(box: Box) -> None:
    async with box.watched() as watch:
        await watch.settled()
        await asyncio.sleep(0.3)
        long_lived = [record.command for record in watch.connection("sese").log.records() if record.running]
        assert len(long_lived) <= 5
        assert long_lived.count("metrics") == 1


async def test_doctor_over_ssh(box: Box) -> None:
    host = replace(box.server.host(), root=str(box.server.root / "root"))
    gone = box.server.host(key=str(box.server.root / "no-such-key"))
    fleet = config.Fleet(hosts={"sese": host, "pi": gone})
    results = [result async for result in check_hosts(fleet, clock=box.clock)]
    sese = {result.check: result for result in results if result.host == "sese"}
    assert [sese[name].ok for name in ("ssh", "docker", "compose", "tools", "root", "clock")] == [True] * 6
    assert sese["docker"].detail == "engine 26.1.5"
    assert "sudo" not in sese, "not wanted there"
    (pi,) = [result for result in results if result.host == "pi"]
    assert pi.ok is False and pi.remedy
