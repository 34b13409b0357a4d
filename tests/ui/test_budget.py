"""Mode 4: what AI costs against the cap, whether the cap acts, and what is said when something does not answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from vpai_tui.budget.model import Enforcement, Mode, Source
from vpai_tui.errors import HostUnreachable, OperatorError, UsageError
from vpai_tui.fleet.model import Health
from vpai_tui.widgets.budget_look import BudgetLook

from . import fake_budget as budget
from . import fake_fleet as fake
from .budget_kit import BOTH, Picture, Size, command, did, on, screen_of, shown
from .conftest import TALL, OpenCockpit
from .fake_budget import FakeBudget

# -- looking --------------------------------------------------------------------------------------------------------


@BOTH
async def test_the_sum_the_cap_and_whether_it_acts(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    async with cockpit(backend=on(FakeBudget()), size=size) as at:
        await at.press("4")
        text = at.text()
        assert "of $5.00  12%  $4.40 left" in text
        assert "✔ normal  ✔ enforced" in text
        assert "60% of the day ▴" in text
        assert "≈ $1.00" in text
        assert "✔ not today" in text
        assert "9h40, 00:00 Europe/Paris" in text
        assert "activity 2s ago" in text
        assert "counters 1s ago" in text
        assert "209" in text
        assert "▲ 3" in text
        assert shown(at, "name", "spend", "note")[:2] == ["claude-sonnet $0.35", "gpt-4o $0.10"]
        picture(at, "calm")


@BOTH
async def test_near_the_cap_the_hour_it_will_be_reached(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    async with cockpit(backend=on(FakeBudget(budget.ninety())), size=size) as at:
        await at.press("4")
        assert "▲ ≈ 15:35" in at.text()
        assert "▲ ≈ $7.64" in at.text()
        assert "$4.60 of $5.00 are spent today" in at.text()
        assert "→ M, a higher cap" in at.text()
        picture(at, "ninety")


@BOTH
async def test_over_the_cap_eco_comes_on_by_itself(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    async with cockpit(backend=on(FakeBudget(budget.over())), size=size) as at:
        await at.press("4")
        assert "104%  $0.21 over" in at.text()
        assert "▲ eco by itself  ✔ enforced" in at.text()
        assert "✖ at 13:22" in at.text()
        assert "qwen3-coder answers paid requests since 13:22, until 00:00 Europe/Paris" in at.text()
        picture(at, "over")


@BOTH
async def test_without_a_database_the_counters_are_shown(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    async with cockpit(backend=on(FakeBudget(budget.no_database())), size=size) as at:
        await at.press("4")
        assert "no database" in at.text()
        assert "◌ the days are not known" in at.text()
        assert "counters 2s ago" in at.text()
        picture(at, "no-database")


@BOTH
async def test_a_proxy_that_is_down_leaves_its_tables(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    async with cockpit(backend=on(FakeBudget(budget.down())), size=size) as at:
        await at.press("4")
        assert "LiteLLM does not answer: connection refused; the numbers are from SQL" in at.text()
        assert "◌ mode and enforcement unknown" in at.text()
        assert "✔" not in at.text().splitlines()[4 if size != TALL else 5]
        picture(at, "proxy-down")


@BOTH
async def test_a_key_that_nobody_reads_is_declared_only(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    async with cockpit(backend=on(FakeBudget(budget.not_enforced())), size=size) as at:
        await at.press("4")
        assert "▲ eco  ▲ declared only" in at.text()
        assert "LiteLLM runs without the callback that holds cap and eco mode" in at.text()
        assert "✔ enforced" not in at.text()
        picture(at, "not-enforced")


@pytest.mark.parametrize("cap", [0.01, 0.03, 0.2, 1.0])
async def test_a_day_that_cost_many_times_the_cap_is_drawn_too(cockpit: OpenCockpit, cap: float) -> None:
    async with cockpit(backend=on(FakeBudget(budget.make_snapshot(4.2, cap_usd=cap)))) as at:
        await at.press("4")
        assert f"${4.2 - cap:.2f} over" in at.text() or f"{4.2 - cap:.2f} over" in at.text()


async def test_over_a_cap_that_nothing_holds(cockpit: OpenCockpit) -> None:
    found = replace(budget.not_enforced(), manual=Mode.NORMAL, spend=budget.make_spend(5.21))
    found = replace(found, alerts=(budget.OVER, budget.NOT_ENFORCED))
    async with cockpit(backend=on(FakeBudget(found)), size=TALL) as at:
        await at.press("4")
        assert "▲ declared only: nothing acts on it" in at.text()
        assert "normal" not in at.text().splitlines()[5]
        text = at.text()
        assert text.index("LiteLLM runs without the callback") < text.index("$5.21 of $5.00 are spent")
        assert "M, a higher cap" not in text


async def test_prices_are_not_missing_while_nobody_can_be_asked_for_them(cockpit: OpenCockpit) -> None:
    async with cockpit(backend=on(FakeBudget(budget.down())), size=TALL) as at:
        await at.press("4")
        rows = {row.key: row for row in screen_of(at).table.rows}
        assert rows["kimi-k2"].cells["note"][0] == "◌ price unknown"
        assert rows["claude-sonnet"].cells["note"][0] == ""


async def test_a_mode_set_by_hand_says_so_and_how_it_ends(cockpit: OpenCockpit) -> None:
    for mode, words in ((Mode.ECO, "▲ eco by hand"), (Mode.BLOCKED, "■ blocked by hand")):
        found = FakeBudget(budget.make_snapshot(1.42, mode=mode, manual=mode))
        async with cockpit(backend=on(found), size=TALL) as at:
            await at.press("4")
            assert words in at.text()
            assert "until the mode is set back → E, off" in at.text()


@pytest.mark.parametrize(("cap", "beat", "words"), [(None, True, "no cap"), (None, False, "cap unknown")])
async def test_without_a_cap_there_is_no_bar(cockpit: OpenCockpit, cap: float | None, beat: bool, words: str) -> None:
    found = budget.make_snapshot(1.42, cap_usd=cap, cap_source="none", configured_cap_usd=None)
    found = found if beat else replace(found, beat=None, enforcement=Enforcement.UNKNOWN, mode=None)
    async with cockpit(backend=on(FakeBudget(found))) as at:
        await at.press("4")
        assert words in at.text()
        assert "no cap is in force" in at.text()
        assert "╋" not in at.text()


@BOTH
async def test_a_sum_that_is_not_known_is_no_zero(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    async with cockpit(backend=on(FakeBudget(budget.make_snapshot(spend=None))), size=size) as at:
        await at.press("4")
        assert "the sum of today is not known" in at.text()
        assert "$0.00" not in at.text()
        assert "◌ not known; the notes say why" in at.text()
        picture(at, "sum-unknown")


# -- the tables -----------------------------------------------------------------------------------------------------


@BOTH
async def test_providers_against_the_plan_in_two_views(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    async with cockpit(backend=on(FakeBudget()), size=size) as at:
        await at.press("4")
        await at.press("tab")
        assert shown(at, "name", "share", "target", "note") == [
            "openrouter 80% 65% +15 points",
            "anthropic 0% 15% −15 points",
            "openai 16% 10% +6 points",
            "zai 0% 5% −5 points",
            "gemini 4% not in the plan",
            "nobody's 5% the plan gives it to nobody",
            "byteplus ◌ BytePlus ($5 a month) cannot be known: n8n calls it directly, past LiteLLM",
        ]
        await at.press("tab")
        assert shown(at, "name", "share", "note")[:2] == ["openrouter 4% −61 points", "anthropic 68% +53 points"]
        picture(at, "vendor")
        await at.press("o")
        assert shown(at, "name")[0] == "anthropic"


@BOTH
async def test_keys_by_alias_and_who_changed_what(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    backend = on(FakeBudget())
    async with cockpit(backend=backend, size=size) as at:
        await at.press("4")
        await at.press("tab", "tab", "tab")
        assert shown(at, "name", "spend", "share")[0] == "n8n-prod $0.37 61%"
        await at.press("tab")
        assert shown(at, "by", "what", "result", "detail") == [
            "mobuone@lap cap ✖ failed 5.00 → 8.00: Redis does not answer",
            "mobuone@lap cap ✔ committed 10.00 → 5.00",
            "ann@desk mode ✔ committed eco → normal",
            "ann@desk mode ✔ committed normal → eco",
        ]
        picture(at, "changes")
        await at.press("tab")
        assert screen_of(at).part == "models"
        await command(at, "view keys")
        assert screen_of(at).part == "keys"
        await command(at, "view nonsense")
        assert "one of models, billed by, vendor, keys, changes" in at.toasts()[-1]


async def test_a_history_that_cannot_be_had_is_said_where_it_would_stand(cockpit: OpenCockpit) -> None:
    backend = on(FakeBudget())
    backend.chronicle = OperatorError("the journal cannot be read")
    async with cockpit(backend=backend) as at:
        await at.press("4")
        await at.press("tab", "tab", "tab", "tab")
        assert "◌ not known: the journal cannot be read" in at.text()


async def test_models_without_a_price_are_a_floor(cockpit: OpenCockpit) -> None:
    async with cockpit(backend=on(FakeBudget()), size=TALL) as at:
        await at.press("4")
        rows = {row.key: row for row in screen_of(at).table.rows}
        assert rows["kimi-k2"].cells["spend"][0] == "≥$0.00"
        assert rows["kimi-k2"].cells["note"][0] == "▲ no price"
        assert rows["qwen3-coder"].cells["note"][0] == "✔ free"
        assert rows["grok-4.1-fast"].cells["spend"][0] == "–"  # configured, and not used today
        assert rows["claude-sonnet"].cells["out"][0] == "$15.00"


async def test_models_are_filtered_sorted_and_copied(cockpit: OpenCockpit) -> None:
    async with cockpit(backend=on(FakeBudget())) as at:
        await at.press("4")
        await at.press("o")
        assert shown(at, "name")[:2] == ["claude-haiku", "claude-sonnet"]
        await at.press("o")
        assert shown(at, "name")[0] == "claude-sonnet"  # by requests
        await at.press("slash")
        await at.type("no price")
        await at.press("enter")
        assert shown(at, "name") == ["kimi-k2", "grok-4.1-fast"]
        await at.press("g", "c")
        assert at.app.clipboard == "kimi-k2  ≥$0.00  9  70.0k  –  –  ▲ no price"
        await at.press("escape")
        assert len(shown(at, "name")) == 10


@BOTH
async def test_all_that_is_known_of_a_model_and_of_the_budget(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    async with cockpit(backend=on(FakeBudget(budget.over())), size=size) as at:
        await at.press("4")
        await at.press("j", "j", "j", "j", "j", "enter")
        picture(at, "describe")
        text = " ".join(screen_of(at)._detail.text.split())
        assert "where the provider does not tell the cost itself, LiteLLM counts nothing" in text
        assert "qwen3-coder answers in its place" in text
        assert "in force $5.00 a day (general_settings.max_budget)" in text
        assert "reached at 13:22, $5.02 of $5.00" in text
        assert "free models qwen3-coder, deepseek-v3-free" in text
        assert "sum, tables LiteLLM's daily activity, 2s ago" in text
        assert "BytePlus ($5 a month) cannot be known" in text
        await at.press("enter", "G")
        assert budget.UNPRICED.split()[-1] in at.text()  # the end of it, scrolled to
        await at.press("escape", "escape")
        assert not screen_of(at)._detail.display


async def test_describing_a_provider_a_key_and_a_change(cockpit: OpenCockpit) -> None:
    async with cockpit(backend=on(FakeBudget()), size=TALL) as at:
        await at.press("4")
        await at.press("tab", "enter")
        words = []
        for _ in range(4):
            words.append(" ".join(screen_of(at)._detail.text.split()))
            await at.press("tab")
        assert "openrouter billed by $0.48 is on its bill share 80% plan 65% +15 points" in words[0]
        assert "vendor $0.02 its own models cost, whoever bills them" in words[1]
        assert "n8n-prod spend $0.37 today, 61% of all keys" in words[2]
        assert "budget cap when 2026-02-26T09:12:44Z by mobuone@lap" in words[3]


# -- when nothing answers -------------------------------------------------------------------------------------------


@BOTH
async def test_old_values_stay_with_their_age_and_prove_nothing(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    found = FakeBudget(budget.ninety())
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("4")
        found.found = HostUnreachable("no answer in 3 s", host="sese", step="tcp", remedy="ping 137.74.114.167")
        at.clock.passed_s = 95
        await at.press("j")
        await at.settle()
        assert "no answer in 3 s → ping" in at.text()
        assert "◌ normal  ◌ enforced 1m ago" in at.text()
        assert "activity 1m old" in at.text()
        assert all(row.dim for row in screen_of(at).table.rows)
        assert "9h38, 00:00 Europe/Paris" in at.text()  # the day goes on
        picture(at, "stale")


@BOTH
async def test_nothing_known_yet_says_so_and_the_keys_go_on(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeBudget()
    async with cockpit(backend=on(found), size=size) as at:
        at.app.context.budget = BudgetLook()
        found.hangs = True
        at.app.budget_watch.again()
        await at.pilot.press("4")
        await at.pilot.pause(0.2)
        assert "… asking LiteLLM, its database and Redis" in at.text()
        picture(at, "loading")
        await at.pilot.press("tab", "1")
        assert at.screen == "FleetScreen"
        found.hangs = False


@BOTH
async def test_a_fleet_without_litellm(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeBudget(UsageError("no stack of the fleet has LiteLLM", remedy="docs/budget.md"))
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("4")
        assert "◌ nothing is known of the budget" in at.text()
        assert "no stack of the fleet has LiteLLM → docs/budget.md" in at.text()
        picture(at, "none")


async def test_the_screen_asks_every_ten_seconds_and_ages_tick(cockpit: OpenCockpit) -> None:
    found = FakeBudget()
    async with cockpit(backend=on(found), size=TALL) as at:
        await at.press("4")
        await at.press("j", "k")
        assert len(did(found, "snapshot")) == 1
        at.clock.passed_s = 7
        await at.press("j")
        assert "heartbeat 8s ago" in at.text()
        assert "activity 9s ago" in at.text()
        assert len(did(found, "snapshot")) == 1
        at.clock.passed_s = 11
        await at.press("k")
        await at.settle()
        assert len(did(found, "snapshot")) == 2
        assert "heartbeat 1s ago" in at.text()
        await at.press("ctrl+r")
        assert len(did(found, "snapshot")) == 3


async def test_a_day_that_is_over_is_not_told_as_today(cockpit: OpenCockpit) -> None:
    found = FakeBudget()
    async with cockpit(backend=on(found)) as at:
        await at.press("4")
        found.found = OperatorError("no answer")
        at.clock.passed_s = timedelta(hours=10).total_seconds()
        await at.press("j")
        await at.settle()
        assert "◌ that day is over" in at.text()


async def test_alerts_reach_the_fleet_cheaply_and_lead_here(cockpit: OpenCockpit) -> None:
    found = FakeBudget(budget.not_enforced())
    async with cockpit(backend=on(found)) as at:
        assert "LiteLLM runs without the callback" in at.text()
        assert did(found, "snapshot", "alerts") == [("alerts",)]  # one cheap look
        at.clock.passed_s = 290
        at.backend.put(fake.calm())
        await at.settle()
        assert did(found, "snapshot", "alerts") == [("alerts",)]
        at.clock.passed_s = 310
        at.backend.put(fake.calm())
        await at.settle()
        assert did(found, "snapshot", "alerts") == [("alerts",), ("alerts",)]
        at.app.screen.query_one("#alerts").focus()
        await at.press("enter")
        assert at.screen == "BudgetScreen"


async def test_alerts_of_long_ago_are_not_repeated_for_ever(cockpit: OpenCockpit) -> None:
    found = FakeBudget(budget.over())
    async with cockpit(backend=on(found)) as at:
        assert "$5.21 of $5.00" in at.text()
        found.found = OperatorError("no answer")
        at.clock.passed_s = 1300
        await at.press("j")
        assert "$5.21 of $5.00" not in at.text()


async def test_nothing_is_asked_of_a_fleet_that_runs_no_litellm(cockpit: OpenCockpit) -> None:
    fleet = fake.calm()
    services = tuple(it for it in fleet.services if it.service != "litellm")
    backend = on(FakeBudget())
    backend._snapshots.get_nowait()
    backend.put(replace(fleet, services=services))
    async with cockpit(backend=backend):
        assert backend.fake_budget.asked == []
    assert all(it.health is Health.HEALTHY for it in fleet.services if it.service == "litellm")


async def test_no_colour(cockpit: OpenCockpit, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with cockpit(backend=on(FakeBudget(budget.over())), size=TALL) as at:
        await at.press("4")
        picture(at, "over-no-color")


def test_a_source_is_named_for_each_way_of_reading() -> None:
    from vpai_tui.widgets.budget_words import SOURCES

    assert set(SOURCES) == set(Source)
