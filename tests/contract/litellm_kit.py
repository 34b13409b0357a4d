"""Hosts with LiteLLM for one suite: the demo's, and a real proxy with real Redis, with and without a real PostgreSQL.

The real ones are behind an SSH server on loopback too, so that the client runs unchanged. In place of Docker such a
host has the program `docker` below: its containers are processes of this machine, and `exec` runs the same command
line here, with the environment that the container would have.
"""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import yaml

from vpai_tui import config, demo
from vpai_tui.budget.reading import Reader
from vpai_tui.budget.session import Budget, Surface
from vpai_tui.clock import SystemClock
from vpai_tui.demo.engine.cli import act_on
from vpai_tui.demo.servers import HostServer
from vpai_tui.fleet.history import History
from vpai_tui.fleet.stacks import Stack, load_stacks
from vpai_tui.remote.connection import Connection, connect

from .eco.proxy import MASTER_KEY, PREFIX, Proxy, Redis, proxy, redis_server, until
from .postgres_kit import STUB, Postgres

HOST = "sese"
USER = "operator"
CAP = 5.0  # dollars, as the configuration has it
_SECTION = {"max_budget": CAP, "proxy_batch_write_at": 1, "master_key": "os.environ/LITELLM_MASTER_KEY"}
_PAID = {"input_cost_per_token": 0.001, "output_cost_per_token": 0.002}  # 10 + 20 tokens a call: $0.05
_FREE = {"input_cost_per_token": 0, "output_cost_per_token": 0}
_MODELS = (
    ("claude-sonnet", "anthropic/claude-sonnet-4-20250514", "paid", _PAID),
    ("gpt-4o", "openai/gpt-4o", "paid", _PAID),
    ("glm-5", "openrouter/z-ai/glm-5", "paid", _PAID),
    ("kimi-k2", "openrouter/moonshotai/kimi-k2", "unpriced", {}),
    ("qwen3-coder", "openrouter/qwen/qwen3-coder:free", "FIRST", _FREE),
    ("deepseek-v3-free", "openrouter/deepseek/deepseek-chat:free", "SECOND", _FREE),
)
_COMPOSE = """
services:
  litellm: {image: "ghcr.io/berriai/litellm:v1"}
"""
_DOCKER = '''#!%(python)s
"""`docker` of a host whose containers are processes of this machine."""
import json, os, pathlib, sys, time

HOME = pathlib.Path(%(home)r)
KNOWN = json.loads((HOME / "containers.json").read_text())


def need(name):
    for it in KNOWN:
        if name in (it["id"], it["name"]):
            return it
    sys.exit("Error response from daemon: No such container: " + name)


def row(it):
    return "\\t".join(it[key] for key in ("id", "name", "image", "state", "project", "service"))


verb, rest = sys.argv[1], sys.argv[2:]
if verb == "ps":
    print("\\n".join(map(row, KNOWN)))
elif (verb, rest[0]) == ("container", "inspect"):
    it = need(rest[-1])
    env = [key + "=" + value for key, value in it["env"].items()]
    print(json.dumps({"entrypoint": [], "command": it["command"], "mounts": it["mounts"], "env": [*env, None]}))
elif verb == "exec":
    it = need(rest[0])
    if it["state"] != "running":
        sys.exit("Error response from daemon: container " + it["id"] + " is not running")
    os.execvpe(rest[1], rest[1:], {**os.environ, **it["env"]})
elif verb == "restart":
    it = need(rest[-1])
    (HOME / "restart").write_text(it["name"])
    while (HOME / "restart").exists():
        time.sleep(0.05)
    print(it["name"])
elif verb == "logs":
    pass
else:
    sys.exit("docker: unknown command: " + " ".join(sys.argv[1:]))
'''


