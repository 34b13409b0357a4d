"""One suite for a simulated host and a real one: a stack on demand is deployed, stopped, started, watched when idle."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
import yaml

from vpai_tui import config
from vpai_tui.clock import SystemClock
from vpai_tui.deploy.deployer import Deployer
from vpai_tui.errors import LockHeld, OperatorError, PreflightRefused
from vpai_tui.fleet.history import History
from vpai_tui.fleet.model import FleetSnapshot
from vpai_tui.fleet.operation import Event, Finished, Outcome, ServiceRemoved, Verified
from vpai_tui.fleet.stacks import load_stacks
from vpai_tui.ondemand import idle
from vpai_tui.ondemand.model import IdleState, Look, OnDemandStack
from vpai_tui.ondemand.session import Studio, Surface

from .hosts import BROKEN, WEB, ContractHost

pytestmark = pytest.mark.asyncio(loop_scope="package")
_NUMBERS = itertools.count()
CHECK = {"test": ["CMD", "true"], "interval": "1s", "timeout": "2s", "start_period": "10s"}
NOTHING = FleetSnapshot(0.0, (), (), (), ())


@dataclass
class Cut:
    """A stack on demand, `db` and `web`, as one laptop knows it."""

    host: ContractHost
    folder: Path
    name: str
    deployer: Deployer
    studio: Studio
    root: str

    @property
    def stack(self) -> OnDemandStack:
        return self.studio.find(self.name)

    async def start(self) -> tuple[str, list[Event]]:
        """The kind of the plan, and what was told."""
        planned = await self.studio.plan_start(self.stack)
        return planned.plan.kind, [it async for it in self.studio.start(planned, typed=planned.word or "")]

    async def stop(self) -> list[Event]:
        return [it async for it in self.deployer.stop(self.stack.id)]

    async def up(self) -> list[str]:
        """The services that have a container."""
        ask = f"label=com.docker.compose.project={self.name}"
        form = '{{.Label "com.docker.compose.service"}}'
        done = await self.host.run("docker", "ps", "-a", "--filter", ask, "--format", form)
        return sorted(done.text.split())

    async def volumes(self) -> list[str]:
        done = await self.host.run("docker", "volume", "ls", "-q")
        return [name for name in done.text.split() if name.startswith(self.name)]

    async def look(self) -> Look:
        return await self.studio.look(self.stack)

    async def sh(self, command: str, status: int | None = 0) -> str:
        return (await self.host.run("sh", "-c", command, status=status)).text

    async def until(self, state: IdleState, seconds: float = 30.0) -> Any:
        """The idle stop once it stands so."""
        found = None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    found = (await self.look()).idles.get(self.name)
                    if found is not None and found.state is state:
                        return found
                    await asyncio.sleep(0.3)
        except TimeoutError:
            raise AssertionError(f"{found}, not {state}") from None


def end(events: list[Event]) -> Finished:
    assert isinstance(events[-1], Finished), events
    return events[-1]


@pytest_asyncio.fixture(loop_scope="package")
async def cut(host: ContractHost, tmp_path: Path) -> AsyncIterator[Cut]:
    name = f"ondemand{next(_NUMBERS)}"
    home = tmp_path / f"stacks/box/{name}"
    home.mkdir(parents=True)
    compose = {
        "services": {
            "db": {"image": WEB, "volumes": ["data:/data"], "healthcheck": CHECK, "stop_grace_period": "1s"},
            "web": {"image": WEB, "depends_on": ["db"], "healthcheck": CHECK, "stop_grace_period": "1s"},
        },
        "volumes": {"data": {}},
    }
    (home / "compose.yaml").write_text(yaml.safe_dump(compose, sort_keys=False))
    (home / "stack.yaml").write_text("on_demand: true\nhealth_timeout_s: 20\n")
    connection, before = host.connection, host.connection.host
    connection.host = msgspec.structs.replace(before, root=f"{host.root}/{name}")
    fleet = config.Fleet(hosts={"box": connection.host}, stacks=(f"box/{name}",))
    stacks = load_stacks(tmp_path / "stacks", fleet)
    history, clock = History(tmp_path / "history.jsonl"), SystemClock()

    async def live(_: str) -> Any:
        return connection

    deployer = Deployer(stacks, live, live, lambda _: host.docker, clock, history)
    surface = Surface(fleet, stacks, lambda: NOTHING, live, lambda _: host.docker, lambda: deployer, clock, history)
    made = Cut(host, tmp_path, name, deployer, Studio(surface), connection.host.root)
    try:
        yield made
        await idle.cancel_idle(connection, made.stack, "me")
        await made.stop()
    finally:
        connection.host = before


async def test_it_is_deployed_once_and_then_only_started(cut: Cut) -> None:
    kind, events = await cut.start()
    assert (kind, end(events).outcome) == ("deploy", Outcome.COMMITTED), events
    assert await cut.up() == ["db", "web"]
    before = [(it.id, it.outcome) for it in await cut.deployer.releases(cut.stack.id)]
    stopped = await cut.stop()
    assert end(stopped).outcome is Outcome.COMMITTED, stopped
    assert [it.service for it in stopped if isinstance(it, ServiceRemoved)] == ["web", "db"]
    assert await cut.up() == []
    kind, events = await cut.start()
    assert (kind, end(events).outcome) == ("start", Outcome.COMMITTED), events
    assert [it.detail for it in events if isinstance(it, Verified)] == [""]
    assert await cut.up() == ["db", "web"]
    assert [(it.id, it.outcome) for it in await cut.deployer.releases(cut.stack.id)] == before
    kind, events = await cut.start()
    assert (kind, end(events).outcome) == ("start", Outcome.UNCHANGED)


async def test_a_stop_keeps_the_data_and_can_be_repeated(cut: Cut) -> None:
    await cut.start()
    await cut.sh(f"docker exec {cut.name}-db-1 sh -c 'echo kept >/data/marker'")
    assert end(await cut.stop()).outcome is Outcome.COMMITTED
    assert await cut.volumes() == [f"{cut.name}_data"]
    networks = (await cut.sh("docker network ls --format '{{.Name}}'")).split()
    assert f"{cut.name}_default" not in networks
    assert end(await cut.stop()).outcome is Outcome.UNCHANGED
    await cut.start()
    if cut.host.kind == "lab":
        assert await cut.sh(f"docker exec {cut.name}-db-1 cat /data/marker") == "kept\n"


async def test_what_others_start_with_the_deployed_files_is_ours(cut: Cut) -> None:
    await cut.start()
    await cut.stop()
    by_hand = (
        f"cd {cut.root}/deploy/stacks/{cut.name}/current/compose && docker compose -p {cut.name} "
        f"--project-directory {cut.root} $(printf ' -f %s' \"$PWD\"/*.yaml)"
    )
    await cut.sh(f"{by_hand} up -d 2>&1")
    planned = await cut.studio.plan_start(cut.stack)
    assert (planned.plan.kind, planned.empty) == ("start", True)
    assert end(await cut.stop()).outcome is Outcome.COMMITTED
    assert await cut.up() == []
    await cut.start()
    await cut.sh(f"{by_hand} down 2>&1")
    assert await cut.up() == []
    assert await cut.volumes() == [f"{cut.name}_data"]


async def test_what_was_stopped_by_hand_is_started_again(cut: Cut) -> None:
    await cut.start()
    await cut.sh(f"docker stop -t 1 {cut.name}-web-1")
    kind, events = await cut.start()
    assert (kind, end(events).outcome) == ("start", Outcome.COMMITTED), events
    running = await cut.sh(f"docker ps --filter label=com.docker.compose.project={cut.name} --format '{{{{.Names}}}}'")
    assert sorted(running.split()) == [f"{cut.name}-db-1", f"{cut.name}-web-1"]


async def test_a_first_start_that_fails_leaves_nothing(cut: Cut) -> None:
    file = cut.folder / f"stacks/box/{cut.name}/compose.yaml"
    compose = yaml.safe_load(file.read_text())
    compose["services"]["web"] = {"image": BROKEN, "depends_on": ["db"], "restart": "unless-stopped"}
    file.write_text(yaml.safe_dump(compose, sort_keys=False))
    kind, events = await cut.start()
    assert (kind, end(events).outcome, end(events).exit_code) == ("deploy", Outcome.REVERTED, 4), events
    assert end(events).reason.startswith("web: ")
    assert await cut.up() == []


async def test_a_port_that_is_taken_is_refused_before_anything(cut: Cut) -> None:
    file = cut.folder / f"stacks/box/{cut.name}/compose.yaml"
    compose = yaml.safe_load(file.read_text())
    compose["services"]["web"]["ports"] = ["127.0.0.1:18937:80"]
    file.write_text(yaml.safe_dump(compose, sort_keys=False))
    await cut.start()
    await cut.stop()
    other = cut.host.project(f'services: {{squatter: {{image: {WEB}, ports: ["127.0.0.1:18937:80"]}}}}')
    await other.prepare()
    await other.sh("up squatter")
    try:
        with pytest.raises(PreflightRefused, match=r"port 127\.0\.0\.1:18937 is one of the container") as told:
            await cut.studio.plan_start(cut.stack)
    finally:
        await other.sh("$DOCKER rm -f $(id_of squatter)")
    assert told.value.exit_code == 78
    assert await cut.up() == []


async def test_the_lock_of_a_deploy_is_everybodys(cut: Cut) -> None:
    await cut.start()
    deploy = f"{cut.root}/deploy"
    owner = "pid=1 apply other by ben since now"
    hold = f"exec 9>>{deploy}/lock; flock 9; echo '{owner}' >{deploy}/owner; echo $$ >{deploy}/held; exec sleep 40"
    holding = asyncio.create_task(cut.host.run("sh", "-c", hold, status=None))
    try:
        await cut.sh(f"for i in $(seq 50); do [ ! -s {deploy}/held ] || exit 0; sleep 0.1; done; exit 1")
        assert (await cut.look()).owner == owner
        for asked in (cut.studio.plan_start, cut.studio.plan_stop):
            with pytest.raises(LockHeld, match="apply other by ben"):
                await asked(cut.stack)
        refused = end(await cut.stop())
        assert (refused.outcome, refused.exit_code) == (Outcome.REFUSED, 75)
        with pytest.raises(LockHeld):
            await cut.studio.set_idle(cut.stack, 30)
    finally:
        await cut.sh(f"kill $(cat {deploy}/held); rm {deploy}/held")
        await holding
    assert await cut.up() == ["db", "web"]


async def test_an_idle_stop_counts_quiet_looks_and_then_stops_it(cut: Cut, monkeypatch: pytest.MonkeyPatch) -> None:
    await cut.start()
    if cut.host.kind == "demo":
        with cut.host.bits.fleet.engine("sese").change() as state:  # type: ignore[attr-defined]
            for container in state["containers"].values():
                if container["started"] and cut.name in container["name"]:
                    container["started"] -= 600  # the first minutes somebody works with it
        await asyncio.sleep(2.5)  # its figures follow
    monkeypatch.setattr(idle, "EVERY_S", 1)
    assert await cut.studio.set_idle(cut.stack, 30) == ""
    found = await cut.until(IdleState.WATCHING)
    record = f"{cut.root}/deploy/idle/{cut.name}"
    quiet = f"[ $(sed -n 's/^quiet_s=//p' {record}) -ge 2 ]"
    await cut.sh(f"for i in $(seq 100); do if {quiet}; then exit 0; fi; sleep 0.3; done; exit 1")
    assert (found.minutes, (await cut.look()).idles[cut.name].why) == (30, "")
    connection = await cut.studio._surface.connection("box")
    words = await cut.deployer.stop_words(cut.stack.id, "idle stop (0 min, set by me)")
    await idle.set_idle(connection, cut.stack, 0, words, "me")  # it is quiet for long enough at its first look
    await cut.sh(
        f"for i in $(seq 100); do if grep -qx state=stopped {record}; then exit 0; fi; sleep 0.3; done; exit 1"
    )
    assert await cut.up() == []
    assert await cut.volumes() == [f"{cut.name}_data"]
    manifest = await cut.sh(f"cat {cut.root}/deploy/stacks/{cut.name}/runs/*/manifest")
    assert "by=idle stop (0 min, set by me)" in manifest


async def test_an_idle_stop_is_refused_for_what_does_not_run_and_cancelled(cut: Cut) -> None:
    with pytest.raises(OperatorError):
        await cut.studio.set_idle(cut.stack, 30)
    await cut.start()
    await cut.studio.set_idle(cut.stack, 30)
    await cut.until(IdleState.WATCHING)
    await cut.stop()
    await cut.start()
    await cut.studio.set_idle(cut.stack, None)
    assert cut.name not in (await cut.look()).idles
