"""Hands on: a shell from the fleet's rows, forwards, what a service uses; a shell of the demo on a real terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.forward import Forward
from vpai_tui.fleet.model import Usage
from vpai_tui.remote.terminal import _CALM
from vpai_tui.widgets.dialogs import Confirm, ErrorDialog

from . import fake_fleet as fake
from .conftest import SHORT, TALL, Cockpit, OpenCockpit
from .pty_cockpit import PtyCockpit, offences, plain

Picture = Callable[[Cockpit, str], None]


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


# ── forwards ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def carrying(at: Cockpit) -> None:
    """Two forwards, one of them busy and with a trouble behind it."""
    boot_s = at.clock.boot_s()
    pg = Forward(1, "sese/infra/postgresql", "sese", 5432, 5432, boot_s - 3700)
    pg.open, pg.waiting, pg.total, pg.sent_bytes, pg.received_bytes = 4, 2, 31, 41_000, 9_300_000
    n8n = Forward(2, "sese/apps/n8n", "sese", 5678, 43127, boot_s - 40)
    n8n.total, n8n.error = 1, "sese: sese/apps/n8n port 5678: Connection refused"
    at.backend.fake_forwards.made = [pg, n8n]


@pytest.mark.parametrize("size", [SHORT, TALL])
async def test_running_forwards_are_listed_and_closed_one_by_one(
    cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]
) -> None:
    async with cockpit(fake.troubled(), size) as at:
        carrying(at)
        at.app.dispatcher.run_command("forwards")
        await at.settle()
        picture(at, "forwards")
        await at.press("j", "X")
        assert isinstance(at.app.screen, Confirm)
        assert at.app.focused is at.app.screen.query_one("#cancel")
        picture(at, "forward-close")
        await at.press("right", "enter")
        assert at.backend.fake_forwards.asked == [("shut", "sese/apps/n8n")]
        assert "43127" not in at.text()


async def test_a_forward_by_the_palette_is_shown(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled()) as at:
        await at.press("colon")
        await at.type("forward postgresql 5433")
        await at.press("enter")
        assert at.backend.fake_forwards.asked == [("open", "sese/infra/postgresql", 5433, None)]
        assert at.app.cockpit.KIND == "forwards"
        assert "127.0.0.1:5433" in at.text()
        at.app.dispatcher.run_command("forward", "postgresql many")
        at.app.dispatcher.run_command("forward", "sese")
        await at.settle()
        assert len(at.backend.fake_forwards.asked) == 1
        at.backend.fake_forwards.fails = OperatorError("it does not run", host="sese")
        at.app.dispatcher.run_command("forward", "postgresql")
        await at.settle()
        assert isinstance(at.app.screen, ErrorDialog)


async def test_read_only_forwards_nothing(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled(), read_only=True) as at:
        at.app.dispatcher.run_command("forward", "postgresql")
        await at.settle()
        assert "read-only: forward is refused" in at.text()
        assert at.backend.fake_forwards.asked == []


async def test_quitting_says_what_is_still_forwarded(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled()) as at:
        carrying(at)
        await at.press("ctrl+q")
        assert "127.0.0.1:5432 → sese/infra/postgresql: ends with the cockpit" in at.text()


# ── now and the last day ─────────────────────────────────────────────────────────────────────────────────────────────


def lately(at: Cockpit, service_id: str, count: int = 60) -> None:
    """Samples of the last minutes, as the snapshots bring them."""
    snapshot = at.app.context.snapshot
    before = {it.id: it for it in snapshot.services}
    for number in range(count):
        usage = Usage(200_000_000 + number * 1_000_000, 3 + 20 * (number % 10 == 0) + number / 10)
        services = tuple(
            replace(it, usage=usage, stale=False) if it.id == service_id else it for it in snapshot.services
        )
        hosts = tuple(
            replace(host, metrics=replace(host.metrics, at_boot_s=host.metrics.at_boot_s + 5 * number))
            if host.metrics
            else host
            for host in snapshot.hosts
        )
        made = replace(snapshot, services=services, hosts=hosts)
        at.app.context.figures.take(before, made)
        before = {it.id: it for it in services}
    at.app.context.snapshot = replace(snapshot, services=services)


@pytest.mark.parametrize("size", [SHORT, TALL])
@pytest.mark.parametrize("why", ["", "sese: history: VictoriaMetrics is exited"])
async def test_what_a_service_uses_now_and_used_in_a_day(
    cockpit: OpenCockpit, picture: Picture, size: tuple[int, int], why: str
) -> None:
    async with cockpit(fake.troubled(), size) as at:
        at.backend.fake_trends.why = why
        lately(at, "sese/apps/n8n")
        at.app.dispatcher.run_command("describe", "n8n")
        await at.settle()
        assert "of a core" in at.text()
        assert ("no history: sese" in at.text()) is bool(why)
        picture(at, "service-load" + ("-no-history" if why else ""))


@pytest.mark.parametrize("size", [SHORT, TALL])
async def test_the_last_day_of_each_host(cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]) -> None:
    async with cockpit(fake.troubled(), size) as at:
        at.backend.fake_trends.why = ""
        at.app.dispatcher.run_command("trends")
        await at.settle()
        assert at.backend.fake_trends.asked == ["sese", "seko", "pi"]
        picture(at, "host-trends")
        await at.press("ctrl+r")
        assert len(at.backend.fake_trends.asked) == 6


# ── a stack's files ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_stack_is_edited_and_its_plan_shown(cockpit: OpenCockpit, monkeypatch: pytest.MonkeyPatch) -> None:
    async with cockpit(fake.troubled()) as at:
        with_terminal(at, monkeypatch)
        await at.press("2")
        stack = at.app.cockpit.target_stack()
        await at.press("e")
        assert at.backend.asked[-3:] == [("edit_stack", stack, ""), ("reread",), ("plan", stack)]
        assert at.screen == "PlanScreen"
        await at.press("escape", "colon")
        await at.type("edit stack sese/apps stack.yaml")
        at.backend.edit_changes = ()
        await at.press("enter")
        assert ("edit_stack", "sese/apps", "stack.yaml") in at.backend.asked
        assert "nothing was changed" in at.text()


@pytest.mark.parametrize("size", [SHORT, TALL])
async def test_a_broken_file_is_told_and_opened_again(
    cockpit: OpenCockpit, picture: Picture, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    async with cockpit(fake.troubled(), size) as at:
        with_terminal(at, monkeypatch)
        message = "stacks/sese/apps/compose.yaml:41: services.n8n.ports[0]: expected HOST:CONTAINER, found [/]"
        at.backend.reread_fails = [UsageError(message), UsageError(message)]
        at.app.dispatcher.run_command("stack.edit", "apps")
        await at.settle()
        assert isinstance(at.app.screen, Confirm)
        assert at.app.focused is at.app.screen.query_one("#cancel")
        picture(at, "stack-broken")
        await at.press("right", "enter")
        assert [it[0] for it in at.backend.asked].count("edit_stack") == 2
        assert isinstance(at.app.screen, Confirm)
        await at.press("right", "enter")
        assert at.screen == "PlanScreen"


async def test_read_only_edits_nothing(cockpit: OpenCockpit, monkeypatch: pytest.MonkeyPatch) -> None:
    async with cockpit(fake.troubled(), read_only=True) as at:
        with_terminal(at, monkeypatch)
        await at.press("2", "e")
        assert "read-only: edit stack is refused" in at.text()
        assert not [it for it in at.backend.asked if it[0] == "edit_stack"]
