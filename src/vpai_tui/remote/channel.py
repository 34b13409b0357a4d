"""One command's channel: its bytes in both directions, bounded, and an exit status that may be unknown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import asyncssh

from vpai_tui.errors import OperatorError
from vpai_tui.remote.failures import link_lost, losing_link
from vpai_tui.text import clean

STDERR_LIMIT = 64 * 1024  # bytes kept of what a command complains of: the last ones
LINE_LIMIT = 4 * 1024 * 1024  # a longer line is handed on in pieces
_CHUNK = 64 * 1024


@dataclass(frozen=True)
class Completed:
    """A command that ended with a known exit status."""

    exit_status: int
    stdout: bytes
    stderr: bytes
    duration_s: float

    @property
    def text(self) -> str:
        """Standard output, cleaned."""
        return clean(self.stdout)


class ByteStream:
    """The raw bytes of one running command; `close` gives its channel back and may be called twice."""

    def __init__(self, host: str, process: asyncssh.SSHClientProcess[bytes], on_close: Callable[[int | None], None]):
        self._host = host
        self._process = process
        self._on_close: Callable[[int | None], None] | None = on_close
        self._stderr = bytearray()
        self._collector = asyncio.ensure_future(self._collect())

    @property
    def exit_status(self) -> int | None:
        """The command's exit status; None while it runs, and when it is not known."""
        return self._process.exit_status

    @property
    def stderr(self) -> bytes:
        """What the command has complained of so far, at most the last `STDERR_LIMIT` bytes."""
        return bytes(self._stderr)

    @property
    def at_eof(self) -> bool:
        """Whether the other side has ended and all it sent was read."""
        return self._process.stdout.at_eof() or self._process.is_closing()

    async def read(self, limit: int = _CHUNK) -> bytes:
        """Up to `limit` bytes, `b""` at the end; LinkLost if the connection died."""
        with losing_link(self._host):
            return await self._process.stdout.read(limit)

    async def write(self, data: bytes) -> None:
        """Sends `data`, waiting while the other side does not take it."""
        with losing_link(self._host):
            self._process.stdin.write(data)
            await self._process.stdin.drain()

    def write_eof(self) -> None:
        """Ends the command's standard input."""
        with losing_link(self._host):
            self._process.stdin.write_eof()

    async def feed(self, data: bytes) -> None:
        """Writes all of `data` and ends the input. A command that stops reading is no error: its status tells."""
        try:
            if data:
                await self.write(data)
            self.write_eof()
        except OperatorError:
            return  # the reading side meets the same end and reports it

    async def finished(self) -> int:
        """Waits for the end; its exit status. LinkLost when none came."""
        with losing_link(self._host):
            await self._process.wait_closed()
        await self._collector
        if self._process.exit_status is None:
            raise link_lost(self._host)
        return self._process.exit_status

    async def close(self) -> None:
        """Closes the channel. The command is not waited for: it may or may not notice."""
        if self._on_close is None:
            return
        on_close, self._on_close = self._on_close, None
        self._process.close()
        self._collector.cancel()
        await asyncio.gather(self._collector, return_exceptions=True)
        on_close(self._process.exit_status)

    async def _collect(self) -> None:
        try:
            while chunk := await self._process.stderr.read(_CHUNK):
                self._stderr += chunk
                del self._stderr[:-STDERR_LIMIT]
        except (asyncssh.Error, OSError):
            return  # the reader of standard output reports the lost connection


class LineStream:
    """The lines of one running command, as bytes without their newline."""

    def __init__(self, host: str, stream: ByteStream) -> None:
        self._host = host
        self._stream = stream
        self.exit_status: int | None = None  # known after the last line

    @property
    def stderr(self) -> bytes:
        """What the command has complained of so far (its last bytes)."""
        return self._stream.stderr

    async def write(self, data: bytes) -> None:
        """Sends `data` to the command's standard input (only useful when the stream was opened without `stdin`)."""
        await self._stream.write(data)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        rest = b""
        while chunk := await self._stream.read():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line
            if len(rest) > LINE_LIMIT:
                yield rest
                rest = b""
        self.exit_status = await self._stream.finished()
        if rest:
            yield rest
