"""The simulated docker of the demo: the cases that a real one has to pass too, and the engine's API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vpai_tui import demo
from vpai_tui.demo import DemoFleet
from vpai_tui.remote.connection import Connection, connect
from vpai_tui.remote.docker import Docker, EngineError

WORDS = {"image": "demo/one:1.0", "other": "demo/two:1.0", "gone": "demo/missing:1.0"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One demo for all tests of this file: its state persists from one to the next."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture
async def fleet(folder: Path) -> AsyncIterator[DemoFleet]:
    async with demo.start(folder) as running:
        yield running


@pytest.fixture
async def sese(fleet: DemoFleet) -> AsyncIterator[Connection]:
    connection = await connect("sese", fleet.fleet.hosts["sese"])
    yield connection
    await connection.close()


@pytest.fixture
async def engine(sese: Connection) -> AsyncIterator[Docker]:
    client = Docker(sese)
    yield client
    await client.close()


async def test_what_other_processes_do_is_told_soon(sese: Connection, engine: Docker) -> None:
    seen: list[tuple[str, str, float]] = []

    async def watch() -> None:
        async for event in engine.iterate("events", decode=True, filters={"type": ["container"]}):
            late = time.time() - event["timeNano"] / 1e9
            seen.append((event["Action"], event["Actor"]["Attributes"]["name"], late))

    watching = asyncio.create_task(watch())
    await engine.call("ping")
    while not (await sese.run(["docker", "restart", "vpai-redis-1"], root=True)).stdout or not seen:
        await asyncio.sleep(0.3)
    async with asyncio.timeout(10):
        while ("health_status: healthy", "vpai-redis-1") not in [event[:2] for event in seen]:
            await asyncio.sleep(0.2)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    actions = [action for action, name, _ in seen if name == "vpai-redis-1"]
    assert actions[:5] == ["kill", "stop", "die", "start", "restart"]
    assert actions[-1] == "health_status: healthy"
    assert min(late for *_, late in seen) < 0.5


async def test_pull_tells_its_layers(engine: Docker) -> None:
    messages = [m async for m in engine.iterate("pull", "demo/pulled", "2.0", stream=True, decode=True)]
    bars = [m for m in messages if m["status"] == "Downloading"]
    assert len({m["id"] for m in bars}) >= 3
    assert all(0 < m["progressDetail"]["current"] <= m["progressDetail"]["total"] for m in bars)
    digest = next(m["status"].removeprefix("Digest: ") for m in messages if m["status"].startswith("Digest: "))
    known = await engine.call("inspect_image", "demo/pulled:2.0")
    assert known["RepoDigests"] == [f"demo/pulled@{digest}"]
    again = [m async for m in engine.iterate("pull", f"demo/pulled@{digest}", stream=True, decode=True)]
    assert again[-1]["status"].startswith("Status: Image is up to date")


async def test_registry_answers(fleet: DemoFleet, engine: Docker) -> None:
    before = (await engine.call("inspect_distribution", "demo/moving:1"))["Descriptor"]["digest"]
    moved = fleet.registry.move("demo/moving:1")
    after = (await engine.call("inspect_distribution", "demo/moving:1"))["Descriptor"]["digest"]
    assert before != moved == after
    with pytest.raises(EngineError, match="manifest unknown"):
        await engine.call("inspect_distribution", "demo/missing:1")


async def test_engine_api_agrees_with_the_command(sese: Connection, engine: Docker) -> None:
    listed = await engine.call("containers", all=True)
    told = (await sese.run(["docker", "ps", "-aq", "--no-trunc"], root=True)).stdout.decode().split()
    assert sorted(entry["Id"] for entry in listed) == sorted(told)
    labelled = await engine.call("containers", filters={"label": ["com.docker.compose.service=redis"]})
    assert [entry["Names"] for entry in labelled] == [["/vpai-redis-1"]]
    one = await engine.call("inspect_container", "vpai-redis-1")
    assert one["State"]["Health"]["Status"] == "healthy"
    assert "Health" not in (await engine.call("inspect_container", "vpai-networks-1"))["State"]
    stats = await engine.call("stats", "vpai-redis-1", stream=False, one_shot=True)
    assert 0 < stats["memory_stats"]["usage"] < stats["memory_stats"]["limit"]
    lines = (await engine.call("logs", "vpai-redis-1", tail=3, timestamps=True)).decode().splitlines()
    assert len(lines) == 3 and lines == sorted(lines)
    started = await engine.call("exec_create", "vpai-redis-1", ["echo", "hi"])
    assert await engine.call("exec_start", started["Id"]) == b"hi\n"
    assert (await engine.call("exec_inspect", started["Id"]))["ExitCode"] == 0
    with pytest.raises(EngineError, match="No such container: nobody"):
        await engine.call("inspect_container", "nobody")


async def test_stop_and_start(engine: Docker) -> None:
    await engine.call("stop", "vpai-qdrant-1")
    assert (await engine.call("inspect_container", "vpai-qdrant-1"))["State"]["Status"] == "exited"
    await engine.call("start", "vpai-qdrant-1")
    state = (await engine.call("inspect_container", "vpai-qdrant-1"))["State"]
    assert state["Status"] == "running" and state["Health"]["Status"] == "starting"


async def test_the_clock_can_be_moved_on(fleet: DemoFleet, engine: Docker) -> None:
    before = (await engine.call("containers", filters={"name": ["vpai-caddy-1"]}))[0]["Status"]
    fleet.advance(40 * 86400)
    after = (await engine.call("containers", filters={"name": ["vpai-caddy-1"]}))[0]["Status"]
    fleet.advance(-40 * 86400)
    assert before.startswith("Up 2 days") and after.startswith("Up 6 weeks")


async def test_a_broken_image_crash_loops(fleet: DemoFleet, sese: Connection, engine: Docker) -> None:
    path = fleet.root("sese") / "broken.yaml"
    path.write_text("services: {a: {image: 'demo/a:1-broken', restart: always}}")
    await sese.run(["docker", "compose", "-p", "crash", "-f", str(path), "up", "-d"], root=True)
    async with asyncio.timeout(15):
        while (one := await engine.call("inspect_container", "crash-a-1"))["RestartCount"] < 2:
            await asyncio.sleep(0.3)
    assert one["State"]["ExitCode"] in (0, 1)
    assert b"panic" in await engine.call("logs", "crash-a-1", tail=5)
