"""Opens the cockpit: the first frame first, what is slow to import and to connect after it."""

from __future__ import annotations

import asyncio
from argparse import Namespace

from vpai_tui.app import CockpitApp
from vpai_tui.remote.prompts import Prompts
from vpai_tui.widgets.backend import Backend
from vpai_tui.world import open_world


def open_cockpit(args: Namespace) -> int:
    """Runs the app until the operator quits."""
    return asyncio.run(_run(args))


async def _run(args: Namespace) -> int:
    async with open_world(args) as world:

        async def factory(prompts: Prompts) -> Backend:
            from vpai_tui.backend import LiveBackend

            return LiveBackend(world, prompts)

        app = CockpitApp(world.fleet, factory, clock=world.clock, read_only=args.read_only, theme=args.theme)
        await app.run_async()
    return app.return_code or 0
