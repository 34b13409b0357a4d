"""What the day will cost: never less than is spent, never no number, and a cap that is reached today or not at all."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vpai_tui.budget.forecast import forecast, midnight

PARIS = ZoneInfo("Europe/Paris")
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)  # 23 and 25 hours in Paris
EVEN = dict.fromkeys(range(24), 0.125)  # three dollars
WORKDAY = {9: 1.0, 10: 1.0, 14: 1.0}
ZONES = st.sampled_from(
    ["UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Asia/Beirut", "Pacific/Apia"]
).map(ZoneInfo)
MONEY = st.one_of(st.just(0.0), st.floats(0, 1e9), st.floats(0, 20), st.sampled_from([5e-324, 1e-300]))
HOURS = st.dictionaries(st.integers(0, 23), MONEY, max_size=24)


def at(hour: int, minute: int = 0, day: date = date(2026, 11, 24)) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)),
    ZONES,
    MONEY,
    st.one_of(st.none(), MONEY),
    st.one_of(st.none(), HOURS),
    st.lists(HOURS, max_size=7),
    st.booleans(),
)
@example(datetime(2026, 10, 25, 1, 30), PARIS, 1.0, 2.0, None, [WORKDAY], False)
@example(datetime(2011, 12, 30, 9, 0), ZoneInfo("Pacific/Apia"), 1.0, 2.0, None, [], False)  # a day that was not
def test_whatever_was_spent(
    moment: datetime,
    zone: ZoneInfo,
    spent: float,
    cap: float | None,
    hours: dict[int, float] | None,
    past: list[dict[int, float]],
    stopped: bool,
) -> None:
    now = moment.replace(tzinfo=UTC)
    told = forecast(now, zone, spent, cap_usd=cap, hours=hours, past=past, stopped=stopped)
    if told.end_of_day_usd is not None:
        assert math.isfinite(told.end_of_day_usd)
        assert told.end_of_day_usd >= spent
    if told.rate_usd_per_hour is not None:
        assert math.isfinite(told.rate_usd_per_hour)
        assert told.rate_usd_per_hour >= 0
    if told.cap_reached_at is not None:
        assert cap
        end = midnight(now.astimezone(zone).date() + timedelta(days=1), zone)
        assert now <= told.cap_reached_at <= end
        assert told.end_of_day_usd is None or told.end_of_day_usd >= cap * (1 - 1e-9)
    if cap and spent >= cap:
        assert told.cap_reached_at == now
    if stopped:
        assert told.end_of_day_usd == spent


@given(st.integers(1, 1439), st.floats(0.01, 100))
def test_without_a_past_it_is_a_straight_line(minute: int, spent: float) -> None:
    now = at(0) + timedelta(minutes=minute)
    told = forecast(now, UTC, spent)
    if told.end_of_day_usd is None:
        assert minute < 30
    else:
        assert told.end_of_day_usd == pytest.approx(spent * 1440 / minute)


def test_without_spend_and_past_nothing_is_said_in_the_first_part_of_the_day() -> None:
    assert forecast(at(5), UTC, 0.0).end_of_day_usd is None
    assert forecast(at(7), UTC, 0.0).end_of_day_usd == 0
    assert forecast(at(5), UTC, 0.0, past=[EVEN]).end_of_day_usd == pytest.approx(3 * 0.15 / (5 / 24 + 0.15) * 19 / 24)


def test_a_day_like_those_before_costs_what_they_cost() -> None:
    for hour in range(1, 24):
        told = forecast(at(hour), UTC, hour * 0.125, past=[EVEN] * 7, cap_usd=4)
        assert told.end_of_day_usd == pytest.approx(3)
        assert told.cap_reached_at is None


def test_the_shape_of_past_days_counts() -> None:
    """At noon two thirds of a usual working day are spent, not half of it."""
    straight = forecast(at(12), UTC, 2.0).end_of_day_usd
    shaped = forecast(at(12), UTC, 2.0, past=[WORKDAY] * 7).end_of_day_usd
    assert straight == pytest.approx(4)
    assert shaped is not None
    assert 3.0 <= shaped < 3.4


def test_the_cap_is_reached_where_the_line_crosses_it() -> None:
    told = forecast(at(12), UTC, 4.0, cap_usd=6)
    assert told.end_of_day_usd == pytest.approx(8)
    assert told.cap_reached_at == at(18)
    assert forecast(at(12), UTC, 4.0, cap_usd=9).cap_reached_at is None
    assert forecast(at(12), UTC, 4.0, cap_usd=0).cap_reached_at is None
    assert forecast(at(12), UTC, 6.0, cap_usd=6).cap_reached_at == at(12)


def test_in_eco_mode_nothing_is_added() -> None:
    told = forecast(at(12), UTC, 4.0, cap_usd=6, stopped=True)
    assert (told.end_of_day_usd, told.cap_reached_at) == (4.0, None)
    assert forecast(at(12), UTC, 6.5, cap_usd=6, stopped=True).cap_reached_at == at(12)


def test_the_rate_is_that_of_the_last_hours() -> None:
    assert forecast(at(12, 30), UTC, 4.0, hours={3: 3.0, 11: 0.6, 12: 0.9}).rate_usd_per_hour == pytest.approx(1.0)
    assert forecast(at(0, 30), UTC, 0.5, hours={0: 0.5}).rate_usd_per_hour == pytest.approx(1.0)
    assert forecast(at(8), UTC, 4.0).rate_usd_per_hour == pytest.approx(0.5)
    assert forecast(at(0, 3), UTC, 4.0).rate_usd_per_hour is None


@pytest.mark.parametrize(("day", "length_h"), [(SPRING, 23), (AUTUMN, 25), (date(2026, 6, 1), 24)])
def test_a_day_of_a_clock_change_has_its_real_length(day: date, length_h: int) -> None:
    begin = midnight(day, PARIS)
    assert midnight(day + timedelta(days=1), PARIS) - begin == timedelta(hours=length_h)
    told = forecast(begin + timedelta(hours=10), PARIS, 1.0, cap_usd=1.5)
    assert told.end_of_day_usd == pytest.approx(length_h / 10)
    assert told.cap_reached_at == begin + timedelta(hours=15)
    # Past days of one rate: also on such a day the whole is theirs, once all its hours are over.
    late = forecast(begin + timedelta(hours=length_h, minutes=-1), PARIS, 3.0, past=[EVEN] * 7)
    assert late.end_of_day_usd == pytest.approx(3.0, abs=0.01)
