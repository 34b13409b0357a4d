"""The operator's terminal on a host, through a real OpenSSH."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from vpai_tui.errors import LinkLost, UsageError
from vpai_tui.remote.connection import Connection, connect
from vpai_tui.remote.terminal import interactive

from .sshd import SSHD, sshd
from .terminals import Screen, as_ours, screen

pytestmark = pytest.mark.skipif(SSHD is None, reason="no OpenSSH server here")


@pytest.fixture
async def openssh(tmp_path: Path) -> AsyncIterator[Connection]:
    async with sshd(tmp_path / "sshd") as server:
        known = tmp_path / "known"
        known.write_text(f"[127.0.0.1]:{server.port} {server.host_key}\n")
        connection = await connect("box", msgspec.structs.replace(server.host(known), sudo=False))
        yield connection
        await connection.close()


@contextmanager
def own_terminal() -> Iterator[Screen]:
    """In a test, not around it: pytest changes the streams between the phases."""
    with pytest.MonkeyPatch.context() as patch, screen() as made, as_ours(made, patch):
        patch.setenv("TERM", "vt220")
        yield made


async def test_letters_sizes_and_the_exit_status_go_through(openssh: Connection) -> None:
    with own_terminal() as terminal:
        before, listening = terminal.settings(), signal.getsignal(signal.SIGWINCH)
        script = 'stty size; echo "$TERM é"; read -r line; stty size; echo "got $line"; exit 7'
        work = asyncio.create_task(interactive(openssh, ["sh", "-c", script]))
        await terminal.until("vt220 é".encode())
        assert b"30 100" in terminal.seen
        assert terminal.settings() != before  # raw
        terminal.resize(132, 50)
        os.kill(os.getpid(), signal.SIGWINCH)
        await asyncio.sleep(0.2)  # two requests of one channel keep their order, a signal and a read do not
        terminal.type("ça va\r".encode())
        await terminal.until("got ça va".encode())
        assert await work == 7
        assert b"50 132" in terminal.seen
        assert (terminal.settings(), signal.getsignal(signal.SIGWINCH)) == (before, listening)
        assert b"\x1b[?1049l" not in terminal.rest()


async def test_keys_that_mean_something_here_go_to_the_host(openssh: Connection) -> None:
    with own_terminal() as terminal:
        work = asyncio.create_task(
            interactive(openssh, ["sh", "-c", "trap 'echo caught; exit 3' INT; echo on; sleep 9"])
        )
        await terminal.until(b"on\r\n")
        terminal.type(b"\x03")
        await terminal.until(b"caught")
        assert await work == 3


async def test_a_signal_that_ends_the_command_is_told(openssh: Connection) -> None:
    with own_terminal() as terminal:
        assert await interactive(openssh, ["sh", "-c", "kill -KILL $$"]) == 128 + 9
        assert terminal.rest() is not None


async def test_a_lost_link_gives_the_terminal_back(openssh: Connection) -> None:
    with own_terminal() as terminal:
        before = terminal.settings()
        work = asyncio.create_task(interactive(openssh, ["sh", "-c", "printf '\\033[?1049h'; echo on; sleep 30"]))
        await terminal.until(b"on\r\n")
        openssh.ssh.abort()
        with pytest.raises(LinkLost):
            await work
        assert terminal.settings() == before
        assert b"\x1b[?1049l" in terminal.rest()


async def test_giving_up_gives_the_terminal_and_the_channel_back(openssh: Connection) -> None:
    with own_terminal() as terminal:
        before = terminal.settings()
        for _ in range(11):  # more than there are channels
            work = asyncio.create_task(interactive(openssh, ["sh", "-c", "echo on; sleep 30"]))
            await terminal.until(b"on\r\n")
            terminal.seen = b""
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        assert terminal.settings() == before
        assert (await openssh.run(["echo", "still"])).text == "still\n"


async def test_without_a_terminal_nothing_is_started(openssh: Connection) -> None:
    with pytest.raises(UsageError, match="needs a terminal"):
        await interactive(openssh, ["true"])
    assert not openssh.log.records()
