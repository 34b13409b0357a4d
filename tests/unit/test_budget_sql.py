"""Spend by LiteLLM's tables: the query's zone, and what becomes of its answer."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from budget_things import ANY_JSON, bent, table
from hypothesis import given
from hypothesis import strategies as st

from corpus_cases import is_safe
from vpai_tui.budget.places import zone_of
from vpai_tui.budget.sql import query, tables_of
from vpai_tui.budget.tally import providers_of
from vpai_tui.errors import OperatorError

TODAY = date(2026, 11, 22)


def test_the_query_is_cut_in_the_budgets_zone() -> None:
    text = query("Europe/Paris")
    assert "@ZONE@" not in text
    assert text.count("AT TIME ZONE 'Europe/Paris'") == 4
    assert '"LiteLLM_SpendLogs"' in text
    assert not text.lstrip().startswith("--")  # one line of it would be a comment to the end


@given(st.text())
def test_nothing_but_a_name_gets_into_the_query(zone: str) -> None:
    try:
        text = query(zone)
    except OperatorError:
        assert zone_of(zone) is None or not zone.isascii()
    else:
        assert "'" not in zone
        assert ";" not in text


@pytest.mark.parametrize("zone", ["UTC'; DROP TABLE x; --", "", "UTC\n", "Europe/ Paris", "x" * 61])
def test_a_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(OperatorError, match="time zone"):
        query(zone)


def test_the_answer_of_a_day() -> None:
    found = tables_of(table(settings=["general_settings", "model_cost_map_reload_config", "router_settings"]))
    today = found.today
    assert (found.day, today.spend_usd, today.requests, today.failed, today.tokens) == (TODAY, 0.1, 3, 1, 90)
    assert today.providers == {"openrouter": 0.05, "openai": 0.05}
    assert today.vendors == {"anthropic": 0.05, "openai": 0.05}
    assert today.keys == {"n8n": 0.08, "feedbeef": 0.02}
    assert today.hours == {9: 0.1}
    assert found.days[date(2026, 11, 21)] == {9: 1.0, 21: 3.0}
    assert found.settings == ("general_settings", "router_settings")


@pytest.mark.parametrize("raw", [None, [], {}, {"day": "2026-11-22"}, table(day="today"), table(spend="NaN")])
def test_what_is_no_such_answer_is_an_error(raw: Any) -> None:
    with pytest.raises(OperatorError, match="strange"):
        tables_of(raw)


def test_a_failed_request_without_model_and_provider_has_a_row() -> None:
    failed = {"alias": None, "spend": 0, "requests": 1, "tokens": 0}
    found = tables_of(table(aliases=[failed], models=[{"model": None, "provider": None, "spend": 0.02}]))
    assert found.today.models["?"].requests == 1
    assert {row.provider: row.billed_usd for row in providers_of(found.today)}["other"] == pytest.approx(0.1)


@given(st.one_of(ANY_JSON, bent(table())))
def test_any_answer(raw: Any) -> None:
    try:
        found = tables_of(raw)
    except OperatorError:
        return
    today = found.today
    assert all(is_safe(word) for word in (*today.models, *today.providers, *today.vendors, *(today.keys or ())))
    assert all(0 <= hour < 24 and spent >= 0 for hours in found.days.values() for hour, spent in hours.items())
