"""A port of the laptop to a service: a real PostgreSQL through an OpenSSH that forbids forwarding, and the demo's."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.contract.edge_kit import demand
from tests.contract.postgres_kit import Postgres, postgres_server, programs

from vpai_tui.clock import SystemClock
from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.forward import Closed, Event, Forward, Forwards, Listening, Waiting
from vpai_tui.fleet.history import History
from vpai_tui.fleet.stacks import Stack, load_stacks
from vpai_tui.remote.connection import CHANNELS, Connection, connect
from vpai_tui.world import World, open_world

from .sshd import SSHD, sshd

pytestmark = pytest.mark.xdist_group("forward")


# ── a real PostgreSQL through a real sshd ────────────────────────────────────────────────────────────────────────────


class Engine:
    """The answer of a Docker that has one container, on the host's own network."""

    state = "running"

    async def call(self, fn_name: str, /, *_args: Any, **_kw: Any) -> Any:
        assert fn_name == "containers"
        labels = {"com.docker.compose.project": "vpai", "com.docker.compose.service": "postgresql"}
        return [{"Id": "a" * 64, "Names": ["/pg"], "State": self.state, "Labels": labels, "Image": "postgres:17"}]

    def iterate(self, fn_name: str, /, *_args: Any, **_kw: Any) -> AsyncIterator[Any]:
        raise AssertionError(fn_name)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    if programs() is None:
        demand("PostgreSQL is not installed")
    with postgres_server() as server:
        yield server


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Connection]:
    if SSHD is None:
        pytest.skip("no OpenSSH server here")
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho true host\n")
    docker.chmod(0o755)
    async with sshd(tmp_path / "sshd", "AllowTcpForwarding no") as server:
        known = tmp_path / "known"
        known.write_text(f"[127.0.0.1]:{server.port} {server.host_key}\n")
        it = msgspec.structs.replace(server.host(known), sudo=False, docker=str(docker))
        connection = await connect("sese", it)
        yield connection
        await connection.close()


def stacks() -> tuple[Stack, ...]:
    from vpai_tui.config import load_fleet

    root = Path(__file__).parents[2]

    return tuple(load_stacks(root / "stacks", load_fleet(root / "config/fleet.yaml")))


@pytest.fixture
async def forwards(host: Connection, tmp_path: Path) -> AsyncIterator[Forwards]:
    async def connection(name: str) -> Connection:
        assert name == "sese"
        return host

    history = History(tmp_path / "history.jsonl")
    made = Forwards(stacks(), connection, lambda _: Engine(), SystemClock(), history)
    yield made
    await made.close()


async def psql(port: int, sql: str) -> tuple[int, str]:
    argv = [
        "psql",
        "-X",
        "-q",
        "-At",
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-U",
        "postgres",
        "-d",
        "postgres",
        "-c",
        sql,
    ]
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=-1, stderr=-2, env={**os.environ, "PGSSLMODE": "disable"}
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode().strip()


def told(forward: Forward) -> list[Event]:
    return list(forward.events)


async def test_twenty_at_once_get_their_turn_and_the_cockpit_keeps_channels(
    forwards: Forwards, host: Connection, postgres: Postgres
) -> None:
    forward = await forwards.open("postgresql", postgres.port)
    assert forward.local_port != postgres.port  # that one is taken here
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, CHANNELS - host._slots._value)
            assert (await host.run(["echo", "still"])).text == "still\n"  # nobody waits behind the forwards
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    asked = [psql(forward.local_port, f"select {number} from pg_sleep(0.1)") for number in range(20)]
    answers = await asyncio.gather(*asked)
    watching.cancel()
    await asyncio.wait([watching])
    assert watching.cancelled()
    assert sorted(answers) == sorted((0, str(number)) for number in range(20))
    assert most <= 4 + 2  # four carried, one asks where the container is, one says `still`
    async with asyncio.timeout(10):
        while forward.open or forward.tasks or host._slots._value != CHANNELS:
            await asyncio.sleep(0.02)
    closed = [it for it in told(forward) if isinstance(it, Closed)]
    assert len(closed) == forward.total == 20
    assert all(it.error == "" and it.received_bytes > 0 for it in closed)
    assert any(isinstance(it, Waiting) for it in told(forward))
    big = "select string_agg(repeat('x', 1000), '') from generate_series(1, 5000)"
    assert len((await psql(forward.local_port, big))[1]) == 5_000_000


