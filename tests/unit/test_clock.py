"""Spans and moments as they are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.clock import SystemClock, duration, rfc3339


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (-3, "0s"),
        (0.9, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (3599, "59m"),
        (3600, "1h00"),
        (11100, "3h05"),
        (86399, "23h59"),
        (86400, "1d0h"),
        (86400 * 9 + 3600 * 23, "9d23h"),
        (86400 * 10, "10d"),
    ],
)
def test_a_span_has_at_most_two_units(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(0, 1e9))
def test_a_span_is_short(seconds: float) -> None:
    assert 2 <= len(duration(seconds)) <= 6


def test_moments_are_utc_whatever_their_zone() -> None:
    moment = datetime(2026, 2, 27, 1, 4, 0, 999999, tzinfo=timezone(timedelta(hours=2)))
    assert rfc3339(moment) == "2026-02-26T23:04:00Z"
    assert rfc3339(datetime(2026, 2, 26, 23, 4, tzinfo=UTC)) == "2026-02-26T23:04:00Z"


def test_the_system_clock_runs_forward_in_utc() -> None:
    clock = SystemClock()
    first = clock.boot_s()
    assert clock.boot_s() >= first > 0
    assert clock.now().tzinfo is UTC