def configuration(*, callback: bool = True) -> str:
    """litellm_config.yaml, with a comment that must stay."""
    models = [
        {
            "model_name": alias,
            # 1.83.3 bills by its own table what has its price in model_info alone
            "litellm_params": {"model": model, "api_key": "sk-none", "mock_response": said, **price},
            **({"model_info": price} if price else {}),
        }
        for alias, model, said, price in _MODELS
    ]
    callbacks = {"callbacks": ["eco_mode.instance", "budget_alerts.instance"]} if callback else {}
    body = {"model_list": models, "litellm_settings": {"num_retries": 0, **callbacks}}
    general = yaml.safe_dump({"general_settings": _SECTION}, sort_keys=False)
    return general.replace(f"{CAP}\n", f"{CAP:.2f}  # dollars a day\n") + yaml.safe_dump(body, sort_keys=False)


@dataclass
class Site:
    """One host with LiteLLM. `reset` brings back the day on which nothing was set by hand."""

    fleet: config.Fleet
    stacks: tuple[Stack, ...]
    folder: Path  # the laptop's
    reset: Callable[[], None]
    database: bool
    version: str
    real: Real | None = None
    demo: demo.DemoFleet | None = None
    _connections: dict[str, Connection] = field(default_factory=dict)

    def budget(self) -> Budget:
        """That of one operator."""
        history = History(self.folder / "history.jsonl")
        return Budget(
            Surface(self.fleet, self.stacks, self.connection, self.fresh, SystemClock(), history, self.folder)
        )

    def reader(self) -> Reader:
        return Reader(self.fleet, self.stacks, self.connection, SystemClock())

    @property
    def config(self) -> str:
        """litellm_config.yaml on the host."""
        if self.real is not None:
            return str(self.real.config)
        assert self.demo is not None
        return str(self.demo.root(HOST) / "configs/litellm/litellm_config.yaml")

    async def redis(self, *words: str) -> str:
        """What `redis-cli` prints, asked by somebody else than the client."""
        done = await (await self.connection(HOST)).run(["docker", "exec", "vpai-redis-1", "redis-cli", *words])
        return done.text.strip()

    async def stop(self, name: str) -> None:
        """The proxy or Redis: its container stands there, stopped."""
        if self.real is not None:
            await asyncio.to_thread(self.real.stop, name)
            return
        await (await self.connection(HOST)).run(["docker", "stop", f"vpai-{name}-1"])

    async def start(self, name: str) -> None:
        """It answers again."""
        if self.real is not None:
            await asyncio.to_thread(self.real.start, name)
            return
        assert self.demo is not None
        await (await self.connection(HOST)).run(["docker", "start", f"vpai-{name}-1"])
        self.demo.advance(5)

    async def lose_callback(self) -> None:
        """The proxy as it was before the callback: with the keys in Redis, and nobody who reads them."""
        if self.real is not None:
            await asyncio.to_thread(self.real.restart, configuration(callback=False))
            return
        assert self.demo is not None
        path = self.demo.root(HOST) / "configs/litellm/litellm_config.yaml"
        path.write_text(path.read_text().replace("eco_mode.instance, ", ""))
        await (await self.connection(HOST)).run(["docker", "restart", "vpai-litellm-1"])
        self.demo.advance(5)

    async def outlive_heartbeat(self) -> None:
        """As long as the callback's last heartbeat stays in Redis."""
        if self.demo is not None:
            self.demo.advance(31)
        else:
            await self.redis("DEL", f"{PREFIX}hook")

    async def connection(self, host: str) -> Connection:
        if host not in self._connections or self._connections[host].closed:
            self._connections[host] = await self.fresh(host)
        return self._connections[host]

    async def fresh(self, host: str) -> Connection:
        return await connect(host, self.fleet.hosts[host])

    async def close(self) -> None:
        for connection in self._connections.values():
            await connection.close()

    async def until(self, look: Callable[[], Any], right: Callable[[Any], bool], timeout_s: float = 60.0) -> Any:
        """The first answer of the coroutine `look` that is right; the last one after that time, for an assertion."""
        clock = asyncio.get_running_loop().time
        end = clock() + timeout_s
        while True:
            found = await look()
            if right(found) or clock() > end:
                return found
            await asyncio.sleep(0.1)


