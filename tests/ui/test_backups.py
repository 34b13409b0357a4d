"""The backups: what there is, how fresh, what is not; each step of the last run; a backup now, a restore test."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vpai_tui.errors import HostUnreachable, LockHeld
from vpai_tui.screens.backups import BackupsScreen
from vpai_tui.upkeep.backups.session import Unreached
from vpai_tui.widgets.canvas import LineView
from vpai_tui.widgets.safe_table import SafeTable

from . import fake_fleet as fake
from .conftest import SHORT, TALL, Cockpit, OpenCockpit
from .fake_backend import FakeBackend
from .fake_backups import FakeBackups, healthy, seko, trouble
from .vpn_kit import without_toasts

Picture = Callable[[Cockpit, str], None]
BOTH = pytest.mark.parametrize("size", [SHORT, TALL], ids=["80x24", "120x40"])


def on(found: FakeBackups) -> FakeBackend:
    backend = FakeBackend(fake.calm())
    backend.fake_backups = found
    return backend


async def opened(at: Cockpit) -> BackupsScreen:
    await at.press("colon")
    await at.type("backups")
    await at.press("enter")
    assert isinstance(at.app.screen, BackupsScreen)
    return at.app.screen


def shown(screen: BackupsScreen) -> list[str]:
    rows = screen.query_one("#main-table", SafeTable).rows
    return [" ".join(row.cells[it][0] for it in ("standing", "kind", "subject")) for row in rows]


@BOTH
async def test_all_is_well(cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]) -> None:
    async with cockpit(backend=on(FakeBackups()), size=size) as at:
        screen = await opened(at)
        assert {row.split()[1] for row in shown(screen)} == {"ok"}
        assert "✔ all 11 steps" in at.text()
        assert "heartbeat sent" in at.text()
        picture(at, "well")


@BOTH
async def test_trouble_comes_first_and_enter_tells_the_run_step_by_step(
    cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]
) -> None:
    backups = FakeBackups()
    backups.told = (seko(), trouble())
    async with cockpit(backend=on(backups), size=size) as at:
        screen = await opened(at)
        assert shown(screen)[:2] == ["✖ error pg_dump twenty", "✖ error redis dump"]
        await at.press("j")
        picture(at, "trouble")
        await at.press("enter")
        pane = screen.query_one("#pane", LineView)
        assert pane.display
        assert "redis/redis  Could not connect to Redis" in pane.text
        assert "pg-coverage twenty" in pane.text
        assert "heartbeat withheld" in pane.text
        picture(at, "run")
        await at.press("escape")
        assert not pane.display


@BOTH
async def test_a_host_that_is_gone_and_an_old_look(
    cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]
) -> None:
    backups = FakeBackups()
    backups.told = (Unreached("seko", "connection refused", ""), healthy())
    async with cockpit(backend=on(backups), size=size) as at:
        await opened(at)
        assert "◌ seko did not answer: connection refused" in at.text()
        backups.told = HostUnreachable("every host is gone", host="sese", step="tcp")
        at.clock.passed_s += 2000
        await at.press("ctrl+r")
        assert "STALE 33m" in at.text()
        assert "every host is gone" in at.text()
        await without_toasts(at)
        picture(at, "stale")


async def test_no_answer_at_first_says_why(cockpit: OpenCockpit) -> None:
    backups = FakeBackups()
    backups.told = HostUnreachable("no route to host", host="sese", step="tcp")
    async with cockpit(backend=on(backups)) as at:
        await opened(at)
        assert "✖ no route to host" in at.text()


async def test_no_stack_with_backups(cockpit: OpenCockpit, picture: Picture) -> None:
    backups = FakeBackups()
    backups.told = ()
    async with cockpit(backend=on(backups), size=SHORT) as at:
        await opened(at)
        assert "no stack of the fleet says what is backed up" in at.text()
        picture(at, "empty")


@BOTH
async def test_a_backup_now(cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]) -> None:
    backups = FakeBackups()
    backups.held.clear()
    async with cockpit(backend=on(backups), size=size) as at:
        await opened(at)
        await at.press("C")
        assert "Back up sese now?" in at.text()
        picture(at, "ask")
        await at.press("enter")  # the focus is on Cancel
        assert ("run",) not in backups.asked
        await at.press("C", "tab")
        await at.pilot.press("enter")  # what is held keeps `settle` waiting
        for _ in range(40):
            await at.pilot.pause(0.05)
            if "… backup: pg_dump/litellm" in at.text():
                break
        assert "… backup: pg_dump/litellm" in at.text()
        picture(at, "under-way")
        await at.pilot.press("C")
        await at.pilot.pause()
        assert isinstance(at.app.screen, BackupsScreen), "one at a time: nothing is asked"
        await at.pilot.press("escape", "q")  # leaving the screen ends nothing
        backups.held.set()
        await at.settle()
        assert at.app.context.backups.doing == ""
        assert backups.asked.count(("run",)) == 1
        assert "backup: done" in at.text()


async def test_a_restore_test_is_of_the_row_and_a_damaged_dump_is_said(cockpit: OpenCockpit) -> None:
    backups = FakeBackups()
    backups.told = (healthy(),)
    async with cockpit(backend=on(backups)) as at:
        await opened(at)
        await at.press("j", "T")
        assert "Try a restore of litellm?" in at.text()
        assert "2026-02-18T09:14:00Z" in at.text()
        await at.press("tab", "enter")
        assert ("restore", "litellm") in backups.asked
        assert "damaged: pg_restore cannot list the dump" in at.text()
        await at.press("G", "T")
        assert "put the cursor on a database" in at.text()


async def test_what_is_refused_is_said_in_full(cockpit: OpenCockpit) -> None:
    backups = FakeBackups()
    backups.refusal = LockHeld("a backup is under way, begun by ann@desk", host="sese")
    async with cockpit(backend=on(backups)) as at:
        await opened(at)
        await at.press("C")
        assert "begun by ann@desk" in at.text()
        assert ("run",) not in backups.asked


async def test_nothing_is_begun_when_the_cockpit_is_read_only(cockpit: OpenCockpit) -> None:
    backups = FakeBackups()
    async with cockpit(backend=on(backups), read_only=True) as at:
        await opened(at)
        await at.press("C")
        await at.press("T")
        assert {it[0] for it in backups.asked} == {"look"}


async def test_filter_and_scope(cockpit: OpenCockpit) -> None:
    async with cockpit(backend=on(FakeBackups())) as at:
        screen = await opened(at)
        await at.press("slash")
        await at.type("n8n")
        await at.press("enter")
        assert shown(screen) == ["✔ ok pg_dump n8n", "✔ ok n8n workflows"]
        await at.press("escape")
        await at.press("h", "2")
        assert shown(screen) == ["✔ ok obsidian-vault "]
