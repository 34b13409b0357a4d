"""A hold in the cockpit: shown wherever the host is, set with a reason, lifted by name, never deployed through."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vpai_tui.errors import UsageError
from vpai_tui.fleet.operation import Cause
from vpai_tui.screens.plan import PlanScreen

from . import fake_answers as answers
from . import fake_fleet as fake
from .conftest import SHORT, TALL, Cockpit, OpenCockpit
from .fake_backend import FakeBackend
from .fake_fleet import HELD

BEHIND = Cause(
    "ancestry",
    "your checkout is 2 commits behind what runs (77ab01c by ann@desk at 2026-02-26T20:02:11Z)",
    danger=True,
)
Picture = Callable[[Cockpit, str], None]
BOTH = pytest.mark.parametrize("size", [SHORT, TALL], ids=["80x24", "120x40"])


async def command(at: Cockpit, words: str) -> None:
    await at.press("colon")
    await at.type(words)
    await at.press("enter")


@BOTH
async def test_a_held_host_is_marked_on_every_screen(
    cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]
) -> None:
    async with cockpit(fake.held(), size) as at:
        assert "sese ■ held" in at.text()
        await at.press("2", "j")
        assert "held by ann@desk since 2026-02-26T21:10:00Z" in at.text()
        picture(at, "deploy-held")


@BOTH
async def test_a_hold_wants_a_reason(cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]) -> None:
    backend = FakeBackend(fake.calm())
    async with cockpit(backend=backend, size=size) as at:
        await command(at, "hold sese")
        assert at.screen == "AskLine"
        await at.press("enter")
        assert at.screen == "AskLine"
        await at.type("new disk")
        picture(at, "hold-dialog")
        await at.press("enter")
        assert ("hold", "sese", "new disk") in backend.asked
        assert "sese is held: new disk" in at.toasts()


async def test_a_hold_that_is_refused_is_told_in_full(cockpit: OpenCockpit) -> None:
    backend = FakeBackend(fake.calm())
    backend.act_fails = UsageError("sese is held already by bob@lap", remedy="vpai-tui hold sese --off")
    async with cockpit(backend=backend) as at:
        await command(at, "hold sese")
        await at.type("x")
        await at.press("enter")
        assert at.screen == "ErrorDialog"
        assert "held already by bob@lap" in at.text()


async def test_esc_and_cancel_hold_nothing(cockpit: OpenCockpit) -> None:
    backend = FakeBackend(fake.calm())
    async with cockpit(backend=backend) as at:
        for way in (["escape"], ["tab", "enter"]):
            await command(at, "hold sese")
            await at.type("x")
            await at.press(*way)
            assert at.screen == "FleetScreen"
        assert not [asked for asked in backend.asked if asked[0] == "hold"]


@BOTH
async def test_releasing_names_whose_hold_it_is(cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]) -> None:
    backend = FakeBackend(fake.held())
    async with cockpit(backend=backend, size=size) as at:
        await command(at, "release hold sese")
        picture(at, "release-hold")
        await at.press("enter")  # the focus is on Cancel
        assert not [asked for asked in backend.asked if asked[0] == "lift"]
        await command(at, "release hold sese")
        await at.press("right", "enter")
        assert ("lift", "sese", HELD) in backend.asked


async def test_nothing_held_and_no_such_host(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.calm()) as at:
        await command(at, "release hold pi")
        assert "pi: nothing is held" in at.toasts()
        at.app.dispatcher.run_command("hold", "nowhere")  # the palette offers none that is not there
        await at.settle()
        assert "hold: name one of sese, seko, pi" in at.toasts()


async def test_read_only_neither_holds_nor_lifts(cockpit: OpenCockpit) -> None:
    backend = FakeBackend(fake.held())
    async with cockpit(backend=backend, read_only=True) as at:
        await at.press("colon")
        await at.type("hold")
        assert "filter" in at.text()
        assert "Freeze deploys" not in at.text()
        assert "release hold" not in at.text()
        await at.press("escape")
        at.app.dispatcher.run_command("lift", "sese")
        await at.settle()
        assert any("read-only" in text for text in at.toasts())
        assert at.screen == "FleetScreen"


@BOTH
async def test_a_plan_under_a_hold_is_read_and_not_applied(
    cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]
) -> None:
    backend = FakeBackend(fake.held())
    backend.plan_made = answers.make_plan(hold=HELD, dangers=(BEHIND,), confirm_word="sese/apps")
    async with cockpit(backend=backend, size=size) as at:
        await at.press("2", "j", "D")
        assert isinstance(at.app.screen, PlanScreen)
        assert "held by ann@desk since" in at.text()
        assert "your checkout is 2 commits behind" in at.text()
        picture(at, "plan-held-and-behind")
        await at.press("A")
        assert at.screen == "ErrorDialog"
        assert "vpai-tui hold sese --off" in at.text()
        assert not [asked for asked in backend.asked if asked[0] == "apply"]


async def test_an_older_checkout_is_applied_only_by_its_name(cockpit: OpenCockpit, picture: Picture) -> None:
    backend = FakeBackend(fake.troubled())
    backend.plan_made = answers.make_plan(dangers=(BEHIND,), confirm_word="sese/apps")
    async with cockpit(backend=backend) as at:
        await at.press("2", "j", "D", "A")
        picture(at, "older-checkout")
        await at.type("sese")
        await at.press("enter")
        assert not [asked for asked in backend.asked if asked[0] == "apply"]
        await at.type("/apps")
        await at.press("enter")
        assert ("apply", "r13") in backend.asked