# ── the demo ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def demo_site(folder: Path) -> AsyncIterator[Site]:
    """The demo with an eighth of the cap spent."""
    async with demo.start(folder) as running:
        path = running.root(HOST) / "configs/litellm/litellm_config.yaml"
        content = path.read_bytes()
        site = Site(running.fleet, load_stacks(running.stacks_dir, running.fleet), folder, lambda: None, True, "1.81.3")
        site.demo = running

        def reset() -> None:
            without = b"eco_mode.instance" not in path.read_bytes()
            path.write_bytes(content)
            if without:
                act_on(running.engine(HOST), "vpai-litellm-1", "restart")
                running.advance(5)
            running.budget("usual")
            running.budget("12")

        site.reset = reset
        try:
            yield site
        finally:
            await site.close()


# ── the real ones ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Real:
    """The processes of a host, and what its `docker` says of them."""

    folder: Path
    proxy: Proxy
    redis: Redis
    postgres: Postgres | None
    _ended: threading.Event = field(default_factory=threading.Event)

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    def describe(self, **states: str) -> None:
        """What `docker` knows; a state that is not given is running."""
        path = os.environ["PATH"]
        litellm = {"PATH": f"{Path(sys.executable).parent}:{path}", "LITELLM_MASTER_KEY": MASTER_KEY}
        words = ["--config", "/app/config.yaml", "--port", self.proxy.url.rpartition(":")[2]]
        mounts = [{"Type": "bind", "Source": str(self.config), "Destination": "/app/config.yaml"}]
        found = [
            self._container("litellm", "ghcr.io/berriai/litellm:v1", states, litellm, words, mounts),
            self._container("redis", "redis:8", states, {"PATH": f"{self.folder}/redis-bin:{path}"}),
        ]
        if self.postgres is not None:
            found.append(self._container("postgresql", "postgres:18", states, {"PATH": path, **self.postgres.environ}))
        whole = self.folder / "containers.new"
        whole.write_text(json.dumps(found))
        whole.replace(self.folder / "containers.json")

    def _container(
        self,
        name: str,
        image: str,
        states: Mapping[str, str],
        environ: Mapping[str, str],
        words: list[str] | None = None,
        mounts: list[dict[str, str]] | None = None,
    ) -> dict[str, Any]:
        return {
            "id": f"{name:0<12}",
            "name": f"vpai-{name}-1",
            "image": image,
            "state": states.get(name, "running"),
            "project": "vpai",
            "service": name,
            "env": dict(environ),
            "command": words or [],
            "mounts": mounts or [],
        }

    def install(self) -> None:
        """The programs of the host."""
        _program(self.folder / "bin/docker", _DOCKER % {"python": sys.executable, "home": str(self.folder)})
        client = f'#!/bin/sh\nexec /usr/bin/env PATH="{os.environ["PATH"]}" redis-cli -p {self.redis.port} "$@"\n'
        _program(self.folder / "redis-bin/redis-cli", client)
        self.describe()

    def watch(self) -> None:
        """Restarts the proxy when `docker restart` asks."""
        asked = self.folder / "restart"
        while not self._ended.wait(0.05):
            if asked.exists():
                self.proxy.stop()
                asked.unlink()  # Docker too answers before the program does
                self.proxy.start()

    def end(self) -> None:
        self._ended.set()

    def stop(self, name: str) -> None:
        (self.redis if name == "redis" else self.proxy).stop()
        self.describe(**{name: "exited"})

    def start(self, name: str) -> None:
        (self.redis if name == "redis" else self.proxy).start()
        self.describe()

    def restart(self, content: str) -> None:
        """With another configuration."""
        self.stop("litellm")
        self.config.write_text(content)
        self.start("litellm")

    def reset(self) -> None:
        """A day on which nothing was spent and nothing set."""
        content = configuration()
        if "eco_mode.instance" not in self.config.read_text():
            self.restart(content)
        self.config.write_text(content)
        if self.postgres is not None:
            until(self._written, "all that was counted is in the database", 60)
            self.postgres.query('TRUNCATE "LiteLLM_SpendLogs", "LiteLLM_DailyUserSpend"')
        assert self.redis.run("FLUSHALL") == "OK"
        self.proxy.settle("normal", spend=0.0, mode="normal", db_spend=0.0)

    def _written(self) -> bool:
        """The proxy writes to the database some time after each call: what comes late would count for the next test."""
        assert self.postgres is not None
        day = self.redis.beat().get("day", "")
        counted = float(self.redis.run("GET", f"{PREFIX}spend:{day}") or 0)
        sums = ('SELECT sum(spend) FROM "LiteLLM_SpendLogs"', 'SELECT sum(spend) FROM "LiteLLM_DailyUserSpend"')
        return all(float(self.postgres.query(sql) or 0) >= counted - 1e-6 for sql in sums)


