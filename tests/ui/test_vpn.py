"""Mode 5: nodes and records, what is asked before something is done, and what is said when nothing answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from textual.widgets import Button, Input

from vpai_tui.errors import HostUnreachable, PreflightRefused, UsageError
from vpai_tui.fleet.model import Severity
from vpai_tui.fleet.operation import Finished, Journaled, Outcome, RevertStarted
from vpai_tui.screens.vpn import VpnScreen
from vpai_tui.vpn.dns.lint import Problem
from vpai_tui.vpn.guard import Action, Verdict
from vpai_tui.widgets.safe_table import SafeTable
from vpai_tui.widgets.vpn_look import VpnLook

from . import fake_backend as fake
from . import fake_vpn as vpn
from .conftest import SHORT, TALL, Cockpit, OpenCockpit
from .fake_backend import FakeBackend
from .fake_vpn import FakeVpn

Picture = Callable[[Cockpit, str], None]
Size = tuple[int, int]
BOTH = pytest.mark.parametrize("size", [SHORT, TALL], ids=["80x24", "120x40"])


def on(found: FakeVpn) -> FakeBackend:
    backend = FakeBackend(fake.calm())
    backend.fake_vpn = found
    return backend


def screen_of(at: Cockpit) -> VpnScreen:
    screen = at.app.cockpit
    assert isinstance(screen, VpnScreen)
    return screen


def shown(at: Cockpit, *columns: str) -> list[str]:
    table = screen_of(at).table
    return [" ".join(row.cells[column][0] for column in columns).strip() for row in table.rows]


def did(found: FakeVpn, *names: str) -> list[tuple[object, ...]]:
    return [asked for asked in found.asked if asked[0] in names]


async def to_node(at: Cockpit, name: str) -> None:
    await at.press("5")
    screen_of(at).reveal(name)
    await at.press("escape")


async def command(at: Cockpit, words: str) -> None:
    await at.press("colon")
    await at.type(words)
    await at.press("enter")


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
    settings = replace(vpn.SETTINGS, override_local_dns=False, split=(("other.example", ()),))
    trap = Problem(Severity.WARN, "override_local_dns is false: clients ask their own resolver")
    found = FakeVpn(vpn.make_snapshot(dns=vpn.make_dns(settings=settings, problems=(trap,), loaded=None)))
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("5", "tab", "enter")
        assert "override_local_dns is false" in at.text()
        assert "no split zone holds this name" in " ".join(screen_of(at)._detail.text.split())
        picture(at, "record")


async def test_a_split_zone_without_servers_is_told_on_the_names_below_it(cockpit: OpenCockpit) -> None:
    settings = replace(vpn.SETTINGS, override_local_dns=False, split=(("example", ()),))
    async with cockpit(backend=on(FakeVpn(vpn.make_snapshot(dns=vpn.make_dns(settings=settings))))) as at:
        await at.press("5", "tab", "enter")
        assert "every name below it that no record lists is gone" in " ".join(screen_of(at)._detail.text.split())


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
    async with cockpit(backend=on(FakeVpn(vpn.down())), size=size) as at:
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


async def test_nothing_known_yet_says_so_and_the_keys_go_on(cockpit: OpenCockpit, picture: Picture) -> None:
    found = FakeVpn()
    async with cockpit(backend=on(found)) as at:
        at.app.context.vpn = VpnLook()
        found.hangs = True
        at.app.vpn_watch.again()
        await at.pilot.press("5")
        await at.pilot.pause(0.2)
        assert "asking Headscale" in at.text()
        picture(at, "loading")
        await at.pilot.press("tab", "1")
        assert at.screen == "FleetScreen"
        found.hangs = False


async def test_a_fleet_without_a_hub(cockpit: OpenCockpit) -> None:
    found = FakeVpn(UsageError("the fleet has no VPN hub", remedy="set hub: true on a host"))
    async with cockpit(backend=on(found)) as at:
        await at.press("5")
        assert "the fleet has no VPN hub" in at.text()
        assert "→ set hub: true on a host" in at.text()


@BOTH
async def test_read_only_hides_and_refuses_every_change(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeVpn(vpn.make_snapshot(dns=vpn.make_dns(vpn.STAGED)))
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


async def test_no_colour(cockpit: OpenCockpit, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with cockpit(backend=on(FakeVpn(vpn.make_snapshot(dns=vpn.make_dns(vpn.STAGED))))) as at:
        await at.press("5", "tab", "G")
        picture(at, "dns-no-color")


# -- nodes ----------------------------------------------------------------------------------------------------------


@BOTH
async def test_deleting_a_node_names_what_depends_on_it_and_wants_its_name(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    found = FakeVpn()
    async with cockpit(backend=on(found), size=size) as at:
        await to_node(at, "sese")
        await at.press("X")
        assert at.screen == "Confirm"
        assert "record mayi.example" in at.text()
        assert "stack sese/apps" in at.text()
        await at.press("enter")
        assert at.app.screen.query_one("#answer-delete", Button).disabled
        await at.type("sese")
        picture(at, "delete")
        await at.press("tab", "tab", "tab", "enter")
        assert did(found, "delete", "expire") == [("delete", (1,), ("sese",))]
        assert "deleted: sese" in at.toasts()


async def test_many_are_expired_by_their_number(cockpit: OpenCockpit) -> None:
    found = FakeVpn()
    async with cockpit(backend=on(found)) as at:
        await at.press("5", "j", "space", "j", "space", "space", "space")
        await command(at, "node expire")
        await at.type("4 nodes")
        await at.press("enter")
        assert did(found, "expire") == [("expire", (1, 4, 5, 6), ("4 nodes",))]
        assert not screen_of(at).marks["nodes"]


@BOTH
async def test_the_way_in_and_the_hub_are_refused_with_the_reason(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    found = FakeVpn()
    found.verdict = Verdict(Action.DELETE, ("ewutelo",), "ewutelo is the machine you are connected through")
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("5", "X")
        assert "is the machine you are connected through" in at.text()
        assert not at.app.screen.query("#answer-delete")
        picture(at, "refused")
        await at.press("enter")
        assert did(found, "delete", "expire") == []


@BOTH
async def test_edits_that_the_server_cannot_do_say_why(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    async with cockpit(backend=on(FakeVpn()), size=size) as at:
        await at.press("5", "e")
        assert "no key's end: before 0.27.1" in at.text()
        picture(at, "edit-node")
        await at.press("escape")
        await command(at, "node expiry")
        assert at.screen == "Palette"  # it is not offered
        await at.press("escape", "question_mark")
        assert "node expiry" in "\n".join(
            "".join(text for text, _ in row) for row in at.app.screen.query_one("#help-lines")._rows
        )


async def test_a_name_that_is_refused_comes_back_with_the_reason(cockpit: OpenCockpit, picture: Picture) -> None:
    found = FakeVpn()
    async with cockpit(backend=on(found)) as at:
        await at.press("5", "j")
        await command(at, "node rename")
        line = at.app.screen.query_one("#field-name", Input)
        assert line.value == "old-phone"
        line.value = "Old Phone"
        found.fails = UsageError("'Old Phone' is no node name", remedy="2 to 63 characters of a-z, 0-9 and -")
        await at.press("enter")
        assert at.screen == "Form"
        assert at.app.screen.query_one("#field-name", Input).value == "Old Phone"
        assert "is no node name" in at.text()
        picture(at, "form-refused")
        found.fails = None
        at.app.screen.query_one("#field-name", Input).value = "phone-2"
        await at.press("enter")
        assert did(found, "rename")[-1] == ("rename", 5, "phone-2")
        assert "old-phone is now phone-2" in at.toasts()


async def test_tags_move_and_register(cockpit: OpenCockpit) -> None:
    found = FakeVpn()
    async with cockpit(backend=on(found)) as at:
        await to_node(at, "seko")
        await command(at, "node tags")
        at.app.screen.query_one("#field-tags", Input).value = "tag:web tag:db"
        await at.press("enter")
        await command(at, "node move")
        await at.type("guest")
        await at.press("enter")
        await command(at, "register")
        at.app.screen.query_one("#field-url", Input).value = "https://singa.example/register/AAAA"
        await at.press("enter", "enter")
        assert did(found, "tag", "move", "register") == [
            ("tag", 3, ("tag:db", "tag:web"), ("tag:hub",)),
            ("move", 3, "guest"),
            ("register", "https://singa.example/register/AAAA", "mobuone"),
        ]


@BOTH
async def test_both_exit_routes_go_together(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeVpn()
    async with cockpit(backend=on(found), size=size) as at:
        await to_node(at, "seko")
        await command(at, "node routes")
        await at.press("space")
        picture(at, "routes")
        await at.press("tab", "tab", "enter")
        assert did(found, "judge_routes") == [("judge_routes", 3, ("0.0.0.0/0", "::/0"), ())]
        assert "an exit node" in at.text()
        await at.press("right", "enter")
        assert did(found, "routes") == [("routes", 3, ("0.0.0.0/0", "::/0"), (), ())]


# -- users and keys -------------------------------------------------------------------------------------------------


@BOTH
async def test_a_key_is_masked_until_it_is_asked_for(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeVpn()
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("5", "a", "right", "enter")
        assert at.screen == "Form"
        picture(at, "key-form")
        at.app.screen.query_one("#field-uses", Input).value = "some"
        await at.press("enter", "enter", "enter", "enter", "enter")
        assert "neither many nor once" in at.text()
        at.app.screen.query_one("#field-uses", Input).value = "many"
        await at.press("enter", "enter", "enter", "enter", "enter")
        assert at.screen == "KeyDialog"
        assert vpn.SECRET[:8] not in at.text()
        picture(at, "key-masked")
        await at.press("c")
        assert at.app.clipboard == vpn.NEW_KEY.line
        assert vpn.SECRET[:8] not in at.text()
        at.app.screen.query_one("#show", Button).press()
        await at.settle()
        assert vpn.SECRET in "".join(at.text().split())
        assert at.app.screen.query_one("#show", Button).disabled
        await at.press("escape")
        assert not any(vpn.SECRET in text for text in (at.text(), *at.toasts()))
        assert did(found, "create_key")[0][3:] == (True, False, ())


async def test_keys_and_users_are_listed_and_changed(cockpit: OpenCockpit, picture: Picture) -> None:
    found = FakeVpn()
    async with cockpit(backend=on(found)) as at:
        await at.press("5")
        await command(at, "keys")
        assert [row.cells["state"][0] for row in at.app.screen.query_one(SafeTable).rows] == ["✔ usable", "◌ over"]
        assert not at.app.screen.query("#answer-delete")  # this server cannot
        picture(at, "keys")
        await at.press("tab", "tab", "enter", "right", "enter")
        await command(at, "users")
        picture(at, "users")
        await at.press("j", "tab", "tab", "tab", "enter")
        await at.type("guest")
        await at.press("enter")
        assert did(found, "expire_key", "delete_user") == [("expire_key", 1), ("delete_user", "guest", ("guest",))]


# -- records --------------------------------------------------------------------------------------------------------


@BOTH
async def test_what_is_staged_is_marked_and_undone(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeVpn(vpn.make_snapshot(dns=vpn.make_dns(vpn.STAGED)))
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("5", "tab")
        signs = dict(zip(shown(at, "name", "value"), shown(at, "sign"), strict=True))
        assert signs["draw.example 100.64.0.1"] == "+"
        assert signs["ghost.example 100.64.0.99"] == "-"
        assert signs["qd.example 100.64.0.14"] == "~"
        assert shown(at, "name", "sign")[3:5] == ["qd.example ~", "qd.example +"]
        assert "3 staged" in at.text()
        picture(at, "dns-staged")
        await at.press("u")
        assert "2 staged" in at.text()
        assert "undone: change qd.example" in at.toasts()[-1]


@BOTH
async def test_the_diff_as_records_and_as_yaml(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeVpn(vpn.make_snapshot(dns=vpn.make_dns(vpn.STAGED)))
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("5", "tab", "d")
        assert at.screen == "DiffDialog"
        assert "+ draw.example A 100.64.0.1" in at.text()
        picture(at, "diff")
        await at.press("G")
        assert "one restart of Headscale" in at.text()
        await at.press("tab", "tab", "enter")
        assert "Apply 3 records on seko?" in at.text()


async def test_records_are_added_edited_and_removed_on_the_laptop_only(cockpit: OpenCockpit) -> None:
    found = FakeVpn()
    async with cockpit(backend=on(found)) as at:
        await at.press("5", "tab", "a")
        await at.type("draw.example")
        await at.press("enter", "enter")
        await at.type("sese")
        await at.press("enter")
        assert did(found, "add") == [("add", "draw.example", "A", "sese")]
        await at.press("g", "j", "e")
        at.app.screen.query_one("#field-value", Input).value = "100.64.0.1"
        at.app.screen.query_one("#act", Button).press()
        await at.settle()
        assert did(found, "change") == [("change", vpn.RECORDS[1], "mayi.example", "A", "100.64.0.1")]
        await at.press("G", "k", "space", "X", "right", "enter")
        assert did(found, "remove_all") == [("remove_all", (vpn.RECORDS[7],))]
        await command(at, "dns retarget")
        at.app.screen.query_one("#field-old", Input).value = "100.64.0.14"
        at.app.screen.query_one("#field-new", Input).value = "100.64.0.21"
        await at.settle()
        at.app.screen.query_one("#act", Button).press()
        await at.settle()
        assert did(found, "retarget") == [("retarget", "100.64.0.14", "100.64.0.21")]
        assert did(found, "apply") == []


@BOTH
async def test_a_record_that_would_lock_out_is_refused_in_the_form(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    found = FakeVpn()
    found.fails = PreflightRefused(
        "singa.example A 100.64.0.2: singa.example is the control plane itself: clients that find 100.64.0.2 there "
        "cannot join again after a cut",
        host="seko",
        step="dns",
    )
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("5", "tab", "a")
        await at.type("singa.example")
        await at.press("enter", "enter")
        await at.type("100.64.0.2")
        await at.press("enter")
        assert at.screen == "Form"
        assert at.app.screen.query_one("#field-name", Input).value == "singa.example"
        assert "there cannot join again" in at.text()
        picture(at, "record-refused")


@BOTH
async def test_an_apply_is_asked_once_and_followed_to_its_proof(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    found = FakeVpn(vpn.make_snapshot(dns=vpn.make_dns(vpn.STAGED)))
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("5", "A")
        assert "one restart of Headscale on seko" in at.text()
        assert "back after 5 to 10 s" in at.text()
        assert at.app.focused is not None
        assert at.app.focused.id == "cancel"
        picture(at, "apply")
        await at.press("right", "enter")
        assert at.screen == "VpnRunScreen"
        assert "8 records in the file, 6 nodes answer" in at.text()
        picture(at, "applied")
        await at.press("escape")
        assert at.screen == "VpnScreen"


async def test_an_apply_under_way_and_one_that_was_taken_back(cockpit: OpenCockpit, picture: Picture) -> None:
    found = FakeVpn(vpn.make_snapshot(dns=vpn.make_dns(vpn.STAGED)))
    found.script = vpn.COMMITTED[:5]
    async with cockpit(backend=on(found)) as at:
        await at.press("5", "A", "right", "enter")
        assert "… installed" in at.text()
        picture(at, "applying")
        await at.press("escape", "A")
        assert "dns seko/dns is still running on seko" in at.toasts()[-1]
        found.script = ()
        at.app.context.operations.all[-1].progress.add(
            Finished(vpn.AT, Outcome.REVERTED, "x", "Headscale did not come back", "cannot start")
        )
    found = FakeVpn(vpn.make_snapshot(dns=vpn.make_dns(vpn.STAGED)))
    back = RevertStarted(vpn.AT, "the records before", "Headscale did not answer in 25 s")
    end = Finished(vpn.AT, Outcome.REVERTED, "x", "Headscale did not come back: it was restored", "FTL cannot start")
    found.script = (*vpn.COMMITTED[:7], back, Journaled(vpn.AT, "restored"), end)
    async with cockpit(backend=on(found)) as at:
        await at.press("5", "A", "right", "enter")
        assert "reverted" in at.text()
        assert "what was staged is staged still" in at.text()
        assert "FTL cannot start" in at.text()
        picture(at, "reverted")


@BOTH
async def test_an_interrupted_apply_drift_and_conflicts_say_what_to_do(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    dns = vpn.make_dns(
        vpn.STAGED,
        interrupted="20260226T225500Z-9f01",
        drift="another writer changed the records since your last apply: 1 new, 0 gone",
        conflicts=("remove ghost.example A 100.64.0.99: the record is not there any more",),
    )
    found = FakeVpn(vpn.make_snapshot(dns=dns))
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("5", "tab")
        assert "was interrupted" in at.text()
        assert "another writer changed the records" in at.text()
        assert "does not fit any more" in at.text()
        picture(at, "interrupted")
        await command(at, "dns settle")
        await at.press("right", "enter")
        assert did(found, "settle") == [("settle", "20260226T225500Z-9f01")]
        assert "the records before are back" in at.text()


async def test_discarding_is_asked(cockpit: OpenCockpit) -> None:
    found = FakeVpn(vpn.make_snapshot(dns=vpn.make_dns(vpn.STAGED)))
    async with cockpit(backend=on(found)) as at:
        await at.press("5", "tab")
        await command(at, "dns discard")
        assert "they must be typed again" in at.text()
        await at.press("enter")
        assert did(found, "discard") == []
        await command(at, "dns discard")
        await at.press("right", "enter")
        assert did(found, "discard") == [("discard",)]
        await command(at, "dns export")
        assert at.app.clipboard == "nodes_extra_records:\n  - {}\n"
