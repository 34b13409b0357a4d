"""The knobs: plans, compare-and-set, the proof, the file; LiteLLM is the demo's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from budget_host import busy
from budget_knobs_kit import SHIPPED, Host, budget_of, done, host_below, journal

from hostile_text import HOSTILE, MARK
from vpai_tui.budget import apply, session
from vpai_tui.budget.change import Change
from vpai_tui.budget.model import Enforcement, Mode
from vpai_tui.budget.session import Budget
from vpai_tui.errors import LinkLost, LockHeld, OperatorError, PreflightRefused, StalePlan, UsageError
from vpai_tui.fleet.operation import Journaled, Outcome
from vpai_tui.text import clean
from vpai_tui.verbs import say_budget as show


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return host_below(tmp_path, monkeypatch)


@pytest.fixture
def budget(host: Host) -> Budget:
    return budget_of(host)


# ── the cap ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_cap_acts_at_once_is_proved_and_kept(budget: Budget, host: Host) -> None:
    change = await budget.plan_cap("3")
    assert (change.before, change.after, change.word, change.empty) == ("5.00", "3.00", None, False)
    assert host.key("cap") == "" and host.filed == [], "a plan changes nothing"
    told, end = await done(budget, change)
    assert told == ["set", "enforced", "kept", "finished"] and end.outcome is Outcome.COMMITTED
    assert host.key("cap") == "3.00" and host.filed == ["max_budget: 3.00"]
    found = await budget.snapshot()
    assert (found.cap_usd, found.cap_source, found.configured_cap_usd) == (3.0, "redis", 3.0)
    assert journal(host) == [("budget cap", "committed", "5.00 → 3.00")]
    assert any("litellm_budget_global_daily" in it and "5.00 back" in it for it in change.warnings)
    assert (await budget.plan_cap("3.00")).empty


async def test_what_is_so_already_is_unchanged_and_not_journaled(budget: Budget, host: Host) -> None:
    await done(budget, await budget.plan_cap("3"))
    told, end = await done(budget, await budget.plan_cap("3"))
    assert (told, end.outcome, end.exit_code) == (["finished"], Outcome.UNCHANGED, 0)
    assert len(journal(host)) == 1


async def test_a_cap_in_redis_alone_is_put_into_the_file_too(budget: Budget, host: Host) -> None:
    host.put("cap", "3.00")
    change = await budget.plan_cap("3")
    told, _ = await done(budget, change)
    assert told == ["enforced", "kept", "finished"] and host.filed == ["max_budget: 3.00"]


async def test_a_cap_below_todays_spend_says_that_eco_comes_on_now(budget: Budget, host: Host) -> None:
    change = await budget.plan_cap("0.10")
    assert change.effects[0].startswith("eco comes on now: $") and "00:00 (UTC)" in change.effects[0]
    await done(budget, change)
    assert (await budget.snapshot()).mode is Mode.ECO
    back = await budget.plan_cap("9")
    assert back.effects == ("eco goes off now: paid models answer again",)
    await done(budget, back)
    assert (await budget.snapshot()).mode is Mode.NORMAL


async def test_of_two_operators_one_is_told_and_nothing_is_lost(budget: Budget, host: Host) -> None:
    change = await budget.plan_cap("3")
    host.put("cap", "7.00")
    with pytest.raises(StalePlan, match=r"changed by somebody else meanwhile, it is 7\.00 now") as told:
        await done(budget, change)
    assert told.value.exit_code == 77
    assert host.key("cap") == "7.00" and host.filed == [] and journal(host) == []


async def test_a_file_edited_meanwhile_is_found_before_anything_acts(budget: Budget, host: Host) -> None:
    change = await budget.plan_cap("3")
    host.file.write_text(SHIPPED.read_text().replace("request_timeout: 120", "request_timeout: 180"))
    with pytest.raises(StalePlan, match="changed by somebody else meanwhile"):
        await done(budget, change)
    assert host.key("cap") == "" and host.filed == ["request_timeout: 180"]


async def test_a_deploy_that_runs_is_not_disturbed(budget: Budget, host: Host) -> None:
    change = await budget.plan_cap("3")
    with busy(host.root, "pid=1 apply sese/apps by ben since now") as holder:
        with pytest.raises(LockHeld, match="apply sese/apps by ben"):
            await done(budget, change)
        holder.kill()
    assert host.key("cap") == "" and host.filed == []


async def test_a_file_that_changes_in_the_middle_leaves_a_cap_that_acts_and_says_so(budget: Budget, host: Host) -> None:
    change = await budget.plan_cap("3")

    def meddle(script: str, args: tuple[str, ...]) -> None:
        if script == apply.SET_LUA:
            host.file.write_text("general_settings: {max_budget: 6}\n")

    host.redis_says = meddle
    told, end = await done(budget, change)
    assert told == ["set", "enforced", "finished"]
    assert (end.outcome, end.exit_code) == (Outcome.FAILED, 1)
    assert end.reason.startswith("acts now, and is not kept:") and "changed by somebody else" in end.reason
    assert host.file.read_text() == "general_settings: {max_budget: 6}\n"
    assert journal(host)[0][1] == "failed"


async def test_without_a_heartbeat_that_takes_it_the_failure_says_what_was_done(budget: Budget, host: Host) -> None:
    change = await budget.plan_cap("3")

    def overrule(script: str, args: tuple[str, ...]) -> None:
        if script == apply.READ_LUA:
            host.put("cap", "8.00")

    host.redis_says = overrule
    told, end = await done(budget, change)
    assert (told, end.exit_code) == (["set", "finished"], 1)
    assert "litellm:budget:cap is set to 3.00" in end.reason and "says cap 8.00 (redis)" in end.reason
    assert f"{host.file} was not changed" in end.reason and host.filed == []


async def test_a_callback_that_ends_meanwhile_is_no_success(budget: Budget, host: Host) -> None:
    change = await budget.plan_cap("3")
    host.scene("down")
    host.listens = False
    host.now += 60
    _, end = await done(budget, change)
    assert end.outcome is Outcome.FAILED and "gives no heartbeat" in end.reason and host.filed == []


@pytest.mark.parametrize("lost", [True, False])
async def test_a_redis_that_ends_meanwhile(budget: Budget, host: Host, lost: bool) -> None:
    change = await budget.plan_cap("3")
    host.redis_says = LinkLost("cut", host="sese") if lost else OperatorError("Redis cannot be asked", host="sese")
    with pytest.raises(LinkLost if lost else OperatorError):
        await done(budget, change)
    assert [it[:2] for it in journal(host)] == ([("budget cap", "unknown: cut")] if lost else [])


async def test_a_link_that_breaks_before_the_proof_says_what_was_done(budget: Budget, host: Host) -> None:
    change = await budget.plan_cap("3")

    def cut(script: str, args: tuple[str, ...]) -> None:
        if script == apply.READ_LUA:
            raise LinkLost("the link was lost", host="sese")

    host.redis_says = cut
    with pytest.raises(LinkLost, match=r"set to 3\.00, whether it acts is not known, and .* was not changed"):
        await done(budget, change)
    assert journal(host)[0][1].startswith("unknown: the link was lost")
    host.redis_says = None
    assert await budget.plan_undo() is not None


async def test_whoever_leaves_in_the_middle_finds_it_in_the_journal(budget: Budget, host: Host) -> None:
    events = budget.apply(await budget.plan_cap("3"))
    async for event in events:
        assert isinstance(event, Journaled) and event.what == "set"
        break
    await events.aclose()  # type: ignore[attr-defined]
    assert [it[:2] for it in journal(host)] == [("budget cap", "unknown: nobody watched its end")]
    assert await budget.plan_undo() is not None


async def test_a_file_that_is_not_on_the_host_keeps_the_cap_in_redis_alone(budget: Budget, host: Host) -> None:
    host.places = replace(host.places, config=None)
    change = await budget.plan_cap("3")
    assert any("kept in Redis alone" in it for it in change.warnings) and len(change.where) == 1
    told, end = await done(budget, change)
    assert told == ["set", "enforced", "finished"] and end.outcome is Outcome.COMMITTED
    assert "kept in Redis alone" in end.reason and host.filed == []


async def test_a_file_that_cannot_be_read_is_told_as_what_it_is(
    budget: Budget, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no(*_: object) -> bytes:
        raise OperatorError("sudo: a password is required", host="sese")

    monkeypatch.setattr(session, "read_config", no)
    warned = (await budget.plan_cap("3")).warnings[0]
    assert f"{host.file} cannot be read (sudo: a password is required), so it is kept in Redis alone" in warned


async def test_a_file_that_cannot_be_edited_safely_is_refused_before_anything(budget: Budget, host: Host) -> None:
    host.file.write_text("general_settings:\n  max_budget: &cap 5\nother: *cap\n")
    with pytest.raises(PreflightRefused, match="used elsewhere too"):
        await budget.plan_cap("3")


async def test_a_cap_of_the_environment_is_told(budget: Budget, host: Host) -> None:
    host.places = replace(host.places, cap_usd=2.0)
    assert any("ECO_DAILY_CAP" in it for it in (await budget.plan_cap("3")).warnings)


@pytest.mark.parametrize("word", ["-1", "nan", "0", "5000", "x"])
async def test_an_absurd_cap_asks_nobody(budget: Budget, host: Host, word: str) -> None:
    with pytest.raises(UsageError):
        await budget.plan_cap(word)
    assert host.asked == []


async def test_where_nothing_is_known_no_cap_is_set(budget: Budget, host: Host) -> None:
    host.redis_says = OperatorError("Redis cannot be asked: no such container", host="sese")
    with pytest.raises(PreflightRefused, match=r"cannot be known now .*; nothing was changed"):
        await budget.plan_cap("3")
    with pytest.raises(PreflightRefused, match="Redis does not answer"):
        await budget.plan_mode("on")


async def test_a_read_only_cockpit_plans_and_does_nothing(host: Host) -> None:
    looking = budget_of(host, read_only=True)
    for planning in (looking.plan_cap("3"), looking.plan_mode("on"), looking.plan_undo(), looking.prove()):
        with pytest.raises(UsageError, match="read-only"):
            await planning
    with pytest.raises(UsageError, match="read-only"):
        await done(looking, Change("cap", "t", "a", "b"))
    assert (await looking.snapshot()).enforcement is Enforcement.ENFORCED


# ── the mode ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("word", "mode"), [("on", Mode.ECO), ("block", Mode.BLOCKED)])
async def test_a_mode_by_hand_and_back(budget: Budget, host: Host, word: str, mode: Mode) -> None:
    change = await budget.plan_mode(word)
    assert (change.before, change.after, change.word) == ("normal", mode.value, None)
    told, end = await done(budget, change)
    assert (told, end.outcome) == (["set", "enforced", "finished"], Outcome.COMMITTED)
    assert (await budget.snapshot()).mode is mode and host.key("mode") == mode.value
    assert host.filed == [], "a mode is in no file"
    await done(budget, await budget.plan_mode("off"))
    assert host.key("mode") == "" and (await budget.snapshot()).mode is Mode.NORMAL
    assert [it[2] for it in journal(host)] == [f"normal → {mode.value}", f"{mode.value} → normal"]


async def test_off_over_the_cap_is_refused_and_auto_says_that_it_holds(budget: Budget, host: Host) -> None:
    await done(budget, await budget.plan_mode("on"))
    await done(budget, await budget.plan_cap("0.10"))
    with pytest.raises(PreflightRefused, match="raise the cap first, the cap still holds") as told:
        await budget.plan_mode("off")
    assert told.value.exit_code == 78 and host.key("mode") == "eco"
    change = await budget.plan_mode("auto")
    assert change.effects == ("the cap still holds: it stays eco until 00:00 (UTC) or a higher cap",)
    _, end = await done(budget, change)
    found = await budget.snapshot()
    assert (end.outcome, found.manual, found.mode) == (Outcome.COMMITTED, Mode.NORMAL, Mode.ECO)


async def test_a_key_without_a_callback_is_no_silent_success(budget: Budget, host: Host) -> None:
    host.scene("no_callback")
    host.now += 60
    change = await budget.plan_mode("on")
    assert change.warnings == ("declared only: nothing acts on it",)
    told, end = await done(budget, change)
    assert (told, end.outcome, end.exit_code) == (["set", "finished"], Outcome.FAILED, 1)
    assert "declared only: nothing acts on it" in end.reason and host.key("mode") == "eco"
    again = await budget.plan_mode("on")
    assert (await done(budget, again))[1].exit_code == 1, "nor the second time"
    assert (await budget.snapshot()).enforcement is Enforcement.DECLARED


async def test_eco_without_a_free_model_says_what_it_is(budget: Budget, host: Host) -> None:
    host.environ["ECO_FREE_ALIASES"] = "none-such"
    change = await budget.plan_mode("on")
    assert change.warnings == ("no free model is configured: paid requests are refused",)
    assert change.effects == ("paid requests are refused",)


async def test_what_is_no_mode_in_redis_acts_as_none_and_is_left(budget: Budget, host: Host) -> None:
    host.put("mode", "economy\x1b[31m")
    assert (await budget.plan_mode("off")).empty
    change = await budget.plan_mode("on")
    assert not any("\x1b" in line for line in change.where)
    await done(budget, change)
    assert host.key("mode") == "eco"


async def test_hostile_text_of_redis_and_the_file_is_shown_without_its_power(
    budget: Budget, host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    alias = json.dumps(f"evil{HOSTILE}")
    model = f"  - model_name: {alias}\n    litellm_params: {{model: openai/gpt-4o}}\n"
    text = host.file.read_text().replace("model_list:\n", f"model_list:\n{model}")
    for file in (host.file, host.root / "loaded"):
        file.write_text(text)
    host.put("mode", f"eco{HOSTILE}")
    host.put("cap", f"7{HOSTILE}")
    show.budget(await budget.snapshot(), as_json=False)
    show.budget(await budget.snapshot(), as_json=True)
    for change in (await budget.plan_cap("3"), await budget.plan_mode("on")):
        show.change(change, as_json=False)
        await done(budget, change)
    undo = await budget.plan_undo()
    assert undo is not None
    show.change(undo, as_json=False)
    with pytest.raises(UsageError) as told:
        await budget.question(f"none{HOSTILE}")
    out = capsys.readouterr().out + str(told.value) + told.value.remedy
    assert clean(out) == out and MARK in out
    assert all(clean(line) == line for entry in journal(host) for line in entry)
