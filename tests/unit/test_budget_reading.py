"""One snapshot of the budget: the best source of each part, a note for each that fails, and nothing invented."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from budget_things import (
    ANY_JSON,
    CONFIG,
    DAY,
    MODELS,
    NO_DATABASE,
    NOW,
    PLACE,
    PLACES,
    SILENT,
    VERSIONS,
    aggregated,
    bent,
    counted,
    has_note,
    healthy,
    hook,
    redis,
    snapshot,
    sums_up,
    table,
    told,
)
from hypothesis import given
from hypothesis import strategies as st

from corpus_cases import is_safe
from vpai_tui.budget.model import BYTEPLUS, Enforcement, Mode, Source
from vpai_tui.budget.transport import Answer
from vpai_tui.errors import LinkLost, OperatorError
from vpai_tui.fleet.model import Severity
from vpai_tui.remote.failures import NoAnswer

THE_DAY = date.fromisoformat(DAY)
SETTINGS = CONFIG.decode()
ACTIVITY = "/user/daily/activity/aggregated"
REFUSED = OperatorError("PostgreSQL cannot be asked: container c3 is not running", host="sese")


def without(*paths: str, by: Answer = SILENT, version: str = "1.81.3") -> dict[str, Answer]:
    """A healthy LiteLLM in which some paths answer otherwise."""
    return healthy(version) | dict.fromkeys(paths, by)


# ── when all is well ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", VERSIONS)
async def test_all_of_a_healthy_litellm(version: str) -> None:
    snap = await snapshot(told(answers=healthy(version)))
    assert (snap.error, snap.version, snap.host, snap.service) == ("", version, "sese", "sese/apps/litellm")
    assert (snap.enforcement, snap.mode, snap.manual) == (Enforcement.ENFORCED, Mode.NORMAL, Mode.NORMAL)
    assert (snap.cap_usd, snap.cap_source, snap.configured_cap_usd) == (5.0, "general_settings", 5.0)
    assert snap.resets_at == datetime(2026, 11, 23, tzinfo=UTC)
    spend = snap.spend
    assert spend is not None
    assert (spend.day, spend.total.source, spend.spend_usd) == (THE_DAY, Source.ACTIVITY, 0.1)
    assert (spend.requests, spend.failed, spend.tokens, spend.cached_tokens) == (3, 0, 90, 0)
    assert {it.provider: (it.billed_usd, it.vendor_usd, it.share) for it in spend.providers} == {
        "openrouter": (0.05, 0.0, 0.5),
        "anthropic": (0.0, 0.05, 0.0),
        "openai": (0.05, 0.05, 0.5),
        "zai": (0.0, 0.0, 0.0),
    }
    assert [(it.model, it.priced, it.free) for it in spend.models] == [
        ("claude-sonnet", True, False),
        ("gpt-4o", False, False),
        ("qwen3-coder", True, True),
    ]
    assert spend.days is not None
    assert (len(spend.days), spend.days[-1].day, spend.days[-1].spend_usd) == (7, THE_DAY, 0.1)
    assert spend.days_part is not None
    assert spend.days_part.source is Source.ACTIVITY
    assert snap.alerts == ()
    assert set(snap.notes) == {BYTEPLUS, "no price is known of gpt-4o: the sum is the least that was spent"}
    assert sums_up(snap)


async def test_hours_come_from_the_counters_where_they_hold_the_day() -> None:
    whole = counted(hour_07="0.06", hour_18="0.04", prov_openai="0.1")
    snap = await snapshot(told(of_redis=redis(**whole)))
    assert snap.spend is not None
    assert snap.spend.hours is not None
    assert [it.hour for it in snap.spend.hours] == list(range(19))  # up to now, those without spend too
    assert {it.hour: it.spend_usd for it in snap.spend.hours if it.spend_usd} == {7: 0.06, 18: 0.04}
    assert snap.spend.hours_part is not None
    assert snap.spend.hours_part.source is Source.COUNTERS
    installed_at_noon = counted(hour_18="0.04", prov_openai="0.04")
    snap = await snapshot(told(of_redis=redis(**installed_at_noon)))
    assert snap.spend is not None
    assert snap.spend.hours_part is not None
    assert snap.spend.hours_part.source is Source.SQL


async def test_the_forecast_knows_the_days_before() -> None:
    answers = without(ACTIVITY, "/global/spend/provider", "/global/spend/logs")
    snap = await snapshot(told(of_sql=table(spend=2.0), answers=answers, of_redis=redis(hook(spend=2.0))))
    assert snap.spend is not None
    assert snap.spend.spend_usd == 2.0
    assert snap.forecast.end_of_day_usd is not None
    assert 2.0 < snap.forecast.end_of_day_usd < 4.0
    assert snap.forecast.cap_reached_at is None
    blocked = await snapshot(told(of_redis=redis(hook(effective="blocked", mode="blocked"), mode="blocked")))
    assert (blocked.mode, blocked.manual, blocked.forecast.end_of_day_usd) == (Mode.BLOCKED, Mode.BLOCKED, 0.1)


async def test_over_the_cap() -> None:
    auto = json.dumps({"since": NOW.timestamp() - 60, "spend": 5.01, "cap": 5})
    snap = await snapshot(told(of_redis=redis(hook(effective="eco", spend=5.01), auto=auto)))
    assert (snap.mode, snap.manual) == (Mode.ECO, Mode.NORMAL)
    assert snap.reached is not None
    assert (snap.reached.since, snap.reached.cap_usd) == (NOW - timedelta(seconds=60), 5)
    assert [it.severity for it in snap.alerts] == [Severity.ERROR]  # by what the callback compares
    assert has_note(snap, "compared with $5.01")
    yesterday = json.dumps({"since": NOW.timestamp() - 86400, "spend": 5.01, "cap": 5})
    assert (await snapshot(told(of_redis=redis(auto=yesterday)))).reached is None


# ── one source after the other fails ─────────────────────────────────────────────────────────────────────────────────


async def test_without_the_activity_spend_by_provider_and_models_of_the_tables() -> None:
    snap = await snapshot(told(answers=without(ACTIVITY, by=Answer(403, {"detail": "Only proxy admins"}))))
    assert snap.spend is not None
    assert snap.spend.total.source is Source.SPEND
    assert has_note(snap, "daily activity: HTTP 403: Only proxy admins")
    assert {it.model for it in snap.spend.models} == {"claude-sonnet", "gpt-4o", "qwen3-coder"}
    assert snap.spend.keys is not None
    assert (snap.spend.requests, snap.spend.cached_tokens) == (3, None)
    assert has_note(snap, "cache hits")
    assert snap.spend.days is not None
    assert sums_up(snap)


async def test_with_the_proxy_down_the_tables() -> None:
    down = OperatorError("LiteLLM cannot be asked: Container c1 is restarting", host="sese", remedy="look")
    snap = await snapshot(told(down=down))
    assert (snap.error, snap.remedy) == ("LiteLLM cannot be asked: Container c1 is restarting", "look")
    assert snap.enforcement is Enforcement.ENFORCED  # its last heartbeat is but a second old
    assert snap.spend is not None
    assert snap.spend.total.source is Source.SQL
    assert (snap.spend.requests, snap.spend.failed, snap.spend.tokens) == (3, 1, 90)
    assert snap.spend.days is not None
    assert {it.day.day: it.spend_usd for it in snap.spend.days if it.spend_usd} == {21: 4.0, 22: 0.1}
    assert sums_up(snap)


async def test_without_any_database_the_counters() -> None:
    inside = told(
        answers=dict.fromkeys(healthy(), NO_DATABASE)
        | {
            "/health/readiness": Answer(200, {"db": "Not connected", "litellm_version": "1.81.3"}),
            "/model/info": MODELS,
        },
        of_sql=OperatorError("there is no container of PostgreSQL", host="sese"),
        of_redis=redis(
            **counted(
                **{"prov_openrouter": "0.06", "vendor_z-ai": "0.06", "model_glm-5": "0.06"},
                **{"req_glm-5": "3", "tok_glm-5": "70", "key_n8n": "0.06", "hour_18": "0.06"},
            )
        ),
    )
    snap = await snapshot(inside, places=replace(PLACES, database=None))
    assert [note for note in snap.notes if "database" in note] == ["no database"]
    assert snap.error == ""
    assert snap.spend is not None
    assert (snap.spend.total.source, snap.spend.spend_usd) == (Source.COUNTERS, 0.1)
    assert {it.provider: it.billed_usd for it in snap.spend.providers if it.billed_usd} == pytest.approx(
        {"openrouter": 0.06, "other": 0.04}
    )
    assert {it.provider: it.vendor_usd for it in snap.spend.providers}["zai"] == 0.06
    assert [(it.model, it.requests, it.tokens, it.priced) for it in snap.spend.models] == [("glm-5", 3, 70, None)]
    assert (snap.spend.failed, snap.spend.days) == (None, None)
    assert has_note(snap, "failed requests")
    assert has_note(snap, "the days before cannot be known")
    assert has_note(snap, "the hours hold $0.06 of today's $0.10")
    assert not any("/global/spend/provider" in path for path in inside.asked)  # it would say the same
    assert sums_up(snap)


async def test_a_callback_that_beats_and_counted_nothing_yet_is_a_day_without_spend() -> None:
    snap = await snapshot(told(answers={}, of_sql=REFUSED, of_redis=redis(hook(spend=0))))
    assert snap.spend is not None
    assert (snap.spend.spend_usd, snap.spend.total.source, snap.spend.providers[0].share) == (0, Source.COUNTERS, None)
    assert snap.forecast.end_of_day_usd == 0


async def test_when_nothing_answers_nothing_is_invented() -> None:
    refused = OperatorError("Redis cannot be asked: container c2 is not running", host="sese")
    snap = await snapshot(
        told(answers={}, of_redis=refused, of_sql=REFUSED), config=OperatorError("there is no /opt/x", host="sese")
    )
    assert (snap.spend, snap.mode, snap.manual, snap.cap_usd, snap.beat) == (None, None, None, None, None)
    assert (snap.enforcement, snap.cap_source) == (Enforcement.UNKNOWN, "none")
    assert snap.forecast.end_of_day_usd is None
    assert snap.error == "LiteLLM does not answer: Connection refused"
    assert snap.why == "Redis cannot be asked: Redis cannot be asked: container c2 is not running"
    for words in (
        "mode, cap and counters: Redis",
        "LiteLLM's tables: PostgreSQL",
        "the configuration: there is no /opt/x",
    ):
        assert has_note(snap, words)
    assert has_note(snap, "spend cannot be known")


async def test_hours_of_litellms_rows_where_nothing_else_has_them() -> None:
    def page(number: int) -> Answer:
        row = {"startTime": f"2026-11-22T{number:02}:10:00Z", "spend": 0.05}
        return Answer(200, {"data": [row], "total_pages": 12})

    inside = told(of_sql=REFUSED, of_redis=redis(None), answers=healthy() | {"/spend/logs/v2": page(4)})
    snap = await snapshot(inside)
    assert snap.spend is not None
    assert snap.spend.hours_part is not None
    assert snap.spend.hours_part.source is Source.SPEND
    assert sum(path.startswith("/spend/logs/v2") for path in inside.asked) == 10
    assert has_note(snap, "the hours lack 2 pages")
    inside = told(of_sql=REFUSED, of_redis=redis(None), answers=without("/spend/logs/v2"))
    assert has_note(await snapshot(inside), "the hours cannot be known")


async def test_a_lost_link_is_no_note() -> None:
    lost = LinkLost("the connection ended", host="sese")
    with pytest.raises(LinkLost):
        await snapshot(told(of_sql=lost))
    late = NoAnswer("`psql` gave no answer within 20 s", host="sese")
    assert has_note(await snapshot(told(of_sql=late)), "gave no answer within 20 s")


# ── LiteLLM's own troubles ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("state", "error", "remedy"),
    [
        ("restarting", "vpai-litellm-1 is restarting", "vpai-tui describe sese/apps/litellm"),
        ("exited", "vpai-litellm-1 is exited", "vpai-tui start sese/apps/litellm"),
    ],
)
async def test_a_container_that_does_not_run(state: str, error: str, remedy: str) -> None:
    down = OperatorError("LiteLLM cannot be asked: it is not running", host="sese")
    snap = await snapshot(told(down=down), places=replace(PLACES, litellm=replace(PLACE, state=state)))
    assert snap.error == error
    assert remedy in snap.remedy


async def test_no_container_at_all() -> None:
    down = OperatorError("there is no container of LiteLLM", host="sese")
    snap = await snapshot(told(down=down, of_redis=redis(None)), places=replace(PLACES, litellm=None))
    assert (snap.error, snap.remedy) == ("there is no LiteLLM container", "deploy it: vpai-tui deploy sese/apps")
    assert snap.enforcement is Enforcement.UNKNOWN
    assert snap.mode is None


async def test_a_slow_proxy_answers_but_for_what_takes_long() -> None:
    slow = Answer(0, error="no answer within 5 s")
    snap = await snapshot(told(answers=without(ACTIVITY, "/global/spend", by=slow)))
    assert snap.error == ""
    assert has_note(snap, "daily activity, max_budget in force: no answer within 5 s")
    assert snap.spend is not None
    assert snap.spend.total.source is Source.SPEND


async def test_a_wrong_key_is_told_once_with_what_it_hides() -> None:
    wrong = Answer(401, {"error": {"message": "Authentication Error, Invalid proxy server token passed"}})
    answers = without(
        ACTIVITY, "/model/info", "/global/spend", "/global/spend/provider", "/global/spend/logs", by=wrong
    )
    snap = await snapshot(told(answers=answers))
    notes = [note for note in snap.notes if "LITELLM_MASTER_KEY" in note]
    assert len(notes) == 1
    assert notes[0].startswith("daily activity, prices, max_budget in force, spend by provider: ")
    assert snap.spend is not None
    assert snap.spend.total.source is Source.SQL


async def test_a_wrong_key_without_a_database_is_told_as_what_it_is() -> None:
    """LiteLLM then says that it has no database, also where none is needed."""
    refused = Answer(400, {"error": {"message": "No connected db.", "type": "no_db_connection"}})
    answers = dict.fromkeys(healthy(), refused) | {"/health/readiness": Answer(200, {"db": "Not connected"})}
    snap = await snapshot(told(answers=answers, of_sql=REFUSED))
    assert has_note(snap, "LITELLM_MASTER_KEY is not LiteLLM's master key")


async def test_a_proxy_that_is_not_ready() -> None:
    unhealthy = Answer(503, {"detail": "Service Unhealthy (db down)"})
    snap = await snapshot(told(answers=without("/health/readiness", by=unhealthy)))
    assert snap.error == ""
    assert has_note(snap, "LiteLLM is not ready: HTTP 503: Service Unhealthy (db down)")


async def test_a_strange_activity_is_told() -> None:
    snap = await snapshot(told(answers=without(ACTIVITY, by=Answer(200, "<html>"))))
    assert has_note(snap, "daily activity: the answer is strange")
    assert snap.spend is not None
    assert snap.spend.total.source is Source.SPEND


# ── what is enforced ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_key_without_a_callback_is_declared_only() -> None:
    config = CONFIG.replace(b"callbacks: [eco_mode.instance]", b"callbacks: []")
    snap = await snapshot(told(of_redis=redis(None, mode="eco", cap="3")), config=config)
    assert snap.enforcement is Enforcement.DECLARED
    assert (snap.mode, snap.manual) == (Mode.NORMAL, Mode.ECO)  # nothing acts, whatever the key says
    # LiteLLM says of itself that it has 0.4 in force
    assert (snap.cap_usd, snap.cap_source, snap.redis_cap_usd) == (0.4, "litellm_settings", 3.0)
    assert "litellm_config.yaml does not name eco_mode.instance" in snap.why
    assert [it.subject for it in snap.alerts] == ["AI budget: not enforced"]


@pytest.mark.parametrize(
    ("redis_cap", "env", "file", "native", "cap", "source"),
    [
        ("3", 2.0, b"5", None, 3.0, "redis"),
        ("3", 2.0, b"5", 0.4, 0.4, "litellm_settings"),  # the one in force goes before all that nothing acts on
        (None, 2.0, b"5", None, 2.0, "env"),
        (None, None, b"5", None, 5.0, "general_settings"),
        ("0", 2.0, b"5", None, None, "redis"),  # no cap, by hand
        ("lots", None, b"5", None, 5.0, "general_settings"),
        (None, None, b"null", 0.4, 0.4, "litellm_settings"),
        (None, None, b"null", 0.0, None, "none"),
    ],
)
async def test_the_cap_that_a_callback_would_take(
    redis_cap: str | None, env: float | None, file: bytes, native: float | None, cap: float | None, source: str
) -> None:
    keys = {"cap": redis_cap} if redis_cap else {}
    answers = without("/global/spend", by=Answer(200, {"spend": 9, "max_budget": native}))
    snap = await snapshot(
        told(of_redis=redis(None, **keys), answers=answers),
        places=replace(PLACES, cap_usd=env),
        config=CONFIG.replace(b"5.00", file),
    )
    assert (snap.cap_usd, snap.cap_source) == (cap, source)


async def test_an_old_heartbeat_proves_nothing() -> None:
    snap = await snapshot(told(of_redis=redis(hook(effective="eco"), ttl_ms=15_000)))
    assert (snap.enforcement, snap.mode) == (Enforcement.DECLARED, Mode.NORMAL)
    assert snap.why == "LiteLLM and Redis answer, but the callback's last heartbeat is 15 s old"
    assert snap.beat_age_s == pytest.approx(15)


# ── what is configured wrongly ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("version", "warned"), [("1.81.3", True), ("1.83.3", True), ("1.106.2", False)])
async def test_a_native_max_budget_is_warned_of_where_it_compares_a_month(version: str, warned: bool) -> None:
    config = CONFIG.replace(b"{callbacks", b"{max_budget: 5, callbacks")
    snap = await snapshot(told(answers=healthy(version)), config=config)
    assert has_note(snap, "compares it with the last 30 days") == warned


async def test_settings_in_the_database_are_warned_of() -> None:
    snap = await snapshot(told(of_sql=table(settings=["router_settings", "general_settings"])))
    assert has_note(snap, "the database holds general_settings, router_settings (/config/update was used)")


async def test_an_unreadable_configuration_is_a_note() -> None:
    snap = await snapshot(told(), config=b"general_settings: {master_key: sk-secret-1234")
    assert has_note(snap, "the configuration: /opt/vpai/configs/litellm/litellm_config.yaml is no YAML")
    assert not has_note(snap, "secret")
    assert snap.configured_cap_usd is None
    assert snap.cap_usd == 5.0  # the callback says so
    assert snap.enforcement is Enforcement.ENFORCED


async def test_a_laptop_with_a_wrong_clock_counts_hours_by_the_hosts() -> None:
    behind = redis(hook(tz="UTC"), now=str(NOW.timestamp() + 4 * 3600))
    snap = await snapshot(told(of_redis=behind))
    assert snap.enforcement is Enforcement.ENFORCED
    assert snap.spend is not None
    assert snap.spend.hours is not None
    assert len(snap.spend.hours) == 23  # 22:30 there
    assert has_note(snap, "this laptop's clock is 4h00 behind the host's")


# ── time zones ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_where_days_are_not_utc_days_the_tables_come_first() -> None:
    places = replace(PLACES, timezone="Europe/Paris")
    inside = told(of_redis=redis(hook(tz="Europe/Paris")))
    snap = await snapshot(inside, places=places)
    assert snap.spend is not None
    assert (snap.timezone, snap.spend.total.source) == ("Europe/Paris", Source.SQL)
    assert snap.resets_at == datetime(2026, 11, 22, 23, tzinfo=UTC)
    assert len(inside.queries) == 1
    snap = await snapshot(told(of_sql=REFUSED, of_redis=redis(None)), places=places)
    assert snap.spend is not None
    assert snap.spend.total.source is Source.ACTIVITY
    assert has_note(snap, "LiteLLM counts days in UTC, and the budget's are those of Europe/Paris")


async def test_the_heartbeats_zone_is_the_one_that_acts() -> None:
    inside = told(of_redis=redis(hook(tz="Asia/Tokyo", day="2026-11-23")), of_sql=table(day="2026-11-23"))
    snap = await snapshot(inside, places=replace(PLACES, timezone="Mars/Olympus"))
    assert (snap.timezone, snap.day) == ("Asia/Tokyo", date(2026, 11, 23))
    assert ["Asia/Tokyo" in query for query in inside.queries] == [False, True]
    assert has_note(snap, "ECO_TZ of the container is Mars/Olympus, and Asia/Tokyo is what counts")


async def test_the_day_of_the_callback_is_todays() -> None:
    snap = await snapshot(
        told(of_redis=redis(hook(day="2026-11-23", spend=0)), of_sql=table(day="2026-11-23", spend=0))
    )
    assert snap.spend is not None
    assert (snap.day, snap.spend.spend_usd) == (date(2026, 11, 23), 0.0)
    assert snap.spend.days is not None
    assert [it.spend_usd for it in snap.spend.days[-2:]] == [0.1, 0.0]


# ── whatever they say ────────────────────────────────────────────────────────────────────────────────────────────────


def texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for text in texts(pair)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in texts(item)]
    if dataclasses.is_dataclass(value):
        return [text for it in dataclasses.fields(value) for text in texts(getattr(value, it.name))]
    return []


@given(st.data())
async def test_whatever_the_three_say(data: st.DataObject) -> None:
    paths = [*healthy(), "/spend/logs/v2"]
    good = {ACTIVITY: aggregated("1.81.3"), "/model/info": MODELS.body}
    answers = healthy()
    for path in data.draw(st.lists(st.sampled_from([ACTIVITY, "/model/info", *paths]), max_size=4)):
        body = data.draw(bent(good[path]) if path in good else ANY_JSON)
        answers[path] = Answer(data.draw(st.sampled_from([0, 200, 200, 200, 400, 401, 500])), body)
    by = counted(hour_07="0.06", prov_openai="0.1", **{"req_gpt-4o": "3"})
    of_redis = data.draw(st.one_of(bent(redis(mode="eco", cap="4", **by)), ANY_JSON))
    snap = await snapshot(told(answers=answers, of_redis=of_redis, of_sql=data.draw(bent(table()))))
    assert all(is_safe(text) for text in texts(snap))
    assert BYTEPLUS in snap.notes
    if snap.spend is not None:
        assert sums_up(snap)
        assert snap.spend.spend_usd >= 0
        assert snap.spend.days is None or snap.spend.days[-1].day == snap.day
        assert snap.spend.hours is None or [it.hour for it in snap.spend.hours] == list(range(len(snap.spend.hours)))
    assert snap.cap_usd is None or snap.cap_usd > 0
    assert (snap.mode is None) == (snap.enforcement is Enforcement.UNKNOWN)
