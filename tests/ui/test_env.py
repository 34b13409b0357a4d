"""Env files on screen: what they lack, the plan to write it, and the editor."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.widgets import Button

from vpai_tui.widgets.dialogs import Confirm, ErrorDialog

from . import fake_fleet as fake
from .conftest import SHORT, TALL, Cockpit, OpenCockpit

Picture = Callable[[Cockpit, str], None]


def dialog(at: Cockpit) -> Confirm:
    assert isinstance(at.app.screen, Confirm)
    return at.app.screen


@pytest.mark.parametrize("size", [SHORT, TALL])
async def test_what_is_missing_is_shown_and_written_after_its_name(
    cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]
) -> None:
    async with cockpit(fake.troubled(), size) as at:
        await at.press("2")
        at.app.dispatcher.run_command("env.check", "sese/apps")
        await at.settle()
        assert isinstance(at.app.screen, Confirm)
        assert at.app.focused is at.app.screen.query_one("#cancel")
        picture(at, "env-check")
        at.app.screen.query_one("#answer-init", Button).press()
        await at.settle()
        assert ("env_plan", "sese/apps") in at.backend.asked
        picture(at, "env-init")
        await at.type("sese/apps")
        await at.press("enter")
        await at.settle()
        assert ("env_init", "sese/apps") in at.backend.asked


async def test_which_of_several_files_is_asked_and_a_terminal_that_cannot_be_given_away_is_told(
    cockpit: OpenCockpit,
) -> None:
    async with cockpit(fake.troubled()) as at:
        at.app.dispatcher.run_command("env.edit", "apps")
        await at.settle()
        assert [choice.label for choice in dialog(at).choices] == ["n8n.env", "litellm.env"]
        at.app.screen.query_one("#answer-1", Button).press()
        await at.settle()
        assert isinstance(at.app.screen, ErrorDialog)  # the tests' driver has no terminal
        assert not [asked for asked in at.backend.asked if asked[0] == "env_edit"]


async def test_read_only_looks_and_offers_nothing(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled(), read_only=True) as at:
        at.app.dispatcher.run_command("env.check", "sese/apps")
        await at.settle()
        assert dialog(at).choices == ()
        await at.press("escape")
        at.app.dispatcher.run_command("env.init", "sese/apps")
        await at.settle()
        assert ("env_plan", "sese/apps") not in at.backend.asked
