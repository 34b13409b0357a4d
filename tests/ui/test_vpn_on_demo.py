"""Mode 5 with nothing scripted: a node deleted, a record applied, a restart that fails and is taken back."""

from __future__ import annotations

from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input

from vpai_tui.app import CockpitApp
from vpai_tui.fleet.model import HostState
from vpai_tui.fleet.operation import Outcome
from vpai_tui.screens.vpn import VpnScreen
from vpai_tui.vpn.view import VpnSnapshot

from .test_cockpit_on_demo import cockpit, seen, until


def known(app: CockpitApp) -> VpnSnapshot:
    found = app.context.vpn.snapshot
    assert found is not None
    return found


def names(app: CockpitApp) -> set[str]:
    return {it.node.name for it in known(app).nodes}


def records(app: CockpitApp) -> set[str]:
    dns = known(app).dns
    return {it.record.name for it in dns.records if it.in_file} if dns else set()


async def stage(app: CockpitApp, pilot: Pilot[None], name: str) -> None:
    await pilot.press("a")
    await until(lambda: type(app.screen).__name__ == "Form", "the form")
    for field, value in (("name", name), ("type", "A"), ("value", "workstation-pi")):
        app.screen.query_one(f"#field-{field}", Input).value = value
    await pilot.pause()
    app.screen.query_one("#field-value", Input).focus()
    await pilot.press("enter")
    await until(lambda: (dns := known(app).dns) is not None and not dns.staged.empty, f"{name} is staged")


async def apply(app: CockpitApp, pilot: Pilot[None]) -> Outcome | None:
    before = len(app.context.operations.all)
    await pilot.press("A")
    await until(lambda: type(app.screen).__name__ == "Confirm", "the question")
    await pilot.press("right", "enter")
    await until(lambda: len(app.context.operations.all) > before, "the apply")
    operation = app.context.operations.all[-1]
    await until(lambda: not operation.running, "the end of the apply")
    await pilot.press("escape")
    await until(lambda: isinstance(app.screen, VpnScreen), "the records again")
    return operation.outcome


async def test_nodes_and_records_from_the_keyboard(tmp_path: Path) -> None:
    async with cockpit(tmp_path / "demo") as (app, pilot, world):
        await until(lambda: seen(app).host("seko").link.state is HostState.READY, "the hub is ready")
        await pilot.press("5")
        await until(lambda: app.context.vpn.snapshot is not None and known(app).server is not None, "Headscale answers")
        assert "old-phone" in names(app)

        assert isinstance(app.screen, VpnScreen)
        app.screen.reveal("old-phone")
        app.dispatcher.run_command("node.delete")
        await until(lambda: type(app.screen).__name__ == "Confirm", "the question")
        await pilot.press(*(("minus" if it == "-" else it) for it in "old-phone"), "enter")
        await until(lambda: "old-phone" not in names(app), "the node is gone")

        await pilot.press("tab")
        await stage(app, pilot, "draw.example.org")
        assert await apply(app, pilot) is Outcome.COMMITTED
        await until(lambda: "draw.example.org" in records(app), "the record is in the file")

        (tmp_path / "demo" / "seko" / "headscale" / "fault").touch()
        await stage(app, pilot, "paint.example.org")
        assert await apply(app, pilot) is Outcome.REVERTED
        app.vpn_watch.again()
        await until(lambda: not app.context.vpn.asking, "another look")
        assert "paint.example.org" not in records(app)
        dns = known(app).dns
        assert dns is not None
        assert len(dns.staged.edits) == 1  # it is staged still
        journal = [(entry.what, entry.result) for entry in world.history.read()[0]]
        assert journal == [("nodes delete", "done"), ("dns apply", "committed"), ("dns apply", "reverted")]
