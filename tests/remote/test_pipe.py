"""A TCP connection through a real OpenSSH, by sshd itself and by each command that can bridge: ends, order, pace."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from vpai_tui.errors import LinkLost
from vpai_tui.remote.bridge import Bytes, refusal
from vpai_tui.remote.connection import CHANNELS, Connection, connect
from vpai_tui.remote.pipe import carry, open_pipe, pipe_tool, shut

from .sshd import SSHD, Sshd, sshd

pytestmark = pytest.mark.skipif(SSHD is None, reason="no OpenSSH server here")
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
TOOLS = ["direct-tcpip", *[tool for tool in ("perl", "socat", "bash") if shutil.which(tool)]]


@asynccontextmanager
async def reached(folder: Path, tool: str) -> AsyncIterator[tuple[Connection, Sshd]]:
    settings = "" if tool == "direct-tcpip" else "AllowTcpForwarding no"
    async with sshd(folder / "sshd", settings) as server:
        known = folder / "known"
        known.write_text(f"[127.0.0.1]:{server.port} {server.host_key}\n")
        connection = await connect("box", msgspec.structs.replace(server.host(known), sudo=False))
        if tool != "direct-tcpip":
            connection.facts["pipe"] = tool
        yield connection, server
        await connection.close()


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[int]:
    running: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            running.discard(task)
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.sleep(0)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def counts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says nothing before the other side has ended."""
    data = await reader.read()
    writer.write(f"{len(data)} {hashlib.sha256(data).hexdigest()}".encode())
    await writer.drain()
    writer.close()


@asynccontextmanager
async def front(connection: Connection, port: int, **options: float) -> AsyncIterator[tuple[int, list[str]]]:
    """A port of the laptop, and what went wrong behind it."""
    wrong: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pipe: Bytes = await open_pipe(connection, "127.0.0.1", port)
        try:
            await carry(reader, writer, pipe, moved=lambda up, down: None, **options)
        except LinkLost as error:
            wrong.append(type(error).__name__)
        finally:
            await pipe.close()
            wrong.extend(filter(None, [refusal(pipe)]))
            await shut(writer)

    async with listening(serve) as mine:
        yield mine, wrong


@pytest.mark.parametrize("tool", TOOLS)
async def test_each_direction_ends_by_itself(tmp_path: Path, tool: str) -> None:
    async with reached(tmp_path, tool) as (connection, _), listening(echo) as port:
        assert await pipe_tool(connection) == tool
        async with front(connection, port) as (mine, wrong):
            reader, writer = await asyncio.open_connection("127.0.0.1", mine)
            for word in (b"one", b"two"):
                writer.write(word)
                assert await asyncio.wait_for(reader.readexactly(3), 10) == word
            writer.write(b"x" * 3_000_000)
            if tool != "bash":
                writer.write_eof()  # and the rest of the answer comes after it
                assert len(await asyncio.wait_for(reader.read(), 20)) == 3_000_000
            else:
                assert len(await asyncio.wait_for(reader.readexactly(3_000_000), 20)) == 3_000_000
            writer.close()
            await asyncio.sleep(0.1)
        assert wrong == []


@pytest.mark.parametrize("tool", [tool for tool in TOOLS if tool != "bash"])
async def test_a_server_that_waits_for_the_end_hears_it(tmp_path: Path, tool: str) -> None:
    data = bytes(range(256)) * 8000
    async with (
        reached(tmp_path, tool) as (connection, _),
        listening(counts) as port,
        front(connection, port) as (mine, _wrong),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", mine)
        writer.write(data)
        writer.write_eof()
        said = await asyncio.wait_for(reader.read(), 20)
        assert said.decode() == f"{len(data)} {hashlib.sha256(data).hexdigest()}"
        writer.close()


async def test_a_tool_that_cannot_pass_the_end_on_gives_up_after_a_silence(tmp_path: Path) -> None:
    async with (
        reached(tmp_path, "bash") as (connection, _),
        listening(counts) as port,
        front(connection, port, silent_s=0.5) as (mine, _wrong),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", mine)
        writer.write(b"x")
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


@pytest.mark.parametrize("tool", TOOLS)
async def test_nobody_is_read_faster_than_the_other_takes_it(tmp_path: Path, tool: str) -> None:
    sent = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        try:
            while True:
                writer.write(b"y" * 65536)
                await writer.drain()
                sent += 65536
        except ConnectionError:
            pass

    async with (
        reached(tmp_path, tool) as (connection, _),
        listening(pour) as port,
        front(connection, port) as (mine, _wrong),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", mine, limit=1024)
        await reader.readexactly(1000)
        before = -1
        async with asyncio.timeout(20):
            while before != sent:  # until it stands still
                before = sent
                await asyncio.sleep(0.5)
        assert sent < 64 << 20
        writer.transport.abort()
        async with asyncio.timeout(10):  # nothing is left of it
            while [it for it in connection.log.records() if it.running]:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("tool", TOOLS)
async def test_who_is_not_there_and_who_goes_away(tmp_path: Path, tool: str) -> None:
    gone = asyncio.Event()

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()
        gone.set()

    async with reached(tmp_path, tool) as (connection, server), listening(hang_up) as port:
        async with front(connection, port) as (mine, _wrong):
            reader, writer = await asyncio.open_connection("127.0.0.1", mine)
            writer.write(b"x")
            assert await asyncio.wait_for(reader.read(), 10) == b""
            assert gone.is_set()
            writer.close()
        if tool != "direct-tcpip":
            async with front(connection, 1) as (mine, wrong):
                reader, writer = await asyncio.open_connection("127.0.0.1", mine)
                assert await asyncio.wait_for(reader.read(), 10) == b""
                writer.close()
                await asyncio.sleep(0.1)
                assert "refused" in wrong[0]
        async with listening(echo) as port, front(connection, port) as (mine, wrong):
            reader, writer = await asyncio.open_connection("127.0.0.1", mine)
            writer.write(b"x")
            await asyncio.wait_for(reader.readexactly(1), 10)
            await server.drop()
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await asyncio.wait_for(reader.readexactly(1), 20)
            writer.close()
            await asyncio.sleep(0.1)
            assert wrong[:1] == ["LinkLost"]


async def test_the_first_that_can_end_one_direction_is_taken(tmp_path: Path) -> None:
    async with reached(tmp_path, "perl") as (connection, _):
        connection.facts.clear()
        assert await pipe_tool(connection) == ("perl" if "perl" in TOOLS else "bash")
        assert connection._slots._value == CHANNELS
