"""A command of a simulated host on a pty of this machine, as sshd gives one to `ssh -t`."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import struct
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

import asyncssh

_CHUNK = 65536
_GRACE_S = 1.0


async def run_on_pty(
    channel: asyncssh.SSHServerProcess[bytes], argv: Sequence[str], cwd: Path, env: Mapping[str, str]
) -> int:
    """Runs `argv` with the channel as its terminal until either ends; the exit status, negative for a signal."""
    master, slave = os.openpty()
    try:
        _resize(master, channel.term_size)
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                cwd=cwd,
                env={**env, "TERM": channel.term_type or "dumb"},
                preexec_fn=_take_terminal,
            )
        finally:
            os.close(slave)
        return await _bridge(channel, master, process)
    finally:
        os.close(master)


def _take_terminal() -> None:
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _resize(master: int, size: tuple[int, int, int, int]) -> None:
    columns, lines, width, height = size
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, width, height))


async def _bridge(channel: asyncssh.SSHServerProcess[bytes], master: int, process: asyncio.subprocess.Process) -> int:
    typing = asyncio.ensure_future(_type(channel, master))
    showing = asyncio.ensure_future(_show(channel, master))
    closed = asyncio.ensure_future(channel.wait_closed())
    ended = asyncio.ensure_future(process.wait())
    await asyncio.wait((ended, closed), return_when=asyncio.FIRST_COMPLETED)
    for number in (signal.SIGHUP, signal.SIGKILL):
        if not ended.done():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            await asyncio.wait((ended,), timeout=_GRACE_S)
    await asyncio.wait((showing,), timeout=_GRACE_S)  # what it printed last
    for task in (typing, showing, closed):
        task.cancel()
    await asyncio.gather(typing, showing, closed, return_exceptions=True)
    return await ended


async def _type(channel: asyncssh.SSHServerProcess[bytes], master: int) -> None:
    while True:
        try:
            data = await channel.stdin.read(_CHUNK)
        except asyncssh.TerminalSizeChanged as changed:
            _resize(master, changed.term_size)
            continue
        except (asyncssh.BreakReceived, asyncssh.SignalReceived):
            continue
        except asyncssh.Error:
            return
        if not data:
            return
        with contextlib.suppress(OSError):
            await asyncio.to_thread(os.write, master, data)


async def _show(channel: asyncssh.SSHServerProcess[bytes], master: int) -> None:
    with contextlib.suppress(OSError, asyncssh.Error):  # EIO: nobody has the other side open any more
        while data := await _read(master):
            channel.stdout.write(data)
            await channel.stdout.drain()


async def _read(descriptor: int) -> bytes:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def there() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(descriptor, there)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
    return os.read(descriptor, _CHUNK)
