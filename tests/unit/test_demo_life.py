"""What a simulated container is doing: a function of its facts and the clock."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.demo.engine.life import FLAP_PERIOD_S, life
from vpai_tui.demo.engine.store import Doc

START = 1_000_000.0


def container(**facts: Any) -> Doc:
    return {
        "image_id": "sha256:1",
        "created": START - 5,
        "started": START,
        "stopped": None,
        "finished": 0.0,
        "exit_code": 0,
        "restarts": 0,
        "restart": "unless-stopped",
        "healthcheck": {"Test": ["CMD", "true"]},
        "healthy_after": 1.5,
        "behaviour": "",
        "crash_code": 1,
        **facts,
    }


def at(seconds: float, **facts: Any) -> tuple[str, str | None, int]:
    seen = life(container(**facts), START + seconds)
    return seen.status, seen.health, seen.exit_code


def test_becomes_healthy() -> None:
    assert at(1.0) == ("running", "starting", 0)
    assert at(1.5) == ("running", "healthy", 0)
    assert at(9e6) == ("running", "healthy", 0)


def test_has_no_health_without_a_check() -> None:
    assert at(9.0, healthcheck=None) == ("running", None, 0)


def test_stays_unhealthy() -> None:
    assert at(1.0, behaviour="unhealthy") == ("running", "starting", 0)
    assert at(60.0, behaviour="unhealthy") == ("running", "unhealthy", 0)


def test_one_shot_ends_well() -> None:
    assert at(0.1, behaviour="oneshot", healthcheck=None) == ("running", None, 0)
    assert at(5.0, behaviour="oneshot", healthcheck=None) == ("exited", None, 0)


def test_not_started_and_stopped() -> None:
    assert at(5.0, started=None) == ("created", None, 0)
    assert at(5.0, stopped=START + 3, exit_code=137) == ("exited", None, 137)


def test_crash_without_restart_policy_stays_down() -> None:
    assert at(0.1, behaviour="crash", restart="no") == ("running", "starting", 0)
    assert at(100.0, behaviour="crash", restart="no") == ("exited", None, 1)


def test_flapping_service_is_both_in_one_period() -> None:
    seen = {at(100 + step, behaviour="flap", flaps_from=START)[1] for step in range(int(FLAP_PERIOD_S))}
    assert seen == {"healthy", "unhealthy"}


@pytest.mark.parametrize("policy", ["always", "unless-stopped", "on-failure:5"])
def test_crash_loop_restarts_again_and_again(policy: str) -> None:
    seen = [life(container(behaviour="crash", restart=policy), START + step / 10) for step in range(100)]
    assert {one.status for one in seen} == {"running", "restarting"}
    assert all(one.health != "healthy" for one in seen)
    assert seen[-1].restarts >= 3


@given(st.floats(0, 1e7), st.floats(0, 1e7))
def test_restarts_never_fall(first: float, second: float) -> None:
    early, late = sorted((first, second))
    crashing = container(behaviour="crash")
    before, after = life(crashing, START + early), life(crashing, START + late)
    assert before.restarts <= after.restarts
    assert before.started_at <= after.started_at <= START + late
