"""VictoriaMetrics for the tests: the demo's, and Debian's started as the stack starts it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import yaml

from vpai_tui.demo.victoria.api import Victoria, handler
from vpai_tui.demo.victoria.tracks import Pushed

from .eco.proxy import free_port, until

COMPOSE = yaml.safe_load((Path(__file__).parents[2] / "stacks/sese/monitoring/compose.yaml").read_text())["services"]
PROGRAM = os.environ.get("VPAI_VICTORIAMETRICS") or shutil.which("victoria-metrics")


@contextlib.contextmanager
def started(folder: Path) -> Iterator[str]:
    """The address of a real one, which ends with the block."""
    assert PROGRAM is not None
    port = free_port()
    given = {"-storageDataPath": str(folder / "data"), "-httpListenAddr": f"127.0.0.1:{port}"}
    command: list[str] = COMPOSE["victoriametrics"]["command"]
    words = [f"{name}={given.get(name, value)}" for name, _, value in (it.partition("=") for it in command)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, *words], stdout=log, stderr=log, cwd=folder)
    url = f"http://127.0.0.1:{port}"

    def healthy() -> bool:
        try:
            return httpx.get(f"{url}/-/healthy", timeout=2, verify=False, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    try:
        until(lambda: process.poll() is not None or healthy(), "VictoriaMetrics answers", 60)
        assert process.poll() is None, (folder / "log").read_text()[-2000:]
        yield url
    finally:
        process.terminate()
        process.wait(30)


@contextlib.asynccontextmanager
async def ours() -> AsyncIterator[str]:
    """The demo's on a port of loopback, without one figure."""
    serve = handler(Victoria(Pushed(), Pushed(), time.time))
    running: set[asyncio.Task[Any]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await serve(reader, writer)
        except asyncio.CancelledError:
            writer.close()
        finally:
            running.discard(task)

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await server.wait_closed()
