"""Opens the cockpit: the first frame first, what is slow to import and to connect after it."""

from __future__ import annotations

import asyncio
import gc
from argparse import Namespace
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from vpai_tui.app import CockpitApp
from vpai_tui.commands import load_keymap
from vpai_tui.config import Fleet, load_fleet
from vpai_tui.errors import UsageError
from vpai_tui.world import config_path

if TYPE_CHECKING:
    from vpai_tui.remote.prompts import Prompts
    from vpai_tui.widgets.backend import Backend

_SETTLES_S = 6.0  # by then a screen has asked and shown what it can


def open_cockpit(args: Namespace) -> int:
    """Runs the app until the operator quits; its exit code.

    Raises:
        UsageError: fleet.yaml, keymap.yaml or a stack is wrong; the terminal is the operator's again.
    """
    path = config_path(args)
    keymap = path.with_name("keymap.yaml")
    return asyncio.run(_run(args, load_fleet(path), load_keymap(keymap) if keymap.is_file() else {}))


async def _run(args: Namespace, fleet: Fleet, keymap: Mapping[str, str]) -> int:
    from vpai_tui.remote.threads import use_threads

    use_threads()
    wrong: list[UsageError] = []
    async with AsyncExitStack() as exits:

        async def factory(prompts: Prompts) -> Backend:
            from vpai_tui.backend import LiveBackend
            from vpai_tui.world import open_world

            _keep_what_stays(app)
            try:
                world = await exits.enter_async_context(open_world(args))
            except UsageError as error:
                wrong.append(error)
                app.exit(return_code=error.exit_code)
                raise
            return LiveBackend(world, prompts, read_only=args.read_only)

        app = CockpitApp(fleet, factory, read_only=args.read_only, theme=args.theme, keymap=keymap)
        await app.run_async()
    if wrong:
        raise wrong[0]
    if app.crash is not None:
        raise app.crash
    return app.return_code or 0


def _keep_what_stays(app: CockpitApp) -> None:
    """Takes what the start, the fleet's connections and each screen have brought out of the collector's rounds: they
    stay to the end, and going through all of them takes longer than a frame, every other second while a log pours.
    """
    gc.freeze()
    gc.enable()
    seen: set[str] = set()

    def settled() -> None:
        gc.collect()
        gc.freeze()

    def shown(mode: str) -> None:
        if mode not in seen:
            seen.add(mode)
            app.set_timer(_SETTLES_S, settled)

    shown(app.current_mode)
    app.mode_change_signal.subscribe(app, shown)
