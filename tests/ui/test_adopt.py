"""Taking over a host in the cockpit: the mapping is corrected, the file is read, then it is confirmed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from textual.widgets import Button

from vpai_tui.errors import Collision, PreflightRefused

from . import fake_fleet as fake
from .conftest import SHORT, TALL, Cockpit, OpenCockpit
from .fake_backend import FakeBackend

Picture = Callable[[Cockpit, str], None]
BOTH = pytest.mark.parametrize("size", [SHORT, TALL], ids=["80x24", "120x40"])


async def open_mapping(at: Cockpit) -> None:
    await at.press("colon")
    await at.type("adopt pi")
    await at.press("enter")
    assert at.screen == "AdoptDialog"


@BOTH
async def test_what_is_not_clear_must_be_decided(cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]) -> None:
    async with cockpit(backend=FakeBackend(fake.calm()), size=size) as at:
        await open_mapping(at)
        picture(at, "adopt-mapping")
        assert "say which" in at.text()
        assert "no service of ours: workstation_opencut-valkey, valkey_old, someones" in at.text()
        assert at.app.screen.query_one("#go", Button).disabled
        await at.press("j", "enter")
        assert at.screen == "PickContainer"
        picture(at, "adopt-pick")
        await at.press("enter")
        assert "say which" not in at.text()
        assert not at.app.screen.query_one("#go", Button).disabled


@BOTH
async def test_the_file_is_shown_and_nothing_is_written_before_it_is_confirmed(
    cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]
) -> None:
    backend = FakeBackend(fake.calm())
    async with cockpit(backend=backend, size=size) as at:
        await open_mapping(at)
        await at.press("j", "enter", "j", "enter", "j", "j", "space", "tab", "tab", "enter")
        wanted = {"opencut-db": "workstation_opencut-db", "opencut-valkey": "valkey_old"}
        assert ("propose", {**wanted, "opencut-srh": None, "opencut": None}) in backend.asked
        assert at.screen == "Confirm"
        picture(at, "adopt-confirm")
        assert not [asked for asked in backend.asked if asked[0] == "adopt"]
        await at.press("right", "enter")
        assert ("adopt", "pi") in backend.asked
        assert "pi is adopted: D plans what differs" in at.toasts()


async def test_what_has_no_way_back_is_an_error_and_nothing_is_called_adopted(cockpit: OpenCockpit) -> None:
    backend = FakeBackend(fake.calm())
    backend.surveyed = replace(backend.surveyed, matches=backend.surveyed.matches[:1])
    backend.act_fails = PreflightRefused("not all that runs has a way back", host="pi", output="pi/opencut: gone")
    async with cockpit(backend=backend) as at:
        await open_mapping(at)
        await at.press("tab", "tab", "enter", "right", "enter")
        assert ("adopt", "pi") in backend.asked
        assert at.screen == "ErrorDialog"
        assert "pi/opencut: gone" in at.text()
        assert not [toast for toast in at.toasts() if "is adopted" in toast]


async def test_a_file_that_is_there_is_shown_by_what_changes(cockpit: OpenCockpit) -> None:
    backend = FakeBackend(fake.calm())
    backend.surveyed = replace(backend.surveyed, matches=backend.surveyed.matches[:1])
    old = backend.proposal.text.replace("workstation_db", "by_hand")
    backend.proposal = replace(backend.proposal, before=old)
    async with cockpit(backend=backend) as at:
        await open_mapping(at)
        await at.press("tab", "tab", "enter")
        assert "-      opencut-db: by_hand" in at.text()
        assert "the one before is kept beside it" in at.text()


async def test_esc_leaves_everything_as_it_is(cockpit: OpenCockpit) -> None:
    backend = FakeBackend(fake.calm())
    async with cockpit(backend=backend) as at:
        await open_mapping(at)
        await at.press("enter", "escape", "escape")
        assert at.screen == "FleetScreen"
        assert {asked[0] for asked in backend.asked} <= {"start", "survey"}


async def test_a_collision_offers_to_adopt(cockpit: OpenCockpit) -> None:
    backend = FakeBackend(fake.calm())
    backend.plan_made = Collision("pi/opencut cannot be deployed: the port is taken", host="pi", remedy="adopt")
    async with cockpit(backend=backend) as at:
        await at.press("2", "D")
        assert "the port is taken" in at.text()
        await at.press("right", "enter")
        assert at.screen == "AdoptDialog"


async def test_read_only_does_not_adopt(cockpit: OpenCockpit) -> None:
    backend = FakeBackend(fake.calm())
    async with cockpit(backend=backend, read_only=True) as at:
        at.app.dispatcher.run_command("adopt", "pi")
        await at.settle()
        assert at.screen == "FleetScreen"
