"""Mode 5: nodes and records as they are, and what is said when nothing answers."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from vpai_tui.errors import HostUnreachable, UsageError
from vpai_tui.fleet.model import Severity
from vpai_tui.vpn.dns.lint import Problem
from vpai_tui.vpn.model import Server
from vpai_tui.widgets.vpn_look import VpnLook

from . import fake_fleet as fake
from . import fake_mesh as mesh
from .conftest import OpenCockpit
from .fake_vpn import FakeVpn
from .vpn_kit import BOTH, Picture, Size, command, did, on, screen_of, shown, to_node

# -- looking --------------------------------------------------------------------------------------------------------


@BOTH
async def test_the_nodes_with_what_each_is(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    async with cockpit(backend=on(FakeVpn()), size=size) as at:
        await at.press("5")
        assert shown(at, "name", "state") == [
            "ewutelo ✔ online", "old-phone ✖ expired", "seko ✔ online", "sese ✔ online", "tablet ◌ offline 3 d",
            "workstation-pi ✔ online",
        ]  # fmt: skip
        assert "▲ 9 d" in shown(at, "expiry")
        assert "▲ 0/1 pending" in at.text()
        assert {"name", "state", "marks", "expiry"} <= set(screen_of(at).table.visible_columns())
        picture(at, "nodes")


@BOTH
async def test_all_that_is_known_of_a_node(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    async with cockpit(backend=on(FakeVpn()), size=size) as at:
        await to_node(at, "sese")
        await at.press("enter")
        assert "in 9d0h" in at.text()
        picture(at, "node")
        text = screen_of(at)._detail.text
        assert "mayi.example A 100.64.0.14" in text
        assert "stack sese/apps" in text
        assert "before 0.27.1 setting a date" in " ".join(text.split())
        assert "▲ pending: advertised, not approved" in " ".join(text.split())
        await at.press("enter", "G")
        assert "singa.example" in at.text()  # the end of it, scrolled to
        await at.press("escape")
        assert screen_of(at).table.has_focus


async def test_nodes_are_filtered_sorted_marked_and_copied(cockpit: OpenCockpit) -> None:
    async with cockpit(backend=on(FakeVpn())) as at:
        await at.press("5", "o")
        assert shown(at, "name")[:2] == ["old-phone", "tablet"]  # by state: what needs somebody first
        await at.press("slash")
        await at.type("guest")
        await at.press("enter")
        assert shown(at, "name") == ["old-phone", "tablet"]
        await at.press("g", "space", "space", "c")
        assert at.app.clipboard == "old-phone 100.64.0.9\ntablet 100.64.0.11"
        await at.press("escape", "escape")
        assert not screen_of(at).marks["nodes"]
        assert len(shown(at, "name")) == 6


async def test_what_was_off_for_long_is_marked_at_once(cockpit: OpenCockpit) -> None:
    async with cockpit(backend=on(FakeVpn())) as at:
        await at.press("5")
        await command(at, "mark stale 2")
        assert [it.node.name for it in screen_of(at).nodes()] == ["old-phone", "tablet"]
        await command(at, "mark stale")
        assert [it.node.name for it in screen_of(at).nodes()] == ["old-phone"]


@BOTH
async def test_the_records_with_what_is_wrong(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeVpn()
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("5", "tab", "G")
        assert shown(at, "name", "resolves")[-2:] == ["old.example ✔ yes", "ghost.example ✖ no"]
        assert "no node has this address" in at.text()
        picture(at, "dns")
        before = len(did(found, "snapshot"))
        await at.press("ctrl+r")
        assert ("snapshot", True) in did(found, "snapshot")[before:]


@BOTH
async def test_why_a_record_is_not_used_is_told_where_it_bites(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    settings = replace(mesh.SETTINGS, override_local_dns=False, split=(("other.example", ()),))
    trap = Problem(Severity.WARN, "override_local_dns is false: clients ask their own resolver")
    found = FakeVpn(mesh.make_snapshot(dns=mesh.make_dns(settings=settings, problems=(trap,), loaded=None)))
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("5", "tab", "enter")
        assert "override_local_dns is false" in at.text()
        assert "no split zone holds this name" in " ".join(screen_of(at)._detail.text.split())
        picture(at, "record")


async def test_a_split_zone_without_servers_is_told_on_the_names_below_it(cockpit: OpenCockpit) -> None:
    settings = replace(mesh.SETTINGS, override_local_dns=False, split=(("example", ()),))
    async with cockpit(backend=on(FakeVpn(mesh.make_snapshot(dns=mesh.make_dns(settings=settings))))) as at:
        await at.press("5", "tab", "enter")
        assert "every name below it that no record lists is gone" in " ".join(screen_of(at)._detail.text.split())


async def test_the_hub_is_known_by_its_service_without_a_mark_too(cockpit: OpenCockpit) -> None:
    known = fake.make_fleet()
    hosts = {name: msgspec.structs.replace(host, hub=False) for name, host in known.hosts.items()}
    found = FakeVpn()
    async with cockpit(backend=on(found), fleet=msgspec.structs.replace(known, hosts=hosts)) as at:
        assert "the key of node sese expires in 9 days" in at.text()
        assert did(found, "snapshot") == [("snapshot", False)]


async def test_alerts_of_the_vpn_reach_the_fleet_and_lead_to_the_node(cockpit: OpenCockpit) -> None:
    found = FakeVpn()
    async with cockpit(backend=on(found)) as at:
        assert "the key of node sese expires in 9 days" in at.text()
        assert did(found, "snapshot") == [("snapshot", False)]  # one look, not one a second
        at.app.screen.query_one("#alerts").focus()
        await at.press("enter")
        node = screen_of(at).node()
        assert node is not None
        assert node.node.name == "sese"


# -- when nothing answers -------------------------------------------------------------------------------------------


@BOTH
async def test_headscale_is_down_and_its_records_are_read_all_the_same(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    async with cockpit(backend=on(FakeVpn(mesh.down())), size=size) as at:
        await at.press("5")
        assert "the nodes are not known" in at.text()
        await at.press("tab")
        assert len(shown(at, "name")) == 8
        assert "Headscale does not answer" in at.text()
        picture(at, "headscale-down")
        await at.press("tab", "X")
        assert "Headscale does not answer" in at.toasts()[-1]


@BOTH
async def test_a_hub_that_is_gone_leaves_its_last_values_with_their_age(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    found = FakeVpn()
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("5")
        found.found = HostUnreachable(
            "no answer in 3 s", host="seko", step="tcp", remedy="its public address answers? ping 87.106.30.160"
        )
        at.clock.passed_s = 95
        await at.press("j")
        await at.settle()
        assert all(row.dim for row in screen_of(at).table.rows)
        assert "1m old" in at.text()
        assert "no answer in 3 s" in at.text()
        picture(at, "stale")


@BOTH
async def test_nothing_known_yet_says_so_and_the_keys_go_on(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeVpn()
    async with cockpit(backend=on(found), size=size) as at:
        at.app.context.vpn = VpnLook()
        found.hangs = True
        at.app.vpn_watch.again()
        await at.pilot.press("5")
        for _ in range(200):
            await at.pilot.pause(0.02)
            if at.text().count("asking Headscale") == 2:  # in the head and in the table
                break
        assert "asking Headscale" in at.text()
        picture(at, "loading")
        await at.pilot.press("tab", "1")
        assert at.screen == "FleetScreen"
        found.hangs = False


@BOTH
async def test_a_fleet_without_a_hub(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeVpn(UsageError("the fleet has no VPN hub", remedy="set hub: true on a host"))
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("5")
        assert "the fleet has no VPN hub" in at.text()
        assert "→ set hub: true on a host" in at.text()
        picture(at, "no-hub")


@BOTH
async def test_a_server_that_is_too_new_is_shown_and_not_changed(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    why = "Headscale 0.30.0 is newer than this client knows (0.29): read-only"
    server = Server("0.30.0", "https://singa.example", "0.30", (("write", why),))
    found = FakeVpn(mesh.make_snapshot(server=server))
    async with cockpit(backend=on(found), size=size) as at:
        await to_node(at, "sese")
        await at.press("enter")
        picture(at, "too-new")
        await at.press("escape", "X")
        assert why in " ".join(at.text().split())
        await at.press("tab", "X", "a", "e", "A")
        assert at.screen == "VpnScreen"
        assert did(found, "judge", "delete", "remove_all") == []


@BOTH
async def test_read_only_hides_and_refuses_every_change(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeVpn(mesh.make_snapshot(dns=mesh.make_dns(mesh.STAGED)))
    async with cockpit(backend=on(found), size=size, read_only=True) as at:
        await at.press("5")
        picture(at, "read-only")
        for key in ("X", "a", "e", "u", "A"):
            await at.press(key)
            assert at.screen == "VpnScreen"
        await at.press("tab", "X", "a", "e", "d")
        assert at.screen == "DiffDialog"
        assert not at.app.screen.query("#apply")
        assert {asked[0] for asked in found.asked} <= {"snapshot"}


@BOTH
async def test_no_colour(cockpit: OpenCockpit, picture: Picture, size: Size, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with cockpit(backend=on(FakeVpn(mesh.make_snapshot(dns=mesh.make_dns(mesh.STAGED)))), size=size) as at:
        await at.press("5")
        picture(at, "nodes-no-color")
        await at.press("tab", "G")
        picture(at, "dns-no-color")
