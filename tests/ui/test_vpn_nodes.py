"""Mode 5: what is asked before nodes, users and keys are changed."""

from __future__ import annotations

from textual.widgets import Button, Input

from vpai_tui.errors import UsageError
from vpai_tui.vpn.guard import Action, Verdict
from vpai_tui.widgets.safe_table import SafeTable

from . import fake_vpn as vpn
from .conftest import OpenCockpit
from .fake_vpn import FakeVpn
from .vpn_kit import BOTH, Picture, Size, command, did, on, screen_of, to_node, without_toasts

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
        assert did(found, "judge") == [("judge", ("expire", "delete"), (1,))], "one look for both"
        assert did(found, "delete", "expire") == [("delete", (1,), ("sese",))]
        assert "deleted: sese" in at.toasts()


@BOTH
async def test_many_are_expired_by_their_number(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeVpn()
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("5", "j", "space", "j", "space", "space", "space")
        await command(at, "node expire")
        await at.type("4 nodes")
        picture(at, "expire-many")
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


@BOTH
async def test_a_name_that_is_refused_comes_back_with_the_reason(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    found = FakeVpn()
    async with cockpit(backend=on(found), size=size) as at:
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


@BOTH
async def test_tags_move_and_register(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeVpn()
    async with cockpit(backend=on(found), size=size) as at:
        await to_node(at, "seko")
        await command(at, "node tags")
        at.app.screen.query_one("#field-tags", Input).value = "tag:web tag:db"
        await at.press("enter")
        await command(at, "node move")
        await at.type("guest")
        await at.press("enter")
        await command(at, "register")
        await without_toasts(at)
        picture(at, "register")
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
        await at.press("5", "a")
        picture(at, "add")
        await at.press("right", "enter")
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
        await without_toasts(at)
        picture(at, "key-shown")
        assert vpn.SECRET in "".join(at.text().split())
        assert at.app.screen.query_one("#show", Button).disabled
        await at.press("escape")
        assert not any(vpn.SECRET in text for text in (at.text(), *at.toasts()))
        assert did(found, "create_key")[0][3:] == (True, False, ())


@BOTH
async def test_keys_and_users_are_listed_and_changed(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeVpn()
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("5")
        await command(at, "keys")
        assert [row.cells["state"][0] for row in at.app.screen.query_one(SafeTable).rows] == ["✔ usable", "◌ over"]
        assert not at.app.screen.query("#answer-delete")  # this server cannot
        picture(at, "keys")
        await at.press("tab", "tab", "enter")
        picture(at, "expire-key")
        await at.press("right", "enter")
        await command(at, "users")
        await without_toasts(at)
        picture(at, "users")
        await at.press("j", "tab", "tab", "tab", "enter")
        await at.type("guest")
        await without_toasts(at)
        picture(at, "delete-user")
        await at.press("enter")
        assert did(found, "expire_key", "delete_user") == [("expire_key", 1), ("delete_user", "guest", ("guest",))]
