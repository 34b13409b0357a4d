"""A real OpenSSH server on a high loopback port, run as the user of the tests."""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from vpai_tui import config

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@dataclass
class Sshd:
    """Where it listens and which files stand for it."""

    folder: Path
    port: int

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
    process = await asyncio.create_subprocess_exec(
        SSHD, "-D", "-e", "-f", folder / "config", stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr
    while b"listening" not in await process.stderr.readline():
        assert process.returncode is None
    draining = asyncio.create_task(process.stderr.read())
    try:
        yield Sshd(folder, port)
    finally:
        process.terminate()
        await process.wait()
        draining.cancel()
        await asyncio.wait([draining])
