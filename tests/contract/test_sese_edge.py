"""Who is let in at Sese's door: the shipped Caddyfile on a real Caddy, with visitors of the VPN and from elsewhere."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from .edge_kit import GATEWAY, STRANGER, TOKEN, Edge, Visit, demand, environment, lacking, prepare, running

pytestmark = pytest.mark.xdist_group("sese-edge")  # one Caddy for all
ROOT = "ewutelo.cloud"
STACKS = Path(__file__).parents[2] / "stacks/sese"
KEY = {"Authorization": "Bearer sk-client"}
PRIVATE = {
    "mayi": "n8n",
    "llm": "litellm",
    "qd": "qdrant",
    "javisi": "openclaw",
    "palais": "palais",
    "nzimbu": "sure-web",
    "hq": "kaneo-web",
    "tala": "grafana",
}


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    if reason := lacking():
        demand(reason)
    with running(tmp_path_factory.mktemp("edge")) as found:
        yield found


def test_caddy_finds_nothing_wrong_with_the_file(edge: Edge, tmp_path: Path) -> None:
    argv = ["caddy", "validate", "--adapter", "caddyfile", "--config", str(prepare(tmp_path))]
    done = subprocess.run(argv, env=environment(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Valid configuration" in done.stdout + done.stderr


def test_the_vpn_reaches_every_service_by_its_name(edge: Edge) -> None:
    answers = edge.ask(*(Visit(f"{name}.{ROOT}", "/some/page?x=1") for name in PRIVATE))
    assert [(status, it["service"], it["path"]) for status, it in answers] == [
        (200, service, "/some/page?x=1") for service in PRIVATE.values()
    ]
    assert edge.ask(Visit(f"hq.{ROOT}", "/api/health"))[0][1]["service"] == "kaneo-api"


def test_the_names_are_those_of_the_stacks(edge: Edge) -> None:
    named = {}
    for path in STACKS.glob("*/stack.yaml"):
        for it in yaml.safe_load(path.read_text()).get("access", ()):
            if it.get("subdomain") and it["reach"] == "vpn" and it["service"] != "kaneo-api":
                named[it["subdomain"]] = it["service"]
    assert named == PRIVATE | {"push": "alloy"}


@pytest.mark.parametrize("source", [STRANGER, GATEWAY])
def test_who_is_not_in_the_vpn_gets_403(edge: Edge, source: str) -> None:
    claims = {"X-Forwarded-For": "100.64.0.9", "X-Real-IP": "100.64.0.9", "Forwarded": "for=100.64.0.9"}
    visits = [Visit(f"{name}.{ROOT}", source=source) for name in PRIVATE]
    visits += [Visit(f"{name}.{ROOT}", source=source, headers=claims) for name in PRIVATE]
    # greeted as a public name, asked for another one
    visits += [Visit(f"{name}.{ROOT}", source=source, greeted=f"couch.{ROOT}") for name in PRIVATE]
    visits += [Visit(f"push.{ROOT}", "/loki/api/v1/push", source, "POST", {"Authorization": f"Bearer {TOKEN}"})]
    assert edge.statuses(*visits) == [403] * len(visits)


def test_what_is_public(edge: Edge) -> None:
    visits = [Visit(ROOT, "/health", STRANGER), Visit(f"couch.{ROOT}", "/obsidian_vault/_changes", STRANGER)]
    assert edge.statuses(*visits) == [200, 200]
    assert edge.ask(visits[1])[0][1]["service"] == "couchdb"
    assert edge.statuses(Visit(ROOT, "/", STRANGER), Visit(ROOT, "/anything", STRANGER)) == [404, 404]


def test_of_litellm_the_world_reaches_the_models_alone_and_with_a_key(edge: Edge) -> None:
    chat = "/litellm/v1/chat/completions"
    status, told = edge.ask(Visit(ROOT, chat, STRANGER, "POST", KEY))[0]
    assert (status, told["service"], told["path"]) == (200, "litellm", "/v1/chat/completions")
    assert told["headers"]["Authorization"] == KEY["Authorization"]
    by_header = Visit(ROOT, "/litellm/v1/messages", STRANGER, "POST", {"X-Api-Key": "sk-client"})
    assert edge.statuses(by_header) == [200]
    nobody = [{}, {"Authorization": "Basic c2stYTpi"}, {"Authorization": "Bearer "}, {"Authorization": "Bearer x"}]
    assert edge.statuses(*(Visit(ROOT, chat, STRANGER, "POST", it) for it in nobody)) == [401] * len(nobody)


@pytest.mark.parametrize(
    "path",
    [
        "/litellm/key/generate",
        "/litellm/key/info",
        "/litellm/user/new",
        "/litellm/config/update",
        "/litellm/ui/",
        "/litellm/metrics",
        "/litellm/health",
        "/litellm/v1",
        "/litellm/v1/mcp/server",
        "/litellm/v1/model/info",
        "/litellm/v1/../key/generate",
        "/litellm/v1/%2e%2e/key/generate",
        "/litellm/v1/..%2fkey/generate",
        "/litellm//key/generate",
        "/litellm/V2/../key/generate",
    ],
)
def test_the_administration_of_litellm_is_not_there(edge: Edge, path: str) -> None:
    for source in (STRANGER, "100.64.0.9"):
        assert edge.statuses(Visit(ROOT, path, source, "POST", KEY)) == [404], path


def test_a_path_that_is_encoded_twice_reaches_no_other_one(edge: Edge) -> None:
    status, told = edge.ask(Visit(ROOT, "/litellm/v1/%252e%252e/key/generate", STRANGER, "POST", KEY))[0]
    assert status == 404 or told["path"].startswith("/v1/%252e%252e/")


def test_pi_and_seko_send_with_the_token_and_reach_nothing_else_of_alloy(edge: Edge) -> None:
    token = {"Authorization": f"Bearer {TOKEN}"}
    push, write = "/loki/api/v1/push", "/api/v1/metrics/write"
    host = f"push.{ROOT}"
    answers = edge.ask(*(Visit(host, path, method="POST", headers=token) for path in (push, write)))
    assert [(status, it["service"], it["path"]) for status, it in answers] == [
        (200, "alloy-lines", "/loki/api/v1/push"),
        (200, "alloy-figures", "/api/v1/metrics/write"),
    ]
    assert not any("Authorization" in it["headers"] for _, it in answers)
    wrong = [{}, {"Authorization": "Bearer "}, {"Authorization": f"Bearer {TOKEN}x"}]
    assert edge.statuses(*(Visit(host, push, method="POST", headers=it) for it in wrong)) == [401] * 3
    others = [Visit(host, push, headers=token), Visit(host, "/loki/api/v1/raw", method="POST", headers=token)]
    others += [Visit(host, "/-/reload", method="POST", headers=token)]
    assert edge.statuses(*others) == [404] * 3
