"""Leaving while hosts hang: the cockpit and a verb end at once, whatever is unanswered. As processes, in a pty."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from .fleet_engine import FleetEngine
from .hosts import Keys, Relay, serve

# A name server that never answers, without the network: the lookup of one name hangs.
PROGRAM = """
import socket, sys, time
real = socket.getaddrinfo
socket.getaddrinfo = lambda host, *a, **k: time.sleep(600) if host == "hung.invalid" else real(host, *a, **k)
from vpai_tui.cli import main
sys.exit(main(sys.argv[1:]))
"""


@asynccontextmanager
async def fleet(folder: Path, keys: Keys) -> AsyncIterator[tuple[Path, Relay]]:
    """`sese` behind a relay, its engine mute; `seko` takes connections and says nothing; `pi` is a name that hangs."""
    engine = FleetEngine(folder / "bin")
    (engine.path / "docker").write_text("#!/bin/sh\nexec sleep 600\n")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with serve(folder / "host", keys, path=str(engine.path)) as server, Relay(server.port) as relay:
            public = keys.host.export_public_key().decode().strip()
            (server.root / "known_hosts").write_text(f"[127.0.0.1]:{relay.port} {public}\n")
            ports = {"sese": relay.port, "seko": silent.getsockname()[1], "pi": 22}
            addresses = {"sese": "127.0.0.1", "seko": "127.0.0.1", "pi": "hung.invalid"}
            lines = ["hosts:"]
            for name, port in ports.items():
                ssh = f"{{user: op, port: {port}, key: {server.root}/id, known_hosts: {server.root}/known_hosts}}"
                lines.append(f"  {name}: {{addresses: [{addresses[name]}], sudo: false, ssh: {ssh}}}")
            config = folder / "config/fleet.yaml"
            config.parent.mkdir()
            (folder / "stacks").mkdir()
            config.write_text("\n".join([*lines, "stacks: []"]) + "\n")
            yield config, relay


class Program:
    """One run in a pseudo terminal; what it shows is read and kept."""

    def __init__(self, *words: str) -> None:
        self._words = words
        self.shown = bytearray()

    async def __aenter__(self) -> Program:
        self._fd, theirs = pty.openpty()
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, *self._words),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            # What is started in the background ignores ctrl+c, and so would its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"},
        )
        os.close(theirs)
        os.set_blocking(self._fd, False)
        asyncio.get_running_loop().add_reader(self._fd, self._take)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)

    def _take(self) -> None:
        try:
            self.shown += os.read(self._fd, 65536)
        except OSError:
            asyncio.get_running_loop().remove_reader(self._fd)

    async def until(self, text: bytes) -> None:
        async with asyncio.timeout(30):
            while text not in self.shown:
                await asyncio.sleep(0.05)

    def type(self, text: bytes) -> None:
        os.write(self._fd, text)

    async def end(self) -> int:
        """Its exit code; TimeoutError where it hangs (a lookup takes 600 s, a channel of the engine 20 s)."""
        async with asyncio.timeout(15):
            return await self.process.wait()


@pytest.mark.parametrize("how", ["quit", "ctrl-c"])
async def test_leaving_while_every_host_hangs(tmp_path: Path, keys: Keys, how: str) -> None:
    async with fleet(tmp_path, keys) as (config, relay):
        words = ["--config", str(config)] + (["status"] if how == "ctrl-c" else [])
        async with Program(*words) as program:
            async with asyncio.timeout(30):
                while not relay.carried > 4000:  # logged in, and at work on its channels
                    await asyncio.sleep(0.05)
            if how == "quit":
                await program.until(b"seko")
            relay.hole = True
            await asyncio.sleep(0.3)
            if how == "ctrl-c":
                program.process.send_signal(signal.SIGINT)
                assert await program.end() == 130
                assert b"interrupted" in program.shown
            else:
                program.type(b"\x11")  # ctrl+q
                await program.until(b"uit")
                program.type(b"\t\r")
                assert await program.end() == 0
