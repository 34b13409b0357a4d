"""A real OpenSSH server on a high loopback port, run as the user of the tests."""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from vpai_tui import config

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@dataclass
class Sshd:
    """Where it listens and which files stand for it."""

    folder: Path
    port: int
    _process: asyncio.subprocess.Process | None = None

    @property
    def said(self) -> list[str]:
        """Its log, of all its starts."""
        log = self.folder / "log"
        return log.read_text(errors="replace").splitlines() if log.exists() else []

    @property
    def running(self) -> bool:
        return self._process is not None

    async def start(self) -> None:
        """(Re)start it on its port; returns when it listens."""
        assert SSHD and self._process is None
        before = self._listened()
        argv = [SSHD, "-D", "-E", str(self.folder / "log"), "-f", str(self.folder / "config")]
        self._process = await asyncio.create_subprocess_exec(*argv)
        while self._listened() == before:
            assert self._process.returncode is None, self.said
            await asyncio.sleep(0.02)

    def _listened(self) -> int:
        return sum("listening on 127.0.0.2" in line for line in self.said)

    async def stop(self) -> None:
        """End it; sessions that are open stay open, as they do when a package is upgraded."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None

    async def drop(self) -> None:
        """End every session it holds, and go on listening."""
        assert self._process
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                if stat.read_text().rpartition(")")[2].split()[1] == str(self._process.pid):
                    os.kill(int(stat.parent.name), signal.SIGKILL)

    def new_host_key(self) -> None:
        """Another host key from the next start on."""
        for name in ("host", "host.pub"):
            (self.folder / name).unlink()
        keygen(self.folder / "host")

    @property
    def key(self) -> Path:
        return self.folder / "id"

    @property
    def host_key(self) -> str:
        """`ssh-ed25519 AAAA…`"""
        return " ".join((self.folder / "host.pub").read_text().split()[:2])

    def host(self, known_hosts: Path, *addresses: str, **ssh: str) -> config.Host:
        options = {"user": getpass.getuser(), "key": str(self.key), "known_hosts": str(known_hosts), **ssh}
        return config.Host(addresses=addresses or ("127.0.0.1",), ssh=config.Ssh(port=self.port, **options))  # type: ignore[arg-type]


def keygen(path: Path, *, passphrase: str = "", kind: str = "ed25519") -> Path:
    """A new key pair at `path`."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", path, "-C", ""], check=True)
    return path


@asynccontextmanager
async def sshd(folder: Path, settings: str = "") -> AsyncIterator[Sshd]:
    """Starts it below `folder` with fresh keys and `settings` on top."""
    assert SSHD
    folder.mkdir(exist_ok=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    keygen(folder / "host")
    keygen(folder / "id")
    shutil.copy(folder / "id.pub", folder / "authorized")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nListenAddress 127.0.0.2\nHostKey {folder}/host\nPidFile none\n"
        f"AuthorizedKeysFile {folder}/authorized\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        f"KbdInteractiveAuthentication no\n{settings}\n"
    )
    server = Sshd(folder, port)
    await server.start()
    try:
        yield server
    finally:
        if server.running:
            await server.drop()
        await server.stop()
