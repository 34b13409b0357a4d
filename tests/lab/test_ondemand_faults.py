"""Stacks on demand, started over real links by a real engine: disturbed, and refused."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from deploy_kit import CHECK, WEB, Laptop, compose, current, home, laptop, push, running, service, until
from lab_host import LabHost
from lab_registry import Registry
from test_links import cockpit, of_host

from vpai_tui.deploy.apply import as_event
from vpai_tui.deploy.deployer import Deployer
from vpai_tui.errors import PreflightRefused
from vpai_tui.fleet.operation import Event, Finished, Outcome, ServiceStarted
from vpai_tui.remote import login
from vpai_tui.remote.job import parse_line

pytestmark = pytest.mark.lab
ALIEN = "ghcr.io/lab/deploy-alien:1"


@pytest.fixture(autouse=True)
def images(registry: Registry) -> None:
    push(registry, WEB)


@asynccontextmanager
async def stopped(host: LabHost, folder: Path) -> AsyncIterator[Laptop]:
    """A stack `db` and `web`, deployed once and stopped; web becomes healthy when the file `gate/go` is there."""
    check = {**CHECK, "test": ["CMD-SHELL", "test -e /etc/gate/go"], "start_period": "120s"}
    web = service(healthcheck=check, volumes=["./gate:/etc/gate:ro"], depends_on=["db"])
    db = service(volumes=["data:/data"])
    async with laptop(host, folder) as me:
        host.sh(f"mkdir -p {host.root}/gate; touch {host.root}/gate/go")
        spec = {"on_demand": True, "health_timeout_s": 120}
        me.write(f"{host.name}/web", compose({"db": db, "web": web}, volumes={"data": {}}), spec)
        await me.committed()
        assert (await me.follow(me.world.deployer().stop("web"))).outcome is Outcome.COMMITTED, me.events
        assert running(host) == {}
        host.sh(f"rm {host.root}/gate/go")
        yield me


async def at_gate(deployer: Deployer, told: list[Event]) -> asyncio.Task[None]:
    """A start that is followed, once web is up and not yet healthy."""
    waits = asyncio.Event()

    async def follow() -> None:
        plan = await deployer.plan_start("web")
        assert plan.kind == "start"
        async for event in deployer.apply(plan):
            told.append(event)
            if isinstance(event, ServiceStarted) and event.service == "web":
                waits.set()

    following = asyncio.create_task(follow())
    await asyncio.wait_for(waits.wait(), 60)
    return following


def names(host: LabHost) -> list[str]:
    return sorted(running(host))


async def test_a_start_goes_on_while_the_link_is_cut(
    sese: LabHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login, "KEEPALIVE_INTERVAL_S", 0.5)  # a dead link is noticed in two seconds
    told: list[Event] = []
    async with stopped(sese, tmp_path), cockpit_of(sese, tmp_path) as deployer:
        before = current(sese)
        following = await at_gate(deployer, told)
        await asyncio.to_thread(sese.cut)
        await asyncio.sleep(3)
        await asyncio.to_thread(sese.heal)
        sese.sh(f"touch {sese.root}/gate/go")
        await asyncio.wait_for(following, 90)
        end = told[-1]
        assert isinstance(end, Finished) and end.outcome is Outcome.COMMITTED, told
        raw = sese.sh(f"cat $(ls -d {home(sese)}/runs/* | tail -n 1)/journal").encode().splitlines()
        lines = [as_event(line) for line in map(parse_line, raw) if line is not None and line.event != "finished"]
        assert of_host(told) == lines, "every line of the journal once, in its order"
        assert (current(sese), names(sese)) == (before, ["web-db-1", "web-web-1"])


async def test_a_start_whose_runner_is_killed_leaves_nothing_half_up(sese: LabHost, tmp_path: Path) -> None:
    told: list[Event] = []
    async with stopped(sese, tmp_path) as me:
        before = current(sese)
        following = await at_gate(me.world.deployer(), told)
        sese.sh(f"kill -KILL $(sed -n 's/^pid=\\([0-9]*\\).*/\\1/p' {sese.root}/deploy/owner)")
        await asyncio.wait_for(following, 90)
        end = told[-1]
        assert isinstance(end, Finished) and end.outcome is Outcome.REVERTED, told
        assert (names(sese), current(sese)) == ([], before)
        assert "web_data" in sese.sh("docker volume ls -q").split()
        sese.sh(f"touch {sese.root}/gate/go")
        deployer = me.world.deployer()
        again = await me.follow(deployer.apply(await deployer.plan_start("web")))
        assert again.outcome is Outcome.COMMITTED, me.events


async def test_a_start_goes_on_when_nobody_follows_it(sese: LabHost, tmp_path: Path) -> None:
    told: list[Event] = []
    async with stopped(sese, tmp_path) as me:
        following = await at_gate(me.world.deployer(), told)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        sese.sh(f"touch {sese.root}/gate/go")
        await until(sese, f"grep -q ok $(ls -d {home(sese)}/runs/* | tail -n 1)/status", 60)
        assert names(sese) == ["web-db-1", "web-web-1"]


async def test_an_image_for_another_machine_is_refused_before_anything_changes(
    sese: LabHost, tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(platform, "machine", lambda: "s390x")
        push(registry, ALIEN)
    async with laptop(sese, tmp_path) as me:
        before = await me.committed()
        up = running(sese)
        me.write("sese/web", compose({"web": service(), "alien": service(ALIEN)}))
        with pytest.raises(PreflightRefused) as told:
            await me.deploy()
        assert told.value.message.endswith(f"{ALIEN} of alien is made for s390x")
        assert (current(sese), running(sese)) == (before, up)


@asynccontextmanager
async def cockpit_of(host: LabHost, folder: Path) -> AsyncIterator[Deployer]:
    """Another operator's cockpit on the same stacks; its watch connects anew."""
    fleet = folder / "cockpit"
    fleet.mkdir()
    async with laptop(host, fleet) as other:
        for name in ("compose.yaml", "stack.yaml"):
            text = (folder / f"stacks/{host.name}/web/{name}").read_text()
            (fleet / f"stacks/{host.name}/web/{name}").write_text(text)
        other.world.reread()
        async with cockpit(other, host.name) as (_, deployer):
            yield deployer
