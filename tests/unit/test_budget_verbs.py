"""`vpai-tui budget …`: what may be typed, what is printed, the exit codes."""

from __future__ import annotations

import asyncio
import json
from argparse import Namespace
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from vpai_tui.budget.change import Change, Order
from vpai_tui.budget.model import (
    Beat,
    BudgetSnapshot,
    DaySpend,
    Enforcement,
    Forecast,
    HourSpend,
    KeySpend,
    Mode,
    ModelSpend,
    Part,
    Price,
    ProviderSpend,
    Source,
    Spend,
)
from vpai_tui.budget.prove import Proof, Question
from vpai_tui.errors import HostUnreachable, OperatorError, PreflightRefused, UsageError
from vpai_tui.fleet.model import Alert, Severity
from vpai_tui.fleet.operation import Event, Finished, Journaled, Outcome
from vpai_tui.verbs import arguments
from vpai_tui.verbs import budget as verb
from vpai_tui.verbs import fleet as fleet_verbs

NOW = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
DAY = date(2026, 11, 25)
AT = "2026-11-25T12:30:00Z"
SPEND = Spend(
    day=DAY,
    total=Part(Source.ACTIVITY, NOW - timedelta(seconds=4)),
    spend_usd=3.38,
    requests=900,
    failed=2,
    tokens=120000,
    cached_tokens=900,
    providers=(ProviderSpend("openrouter", 2.2, 0.0, 0.65, 0.65), ProviderSpend("anthropic", 1.18, 1.5, 0.35, 0.15)),
    models=(
        ModelSpend("claude-sonnet", 2.0, 10, 20, True, False, 3.0, 15.0),
        ModelSpend("glm-5", 0.004, 3, 4, False),
        ModelSpend("qwen3-coder", 0.0, 30, 40, True, True, 0.0, 0.0),
    ),
    keys=(KeySpend("openclaw", 3.38),),
    hours=tuple(HourSpend(hour, 0.3 if hour == 9 else 0.0) for hour in range(13)),
    hours_part=Part(Source.COUNTERS, NOW),
    days=(DaySpend(DAY - timedelta(days=1), 4.0), DaySpend(DAY, 3.38)),
    days_part=Part(Source.ACTIVITY, NOW),
)
FOUND = BudgetSnapshot(
    at=NOW,
    host="sese",
    stack="sese/apps",
    service="sese/apps/litellm",
    day=DAY,
    timezone="Europe/Paris",
    resets_at=datetime(2026, 11, 25, 23, tzinfo=UTC),
    mode=Mode.NORMAL,
    manual=Mode.NORMAL,
    enforcement=Enforcement.ENFORCED,
    why="the callback's heartbeat is 1 s old",
    version="1.81.3",
    spend=SPEND,
    cap_usd=5.0,
    cap_source="redis",
    configured_cap_usd=4.0,
    beat=Beat(NOW - timedelta(seconds=1), Mode.NORMAL, Mode.NORMAL, 3.38, 3.38, 5.0, "redis", ("q",), DAY, "UTC"),
    prices={"claude-sonnet": Price(3.0, 15.0)},
    forecast=Forecast(6.1, datetime(2026, 11, 25, 18, 5, tzinfo=UTC), 0.4),
    alerts=(Alert(Severity.WARN, "sese", "AI budget", "nearly there", "raise it"),),
    notes=("something is not known",),
)
DARK = replace(
    FOUND, mode=None, manual=None, enforcement=Enforcement.UNKNOWN, why="Redis is silent", spend=None, cap_usd=None,
    beat=None, forecast=Forecast(None, None, None), error="vpai-litellm-1 is exited", remedy="start it",
    cap_source="none", notes=("vpai-litellm-1 is exited", "no database"),
)  # fmt: skip
CHANGE = Change(
    "cap", "set the cap to $3.00 a day", "5.00", "3.00", ("eco comes on now",), ("Redis: 5.00 → 3.00",),
    "until it is set again", ("Ansible",), None, "vpai-tui budget undo",
)  # fmt: skip


