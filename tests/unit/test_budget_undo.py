"""LiteLLM's own cap, undo, and the live call that proves; LiteLLM is the demo's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from budget_knobs_kit import SHIPPED, Host, budget_of, done, host_below

from hostile_text import HOSTILE
from vpai_tui.budget import apply, persist, session
from vpai_tui.budget.prove import Proof, proof_of
from vpai_tui.budget.session import Budget
from vpai_tui.budget.transport import Answer
from vpai_tui.budget.undo import Mark, Marks
from vpai_tui.demo.litellm.world import PREFIX
from vpai_tui.errors import OperatorError, PreflightRefused, UsageError
from vpai_tui.fleet.operation import Outcome


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return host_below(tmp_path, monkeypatch)


@pytest.fixture
def budget(host: Host) -> Budget:
    return budget_of(host)


# ── LiteLLM's own cap ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_without_a_callback_litellms_own_cap_is_set_with_a_restart(budget: Budget, host: Host) -> None:
    host.without_callback()
    change = await budget.plan_cap("3")
    assert change.word == "litellm" and (change.before, change.after) == ("none", "3.00")
    assert any(it.startswith("it is reached now: $") and "30 days" in it for it in change.effects)
    thirty = next(it for it in change.warnings if "30 days" in it)
    assert "1.81.3" in thirty and "refuses free models" in thirty
    with pytest.raises(UsageError, match="type litellm"):
        await done(budget, change)
    told, end = await done(budget, change, typed="litellm")
    assert told == ["runner_started", "kept", "installed", "restarting", "restarted", "ready", "finished"]
    assert (end.outcome, end.reason) == (Outcome.COMMITTED, "/global/spend says max_budget 3.00")
    text = host.file.read_text()
    assert "  max_budget: 3.00\n  budget_duration: 1d\n" in text and "max_budget: 5.00" in text
    assert host.key("cap") == "" and not any("config/update" in path for path in host.asked)
    undo = await budget.plan_undo()
    assert undo is not None and (undo.before, undo.after, undo.word) == ("3.00", "none", "litellm")
    await done(budget, undo, typed="litellm")
    assert "  max_budget: 0.00\n" in host.file.read_text()


async def test_from_1_95_on_its_own_cap_is_one_of_a_day(budget: Budget, host: Host) -> None:
    host.without_callback()
    host.version = "1.106.2"
    change = await budget.plan_cap("3")
    assert change.word is None and not any("30 days" in it for it in (*change.warnings, *change.effects))
    assert any("of today are over it" in it for it in (await budget.plan_cap("0.05")).effects)


async def test_an_unknown_version_is_taken_for_an_old_one(budget: Budget, host: Host) -> None:
    host.without_callback()
    host.version = "main-latest"
    change = await budget.plan_cap("3")
    assert change.word == "litellm" and any("30 days" in it for it in change.warnings)


async def test_a_litellm_that_does_not_come_back_is_reverted(
    budget: Budget, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persist, "READY_S", 1)
    host.without_callback()
    before = host.file.read_bytes()
    engine = host.root / "engine"
    engine.write_text(engine.read_text().replace("grep -q bad", "grep -q 'max_budget: 3.00'"))
    told, end = await done(budget, await budget.plan_cap("3"), typed="litellm")
    assert (end.outcome, end.exit_code) == (Outcome.REVERTED, 4) and "revert_started" in told
    assert host.file.read_bytes() == before
    assert (host.root / "restarts").read_text() == "r\nr\n"
    assert await budget.plan_undo() is None, "nothing is left to take back"


async def test_a_cap_that_litellm_does_not_say_is_not_proved(budget: Budget, host: Host) -> None:
    host.without_callback()
    change = await budget.plan_cap("3")
    host.load = lambda: None  # type: ignore[method-assign]  # it goes on with what it has: its database goes first
    _, end = await done(budget, change, typed="litellm")
    assert end.outcome is Outcome.FAILED and "says max_budget 0.00" in end.reason


async def test_without_a_database_its_own_cap_holds_nothing_and_is_refused(budget: Budget, host: Host) -> None:
    host.without_callback()
    host.scene("no_database")
    with pytest.raises(PreflightRefused, match="without a database it holds none"):
        await budget.plan_cap("3")


async def test_a_callback_that_is_configured_and_silent_is_mended_first(budget: Budget, host: Host) -> None:
    host.scene("no_callback")
    host.now += 60
    with pytest.raises(PreflightRefused, match="is configured, and does not act") as told:
        await budget.plan_cap("3")
    assert "vpai-tui restart sese/apps/litellm" in told.value.remedy
    host.places = replace(host.places, config=None)
    with pytest.raises(PreflightRefused, match="not on the host"):
        await budget.plan_cap("3")


# ── back ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_undo_takes_the_newest_change_back_and_forth(budget: Budget, host: Host) -> None:
    assert await budget.plan_undo() is None
    await done(budget, await budget.plan_cap("3"))
    change = await budget_of(host).plan_undo()
    assert change is not None and change.warnings[0].startswith("the file is rendered by Ansible")
    _, end = await done(budget, change)
    assert end.outcome is Outcome.COMMITTED and host.key("cap") == "" and host.filed == []
    assert (await budget.snapshot()).cap_source == "general_settings"
    again = await budget.plan_undo()
    assert again is not None and again.after == "3.00"
    await done(budget, again)
    assert host.key("cap") == "3.00" and host.filed == ["max_budget: 3.00"]


async def test_undo_of_a_cap_that_stood_nowhere_takes_its_line_out(budget: Budget, host: Host) -> None:
    lines = SHIPPED.read_text().splitlines(keepends=True)
    before = "".join(line for line in lines if not line.startswith("  max_budget:"))
    for file in (host.file, host.root / "loaded"):
        file.write_text(before)
    await done(budget, await budget.plan_cap("3"))
    assert "  max_budget: 3.00\n" in host.file.read_text()
    undo = await budget.plan_undo()
    assert undo is not None and (undo.title, undo.after) == ("put the cap back to none", "none")
    assert undo.effects == ("no cap holds any more",)
    _, end = await done(budget, undo)
    assert end.outcome is Outcome.COMMITTED and host.file.read_text() == before and host.key("cap") == ""
    assert (await budget.snapshot()).cap_usd is None


async def test_undo_leaves_the_line_of_somebody_else(budget: Budget, host: Host) -> None:
    host.places = replace(host.places, config=None)
    await done(budget, await budget.plan_cap("3"))
    host.places = replace(host.places, config=str(host.file))
    undo = await budget.plan_undo()
    assert undo is not None and undo.after == "5.00 (the file's)"
    await done(budget, undo)
    assert host.filed == [] and host.key("cap") == ""


async def test_undo_holds_the_cap_by_redis_where_litellm_goes_by_the_file_of_before(budget: Budget, host: Host) -> None:
    await done(budget, await budget.plan_cap("3"))
    (host.root / "loaded").write_bytes(host.file.read_bytes())  # it was restarted since
    undo = await budget.plan_undo()
    assert undo is not None
    told, end = await done(budget, undo)
    assert told == ["set", "kept", "set", "enforced", "finished"] and host.filed == []
    assert end.outcome is Outcome.COMMITTED and end.reason.endswith("Redis holds 5.00")
    found = await budget.snapshot()
    assert (found.cap_usd, found.cap_source, host.key("cap")) == (5.0, "redis", "5.00")


async def test_undo_waits_for_a_litellm_that_reads_its_file_again(budget: Budget, host: Host) -> None:
    await done(budget, await budget.plan_cap("3"))
    (host.root / "loaded").write_bytes(host.file.read_bytes())
    undo = await budget.plan_undo()
    assert undo is not None
    asked = []

    def reload(script: str, args: tuple[str, ...]) -> None:
        asked.append(script)
        if asked.count(apply.READ_LUA) == 20:
            (host.root / "loaded").write_bytes(host.file.read_bytes())
            host.load()

    host.redis_says = reload
    told, end = await done(budget, undo)
    assert told == ["set", "kept", "enforced", "finished"] and end.outcome is Outcome.COMMITTED
    assert host.key("cap") == "" and (await budget.snapshot()).cap_source == "general_settings"


async def test_undo_is_no_success_where_nothing_holds_the_cap(budget: Budget, host: Host) -> None:
    await done(budget, await budget.plan_cap("3"))
    (host.root / "loaded").write_bytes(host.file.read_bytes())
    undo = await budget.plan_undo()
    assert undo is not None

    def meddle(script: str, args: tuple[str, ...]) -> None:
        if script == apply.SET_LUA and args[2]:  # somebody sets another one, before ours
            host.put("cap", "9.00")

    host.redis_says = meddle
    _, end = await done(budget, undo)
    assert end.outcome is Outcome.FAILED and "says cap 3.00 (general_settings)" in end.reason
    assert f"{host.file} is written" in end.reason and host.key("cap") == "9.00"


async def test_the_proof_of_a_cap_is_the_key_and_not_a_file_that_said_the_same(budget: Budget, host: Host) -> None:
    change = await budget.plan_cap("5")

    def lose(script: str, args: tuple[str, ...]) -> None:
        if script == apply.READ_LUA:
            host.doc["keys"].pop(f"{PREFIX}cap", None)

    host.redis_says = lose
    _, end = await done(budget, change)
    assert end.outcome is Outcome.FAILED and "says cap 5.00 (general_settings)" in end.reason


@pytest.mark.parametrize("raw", [f"7{HOSTILE}", "nan", "-3", "lots"])
async def test_undo_of_a_cap_where_no_amount_stood(budget: Budget, host: Host, raw: str) -> None:
    host.put("cap", raw)
    await done(budget, await budget.plan_cap("3"))
    undo = await budget.plan_undo()
    assert undo is not None and undo.after == "5.00 (the file's)"
    _, end = await done(budget, undo)
    assert (end.outcome, host.key("cap")) == (Outcome.COMMITTED, "")


async def test_undo_goes_the_way_that_the_change_came(budget: Budget, host: Host) -> None:
    await done(budget, await budget.plan_cap("3"))
    host.scene("no_callback")
    host.now += 60
    with pytest.raises(PreflightRefused, match="made through the callback, which does not act now"):
        await budget.plan_undo()
    host.redis_says = OperatorError("Redis cannot be asked", host="sese")
    with pytest.raises(PreflightRefused, match="cannot be known now"):
        await budget.plan_undo()
    assert host.key("cap") == "3.00" and host.filed == ["max_budget: 3.00"]


async def test_undo_of_litellms_own_cap_where_a_callback_holds_it_now(budget: Budget, host: Host) -> None:
    Marks(host.root.parent / "laptop", "sese").save(Mark("cap", "", "", "2.00", native=True))
    with pytest.raises(PreflightRefused, match="the callback holds the cap now"):
        await budget.plan_undo()


async def test_undo_of_a_mode(budget: Budget, host: Host) -> None:
    await done(budget, await budget.plan_mode("block"))
    change = await budget.plan_undo()
    assert change is not None and (change.kind, change.before, change.after) == ("mode", "blocked", "normal")
    await done(budget, change)
    assert host.key("mode") == ""


async def test_a_mode_that_somebody_set_for_a_while_comes_back_for_what_is_left_of_it(
    budget: Budget, host: Host
) -> None:
    host.put("mode", "eco", 86400)
    change = await budget.plan_mode("block")
    assert "eco (for 23h59) → blocked, within" in change.where[0]
    await done(budget, change)
    assert host.life_s("mode") is None
    host.now += 3600
    undo = await budget.plan_undo()
    assert undo is not None and undo.ends == "by itself in 22h59, or with `budget eco auto`"
    _, end = await done(budget, undo)
    assert end.outcome is Outcome.COMMITTED and host.key("mode") == "eco"
    assert 22 * 3600 < (host.life_s("mode") or 0) < 23 * 3600


async def test_a_mode_that_would_have_gone_meanwhile_does_not_come_back(budget: Budget, host: Host) -> None:
    host.put("mode", "eco", 600)
    await done(budget, await budget.plan_mode("block"))
    host.now += 3600
    undo = await budget.plan_undo()
    assert undo is not None and (undo.before, undo.after) == ("blocked", "normal")


async def test_eco_by_hand_stays_where_somebody_had_set_it_for_a_while(budget: Budget, host: Host) -> None:
    host.put("mode", "eco", 600)
    change = await budget.plan_mode("on")
    assert not change.empty and "eco (for 9m) → eco, within" in change.where[0]
    await done(budget, change)
    assert host.key("mode") == "eco" and host.life_s("mode") is None


async def test_undo_says_that_somebody_else_was_at_it(budget: Budget, host: Host) -> None:
    await done(budget, await budget.plan_cap("3"))
    host.put("cap", "7")
    change = await budget.plan_undo()
    assert change is not None
    assert change.warnings[0] == "somebody else changed it since: you left 3.00, now it is 7"


async def test_a_change_that_failed_halfway_can_be_undone(budget: Budget, host: Host) -> None:
    change = await budget.plan_cap("3")

    def meddle(script: str, args: tuple[str, ...]) -> None:
        if script == apply.SET_LUA:
            host.file.write_text("general_settings: {max_budget: 6}\n")

    host.redis_says = meddle
    await done(budget, change)
    host.redis_says = None
    host.file.write_bytes(SHIPPED.read_bytes())
    undo = await budget.plan_undo()
    assert undo is not None
    await done(budget, undo)
    assert host.key("cap") == "" and host.filed == []


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"kind": "cap"}',
     '{"kind": "x", "was": "", "now": "", "file_was": null, "native": false, "until": null}',
     '{"kind": "cap", "was": 1, "now": "", "file_was": null, "native": false, "until": null}',
     '{"kind": "cap", "was": "", "now": "", "file_was": 5, "native": false, "until": null}',
     '{"kind": "mode", "was": "eco", "now": "", "file_was": null, "native": false, "until": "now"}'],
)  # fmt: skip
def test_a_mark_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    marks = Marks(tmp_path, "sese")
    marks.path.parent.mkdir()
    marks.path.write_text(text)
    assert marks.load() is None


def test_a_mark_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "budget").write_text("in the way")
    told = Marks(tmp_path, "sese").save(Mark("cap", "", "3.00"))
    assert "could not be written" in told and "does not know this change" in told
    good = Marks(tmp_path / "laptop", "sese")
    assert good.save(Mark("cap", "", "3.00", "5.00")) == "" and good.load() == Mark("cap", "", "3.00", "5.00")


# ── a live call ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_is_asked_for_a_proof(budget: Budget, host: Host) -> None:
    assert not (await budget.question()).costs, "in normal mode a free one is asked"
    paid = await budget.question("claude-sonnet")
    assert paid.costs and "costs money" in paid.why
    await done(budget, await budget.plan_mode("on"))
    chosen = await budget.question()
    assert not chosen.costs and chosen.alias not in ("qwen3-coder", "embedding")
    with pytest.raises(UsageError, match="no alias"):
        await budget.question("gpt-9\x1b")


async def test_a_live_call_shows_who_answered(budget: Budget, host: Host) -> None:
    host.version = "1.106.2"
    assert (await budget.prove("claude-sonnet")).answered == "claude-sonnet"
    await done(budget, await budget.plan_mode("on"))
    proof = await budget.prove("claude-sonnet")
    assert (proof.answered, proof.refused) == ("qwen3-coder", False)
    assert proof.told.startswith("claude-sonnet was answered by qwen3-coder") and proof.good
    assert (await budget.prove("qwen3-coder")).good, "a free one answers itself"
    await done(budget, await budget.plan_mode("block"))
    proof = await budget.prove("claude-sonnet")
    assert (proof.answered, proof.refused, proof.status) == (None, True, 429)
    assert "refused by the budget" in proof.told


async def test_a_paid_model_that_answers_itself_in_eco_mode_is_no_proof(
    budget: Budget, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    await done(budget, await budget.plan_mode("on"))

    async def itself(_: object, alias: str) -> Proof:
        return proof_of(alias, Answer(200, {"model": alias}))

    monkeypatch.setattr(session, "ask", itself)
    proof = await budget.prove("claude-sonnet")
    assert proof.forbidden and not proof.good and proof.told.endswith("the mode does not hold it")
    assert (await budget.prove("qwen3-coder")).good


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(200, {"model": "a"}, {"x-litellm-model-group": "b", "x-litellm-response-cost": "0.0"}),
         "a was answered by b, $0.000000"),
        (Answer(200, {"model": "b"}), "a was answered by b"),
        (Answer(200, {"model": "a"}), "a answered itself"),
        (Answer(200, "odd", {"x-litellm-response-cost": "nan"}), "a was answered by a model that is not told"),
        (Answer(0, None, {}, "no answer within 60 s"), "a was not answered: no answer within 60 s"),
        (Answer(500, {"error": "x"}), "a was not answered: HTTP 500: x"),
        (Answer(429, {"error": {"type": "budget_exceeded", "message": "no"}}),
         "a was refused by the budget: HTTP 429: no"),
    ],
)  # fmt: skip
def test_what_an_answer_proves(answer: Answer, told: str) -> None:
    assert proof_of("a", answer).told == told
