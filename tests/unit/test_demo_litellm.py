"""The demo's LiteLLM: money that adds up, and a callback that acts while nobody looks."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from vpai_tui.budget.model import TARGETS
from vpai_tui.demo.litellm import config, redis, rest
from vpai_tui.demo.litellm.world import PREFIX, World, fresh

CONFIG = Path(__file__).parents[2] / "stacks/sese/apps/configs/litellm/litellm_config.yaml"
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()  # a Wednesday
DAY_S, HOUR_S = 86400, 3600
WEEK = "/user/daily/activity/aggregated?start_date=2026-11-18&end_date=2026-11-25"
CHAT = {"model": "claude-sonnet", "messages": [{"role": "user", "content": "hi"}]}


class Demo:
    """One proxy through time."""

    def __init__(self) -> None:
        self.doc = fresh()
        self.doc["loaded"] = config.start(CONFIG.read_bytes())

    def at(self, now: float, *, environ: dict[str, str] | None = None, listens: bool = True) -> World:
        settings = {"ECO_FREE_ALIASES": "qwen3-coder,deepseek-v3-free,deepseek-r1-free", **(environ or {})}
        world = World(self.doc, now, settings, listens_since=NOON - DAY_S if listens else None, silent_since=now)
        world.advance()
        return world


@pytest.fixture
def demo() -> Demo:
    return Demo()


def get(world: World, path: str) -> Any:
    answer = rest.answer(world, "GET", path, None)
    assert answer.status == 200, answer
    return answer.body


def put(world: World, name: str, value: str, *more: str) -> None:
    assert redis.run(world, ["SET", PREFIX + name, value, *more]) == "OK\n"


def beat(world: World) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(redis.run(world, ["GET", f"{PREFIX}hook"]))
    return found


def test_every_sum_is_the_same_sum(demo: Demo) -> None:
    world = demo.at(NOON)
    today = get(world, WEEK)["results"][0]
    spend = today["metrics"]["spend"]
    assert spend > 0.5
    for part in ("models", "model_groups", "providers", "api_keys", "entities", "endpoints"):
        assert sum(it["metrics"]["spend"] for it in today["breakdown"][part].values()) == spend, part
    counted = world.redis(f"{PREFIX}by:2026-11-25")
    for kind in ("model", "prov", "vendor", "key", "hour"):
        assert sum(float(value) for name, value in counted.items() if name.startswith(f"{kind}|")) == spend, kind
    assert float(world.redis(f"{PREFIX}spend:2026-11-25")) == spend
    rows, page = [], 1
    while page:
        found = get(world, f"/spend/logs/v2?start_date=2026-11-25&end_date=2026-11-25&page={page}&page_size=100")
        rows += found["data"]
        page = page + 1 if page < found["total_pages"] else 0
    assert len(rows) == found["total"] == today["metrics"]["api_requests"]
    assert sum(row["spend"] for row in rows) == spend
    assert sum(
        it["spend"] for it in get(world, "/global/spend/provider?start_date=2026-11-25&end_date=2026-11-25")
    ) == (spend)


def test_the_document_s_split_is_about_what_is_billed(demo: Demo) -> None:
    spent: dict[str, float] = {}
    for day in get(demo.at(NOON), WEEK)["results"]:
        for name, one in day["breakdown"]["providers"].items():
            spent[name] = spent.get(name, 0.0) + one["metrics"]["spend"]
    for name, share in TARGETS.items():
        assert spent[name] / sum(spent.values()) == pytest.approx(share, abs=0.06), name


def test_the_same_moment_has_the_same_traffic_and_a_later_one_more(demo: Demo) -> None:
    assert Demo().at(NOON).spent == demo.at(NOON).spent
    spent = [demo.at(NOON + step * 300).spent for step in range(24)]
    assert spent == sorted(spent)
    assert spent[-1] > spent[0]


def test_the_cap_is_reached_while_nobody_looks(demo: Demo) -> None:
    put(demo.at(NOON), "cap", str(round(demo.at(NOON).spent + 0.5, 2)))
    later = demo.at(NOON + 8 * HOUR_S)
    told = beat(later)
    assert (told["effective"], told["mode"], told["cap_source"]) == ("eco", "normal", "redis")
    assert told["spend"] == pytest.approx(told["cap"], abs=0.001)
    since = json.loads(redis.run(later, ["GET", f"{PREFIX}auto"]))["since"]
    assert NOON < since < NOON + 8 * HOUR_S
    assert demo.at(NOON + 9 * HOUR_S).spent == later.spent
    put(later, "cap", "50")
    assert beat(later)["effective"] == "normal"
    assert redis.run(later, ["EXISTS", f"{PREFIX}auto"]) == "0\n"
    assert demo.at(NOON + 11 * HOUR_S).spent > later.spent


def test_a_new_day_begins_with_nothing_spent(demo: Demo) -> None:
    put(demo.at(NOON), "cap", "1")
    assert beat(demo.at(NOON + 11 * HOUR_S))["effective"] == "eco"
    world = demo.at(NOON + 12.5 * HOUR_S)
    assert beat(world)["effective"] == "normal"
    assert 0 < world.spent < 0.5
    assert redis.run(world, ["EXISTS", f"{PREFIX}auto"]) == "0\n"
    yesterday = world.redis(f"{PREFIX}by:2026-11-25")
    assert yesterday["req|qwen3-coder"] > "0"


def test_eco_mode_sends_paid_requests_to_a_free_model(demo: Demo) -> None:
    world = demo.at(NOON)
    before = get(world, WEEK)["results"][0]["breakdown"]["model_groups"]
    put(world, "mode", "eco", "EX", "7200")
    answer = rest.answer(world, "POST", "/v1/chat/completions", CHAT)
    assert answer.headers["x-litellm-model-group"] == "qwen3-coder"
    assert demo.at(NOON + HOUR_S).spent == demo.at(NOON).spent
    after = get(demo.at(NOON + HOUR_S), WEEK)["results"][0]["breakdown"]["model_groups"]
    assert after["claude-sonnet"] == before["claude-sonnet"]
    moved = after["qwen3-coder"]["metrics"]["api_requests"] - before["qwen3-coder"]["metrics"]["api_requests"]
    assert moved > 50
    assert beat(demo.at(NOON + 3 * HOUR_S))["mode"] == "normal"  # it had an end
    assert demo.at(NOON + 4 * HOUR_S).spent > demo.at(NOON).spent


def test_blocked_refuses_paid_models(demo: Demo) -> None:
    world = demo.at(NOON)
    put(world, "mode", "blocked")
    refused = rest.answer(world, "POST", "/v1/chat/completions", CHAT)
    assert refused.status == 429
    assert refused.body["error"]["type"] == "budget_exceeded"
    assert rest.answer(world, "POST", "/chat/completions", {**CHAT, "model": "qwen3-coder"}).status == 200


def test_a_call_costs_what_it_says(demo: Demo) -> None:
    world = demo.at(NOON)
    before = world.spent
    answer = rest.answer(world, "POST", "/v1/chat/completions", CHAT)
    cost = float(answer.headers["x-litellm-response-cost"])
    assert cost > 0
    assert world.spent == before + cost
    assert demo.at(NOON + 1).spent >= before + cost


def test_the_cap_comes_from_the_first_place_that_has_one(demo: Demo) -> None:
    assert beat(demo.at(NOON))["cap_source"] == "general_settings"
    environ = {"ECO_DAILY_CAP": "2.5"}
    assert beat(demo.at(NOON, environ=environ))["cap"] == 2.5
    put(demo.at(NOON), "cap", "7")
    assert beat(demo.at(NOON, environ=environ))["cap"] == 7.0
    for nonsense in ("-1", "much", "inf"):
        put(demo.at(NOON), "cap", nonsense)
        assert beat(demo.at(NOON))["cap_source"] == "general_settings", nonsense


def test_a_proxy_that_is_down_answers_nobody_and_costs_nothing(demo: Demo) -> None:
    demo.at(NOON)
    world = demo.at(NOON + 10, listens=False)
    assert rest.ask(world, [["GET", "/health/readiness", None]])[0]["status"] == 0
    assert demo.at(NOON + HOUR_S, listens=False).spent == pytest.approx(world.spent, abs=0.01)


def test_a_broken_configuration_does_not_start() -> None:
    for text, why in ((b"general_settings: [", "parsing"), (b"- a list", "no mapping"), (b"\xff", "codec")):
        with pytest.raises(ValueError, match=why):
            config.start(text)
