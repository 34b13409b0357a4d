"""An interactive command on a host, bridged to the operator's own terminal. What the host prints reaches it raw."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import asyncssh

from vpai_tui.errors import UsageError
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.failures import link_lost, losing_link

_CHUNK = 64 * 1024
# What a program may have switched on and, killed, not off: an unfinished sequence, mouse, focus, paste, keyboard
# modes, colours, a hidden cursor. Leaving the other screen moves the cursor, so it is only done when something broke.
_CALM = b"\x18\x1b\\\x1b[?1000;1002;1003;1004;1006;2004l\x1b[<u\x1b[>4m\x1b[?1l\x1b>\x1b[0m\x1b(B\x1b[?25h"
_BROKEN = b"\x1b[?1049l\r\n"
# Programs take the language from the environment; without any an editor would show bytes in place of letters.
_UTF8 = 'case ${LC_ALL:-}${LC_CTYPE:-}${LANG:-} in "") LANG=C.UTF-8; export LANG ;; esac; exec "$@"'


async def interactive(connection: Connection, argv: Sequence[str], *, root: bool = False, label: str = "") -> int:
    """Runs `argv` on a pty of the host with the operator's terminal as its own; returns its exit status.

    Status 128 + N where signal N ended it. The terminal is as it was before in every case.

    Raises:
        UsageError: standard input and output are no terminal.
        LinkLost: no exit status came; the command got a hang-up, or goes on without a terminal.
    """
    need_terminal()
    command = ["sh", "-c", _UTF8, "sh", *argv]
    kind, size = os.environ.get("TERM") or "xterm-256color", _size()
    async with connection.terminal(command, root=root, kind=kind, size=size, label=label or None) as process:
        with _raw(sys.stdin.fileno()) as state, _resizing(process):
            status = await _bridge(connection.name, process)
            state.append(status)
    return status


def need_terminal() -> None:
    """UsageError where standard input and output are no terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("this needs a terminal", remedy="run it where you can type")


async def _bridge(host: str, process: asyncssh.SSHClientProcess[bytes]) -> int:
    typing = asyncio.create_task(_type(process))
    try:
        with losing_link(host):
            while data := await process.stdout.read(_CHUNK):
                await asyncio.to_thread(_show, data)
            await process.wait_closed()
    finally:
        typing.cancel()
        await asyncio.gather(typing, return_exceptions=True)
    status = process.returncode
    if status is None:
        raise link_lost(host)
    return status if status >= 0 else 128 - status


async def _type(process: asyncssh.SSHClientProcess[bytes]) -> None:
    """What is typed, to the host; no faster than it takes it."""
    descriptor = sys.stdin.fileno()
    with suppress(asyncssh.Error, OSError):  # the reading side meets the same end and tells it
        while True:
            await _readable(descriptor)
            data = os.read(descriptor, _CHUNK)
            if not data:
                process.stdin.write_eof()
                return
            process.stdin.write(data)
            await process.stdin.drain()


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def there() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(descriptor, there)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)


def _show(data: bytes) -> None:
    """All of `data`, on the terminal itself: Python's buffer has no part in it."""
    left = memoryview(data)
    while left:
        left = left[os.write(sys.stdout.fileno(), left) :]


def _size() -> tuple[int, int]:
    size = shutil.get_terminal_size()
    try:
        size = os.get_terminal_size(sys.stdout.fileno())
    except OSError:
        return size.columns, size.lines
    return size.columns or 80, size.lines or 24


@contextmanager
def _raw(descriptor: int) -> Iterator[list[int]]:
    """The terminal in raw mode; put back whatever happens. An empty list at the end means that it broke."""
    before = termios.tcgetattr(descriptor)
    ended: list[int] = []
    sys.stdout.flush()
    tty.setraw(descriptor, termios.TCSADRAIN)
    try:
        yield ended
    finally:
        with suppress(OSError):  # a terminal that was closed needs no calming
            _show(_CALM if ended else _CALM + _BROKEN)
        with suppress(termios.error):
            termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)


@contextmanager
def _resizing(process: asyncssh.SSHClientProcess[bytes]) -> Iterator[None]:
    """Tells the host of each change of the window's size; whoever listened for it before does so again afterwards."""
    loop, before = asyncio.get_running_loop(), signal.getsignal(signal.SIGWINCH)

    def resized() -> None:
        with suppress(asyncssh.Error, OSError):
            process.change_terminal_size(*_size())

    loop.add_signal_handler(signal.SIGWINCH, resized)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)
        signal.signal(signal.SIGWINCH, before)
