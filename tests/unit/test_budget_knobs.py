"""The knobs: plans, compare-and-set, the proof, the file, LiteLLM's own cap, undo; LiteLLM is the demo's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from budget_host import Link, busy
from fleet_things import stack

from hostile_text import HOSTILE, MARK
from vpai_tui import config
from vpai_tui.budget import apply, persist, session
from vpai_tui.budget.change import Change
from vpai_tui.budget.model import Enforcement, Mode
from vpai_tui.budget.places import Place, Places
from vpai_tui.budget.prove import Proof, proof_of
from vpai_tui.budget.reading import Ground, Reader
from vpai_tui.budget.session import Budget, Surface
from vpai_tui.budget.transport import Answer, Request, answers_of
from vpai_tui.budget.undo import Mark, Marks
from vpai_tui.demo.litellm import config as demo_config
from vpai_tui.demo.litellm import redis, rest, sql
from vpai_tui.demo.litellm.world import PREFIX, World, fresh
from vpai_tui.errors import LinkLost, LockHeld, OperatorError, PreflightRefused, StalePlan, UsageError
from vpai_tui.fleet.history import History
from vpai_tui.fleet.operation import Event, Finished, Journaled, Outcome
from vpai_tui.text import clean
from vpai_tui.verbs import say_budget as show

SHIPPED = Path(__file__).parents[2] / "stacks/sese/apps/configs/litellm/litellm_config.yaml"
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()
ENV = {"ECO_FREE_ALIASES": "qwen3-coder,deepseek-v3-free,deepseek-r1-free"}
# A restart loads the file; `bad` in it keeps the proxy from coming back.
ENGINE = """#!/bin/sh
case "$*" in
  restart*) echo r >>{root}/restarts; cp {file} {root}/loaded ;;
  *readiness*) grep -q bad {root}/loaded || echo '[{{"status": 200}}]' ;;
esac
"""


class Host:
    """LiteLLM, Redis and the database as the demo plays them, with the file below a folder; time goes on with each
    question. `redis_says`, `rest_says`: what is answered instead of the truth, or raised."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = root / "configs/litellm_config.yaml"
        self.file.parent.mkdir(parents=True)
        self.file.write_bytes(SHIPPED.read_bytes())
        (root / "loaded").write_bytes(SHIPPED.read_bytes())
        (root / "engine").write_text(ENGINE.format(root=root, file=self.file))
        (root / "engine").chmod(0o755)
        self.link: Any = Link(root)
        self.now = NOON
        self.doc = fresh()
        self.read = b""
        self.load()
        self.version = "1.81.3"
        self.listens = True
        self.environ = dict(ENV)
        self.redis_says: Any = None
        self.asked: list[str] = []
        place = Place("c" * 64, "vpai-litellm-1", "ghcr.io/berriai/litellm:v1.81.3", "running", "vpai", "litellm")
        self.places = Places("sese", "sese/apps", "sese/apps/litellm", place, place, place, config=str(self.file))

    host = "sese"

    def load(self) -> None:
        """What the last start of the proxy read."""
        content = (self.root / "loaded").read_bytes()
        if content != self.read:
            self.read, self.doc["loaded"] = content, demo_config.start(content)

    def world(self) -> World:
        self.now += 1
        self.doc["version"] = self.version
        since = NOON - 86400 if self.listens else None
        world = World(self.doc, self.now, self.environ, listens_since=since, silent_since=NOON - 60)
        world.advance()
        return world

    async def litellm(self, requests: Sequence[Request], *, timeout_s: float = 5.0) -> list[Answer]:
        self.load()
        self.asked += [it.path for it in requests]
        found = rest.ask(self.world(), [[it.method, it.path, it.body] for it in requests])
        return answers_of(json.dumps(found), len(requests), "sese")

    async def redis(self, script: str, *args: str) -> Any:
        if isinstance(self.redis_says, Exception):
            raise self.redis_says
        if callable(self.redis_says):
            self.redis_says(script, args)
        found = json.loads(redis.run(self.world(), ["EVAL", script, "0", *args]))
        if script == apply.READ_LUA:  # lives of other keys than the heartbeat are not among what the demo plays
            _, ends = self.doc["keys"].get(f"{PREFIX}mode", ("", None))
            found["mode_ttl_ms"] = -1 if ends is None else int((ends - self.now) * 1000)
        elif found["done"] and args[2]:
            self.doc["keys"][args[0]][1] = self.now + int(args[3]) / 1000 if args[3] else None
        return found

    async def sql(self, query: str) -> Any:
        status, printed, _ = sql.run(self.world(), query) or (1, "", "")
        if status:
            raise OperatorError("no database", host="sese")
        return json.loads(printed.removeprefix("SET\n"))

    def key(self, name: str) -> str:
        return self.world().key(name)

    def put(self, name: str, value: str, life_s: float | None = None) -> None:
        self.doc["keys"][PREFIX + name] = [value, None if life_s is None else self.now + life_s]

    def life_s(self, name: str) -> float | None:
        """What a key has still to live; None: it stays."""
        ends = self.doc["keys"][PREFIX + name][1]
        return None if ends is None else ends - self.now

    @property
    def filed(self) -> list[str]:
        """The lines of the file that differ from the one that is shipped."""
        pairs = zip(self.file.read_text().splitlines(), SHIPPED.read_text().splitlines(), strict=True)
        return [new.strip() for new, old in pairs if new != old]

    def scene(self, name: str) -> None:
        self.doc["scene"][name] = self.now

    def without_callback(self) -> None:
        """An older stack: the file names no callback of ours."""
        text = self.file.read_text().replace("eco_mode.instance, budget_alerts.instance, ", "")
        self.file.write_text(text)
        (self.root / "loaded").write_text(text)

    # a clock
    def boot_s(self) -> float:
        return self.now


