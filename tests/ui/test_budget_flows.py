"""Mode 4, the two knobs: asked, planned, shown, confirmed, followed to the proof, taken back."""

from __future__ import annotations

from textual.widgets import Button, Input

from vpai_tui.budget.prove import Proof
from vpai_tui.errors import LinkLost, PreflightRefused

from . import fake_budget as budget
from .budget_kit import BOTH, Picture, Size, command, did, on
from .conftest import OpenCockpit
from .fake_budget import FakeBudget


@BOTH
async def test_a_cap_is_typed_planned_confirmed_and_proven(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeBudget()
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("4")
        await at.press("M")
        assert at.screen == "Form"
        assert "$5.00 a day" in at.text()
        picture(at, "set-cap")
        await at.type("3")
        await at.press("enter")
        assert did(found, "plan_cap") == [("plan_cap", "3")]
        text = " ".join(at.text().split())
        for part in (
            "u, or `budget undo`",
            "$5.00 → $3.00",
            "answered by",
            "rendered by Ansible",
            "within 2",
            "until it is set again",
        ):
            assert part in text
        assert at.app.focused is not None
        assert at.app.focused.id == "cancel"
        picture(at, "confirm-cap")
        looks = len(did(found, "snapshot"))
        await at.press("right", "enter")
        assert did(found, "apply") == [("apply", "set the cap to $3.00 a day", "")]
        assert at.screen == "BudgetRunScreen"
        assert "✔ committed" in at.text()
        assert "the heartbeat, 1 s old, says cap 3.00" in at.text()
        picture(at, "cap-set")
        await at.press("escape")
        assert at.screen == "BudgetScreen"
        assert len(did(found, "snapshot")) > looks  # looked again at once


@BOTH
async def test_what_is_no_cap_comes_back_with_the_reason(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeBudget()
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("4")
        await at.press("M")
        await at.press("minus", "3", "enter")
        assert at.screen == "Form"
        assert at.app.screen.query_one("#field-cap", Input).value == "-3"
        assert "a cap of -3 is negative" in at.text()
        picture(at, "cap-refused")
        found.planned = PreflightRefused("Redis does not answer, so nothing can be set", host="sese", step="budget")
        at.app.screen.query_one("#field-cap", Input).value = "3"
        await at.press("enter")
        assert "Redis does not answer" in at.text()
        await at.press("escape")
        assert at.screen == "BudgetScreen"
        assert did(found, "apply") == []


@BOTH
async def test_the_mode_is_chosen_from_four_and_the_one_that_is_on_is_marked(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    found = FakeBudget()
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("4")
        await at.press("E")
        assert at.screen == "ModeDialog"
        assert "✔ now auto" in at.text()
        picture(at, "eco")
        await at.press("j", "enter")
        assert did(found, "plan_mode") == [("plan_mode", "on")]
        assert "Turn eco mode on?" in at.text()
        picture(at, "confirm-eco")
        await at.press("enter")  # the focus is on Cancel
        assert did(found, "apply") == []
        await at.press("E", "escape")
        assert at.screen == "BudgetScreen"


async def test_the_mode_set_by_hand_is_the_one_marked(cockpit: OpenCockpit) -> None:
    from vpai_tui.budget.model import Mode

    for mode, row in ((Mode.ECO, "✔ now on"), (Mode.BLOCKED, "✔ now block")):
        found = FakeBudget(budget.make_snapshot(1.0, mode=mode, manual=mode))
        async with cockpit(backend=on(found)) as at:
            await at.press("4")
            await at.press("E")
            assert row in at.text()


async def test_off_while_the_cap_holds_is_refused_in_full(cockpit: OpenCockpit) -> None:
    found = FakeBudget(budget.over())
    found.planned = PreflightRefused(
        "$5.21 of today is at or over the cap of $5.00: raise the cap first, the cap still holds",
        host="sese",
        step="budget",
        remedy="vpai-tui budget set USD",
    )
    async with cockpit(backend=on(found)) as at:
        await at.press("4")
        await command(at, "budget eco off")
        assert at.screen == "ErrorDialog"
        assert "✖ budget eco off: refused" in at.text()
        assert "first, the cap still holds" in at.text()


@BOTH
async def test_a_restart_wants_the_services_name(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeBudget(budget.not_enforced())
    found.planned = budget.NATIVE
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("4")
        await command(at, "budget set 3")
        assert at.app.screen.query_one("#answer-apply", Button).disabled
        assert "▲ LiteLLM 1.81.3 compares its 1d cap with the sum of" in at.text()
        picture(at, "confirm-restart")
        await at.press("enter")
        assert did(found, "apply") == []
        await at.type("litellm")
        await at.press("enter")
        assert did(found, "apply") == [("apply", "set LiteLLM's own cap to $3.00 a day", "litellm")]


@BOTH
async def test_a_change_under_way_belongs_to_the_app(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeBudget()
    found.script = budget.COMMITTED[:1]
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("4")
        await at.press("M")
        await at.type("3")
        await at.press("enter", "right", "enter")
        assert "… enforced" in at.text()
        picture(at, "setting")
        await at.press("escape", "M")
        await at.type("4")
        await at.press("enter")
        assert "budget sese/cap is still running on sese" in at.toasts()[-1]
        await at.press("1")
        assert "… budget sese/cap" in at.text()  # the chip: leaving the screen ends nothing
        await at.press("ctrl+q")
        assert "what it has set acts already; quitting leaves the rest undone" in at.text()
        found.gate.set()


@BOTH
async def test_a_mode_that_nothing_acts_on_is_no_success(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeBudget(budget.not_enforced())
    found.script = budget.UNPROVED
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("4")
        await command(at, "budget eco on")
        await at.press("right", "enter")
        assert "✖ failed" in at.text()
        assert "declared only: nothing acts on it" in " ".join(at.text().split())
        picture(at, "unproved")


async def test_a_lost_link_is_not_told_as_an_end(cockpit: OpenCockpit) -> None:
    found = FakeBudget()

    async def lost(_change: object, *, typed: str = "") -> object:
        yield budget.COMMITTED[0]
        raise LinkLost("the link was lost", host="sese")

    found.apply = lost  # type: ignore[method-assign, assignment]
    async with cockpit(backend=on(found)) as at:
        await at.press("4")
        await at.press("M")
        await at.type("3")
        await at.press("enter", "right", "enter")
        assert "◌ unknown" in at.text()
        assert "the next look at the budget says what is so" in at.text()


async def test_undo_is_a_change_like_any_other(cockpit: OpenCockpit, picture: Picture) -> None:
    found = FakeBudget()
    async with cockpit(backend=on(found)) as at:
        await at.press("4")
        await at.press("u")
        assert "this laptop has changed nothing" in at.toasts()[-1]
        found.undone = budget.BACK
        await at.press("u")
        assert "Put the cap back to $5.00 a day?" in at.text()
        await at.press("right", "enter")
        assert did(found, "apply") == [("apply", "put the cap back to $5.00 a day", "")]


async def test_what_is_so_already_is_not_asked(cockpit: OpenCockpit) -> None:
    from dataclasses import replace

    from vpai_tui.budget.change import Order
    from vpai_tui.budget.model import Enforcement

    found = FakeBudget()
    found.planned = replace(budget.ECO, order=Order(budget.SERVICE, Enforcement.ENFORCED))
    async with cockpit(backend=on(found)) as at:
        await at.press("4")
        await command(at, "budget eco on")
        assert at.screen == "BudgetScreen"
        assert "it is so already" in at.toasts()[-1]


async def test_the_knobs_turn_from_any_screen_with_their_argument(cockpit: OpenCockpit) -> None:
    found = FakeBudget()
    async with cockpit(backend=on(found)) as at:
        await command(at, "budget set 3")
        assert did(found, "plan_cap") == [("plan_cap", "3")]
        assert "Set the cap to $3.00 a day?" in at.text()
        await at.press("escape")
        await command(at, "budget eco on")
        assert did(found, "plan_mode") == [("plan_mode", "on")]
        await at.press("right", "enter")
        assert at.screen == "BudgetRunScreen"
        await at.press("escape")
        assert at.screen == "BudgetScreen"


async def test_a_word_that_is_no_mode_is_refused_before_anything_is_asked(cockpit: OpenCockpit) -> None:
    found = FakeBudget()
    async with cockpit(backend=on(found)) as at:
        at.app.dispatcher.run_command("budget.eco", "perhaps")
        await at.settle()
        assert "one of auto, on, off, block" in at.toasts()[-1]
        assert did(found, "plan_mode") == []


@BOTH
async def test_a_live_call_says_its_price_before_and_who_answered_after(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    found = FakeBudget(budget.over())
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("4")
        await command(at, "budget prove claude-sonnet")
        assert "one token of it costs money" in at.text()
        await at.press("enter")
        assert did(found, "prove") == []
        await command(at, "budget prove claude-sonnet")
        await at.press("right", "enter")
        assert did(found, "prove") == [("prove", "claude-sonnet")]
        assert "claude-sonnet was answered by qwen3-coder" in at.text()
        picture(at, "proof")
        await at.press("enter")
        found.proof = Proof("claude-sonnet", None, 429, refused=True, said="budget mode 'blocked'")
        await command(at, "budget prove")
        await at.press("right", "enter")
        assert "was refused by the budget" in at.text()


@BOTH
async def test_read_only_hides_and_refuses_every_knob(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeBudget()
    async with cockpit(backend=on(found), read_only=True, size=size) as at:
        await at.press("4")
        picture(at, "read-only")
        for key in ("M", "E", "u"):
            await at.press(key)
            assert at.screen == "BudgetScreen"
            assert "read-only" in at.toasts()[-1]
        assert {asked[0] for asked in found.asked} <= {"snapshot", "alerts"}
