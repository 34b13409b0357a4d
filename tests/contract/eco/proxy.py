"""A real LiteLLM proxy with real Redis, on loopback: what eco mode and caps are tested against.

The proxies live in environments of their own (`make litellm`), since their pins conflict with ours. No provider is
called: every model answers by `mock_response`, and the switches below keep LiteLLM from looking up anything outside.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
SHIPPED = REPOSITORY / "stacks/sese/apps/configs/litellm"
ENVIRONMENTS = REPOSITORY / ".litellm"
VERSIONS = ("1.81.3", "1.83.3", "1.106.2")
MASTER_KEY = "sk-contract-master"
QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
    "LITELLM_LOCAL_POLICY_TEMPLATES": "True",
    "LITELLM_LOCAL_AUTOROUTER_PRESETS": "True",
    "LITELLM_TELEMETRY": "False",
    "NO_PROXY": "*",
}
PREFIX = "litellm:budget:"
_PLAIN: dict[str, Any] = {"verify": False, "trust_env": False}  # to read all certificates takes longer than to ask


def missing(version: str) -> str:
    """Why the tests of `version` cannot run here; empty when they can."""
    if not (ENVIRONMENTS / version / "bin/litellm").exists():
        return f"LiteLLM {version} is not installed: make litellm"
    return "" if shutil.which("redis-server") else "redis-server is not installed"


def demand(reason: str) -> None:
    """Skips the test, or fails it where it must not be skipped."""
    if os.environ.get("VPAI_LITELLM") == "require":
        pytest.fail(f"VPAI_LITELLM=require, but {reason}", pytrace=False)
    pytest.skip(reason)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], Any], what: str, timeout_s: float = 90.0) -> Any:
    """The first true answer."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {timeout_s:.0f} s: {what}")


@dataclass
class Redis:
    """A redis-server of the test's own."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        self.process = subprocess.Popen(["redis-server", *words], stdout=subprocess.DEVNULL)
        until(lambda: self.run("PING") == "PONG", "Redis answers", 10)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def run(self, *words: str) -> str:
        done = subprocess.run(
            ["redis-cli", "-p", str(self.port), *words], capture_output=True, text=True, timeout=5, check=False
        )
        return done.stdout.strip()

    def put(self, name: str, value: str) -> None:
        assert self.run("SET", PREFIX + name, value) == "OK"

    def beat(self) -> dict[str, Any]:
        """The heartbeat, or {}."""
        return json.loads(self.run("GET", f"{PREFIX}hook") or "{}")


@dataclass
class Proxy:
    """One proxy. `words` and `environ` are what it is started with, in `folder`."""

    url: str
    redis: Redis
    version: str
    log: Path
    words: Sequence[str]
    environ: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it answers."""
        with self.log.open("ab") as out:
            self.process = process = subprocess.Popen(
                self.words, cwd=self.log.parent, env=dict(self.environ), stdout=out, stderr=out
            )
        until(lambda: process.poll() is not None or self.answers(), "LiteLLM answers", 600)
        assert process.poll() is None, self.log.read_text()[-3000:]

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def answers(self) -> bool:
        try:
            return httpx.get(self.url + "/health/liveliness", timeout=2, **_PLAIN).status_code == 200
        except httpx.HTTPError:
            return False

    def post(self, path: str, body: Mapping[str, Any], **headers: str) -> httpx.Response:
        sent = {"Authorization": f"Bearer {MASTER_KEY}", **headers}
        return httpx.post(self.url + path, json=dict(body), headers=sent, timeout=30, **_PLAIN)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, headers={"Authorization": f"Bearer {MASTER_KEY}"}, timeout=30, **_PLAIN)

    def chat(self, model: str, *, key: str = MASTER_KEY, **more: Any) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **more}
        return self.post("/v1/chat/completions", body, Authorization=f"Bearer {key}")

    def forget(self) -> None:
        """A day on which nothing was spent and nothing set: what a call cost may be written a moment after it, then
        all is forgotten once more."""
        for left in (3, 2, 1, 0):
            assert self.redis.run("FLUSHALL") == "OK"
            try:
                self.settle("normal", within_s=15, spend=0.0, mode="normal")
                return
            except AssertionError:
                if not left:
                    raise

    def settle(self, effective: str | None = None, *, within_s: float = 60, **wanted: Any) -> dict[str, Any]:
        """Until a heartbeat written from now on says so; returns it."""
        since = time.time()
        expected = wanted | ({"effective": effective} if effective else {})

        def seen() -> dict[str, Any] | None:
            beat = self.redis.beat()
            fresh = beat.get("seen", 0) > since
            return beat if fresh and all(beat.get(name) == value for name, value in expected.items()) else None

        found: dict[str, Any] = until(seen, f"the heartbeat says {expected}", within_s)
        return found


def served_by(answer: httpx.Response) -> str:
    """The alias that answered: from 1.83 on the body repeats what the client asked for, the header does not."""
    return answer.headers.get("x-litellm-model-group") or ""


@contextmanager
def redis_server(folder: Path) -> Iterator[Redis]:
    redis = Redis(free_port(), folder)
    redis.start()
    try:
        yield redis
    finally:
        redis.stop()


@contextmanager
def proxy(version: str, redis: Redis, config: str, folder: Path, environ: Mapping[str, str]) -> Iterator[Proxy]:
    """LiteLLM `version` with `config` and the callbacks that the stack ships."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(config)
    for name in ("eco_mode.py", "budget_alerts.py"):
        shutil.copy(SHIPPED / name, folder / name)
    shutil.copy(Path(__file__).with_name("guard_extra_body.py"), folder)
    port = free_port()
    log = folder / "proxy.log"
    settings = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LITELLM_MASTER_KEY": MASTER_KEY,
        "ECO_REDIS_URL": f"redis://127.0.0.1:{redis.port}",
        "ECO_POLL_SECONDS": "0.1",
        "ECO_ALERT_SECONDS": "0.1",
        **QUIET,
        **environ,
    }
    words = [str(ENVIRONMENTS / version / "bin/litellm"), "--config", "config.yaml", "--host", "127.0.0.1"]
    found = Proxy(f"http://127.0.0.1:{port}", redis, version, log, [*words, "--port", str(port)], settings)
    try:
        found.start()
        yield found
    finally:
        found.stop()