class Stopped:
    """A wall clock that is the host's."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def boot_s(self) -> float:
        return self._host.now

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._host.now, UTC)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    found = Host(tmp_path / "root")

    async def ground(_: Reader) -> Ground:
        return Ground(found.link, found.places, found)

    monkeypatch.setattr(Reader, "ground", ground)
    monkeypatch.setattr(apply, "_PROOF_PAUSE_S", 0.0)
    return found


def budget_of(host: Host, *, read_only: bool = False) -> Budget:
    fleet = config.Fleet(hosts={"sese": host.link.host})

    async def connection(_: str) -> Any:
        return host.link

    history = History(host.root.parent / "laptop/history.jsonl")
    stacks = [stack("apps", "n8n", "litellm")]
    return Budget(
        Surface(fleet, stacks, connection, connection, Stopped(host), history, host.root.parent / "laptop", read_only)
    )


@pytest.fixture
def budget(host: Host) -> Budget:
    return budget_of(host)


async def done(budget: Budget, change: Change, *, typed: str = "") -> tuple[list[str], Finished]:
    """What happened, and the end."""
    events: list[Event] = [event async for event in budget.apply(change, typed=typed)]
    assert isinstance(events[-1], Finished)
    return [it.what if isinstance(it, Journaled) else it.name for it in events], events[-1]


def journal(host: Host) -> list[tuple[str, str, str]]:
    entries, bad = History(host.root.parent / "laptop/history.jsonl").read()
    assert not bad
    return [(it.what, it.result, it.detail) for it in entries]


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


async def test_undo_is_no_success_while_litellm_goes_by_the_newer_file(budget: Budget, host: Host) -> None:
    await done(budget, await budget.plan_cap("3"))
    (host.root / "loaded").write_bytes(host.file.read_bytes())  # it was restarted since
    undo = await budget.plan_undo()
    assert undo is not None
    _, end = await done(budget, undo)
    assert end.outcome is Outcome.FAILED and "says cap 3.00 (general_settings)" in end.reason


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
