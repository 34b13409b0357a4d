"""The shipped stacks against the architecture document: networks, ports, images, healthchecks, limits, hardening."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import stack_policy as policy
import stack_tables as tables
from stack_policy import Rendered

from vpai_tui.config import load_fleet

FLEET = load_fleet(policy.ROOT / "config" / "fleet.yaml")


@pytest.fixture(scope="module")
def stacks() -> list[Rendered]:
    return [policy.rendered(stack) for stack in policy.stack_ids()]


@pytest.mark.parametrize("stack_id", policy.stack_ids())
def test_a_stack_keeps_to_the_policy(stack_id: str) -> None:
    assert policy.complaints(policy.rendered(stack_id)) == []


def test_no_host_promises_more_than_it_has(stacks: list[Rendered]) -> None:
    assert policy.host_complaints(stacks) == []


def test_the_networks_of_sese_are_those_of_the_document(stacks: list[Rendered]) -> None:
    infra = next(stack for stack in stacks if stack.id == "sese/infra")
    found = {
        net["name"]: (net["ipam"]["config"][0]["subnet"], bool(net.get("internal"))) for net in infra.networks.values()
    }
    assert found == tables.SESE_NETWORKS
    for stack in stacks:
        if stack.host == "sese" and stack is not infra:
            assert all(net.get("external") for net in stack.networks.values()), stack.id


def test_every_row_of_the_tables_is_about_a_service_there_is(stacks: list[Rendered]) -> None:
    there = {f"{stack.host}/{service}" for stack in stacks for service in stack.services}
    told = {*tables.NETWORKS, *tables.NETWORK_EXCEPTIONS, *tables.PORTS, *tables.FLOORS, *tables.SOCKET, *tables.SILENT}
    assert told - there == set()
    images = {policy.repository(str(body["image"])) for stack in stacks for body in stack.services.values()}
    assert tables.PROGRAMS.keys() - images == set()


def test_start_up_order(stacks: list[Rendered]) -> None:
    where = {service: stack for stack in stacks if stack.host == "sese" for service in stack.services}
    for first, then in tables.STARTUP:
        if where[first] is where[then]:
            waits = where[then].services[then].get("depends_on") or {}
            assert waits.get(first, {}).get("condition") == "service_healthy", f"{then} does not wait for {first}"
        else:
            places = [FLEET.stacks.index(where[name].id) for name in (first, then)]
            assert places == sorted(places), f"{then} is up before {first}"


def test_a_gate_waits_for_two_checks_at_least(stacks: list[Rendered]) -> None:
    """The first check comes an interval after the start; a gate that ends with it takes every deploy back."""
    for stack in stacks:
        for service, body in stack.services.items():
            check = body.get("healthcheck") or {}
            wanted = 2 * seconds(str(check.get("interval", "30s"))) if check.get("test") else 0
            assert wanted <= stack.spec.health_timeout_s, f"{stack.id}/{service}"


def seconds(span: str) -> int:
    """Of Compose's `1m30s`."""
    return sum(int(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in re.findall(r"(\d+)([hms])", span))


def test_what_waits_waits_for_health(stacks: list[Rendered]) -> None:
    for stack in stacks:
        for service, body in stack.services.items():
            for name, how in (body.get("depends_on") or {}).items():
                once = name in stack.spec.one_shots
                wanted = "service_completed_successfully" if once else "service_healthy"
                assert how["condition"] == wanted, f"{stack.id}/{service} → {name}"


def test_no_key_of_anthropic_is_where_claude_code_has_a_login() -> None:
    for path in (policy.ROOT / "stacks" / "pi").rglob("*"):
        assert not path.is_file() or "ANTHROPIC_API_KEY" not in path.read_text(encoding="utf-8"), path


def test_the_shipper_is_the_same_on_both_hosts() -> None:
    files = [
        policy.ROOT / "stacks" / place / "configs/alloy/config.alloy" for place in ("seko/services", "pi/monitoring")
    ]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_table_in_the_readme_is_the_one_of_the_files(stacks: list[Rendered]) -> None:
    assert policy.in_readme() == policy.table(stacks), "python tests/unit/stack_policy.py writes it anew"


# ── the rules themselves ─────────────────────────────────────────────────────────────────────────────────────────────


def broken(change: Callable[[dict[str, Any]], object], stack_id: str, service: str) -> list[str]:
    """What is said of a stack in which one service was changed."""
    stack = policy.rendered(stack_id)
    services = copy.deepcopy(dict(stack.services))
    change(services[service])
    return policy.complaints(replace(stack, services=services))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda it: it.update(networks={"backend": None, "egress": None}), "joins vpai_egress"),
        (lambda it: it.update(network_mode="host"), "joins host"),
        (lambda it: it.update(ports=[{"published": "6379", "target": 6379}]), "publishes *:6379/tcp"),
        (lambda it: it.update(ports=[{"published": "6379", "target": 6379}]), "is internal and publishes a port"),
        (lambda it: it.update(image="redis:latest"), "redis:latest is not pinned"),
        (lambda it: it.update(image="redis"), "redis is not pinned"),
        (lambda it: it.update(image="redis:8-bookworm"), "is not pinned"),
        (lambda it: it.pop("healthcheck"), "has no healthcheck"),
        (lambda it: it["healthcheck"].update(test=["CMD", "true"]), "asks nothing"),
        (lambda it: it["healthcheck"].update(test=["CMD-SHELL", "kill -0 1"]), "asks nothing"),
        (lambda it: it["healthcheck"].update(test=["CMD", "curl", "x"]), "calls curl"),
        (lambda it: it["deploy"]["resources"].pop("limits"), "has no limit"),
        (lambda it: it["deploy"]["resources"]["limits"].update(memory="512M"), "limited below 768 MiB"),
        (lambda it: it["deploy"]["resources"].pop("reservations"), "reserves no memory"),
        (lambda it: it.pop("logging"), "does not rotate"),
        (lambda it: it.pop("security_opt"), "may gain new privileges"),
        (lambda it: it.pop("cap_drop"), "does not drop all"),
        (lambda it: it.update(cap_add=["SYS_ADMIN"]), "adds the capability SYS_ADMIN"),
        (lambda it: it.update(privileged=True), "is privileged"),
        (lambda it: it.update(restart="always"), "restarts always"),
        (
            lambda it: it.update(volumes=[{"type": "bind", "source": "/var/run/docker.sock", "target": "/s"}]),
            "mounts /var/run",
        ),
    ],
)
def test_the_policy_tells(change: Callable[[dict[str, Any]], object], told: str) -> None:
    assert any(told in line for line in broken(change, "sese/infra", "redis"))


def test_a_port_that_is_bound_wider_than_the_document_says_is_told() -> None:
    def wider(body: dict[str, Any]) -> None:
        body["ports"][0]["host_ip"] = "0.0.0.0"

    assert broken(wider, "pi/opencut", "opencut") == [
        "pi/opencut: publishes 0.0.0.0:3100/tcp, which the document does not say"
    ]
    assert any("arm64" in line for line in broken(lambda it: it.update(image="x:1.2"), "pi/opencut", "opencut-db"))


def test_a_secret_in_the_compose_file_is_told() -> None:
    stack = policy.rendered("sese/infra")
    raw = copy.deepcopy(dict(stack.raw))
    raw["services"]["redis"]["environment"] = {"REDIS_PASSWORD": "hunter2"}
    assert any("has a value for REDIS_PASSWORD" in line for line in policy.complaints(replace(stack, raw=raw)))


def test_a_host_that_promises_too_much_is_told(stacks: list[Rendered]) -> None:
    body = {"deploy": {"resources": {"reservations": {"memory": "5G"}}}}
    more = replace(stacks[0], id="sese/more", services={"big": body})
    assert "sese: " in policy.host_complaints([*stacks, more])[0]
