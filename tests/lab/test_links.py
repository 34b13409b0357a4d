"""Links of real packets that break: under the fleet's watch, under a deploy that is followed, and in its upload."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from deploy_kit import CHECK, WEB, Laptop, compose, current, home, laptop, pending, push, service, until
from lab_host import LabHost
from lab_registry import Registry

from vpai_tui.deploy import apply
from vpai_tui.deploy.apply import as_event
from vpai_tui.deploy.deployer import Deployer
from vpai_tui.errors import HostUnreachable
from vpai_tui.fleet.model import FleetSnapshot, HostState, Link
from vpai_tui.fleet.operation import Event, Finished, Journaled, Outcome, ServiceStarted
from vpai_tui.fleet.watch import FleetWatch
from vpai_tui.remote import login
from vpai_tui.remote.job import parse_line

pytestmark = pytest.mark.lab
STATES = (HostState.READY, HostState.DEGRADED)


@pytest.fixture(autouse=True)
def images(registry: Registry) -> None:
    push(registry, WEB)


@pytest.fixture
def watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead link is noticed in two seconds."""
    monkeypatch.setattr(login, "KEEPALIVE_INTERVAL_S", 0.5)


class Seen:
    """A fleet's watch, and every state of the host's link that it went through."""

    def __init__(self, watch: FleetWatch, host: str) -> None:
        self.watch = watch
        self.host = host
        self.links: list[Link] = []

    @property
    def connects(self) -> int:
        return self.watch._sessions[self.host].connects

    async def follow(self) -> None:
        async for snapshot in self.watch.watch():
            if (link := snapshot.host(self.host).link) not in self.links[-1:]:
                self.links.append(link)

    async def until(self, *states: HostState, within_s: float = 45) -> FleetSnapshot:
        async with asyncio.timeout(within_s):
            async for snapshot in self.watch.watch():
                if snapshot.host(self.host).link.state in states:
                    return snapshot
        raise AssertionError("the watch ended")


@asynccontextmanager
async def cockpit(me: Laptop, host: str) -> AsyncIterator[tuple[Seen, Deployer]]:
    """What a cockpit is made of: a watch, and a deployer on the watch's own connections."""
    watch = FleetWatch(me.world.fleet, me.world.stacks, clock=me.world.clock, interval_s=1)
    seen = Seen(watch, host)

    async def live(name: str) -> Any:
        return watch.connection(name)

    deployer = Deployer(
        me.world.stacks,
        live,
        me.world.fresh,
        lambda it: watch.docker(it.name),
        me.world.clock,
        me.world.history,
        again=lambda name: watch.connected(name, apply.RECONNECT_WITHIN_S),
    )
    await watch.start()
    following = asyncio.create_task(seen.follow())
    try:
        await watch.settled(hosts=[host])
        yield seen, deployer
    finally:
        await watch.stop()
        await following


async def cut_in_a_deploy(host: LabHost, folder: Path, seconds: float) -> tuple[Seen, list[Event]]:
    """A deploy is followed in a cockpit while the link is cut for `seconds`; asserts that nothing of it got lost."""
    check = {**CHECK, "test": ["CMD-SHELL", "test -e /etc/gate/go"], "start_period": "120s"}  # longer than any cut
    async with laptop(host, folder) as me:
        host.sh(f"mkdir -p {host.root}/gate")
        body = service(healthcheck=check, volumes=["./gate:/etc/gate:ro"])
        me.write(f"{host.name}/web", compose({"web": body}), {"health_timeout_s": 120})
        async with cockpit(me, host.name) as (seen, deployer):
            told: list[Event] = []
            at_gate = asyncio.Event()

            async def follow() -> None:
                async for event in deployer.apply(await deployer.plan("web")):
                    told.append(event)
                    if isinstance(event, ServiceStarted):
                        at_gate.set()

            following = asyncio.create_task(follow())
            await asyncio.wait_for(at_gate.wait(), 30)
            await asyncio.to_thread(host.cut)
            await asyncio.sleep(seconds)
            await asyncio.to_thread(host.heal)
            host.sh(f"touch {host.root}/gate/go")
            await asyncio.wait_for(following, 90)
            await seen.until(*STATES)
            end = told[-1]
            assert isinstance(end, Finished) and end.outcome is Outcome.COMMITTED, told
            assert (end.exit_code, current(host)) == (0, end.release)
            assert of_host(told) == journal(host, end.release), "every line of the journal once, in its order"
    return seen, told


def journal(host: LabHost, release: str) -> list[Event]:
    """What the host wrote, as far as the end."""
    raw = host.sh(f"cat {home(host)}/releases/{release}/journal").encode().splitlines()
    lines = [line for line in map(parse_line, raw) if line is not None]
    last = next(number for number, line in enumerate(lines) if line.event == "finished")
    return [as_event(line) for line in lines[:last]]


