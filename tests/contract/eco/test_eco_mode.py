"""Every row of the table in the facts (§4), on a real LiteLLM of both ends of the range, with real Redis."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from .proxy import (
    ENVIRONMENTS,
    PREFIX,
    QUIET,
    SHIPPED,
    VERSIONS,
    Proxy,
    demand,
    missing,
    proxy,
    redis_server,
    served_by,
    until,
)

CONFIG = (Path(__file__).parent / "config.yaml").read_text()
# Both ends of the range; what is between is asked in test_budget_contract.
ENDS = [pytest.param(it, marks=pytest.mark.xdist_group(f"eco-{it}")) for it in VERSIONS if it != "1.83.3"]
FREE = ["qwen3-coder", "deepseek-v3-free", "failing-free"]
MESSAGES = {"messages": [{"role": "user", "content": "hi"}]}
CHATS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"model": "claude-sonnet", **MESSAGES}),
    "messages": ("/v1/messages", {"model": "claude-sonnet", "max_tokens": 10, **MESSAGES}),
    "responses": ("/v1/responses", {"model": "claude-sonnet", "input": "hi"}),
    "completions": ("/v1/completions", {"model": "claude-sonnet", "prompt": "hi"}),
    "deployments": ("/openai/deployments/claude-sonnet/chat/completions", MESSAGES),
}
WITHOUT_SUBSTITUTE: dict[str, tuple[str, dict[str, Any]]] = {
    "embeddings": ("/v1/embeddings", {"model": "embedding", "input": "x"}),
    "images": ("/v1/images/generations", {"model": "gpt-4o", "prompt": "x"}),
    "moderations": ("/v1/moderations", {"model": "gpt-4o", "input": "x"}),
    "speech": ("/v1/audio/speech", {"model": "gpt-4o", "input": "x", "voice": "alloy"}),
    "rerank": ("/v1/rerank", {"model": "gpt-4o", "query": "x", "documents": ["y"]}),
}


class Webhook:
    """What was posted to it; answers with `status`."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.status = 200
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(hook.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/bot-token/sendMessage"
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def told(self) -> list[int]:
        return [post["percent"] for post in self.posts]


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    hook = Webhook()
    yield hook
    hook.close()


@pytest.fixture(scope="module", params=ENDS)
def running(
    request: pytest.FixtureRequest, webhook: Webhook, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    version = request.param
    if reason := missing(version):
        demand(reason)
    folder = tmp_path_factory.mktemp(f"litellm-{version}")
    settings = {
        "ECO_FREE_ALIASES": "priced-free,qwen3-coder,deepseek-v3-free,failing-free",
        "ECO_WEBHOOK_URL": webhook.url,
        "ECO_TELEGRAM_CHAT_ID": "42",
    }
    with redis_server(folder) as redis, proxy(version, redis, CONFIG, folder, settings) as found:
        yield found


@pytest.fixture
def llm(running: Proxy, webhook: Webhook) -> Proxy:
    """The proxy on a day on which nothing was spent and nothing set."""
    running.forget()
    webhook.posts.clear()
    webhook.status = 200
    return running


def refused(answer: httpx.Response) -> bool:
    return answer.status_code == 429 and "Budget mode" in answer.text


def spent(llm: Proxy) -> float:
    return float(llm.redis.run("GET", f"{PREFIX}spend:{llm.redis.beat()['day']}") or 0)


def counted(llm: Proxy) -> dict[str, float]:
    cells = llm.redis.run("HGETALL", f"{PREFIX}by:{llm.redis.beat()['day']}").splitlines()
    return {name: float(value) for name, value in zip(cells[::2], cells[1::2], strict=True)}


def test_normal_lets_paid_and_free_pass(llm: Proxy) -> None:
    assert served_by(llm.chat("claude-sonnet")) == "claude-sonnet"
    assert served_by(llm.chat("qwen3-coder")) == "qwen3-coder"
    until(lambda: spent(llm) == pytest.approx(0.05), "the paid call is counted", 60)
    found = counted(llm)
    for field in ("model|claude-sonnet", "prov|openrouter", "vendor|anthropic"):
        assert found[field] == pytest.approx(0.05), found
    assert found["req|claude-sonnet"] == found["req|qwen3-coder"] == 1
    assert found["tok|claude-sonnet"] == 30
    assert sum(value for name, value in found.items() if name.startswith("hour|")) == pytest.approx(0.05)


def test_the_heartbeat_says_what_acts_and_why(llm: Proxy) -> None:
    beat = llm.settle("normal", cap=0.12, cap_source="general_settings")
    assert beat["free"] == FREE  # the alias that has a price is not among them
    assert 0 < int(llm.redis.run("TTL", f"{PREFIX}hook")) <= 30
    llm.redis.put("cap", "5")
    assert llm.settle(cap=5.0)["cap_source"] == "redis"
    for nonsense in ("-1", "much", "inf", "nan"):
        llm.redis.put("cap", nonsense)
        assert llm.settle(cap_source="general_settings")["cap"] == 0.12, nonsense


@pytest.mark.parametrize("endpoint", CHATS)
def test_eco_serves_every_kind_of_chat_by_a_free_model(llm: Proxy, endpoint: str) -> None:
    llm.redis.put("mode", "eco")
    llm.settle("eco")
    path, body = CHATS[endpoint]
    answer = llm.post(path, body)
    assert answer.status_code == 200, answer.text
    assert "FIRST" in answer.text
    assert llm.log.with_name("guard.saw").read_text() == "qwen3-coder"  # the callback behind ours sees the final model
    until(lambda: counted(llm).get("req|qwen3-coder") == 1, "the call is counted", 60)
    assert spent(llm) == 0
    if llm.version != "1.81.3":
        assert answer.headers["x-eco-mode"] == "eco"


def test_eco_streams_from_a_free_model(llm: Proxy) -> None:
    llm.redis.put("mode", "eco")
    llm.settle("eco")
    answer = llm.chat("claude-sonnet", stream=True)
    told = "".join(
        json.loads(line[6:])["choices"][0]["delta"].get("content") or ""
        for line in answer.text.splitlines()
        if line.startswith("data: {")
    )
    assert (answer.status_code, told) == (200, "FIRST")


def test_eco_leaves_a_free_model_that_was_asked_for(llm: Proxy) -> None:
    llm.redis.put("mode", "eco")
    llm.settle("eco")
    assert "SECOND" in llm.chat("deepseek-v3-free").text


@pytest.mark.parametrize("endpoint", WITHOUT_SUBSTITUTE)
def test_eco_refuses_what_no_free_model_can_do(llm: Proxy, endpoint: str) -> None:
    llm.redis.put("mode", "eco")
    llm.settle("eco")
    answer = llm.post(*WITHOUT_SUBSTITUTE[endpoint])
    assert refused(answer), f"{answer.status_code} {answer.text}"


def test_eco_refuses_to_pass_through(llm: Proxy) -> None:
    llm.redis.put("mode", "eco")
    llm.settle("eco")
    body = {"model": "claude-sonnet-4", "max_tokens": 5, **MESSAGES}
    answer = llm.post("/anthropic/v1/messages", body)
    assert answer.status_code >= 400
    assert refused(answer) or llm.version == "1.106.2", answer.text  # that one asks for a credential first


def test_eco_keeps_what_gemini_clients_ask_from_paid_models(llm: Proxy) -> None:
    llm.redis.put("mode", "eco")
    llm.settle("eco")
    body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    llm.post("/v1beta/models/claude-sonnet:generateContent", body)
    llm.settle("eco")
    assert spent(llm) == 0
    assert "req|claude-sonnet" not in counted(llm)


def test_eco_ignores_fallbacks_that_a_client_sends(llm: Proxy) -> None:
    llm.redis.put("mode", "eco")
    llm.settle("eco")
    answer = llm.chat("qwen3-coder", fallbacks=["gpt-4o"], mock_testing_fallbacks=True)
    assert answer.status_code == (400 if llm.version == "1.106.2" else 200), answer.text
    assert "paid" not in answer.text
    llm.settle("eco")
    assert spent(llm) == 0


def test_blocked_refuses_paid_models_only(llm: Proxy) -> None:
    llm.redis.put("mode", "blocked")
    llm.settle("blocked")
    answer = llm.chat("claude-sonnet")
    assert refused(answer), answer.text
    error = answer.json()["error"]
    assert (error["type"], error["param"], error["code"]) == ("budget_exceeded", "model", "429")
    assert f"Usable: {', '.join(FREE)}" in error["message"]
    assert "FIRST" in llm.chat("qwen3-coder").text


def test_the_cap_turns_eco_on_until_it_is_raised(llm: Proxy, webhook: Webhook) -> None:
    paid = 0
    for _ in range(6):
        if "paid" in llm.chat("claude-sonnet").text:
            paid += 1
            until(lambda: spent(llm) == pytest.approx(0.05 * paid), "the call is counted", 60)  # noqa: B023
            llm.settle()
    assert paid == 3  # 0.15 of 0.12: the call that crosses the cap is the last
    beat = llm.settle("eco", mode="normal")
    assert beat["spend"] == pytest.approx(0.15)
    reached = json.loads(llm.redis.run("GET", f"{PREFIX}auto"))
    assert (reached["cap"], reached["spend"]) == (0.12, pytest.approx(0.15))
    assert 0 < int(llm.redis.run("TTL", f"{PREFIX}auto")) <= 86400
    until(lambda: 100 in webhook.told(), "the cap is told", 60)
    llm.redis.put("cap", "5")
    llm.settle("normal")
    assert llm.redis.run("EXISTS", f"{PREFIX}auto") == "0"
    assert "paid" in llm.chat("claude-sonnet").text


def test_thresholds_are_told_once_a_day_also_after_a_webhook_that_failed(llm: Proxy, webhook: Webhook) -> None:
    day = llm.redis.beat()["day"]
    webhook.status = 500
    llm.redis.put(f"spend:{day}", "0.09")
    until(lambda: len(webhook.posts) >= 2, "it is tried again", 60)
    webhook.status = 200
    until(lambda: int(llm.redis.run("TTL", f"{PREFIX}alert:{day}")) > 0, "70 % is told", 60)  # kept once it was taken
    tried = len(webhook.posts)
    llm.redis.put(f"spend:{day}", "0.11")
    until(lambda: 90 in webhook.told(), "90 % is told", 60)
    llm.settle("normal")
    llm.settle("normal")
    assert webhook.told()[tried:] == [90]
    last = webhook.posts[-1]
    assert (last["alert_type"], last["chat_id"], last["cap_usd"]) == ("budget_90", "42", 0.12)
    assert (
        last["text"]
        == last["event_message"]
        == "LiteLLM: $0.11 of $0.12 spent today, 90 % reached; paid models still answer"
    )
    assert "bot-token" not in llm.log.read_text()


def test_a_redis_that_is_gone_changes_nothing_and_loses_nothing(llm: Proxy) -> None:
    llm.redis.put("mode", "eco")
    llm.redis.put("cap", "5")
    llm.settle("eco")
    llm.redis.stop()
    try:
        begun = time.monotonic()
        assert "FIRST" in llm.chat("claude-sonnet").text
        assert time.monotonic() - begun < 20  # it answers, whatever Redis does
    finally:
        llm.redis.start()
    # Redis is back and empty: normal, until a mode is written again; what was counted meanwhile is not lost
    llm.settle("normal", cap_source="general_settings")
    until(lambda: counted(llm).get("req|qwen3-coder") == 1, "the call made meanwhile is counted", 60)


def test_what_is_spent_while_redis_is_gone_counts_against_the_cap(llm: Proxy) -> None:
    llm.redis.stop()
    try:
        served = [llm.chat("claude-sonnet").text for _ in range(6)]
    finally:
        llm.redis.start()
    assert "paid" in served[0]
    assert "FIRST" in served[-1], served
    llm.settle("eco", mode="normal")
    assert spent(llm) >= 0.12


def test_a_free_model_that_fails_is_replaced_by_a_free_one(llm: Proxy) -> None:
    llm.redis.put("mode", "eco")
    llm.settle("eco")
    assert "FIRST" in llm.chat("failing-free").text


@pytest.mark.parametrize("version", ENDS)
def test_free_models_that_all_fail_are_never_replaced_by_paid_ones(version: str, tmp_path: Path) -> None:
    if reason := missing(version):
        demand(reason)
    uncapped = CONFIG.replace("  max_budget: 0.12\n", "")
    failing = {"ECO_FREE_ALIASES": "failing-free,failing-too"}
    with redis_server(tmp_path) as redis, proxy(version, redis, uncapped, tmp_path / "proxy", failing) as found:
        assert found.settle("normal")["cap_source"] == "none"
        assert "paid" in found.chat("failing-free").text  # in normal mode the chain ends in a paid model
        until(lambda: spent(found) > 0, "the paid call is counted", 60)
        redis.run("FLUSHALL")
        redis.put("mode", "eco")
        found.settle("eco", spend=0.0)
        answer = found.chat("claude-sonnet")
        assert answer.status_code >= 400, answer.text
        found.settle("eco")
        assert spent(found) == 0


SLOWLY = """
import asyncio, eco_mode

class Slow:
    '''A Redis that takes its time between doing and answering.'''
    def __init__(self):
        self.sum, self.done, self.go = 0.0, asyncio.Event(), asyncio.Event()
    async def mget(self, *names):
        return None, None, str(self.sum)
    def pipeline(self, transaction):
        return self
    def incrbyfloat(self, name, amount):
        self.sum += amount
    def expire(self, *_): pass
    hincrby = hincrbyfloat = expire
    async def execute(self):
        self.done.set()
        await self.go.wait()

async def main():
    mode = eco_mode.EcoMode()
    mode._client = redis = Slow()
    mode.ledger.turn_to(mode._day())
    mode.ledger.unsaved[''] += 0.05
    saving = asyncio.create_task(mode._save())
    await redis.done.wait()
    await mode._read_redis()
    during = mode.ledger.spent
    redis.go.set()
    await saving
    after = mode.ledger.spent
    await mode._read_redis()
    print([round(it, 6) for it in (during, after, mode.ledger.spent)])

asyncio.run(main())
"""


@pytest.mark.parametrize("version", ENDS)
def test_a_sum_that_is_on_its_way_to_redis_counts_once(version: str, tmp_path: Path) -> None:
    if reason := missing(version):
        demand(reason)
    python = ENVIRONMENTS / version / "bin/python"
    settings = {"PYTHONPATH": str(SHIPPED), "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1", **QUIET}
    done = subprocess.run(
        [python, "-c", SLOWLY], env=settings, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1:] == ["[0.05, 0.05, 0.05]"], done.stderr[-2000:]
