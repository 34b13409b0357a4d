"""Two Headscales for one suite: ours, in memory, of any version; and a real one that is started on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import httpx

from vpai_tui.demo.headscale import cli, config, rest
from vpai_tui.demo.headscale.state import World, fresh
from vpai_tui.remote.channel import Completed

BINARY = os.environ.get("VPAI_HEADSCALE_BIN")
_CONFIG = """
server_url: http://127.0.0.1:{port}
listen_addr: 127.0.0.1:{port}
metrics_listen_addr: 127.0.0.1:{metrics}
grpc_listen_addr: 127.0.0.1:{grpc}
noise: {{private_key_path: ./noise_private.key}}
prefixes: {{v4: 100.64.0.0/10, v6: "fd7a:115c:a1e0::/48", allocation: sequential}}
derp: {derp}
disable_check_updates: true
database: {{type: sqlite, sqlite: {{path: ./db.sqlite, write_ahead_log: true}}}}
log: {{format: text, level: info}}
policy: {{mode: database}}
dns: {{magic_dns: true, base_domain: tailnet.test, override_local_dns: false, nameservers: {{global: []}}}}
unix_socket: {folder}/hs.sock
unix_socket_permission: '0700'
logtail: {{enabled: false}}
"""
_DERP = (
    "regions: {900: {regionid: 900, regioncode: t, regionname: T, nodes: [{name: 900a, regionid: 900, "
    "hostname: 127.0.0.1, ipv4: 127.0.0.1, derpport: 1}]}}\n"
)


_RELAYS = "{{server: {{enabled: false}}, urls: [], paths: [{folder}/derp.yaml], auto_update_enabled: false}}"


class TestWay(Protocol):
    """A way of the client, and what a test needs besides."""

    __test__ = False
    host: str

    async def command(self, *words: str) -> Completed: ...

    async def request(
        self, method: str, path: str, *, key: str, body: bytes | None, timeout_s: float
    ) -> httpx.Response: ...

    async def starts(self, derp: str) -> tuple[bool, bool]:
        """Whether `configtest` accepts these relays (`GOOD` is a map file, `NONE` is not there), and a start does."""
        ...

    async def close(self) -> None: ...


class Fake:
    """Ours, without a network."""

    host = "fake"

    def __init__(self, version: str, config_text: bytes = b"") -> None:
        self.doc = fresh(version)
        self.doc["policy_mode"] = "database"
        self.files = {"/etc/headscale/config.yaml": config_text}
        self.requests: list[str] = []

    @property
    def world(self) -> World:
        return World(self.doc, time.time_ns())

    async def command(self, *words: str) -> Completed:
        said = cli.run(self.world, list(words), lambda path: self.files.get(path))
        return Completed(said.status, said.out.encode(), said.err.encode(), 0.0)

    async def request(
        self, method: str, path: str, *, key: str, body: bytes | None, timeout_s: float
    ) -> httpx.Response:
        self.requests.append(f"{method} {path}")
        headers = {"authorization": f"Bearer {key}"} if key else {}
        found = rest.answer(self.world, method, path, headers, body or b"")
        return httpx.Response(found.status, headers={"content-type": found.kind}, content=found.body)

    async def starts(self, derp: str) -> tuple[bool, bool]:
        text = _CONFIG.format(port=8080, metrics=9090, grpc=50443, folder="/x", derp=derp).encode()
        self.files |= {"/etc/headscale/config.yaml": text, "GOOD": _DERP.encode()}
        tested = await self.command("configtest")
        try:
            config.start(text, self.files.get, lenient=not self.world.since(27))
        except config.Bad:
            return tested.exit_status == 0, False
        return tested.exit_status == 0, True

    async def close(self) -> None:
        return


class Real:
    """A server of its own, on loopback, thrown away afterwards."""

    host = "real"

    def __init__(self, binary: str, folder: Path, derp: str = "") -> None:
        self._binary, self._folder = binary, folder
        self._derp = derp or _RELAYS.format(folder=folder)
        self._ports = _free_ports(3)
        self._client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self._ports[0]}", trust_env=False)

    async def command(self, *words: str) -> Completed:
        argv = [self._binary, *words]
        if words[0] != "version":
            argv += ["-c", str(self._folder / "config.yaml")]
        process = await asyncio.create_subprocess_exec(
            *argv, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, err = await process.communicate()
        return Completed(process.returncode or 0, out, err, 0.0)

    async def request(
        self, method: str, path: str, *, key: str, body: bytes | None, timeout_s: float
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return await self._client.request(method, path, headers=headers, content=body, timeout=timeout_s)

    async def starts(self, derp: str) -> tuple[bool, bool]:
        folder = self._folder / "another"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        derp = derp.replace("GOOD", f"{folder}/derp.yaml").replace("NONE", f"{folder}/none.yaml")
        other = Real(self._binary, folder, derp)
        try:
            with other.running():
                started = True
        except AssertionError:
            started = False
        tested = await other.command("configtest")
        await other.close()
        return tested.exit_status == 0, started

    async def close(self) -> None:
        await self._client.aclose()

    @contextlib.contextmanager
    def running(self) -> Iterator[Real]:
        """Started and answering."""
        port, metrics, grpc = self._ports
        text = _CONFIG.format(port=port, metrics=metrics, grpc=grpc, folder=self._folder, derp=self._derp)
        (self._folder / "config.yaml").write_text(text)
        (self._folder / "derp.yaml").write_text(_DERP)
        argv = [self._binary, "-c", "config.yaml", "serve"]
        with (self._folder / "log").open("w") as log:
            process = subprocess.Popen(argv, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            for _ in range(200):
                with contextlib.suppress(httpx.HTTPError):
                    if httpx.get(f"http://127.0.0.1:{port}/health", verify=False, trust_env=False).status_code == 200:
                        break
                if process.poll() is not None:
                    raise AssertionError((self._folder / "log").read_text()[-2000:])
                time.sleep(0.05)
            yield self
        finally:
            process.terminate()
            process.wait(20)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def registration_id(series: str) -> str:
    """An id as this version's clients bring one."""
    return ("hskey-authreq-" if series >= "0.29" else "") + secrets.token_urlsafe(18)
