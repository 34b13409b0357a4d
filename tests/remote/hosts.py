"""In-process SSH servers on loopback whose commands really run, and a link that can be cut under them."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from vpai_tui import config


@dataclass
class Keys:
    """A user's key and two host keys, made once per test run."""

    user: asyncssh.SSHKey
    host: asyncssh.SSHKey
    other: asyncssh.SSHKey


def make_keys() -> Keys:
    return Keys(*(asyncssh.generate_private_key("ssh-ed25519") for _ in range(3)))


class _Server(asyncssh.SSHServer):
    def __init__(self, owner: SshHost) -> None:
        self.owner = owner

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.owner.connections.append(conn)

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        self.owner.offered.append(key)
        return username == "op" and key.public_data == self.owner.keys.user.public_data

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> object:
        if not self.owner.allow_tcp:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "open failed")
        return True


@dataclass
class SshHost:
    """A running server. `path` is put before PATH, so that a test can bring its own `docker` or `sudo`."""

    keys: Keys
    root: Path
    path: str = ""
    only_path: bool = False
    allow_tcp: bool = False
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)
    offered: list[asyncssh.SSHKey] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    running: set[asyncio.Task[object]] = field(default_factory=set)
    port: int = 0

    async def handle(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Runs one command; `running` knows it until it is over."""
        task = asyncio.current_task()
        assert task is not None
        self.running.add(task)
        try:
            await self._handle(process)
        finally:
            self.running.discard(task)

    async def _handle(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        command = process.command or ""
        self.commands.append(command)
        path = self.path if self.only_path else f"{self.path}:{os.environ['PATH']}"
        child = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.root,
            env={"PATH": path, "HOME": str(self.root), "LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )
        work = asyncio.ensure_future(_serve(process, child))
        gone = asyncio.ensure_future(process.wait_closed())
        await asyncio.wait([work, gone], return_when=asyncio.FIRST_COMPLETED)
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, 9)
        await asyncio.wait([work])
        gone.cancel()

    def host(self, **ssh: object) -> config.Host:
        """The server as the fleet's file would name it."""
        options: dict[str, object] = {"user": "op", "port": self.port, "key": str(self.root / "id"), **ssh}
        options.setdefault("known_hosts", str(self.root / "known_hosts"))
        return config.Host(addresses=("127.0.0.1",), ssh=config.Ssh(**options), sudo=False)  # type: ignore[arg-type]

    def drop(self) -> None:
        """Cuts every connection without a word."""
        for connection in self.connections:
            connection.abort()


async def _serve(process: asyncssh.SSHServerProcess[bytes], child: asyncio.subprocess.Process) -> None:
    assert child.stdin and child.stdout and child.stderr
    sending = asyncio.ensure_future(_pump(process.stdin, child.stdin, close=True))
    await asyncio.gather(_pump(child.stdout, process.stdout), _pump(child.stderr, process.stderr))
    status = await child.wait()
    sending.cancel()
    await asyncio.wait([sending])
    if status < 0:
        process.exit_with_signal("KILL")
    else:
        process.exit(status)


async def _pump(source: object, target: object, *, close: bool = False) -> None:
    broken = False
    with contextlib.suppress(asyncssh.Error, OSError):
        while data := await source.read(65536):  # type: ignore[attr-defined]
            try:
                if not broken:
                    target.write(data)  # type: ignore[attr-defined]
                    await target.drain()  # type: ignore[attr-defined]
            except (asyncssh.Error, OSError):
                broken = True  # read on to the end: an unread pipe is never closed
    if close:
        target.close()  # type: ignore[attr-defined]


@contextlib.asynccontextmanager
async def serve(
    root: Path, keys: Keys, *, known: bool = True, host_key: asyncssh.SSHKey | None = None, **options: object
) -> AsyncIterator[SshHost]:
    """A server below `root`, with the user's key file and (`known`) a known_hosts file for it there."""
    root.mkdir(exist_ok=True)
    owner = SshHost(keys, root, **options)  # type: ignore[arg-type]
    shown = host_key or keys.host
    acceptor = await asyncssh.create_server(
        lambda: _Server(owner),
        "127.0.0.1",
        0,
        server_host_keys=[shown],
        process_factory=owner.handle,
        encoding=None,
        gss_host=None,
    )
    owner.port = acceptor.get_port()
    keys.user.write_private_key(str(root / "id"))
    if known:
        public = keys.host.export_public_key().decode().strip()
        (root / "known_hosts").write_text(f"[127.0.0.1]:{owner.port} {public}\n")
    try:
        yield owner
    finally:
        owner.drop()
        acceptor.close()
        await acceptor.wait_closed()
        await asyncio.gather(*(connection.wait_closed() for connection in owner.connections))
        await asyncio.gather(*owner.running, return_exceptions=True)


class Relay:
    """A TCP relay in front of a port: `hole` swallows everything silently, as a dead link does; `hole_up` what goes to
    the port, `hole_down` what comes from it."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.hole_up = self.hole_down = False
        self.carried = 0  # bytes, both ways
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def hole(self) -> bool:
        return self.hole_up and self.hole_down

    @hole.setter
    def hole(self, is_one: bool) -> None:
        self.hole_up = self.hole_down = is_one

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        for source, target, up in ((reader, far_writer, True), (far_reader, writer, False)):
            task = asyncio.ensure_future(self._copy(source, target, up))
            self._tasks.add(task)

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, up: bool) -> None:
        try:
            while data := await source.read(65536):
                self.carried += len(data)
                if not (self.hole_up if up else self.hole_down):
                    target.write(data)
                    await target.drain()
        except OSError:
            pass
        finally:
            target.close()
            with contextlib.suppress(OSError):
                await target.wait_closed()
