"""`source` of stack.yaml: a service whose image is the operator's own is off until it is given."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from fleet_things import container

from vpai_tui.config import Fleet, Host, Ssh
from vpai_tui.deploy.bundle import read_bundle
from vpai_tui.deploy.compare import Wanted, compare
from vpai_tui.deploy.facts import HostFacts, RunningContainer
from vpai_tui.errors import UsageError
from vpai_tui.fleet.fold import fold
from vpai_tui.fleet.model import Container, FleetSnapshot, Health, HostSnapshot, HostState, Link, Sync
from vpai_tui.fleet.operation import Effect, Plan
from vpai_tui.fleet.stacks import Stack, find_service, load_stack, load_stacks
from vpai_tui.strict import ConfigError
from vpai_tui.verbs import say_fleet

COMPOSE = """
services:
  web: {image: "web:1"}
  own: {image: "own-local:source", env_file: [./own.env], networks: [default]}
"""
FAR = "networks: {far: {name: vpai_far, external: true}}\n"


def load(folder: Path, source: str, compose: str = COMPOSE) -> Stack:
    home = folder / "box" / "apps"
    (home / "images" / "own").mkdir(parents=True, exist_ok=True)
    (home / "images" / "own" / "Dockerfile").write_text("FROM scratch\n")
    (home / "compose.yaml").write_text(compose)
    (home / "stack.yaml").write_text(f"source: {{own: {source}}}\naccess: [{{service: own, port: 80}}]\n")
    fleet = Fleet(hosts={"box": Host(addresses=("box",), ssh=Ssh(user="op"))}, stacks=("box/apps",))
    return load_stacks(folder, fleet)[0]


def laid(stack: Stack) -> dict[str, object]:
    found = yaml.safe_load(read_bundle(stack, "/opt/x").compose["04-source.yaml"])
    assert isinstance(found, dict)
    return dict(found["services"]["own"])


def test_what_is_not_given_is_off(tmp_path: Path) -> None:
    stack = load(tmp_path, "null")
    assert (stack.services, stack.off, stack.env_files) == (("web",), ("own",), ())
    bundle = read_bundle(stack, "/opt/x")
    assert bundle.services == ("web",)
    assert laid(stack) == {"profiles": ["source-not-given"]}
    with pytest.raises(UsageError, match="own is off") as caught:
        find_service((stack,), "own")
    assert "stack.yaml" in caught.value.remedy


def test_a_service_that_is_off_is_shown_as_that(tmp_path: Path) -> None:
    stack = load(tmp_path, "null")
    host = HostSnapshot("box", "Box", Link(HostState.READY, 0.0), containers=())
    found = fold([host], [stack], {stack.id: {}}, at_boot_s=0.0, now=datetime(2026, 1, 1, tzinfo=UTC))
    assert [(item.id, item.off) for item in found.services] == [("box/apps/web", False), ("box/apps/own", True)]
    assert found.stacks[0].services == 1
    assert not [alert for alert in found.alerts if "own" in alert.subject + alert.target]


def test_a_given_image_takes_the_place_of_the_one_in_the_file(tmp_path: Path) -> None:
    stack = load(tmp_path, '"registry.lan/own:2"')
    assert (stack.off, stack.image("own"), stack.env_files) == ((), "registry.lan/own:2", ("own.env",))
    assert laid(stack) == {"image": "registry.lan/own:2"}
    assert read_bundle(stack, "/opt/x").builds == ()


def test_a_given_folder_is_built_from(tmp_path: Path) -> None:
    stack = load(tmp_path, "./images/own")
    assert laid(stack) == {"build": {"context": "./images/own"}}
    assert [build.service for build in read_bundle(stack, "/opt/x").builds] == ["own"]
    with pytest.raises(ConfigError, match="no such build context"):
        load(tmp_path, "./images/none")


def test_nothing_may_wait_for_what_is_off(tmp_path: Path) -> None:
    waits = COMPOSE.replace('{image: "web:1"}', '{image: "web:1", depends_on: [own]}')
    with pytest.raises(ConfigError, match="web could never start"):
        load(tmp_path, "null", waits)
    assert load(tmp_path, '"own:1"', waits).services == ("own", "web")


def shown(stack: Stack, *containers: Container) -> FleetSnapshot:
    host = HostSnapshot("box", "Box", Link(HostState.READY, 0.0), containers=containers)
    return fold([host], [stack], {stack.id: {}}, at_boot_s=0.0, now=datetime(2026, 1, 1, tzinfo=UTC))


def test_a_stack_that_is_all_off_says_so_and_is_no_alert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = shown(load(tmp_path, "null", "services: {own: {image: own-local:source, networks: [far]}}\n" + FAR))
    (status,) = fleet.stacks
    assert (status.services, status.sync, status.off, fleet.alerts) == (0, Sync.NOT_DEPLOYED, ("own",), ())
    say_fleet.status(fleet)
    assert "■ box/apps/own is off: " in capsys.readouterr().out
    bundle = read_bundle(load(tmp_path, "null", "services: {own: {image: o, networks: [far]}}\n" + FAR), "/opt/x")
    assert (bundle.services, bundle.networks) == ((), ())  # nobody needs that network


def test_nothing_is_run_in_what_is_off(tmp_path: Path) -> None:
    load(tmp_path, "null")
    text = "source: {own: null}\none_shots: [own]\nafter: [{run: x, service: own}, {run: y}]\n"
    (tmp_path / "box" / "apps" / "stack.yaml").write_text(text)
    spec = load_stack(tmp_path, "box/apps").spec
    assert (spec.one_shots, [hook.run for hook in spec.after]) == ((), ["y"])


def test_what_runs_when_its_source_is_taken_away_is_shown_and_removed(tmp_path: Path) -> None:
    stack = load(tmp_path, "null")
    own = next(item for item in shown(stack, container("own")).services if item.service == "own")
    assert (own.stack, own.health, own.sync, own.off) == ("apps", Health.RUNNING, Sync.DRIFTED, False)
    running = RunningContainer("i", "apps-own-1", "running", "own", "h", "i", "2.40.3", "")
    facts = HostFacts(compose="2.40.3", blobs={"base.services": b"own\nweb\n"}, containers=[running])
    changes = compare(Wanted(read_bundle(stack, "/opt/x"), {}, frozenset(), frozenset()), facts).changes
    removed = [change for change in changes if change.effect is Effect.REMOVE]
    assert [(change.service, change.causes[0].detail) for change in removed] == [("own", "its source is taken away")]


def test_a_plan_of_a_stack_that_is_all_off_is_empty() -> None:
    plan = Plan("pi/creative", "deploy", None, "r1", "", (), off=("comfyui", "remotion"))
    assert (plan.empty, plan.summary) == (True, "off: comfyui, remotion")
    assert not Plan("pi/creative", "deploy", None, "r1", "", ()).empty
