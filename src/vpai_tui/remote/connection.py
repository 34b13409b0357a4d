"""One SSH connection to one host: commands, streams and raw bytes over it, never more channels than sshd allows."""

from __future__ import annotations

import asyncio
import logging
import shlex
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import asyncssh

from vpai_tui.config import Host
from vpai_tui.errors import CommandFailed, HostUnreachable, OperatorError
from vpai_tui.redact import redact
from vpai_tui.remote.channel import ByteStream, Completed, LineStream
from vpai_tui.remote.command_log import CommandLog
from vpai_tui.remote.failures import HostRefused, NoAnswer, link_lost, losing_link, reason
from vpai_tui.remote.hostkeys import HostKeys
from vpai_tui.remote.login import login
from vpai_tui.remote.prompts import Prompts
from vpai_tui.text import clean_line, last_lines

__all__ = ["ByteStream", "Completed", "Connection", "LineStream", "connect"]

CHANNELS = 9  # sshd's MaxSessions is 10: one is left for a session of which sshd has not noticed the end
OPEN_TIMEOUT_S = 10.0  # opening a channel on a dead link hangs until the keepalive notices
OUTPUT_LIMIT = 32 * 1024 * 1024  # bytes of one command's output
_RTT_EVERY_S = 15.0
_CLOSE_WITHIN_S = 3.0
_T = TypeVar("_T")

# Without a handler its warnings would be written over the screen; every failure reaches the operator as an error.
logging.getLogger("asyncssh").addHandler(logging.NullHandler())


class Connection:
    """One live connection. Made by `connect`; ended by `close` or by the link."""

    def __init__(
        self, name: str, host: Host, address: str, ssh: asyncssh.SSHClientConnection, log: CommandLog | None = None
    ) -> None:
        self.name = name
        self.host = host
        self.address = address
        self.log = CommandLog() if log is None else log  # an empty log is false
        self.rtt_s: float | None = None  # one round trip of the link, measured without a channel
        self.facts: dict[str, str | None] = {}  # found out once about this host, by whoever needed it (http_bridge)
        self._ssh = ssh
        self._slots = asyncio.Semaphore(CHANNELS)
        self._pulse = asyncio.create_task(self._measure(), name=f"rtt {name}")

    @property
    def ssh(self) -> asyncssh.SSHClientConnection:
        """The connection underneath, for what is no command (direct-tcpip)."""
        return self._ssh

    @property
    def closed(self) -> bool:
        """Whether the connection is over, by whichever side."""
        return self._ssh.is_closed()

    async def wait_closed(self) -> None:
        """Returns when the connection is over: closed here, by the host, or found dead."""
        await self._ssh.wait_closed()

    async def close(self) -> None:
        """Ends the connection and all its channels."""
        self._pulse.cancel()
        await asyncio.gather(self._pulse, return_exceptions=True)
        self._ssh.close()
        try:
            async with asyncio.timeout(_CLOSE_WITHIN_S):
                await self._ssh.wait_closed()
        except TimeoutError:
            self._ssh.abort()

    async def run(
        self,
        argv: Sequence[str],
        *,
        root: bool = False,
        stdin: bytes = b"",
        timeout_s: float = 30.0,
        check: bool = True,
        label: str | None = None,
    ) -> Completed:
        """Runs `argv` to its end.

        `root` puts `sudo -n` before it where the host wants that; `label` stands in the command log instead of it.
        Raises LinkLost when no exit status came (NoAnswer: not within `timeout_s` seconds), and with `check`
        CommandFailed for any status but 0.
        """
        started = time.monotonic()
        what = label or _first_words(argv)
        stream = await self._within(timeout_s, what, lambda: self.open_bytes(argv, root=root, label=label))
        try:
            status, stdout = await self._within(timeout_s, what, lambda: self._complete(stream, stdin))
        finally:
            await stream.close()
        done = Completed(status, stdout, stream.stderr, time.monotonic() - started)
        if check and status != 0:
            raise self.failed(what, done)
        return done

    def failed(self, what: str, done: Completed) -> CommandFailed:
        """The error for a command that ended with a status it should not have; its last lines are redacted."""
        return CommandFailed(
            f"`{redact(what)}` ended with status {done.exit_status}",
            exit_status=done.exit_status,
            host=self.name,
            output=redact(last_lines(done.stderr.strip() or done.stdout)),
        )

    @asynccontextmanager
    async def stream(
        self, argv: Sequence[str], *, root: bool = False, stdin: bytes = b"", label: str | None = None
    ) -> AsyncIterator[LineStream]:
        """Runs `argv`; iterate the value for its lines, then read its `exit_status`. Leaving early closes the channel.

        With `stdin` the bytes are sent and the input is ended; without, the input stays open until the end.
        """
        stream = await self.open_bytes(argv, root=root, label=label)
        feeding = asyncio.create_task(stream.feed(stdin)) if stdin else None
        try:
            yield LineStream(self.name, stream)
        finally:
            if feeding is not None:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
            await stream.close()

    async def open_bytes(self, argv: Sequence[str], *, root: bool = False, label: str | None = None) -> ByteStream:
        """Starts `argv` and hands out its raw bytes; it holds one of the connection's channels until `close`."""
        words = ["sudo", "-n", *argv] if root and self.host.sudo else list(argv)
        await self._slots.acquire()
        record = self.log.begin(self.name, label or shlex.join(argv))
        try:
            process = await self._open(shlex.join(words))
        except BaseException:
            self.log.end(record, None)
            self._slots.release()
            raise

        def on_close(status: int | None) -> None:
            self.log.end(record, status)
            self._slots.release()

        return ByteStream(self.name, process, on_close)

    @asynccontextmanager
    async def terminal(
        self, argv: Sequence[str], *, root: bool = False, kind: str, size: tuple[int, int], label: str | None = None
    ) -> AsyncIterator[asyncssh.SSHClientProcess[bytes]]:
        """Starts `argv` on a pty of the host (`kind` as in TERM, `size` columns and lines), for `remote.terminal`."""
        words = ["sudo", "-n", *argv] if root and self.host.sudo else list(argv)
        await self._slots.acquire()
        record, process = self.log.begin(self.name, label or shlex.join(argv)), None
        modes = {asyncssh.PTY_VERASE: 127, asyncssh.PTY_IUTF8: 1}
        try:
            process = await self._open(shlex.join(words), term_type=kind, term_size=size, term_modes=modes)
            yield process
        finally:
            if process is not None:
                process.close()
            self.log.end(record, process.exit_status if process is not None else None)
            self._slots.release()

    async def ping(self) -> float:
        """Seconds one round trip takes now; LinkLost when the link is dead."""
        # asyncssh has no public call for a request that needs no channel; this is the one its keepalive makes.
        request = self._ssh._make_global_request
        started = time.monotonic()
        with losing_link(self.name):
            await request(b"keepalive@openssh.com")
        if self.closed:
            raise link_lost(self.name)
        self.rtt_s = time.monotonic() - started
        return self.rtt_s

    async def _measure(self) -> None:
        while not self.closed:
            with suppress(OperatorError):
                await self.ping()
            await asyncio.sleep(_RTT_EVERY_S)

    async def _open(self, command: str, **pty: Any) -> asyncssh.SSHClientProcess[bytes]:
        """The started command. A refusal while the link lives is sshd still counting a session that just ended."""
        refusal: asyncssh.ChannelOpenError | None = None
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                while not self.closed:
                    try:
                        with losing_link(self.name):
                            return await self._ssh.create_process(command, encoding=None, **pty)
                    except asyncssh.ChannelOpenError as error:
                        refusal = error
                    await asyncio.sleep(0.2)
        except TimeoutError as error:
            if refusal is None:
                raise NoAnswer(f"no channel could be opened within {OPEN_TIMEOUT_S:.0f} s", host=self.name) from error
            raise OperatorError(
                f"sshd opens no more channels: {reason(refusal)}",
                host=self.name,
                remedy="raise MaxSessions in its sshd_config to 10, the default",
            ) from refusal
        raise link_lost(self.name)

    async def _complete(self, stream: ByteStream, stdin: bytes) -> tuple[int, bytes]:
        feeding = asyncio.create_task(stream.feed(stdin))
        try:
            stdout = bytearray()
            while chunk := await stream.read():
                stdout += chunk
                if len(stdout) > OUTPUT_LIMIT:
                    raise OperatorError(f"a command printed more than {OUTPUT_LIMIT >> 20} MiB", host=self.name)
            return await stream.finished(), bytes(stdout)
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)

    async def _within(self, timeout_s: float, what: str, work: Callable[[], Awaitable[_T]]) -> _T:
        try:
            async with asyncio.timeout(timeout_s):
                return await work()
        except TimeoutError as error:
            raise NoAnswer(
                f"`{redact(what)}` gave no answer within {timeout_s:g} s; whether it took effect is not known",
                host=self.name,
            ) from error


