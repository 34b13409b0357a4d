"""Mode 5: records are staged, compared, applied and followed to their proof."""

from __future__ import annotations

from textual.widgets import Button, Input

from vpai_tui.errors import PreflightRefused
from vpai_tui.fleet.operation import Finished, Journaled, Outcome, RevertStarted

from . import fake_mesh as mesh
from . import fake_vpn as vpn
from .conftest import OpenCockpit
from .fake_vpn import FakeVpn
from .vpn_kit import BOTH, Picture, Size, command, did, on, screen_of, shown

# -- records --------------------------------------------------------------------------------------------------------


@BOTH
async def test_what_is_staged_is_marked_and_undone(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeVpn(mesh.make_snapshot(dns=mesh.make_dns(mesh.STAGED)))
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
    found = FakeVpn(mesh.make_snapshot(dns=mesh.make_dns(mesh.STAGED)))
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("5", "tab", "d")
        assert at.screen == "DiffDialog"
        assert "+ draw.example A 100.64.0.1" in at.text()
        picture(at, "diff")
        await at.press("G")
        assert "one restart of Headscale" in at.text()
        await at.press("tab", "tab", "enter")
        assert "Apply 3 records on seko?" in at.text()


@BOTH
async def test_records_are_added_edited_and_removed_on_the_laptop_only(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    found = FakeVpn()
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("5", "tab", "a")
        await at.type("draw.example")
        await at.press("enter", "enter")
        await at.type("sese")
        await at.press("enter")
        assert did(found, "add") == [("add", "draw.example", "A", "sese")]
        record = screen_of(at).record()
        assert record is not None and record.record.name == "draw.example"  # the cursor is on what was staged
        assert at.toasts() == []  # which no word covers
        await at.press("g", "j", "e")
        at.app.screen.query_one("#field-value", Input).value = "100.64.0.1"
        at.app.screen.query_one("#act", Button).press()
        await at.settle()
        assert did(found, "change") == [("change", mesh.RECORDS[1], "mayi.example", "A", "100.64.0.1")]
        await at.press("G", "k", "space", "X")
        assert at.screen == "VpnScreen"  # nothing is asked: it only stages
        assert did(found, "remove_all") == [("remove_all", (mesh.RECORDS[7],))]
        await command(at, "dns retarget")
        picture(at, "retarget")
        at.app.screen.query_one("#field-old", Input).value = "100.64.0.14"
        at.app.screen.query_one("#field-new", Input).value = "100.64.0.21"
        await at.settle()
        at.app.screen.query_one("#act", Button).press()
        await at.settle()
        assert did(found, "retarget") == [("retarget", "100.64.0.14", "100.64.0.21")]
        assert did(found, "apply") == []


async def test_marked_records_get_one_value_in_one_step(cockpit: OpenCockpit) -> None:
    found = FakeVpn()
    async with cockpit(backend=on(found)) as at:
        await at.press("5", "tab", "j", "space", "space", "e")
        assert "Edit 2 records" in at.text()
        await at.type("workstation-pi")
        await at.press("enter")
        assert did(found, "change_all") == [("change_all", mesh.RECORDS[1:3], "workstation-pi")]
        assert not screen_of(at).marks["dns"]
        assert "2 staged" in at.text()
        await at.press("u")
        assert "staged" not in at.text()


async def test_what_is_doubtful_is_staged_with_a_warning(cockpit: OpenCockpit) -> None:
    found = FakeVpn()
    found.warnings = ("mayi.example A 100.64.0.1: this name has several addresses of one family",)
    async with cockpit(backend=on(found)) as at:
        await at.press("5", "tab", "a")
        await at.type("mayi.example")
        await at.press("enter", "enter")
        await at.type("workstation-pi")
        await at.press("enter")
        assert at.toasts() == list(found.warnings)


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
    found = FakeVpn(mesh.make_snapshot(dns=mesh.make_dns(mesh.STAGED)))
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("5", "A")
        assert "one restart of Headscale on seko" in at.text()
        assert "back after 5 to 10 s" in at.text()
        assert "you come through the VPN (100.64.0.7)" in at.text()
        assert at.app.focused is not None
        assert at.app.focused.id == "cancel"
        picture(at, "apply")
        await at.press("right", "enter")
        assert at.screen == "VpnRunScreen"
        assert "8 records in the file, 6 nodes answer" in at.text()
        picture(at, "applied")
        await at.press("escape")
        assert at.screen == "VpnScreen"


@BOTH
async def test_an_apply_under_way_and_one_that_was_taken_back(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    found = FakeVpn(mesh.make_snapshot(dns=mesh.make_dns(mesh.STAGED)))
    found.script = vpn.COMMITTED[:5]
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("5", "A", "right", "enter")
        assert "… installed" in at.text()
        picture(at, "applying")
        await at.press("escape", "A")
        assert "dns seko/dns is still running on seko" in at.toasts()[-1]
        found.script = ()
        at.app.context.operations.all[-1].progress.add(
            Finished(mesh.AT, Outcome.REVERTED, "x", "Headscale did not come back", "cannot start")
        )
    found = FakeVpn(mesh.make_snapshot(dns=mesh.make_dns(mesh.STAGED)))
    back = RevertStarted(mesh.AT, "the records before", "Headscale did not answer in 25 s")
    end = Finished(mesh.AT, Outcome.REVERTED, "x", "Headscale did not come back: it was restored", "FTL cannot start")
    found.script = (*vpn.COMMITTED[:7], back, Journaled(mesh.AT, "restored"), end)
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("5", "A", "right", "enter")
        assert "reverted" in at.text()
        assert "what was staged is staged still" in at.text()
        assert "FTL cannot start" in at.text()
        picture(at, "reverted")


@BOTH
async def test_an_interrupted_apply_drift_and_conflicts_say_what_to_do(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    dns = mesh.make_dns(
        mesh.STAGED,
        interrupted="20260226T225500Z-9f01",
        drift="another writer changed the records since your last apply: 1 new, 0 gone",
        conflicts=("remove ghost.example A 100.64.0.99: the record is not there any more",),
    )
    found = FakeVpn(mesh.make_snapshot(dns=dns))
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("5", "tab")
        assert "was interrupted" in at.text()
        assert "another writer changed the records" in at.text()
        assert "does not fit any more" in at.text()
        picture(at, "interrupted")
        await command(at, "dns settle")
        picture(at, "settle")
        await at.press("right", "enter")
        assert did(found, "settle") == [("settle", "20260226T225500Z-9f01")]
        assert "the records before are back" in at.text()


@BOTH
async def test_discarding_is_asked(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeVpn(mesh.make_snapshot(dns=mesh.make_dns(mesh.STAGED)))
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("5", "tab")
        await command(at, "dns discard")
        assert "they must be typed again" in at.text()
        picture(at, "discard")
        await at.press("enter")
        assert did(found, "discard") == []
        await command(at, "dns discard")
        await at.press("right", "enter")
        assert did(found, "discard") == [("discard",)]
        await command(at, "dns export")
        assert at.app.clipboard == "nodes_extra_records:\n  - {}\n"
