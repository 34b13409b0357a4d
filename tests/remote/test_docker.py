from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from vpai_tui.errors import LinkLost
from vpai_tui.remote.connection import Connection, connect
from vpai_tui.remote.docker import Docker, EngineError

from . import engine
from .hosts import Keys, SshHost, serve


@pytest.fixture
def bin_dir(tmp_path: Path) -> Path:
    return engine.install(tmp_path / "bin")


@pytest.fixture
async def server(tmp_path: Path, keys: Keys, bin_dir: Path) -> AsyncIterator[SshHost]:
    async with serve(tmp_path / "host", keys, path=str(bin_dir)) as running:
        yield running


@pytest.fixture
async def engine_of(conn: Connection) -> AsyncIterator[Docker]:
    docker = Docker(conn)
    yield docker
    await docker.close()


async def _gone(pids: list[str]) -> None:
    """Waits until none of the processes is left."""
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, f"still there: {pids}"
        await asyncio.sleep(0.2)


async def test_calls_share_one_dial_and_speak_the_engines_version(engine_of: Docker, bin_dir: Path) -> None:
    for _ in range(3):
        assert await engine_of.call("containers", all=True) == [{"Id": "abc", "Names": ["/web"]}]
    assert len(engine.lines(bin_dir, "dials")) == 1
    requests = engine.lines(bin_dir, "requests")
    assert requests[0] == "GET /_ping"
    assert all("/v1.43/containers/json" in line for line in requests[1:])


async def test_calls_at_once_need_two_dials_at_most(engine_of: Docker, bin_dir: Path) -> None:
    await asyncio.gather(*(engine_of.call("containers") for _ in range(10)))
    assert len(engine.lines(bin_dir, "dials")) <= 2


async def test_post_without_body_and_its_log_line(engine_of: Docker, conn: Connection) -> None:
    await engine_of.call("restart", "abc", timeout=5)
    record = conn.log.records()[-1]
    assert (record.command, record.exit_status) == ("docker-api restart abc timeout=5", 0)


async def test_engines_refusal_is_cleaned_and_redacted(engine_of: Docker) -> None:
    with pytest.raises(EngineError) as caught:
        await engine_of.call("inspect_container", "nope")
    assert caught.value.status_code == 404
    assert caught.value.message == "No such container: [31mx token=•••"


async def test_engine_that_hangs_up_is_an_error_and_the_next_call_works(engine_of: Docker) -> None:
    with pytest.raises(EngineError):
        await engine_of.call("inspect_container", "dies")
    assert await engine_of.call("containers")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("permission denied while trying to connect to the Docker daemon socket", "user op may not use Docker"),
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", "the Docker daemon is not running"),
        ("sudo: a password is required", "user op may not run `sudo -n`"),
    ],
)
async def test_what_dial_stdio_says_is_explained(engine_of: Docker, bin_dir: Path, said: str, message: str) -> None:
    (bin_dir / "refuse").write_text(said + "\n")
    with pytest.raises(EngineError) as caught:
        await engine_of.call("containers")
    assert caught.value.message == message
    assert caught.value.remedy
    assert caught.value.output == said


async def test_host_without_docker(tmp_path: Path, keys: Keys) -> None:
    async with serve(tmp_path / "host", keys, path="/nowhere", only_path=True) as server:
        conn = await connect("box", server.host())
        docker = Docker(conn)
        with pytest.raises(EngineError, match="there is no `docker` on the host"):
            await docker.call("containers")
        await docker.close()
        await conn.close()


async def test_events_come_at_once_and_leaving_ends_the_remote_process(engine_of: Docker, bin_dir: Path) -> None:
    async with aclosing(engine_of.iterate("events", decode=True)) as events:
        seen = []
        async for event in events:
            seen.append(event["n"])
            if len(seen) == 3:
                break
    assert seen == [0, 1, 2]
    await _gone(engine.lines(bin_dir, "dials")[1:])
    assert not [thread for thread in threading.enumerate() if thread.name == "docker-stream"]
    assert await engine_of.call("containers")


async def test_cancelled_stream_ends_promptly(engine_of: Docker, bin_dir: Path) -> None:
    async def follow() -> None:
        async for _ in engine_of.iterate("events", decode=True):
            pass

    task = asyncio.create_task(follow())
    while len(engine.lines(bin_dir, "dials")) < 2:
        await asyncio.sleep(0.05)
    started = time.monotonic()
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert task.cancelled()
    assert time.monotonic() - started < 2


async def test_pull_ends_normally_only_when_the_engine_said_so(engine_of: Docker) -> None:
    layers = [line async for line in engine_of.iterate("pull", "web", tag="1", stream=True, decode=True)]
    assert [line["progressDetail"]["current"] for line in layers] == [50, 100]
    with pytest.raises(EngineError):
        _ = [line async for line in engine_of.iterate("pull", "broken", tag="1", stream=True, decode=True)]


async def test_dead_link_ends_calls_and_streams(server: SshHost, engine_of: Docker, bin_dir: Path) -> None:
    async def follow() -> None:
        async for _ in engine_of.iterate("events", decode=True):
            pass

    call = asyncio.create_task(engine_of.call("inspect_container", "slow"))
    stream = asyncio.create_task(follow())
    while len(engine.lines(bin_dir, "dials")) < 2 or not any("slow" in r for r in engine.lines(bin_dir, "requests")):
        await asyncio.sleep(0.05)
    started = time.monotonic()
    server.drop()
    results = await asyncio.gather(call, stream, return_exceptions=True)
    assert [type(result) for result in results] == [LinkLost, LinkLost]
    assert time.monotonic() - started < 2


async def test_close_ends_what_is_pending(engine_of: Docker, bin_dir: Path) -> None:
    call = asyncio.create_task(engine_of.call("inspect_container", "slow"))
    while not any("slow" in line for line in engine.lines(bin_dir, "requests")):
        await asyncio.sleep(0.05)
    await engine_of.close()
    with pytest.raises(EngineError):
        await call


async def test_exec_goes_through_the_command(engine_of: Docker) -> None:
    done = await engine_of.exec("abc", ["id", "-u"])
    assert (done.exit_status, done.text) == (5, "exec abc id -u\n")


async def test_nothing_of_this_machine_is_used(
    conn: Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bin_dir: Path
) -> None:
    """Neither registry logins nor proxies of the laptop reach the engine's client."""
    folder = tmp_path / "dockercfg"
    folder.mkdir()
    (folder / "config.json").write_text('{"auths": {"x.invalid": {"auth": "dTpw"}}, "credsStore": "none"}')
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    docker = Docker(conn)
    assert await docker.call("containers")
    assert docker.api._auth_configs.auths == {}
    await docker.close()
    assert os.environ["DOCKER_HOST"]
