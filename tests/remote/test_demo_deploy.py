"""Real deploys against the demo fleet: the story of its first state, faults, and what persists."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from vpai_tui import demo
from vpai_tui.clock import SystemClock
from vpai_tui.demo import DemoFleet
from vpai_tui.deploy.deployer import Deployer
from vpai_tui.errors import Interrupted, PreflightRefused, UsageError
from vpai_tui.fleet.history import History
from vpai_tui.fleet.operation import BuildLine, Effect, Event, Finished, ImageBuilt, Outcome, ServiceStarted, Verified
from vpai_tui.fleet.stacks import load_stacks
from vpai_tui.remote.connection import Connection, connect
from vpai_tui.remote.docker import Docker


@asynccontextmanager
async def deployer(fleet: DemoFleet) -> AsyncIterator[Deployer]:
    """What the cockpit uses, on one connection per host."""
    live: dict[str, Connection] = {}
    engines: dict[str, Docker] = {}

    async def fresh(host: str) -> Connection:
        return await connect(host, fleet.fleet.hosts[host])

    async def connection(host: str) -> Connection:
        if host not in live or live[host].closed:
            live[host] = await fresh(host)
        return live[host]

    def docker(of: Connection) -> Docker:
        return engines.setdefault(of.name, Docker(of))

    stacks = load_stacks(fleet.stacks_dir, fleet.fleet)
    yield Deployer(stacks, connection, fresh, docker, SystemClock(), History(fleet.laptop_dir / "journal"))
    for engine in engines.values():
        await engine.close()
    for one in live.values():
        await one.close()


async def changed(deploys: Deployer, stack: str) -> dict[str, Effect]:
    plan = await deploys.plan(stack)
    return {change.service: change.effect for change in plan.changes if change.effect is not Effect.NONE}


async def carry_out(deploys: Deployer, stack: str) -> Finished:
    plan = await deploys.plan(stack)
    events: list[Event] = [event async for event in deploys.apply(plan)]
    assert isinstance(events[-1], Finished)
    if events[-1].outcome is Outcome.COMMITTED:
        assert [event.detail for event in events if isinstance(event, Verified)] == [""]
    return events[-1]


def set_image(fleet: DemoFleet, stack: str, old: str, new: str) -> None:
    path = fleet.stacks_dir / stack / "compose.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


async def test_first_state_then_deploy_then_rollback(tmp_path: Path) -> None:
    async with demo.start(tmp_path) as fleet, deployer(fleet) as deploys:
        assert await changed(deploys, "sese/infra") == {"redis": Effect.RECREATE}  # drifted
        for stack in ("sese/edge", "seko/headscale", "pi/opencut"):
            assert (await deploys.plan(stack)).empty
            assert any(release.restorable for release in await deploys.releases(stack))
        assert await changed(deploys, "sese/apps") == {"n8n": Effect.RECREATE}
        before = next(release for release in await deploys.releases("sese/apps") if release.current)
        assert (await carry_out(deploys, "sese/apps")).outcome is Outcome.COMMITTED
        assert (await deploys.plan("sese/apps")).empty
    async with demo.start(tmp_path) as fleet, deployer(fleet) as deploys:
        assert (await deploys.plan("sese/apps")).empty  # it persists
        plan = await deploys.plan_rollback("sese/apps")
        assert plan.rollback_to == before.id
        events = [event async for event in deploys.apply(plan)]
        assert isinstance(events[-1], Finished) and events[-1].outcome is Outcome.COMMITTED
        assert isinstance(events[-2], Verified) and not events[-2].detail
        now = fleet.engine("sese").read()["containers"].values()
        image = next(c["image"] for c in now if c["name"] == "vpai-n8n-1")
        assert image == next(ref.split("@")[0] for name, ref in before.images if name == "n8n")
        assert await changed(deploys, "sese/apps") == {"n8n": Effect.RECREATE}
    async with demo.start(tmp_path, reset=True) as fleet, deployer(fleet) as deploys:
        assert len(await deploys.releases("sese/apps")) == 3


async def test_a_broken_image_is_reverted(tmp_path: Path) -> None:
    async with demo.start(tmp_path) as fleet, deployer(fleet) as deploys:
        caddy = next(c for c in fleet.engine("sese").read()["containers"].values() if c["name"] == "vpai-caddy-1")
        set_image(fleet, "sese/edge", caddy["image"], "caddy:2.11.0-broken")
    async with demo.start(tmp_path) as fleet, deployer(fleet) as deploys:
        ended = await carry_out(deploys, "sese/edge")
        assert ended.outcome is Outcome.REVERTED
        assert "caddy" in ended.reason
        after = fleet.engine("sese").read()["containers"].values()
        assert next(c["image"] for c in after if c["name"] == "vpai-caddy-1") == caddy["image"]


async def test_a_deploy_goes_on_without_link_and_without_cockpit(tmp_path: Path) -> None:
    async with demo.start(tmp_path) as fleet, deployer(fleet) as deploys:
        plan = await deploys.plan("sese/apps")
        events = deploys.apply(plan)
        async for event in events:
            if isinstance(event, ServiceStarted):
                break
        await fleet.cut("sese")
        await events.aclose()
    stack = Path(fleet.root("sese")) / "deploy" / "stacks" / "apps"
    async with asyncio.timeout(15):  # nobody serves the host now; only its own processes are there
        while (stack / "pending").is_symlink() or (stack / "current").readlink().name != plan.release:
            await asyncio.sleep(0.2)
    async with demo.start(tmp_path) as fleet, deployer(fleet) as deploys:
        assert (await deploys.plan("sese/apps")).empty


def runners(fleet: DemoFleet) -> list[int]:
    """Process ids of the deploy runners on the simulated hosts."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if any(word.startswith(bytes(fleet.folder)) and b"/deploy/bin/run-" in word for word in words):
                    found.append(int(entry.name))
    return found


