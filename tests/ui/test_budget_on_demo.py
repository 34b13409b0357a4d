"""Mode 4 with nothing scripted: the cap set and proven, taken back, and eco mode that comes on by itself."""

from __future__ import annotations

from pathlib import Path

from textual.pilot import Pilot

from vpai_tui.app import CockpitApp
from vpai_tui.budget.model import BudgetSnapshot, Enforcement, Mode
from vpai_tui.fleet.model import HostState
from vpai_tui.fleet.operation import Outcome
from vpai_tui.screens.budget import BudgetScreen

from .test_cockpit_on_demo import cockpit, seen, until


def known(app: CockpitApp) -> BudgetSnapshot:
    found = app.context.budget.snapshot
    assert found is not None
    return found


async def carried_out(app: CockpitApp, pilot: Pilot[None]) -> Outcome | None:
    """The question answered, the change followed to its end; back on the numbers."""
    before = len(app.context.operations.all)
    await until(lambda: type(app.screen).__name__ == "ChangeDialog", "the question")
    await pilot.press("right", "enter")
    await until(lambda: len(app.context.operations.all) > before, "the change")
    operation = app.context.operations.all[-1]
    await until(lambda: not operation.running, "the end of the change")
    await pilot.press("escape")
    await until(lambda: isinstance(app.screen, BudgetScreen), "the numbers again")
    return operation.outcome


async def test_the_knobs_from_the_keyboard(tmp_path: Path) -> None:
    async with cockpit(tmp_path / "demo") as (app, pilot, world):
        await until(lambda: seen(app).host("sese").link.state is HostState.READY, "sese is ready")
        await pilot.press("4")
        await until(lambda: app.context.budget.snapshot is not None, "LiteLLM answers")
        assert known(app).enforcement is Enforcement.ENFORCED
        assert known(app).cap_usd == 5.0

        app.dispatcher.run_command("budget.cap", "0.01")
        assert await carried_out(app, pilot) is Outcome.COMMITTED
        await until(lambda: known(app).cap_usd == 0.01, "the new cap is in force")
        await until(lambda: known(app).mode is Mode.ECO, "eco mode comes on by itself")
        assert known(app).manual is Mode.NORMAL

        await pilot.press("u")
        assert await carried_out(app, pilot) is Outcome.COMMITTED
        await until(lambda: known(app).cap_usd == 5.0, "the cap before is in force again")
        journal = [(entry.what, entry.result, entry.detail) for entry in world.history.read()[0]]
        assert [(what, result) for what, result, _ in journal] == [("budget cap", "committed")] * 2
        assert journal[0][2] == "5.00 → 0.01"
