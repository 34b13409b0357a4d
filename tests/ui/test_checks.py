"""The checks and the news: what stands how, each a jump to its place; this laptop's own cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.fleet.model import FleetSnapshot, Severity
from vpai_tui.screens.checks import ChecksScreen
from vpai_tui.upkeep.examiner import Report
from vpai_tui.upkeep.laptop import Laptop
from vpai_tui.upkeep.news import Morning, News, Since
from vpai_tui.upkeep.table import CHECKS
from vpai_tui.widgets.host_strip import strip_height, strip_lines
from vpai_tui.widgets.safe_table import SafeTable

from . import fake_fleet as fake
from .conftest import SHORT, TALL, Cockpit, OpenCockpit
from .fake_backend import FakeBackend

Picture = Callable[[Cockpit, str], None]
BOTH = pytest.mark.parametrize("size", [SHORT, TALL], ids=["80x24", "120x40"])
APPS = "sese/apps"

FINDINGS = (
    Finding("pg-dump", "sese", "n8n", Standing.OK, "7h12 old, 12.4 MB, listed by pg_restore"),
    Finding(
        "pg-coverage",
        "sese",
        "palais",
        Standing.ERROR,
        "no dump of it at all; the server has had it for 12 days",
        "vpai-tui backups run dumps every database the server has",
        APPS,
    ),
    Finding("restore-test", "sese", "n8n", Standing.WARN, "the last one is 41 days old", "vpai-tui backups", "sese"),
    Finding("containers", "pi", "", Standing.OK, "all 5 services have a container"),
    Finding("telegram-channel", "sese", "", Standing.UNKNOWN, "openclaw gave no answer within 20 s"),
    Finding("open-ports", "seko", "6379/tcp", Standing.ERROR, "redis-server listens on 0.0.0.0", "bind it", "seko"),
)
NEWS = (
    News("killed", Severity.ERROR, "pi", "comfyui", "was killed for want of memory", "pi/creative/comfyui"),
    News("deploy", Severity.INFO, "sese", APPS, "deploy by ann@desk at 2026-02-26 18:20: committed", APPS),
    News("spend", Severity.INFO, "", "AI budget", "$3.10 spent", "budget:"),
)


def morning() -> Morning:
    return Morning(Report(0.0, FINDINGS), Since("2026-02-26T08:02:00Z", NEWS))


async def looked(at: Cockpit, backend: FakeBackend) -> None:
    """The first round of checks has come."""
    backend.clock.passed_s += 10
    backend.put(fake.calm())
    await at.settle()


async def opened(at: Cockpit, backend: FakeBackend) -> ChecksScreen:
    await looked(at, backend)
    await at.press("colon")
    await at.type("checks")
    await at.press("enter")
    assert isinstance(at.app.screen, ChecksScreen)
    return at.app.screen


def shown(screen: ChecksScreen) -> list[str]:
    return [
        f"{row.cells['standing'][0]} {row.cells['check'][0]}" for row in screen.query_one("#main-table", SafeTable).rows
    ]


@BOTH
async def test_the_worst_is_first_and_told_in_full(
    cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]
) -> None:
    backend = FakeBackend(fake.calm())
    backend.morning_told = morning()
    async with cockpit(backend=backend, size=size) as at:
        screen = await opened(at, backend)
        assert shown(screen)[0] == "✖ error Every database dumped"
        assert [row.split()[1] for row in shown(screen)] == ["error", "error", "warn", "unknown", "ok", "ok"]
        assert "cannot be known: openclaw" in at.text()
        picture(at, "checks")


async def test_enter_goes_where_it_is_mended(cockpit: OpenCockpit) -> None:
    backend = FakeBackend(fake.calm())
    backend.morning_told = morning()
    async with cockpit(backend=backend) as at:
        await opened(at, backend)
        await at.press("enter")
        assert at.screen == "DeployScreen"


async def test_filter_and_scope_keep_what_is_meant(cockpit: OpenCockpit) -> None:
    backend = FakeBackend(fake.calm())
    backend.morning_told = morning()
    async with cockpit(backend=backend) as at:
        screen = await opened(at, backend)
        await at.press("slash")
        await at.type("dump")
        await at.press("enter")
        assert shown(screen) == ["✖ error Every database dumped", "✔ ok PostgreSQL dumps"]
        await at.press("escape")
        await at.press("h", "2")
        assert shown(screen) == ["✖ error Open ports"]


async def test_checks_that_have_not_run_say_so(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.calm()) as at:
        await at.press("colon")
        await at.type("checks")
        await at.press("enter")
        assert isinstance(at.app.screen, ChecksScreen)


@BOTH
async def test_news_and_bad_checks_are_on_the_fleet_screen(
    cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]
) -> None:
    backend = FakeBackend(fake.calm())
    backend.morning_told = morning()
    backend.laptop_told = Laptop(True, "", (("llm.example.org", True),), fake.NOW + timedelta(days=143))
    async with cockpit(backend=backend, size=size) as at:
        await looked(at, backend)
        text = at.text()
        assert "redis-server listens on 0.0.0.0" in text
        assert "◆3" in text.splitlines()[-1]
        assert "you" in text
        picture(at, "news")


async def test_each_news_leads_to_its_place_and_seen_ends_them(cockpit: OpenCockpit) -> None:
    backend = FakeBackend(fake.calm())
    backend.morning_told = morning()
    async with cockpit(backend=backend) as at:
        await looked(at, backend)
        table = at.app.screen.query_one("#alerts", SafeTable)
        table.focus()
        table.select(f"news1:{APPS}")
        await at.press("enter")
        assert at.screen == "DeployScreen"
        await at.press("1")
        backend.morning_told = replace(morning(), since=Since("2026-02-26T23:04:00Z"))
        await at.press("colon")
        await at.type("seen")
        await at.press("enter")
        await at.settle()
        assert "settled" in backend.looks
        assert "◆" not in at.text().splitlines()[-1]


async def test_the_look_is_kept_at_the_end(cockpit: OpenCockpit) -> None:
    backend = FakeBackend(fake.calm())
    async with cockpit(backend=backend):
        pass
    assert backend.looks == ["kept"]


@pytest.mark.parametrize(
    ("laptop", "word"),
    [
        (Laptop(False, "Stopped"), "✖ you no vpn"),
        (Laptop(True, "", (("llm.example.org", False),)), "✖ you no dns"),
        (Laptop(True, "", (), fake.NOW + timedelta(days=3)), "▲ you key 3d"),
        (Laptop(True, "", (), fake.NOW - timedelta(days=3)), "✖ you key ended"),
        (Laptop(None, why="tailscale is not installed here"), "◌ you vpn ?"),
    ],
)
async def test_this_laptop_says_how_it_stands(cockpit: OpenCockpit, laptop: Laptop, word: str) -> None:
    backend = FakeBackend(fake.calm())
    backend.laptop_told = laptop
    async with cockpit(backend=backend, size=SHORT) as at:
        await looked(at, backend)
        assert word in at.text().splitlines()[0]


def test_thirty_hosts_take_three_rows_and_the_bad_ones_come_first() -> None:
    one = fake.calm().hosts[0]
    hosts = tuple(replace(one, name=f"host-{at:02}") for at in range(30))
    gone = replace(hosts[29], link=replace(one.link, state=fake.HostState.OFFLINE))
    snapshot = FleetSnapshot(fake.BOOT, (*hosts[:29], gone), (), (), ())
    for width in (80, 120):
        rows = strip_lines(snapshot, None, fake.BOOT, width)
        assert len(rows) == strip_height(30, width) == 3
        assert "29 of 30 hosts are well" in "".join(text for text, _ in rows[0])
        assert "".join(text for text, _ in rows[1]).split()[1] == "host-29"


def test_every_check_is_named_by_its_title() -> None:
    assert {it.check for it in FINDINGS} <= {check.id for check in CHECKS}


async def test_a_service_is_found_from_whatever_screen_the_checks_were_opened(cockpit: OpenCockpit) -> None:
    backend = FakeBackend(fake.calm())
    broken = Finding("containers", "sese", "redis", Standing.ERROR, "has no container", target="sese/infra/redis")
    backend.morning_told = Morning(Report(0.0, (*FINDINGS, broken)), Since(None))
    async with cockpit(backend=backend) as at:
        await at.press("2")
        screen = await opened(at, backend)
        table = screen.query_one("#main-table", SafeTable)
        table.select(next(row.key for row in table.rows if row.cells["subject"][0] == "redis"))
        await at.press("enter")
        assert at.screen == "FleetScreen"
        assert at.app.screen.query_one("#main-table", SafeTable).cursor_key == "sese/infra/redis"


async def test_a_new_look_leaves_the_cursor_on_what_it_stood_on(cockpit: OpenCockpit) -> None:
    backend = FakeBackend(fake.calm())
    backend.morning_told = morning()
    async with cockpit(backend=backend) as at:
        screen = await opened(at, backend)
        table = screen.query_one("#main-table", SafeTable)
        await at.press("j")
        assert "6379/tcp" in (table.cursor_key or "")
        backend.morning_told = Morning(Report(0.0, FINDINGS[5:]), Since(None))
        await at.press("ctrl+r")
        assert "6379/tcp" in (table.cursor_key or "")
        assert "redis-server listens on 0.0.0.0" in at.text()


async def test_the_laptops_alert_leads_to_the_checks(cockpit: OpenCockpit) -> None:
    backend = FakeBackend(fake.calm())
    outside = Finding("laptop", "", "you", Standing.ERROR, "this laptop is not in the VPN: Stopped")
    backend.morning_told = Morning(Report(0.0, (outside,)), Since(None))
    async with cockpit(backend=backend) as at:
        await looked(at, backend)
        at.app.screen.query_one("#alerts", SafeTable).focus()
        await at.press("enter")
        assert at.screen == "ChecksScreen"
