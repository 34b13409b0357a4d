"""What `remote/` relies on in sshd: the same on the demo's servers and on a host's OpenSSH."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncssh
import pytest

from vpai_tui.errors import CommandFailed, LinkLost
from vpai_tui.remote.connection import CHANNELS, Connection, connect

from .hosts import ContractHost

pytestmark = pytest.mark.asyncio(loop_scope="package")


@asynccontextmanager
async def another(host: ContractHost) -> AsyncIterator[Connection]:
    """A connection of the test's own, to the same host."""
    connection = await connect(host.connection.name, host.connection.host)
    try:
        yield connection
    finally:
        await connection.close()


async def appears(host: ContractHost, path: str, timeout_s: float = 10) -> None:
    """Waits for a file on the host."""
    async with asyncio.timeout(timeout_s):
        while (await host.run("test", "-e", path, status=None)).exit_status:
            await asyncio.sleep(0.2)


async def test_status_and_both_outputs_arrive(host: ContractHost) -> None:
    done = await host.connection.run(["sh", "-c", "echo out; echo err >&2; exit 7"], check=False)
    assert (done.exit_status, done.stdout, done.stderr) == (7, b"out\n", b"err\n")
    with pytest.raises(CommandFailed) as caught:
        await host.connection.run(["sh", "-c", "echo why >&2; exit 9"])
    assert caught.value.exit_status == 9 and caught.value.output == "why"
    assert (await host.connection.run(["no-such-command"], check=False)).exit_status == 127


async def test_words_arrive_as_they_were_given(host: ContractHost) -> None:
    words = ["a b", "$HOME", "'", '"', "*", "\\", "ä"]
    done = await host.connection.run(["printf", "%s\\n", *words])
    assert done.stdout.decode().splitlines() == words


async def test_input_arrives_whole_and_ends(host: ContractHost) -> None:
    data = bytes(range(256)) * 4096
    done = await host.connection.run(["sha256sum"], stdin=data)
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()
    assert (await host.connection.run(["cat"], stdin=data[:70_000])).stdout == data[:70_000]
    assert (await host.connection.run(["cat"])).stdout == b""
    deaf = await host.connection.run(["sh", "-c", "exec <&-; exit 3"], stdin=data, check=False)
    assert deaf.exit_status == 3  # who does not read its input still has its status told


async def test_a_session_has_no_terminal_and_root_is_root(host: ContractHost) -> None:
    done = await host.connection.run(["sh", "-c", "test -t 0 || test -t 1 || test -t 2"], check=False)
    assert done.exit_status == 1
    assert (await host.connection.run(["id", "-u"], root=True)).text == "0\n"
    assert (await host.connection.run(["id", "-un"])).text == f"{host.connection.host.ssh.user}\n"


async def test_killed_by_a_signal_is_never_success(host: ContractHost) -> None:
    process = await host.connection.ssh.create_process("kill -KILL $$", encoding=None)
    done = await process.wait()
    assert done.exit_signal is not None and done.exit_signal[0] == "KILL"
    with pytest.raises(CommandFailed) as caught:
        await host.connection.run(["sh", "-c", "kill -TERM $$"])
    assert caught.value.exit_status in (-1, 143)  # which of them depends on the login shell


async def test_the_end_of_the_channel_ends_who_reads_from_it(host: ContractHost) -> None:
    path = f"{host.root}/reader-ended"
    await host.run("mkdir", "-p", host.root)
    await host.run("rm", "-f", path)
    stream = await host.connection.open_bytes(["sh", "-c", 'trap "" HUP; echo here; cat; : >"$0"', path], root=True)
    assert await stream.read() == b"here\n"
    await stream.close()
    await appears(host, path)


async def test_a_child_with_a_session_of_its_own_outlives_channel_and_connection(host: ContractHost) -> None:
    path = f"{host.root}/child"
    await host.run("mkdir", "-p", host.root)
    start = (
        'setsid sh -c "echo begun >\\$0; sleep 1.5; echo ended >>\\$0" "$0" </dev/null >/dev/null 2>&1 & echo started'
    )
    async with another(host) as connection:
        done = await connection.run(["sh", "-c", start, path], root=True, timeout_s=5)
        assert done.text == "started\n" and done.duration_s < 1.4  # the channel does not wait for it
        connection.ssh.abort()
    async with asyncio.timeout(10):
        while (await host.run("cat", path, status=None)).stdout != b"begun\nended\n":
            await asyncio.sleep(0.2)


async def test_a_channel_lasts_as_long_as_somebody_holds_its_output(host: ContractHost) -> None:
    held = await host.connection.run(["sh", "-c", "sleep 1 & echo started"])
    free = await host.connection.run(["sh", "-c", "sleep 1 >/dev/null 2>&1 </dev/null & echo started"])
    assert held.duration_s >= 1 and free.duration_s < held.duration_s


async def test_a_connection_that_ends_leaves_the_outcome_unknown(host: ContractHost) -> None:
    async with another(host) as connection:
        pending = asyncio.create_task(connection.run(["sleep", "30"]))
        await asyncio.sleep(0.3)
        connection.ssh.abort()
        with pytest.raises(LinkLost):
            await pending
        assert connection.closed


async def test_ten_sessions_and_no_more(host: ContractHost) -> None:
    async with another(host) as connection, AsyncExitStack() as stack:
        for _ in range(10):
            stack.push_async_callback((process := await connection.ssh.create_process("cat")).wait_closed)
            stack.callback(process.close)
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.ssh.create_process("true")


async def test_more_commands_than_channels_wait_for_each_other(host: ContractHost) -> None:
    async with another(host) as connection:
        runs = [connection.run(["sh", "-c", "sleep 0.2; echo $0", str(n)]) for n in range(2 * CHANNELS)]
        done = await asyncio.gather(*runs)
    assert [one.text for one in done] == [f"{n}\n" for n in range(2 * CHANNELS)]


async def test_forwarding_is_forbidden(host: ContractHost) -> None:
    with pytest.raises(asyncssh.ChannelOpenError) as caught:
        await host.connection.ssh.open_connection("127.0.0.1", host.connection.host.ssh.port)
    assert caught.value.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED
