"""Alerts of the budget: the highest threshold, once a day, and a cap that nobody holds."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.budget.alerts import alerts_of, reached
from vpai_tui.budget.model import THRESHOLDS, Enforcement, Mode
from vpai_tui.fleet.model import Alert, Severity


def alerts(spend: float | None, cap: float | None = 5.0, **changed: object) -> tuple[Alert, ...]:
    facts: dict[str, object] = {"day": date(2026, 11, 28), "enforcement": Enforcement.ENFORCED, "mode": Mode.NORMAL}
    return alerts_of("sese", "sese/apps/litellm", spend_usd=spend, cap_usd=cap, **(facts | changed))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spend", "step", "severity"),
    [
        (0.0, None, None),
        (3.49, None, None),
        (3.5, 70, Severity.INFO),
        (4.49, 70, Severity.INFO),
        (4.5, 90, Severity.WARN),
        (5.0, 100, Severity.ERROR),
        (50.0, 100, Severity.ERROR),
    ],
)
def test_the_highest_threshold_alone_is_told(spend: float, step: int | None, severity: Severity | None) -> None:
    assert reached(spend, 5.0) == step
    found = alerts(spend)
    assert [it.severity for it in found] == ([severity] if severity else [])
    for it in found:
        assert it.subject == f"AI budget: {step} % on 2026-11-28"
        assert f"${spend:.2f} of $5.00" in it.message
        assert it.target == "sese/apps/litellm"
        assert "budget set" in it.remedy


def test_what_acts_is_told_only_where_it_is_known() -> None:
    assert "only free models answer" in alerts(5.0, mode=Mode.ECO)[0].message
    assert "paid models still answer" in alerts(4.6)[0].message
    assert alerts(5.0, enforcement=Enforcement.UNKNOWN, mode=None)[0].message == "$5.00 of $5.00 are spent today"


def test_a_cap_that_nobody_holds_is_an_alert_of_its_own() -> None:
    found = alerts(1.0, enforcement=Enforcement.DECLARED)
    assert [(it.severity, it.subject) for it in found] == [(Severity.WARN, "AI budget: not enforced")]
    assert "vpai-tui plan sese/apps" in found[0].remedy
    assert len(alerts(4.6, enforcement=Enforcement.DECLARED)) == 2
    assert alerts(1.0, enforcement=Enforcement.UNKNOWN) == ()


@given(st.one_of(st.none(), st.floats(0, 1e9)), st.one_of(st.none(), st.floats(0, 1e9)))
def test_no_cap_no_alert(spend: float | None, cap: float | None) -> None:
    step = reached(spend, cap)
    assert step is None or step in THRESHOLDS
    assert (step == 100) == (spend is not None and bool(cap) and spend >= (cap or 0))
    assert len(alerts(spend, cap)) == (step is not None)