async def test_a_killed_runner_leaves_an_interrupted_deploy_that_can_be_reverted(tmp_path: Path) -> None:
    async with demo.start(tmp_path) as fleet, deployer(fleet) as deploys:
        before = next(release.id for release in await deploys.releases("sese/apps") if release.current)
        events = []
        async for event in deploys.apply(await deploys.plan("sese/apps")):
            events.append(event)
            if isinstance(event, ServiceStarted):
                for pid in runners(fleet):
                    with suppress(ProcessLookupError):  # a subshell of the runner's may have ended by now
                        os.kill(pid, signal.SIGKILL)
        assert isinstance(events[-1], Finished) and events[-1].outcome is Outcome.FAILED
        with pytest.raises(Interrupted):
            await deploys.plan("sese/apps")
        settled = [event async for event in deploys.settle("sese/apps", "revert")]
        assert isinstance(settled[-1], Finished) and settled[-1].outcome is Outcome.REVERTED
        assert next(release.id for release in await deploys.releases("sese/apps") if release.current) == before
        assert await changed(deploys, "sese/apps") == {"n8n": Effect.RECREATE}


async def test_a_changed_context_is_built_on_the_host(tmp_path: Path) -> None:
    async with demo.start(tmp_path) as fleet:
        recipe = fleet.stacks_dir / "pi/opencut/images/opencut/Dockerfile"
        recipe.parent.mkdir(parents=True)
        recipe.write_text("FROM node:22.1\nLABEL changed=1\n")
        context = "https://github.com/OpenCut-app/OpenCut.git#v0.1.0\n      dockerfile: apps/web/Dockerfile"
        set_image(fleet, "pi/opencut", f"context: {context}", "context: ./images/opencut")
        async with deployer(fleet) as deploys:
            assert await changed(deploys, "pi/opencut") == {"opencut": Effect.RECREATE}
            events = [event async for event in deploys.apply(await deploys.plan("pi/opencut"))]
            assert isinstance(events[-1], Finished) and events[-1].outcome is Outcome.COMMITTED
            assert any(isinstance(event, ImageBuilt) for event in events)
            assert any("LABEL changed=1" in event.line for event in events if isinstance(event, BuildLine))
            assert (await deploys.plan("pi/opencut")).empty
        recipe.write_text(recipe.read_text() + "RUN exit 3\n")
        async with deployer(fleet) as deploys:
            plan = await deploys.plan("pi/opencut")
            with pytest.raises(PreflightRefused, match="returned a non-zero code: 3"):
                async for _ in deploys.apply(plan):
                    pass


async def test_state_of_another_version_is_rebuilt_and_two_cockpits_share_one(tmp_path: Path) -> None:
    async with demo.start(tmp_path) as one:
        with one.engine("pi").change() as state:
            state["containers"].clear()
        async with demo.start(tmp_path) as two:
            assert two.engine("pi").read()["containers"] == {}
            assert {h.ssh.port for h in one.fleet.hosts.values()}.isdisjoint(
                {h.ssh.port for h in two.fleet.hosts.values()}
            )
            for fleet in (one, two):
                connection = await connect("pi", fleet.fleet.hosts["pi"])
                await connection.close()
    stamp = tmp_path / "demo.json"
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "version": "0.0.0"}))
    async with demo.start(tmp_path) as fleet:
        assert len(fleet.engine("pi").read()["containers"]) > 3


async def test_a_folder_that_is_no_demo_is_left_alone(tmp_path: Path) -> None:
    own = tmp_path / "pi" / "thesis.txt"
    own.parent.mkdir()
    own.write_text("years of work")
    with pytest.raises(UsageError, match="is no demo folder: pi is in it"):
        async with demo.start(tmp_path, reset=True):
            pass
    assert own.read_text() == "years of work"
    with pytest.raises(UsageError, match="Not a directory"):
        async with demo.start(own / "demo"):
            pass


async def test_a_build_that_was_cut_short_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text("{ cut sho")
    (tmp_path / "sese").mkdir()
    async with demo.start(tmp_path) as fleet:
        assert fleet.engine("sese").read()["containers"]