class Desk:
    """A `Budget` that says what it is told to."""

    host = "sese"

    def __init__(self) -> None:
        self.found: BudgetSnapshot | OperatorError = FOUND
        self.planned: Change | None = CHANGE
        self.end = Finished(AT, Outcome.COMMITTED, "id")
        self.costs = False
        self.answer = Proof("claude-sonnet", "qwen3-coder", 200, mode=Mode.ECO, cost_usd=0.0)
        self.calls: list[Any] = []

    async def snapshot(self) -> BudgetSnapshot:
        if isinstance(self.found, OperatorError):
            raise self.found
        return self.found

    async def plan_cap(self, text: str) -> Change:
        assert self.planned
        self.calls.append(("cap", text))
        return self.planned

    async def plan_mode(self, word: str) -> Change:
        assert self.planned
        self.calls.append(("mode", word))
        return self.planned

    async def plan_undo(self) -> Change | None:
        return self.planned

    async def apply(self, change: Change, *, typed: str = "") -> AsyncIterator[Event]:
        self.calls.append(("apply", typed))
        yield Journaled(AT, "set", "key")
        yield self.end

    async def question(self, alias: str | None = None) -> Question:
        return Question(alias or "claude-sonnet", self.costs, "it is paid")

    async def prove(self, alias: str | None = None) -> Proof:
        self.calls.append(("prove", alias))
        return self.answer


@pytest.fixture
def desk() -> Desk:
    return Desk()


def run(desk: Desk, *words: str) -> int:
    args = arguments.parse(["budget", *words])
    world: Any = Namespace(budget=lambda **_: desk)
    return asyncio.run(verb.VERBS["budget"](world, args))  # type: ignore[arg-type]


# ── what is shown ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_document(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(desk, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "schema": 1, "day": "2026-11-25", "timezone": "Europe/Paris", "spend_usd": 3.38, "cap_usd": 5.0,
        "mode": "normal", "enforcement": "enforced", "heartbeat_age_s": 1.0, "source": "activity", "age_s": 4.0,
        "by_provider": [
            {"provider": "openrouter", "billed_usd": 2.2, "vendor_usd": 0.0, "share": 0.65, "target_share": 0.65},
            {"provider": "anthropic", "billed_usd": 1.18, "vendor_usd": 1.5, "share": 0.35, "target_share": 0.15},
        ],
        "by_model": [
            {"model": "claude-sonnet", "spend_usd": 2.0, "requests": 10, "tokens": 20, "priced": True},
            {"model": "glm-5", "spend_usd": 0.004, "requests": 3, "tokens": 4, "priced": False},
            {"model": "qwen3-coder", "spend_usd": 0.0, "requests": 30, "tokens": 40, "priced": True},
        ],
        "by_key": [{"alias": "openclaw", "spend_usd": 3.38}],
        "hours": [{"hour": hour, "spend_usd": 0.3 if hour == 9 else 0.0} for hour in range(13)],
        "days": [{"day": "2026-11-24", "spend_usd": 4.0}, {"day": "2026-11-25", "spend_usd": 3.38}],
        "forecast": {"end_of_day_usd": 6.1, "cap_reached_at": "2026-11-25T18:05:00Z"},
        "notes": ["something is not known"],
    }  # fmt: skip


def test_what_is_not_known_is_null_with_its_reason(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.found = DARK
    assert run(desk, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    known = {key: value for key, value in told.items() if value is not None}
    assert known == {
        "schema": 1, "day": "2026-11-25", "timezone": "Europe/Paris", "enforcement": "unknown",
        "forecast": {"end_of_day_usd": None, "cap_reached_at": None},
        "notes": ["vpai-litellm-1 is exited", "no database"],
    }  # fmt: skip
    partly = replace(SPEND, keys=None, hours=None, days=None)
    desk.found = replace(FOUND, spend=partly)
    run(desk, "--json")
    told = json.loads(capsys.readouterr().out)
    assert (told["by_key"], told["hours"], told["days"]) == (None, None, None)


def test_for_people(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(desk) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0].startswith("sese/apps/litellm on 2026-11-25: $3.38 of $5.00 [") and lines[0].endswith("] 68 %")
    assert "set in Redis; the file says $4.00" in out
    assert "✔ enforced: the callback's heartbeat is 1 s old" in out
    assert "$6.10 at the end of the day, $0.40 an hour now; the cap is reached at 19:05" in out, "in its time zone"
    assert "in 10h30, 00:00 (Europe/Paris)" in out
    assert "activity, 4s old, LiteLLM 1.81.3" in out
    assert "900 requests, 2 failed, 120000 tokens, 900 of them from a cache" in out
    assert "▁▁▁▁▁▁▁▁▁█▁▁▁" in out
    assert any(line.split() == ["anthropic", "$1.18", "35", "%", "15", "%", "$1.50"] for line in lines)
    assert any(line.startswith("glm-5") and "≥ $0.0040" in line and "a floor" in line for line in lines)
    assert any(line.startswith("claude-sonnet") and line.endswith("3 / 15") for line in lines)
    assert any(line.startswith("qwen3-coder") and line.endswith("free") for line in lines)
    assert "▲ nearly there  → raise it" in out and "· something is not known" in out


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (DARK, ["not known no cap", "◌ unknown: Redis is silent", "✖ vpai-litellm-1 is exited  → start it"]),
        (replace(FOUND, enforcement=Enforcement.DECLARED, why="no heartbeat"), ["▲ declared only: no heartbeat"]),
        (replace(FOUND, mode=Mode.BLOCKED, manual=Mode.BLOCKED), ["blocked: paid models are refused, set by hand"]),
        (replace(FOUND, cap_usd=3.0, mode=Mode.ECO), ["] 113 %", "eco: only free models\n", "; the cap is reached\n"]),
        (replace(FOUND, cap_usd=None), ["$3.38 no cap", "$6.10 at the end of the day, $0.40 an hour now\n"]),
        (replace(FOUND, forecast=Forecast(4.0, None, None)), ["day; the cap is not reached today"]),
    ],
)
def test_the_states_that_matter(
    desk: Desk, capsys: pytest.CaptureFixture[str], found: BudgetSnapshot, said: list[str]
) -> None:
    desk.found = found
    run(desk)
    out = capsys.readouterr().out
    assert [words for words in said if words not in out] == []
    assert out.count("vpai-litellm-1 is exited") <= 1, "said once"


