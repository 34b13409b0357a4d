"""The cockpit on standard input and output, over some minutes of log that go on: for a test with a terminal."""

from __future__ import annotations

import asyncio

from vpai_tui.app import CockpitApp
from vpai_tui.remote.prompts import Prompts
from vpai_tui.widgets.backend import Backend

from . import fake_fleet as fake
from .fake_backend import FakeBackend
from .fake_logs import FakeLogs, entries, entry


def main() -> None:
    """Key 3 has the log; a line more of it every tenth of a second."""
    backend = FakeBackend(fake.calm())
    backend.fake_logs = found = FakeLogs(entries())

    async def go_on() -> None:
        number = 0
        while True:
            await asyncio.sleep(0.1)
            if found.buffer is not None:
                number += 1
                found.write(entry(50 - number / 100, "sese/apps/n8n", f"meanwhile {number}"))

    async def factory(_prompts: Prompts) -> Backend:
        return backend

    async def run() -> None:
        pouring = asyncio.create_task(go_on())
        await CockpitApp(fake.make_fleet(), factory, clock=backend.clock).run_async()
        pouring.cancel()

    asyncio.run(run())
