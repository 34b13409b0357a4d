"""A hold as it is read from a host, and what it refuses."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from vpai_tui.deploy.facts import parse
from vpai_tui.errors import PreflightRefused
from vpai_tui.fleet.alerts import alerts
from vpai_tui.fleet.metrics import MetricsParser
from vpai_tui.fleet.model import Hold, HostSnapshot, HostState, Link, Severity
from vpai_tui.fleet.operation import Change, Effect, Plan, refuse_held

HOLD = Hold("2026-02-27T08:00:00Z", "ann@lap", "kernel upgrade, till noon")
LINE = "\t".join(HOLD)


def test_tabs_and_the_blanks_they_become_are_read_alike() -> None:
    assert Hold.read(LINE) == Hold.read(LINE.encode()) == Hold.read(LINE.replace("\t", " ")) == HOLD


@pytest.mark.parametrize("line", ["", "\t", "at", "at\tby", "\x1b[2J\x07", "x" * 9000, "\u202eat\tby\twhy"])
def test_a_broken_line_is_a_hold_of_somebody(line: str) -> None:
    told = Hold.read(line)
    assert told.by
    assert told.told.isprintable()
    assert len(told.told) < 500


def test_the_metrics_channel_brings_it_and_its_end() -> None:
    parser = MetricsParser("sese")
    samples = []
    for line in (f"hold {LINE}", "end", "end"):
        samples.append(parser.feed(line.encode(), at_boot_s=1.0, now=datetime(2026, 2, 27, tzinfo=UTC)))
    assert [sample.hold for sample in samples if sample is not None] == [HOLD, None]


def test_the_probe_brings_it() -> None:
    assert parse(b"current\t\nhold\t" + LINE.encode() + b"\nend\n", "sese").hold == HOLD
    assert parse(b"current\t\nend\n", "sese").hold is None


def test_it_is_an_alert_with_its_remedy_while_the_host_answers() -> None:
    host = HostSnapshot("sese", "Sese", Link(HostState.READY, 0.0), hold=HOLD)
    (alert,) = alerts([host], (), ())
    assert (alert.severity, alert.host, alert.target) == (Severity.INFO, "sese", "sese")
    assert alert.message == "deploys are held by ann@lap since 2026-02-27T08:00:00Z: kernel upgrade, till noon"
    assert "vpai-tui hold sese --off" in alert.remedy


def test_a_held_plan_is_refused_unless_it_does_nothing() -> None:
    plan = Plan("sese/apps", "deploy", "r1", "r2", "f", (Change("n8n", Effect.RECREATE),), hold=HOLD)
    with pytest.raises(PreflightRefused) as caught:
        refuse_held(plan)
    assert (caught.value.exit_code, caught.value.host, caught.value.step) == (78, "sese", "hold")
    refuse_held(Plan("sese/apps", "deploy", "r1", "r2", "f", (), hold=HOLD))
    refuse_held(Plan("sese/apps", "deploy", None, "r2", "f", ()))
