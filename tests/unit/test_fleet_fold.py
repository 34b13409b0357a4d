"""Containers into health, stacks and services."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from fleet_things import NOW, container, host, metrics, stack

from vpai_tui.fleet.fold import Folder, fold
from vpai_tui.fleet.health import container_health, stack_sync, worst_health
from vpai_tui.fleet.model import (
    DeployState,
    FleetSnapshot,
    Health,
    HostSnapshot,
    HostState,
    Service,
    StackStatus,
    Sync,
    Usage,
)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"health": "healthy"}, Health.HEALTHY),
        ({}, Health.RUNNING),
        ({"health": "starting"}, Health.STARTING),
        ({"health": "unhealthy"}, Health.DEGRADED),
        ({"restarts": 3, "started_at": NOW - timedelta(seconds=5)}, Health.DEGRADED),
        ({"restarts": 3, "started_at": NOW - timedelta(seconds=90)}, Health.RUNNING),
        ({"restarts": 1, "started_at": NOW}, Health.RUNNING),
        ({"state": "restarting"}, Health.DEGRADED),
        ({"state": "paused"}, Health.STOPPED),
        ({"state": "created"}, Health.DOWN),
        ({"state": "dead"}, Health.DOWN),
        ({"state": "something new"}, Health.UNKNOWN),
        ({"state": "exited", "exit_code": 0}, Health.STOPPED),
        ({"state": "exited", "exit_code": 143}, Health.STOPPED),
        ({"state": "exited", "exit_code": 1, "restart_policy": "no"}, Health.DOWN),
        ({"state": "exited", "exit_code": 1, "restart_policy": "on-failure"}, Health.DOWN),
        ({"state": "exited", "exit_code": 137, "restart_policy": "unless-stopped"}, Health.STOPPED),
        ({"state": "exited", "exit_code": 127, "restart_policy": "always"}, Health.DOWN),
        ({"state": "exited", "exit_code": 137, "oom_killed": True, "restart_policy": "always"}, Health.DOWN),
    ],
)
def test_health_of_a_container(facts: dict[str, Any], expected: Health) -> None:
    assert container_health(container(**facts), now=NOW) is expected


def test_health_without_a_container_or_of_special_services() -> None:
    assert container_health(None) is Health.DOWN
    assert container_health(None, deployed=False) is Health.STOPPED
    assert container_health(None, on_demand=True) is Health.STOPPED
    assert container_health(None, one_shot=True) is Health.STOPPED
    assert container_health(container(state="exited", exit_code=0), one_shot=True) is Health.HEALTHY
    assert container_health(container(state="exited", exit_code=143), one_shot=True) is Health.DOWN
    assert container_health(container(state="created"), on_demand=True) is Health.STOPPED


def test_the_worst_of_several() -> None:
    assert worst_health([Health.HEALTHY, Health.STOPPED, Health.DOWN]) is Health.DOWN
    assert worst_health([Health.HEALTHY, Health.RUNNING]) is Health.RUNNING
    assert worst_health([]) is Health.UNKNOWN


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], Sync.UNKNOWN),
        ([Sync.IN_SYNC, Sync.IN_SYNC], Sync.IN_SYNC),
        ([Sync.NOT_DEPLOYED], Sync.NOT_DEPLOYED),
        ([Sync.NOT_DEPLOYED, Sync.IN_SYNC], Sync.DRIFTED),
        ([Sync.IN_SYNC, Sync.UNKNOWN], Sync.UNKNOWN),
        ([Sync.UNKNOWN, Sync.DRIFTED], Sync.DRIFTED),
    ],
)
def test_sync_of_a_stack(values: list[Sync], expected: Sync) -> None:
    assert stack_sync(values) is expected


def folded(one: HostSnapshot, syncs: dict[str, Any] | None = None, *stacks: Any) -> FleetSnapshot:
    return fold([one], stacks or [stack()], syncs or {}, at_boot_s=1000.0, now=NOW)


def status(picture: FleetSnapshot) -> StackStatus:
    (only,) = picture.stacks
    return only


def test_a_stack_that_runs() -> None:
    web, db = container("web", health="healthy"), container("db")
    deploy = DeployState("sese/apps", "r2", None, busy=False)
    sese = host("sese", HostState.READY, web, db, deploys=(deploy,), usage={web.id: Usage(5, 1.0)})
    picture = folded(sese, {"sese/apps": {"web": Sync.IN_SYNC, "db": Sync.IN_SYNC}})
    only = status(picture)
    assert (only.sync, only.health, only.services, only.services_ok) == (Sync.IN_SYNC, Health.RUNNING, 2, 2)
    assert (only.current, only.pending, only.note) == ("r2", None, "")
    assert [service.id for service in picture.services] == ["sese/apps/web", "sese/apps/db"]
    assert picture.services[0].usage == Usage(5, 1.0)
    assert not picture.services[0].stale


def test_a_stack_that_was_never_deployed() -> None:
    picture = folded(host())
    assert (status(picture).sync, status(picture).health) == (Sync.NOT_DEPLOYED, Health.STOPPED)
    assert picture.services[0].image == "lab/web:1", "the image it would have"


def test_a_host_that_never_answered_is_unknown_in_every_column() -> None:
    picture = folded(HostSnapshot("sese", "Sese", host().link))
    assert (status(picture).sync, status(picture).health) == (Sync.UNKNOWN, Health.UNKNOWN)


def test_why_sync_is_unknown_is_told() -> None:
    picture = folded(host("sese", HostState.READY, container("web"), container("db")), {"sese/apps": "no env file"})
    assert (status(picture).sync, status(picture).note) == (Sync.UNKNOWN, "no env file")


def test_a_dead_host_keeps_its_last_values_as_stale() -> None:
    picture = folded(host("sese", HostState.OFFLINE, container("web", health="healthy"), container("db")))
    assert [(service.health, service.stale) for service in picture.services] == [
        (Health.HEALTHY, True),
        (Health.RUNNING, True),
    ]


def test_stacks_that_share_a_project_own_their_services_only() -> None:
    one, two = stack("apps", "web", project="vpai"), stack("edge", "proxy", project="vpai")
    sese = host(
        "sese",
        HostState.READY,
        container("web", project="vpai"),
        container("proxy", project="vpai", health="unhealthy"),
    )
    picture = folded(sese, {}, one, two)
    assert [(item.id, item.health) for item in picture.stacks] == [
        ("sese/apps", Health.RUNNING),
        ("sese/edge", Health.DEGRADED),
    ]
    assert len(picture.services) == 2


def test_what_no_stack_claims_is_shown_but_no_keepers_of_images() -> None:
    stray = container("cache", project="old")
    keeper = container(None, "exited", project=None, id="k", labels={"vpai.keep": "1"})
    never = container(None, "created", project=None, id="n")
    picture = folded(host("sese", HostState.READY, container("web"), container("db"), stray, keeper, never))
    last = picture.services[-1]
    assert (last.id, last.sync, last.health) == ("sese//old-cache-1", Sync.UNKNOWN, Health.RUNNING)
    assert len(picture.services) == 3


def test_of_two_containers_the_running_one_stands_for_the_service() -> None:
    old = container("web", "exited", id="old", exit_code=1, created_at=NOW + timedelta(seconds=5))
    new = container("web", id="new")
    newer = container("web", id="newer", created_at=NOW + timedelta(seconds=9))
    picture = folded(host("sese", HostState.READY, old, new, newer, container("db")))
    assert picture.services[0].container == newer
    assert len(picture.services) == 2


def test_a_crash_loop_is_judged_by_the_clock_of_the_host() -> None:
    started = NOW + timedelta(hours=1)
    web = container("web", restarts=4, started_at=started)
    sese = host("sese", HostState.READY, web, container("db"), metrics=metrics(clock_skew_s=3610.0))
    assert folded(sese).services[0].health is Health.DEGRADED
    late = host("sese", HostState.READY, web, container("db"), metrics=metrics(clock_skew_s=3800.0))
    assert folded(late).services[0].health is Health.RUNNING


def test_what_told_nothing_new_is_the_very_same_object() -> None:
    folder, stacks = Folder(), [stack(), stack(host="pi")]
    syncs = {it.id: dict.fromkeys(it.services, Sync.IN_SYNC) for it in stacks}
    one, two = host("sese", HostState.READY, container()), host("pi", HostState.READY, container())

    def names(now: datetime = NOW, *hosts: HostSnapshot) -> dict[str, Service]:
        found = folder.fold(hosts or (one, two), stacks, syncs, at_boot_s=1000.0, now=now)
        return {service.id: service for service in found.services}

    first = names()
    fresh = replace(two, metrics=metrics(load1=9.0))
    second = names(NOW, one, fresh)
    assert second["sese/apps/web"] is first["sese/apps/web"]
    assert second["pi/apps/web"] is not first["pi/apps/web"]
    assert second["pi/apps/web"] == first["pi/apps/web"]
    syncs["sese/apps"] = dict.fromkeys(("web", "db"), Sync.DRIFTED)
    assert names(NOW, one, fresh)["sese/apps/web"].sync is Sync.DRIFTED
    assert names(NOW + timedelta(seconds=6), one, fresh)["pi/apps/web"] is not second["pi/apps/web"]


def test_a_service_that_ran_long_enough_is_no_loop_any_more_though_nothing_was_told() -> None:
    folder = Folder()
    again = container(restarts=5, started_at=NOW - timedelta(seconds=2))
    one = host("sese", HostState.READY, again)

    def health(now: datetime) -> Health:
        return folder.fold([one], [stack("apps", "web")], {}, at_boot_s=1000.0, now=now).services[0].health

    assert health(NOW) is Health.DEGRADED
    assert health(NOW + timedelta(minutes=10)) is Health.RUNNING
