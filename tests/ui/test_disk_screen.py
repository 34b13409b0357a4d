"""What fills a disk, and freeing it; a host beside Docker: shown, asked, refused, gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.model import Disk
from vpai_tui.fleet.operation import Finished, Outcome
from vpai_tui.screens.disk import DiskScreen
from vpai_tui.screens.machine import MachineScreen
from vpai_tui.widgets.safe_table import SafeTable

from . import fake_fleet as fake
from .conftest import SHORT, TALL, Cockpit, OpenCockpit
from .fake_backend import FakeBackend
from .fake_machines import AT, FakeDisks, FakeMachines, usage
from .vpn_kit import without_toasts

Picture = Callable[[Cockpit, str], None]
BOTH = pytest.mark.parametrize("size", [SHORT, TALL], ids=["80x24", "120x40"])


async def said(at: Cockpit, words: str) -> None:
    await at.press("colon")
    await at.type(words)
    await at.press("enter")


def rows(at: Cockpit) -> list[str]:
    return [row.key for row in at.app.screen.query_one("#main-table", SafeTable).rows]


async def to_row(at: Cockpit, key: str) -> None:
    table = at.app.screen.query_one("#main-table", SafeTable)
    for _ in range(len(table.rows)):
        if table.cursor_key == key:
            return
        await at.press("j")
    assert table.cursor_key == key


# ── disks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@BOTH
async def test_what_fills_it_and_when_it_is_full(cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]) -> None:
    async with cockpit(fake.calm(), size) as at:
        await said(at, "disk sese")
        assert isinstance(at.app.screen, DiskScreen)
        assert "full on 2026-03-10, 768M a day" in at.text()
        assert "no date: it does not fill by" in at.text()
        assert rows(at)[:4] == ["images-used", "images-kept", "images-named", "images-nobody"]
        await to_row(at, "logs")
        assert "no end set: vpai-litellm-1" in at.text()
        picture(at, "disk")
        await at.press("escape")
        assert at.screen == "FleetScreen"


async def test_it_is_measured_once_and_again_on_request(cockpit: OpenCockpit, picture: Picture) -> None:
    async with cockpit(fake.calm()) as at:
        disks = at.backend.fake_disks = FakeDisks()
        disks.held = asyncio.Event()
        await at.press("colon")
        await at.type("disk sese")
        await at.pilot.press("enter")
        await at.pilot.pause(0.1)
        at.app.redraw()
        await at.pilot.pause()
        assert "sese is measured; that may take a minute" in at.text()
        picture(at, "disk-measuring")
        disks.held.set()
        await at.settle()
        assert disks.asked == [("sese", True)]
        disks.usage = usage(notes=("the engine does not answer",))
        await at.press("ctrl+r")
        assert disks.asked == [("sese", True)] * 2
        assert "the engine does not answer" in at.text()


async def test_a_host_that_cannot_be_asked_says_why(cockpit: OpenCockpit, picture: Picture) -> None:
    async with cockpit(fake.calm()) as at:
        at.backend.fake_disks = FakeDisks()
        at.backend.fake_disks.problem = OperatorError("no answer within 90 s", host="sese", remedy="try again")
        await said(at, "disk sese")
        assert at.screen == "ErrorDialog"
        await at.press("escape")
        assert "no answer within 90 s" in at.text()
        picture(at, "disk-error")


async def test_a_host_that_goes_keeps_what_was_seen(cockpit: OpenCockpit, picture: Picture) -> None:
    async with cockpit(fake.calm()) as at:
        await said(at, "disk pi")
        at.backend.put(fake.without_pi())
        await at.settle()
        assert "pi is gone" in at.text()
        assert rows(at)
        picture(at, "disk-stale")


@BOTH
async def test_a_plan_is_read_asked_and_followed(cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]) -> None:
    async with cockpit(fake.calm(), size) as at:
        disks = at.backend.fake_disks = FakeDisks()
        await said(at, "disk sese")
        await at.press("X")
        assert at.screen == "Confirm"
        assert disks.asked[-1] == ("sese", False)
        assert "all volumes" in at.text()
        picture(at, "disk-plan")
        await at.press("escape")
        assert disks.typed == []
        await at.press("X")
        await at.press("tab", "enter")
        assert at.screen == "DiskRunScreen"
        assert disks.typed == [""]
        assert "5.0 GiB came free" in at.text()
        assert "stays: <none> 000000000006: a container or a release needs it by now" in " ".join(at.text().split())
        await without_toasts(at)
        picture(at, "disk-freed")
        await at.press("escape")
        assert at.screen == "DiskScreen"
        assert disks.asked[-1] == ("sese", True)  # measured again


async def test_what_cannot_be_fetched_again_is_typed(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.calm()) as at:
        disks = at.backend.fake_disks = FakeDisks()
        images = tuple(
            replace(it, digests=()) if it.tags[:1] == ("ghcr.io/demo/tried-once:1",) else it
            for it in disks.usage.images
        )
        disks.usage = replace(disks.usage, images=images)
        await said(at, "disk prune sese")
        assert "Type sese to go on" in at.text()
        await at.type("sese")
        await at.press("enter")
        assert disks.typed == ["sese"]


async def test_nothing_to_free_is_said_and_read_only_refuses(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.calm()) as at:
        at.backend.fake_disks = FakeDisks()
        at.backend.fake_disks.usage = replace(usage(), images=(), cache=(), apt_bytes=0)
        await said(at, "disk prune sese")
        assert "sese: nobody leaves anything to free" in at.toasts()
    async with cockpit(fake.calm(), read_only=True) as at:
        await said(at, "disk sese")
        await at.press("X")
        assert at.screen == "DiskScreen"
        assert "read-only: disk prune is refused" in at.toasts()


async def test_the_alert_of_a_disk_leads_there(cockpit: OpenCockpit) -> None:
    from vpai_tui.fleet.alerts import alerts

    calm = fake.calm()
    host = next(it for it in calm.hosts if it.name == "sese")
    assert host.metrics is not None
    full = replace(host, metrics=replace(host.metrics, disks=(Disk("/", 100, 97, 3),)))
    hosts = tuple(full if it is host else it for it in calm.hosts)
    snapshot = replace(calm, hosts=hosts, alerts=alerts(hosts, (), ()))
    assert "vpai-tui disk sese" in snapshot.alerts[0].remedy
    async with cockpit(snapshot) as at:
        at.app.screen.query_one("#alerts").focus()
        await at.press("enter")
        assert isinstance(at.app.screen, DiskScreen)
        assert at.app.screen.host == "sese"


# ── beside Docker ────────────────────────────────────────────────────────────────────────────────────────────────────


@BOTH
async def test_guards_ports_units_and_bans(cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]) -> None:
    async with cockpit(fake.calm(), size) as at:
        await said(at, "guard sese")
        assert isinstance(at.app.screen, MachineScreen)
        assert "2 of 3 guards up" in at.text()
        assert rows(at)[:5] == ["guard:ufw", "guard:fail2ban", "guard:crowdsec", "port:443/tcp", "port:6379/tcp"]
        await to_row(at, "port:6379/tcp")
        picture(at, "guard")


async def test_a_ban_is_lifted_and_a_unit_restarted(cockpit: OpenCockpit, picture: Picture) -> None:
    async with cockpit(fake.calm()) as at:
        machines = at.backend.fake_machines = FakeMachines()
        await said(at, "guard sese")
        await at.press("X")
        assert "this row is no ban" in at.toasts()
        await to_row(at, "unit:opencode.service")
        await at.press("R")
        await at.press("tab", "enter")
        assert machines.done == [("restart", "opencode.service", "")]
        await to_row(at, "ban:203.0.113.7:fail2ban sshd")
        await at.press("X")
        assert "fail2ban-client set sshd banip 203.0.113.7" in at.text()
        await without_toasts(at)
        picture(at, "guard-unban")
        await at.press("tab", "enter")
        assert machines.done[-1] == ("unban", "203.0.113.7", "sshd")


async def test_a_restart_that_fails_is_shown_and_a_grave_one_typed(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.calm()) as at:
        machines = at.backend.fake_machines = FakeMachines()
        machines.outcome = Finished(AT, Outcome.FAILED, "", "tailscaled.service is failed: journalctl -u it")
        await said(at, "guard sese")
        await to_row(at, "unit:tailscaled.service")
        await at.press("R")
        assert "Type tailscaled.service to go on" in at.text()
        await at.type("tailscaled.service")
        await at.press("enter")
        assert machines.done == [("restart", "tailscaled.service", "tailscaled.service")]
        assert at.screen == "ErrorDialog"
        assert "journalctl" in at.text()


async def test_a_machine_that_cannot_be_asked(cockpit: OpenCockpit) -> None:
    backend = FakeBackend(fake.calm())
    backend.fake_machines = FakeMachines()
    backend.fake_machines.problem = OperatorError("the answer is cut", host="sese")
    async with cockpit(backend=backend) as at:
        await said(at, "guard sese")
        assert at.screen == "ErrorDialog"
        await at.press("escape")
        assert "the answer is cut" in at.text()
        await at.press("R")
        assert "look at a host first: guard HOST" in at.toasts()