# ── the knobs ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_plan_is_shown_and_yes_answers_it(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(desk, "set", "3", "--yes") == 0
    out = capsys.readouterr().out
    order = ("set the cap to $3.00 a day: 5.00 → 3.00", "eco comes on now", "▲ Ansible", "✔ set key", "committed")
    assert [out.index(words) for words in order] == sorted(out.index(words) for words in order)
    assert out.endswith("back: vpai-tui budget undo\n")
    assert desk.calls == [("cap", "3"), ("apply", "")]


def test_json_lines_begin_with_the_plan_and_end_with_the_outcome(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(desk, "set", "3", "--yes", "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["planned", "journaled", "finished"]
    assert all(line["schema"] == 1 for line in lines)
    assert set(lines[0]) == {
        "schema", "event", "kind", "title", "before", "after", "effects", "where", "ends", "warnings", "confirm",
        "undo", "unchanged",
    }  # fmt: skip


@pytest.mark.parametrize("flags", [(), ("--json",), ("--confirm", "other")])
def test_nobody_to_ask_is_a_usage_error_and_nothing_is_done(
    desk: Desk, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError, match="nobody can be asked"):
        run(desk, "set", "3", *flags)
    assert desk.calls == [("cap", "3")]
    assert flags != ("--json",) or capsys.readouterr().out == ""


def test_what_is_typed_goes_with_confirm_and_not_with_yes(desk: Desk) -> None:
    desk.planned = replace(CHANGE, word="litellm")
    with pytest.raises(UsageError, match="nobody can be asked"):
        run(desk, "set", "3", "--yes")
    assert run(desk, "set", "3", "--confirm", "litellm") == 0
    assert desk.calls[-1] == ("apply", "litellm")


def test_what_is_so_already_is_not_asked_about(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.planned = replace(CHANGE, order=Order("s", Enforcement.ENFORCED))
    desk.end = Finished(AT, Outcome.UNCHANGED, "id")
    assert run(desk, "set", "5") == 0
    assert "nothing to change: it is so already" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (Finished(AT, Outcome.FAILED, "id", "declared only: nothing acts on it"), 1),
        (Finished(AT, Outcome.REVERTED, "id"), 4),
        (Finished(AT, Outcome.UNKNOWN, "id"), 79),
        (Finished(AT, Outcome.REFUSED, "id", "x", "", 77), 77),
    ],
)
def test_how_it_ended_is_the_exit_code_and_no_proof_follows_a_failure(
    desk: Desk, capsys: pytest.CaptureFixture[str], end: Finished, code: int
) -> None:
    desk.end = end
    assert run(desk, "eco", "on", "--yes", "--prove") == code
    assert desk.calls == [("mode", "on"), ("apply", "")]
    assert "back:" not in capsys.readouterr().out.splitlines()[-1]


def test_undo_without_a_change(desk: Desk) -> None:
    assert run(desk, "undo", "--yes") == 0
    desk.planned = None
    with pytest.raises(UsageError, match="this laptop has changed nothing"):
        run(desk, "undo", "--yes")


def test_a_live_call_after_eco(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(desk, "eco", "on", "--yes", "--prove") == 0
    out = capsys.readouterr().out
    assert out.endswith("✔ claude-sonnet was answered by qwen3-coder, $0.000000  (mode eco)\n")
    assert run(desk, "eco", "on", "--yes", "--json", "--prove", "gpt-4o") == 0
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (line["event"], line["answered"], line["mode"]) == ("proved", "qwen3-coder", "eco")
    assert desk.calls[-1] == ("prove", "gpt-4o")


def test_a_call_that_costs_is_asked_about(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.costs = True
    with pytest.raises(UsageError, match="nobody can be asked"):
        run(desk, "prove", "claude-sonnet")
    assert "it is paid" in capsys.readouterr().out and desk.calls == []
    assert run(desk, "prove", "claude-sonnet", "--yes", "--json") == 0
    assert set(json.loads(capsys.readouterr().out)) == {
        "schema", "asked", "answered", "status", "refused", "mode", "cost_usd", "said", "forbidden",
    }  # fmt: skip


@pytest.mark.parametrize(("refused", "code"), [(True, 0), (False, 1)])
def test_a_refusal_by_the_budget_is_an_answer_too(desk: Desk, refused: bool, code: int) -> None:
    desk.answer = Proof("a", None, 429, refused=refused, said="no")
    assert run(desk, "prove") == code


def test_a_paid_model_that_answers_in_eco_mode_is_no_success(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.answer = Proof("claude-sonnet", "claude-sonnet", 200, cost_usd=0.05, forbidden=True)
    assert run(desk, "eco", "on", "--yes", "--prove") == 1
    told = capsys.readouterr().out
    assert told.endswith("✖ claude-sonnet answered itself, $0.050000: the mode does not hold it\n")


@pytest.mark.parametrize("words", [("eco", "maybe"), ("set",), ("sett", "3"), ("eco",)])
def test_what_is_no_action_is_a_usage_error(desk: Desk, words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(desk, *words)
    assert ended.value.code == 2


def test_a_negative_cap_is_read_as_one(desk: Desk) -> None:
    run(desk, "set", "-3", "--yes")
    assert desk.calls[0] == ("cap", "-3")


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        (["budget"], False), (["budget", "--json"], False), (["budget", "set", "3"], True),
        (["budget", "eco", "off"], True), (["budget", "undo"], True), (["budget", "prove"], True),
    ],
)  # fmt: skip
def test_a_read_only_cockpit_may_look(words: list[str], changes: bool) -> None:
    assert arguments.changes(arguments.parse(words)) is changes


# ── doctor ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("found", "ok", "said"),
    [
        (FOUND, True, "enforced, $5.00 a day"),
        (replace(FOUND, enforcement=Enforcement.DECLARED), None, "declared only, nothing holds $5.00 a day"),
        (DARK, None, "unknown: Redis is silent"),
        (OperatorError("Docker does not answer", host="sese"), None, "unknown: Docker does not answer"),
    ],
)
def test_doctor_says_whether_the_budget_is_held(
    desk: Desk, found: BudgetSnapshot | OperatorError, ok: bool | None, said: str
) -> None:
    desk.found = found
    result = asyncio.run(fleet_verbs._budget_check(Namespace(budget=lambda: desk)))  # type: ignore[arg-type]
    assert result is not None and (result.host, result.check, result.ok) == ("sese", "budget", ok)
    assert said in result.detail
    assert ok or result.remedy or isinstance(found, OperatorError)


@pytest.mark.parametrize("error", [UsageError("no stack has LiteLLM"), HostUnreachable("gone", host="sese")])
def test_doctor_has_no_line_where_there_is_none_or_one_already(desk: Desk, error: OperatorError) -> None:
    desk.found = error
    assert asyncio.run(fleet_verbs._budget_check(Namespace(budget=lambda: desk))) is None  # type: ignore[arg-type]


def test_a_refusal_goes_on_to_the_command_line(desk: Desk) -> None:
    async def refuse(text: str) -> Change:
        raise PreflightRefused("no", host="sese")

    desk.plan_cap = refuse  # type: ignore[method-assign]
    with pytest.raises(PreflightRefused):
        run(desk, "set", "3", "--yes")
