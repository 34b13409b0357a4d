"""The stacks this repository ships: the VPAI fleet, as its architecture document has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from vpai_tui.config import load_fleet
from vpai_tui.errors import UsageError
from vpai_tui.fleet.stacks import Stack, find_service, find_stack, load_stacks

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def vpai() -> dict[str, Stack]:
    fleet = load_fleet(ROOT / "config" / "fleet.yaml")
    return {stack.id: stack for stack in load_stacks(ROOT / "stacks", fleet)}


def test_the_stacks_of_vpai(vpai: dict[str, Stack]) -> None:
    assert list(vpai) == [
        "seko/headscale",
        "seko/services",
        "sese/infra",
        "sese/apps",
        "sese/monitoring",
        "sese/backups",
        "pi/edge",
        "pi/creative",
        "pi/opencut",
        "pi/monitoring",
        "sese/edge",
    ]
    assert {stack.project for stack in vpai.values() if stack.host == "sese"} == {"vpai"}
    assert vpai["seko/headscale"].project == "headscale"
    images = {service: stack.image(service) for stack in vpai.values() for service in stack.services}
    assert (
        images
        | {
            "postgresql": "postgres:18.1-bookworm",
            "redis": "redis:8.0-bookworm",
            "qdrant": "qdrant/qdrant:v1.16.3",
            "n8n": "docker.n8n.io/n8nio/n8n:2.7.3",
            "litellm": "ghcr.io/berriai/litellm:v1.81.3-stable",
            "openclaw": "ghcr.io/openclaw/openclaw:2026.2.22",
            "victoriametrics": "victoriametrics/victoria-metrics:v1.135.0",
            "loki": "grafana/loki:3.6.5",
            "alloy": "grafana/alloy:v1.13.0",
            "grafana": "grafana/grafana:12.3.2",
            "cadvisor": "ghcr.io/google/cadvisor:0.55.1",
            "diun": "crazymax/diun:4.31.0",
            "headscale": "headscale/headscale:0.26.0",
        }
        == images
    )
    assert vpai["sese/apps"].spec.data == ()
    assert vpai["sese/apps"].off == ("palais",)
    assert vpai["sese/infra"].spec.data == ("postgresql", "redis", "qdrant")
    assert vpai["pi/opencut"].spec.on_demand
    assert vpai["pi/opencut"].services == ("opencut-db", "opencut-valkey", "opencut-srh", "opencut")
    assert [live.keys for live in vpai["seko/headscale"].spec.live] == [("dns.extra_records",)]
    assert [live.keys for live in vpai["sese/apps"].spec.live] == [("general_settings.max_budget",)]


def test_every_env_file_of_vpai_has_an_example_with_comments(vpai: dict[str, Stack]) -> None:
    seen = 0
    for stack in vpai.values():
        for path in stack.env_files:
            example = stack.env_example(path)
            assert example is not None, path
            lines = example.read_text(encoding="utf-8").splitlines()
            keys = [number for number, line in enumerate(lines) if line and not line.startswith("#")]
            assert keys
            for number in keys:
                assert lines[number].endswith("="), f"{example}: a value in an example"
            assert any(line.startswith("#") for line in lines)
            seen += 1
    assert seen == 21


def test_every_service_of_vpai_is_limited_and_rotates_its_logs(vpai: dict[str, Stack]) -> None:
    for stack in vpai.values():
        for service, body in stack.compose["services"].items():
            assert body["cap_drop"] == ["ALL"], service
            assert body["logging"]["options"] == {"max-size": "10m", "max-file": "3"}, service
            assert "no-new-privileges:true" in body["security_opt"], service
            if service not in stack.spec.one_shots:
                assert body["deploy"]["resources"]["limits"]["memory"], service
                assert "healthcheck" in body, service


def test_loki_publishes_nothing(vpai: dict[str, Stack]) -> None:
    loki = vpai["sese/monitoring"].compose["services"]["loki"]
    assert "ports" not in loki
    assert loki["networks"] == ["monitoring"]
    assert vpai["sese/monitoring"].spec.data == ("loki", "victoriametrics")


def test_the_names_of_the_architecture_are_in_the_vpn(vpai: dict[str, Stack]) -> None:
    import yaml

    shipped = {relative: path for relative, path, _ in vpai["seko/headscale"].shipped()}
    config = yaml.safe_load(shipped["headscale/config/config.yaml"].read_text(encoding="utf-8"))
    records = {
        record["name"].removesuffix(".ewutelo.cloud"): record["value"] for record in config["dns"]["extra_records"]
    }
    expected = dict.fromkeys(("javisi", "tala", "mayi", "llm", "qd", "hq", "nzimbu", "palais", "push"), "100.64.0.14")
    expected |= dict.fromkeys(("studio", "cut", "oc", "re"), "100.64.0.1")
    expected |= {"couch": "137.74.114.167", "singa": "87.106.30.160", "ewutelo.cloud": "100.64.0.14"}
    assert records == expected
    assert config["dns"]["override_local_dns"] is True
    assert not config["server_url"].endswith(config["dns"]["base_domain"])


def test_the_shipped_files_fit_the_schemas_that_editors_use() -> None:
    import json

    import yaml
    from jsonschema import Draft202012Validator

    files = [ROOT / "config" / "fleet.yaml", *sorted((ROOT / "stacks").glob("*/*/stack.yaml"))]
    assert len(files) == 12
    for file in files:
        text = file.read_text(encoding="utf-8")
        first, _, name = text.partition("\n")[0].partition("$schema=")
        assert first == "# yaml-language-server: "
        schema = json.loads((file.parent / name).read_text(encoding="utf-8"))
        assert list(Draft202012Validator(schema).iter_errors(yaml.safe_load(text))) == []
        assert not Draft202012Validator(schema).is_valid({"colour": "red"})


def test_stacks_and_services_are_found_by_short_names(vpai: dict[str, Stack]) -> None:
    stacks = tuple(vpai.values())
    assert find_stack(stacks, "sese/apps").id == find_stack(stacks, "apps").id == "sese/apps"
    for name in ("sese/apps/n8n", "apps/n8n", "sese/n8n", "n8n"):
        stack, service = find_service(stacks, name)
        assert (stack.id, service) == ("sese/apps", "n8n")
    with pytest.raises(UsageError, match='no stack "aps"') as caught:
        find_stack(stacks, "aps")
    assert caught.value.remedy == 'Did you mean "apps"?'
    with pytest.raises(UsageError, match='no service "zzz"'):
        find_service(stacks, "zzz")
