"""What every screen has: palette, help, command log, quitting, questions of the connection, sizes."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable

import pytest
from textual import events
from textual.widgets import Input

from vpai_tui.config import Fleet, Host, Ssh
from vpai_tui.errors import HostUnreachable
from vpai_tui.fleet.model import FleetSnapshot
from vpai_tui.widgets.command_log import CommandLogPane
from vpai_tui.widgets.detail import DetailPane
from vpai_tui.widgets.dialogs import Choice, Confirm
from vpai_tui.widgets.host_strip import strip_height, strip_lines
from vpai_tui.widgets.paint import width_of
from vpai_tui.widgets.safe_table import SafeTable

from . import fake_answers as answers
from . import fake_fleet as fake
from .conftest import SHORT, Cockpit, OpenCockpit
from .fake_backend import Description, FakeBackend

Picture = Callable[[Cockpit, str], None]


async def test_the_palette_takes_arguments(cockpit: OpenCockpit, picture: Picture) -> None:
    async with cockpit(fake.troubled()) as at:
        await at.press("colon")
        await at.type("deploy ")
        assert "deploy sese/apps" in at.text()
        picture(at, "palette")
        await at.type("apps")
        await at.press("enter")
        assert ("plan", "sese/apps") in at.backend.asked


async def test_tab_completes_and_short_forms_work(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled()) as at:
        await at.press("ctrl+p")
        await at.type("resta")
        await at.press("tab")
        await at.type("n8n")
        await at.press("enter")
        assert "Restart sese/apps/n8n?" in at.text()


async def test_no_letter_typed_ahead_is_lost(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled()) as at:
        for key in ("colon", *"log"):
            at.app.post_message(events.Key(key, ":" if key == "colon" else key))
        await at.settle()
        assert at.app.screen.query_one(Input).value == "log"
        await at.press("escape")
        for key in ("slash", *"yol"):
            at.app.post_message(events.Key(key, "/" if key == "slash" else key))
        await at.settle()
        assert at.app.screen.query_one(Input).value == "yol"
        await at.press("escape")
        for key in "h3":
            at.app.post_message(events.Key(key, key))
        await at.settle()
        assert at.app.context.scope == "pi"
        assert at.screen == "FleetScreen"


async def test_openers_are_letters_where_something_is_typed(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled()) as at:
        await at.press("slash")
        await at.press("h", "colon", "slash")
        assert at.app.screen.query_one(Input).value == "h:/"


async def test_unknown_targets_are_refused_with_a_word(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled()) as at:
        at.app.dispatcher.run_command("deploy", "nowhere")
        await at.settle()
        assert at.toasts() == ["deploy: no such stack: nowhere"]


async def test_the_demo_is_steered_from_the_palette(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled()) as at:
        await at.press("colon")
        await at.type("demo cut pi")
        await at.press("enter")
        assert ("demo", "cut", "pi") in at.backend.asked


async def test_help_is_made_from_the_commands(cockpit: OpenCockpit, picture: Picture) -> None:
    async with cockpit(fake.troubled()) as at:
        await at.press("question_mark")
        assert "fleet: keys and commands" in at.text()
        picture(at, "help")
        await at.press("escape")
        assert at.screen == "FleetScreen"


async def test_the_command_log_shows_every_command(cockpit: OpenCockpit, picture: Picture) -> None:
    async with cockpit(fake.troubled()) as at:
        log = at.backend.command_log
        log.end(log.begin("sese", "sudo -n docker system dial-stdio"), 0)
        log.end(log.begin("pi", "PGPASSWORD=hunter2 psql"), 1)
        log.end(log.begin("seko", "sh -s metrics"), None)
        await at.press("v")
        shown = at.text()
        assert "hunter2" not in shown
        assert "✖ 1" in shown
        assert "◌ ?" in shown
        picture(at, "command-log")
        await at.press("v")
        assert not at.app.screen.query_one(CommandLogPane).display


async def test_the_command_log_hears_tasks_that_know_no_app(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled()) as at:
        await at.press("v")
        log = at.backend.command_log

        async def run() -> None:
            log.end(log.begin("pi", "uptime"), 0)

        await asyncio.create_task(run(), context=contextvars.Context())
        await at.settle()
        assert "uptime" in at.text()


async def test_refresh_reconnects(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled()) as at:
        await at.press("ctrl+r")
        assert ("reconnect", None) in at.backend.asked


async def test_copy_sends_the_row(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled()) as at:
        await at.press("c")
        assert at.app.clipboard == "sese/infra/postgresql"


async def test_quitting_asks_and_says_that_nothing_runs(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled()) as at:
        await at.press("q")
        assert "Nothing runs. The hosts go on as they are." in at.text()
        await at.press("escape")
        assert at.app.is_running
        await at.press("ctrl+q", "right", "enter")
        assert at.app._exit


async def test_quitting_says_what_still_runs_where(cockpit: OpenCockpit, picture: Picture) -> None:
    async with cockpit(fake.troubled()) as at:
        at.app.context.operations.start(
            "deploy", "sese/apps", at.backend.apply(answers.make_plan()), answers.make_plan()
        )
        await at.press("ctrl+q")
        assert "not on sese yet: quitting ends it, nothing was changed" in at.text()
        picture(at, "quit")


async def test_q_goes_back_before_it_asks(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled()) as at:
        await at.press("2", "j", "D")
        assert at.screen == "PlanScreen"
        await at.press("q")
        assert at.screen == "DeployScreen"
        await at.press("q")
        assert at.screen == "Confirm"


async def test_an_unknown_host_key_is_the_operators_choice(cockpit: OpenCockpit, picture: Picture) -> None:
    async with cockpit(None) as at:
        asked = asyncio.create_task(at.app.accept_host_key("pi", "100.64.0.1", "SHA256:abc", "ssh-ed25519"))
        await at.settle()
        assert "SHA256:abc" in at.text()
        picture(at, "host-key")
        await at.press("enter")
        assert await asked is False
        asked = asyncio.create_task(at.app.accept_host_key("pi", "100.64.0.1", "SHA256:abc", "ssh-ed25519"))
        await at.settle()
        await at.press("right", "enter")
        assert await asked is True


async def test_a_passphrase_is_never_shown(cockpit: OpenCockpit) -> None:
    async with cockpit(None) as at:
        asked = asyncio.create_task(at.app.passphrase("~/.ssh/id_ed25519"))
        await at.settle()
        await at.type("sesame")
        assert "sesame" not in at.text()
        await at.press("enter")
        assert await asked == "sesame"


async def test_a_backend_that_cannot_start_says_why(cockpit: OpenCockpit) -> None:
    class Broken(FakeBackend):
        async def start(self) -> None:
            raise HostUnreachable("no key can be read", step="keys", remedy="ssh-add first")

    async with cockpit(backend=Broken()) as at:
        assert at.screen == "ErrorDialog"
        assert "ssh-add first" in at.text()


async def test_a_defect_reaches_the_operator_as_an_error(cockpit: OpenCockpit) -> None:
    class Defective(FakeBackend):
        async def describe(self, service_id: str) -> Description:
            raise KeyError("[/] oops")

    async with cockpit(backend=Defective(fake.calm())) as at:
        await at.press("enter")
        assert at.screen == "ErrorDialog"
        assert "[/] oops" in at.text()
        assert "defect of the cockpit" in at.text()


async def test_timers_stop_on_a_screen_that_is_not_seen(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled()) as at:
        fleet = at.app.cockpit
        await at.press("2")
        assert fleet._ticker is not None
        assert not fleet._ticker._active.is_set()
        await at.press("1")
        assert fleet._ticker._active.is_set()


async def test_ages_run_without_a_new_snapshot(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled()) as at:
        assert "STALE" not in at.text()
        at.clock.passed_s = 60
        at.app.redraw()
        await at.settle()
        assert at.text().count("STALE 1m") == 3


def fleet_of(count: int) -> tuple[Fleet, FleetSnapshot]:
    names = [f"host{number}" for number in range(count)]
    hosts = {name: Host(addresses=("127.0.0.1",), ssh=Ssh(user="u")) for name in names}
    model = fake.hosts()[0]
    from dataclasses import replace

    snapshot = FleetSnapshot(fake.BOOT, tuple(replace(model, name=name) for name in names), (), (), ())
    return Fleet(hosts=hosts), snapshot


async def test_one_host_and_five_hosts_fit(cockpit: OpenCockpit) -> None:
    for count in (1, 5):
        fleet, snapshot = fleet_of(count)
        async with cockpit(snapshot, fleet=fleet) as at:
            assert all(f"host{number} ready" in at.text() for number in range(count))
        rows = strip_lines(snapshot, None, fake.BOOT, 80)
        assert len(rows) == strip_height(count, 80) == (3 if count == 1 else 5)
        assert all(width_of(row) <= 80 for row in rows)


async def test_the_mouse_sorts_chooses_and_presses_keys(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.calm()) as at:
        table = at.app.screen.query_one("#main-table", SafeTable)
        await at.pilot.click("#main-table", offset=(22, 0))
        assert table.sorted_by == "service"
        await at.pilot.click("#main-table", offset=(5, 3))
        assert table.cursor_key == table.rows[2].key
        assert not at.app.screen.query_one(DetailPane).display
        await at.pilot.click("#main-table", offset=(5, 3))
        await at.settle()
        assert at.app.screen.query_one(DetailPane).subject == table.rows[2].key
        await at.pilot.click("#footer", offset=(at.text().splitlines()[-1].index("help"), 0))
        await at.settle()
        assert at.screen == "Help"


async def test_a_screen_too_small_says_so(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled(), (50, 12)) as at:
        assert "needs 60×16" in at.text()
        assert "postgresql" not in at.text()
        await at.pilot.resize_terminal(80, 24)
        await at.settle()
        assert "postgresql" in at.text()
        assert "needs 60×16" not in at.text()


@pytest.mark.parametrize("word", [None, "sese/infra"])
async def test_a_dialog_with_much_to_say_keeps_what_must_be_answered_on_the_screen(
    cockpit: OpenCockpit, word: str | None
) -> None:
    lines = [((f"line {number}", ""),) for number in range(60)]
    async with cockpit(fake.calm(), size=SHORT) as at:
        at.app.push_screen(Confirm("Much?", lines, [Choice("yes", "Do it", "warning")], word=word))
        await at.settle()
        wanted = ["#cancel", "#answer-yes", *(["#word"] if word else [])]
        for selector in wanted:
            assert at.app.screen.region.contains_region(at.app.screen.query_one(selector).region), selector
        text = at.app.screen.query_one(".dialog-text")
        assert text.max_scroll_y > 0
        for _ in range(10):
            await at.press("pagedown")
        assert text.scroll_y == text.max_scroll_y