def _program(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@contextmanager
def real_host(version: str, folder: Path, postgres: Postgres | None) -> Iterator[Real]:
    """LiteLLM `version` with Redis, and with a database where `postgres` is one."""
    environ = {"ECO_FREE_ALIASES": "qwen3-coder,deepseek-v3-free", "ECO_DB_POLL_SECONDS": "0.5"}
    if postgres is not None:
        postgres.create(version)
        environ |= {"DATABASE_URL": postgres.url, "PYTHONPATH": str(STUB), "STORE_MODEL_IN_DB": "True"}
        environ |= {"LITELLM_SALT_KEY": "sk-contract-salt", "DISABLE_SCHEMA_UPDATE": "true"}
    with (
        redis_server(folder) as redis,
        proxy(version, redis, configuration(), folder, environ) as running,
    ):
        real = Real(folder, running, redis, postgres)
        real.install()
        watching = threading.Thread(target=real.watch)
        watching.start()
        try:
            yield real
        finally:
            real.end()
            watching.join()


@asynccontextmanager
async def real_site(real: Real) -> AsyncIterator[Site]:
    """`real` behind an SSH server."""
    key, host_key = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    path = real.folder / "ssh-key"
    path.touch(mode=0o600)
    path.write_bytes(key.export_private_key())
    environ = {"PATH": f"{real.folder}/bin:{os.environ['PATH']}", "HOME": str(real.folder), "LC_ALL": "C.UTF-8"}
    server = HostServer(HOST, user=USER, key=key, host_key=host_key, env=environ, cwd=real.folder, forwarding=False)
    async with AsyncExitStack() as stack:
        await server.heal()
        stack.push_async_callback(server.close)
        public = host_key.export_public_key("openssh").decode().strip()
        (real.folder / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {' '.join(public.split()[:2])}\n")
        ssh = config.Ssh(user=USER, port=server.port, key=str(path), known_hosts=str(real.folder / "known_hosts"))
        docker, root = str(real.folder / "bin/docker"), str(real.folder / "root")
        host = config.Host(title="Real", addresses=("127.0.0.1",), ssh=ssh, sudo=False, root=root, docker=docker)
        fleet = config.Fleet(hosts={HOST: host}, stacks=(f"{HOST}/apps",))
        stacks = real.folder / "stacks"
        (stacks / HOST / "apps").mkdir(parents=True, exist_ok=True)
        (stacks / HOST / "apps/compose.yaml").write_text(_COMPOSE)
        (stacks / HOST / "apps/stack.yaml").write_text("title: Applications\nproject: vpai\n")
        found, version = load_stacks(stacks, fleet), real.proxy.version
        site = Site(fleet, found, real.folder, real.reset, real.postgres is not None, version, real=real)
        stack.push_async_callback(site.close)
        yield site
