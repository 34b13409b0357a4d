"""Hands on: a shell from the fleet's rows, with the scripted backend and with the demo on a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vpai_tui.remote.terminal import _CALM
from vpai_tui.widgets.dialogs import ErrorDialog

from . import fake_fleet as fake
from .conftest import Cockpit, OpenCockpit
from .pty_cockpit import PtyCockpit, offences, plain


def with_terminal(at: Cockpit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver of the tests has none to give away."""

    @contextlib.contextmanager
    def suspend() -> Iterator[None]:
        yield

    monkeypatch.setattr(at.app, "suspend", suspend)


async def test_a_shell_in_the_service_of_the_row_and_on_a_host(
    cockpit: OpenCockpit, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cockpit(fake.troubled()) as at:
        with_terminal(at, monkeypatch)
        row = at.app.cockpit.target_services()
        await at.press("s")
        assert ("shell", row[0]) in at.backend.asked
        at.backend.shell_ends = 7
        await at.press("colon")
        await at.type("shell sese")
        await at.press("enter")
        assert ("shell", "sese") in at.backend.asked
        assert "ended with status 7" in at.text()


async def test_it_is_one_place_that_is_there(cockpit: OpenCockpit, monkeypatch: pytest.MonkeyPatch) -> None:
    async with cockpit(fake.troubled()) as at:
        with_terminal(at, monkeypatch)
        await at.press("space", "space", "s")
        assert "name one service or host" in at.text()
        at.app.dispatcher.run_command("shell", "nowhere")
        await at.settle()
        assert "no such service or host" in at.text()
        assert not [it for it in at.backend.asked if it[0] == "shell"]


async def test_a_terminal_that_cannot_be_given_away_is_told(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled()) as at:
        await at.press("s")
        assert isinstance(at.app.screen, ErrorDialog)
        assert not [it for it in at.backend.asked if it[0] == "shell"]


async def test_read_only_has_no_shell(cockpit: OpenCockpit, monkeypatch: pytest.MonkeyPatch) -> None:
    async with cockpit(fake.troubled(), read_only=True) as at:
        with_terminal(at, monkeypatch)
        await at.press("s")
        assert "read-only: shell is refused" in at.text()
        assert not [it for it in at.backend.asked if it[0] == "shell"]


@pytest.mark.skipif(sys.platform != "linux", reason="the demo's hosts need Linux")
def test_the_cockpit_steps_aside_for_a_shell_and_comes_back(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "vpai_tui", "--demo-dir", str(tmp_path / "demo")]
    with PtyCockpit(argv, {}) as at:
        at.wait_for("postgresql", "? help")
        at.press("the palette", ":shell sese/infra/postgresql", "sese/infra/postgresql")
        at.press("the shell", "\r", "simulated container")
        shown = len(at.raw)
        at.press("a command", "redis-cli\n", "PONG")
        assert "postgresql" not in plain(at.raw[shown:])  # nothing is drawn over it
        at.press("back", "exit 3\n", "ended with status 3", "postgresql")
        at.press("the end", "\x11", "Quit the cockpit?")
        at.end("\t\r")
    assert offences(at.raw.replace(_CALM, b"")) == []