async def test_it_is_closed_with_what_it_carries_and_journaled(
    forwards: Forwards, host: Connection, postgres: Postgres, tmp_path: Path
) -> None:
    forward = await forwards.open("sese/infra/postgresql", postgres.port)
    asking = asyncio.create_task(psql(forward.local_port, "select pg_sleep(60)"))
    async with asyncio.timeout(10):
        while not forward.open:
            await asyncio.sleep(0.02)
    await forwards.shut(forward)
    assert forwards.running == ()
    status, said = await asking
    assert status == 2
    assert "server closed the connection" in said or "reset" in said
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", forward.local_port)
    assert host._slots._value == CHANNELS
    assert [it async for it in forwards.events(forward)][-1] == Closed(
        1, forward.sent_bytes, forward.received_bytes, "the forward was closed"
    )
    rows = [json.loads(row) for row in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [(it["what"], it["subject"], it["result"]) for it in rows] == [
        ("forward", "sese/infra/postgresql", "opened"),
        ("forward", "sese/infra/postgresql", "closed"),
    ]
    assert rows[0]["detail"] == f"127.0.0.1:{forward.local_port} → {postgres.port}"


async def test_ports(forwards: Forwards) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} of this laptop is taken"):
            await forwards.open("postgresql", 5432, port)
    forward = await forwards.open("postgresql", 5432, port)
    assert (forward.port, forward.local_port) == (5432, port)
    assert next(iter(told(forward))) == Listening("sese/infra/postgresql", "sese", 5432, port)
    again = await forwards.open("postgresql", port)
    assert again.local_port not in (0, port)
    with pytest.raises(UsageError, match="names no port of diun"):
        await forwards.open("diun")


async def test_a_port_nobody_listens_at_and_a_link_that_is_lost(forwards: Forwards, host: Connection) -> None:
    forward = await forwards.open("postgresql", 1)
    reader, writer = await asyncio.open_connection("127.0.0.1", forward.local_port)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), 20)
    writer.close()
    async with asyncio.timeout(10):
        while not forward.error:
            await asyncio.sleep(0.02)
    assert "refused" in forward.error
    await host.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", forward.local_port)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), 20)
    writer.close()


async def test_what_does_not_run_has_no_port(forwards: Forwards, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "state", "exited")
    with pytest.raises(OperatorError, match="does not run: its container is exited"):
        await forwards.open("postgresql")


# ── the demo's ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("forward")


@pytest.fixture
async def world(folder: Path) -> AsyncIterator[World]:
    args = Namespace(demo=True, demo_dir=folder, demo_reset=False, demo_foreign=None, config=None, verb=None)
    async with open_world(args) as world:
        yield world


@pytest.mark.parametrize(("service", "path", "wanted"), [("victoriametrics", "/-/healthy", b"Healthy")])
async def test_http_of_a_demo_service(world: World, service: str, path: str, wanted: bytes) -> None:
    forwards = world.forwards()
    forward = await forwards.open(service)
    reader, writer = await asyncio.open_connection("127.0.0.1", forward.local_port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    writer.write_eof()
    assert wanted in await asyncio.wait_for(reader.read(), 20)
    writer.close()
    await forwards.close()


async def test_the_command_runs_until_ctrl_c(folder: Path) -> None:
    argv = [sys.executable, "-m", "vpai_tui", "--demo-dir", str(folder), "forward", "loki", "--json"]
    process = await asyncio.create_subprocess_exec(*argv, stdout=-1, stderr=-1)
    assert process.stdout is not None
    first = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
    assert list(first) == ["schema", "event", "service", "host", "port", "local_address", "local_port"]
    assert (first["service"], first["port"], first["local_address"]) == ("sese/monitoring/loki", 3100, "127.0.0.1")
    reader, writer = await asyncio.open_connection("127.0.0.1", first["local_port"])
    writer.write(b"GET /loki/api/v1/status/buildinfo HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert b"200 OK" in await asyncio.wait_for(reader.read(), 20)
    writer.close()
    rows = [json.loads(await asyncio.wait_for(process.stdout.readline(), 20)) for _ in range(2)]
    assert [row["event"] for row in rows] == ["opened", "closed"]
    assert list(rows[1]) == ["schema", "event", "id", "sent_bytes", "received_bytes", "error"]
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, err) == (0, b"")
    assert json.loads(out)["event"] == "ended"


async def test_the_command_is_refused_where_nothing_may_change(folder: Path) -> None:
    argv = [sys.executable, "-m", "vpai_tui", "--demo-dir", str(folder), "--read-only", "forward", "loki"]
    process = await asyncio.create_subprocess_exec(*argv, stdout=-1, stderr=-1)
    _, err = await process.communicate()
    assert (process.returncode, b"forward would change something" in err) == (2, True)
