"""`source` of stack.yaml: a service whose image is the operator's own is off until it is given."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from vpai_tui.config import Fleet, Host, Ssh
from vpai_tui.deploy.bundle import read_bundle
from vpai_tui.errors import UsageError
from vpai_tui.fleet.fold import fold
from vpai_tui.fleet.model import HostSnapshot, HostState, Link
from vpai_tui.fleet.stacks import Stack, find_service, load_stacks
from vpai_tui.strict import ConfigError

COMPOSE = """
services:
  web: {image: "web:1"}
  own: {image: "own-local:source", env_file: [./own.env], networks: [default]}
"""


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
