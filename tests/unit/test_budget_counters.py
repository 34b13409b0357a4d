"""What the callback keeps in Redis: its heartbeat and how old it is, and its counters."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from budget_things import (
    ANY_JSON,
    DAY,
    NOW,
    bent,
    counted,
    hook,
    redis,
)
from hypothesis import given
from hypothesis import strategies as st

from corpus_cases import is_safe
from vpai_tui.budget import counters
from vpai_tui.budget.counters import counters_of
from vpai_tui.budget.model import Mode

THE_DAY = date.fromisoformat(DAY)


@pytest.mark.parametrize(
    ("raw", "age_s"),
    [
        (redis(ttl_ms=29_000), 1.0),
        (redis(ttl_ms=20_000), 10.0),
        (redis(ttl_ms=15_000), 15.0),
        (redis(ttl_ms=-1), 0.0),  # without an end: by Redis's clock
        (redis(hook(seen=NOW.timestamp() - 40), ttl_ms=-1), 40.0),
        (redis(hook(seen=NOW.timestamp() - 40), ttl_ms=900_000), 40.0),
        (redis(hook(seen=NOW.timestamp() - 3600), ttl_ms=28_000), 2.0),  # its clock is an hour behind
    ],
)
def test_the_age_of_a_heartbeat_is_redis_s_not_the_laptops(raw: dict[str, Any], age_s: float) -> None:
    for skew in (timedelta(), timedelta(hours=5), timedelta(days=-400)):
        told = counters_of(raw, NOW + skew)
        assert told.beat_age_s == pytest.approx(age_s, abs=1e-3)
        assert told.fresh == (age_s <= 10)
        assert told.beat is not None
        assert (NOW + skew - told.beat.seen_at).total_seconds() == pytest.approx(age_s, abs=1e-3)


@pytest.mark.parametrize(
    "beat", ["[]", "nonsense", "{}", hook(day="soon"), hook(effective="later"), "9" * 5000, "[" * 9999]
)
def test_what_is_no_heartbeat_is_none(beat: str) -> None:
    told = counters_of(redis(beat), NOW)
    assert (told.beat, told.fresh) == (None, False)


def test_counters_by_alias_even_with_a_bar_in_it() -> None:
    by = {
        "model|a|b": "0.5",
        "req|a|b": "2",
        "tok|a|b": "70",
        "hour|07": "0.5",
        "hour|7x": "9",
        "hour|99": "9",
        "x": "1",
    }
    told = counters_of(redis(None, by={DAY: by}, spend={DAY: "0.5"}), NOW)
    tally = told.days[THE_DAY]
    assert (tally.models["a|b"].spend_usd, tally.models["a|b"].requests, tally.models["a|b"].tokens) == (0.5, 2, 70)
    assert tally.hours == {7: 0.5}
    assert (told.manual, told.cap_usd) == (Mode.NORMAL, None)


def test_the_days_that_are_asked_for_hold_every_zones_today() -> None:
    days = counters.candidate_days(NOW)
    assert days[0] == "2026-11-23"
    assert days[-1] == "2026-11-15"


@given(st.one_of(ANY_JSON, bent(redis(mode="eco", cap="4", auto="{}", **counted(hour_07="1", prov_a="1")))))
def test_whatever_redis_holds(raw: Any) -> None:
    told = counters_of(raw, NOW)
    assert told.cap_usd is None or told.cap_usd >= 0
    assert told.fresh == (told.beat is not None and (told.beat_age_s or 0) <= 10)
    for tally in told.days.values():
        assert tally.spend_usd >= 0
        assert all(is_safe(word) for word in (*tally.models, *tally.providers, *tally.vendors, *(tally.keys or ())))
        assert all(0 <= hour < 24 for hour in tally.hours or ())