def of_host(told: list[Event]) -> list[Event]:
    """Without what the laptop itself tells: everything before the first line of the journal and its own remarks."""
    ours = ("link_lost", "committed", "not_verified", "confirm_sent")
    names = ("PullStarted", "LayerPulled", "ImagePulled", "ReleaseUploaded", "RunnerStarted", "Finished", "Verified")
    return [
        event
        for event in told
        if type(event).__name__ not in names and not (isinstance(event, Journaled) and event.what in ours)
    ]


async def test_a_second_without_a_link_is_no_loss(sese: LabHost, tmp_path: Path) -> None:
    seen, told = await cut_in_a_deploy(sese, tmp_path, 1)
    assert seen.connects == 1
    assert {link.state for link in seen.links} <= {HostState.CONNECTING, *STATES}
    assert not [event for event in told if isinstance(event, Journaled) and event.what == "link_lost"]


@pytest.mark.parametrize(
    "seconds", [8, *(pytest.param(long, marks=pytest.mark.soak) for long in (3, 5, 10, 15, 30, 60))]
)
async def test_a_cut_is_survived_or_reconnected(seko: LabHost, tmp_path: Path, seconds: int) -> None:
    seen, told = await cut_in_a_deploy(seko, tmp_path, seconds)
    lost = [event for event in told if isinstance(event, Journaled) and event.what == "link_lost"]
    assert bool(lost) == (seen.connects > 1)
    assert seconds < 15 or lost, "a dead link is noticed in 8 s"
    for link in seen.links:
        if link.state in (HostState.BACKOFF, HostState.OFFLINE):
            assert link.step in ("link", "tcp") and link.error and link.retry_at_boot_s is not None


async def test_each_direction_of_a_black_hole_is_noticed(pi: LabHost, tmp_path: Path, watchful: None) -> None:
    """Under the metrics, the engine's events and a call of its own; the last values stay, with their age."""
    async with laptop(pi, tmp_path) as me, cockpit(me, "pi") as (seen, _):
        for chain in ("INPUT", "OUTPUT"):
            await asyncio.to_thread(pi.cut, chain)
            call = asyncio.create_task(seen.watch.docker("pi").call("info"))
            snapshot = await seen.until(HostState.BACKOFF)
            link = snapshot.host("pi").link
            assert (link.step, link.error) == ("link", "the connection was lost")
            assert snapshot.host("pi").containers is not None and snapshot.host("pi").metrics is not None
            assert not snapshot.host("pi").live
            (error,) = await asyncio.gather(call, return_exceptions=True)
            assert "ended before" in str(error)
            await asyncio.to_thread(pi.heal)
            await seen.until(*STATES)


async def test_a_link_cut_in_an_upload_starts_nothing_then_or_later(
    pi: LabHost, tmp_path: Path, watchful: None
) -> None:
    async with laptop(pi, tmp_path) as me:
        (tmp_path / "stacks/pi/web/big").write_bytes(os.urandom(6 << 20))
        me.write("pi/web", compose(), {"files": [{"path": "big", "on_change": "none"}]})
        deployer = me.world.deployer()
        plan = await deployer.plan("web")
        part = f"{home(pi)}/releases/{plan.release}.part"
        trap = f"while [ ! -d {part} ]; do :; done; {pi.lab.cut_command()}"
        trapping = asyncio.create_task(asyncio.to_thread(pi.sh, trap))
        async with aclosing(deployer.apply(plan)) as events:
            async for event in events:
                if isinstance(event, Journaled) and event.what == "link_lost":
                    break
            await trapping
            assert "yes" in pi.sh(f"[ -d {part} ] && echo yes || true")
            await asyncio.to_thread(pi.heal)
            end = [event async for event in events][-1]
        assert isinstance(end, Finished)
        assert (end.outcome, end.exit_code, end.reason) == (Outcome.FAILED, 1, "the runner did not start")
        await asyncio.sleep(3)  # whatever was still on its way would have come
        assert (current(pi), pending(pi)) == ("", "")
        assert plan.release not in pi.sh(f"ls {home(pi)}/releases")
        await me.committed()


async def test_a_link_lost_before_anything_began_is_no_unknown_outcome(
    pi: LabHost, tmp_path: Path, watchful: None
) -> None:
    """In a probe, and while the operator thinks about the plan."""
    async with laptop(pi, tmp_path) as me:
        deployer = me.world.deployer()
        pi.sh("docker image prune -af >/dev/null")  # there is something to be pulled before the runner is started
        plan = await deployer.plan("web")
        await asyncio.to_thread(pi.cut)
        with pytest.raises(HostUnreachable, match="before anything was changed") as caught:
            async with aclosing(deployer.apply(plan)) as events:
                async for _ in events:
                    pass
        assert (caught.value.step, caught.value.exit_code) == ("link", 1)
        await asyncio.to_thread(pi.heal)
        looking = asyncio.create_task(deployer.plan("web"))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(pi.cut)
        (error,) = await asyncio.gather(looking, return_exceptions=True)
        assert isinstance(error, HostUnreachable) and error.exit_code == 1, error
        await asyncio.to_thread(pi.heal)
        await until(pi, f"! test -e {home(pi)}/pending")
        await me.committed()
