"""The fleet screen: what it shows, what its keys do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from vpai_tui.errors import CommandFailed
from vpai_tui.fleet.doctor import CheckResult
from vpai_tui.fleet.model import Health
from vpai_tui.fleet.updates import Update
from vpai_tui.screens.fleet import FleetScreen
from vpai_tui.widgets.detail import DetailPane
from vpai_tui.widgets.safe_table import SafeTable
from vpai_tui.widgets.service_rows import ServiceRows, service_rows

from . import fake_fleet as fake
from .conftest import SHORT, TALL, Cockpit, OpenCockpit
from .fake_backend import FakeBackend

Picture = Callable[[Cockpit, str], None]
BOTH = pytest.mark.parametrize("size", [SHORT, TALL], ids=["80x24", "120x40"])


def table(at: Cockpit) -> SafeTable:
    return at.app.screen.query_one("#main-table", SafeTable)


@BOTH
async def test_a_calm_fleet_needs_nobody(cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]) -> None:
    async with cockpit(fake.calm(), size) as at:
        assert "nothing needs you" in at.text()
        assert len(table(at).rows) == 16
        assert {"host", "service", "health"} <= set(table(at).visible_columns())
        picture(at, "fleet-calm")


@BOTH
async def test_alerts_stand_on_top_in_their_rank(cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]) -> None:
    async with cockpit(fake.troubled(), size) as at:
        keys = [row.key for row in at.app.screen.query_one("#alerts", SafeTable).rows]
        assert keys == ["0:sese/apps/palais", "1:sese/apps", "2:seko"]
        picture(at, "fleet-alerts")


@BOTH
async def test_a_dead_host_keeps_its_values_greyed_with_the_reason(
    cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]
) -> None:
    async with cockpit(fake.without_pi(), size) as at:
        shown = at.text()
        assert "STALE 38s" in shown
        assert ("tcp failed, again in 12s" if size == SHORT else "tcp: no answer in 3 s, again in 12s") in shown
        rows = {row.key: row for row in table(at).rows}
        assert rows["pi//comfyui"].dim
        assert not rows["sese/infra/redis"].dim
        picture(at, "fleet-host-down")


@BOTH
async def test_what_is_off_says_why_and_needs_nobody(
    cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]
) -> None:
    async with cockpit(fake.switched_off(), size) as at:
        await at.press("slash")
        await at.type("pi")
        await at.press("enter")
        assert "■ off" in at.text()
        assert "nothing needs you" in at.text()
        picture(at, "fleet-off")
        await at.press("2")
        assert "off: comfyui, remotion" in at.text()
        picture(at, "deploy-off")


@BOTH
async def test_the_first_frame_names_the_hosts(cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]) -> None:
    async with cockpit(None, size) as at:
        assert all(f"… {name} connecting" in at.text() for name in ("sese", "seko", "pi"))
        assert "asking the hosts" in at.text()
        picture(at, "fleet-loading")


async def test_a_filter_keeps_rows_and_esc_drops_it(cockpit: OpenCockpit, picture: Picture) -> None:
    async with cockpit(fake.troubled()) as at:
        await at.press("slash")
        await at.type("sese drifted")
        assert [row.key for row in table(at).rows] == ["sese/apps/n8n"]
        picture(at, "fleet-filter")
        await at.press("enter")
        assert table(at).has_focus
        await at.press("escape")
        assert len(table(at).rows) == 16


async def test_an_empty_filter_result_says_so(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.calm()) as at:
        await at.press("slash")
        await at.type("zzz")
        assert "no service holds “zzz”" in at.text()


@BOTH
async def test_enter_describes_and_the_cursor_is_followed(
    cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]
) -> None:
    async with cockpit(fake.troubled(), size) as at:
        await at.press("j", "j", "j", "enter")
        pane = at.app.screen.query_one(DetailPane)
        assert (pane.subject, pane.view) == ("sese/apps/n8n", "describe")
        assert "javisi_n8n" in pane.text
        picture(at, "fleet-describe")
        await at.press("j")
        assert pane.subject == "sese/apps/litellm"
        await at.press("escape")
        assert not pane.display


@BOTH
async def test_a_description_ends_with_what_its_names_answer(
    cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]
) -> None:
    async with cockpit(fake.calm(), size) as at:
        at.backend.checks_held = asyncio.Event()
        at.backend.checks = at.backend.checks[:1]
        screen = at.app.screen
        assert isinstance(screen, FleetScreen)
        screen.reveal("sese/apps/n8n")
        await at.press("enter")
        pane = screen.query_one(DetailPane)
        assert "→ 100.64.0.14 (sese)\n  … asking" in pane.text
        at.backend.checks_held = None
        at.backend.checks.append(
            CheckResult("sese", "http", False, "mayi.example.org answers 502", "vpai-tui logs sese/apps/n8n")
        )
        await at.press("left", "right")
        assert "→ vpai-tui logs sese/apps/n8n" in pane.text and "asking" not in pane.text
        picture(at, "fleet-describe-checks")
        screen.reveal("sese/apps/litellm")
        await at.press("enter")
        assert ("check", "sese/apps/litellm") not in at.backend.asked


@BOTH
async def test_images_whose_tag_has_moved_are_marked_and_sorted_first(
    cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]
) -> None:
    async with cockpit(fake.calm(), size) as at:
        at.backend.updates_of = {
            "sese/apps/n8n": Update(True, "the tag has moved to sha256:9f2c… (asked 2h ago)"),
            "sese/infra/redis": Update(False, "the tag still stands for it (asked 2h ago)"),
            "sese/infra/qdrant": Update(None, "cannot be known: toomanyrequests (asked 2h ago)"),
        }
        assert ("look_for_updates",) not in at.backend.asked, "not among the first questions"
        at.clock.passed_s += 30
        at.backend.put(fake.calm())
        await at.settle()
        assert ("look_for_updates",) in at.backend.asked
        screen = at.app.screen
        assert isinstance(screen, FleetScreen)
        while screen.order != "image":
            await at.press("o")
        table = screen.query_one("#main-table", SafeTable)
        assert table.rows[0].key == "sese/apps/n8n" and at.text().count("↑") == 1
        picture(at, "fleet-updates")


async def test_the_detail_has_four_views(cockpit: OpenCockpit, picture: Picture) -> None:
    async with cockpit(fake.calm()) as at:
        await at.press("y")
        pane = at.app.screen.query_one(DetailPane)
        assert pane.view == "yaml"
        assert "Hostname: 6e386e6e" in pane.text
        picture(at, "fleet-yaml")
        at.backend.put(replace(fake.calm(), services=fake.services()))
        await at.press("right")
        assert pane.view == "events"
        await at.press("right")
        assert pane.view == "logs"
        assert "workflow 59 finished" in pane.text
        picture(at, "fleet-logs")


async def test_changes_between_snapshots_become_events(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.calm()) as at:
        at.backend.put(fake.troubled())
        await at.settle()
        screen = at.app.screen
        assert isinstance(screen, FleetScreen)
        screen.reveal("sese/apps/palais")
        await at.press("enter", "right", "right")
        assert "health healthy → degraded" in at.app.screen.query_one(DetailPane).text


async def test_a_detail_that_fails_shows_the_error_in_its_place(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.calm()) as at:
        await at.press("G", "l")
        text = at.app.screen.query_one(DetailPane).text
        assert "docker logs ended with 1" in text
        assert "ctrl+r looks again" in text


async def test_the_cursor_stays_on_its_service(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.calm()) as at:
        await at.press("j", "j", "j", "j")
        assert table(at).cursor_key == "sese/apps/litellm"
        fleet = fake.calm()
        at.backend.put(replace(fleet, services=fleet.services[2:]))
        await at.settle()
        assert table(at).cursor_key == "sese/apps/litellm"


async def test_only_the_row_that_differs_is_drawn(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.calm()) as at:
        rows = list(table(at).rows)
        assert table(at).show(rows) == 0
        rows[3] = replace(rows[3], dim=True)
        assert table(at).show(rows) == 1


async def test_sorting_by_health_brings_the_worst_on_top(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled()) as at:
        await at.press("o")
        assert table(at).rows[0].key == "sese/apps/palais"
        await at.press("o", "o")
        assert table(at).rows[0].key == "pi//comfyui"


@pytest.mark.parametrize("digit", ["3", "quotation_mark"])
async def test_h_and_a_digit_scope_to_a_host(cockpit: OpenCockpit, digit: str) -> None:
    async with cockpit(fake.troubled()) as at:
        await at.press("h")
        assert "0 all  1 sese  2 seko  3 pi" in at.text()
        await at.press(digit)
        assert {row.cells["host"][0] for row in table(at).rows} == {"pi"}
        await at.press("h", "0")
        assert len(table(at).rows) == 16


async def test_an_alert_jumps_to_its_service(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled()) as at:
        at.app.screen.query_one("#alerts").focus()
        await at.press("enter")
        assert table(at).cursor_key == "sese/apps/palais"
        assert at.app.screen.query_one(DetailPane).display


async def test_an_alert_jumps_to_its_stack_and_to_its_host(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled()) as at:
        at.app.screen.query_one("#alerts").focus()
        await at.press("j", "j", "enter")
        assert at.app.context.scope == "seko"
        await at.press("h", "0")
        at.app.screen.query_one("#alerts").focus()
        await at.press("G", "k", "enter")
        await at.settle()
        assert at.screen == "DeployScreen"
        assert table(at).cursor_key == "sese/apps"


async def test_restart_asks_with_the_focus_on_cancel(cockpit: OpenCockpit, picture: Picture) -> None:
    async with cockpit(fake.troubled()) as at:
        await at.press("R")
        assert at.app.focused is not None
        assert at.app.focused.id == "cancel"
        assert "Restart sese/infra/postgresql?" in at.text()
        picture(at, "fleet-confirm")
        await at.press("enter")
        assert ("restart", "sese/infra/postgresql") not in at.backend.asked
        await at.press("R", "right", "enter")
        assert ("restart", "sese/infra/postgresql") in at.backend.asked
        assert at.toasts() == ["restarted: sese/infra/postgresql"]


@pytest.mark.parametrize("letter", ["y", "Y", "r", "R", "o"])
async def test_no_letter_confirms(cockpit: OpenCockpit, letter: str) -> None:
    async with cockpit(fake.troubled()) as at:
        await at.press("R", letter)
        assert at.screen == "Confirm"
        assert not [item for item in at.backend.asked if item[0] == "restart"]


async def test_marked_services_are_acted_on_together(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.calm()) as at:
        await at.press("space", "space", "U", "right", "enter")
        acted = [item for item in at.backend.asked if item[0] == "start" and len(item) > 1]
        assert acted == [("start", "sese/infra/postgresql"), ("start", "sese/infra/redis")]
        await at.press("escape")
        assert not table(at).marks


async def test_stopping_on_the_hub_needs_the_name_typed(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.calm()) as at:
        await at.press("h", "2", "S")
        await at.type("headscal")
        await at.press("enter")
        assert at.screen == "Confirm"
        await at.type("e")
        await at.press("enter")
        assert ("stop", "seko/headscale/headscale") in at.backend.asked


async def test_an_action_that_is_not_in_the_journal_is_told(cockpit: OpenCockpit) -> None:
    backend = FakeBackend(fake.calm())
    backend.act_note = "history.jsonl could not be written: no space left"
    async with cockpit(backend=backend) as at:
        await at.press("R", "right", "enter")
        assert len(at.toasts()) == 2
        assert at.toasts()[1] == backend.act_note


async def test_an_action_that_fails_says_what_where_and_what_next(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.calm()) as at:
        at.backend.act_fails = CommandFailed(
            "docker restart ended with 1", exit_status=1, host="sese", output="Error: [/] no such", remedy="Look at v."
        )
        await at.press("R", "right", "enter")
        assert at.screen == "ErrorDialog"
        shown = at.text()
        assert all(
            part in shown for part in ("docker restart ended with 1", "sese", "Error: [/] no such", "Look at v.")
        )


async def test_read_only_hides_and_refuses(cockpit: OpenCockpit, picture: Picture) -> None:
    async with cockpit(fake.troubled(), read_only=True) as at:
        assert "READ-ONLY" in at.text()
        await at.press("R")
        assert at.screen == "FleetScreen"
        assert at.toasts() == ["read-only: restart is refused"]
        at.app.clear_notifications()
        await at.settle()
        picture(at, "fleet-read-only")


@pytest.mark.parametrize("theme", ["light", "colour-blind", "mono"])
async def test_every_theme_says_the_same(cockpit: OpenCockpit, picture: Picture, theme: str) -> None:
    async with cockpit(fake.troubled(), theme=theme) as at:
        assert "✖ sese apps/palais" in at.text()
        picture(at, f"fleet-{theme}")


async def test_no_color_reads_the_same(cockpit: OpenCockpit, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with cockpit(fake.without_pi()) as at:
        assert at.app.theme == "mono"
        assert "✖ pi backoff" in at.text()
        assert "◌ running" in at.text()
        picture(at, "fleet-no-color")


async def test_health_words_carry_their_glyph(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled(), TALL) as at:
        shown = {row.cells["health"][0] for row in table(at).rows}
        assert shown == {"✔ healthy", "✔ running", "… starting", "▲ degraded", "■ stopped"}
        assert Health.DOWN.value not in shown


def test_rows_made_again_are_those_made_anew_at_every_moment() -> None:
    keeper, now, services = ServiceRows(), fake.NOW, fake.calm().services
    for second in (0, 1, 1, 26, 30, 59, 61, 3599, 7201, 90_000, 400_000):
        at = now + timedelta(seconds=second)
        assert keeper.rows(services, at, lambda _: False) == service_rows(services, at, lambda _: False)
    before = keeper.rows(services, at, lambda _: False)
    again = keeper.rows(services, at, lambda _: False)
    assert all(one is two for one, two in zip(before, again, strict=True))
    moved = keeper.rows(services, at, lambda service: service.service == "redis")
    assert [row.key for row, old in zip(moved, before, strict=True) if row is not old] == ["sese/infra/redis"]
