"""What needs the operator: ranked, with a remedy, and folded under a host that is gone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fleet_things import NOW, container, host, metrics, stack

from vpai_tui.fleet.alerts import ranked
from vpai_tui.fleet.fold import fold
from vpai_tui.fleet.model import (
    Alert,
    Container,
    DeployState,
    Disk,
    FleetSnapshot,
    HostSnapshot,
    HostState,
    Severity,
    Sync,
)

GIB = 2**30


def picture(*hosts: HostSnapshot, syncs: dict[str, Any] | None = None, **spec: Any) -> FleetSnapshot:
    stacks = [stack(**spec), stack("edge", "proxy", host="seko")]
    return fold(hosts, stacks, syncs or {}, at_boot_s=1000.0, now=NOW)


def of(*containers: Container, **spec: Any) -> tuple[Alert, ...]:
    return picture(host("sese", HostState.READY, *containers), **spec).alerts


def good() -> tuple[Container, Container]:
    return container("web"), container("db")


def test_nothing_is_wrong_nothing_is_said() -> None:
    assert of(*good()) == ()


@pytest.mark.parametrize(
    ("facts", "severity", "words"),
    [
        ({"health": "unhealthy", "restarts": 2}, Severity.ERROR, "unhealthy by its own check, 2 restarts"),
        (
            {"state": "restarting", "restarts": 1, "exit_code": 3},
            Severity.ERROR,
            "restarting over and over (exit 3), 1 restart",
        ),
        ({"restarts": 5, "started_at": NOW}, Severity.ERROR, "restarting over and over, 5 restarts"),
        ({"state": "exited", "exit_code": 1}, Severity.ERROR, "down: exited (exit 1)"),
        ({"state": "created"}, Severity.ERROR, "down: created"),
        ({"state": "exited", "exit_code": 137, "oom_killed": True}, Severity.ERROR, "killed for want of memory"),
        ({"oom_killed": True}, Severity.ERROR, "killed for want of memory"),
        ({"state": "exited", "exit_code": 0}, Severity.WARN, "stopped"),
        ({"state": "paused"}, Severity.WARN, "paused"),
    ],
)
def test_a_service_that_is_not_well(facts: dict[str, Any], severity: Severity, words: str) -> None:
    (alert,) = of(container("web", **facts), container("db"))
    assert (alert.severity, alert.message, alert.target) == (severity, words, "sese/apps/web")
    assert alert.remedy


def test_a_wanted_service_without_a_container() -> None:
    (alert,) = of(container("web"))
    assert (alert.severity, alert.subject, alert.message) == (Severity.ERROR, "db", "has no container")


def test_on_demand_and_finished_one_shots_are_fine() -> None:
    stopped = container("web", "exited", exit_code=143)
    assert of(stopped, on_demand=True) == ()
    done = container("db", "exited", exit_code=0)
    assert of(container("web"), done, one_shots=("db",)) == ()


def test_a_failed_one_shot_is_not() -> None:
    (alert,) = of(container("web"), container("db", "exited", exit_code=2), one_shots=("db",))
    assert alert.message == "down: exited (exit 2)"


def test_a_running_deploy_makes_it_an_information() -> None:
    deploy = DeployState("sese/apps", "r1", "r2", busy=True)
    (alert,) = picture(host("sese", HostState.READY, container("web"), deploys=(deploy,))).alerts
    assert (alert.severity, alert.subject) == (Severity.INFO, "db")


def test_an_interrupted_deploy_outranks_drift() -> None:
    deploy = DeployState("sese/apps", "r1", "r2", busy=False)
    syncs = {"sese/apps": {"web": Sync.DRIFTED, "db": Sync.IN_SYNC}}
    (alert,) = picture(host("sese", HostState.READY, *good(), deploys=(deploy,)), syncs=syncs).alerts
    assert (alert.severity, alert.target) == (Severity.ERROR, "sese/apps")
    assert "vpai-tui revert sese/apps" in alert.remedy


def test_a_revert_that_failed_is_an_error_that_names_the_log_and_both_ways_on() -> None:
    where = "/opt/vpai/deploy/stacks/apps/releases/r2"
    deploy = DeployState("sese/apps", "r1", "r2", busy=False, revert_failed=where)
    (alert,) = picture(host("sese", HostState.READY, *good(), deploys=(deploy,))).alerts
    assert (alert.severity, alert.message) == (Severity.ERROR, "neither r2 nor r1 is whole: the revert failed")
    assert f"{where}/failure.log" in alert.remedy
    assert "vpai-tui revert sese/apps, or resume sese/apps" in alert.remedy
    running = picture(host("sese", HostState.READY, *good(), deploys=(replace(deploy, busy=True),)))
    assert running.alerts == ()  # it is being settled


def test_drift_and_never_deployed() -> None:
    syncs = {"sese/apps": {"web": Sync.DRIFTED, "db": Sync.IN_SYNC}}
    seko = host("seko")
    found = picture(host("sese", HostState.READY, *good()), seko, syncs=syncs).alerts
    assert [(alert.severity, alert.target) for alert in found] == [
        (Severity.WARN, "sese/apps"),
        (Severity.INFO, "seko/edge"),
    ]


@pytest.mark.parametrize(
    ("facts", "severity", "subject"),
    [
        ({"disks": (Disk("/", 100, 86),)}, Severity.WARN, "disk /"),
        ({"disks": (Disk("/data", 100, 96),)}, Severity.ERROR, "disk /data"),
        ({"disks": (Disk("/", 100, 84, 10),)}, Severity.WARN, "disk /"),
        ({"memory_available_bytes": int(0.07 * 8 * GIB)}, Severity.WARN, "memory"),
        ({"memory_available_bytes": int(0.02 * 8 * GIB)}, Severity.ERROR, "memory"),
        (
            {"memory_available_bytes": GIB, "swap_total_bytes": 10, "swap_used_bytes": 6},
            Severity.WARN,
            "memory",
        ),
        ({"clock_skew_s": -2.5}, Severity.WARN, "clock"),
    ],
)
def test_a_machine_under_pressure(facts: dict[str, Any], severity: Severity, subject: str) -> None:
    (alert,) = picture(host("sese", HostState.READY, *good(), metrics=metrics(**facts))).alerts
    target = "disk:sese" if subject.startswith("disk") else "sese"
    assert (alert.severity, alert.subject, alert.target) == (severity, subject, target)


def test_a_machine_just_below_the_limits() -> None:
    calm = metrics(
        disks=(Disk("/", 100, 85),),
        memory_available_bytes=GIB,
        swap_total_bytes=10,
        swap_used_bytes=5,
        clock_skew_s=2.0,
    )
    assert picture(host("sese", HostState.READY, *good(), metrics=calm)).alerts == ()


@pytest.mark.parametrize(
    ("state", "severity"),
    [
        (HostState.OFFLINE, Severity.ERROR),
        (HostState.REFUSED, Severity.ERROR),
        (HostState.BACKOFF, Severity.WARN),
        (HostState.CONNECTING, Severity.WARN),
    ],
)
def test_what_a_gone_host_last_said_folds_under_its_one_alert(state: HostState, severity: Severity) -> None:
    gone = host(
        "sese",
        state,
        container("web", health="unhealthy"),
        link={"step": "tcp", "error": "did not answer", "remedy": "is it up?"},
        metrics=metrics(disks=(Disk("/", 100, 99),)),
    )
    (alert,) = picture(gone).alerts
    assert (alert.severity, alert.host, alert.target, alert.remedy) == (severity, "sese", "sese", "is it up?")
    assert "at tcp: did not answer; 2 services unknown" in alert.message


def test_a_host_that_connects_for_the_first_time_is_no_alert() -> None:
    assert picture(host("sese", HostState.CONNECTING)).alerts == ()


def test_a_host_whose_docker_does_not_answer() -> None:
    ill = host(
        "sese", HostState.DEGRADED, *good(), link={"step": "docker", "error": "not running", "remedy": "start it"}
    )
    (alert,) = picture(ill).alerts
    assert (alert.severity, alert.subject, alert.message) == (Severity.ERROR, "docker", "not running")


def test_the_worst_comes_first() -> None:
    deploy = DeployState("sese/apps", "r1", "r2", busy=False)
    sese = host(
        "sese",
        HostState.READY,
        container("web", "exited", exit_code=0),
        container("db", health="unhealthy"),
        deploys=(deploy,),
        metrics=metrics(disks=(Disk("/", 100, 90),)),
    )
    seko = host("seko", HostState.OFFLINE)
    found = picture(sese, seko).alerts
    assert [alert.subject for alert in found] == ["seko", "sese/apps", "db", "web", "disk /"]
    assert [alert.severity for alert in found] == [Severity.ERROR] * 3 + [Severity.WARN] * 2


def test_alerts_from_elsewhere_are_ranked_with_the_fleets_own() -> None:
    found = [
        Alert(severity, "seko", subject, "", "")
        for severity, subject in (
            (Severity.INFO, "a"),
            (Severity.ERROR, "b"),
            (Severity.WARN, "c"),
            (Severity.ERROR, "d"),
        )
    ]
    assert [alert.subject for alert in ranked(found)] == ["b", "d", "c", "a"]
