"""Mode 3 with nothing scripted: a service followed on the demo's Loki, the proof, the link cut and restored."""

from __future__ import annotations

from pathlib import Path

from vpai_tui.fleet.model import HostState
from vpai_tui.screens.logs import LogsScreen
from vpai_tui.widgets.log_look import Tail

from .test_cockpit_on_demo import cockpit, seen, until


async def test_a_log_is_followed_proven_and_survives_a_cut(tmp_path: Path) -> None:
    async with cockpit(tmp_path / "demo") as (app, _, world):
        await until(lambda: seen(app).host("sese").link.state is HostState.READY, "sese is ready")
        app.dispatcher.run_command("logs", "sese/edge/caddy")
        look = app.context.logs
        await until(lambda: look.tail is Tail.LIVE, "the tail")
        assert isinstance(app.cockpit, LogsScreen)
        assert look.fallback is None
        await until(lambda: look.buffer is not None and len(look.buffer) > 0, "lines")
        await until(lambda: look.proof is not None and look.proof.complete, "the proof")

        assert world.demo is not None
        await world.demo.cut("sese")
        await until(lambda: look.tail is not Tail.LIVE, "the loss is seen")
        await world.demo.heal("sese")
        assert app.context.backend is not None
        app.context.backend.reconnect("sese")
        await until(lambda: look.tail is Tail.LIVE, "the tail again")
        await until(lambda: bool(look.gaps) and all(look.filled(gap) for gap in look.gaps), "the gap is proven full")
        assert look.proof is not None
        assert look.proof.complete
