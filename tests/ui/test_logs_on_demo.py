"""Mode 3 with nothing scripted: a service followed on the demo, the link cut and restored; a deploy that failed."""

from __future__ import annotations

from pathlib import Path

from vpai_tui import demo
from vpai_tui.fleet.model import HostState, Sync
from vpai_tui.fleet.operation import Outcome
from vpai_tui.screens.history import HistoryScreen
from vpai_tui.screens.logs import LogsScreen
from vpai_tui.widgets.log_look import Tail

from .test_cockpit_on_demo import cockpit, seen, sync_of, until


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


async def test_l_leads_from_a_deploy_that_failed_to_the_moment(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    async with demo.start(folder) as fleet:
        stack = fleet.stacks_dir / "sese" / "edge" / "compose.yaml"
        stack.write_text(stack.read_text().replace("caddy-ovh-local:2.10.2", "caddy:2.11.0-broken"))
    async with cockpit(folder) as (app, pilot, _):
        await until(lambda: all(host.link.state is HostState.READY for host in seen(app).hosts), "three hosts ready")
        await until(lambda: sync_of(app, "sese/edge") is Sync.DRIFTED, "the broken image is seen")
        app.dispatcher.run_command("deploy", "sese/edge")
        await until(lambda: type(app.screen).__name__ == "PlanScreen", "the plan")
        await pilot.press("A")
        await until(lambda: type(app.screen).__name__ == "Confirm", "the question")
        await pilot.press("right", "enter")
        await until(lambda: bool(app.context.operations.all), "the deploy")
        operation = app.context.operations.all[-1]
        await until(lambda: not operation.running, "its end")
        assert operation.outcome is Outcome.REVERTED
        await pilot.press("l")
        await until(lambda: isinstance(app.cockpit, LogsScreen), "the logs")
        screen = app.cockpit
        assert isinstance(screen, LogsScreen)
        await until(lambda: screen.side.now is not None, "the moment")
        assert screen.side.now is not None
        assert app.context.logs.asked == "sese/edge/caddy"
        texts = [line.text for line in screen.side.now.buffer]
        assert any("cannot load configuration" in text for text in texts)  # what the broken image said
        assert screen.log_view.cursor is not None
        assert "deploy failed: " in screen.log_view.text
        await pilot.press("escape")
        await until(lambda: screen.side.now is None, "the live log")

        app.dispatcher.run_command("history")
        await until(lambda: isinstance(app.cockpit, HistoryScreen), "the history")
        history = app.cockpit
        assert isinstance(history, HistoryScreen)
        await until(lambda: history.target_moment() is not None, "the newest line, which failed")
        await pilot.press("l")
        await until(lambda: isinstance(app.cockpit, LogsScreen) and screen.side.now is not None, "the moment again")
        assert "deploy by " in screen.log_view.text
