from __future__ import annotations

import asyncio
import time

import pytest

from vpai_tui.errors import CommandFailed, LinkLost
from vpai_tui.remote.connection import Connection, connect
from vpai_tui.remote.failures import NoAnswer

from .hosts import Relay, SshHost


async def test_run_gives_status_and_both_outputs(conn: Connection) -> None:
    done = await conn.run(["sh", "-c", "cat; echo oops >&2"], stdin=b"hello \xff")
    assert (done.exit_status, done.stdout, done.stderr) == (0, b"hello \xff", b"oops\n")
    assert done.text == "hello \ufffd"


async def test_run_quotes_its_arguments(conn: Connection) -> None:
    done = await conn.run(["printf", "%s|", "a b", "$(id)", "it's"])
    assert done.stdout == b"a b|$(id)|it's|"


async def test_failing_command_raises_with_its_last_lines_redacted(conn: Connection) -> None:
    with pytest.raises(CommandFailed) as caught:
        await conn.run(["sh", "-c", "echo token=abcdef >&2; exit 7"])
    assert caught.value.exit_status == 7
    assert caught.value.output == "token=•••"
    assert caught.value.host == "box"
    unchecked = await conn.run(["sh", "-c", "exit 7"], check=False)
    assert unchecked.exit_status == 7


async def test_root_goes_through_sudo_where_the_host_wants_it(server: SshHost, conn: Connection) -> None:
    await conn.run(["true"], root=True)
    assert server.commands[-1] == "true"
    conn.host = type(conn.host)(addresses=conn.host.addresses, ssh=conn.host.ssh, sudo=True)
    await conn.run(["true"], root=True, check=False)
    assert server.commands[-1] == "sudo -n true"


async def test_slow_command_is_no_answer(conn: Connection) -> None:
    with pytest.raises(NoAnswer):
        await conn.run(["sleep", "30"], timeout_s=0.3)
    assert (await conn.run(["echo", "still"])).stdout == b"still\n"


async def test_dropped_link_is_never_success(server: SshHost, conn: Connection) -> None:
    running = asyncio.create_task(conn.run(["sleep", "30"]))
    while not server.commands:
        await asyncio.sleep(0.05)
    server.drop()
    with pytest.raises(LinkLost):
        await running
    assert conn.closed
    assert conn.log.records()[-1].exit_status is None
    with pytest.raises(LinkLost):
        await conn.run(["true"])


async def test_black_hole_is_noticed_within_ten_seconds(server: SshHost) -> None:
    async with Relay(server.port) as relay:
        host = server.host(port=relay.port)
        known = server.root / "known_hosts"
        known.write_text(known.read_text().replace(str(server.port), str(relay.port)))
        connection = await connect("box", host)
        async with connection.stream(["sleep", "30"]) as stream:
            relay.hole = True
            started = time.monotonic()
            with pytest.raises(LinkLost):
                async for _ in stream:
                    pass
        assert time.monotonic() - started < 10
        await connection.wait_closed()
        await connection.close()


async def test_stream_yields_lines_and_the_status(conn: Connection) -> None:
    script = "printf 'a\\nb\\n'; cat; printf tail; echo no >&2; exit 3"
    async with conn.stream(["sh", "-c", script], stdin=b"c\n") as stream:
        lines = [line async for line in stream]
    assert lines == [b"a", b"b", b"c", b"tail"]
    assert stream.exit_status == 3
    assert stream.stderr == b"no\n"


async def test_leaving_a_stream_early_gives_its_channel_back(conn: Connection) -> None:
    for _ in range(12):
        async with conn.stream(["sh", "-c", "echo one; sleep 30"]) as stream:
            async for line in stream:
                assert line == b"one"
                break


async def test_a_tenth_command_waits_for_a_channel(conn: Connection) -> None:
    streams = [await conn.open_bytes(["cat"]) for _ in range(9)]
    tenth = asyncio.create_task(conn.run(["echo", "ok"]))
    await asyncio.sleep(0.3)
    assert not tenth.done()
    await streams.pop().close()
    assert (await tenth).stdout == b"ok\n"
    for stream in streams:
        await stream.close()


async def test_bytes_go_both_ways(conn: Connection) -> None:
    stream = await conn.open_bytes(["cat"])
    await stream.write(b"ping")
    assert await stream.read(100) == b"ping"
    stream.write_eof()
    assert await stream.read() == b""
    assert await stream.finished() == 0
    await stream.close()
    await stream.close()


async def test_round_trip_is_measured_without_a_command(server: SshHost, conn: Connection) -> None:
    assert 0 < await conn.ping() < 1
    assert conn.rtt_s is not None
    assert server.commands == []


async def test_every_command_is_logged_redacted(conn: Connection) -> None:
    heard = []
    stop = conn.log.subscribe(heard.append)
    await conn.run(["echo", "password=hunter2"])
    await conn.run(["echo", "x"], label="look around")
    stop()
    await conn.run(["true"])
    assert [(record.command, record.running) for record in heard] == [
        ("echo password=•••", True),
        ("echo password=•••", False),
        ("look around", True),
        ("look around", False),
    ]
    assert heard[1].exit_status == 0
    assert heard[1].duration_s is not None
