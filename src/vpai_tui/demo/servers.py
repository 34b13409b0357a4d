"""The SSH servers of the demo: asyncssh on loopback, each command a real process in the host's sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import asyncssh

from vpai_tui.demo.terminal import run_on_pty

MAX_SESSIONS = 10  # as a real sshd: one session more is refused
_GRACE_S = 1.0  # between asking a process to go and ending it
_CHUNK = 65536
Handler = Callable[[Any, Any], Awaitable[None]]  # of a forwarded connection: reader, writer


class HostServer:
    """One simulated host's sshd, on a loopback port that stays the same over `cut` and `heal`."""

    def __init__(
        self,
        name: str,
        *,
        user: str,
        key: asyncssh.SSHKey,
        host_key: asyncssh.SSHKey,
        env: Mapping[str, str],
        cwd: Path,
        forwarding: bool,
        listener: Callable[[str, int], Handler | None] = lambda _host, _port: None,
        wire: Path | None = None,
    ) -> None:
        """`listener`: who answers at an address that the host can reach; None: nobody does.

        `wire`: a socket for those of the host's commands that reach for one (`nc`).
        """
        self.listener = listener
        self._wire_path = wire
        self._wire: asyncio.Server | None = None
        self.name, self.user, self.key, self.host_key = name, user, key, host_key
        self.env, self.cwd = dict(env), cwd
        if wire is not None:
            self.env["VPAI_NET"] = str(wire)
        self.forwarding = forwarding
        self.port = 0
        self.connections: set[asyncssh.SSHServerConnection] = set()
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._running: set[asyncio.Task[None]] = set()

    @property
    def up(self) -> bool:
        """Whether it takes connections."""
        return self._acceptor is not None

    async def heal(self) -> None:
        """Listen (again)."""
        if self._acceptor is not None:
            return
        self._acceptor = await asyncssh.create_server(
            lambda: _Login(self),
            "127.0.0.1",
            self.port,
            server_host_keys=[self.host_key],
            encoding=None,
            gss_host=None,  # else asyncssh asks the resolver for this machine's name
            line_editor=False,
            agent_forwarding=False,
            compression_algs=["none"],
            reuse_address=True,
        )
        self.port = self._acceptor.get_port()
        if self._wire_path is not None and self._wire is None:
            self._wire = await asyncio.start_unix_server(self._reached, self._wire_path)

    async def cut(self) -> None:
        """Drop every connection without a goodbye and refuse new ones. What runs detached on the host goes on."""
        if self._acceptor is not None:
            self._acceptor.close()
            await self._acceptor.wait_closed()
            self._acceptor = None
        for connection in tuple(self.connections):
            connection.abort()
        await self._settle()

    async def close(self) -> None:
        """End everything that belongs to a connection."""
        await self.cut()
        if self._wire is not None:
            self._wire.close()
            await self._wire.wait_closed()
            self._wire = None

    async def _reached(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One `nc` of the host: whom it wants, then the bytes of the two. It goes when the connection is cut."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (told to mypy: a server's callback runs in a task)
        self._running.add(task)
        try:
            words = (await reader.readline()).decode("latin-1").split()
            known = len(words) == 2 and words[1].isdigit()
            handler = self.listener(words[0], int(words[1])) if known else None
            writer.write(b"-" if handler is None else b"+")
            if handler is not None:
                await handler(reader, writer)
        except OSError:
            pass  # it has gone
        finally:
            self._running.discard(task)
            writer.close()

    async def _settle(self) -> None:
        while self._running:
            await asyncio.wait(tuple(self._running))

    def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Run one session's command; called by asyncssh."""
        task = asyncio.get_running_loop().create_task(_Run(self, process).go())
        self._running.add(task)
        task.add_done_callback(self._running.discard)


class _Login(asyncssh.SSHServer):
    """One connection: its login and its count of sessions."""

    def __init__(self, server: HostServer) -> None:
        self._server = server
        self._connection: asyncssh.SSHServerConnection | None = None
        self.sessions = 0

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._server.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._server.connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == self._server.user and key.public_data == self._server.key.public_data

    def connection_requested(self, dest_host: str, dest_port: int, *_origin: Any) -> Any:
        # A host that forbids forwarding says so before it would look who listens.
        if not self._server.forwarding:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "open failed")
        if (handler := self._server.listener(dest_host, dest_port)) is not None:
            return handler
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, f"{dest_host}:{dest_port}: Connection refused")

    def session_requested(self) -> asyncssh.SSHServerProcess[bytes] | bool:
        if self.sessions >= MAX_SESSIONS:
            return False
        self.sessions += 1
        return asyncssh.SSHServerProcess(self._start, None, 3, False)

    def _start(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        async def count_down() -> None:
            await process.wait_closed()
            self.sessions -= 1

        counting = asyncio.get_running_loop().create_task(count_down())
        self._server._running.add(counting)
        counting.add_done_callback(self._server._running.discard)
        self._server.serve(process)


class _Run:
    """One command on a channel, and what happens to it when the channel goes."""

    def __init__(self, server: HostServer, channel: asyncssh.SSHServerProcess[bytes]) -> None:
        self._server, self._channel = server, channel

    async def go(self) -> None:
        argv = ["/bin/sh", "-c", self._channel.command] if self._channel.command else ["/bin/sh", "-l"]
        if self._channel.term_type:
            status = await run_on_pty(self._channel, argv, self._server.cwd, self._server.env)
            if not self._channel.is_closing():
                self._report(status)
            return
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self._server.cwd,
            env=self._server.env,
            start_new_session=True,
        )
        assert process.stdout is not None and process.stderr is not None  # noqa: S101 (told to mypy: pipes were asked for)
        feeding = asyncio.ensure_future(self._feed(process))
        closed = asyncio.ensure_future(self._channel.wait_closed())
        reading = asyncio.gather(
            self._drain(process.stdout, self._channel.stdout), self._drain(process.stderr, self._channel.stderr)
        )
        ended = asyncio.ensure_future(process.wait())
        done = asyncio.gather(reading, ended)
        await asyncio.wait((done, closed), return_when=asyncio.FIRST_COMPLETED)
        if not done.done():
            await self._end(process, ended)
            await asyncio.wait((done,), timeout=_GRACE_S)
        for task in (feeding, closed, done):
            task.cancel()
        await asyncio.gather(feeding, closed, done, return_exceptions=True)
        _release(process)
        if not self._channel.is_closing():
            self._report(process.returncode)

    def _report(self, status: int | None) -> None:
        if status is not None and status < 0:
            self._channel.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
        else:
            self._channel.exit(status if status is not None else 255)

    async def _feed(self, process: asyncio.subprocess.Process) -> None:
        writer = process.stdin
        assert writer is not None  # noqa: S101 (told to mypy: a pipe was asked for)
        with contextlib.suppress(BrokenPipeError, ConnectionError, asyncssh.Error):
            while True:
                try:
                    data = await self._channel.stdin.read(_CHUNK)
                except asyncssh.SignalReceived as received:
                    _signal(process.pid, getattr(signal, f"SIG{received.signal}", signal.SIGTERM))
                    continue
                except (asyncssh.BreakReceived, asyncssh.TerminalSizeChanged):
                    continue
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        writer.close()

    async def _drain(self, reader: asyncio.StreamReader, writer: asyncssh.SSHWriter[bytes]) -> None:
        gone = False
        while data := await reader.read(_CHUNK):
            if gone:
                continue
            try:
                writer.write(data)
                await writer.drain()
            except (OSError, asyncssh.Error):
                gone = True  # nobody reads any more; the process is being ended

    async def _end(self, process: asyncio.subprocess.Process, ended: asyncio.Future[int]) -> None:
        """The channel went first: hang up on the command's session. What has a session of its own stays."""
        _signal(process.pid, signal.SIGHUP)
        await asyncio.wait((ended,), timeout=_GRACE_S)
        if not ended.done():
            _signal(process.pid, signal.SIGKILL)
            await asyncio.wait((ended,), timeout=_GRACE_S)


def _release(process: asyncio.subprocess.Process) -> None:
    """Close our ends of the pipes even where a process with a session of its own still holds the others."""
    transport = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
