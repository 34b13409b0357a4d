"""Hidden spend, the cap in force and whether it acts, from whole looks at a LiteLLM, its Redis and its database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from budget_things import CONFIG, NO_DATABASE, NOW, found, healthy, hook, redis, table, told
from fleet_things import stack

from vpai_tui.budget import checks
from vpai_tui.budget.findings import Findings
from vpai_tui.budget.fold import fold
from vpai_tui.budget.model import Enforcement
from vpai_tui.budget.transport import Answer
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.fleet.stackspec import ShippedFile

INTERNAL = "litellm-internal-health-check"
BARE = {**healthy(), "/global/spend": Answer(200, {"spend": 1.0, "max_budget": 0.0})}  # the recorded one has 0.40


def spend(seen: Findings) -> list[Finding]:
    snapshot = fold(seen)
    return list(checks.internal_spend(snapshot, checks.keys_of(seen, snapshot)))


# ── hidden spend ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_no_internal_key_spent_anything() -> None:
    (one,) = spend(await found(told()))
    assert one.standing is Standing.OK and "is LiteLLM's own" in one.detail


@pytest.mark.parametrize("alias", [INTERNAL, "litellm_internal_jobs", "prod Health Check"])
async def test_an_internal_key_that_spent_is_told_with_its_pace(alias: str) -> None:
    keys = [{"alias": alias, "hash": "aa", "spend": 1.85}, {"alias": "n8n", "hash": "bb", "spend": 1}]
    down = {**healthy(), "/user/daily/activity/aggregated": NO_DATABASE}
    (one,) = spend(await found(told(answers=down, of_sql=table(keys=keys), of_redis=redis(None))))
    assert (one.standing, one.subject) == (Standing.WARN, alias)
    assert one.detail.startswith("$1.85 since yesterday, $0.10 an hour today")  # at half past six in the evening


async def test_what_was_spent_yesterday_counts() -> None:
    before = (NOW - timedelta(days=1)).date().isoformat()
    counters = {"spend": {before: "0.4"}, "by": {before: {f"key|{INTERNAL}": "0.4", "prov|openai": "0.4"}}}
    (one,) = spend(await found(told(of_redis=redis(**counters))))
    assert (one.subject, one.detail[:21]) == (INTERNAL, "$0.40 since yesterday")
    assert "an hour" not in one.detail, "nothing today"


async def test_nobody_tells_spend_by_key() -> None:
    lost = OperatorError("gone")
    nothing = {path: NO_DATABASE for path in healthy() if path != "/health/readiness"}
    (one,) = spend(await found(told(answers=nothing, of_redis=lost, of_sql=lost)))
    assert one.standing is Standing.UNKNOWN


# ── the cap ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def cap(laptop: tuple[str, float | None] | None = ("litellm_config.yaml", 5.0), **changed: Any) -> Finding:
    config = changed.pop("config", CONFIG)
    return checks.cap_in_force(fold(await found(told(**changed), config=config)), laptop)


async def test_a_cap_that_everybody_believes() -> None:
    one = await cap()
    assert (one.standing, one.detail) == (
        Standing.OK,
        "$5.00 a day is in force, by the file on the host; the files agree",
    )


async def test_a_cap_that_is_another_than_in_the_files() -> None:
    one = await cap(of_redis=redis(hook(cap=10.0, cap_source="redis")))
    assert one.standing is Standing.WARN
    assert one.detail == (
        "$10.00 a day is in force, by the key in Redis; the file on the host says $5.00, "
        "litellm_config.yaml on this laptop says $5.00"
    )
    assert (await cap(("litellm_config.yaml", 8.0))).standing is Standing.WARN


async def test_no_cap_and_one_that_nothing_holds() -> None:
    none = await cap(of_redis=redis(hook(cap=None, cap_source="none")), config=b"general_settings: {}")
    assert (none.standing, none.detail) == (Standing.ERROR, "no cap is in force at all")
    declared = await cap(answers=BARE, of_redis=redis(None))
    assert declared.standing is Standing.ERROR and "nothing holds it" in declared.detail
    assert (await cap(of_redis=OperatorError("gone"))).standing is Standing.UNKNOWN


async def test_litellm_s_own_cap_is_in_force_without_the_callback() -> None:
    one = await cap(of_redis=redis(None))
    assert one.standing is Standing.WARN and one.detail.startswith("$0.40 a day is in force, by LiteLLM's own setting")
    one = await acts(of_redis=redis(None))
    assert (one.standing, one.detail) == (Standing.WARN, "nothing would hold a mode: only LiteLLM's own cap acts")


def test_the_laptop_s_own_file(tmp_path: Path) -> None:
    path = tmp_path / "configs/litellm/litellm_config.yaml"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONFIG)
    files = (ShippedFile(path="configs/litellm/litellm_config.yaml"),)
    ours = replace(stack("apps", "litellm", files=files), dir=tmp_path)
    assert checks.laptop_cap(ours, None) == ("configs/litellm/litellm_config.yaml", 5.0)
    assert checks.laptop_cap(ours, "/opt/vpai/configs/litellm/litellm_config.yaml") == (files[0].path, 5.0)
    path.write_bytes(b"\xff[")
    assert checks.laptop_cap(ours, None) == (files[0].path, None)
    assert checks.laptop_cap(stack(), None) is None


# ── the mode ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def calls(*spent: float, ago_s: float = 60) -> Answer:
    at = (NOW - timedelta(seconds=ago_s)).isoformat()
    return Answer(200, {"data": [{"startTime": at, "spend": it, "model_group": "gpt-4o"} for it in spent]})


async def acts(recent: Answer | None = None, **changed: Any) -> Finding:
    return checks.acts(fold(await found(told(**changed))), recent)


async def test_a_mode_that_acts_and_one_past_which_money_goes() -> None:
    eco = {"of_redis": redis(hook(mode="eco", effective="eco"))}
    one = await acts(calls(0, 0, 0), **eco)
    assert one.standing is Standing.OK and "0 of 3 calls of the last 5 minutes cost money" in one.detail
    one = await acts(calls(0, 0.01, 0), **eco)
    assert one.standing is Standing.WARN and "1 of 3 calls" in one.detail
    assert "0 of 0 calls" in (await acts(calls(0.5, ago_s=900), **eco)).detail, "older calls are of another time"
    for unknown in (None, Answer(500), Answer(200, {"data": 7}), Answer(200, [])):
        assert "its last calls are not known" in (await acts(unknown, **eco)).detail


async def test_a_flag_that_nothing_reads() -> None:
    one = await acts(answers=BARE, of_redis=redis(None, mode="eco"))
    assert one.standing is Standing.ERROR
    assert one.detail.startswith("mode eco and a cap of $5.00, and nothing holds it")
    assert (await acts()).standing is Standing.OK
    assert (await acts(of_redis=OperatorError("gone"))).standing is Standing.UNKNOWN


async def test_without_cap_or_mode_nothing_is_missed() -> None:
    snapshot = fold(await found(told()))
    bare = replace(snapshot, enforcement=Enforcement.DECLARED, cap_usd=None, manual=None)
    assert checks.acts(bare, None).standing is Standing.WARN
