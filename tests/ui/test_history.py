"""The history: every laptop's lines, filtered and scoped; a host that does not answer is named."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vpai_tui.deploy.chronicle import Told
from vpai_tui.errors import OperatorError
from vpai_tui.screens.history import HistoryScreen
from vpai_tui.widgets.history_rows import history_rows
from vpai_tui.widgets.safe_table import SafeTable

from . import fake_answers as answers
from . import fake_fleet as fake
from .conftest import SHORT, TALL, Cockpit, OpenCockpit
from .fake_backend import Chronicle, FakeBackend

Picture = Callable[[Cockpit, str], None]
BOTH = pytest.mark.parametrize("size", [SHORT, TALL], ids=["80x24", "120x40"])


async def opened(at: Cockpit) -> HistoryScreen:
    await at.press("colon")
    await at.type("history")
    await at.press("enter")
    assert isinstance(at.app.screen, HistoryScreen)
    return at.app.screen


def shown(screen: HistoryScreen) -> list[str]:
    return [f"{row.cells['by'][0]} {row.cells['what'][0]}" for row in screen.query_one("#main-table", SafeTable).rows]


@BOTH
async def test_the_newest_is_first_and_told_in_full(
    cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]
) -> None:
    async with cockpit(fake.calm(), size) as at:
        screen = await opened(at)
        assert shown(screen)[:2] == ["mobuone@lap deploy", "ann@desk hold"]
        assert len(shown(screen)) == 8
        assert "pi: only what this laptop did: no answer in 3 s" in at.text()
        await at.press("j", "j", "j")
        assert "bob@tower" in at.text()
        picture(at, "history")


async def test_filter_scope_and_back(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.calm()) as at:
        screen = await opened(at)
        await at.press("slash")
        await at.type("ann revert")
        await at.press("enter")
        assert shown(screen) == ["ann@desk revert"]
        await at.press("escape")
        assert len(shown(screen)) == 8
        await at.press("h", "2")
        assert shown(screen) == ["ann@desk revert", "bob@tower deploy"]
        await at.press("escape")
        assert at.screen == "FleetScreen"


async def test_refresh_asks_again_and_an_error_is_shown(cockpit: OpenCockpit) -> None:
    backend = FakeBackend(fake.calm())
    async with cockpit(backend=backend) as at:
        screen = await opened(at)
        backend.chronicle = Chronicle(answers.CHRONICLE.lines[:1], unreadable=2)
        await at.press("ctrl+r")
        assert shown(screen) == ["ann@desk rollback"]
        assert "2 lines of this laptop's journal are damaged" in at.text()
        backend.chronicle = OperatorError("its history is cut", host="sese", remedy="try again")
        await at.press("ctrl+r")
        assert at.screen == "ErrorDialog"
        await at.press("escape")
        assert shown(screen) == ["ann@desk rollback"]


async def test_a_second_history_opens_no_second_screen(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.calm()) as at:
        await opened(at)
        depth = len(at.app.screen_stack)
        await opened(at)
        assert len(at.app.screen_stack) == depth


def test_a_line_without_its_host_in_the_subject_says_where_it_was() -> None:
    stack = Told("2026-02-24T18:20:51Z", "me", "sese", "deploy", "sese/apps", "committed")
    node = Told("2026-02-24T18:21:51Z", "me", "seko", "nodes delete", "old-phone", "done")
    rows = history_rows([stack, node])
    assert [row.cells["subject"][0] for row in rows] == ["sese/apps", "seko: old-phone"]
