"""The stack's own litellm_config.yaml on a real LiteLLM of its version, with Redis and its database."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator

import pytest
import yaml

from .eco.proxy import ENVIRONMENTS, MASTER_KEY, SHIPPED, Proxy, Redis, demand, missing, proxy, redis_server, until
from .postgres_kit import STUB, postgres_server, programs

pytestmark = pytest.mark.xdist_group("sese-litellm")  # one proxy for all, and the spent providers come last
VERSION = "1.81.3"
KEYS = {f"CLIENT_KEY_{name}": f"sk-contract-{name.lower()}-{'x' * 24}" for name in ("N8N", "OPENCLAW")}
FREE = ("qwen3-coder", "deepseek-v3-free", "deepseek-r1-free")
BILLED = {"openrouter": "kimi-k2", "anthropic": "claude-haiku", "openai": "gpt-4o-mini", "gemini": "gemini-flash"}


def configuration() -> str:
    """As shipped, but that no provider is called: each model answers by itself, with its own name."""
    found = yaml.safe_load((SHIPPED / "litellm_config.yaml").read_text())
    for entry in found["model_list"]:
        entry["litellm_params"]["mock_response"] = f"I am {entry['model_name']}"
    found["router_settings"].update(num_retries=0, fallbacks=[])  # who refuses is to be seen
    return yaml.safe_dump(found, sort_keys=False)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    if reason := missing(VERSION) or ("" if programs() else "PostgreSQL is not installed"):
        demand(reason)
    folder = tmp_path_factory.mktemp("sese-litellm")
    with redis_server(folder) as redis, postgres_server() as postgres:
        postgres.create(VERSION)
        environ = {
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(redis.port),
            "REDIS_PASSWORD": "",
            "DATABASE_URL": postgres.url,
            "PYTHONPATH": str(STUB),
            "LITELLM_SALT_KEY": "sk-contract-salt",
            "STORE_MODEL_IN_DB": "True",
            "DISABLE_SCHEMA_UPDATE": "true",
            "ECO_FREE_ALIASES": ",".join(FREE),
            **{f"{it}_API_KEY": "sk-none" for it in ("OPENROUTER", "ANTHROPIC", "OPENAI", "GOOGLE_GEMINI")},
        }
        with proxy(VERSION, redis, configuration(), folder / "proxy", environ) as found:
            found.settle("normal")
            yield found


def spend(redis: Redis, provider: str, dollars: float) -> None:
    """As if so much had been spent there today."""
    assert redis.run("SET", f"provider_spend:{provider}:1d", str(dollars), "EX", "600") == "OK"


def test_it_loads_with_every_alias_and_every_free_one_has_a_price_of_zero(running: Proxy) -> None:
    shipped = yaml.safe_load((SHIPPED / "litellm_config.yaml").read_text())["model_list"]
    answer = running.get("/model/info").json()["data"]
    assert {it["model_name"] for it in answer} == {it["model_name"] for it in shipped}
    infos = {it["model_name"]: it["model_info"] for it in answer}
    assert all(infos[name]["input_cost_per_token"] == infos[name]["output_cost_per_token"] == 0 for name in FREE)
    assert {info.get("price_tier") for info in infos.values()} >= {"premium", "medium", "low", "ultra-low", "free"}


def test_it_counts_what_rules_and_dashboards_ask_for(running: Proxy) -> None:
    assert running.chat("kimi-k2").status_code == 200
    assert running.chat("no-such-model").status_code >= 400
    folder = SHIPPED.parents[2] / "monitoring/configs/grafana"
    texts = [path.read_text() for path in (*folder.rglob("*.json"), *folder.rglob("*.yaml"))]
    asked = {name for text in texts for name in re.findall(r"\blitellm_\w+", text)}
    assert len(asked) >= 6

    def counted() -> bool:
        found = running.get("/metrics/").text
        return all(re.search(rf"^# TYPE {name.removesuffix('_bucket')} ", found, re.MULTILINE) for name in asked)

    until(counted, f"/metrics has {sorted(asked)}", 30)


def client_keys(url: str, keys: dict[str, str]) -> str:
    """What the program that the deploy runs prints; it knows the address inside the container alone."""
    text = (SHIPPED / "client_keys.py").read_text().replace("http://127.0.0.1:4000", url)
    argv = [str(ENVIRONMENTS / VERSION / "bin/python"), "-c", text]
    environ = {"PATH": os.environ["PATH"], "LITELLM_MASTER_KEY": MASTER_KEY, "NO_PROXY": "*", **keys}
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not any(key in done.stdout + done.stderr for key in keys.values())
    return done.stdout


def test_the_clients_get_their_keys_once(running: Proxy) -> None:
    assert client_keys(running.url, KEYS) == "n8n: made\nopenclaw: made\n"
    assert client_keys(running.url, KEYS) == "n8n: known\nopenclaw: known\n"
    for key in KEYS.values():
        answer = running.chat("qwen3-coder", key=key)
        assert (answer.status_code, answer.json()["choices"][0]["message"]["content"]) == (200, "I am qwen3-coder")
    changed = {**KEYS, "CLIENT_KEY_N8N": KEYS["CLIENT_KEY_N8N"] + "-new"}
    assert client_keys(running.url, changed) == "n8n: made\nopenclaw: known\n"
    found = running.get("/key/list?return_full_object=true&size=100").json()["keys"]
    assert {it["key_alias"] for it in found} == {"n8n", "n8n-before", "openclaw"}
    assert running.chat("qwen3-coder", key=changed["CLIENT_KEY_N8N"]).status_code == 200


def test_a_provider_whose_share_is_spent_is_refused_and_the_free_models_are_not(running: Proxy) -> None:
    budgets = running.get("/provider/budgets").json()["providers"]
    limits = {name: found["budget_limit"] for name, found in budgets.items()}
    assert limits == {"openrouter": 3.25, "anthropic": 0.75, "openai": 0.5, "gemini": 0.25}
    for provider, alias in BILLED.items():
        assert running.chat(alias).status_code == 200
        spend(running.redis, provider, limits[provider] + 0.01)

    def refused() -> bool:
        answers = [running.chat(alias) for alias in BILLED.values()]
        return all(it.status_code >= 400 and "budget" in it.text.lower() for it in answers)

    until(refused, "every provider is refused", 60)  # the router keeps what it read of Redis for a moment
    for name in FREE:
        assert running.chat(name).json()["choices"][0]["message"]["content"] == f"I am {name}"
    for provider in BILLED:
        running.redis.run("DEL", f"provider_spend:{provider}:1d")