async def connect(
    name: str,
    host: Host,
    *,
    prompts: Prompts | None = None,
    log: CommandLog | None = None,
    on_step: Callable[[str, str], None] | None = None,
    prefer: str | None = None,
) -> Connection:
    """Connects to `host`, trying its addresses one after the other (`prefer` first).

    `on_step(step, address)` hears of each step. Raises HostUnreachable; its subclass HostRefused when trying again
    cannot help. An address where somebody else answers is passed over.
    """
    keys = await asyncio.to_thread(HostKeys.read, host.ssh.known_hosts, host.addresses, host.ssh.port)
    failures: list[HostUnreachable] = []
    for address in sorted(host.addresses, key=lambda known: known != prefer):
        try:
            ssh = await login(name, host, address, keys, prompts, on_step or (lambda _step, _address: None))
        except HostRefused:
            raise
        except HostUnreachable as error:
            failures.append(error)
        else:
            return Connection(name, host, address, ssh, log)
    raise _none_worked(name, host, failures)


def _none_worked(name: str, host: Host, failures: Sequence[HostUnreachable]) -> HostUnreachable:
    """One error for all addresses: the primary's step and remedy, everybody's message."""
    if not failures:
        return HostUnreachable("no address is configured", host=name, step="resolve", remedy="give addresses")
    main = next((failure for failure in failures if host.addresses[0] in failure.message), failures[0])
    message = "; ".join(f"{failure.step}: {failure.message}" for failure in failures)
    if len(failures) == 1:
        message = main.message
    return HostUnreachable(message, host=name, step=main.step, remedy=main.remedy)


def _first_words(argv: Sequence[str], limit: int = 120) -> str:
    return clean_line(shlex.join(argv), limit)
