"""Where Loki is, found and found again: its container, a recreate, a new connection, hosts without it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from vpai_tui import config
from vpai_tui.clock import SystemClock
from vpai_tui.errors import HostUnreachable, OperatorError
from vpai_tui.fleet.stacks import Stack, load_stacks
from vpai_tui.logs import link as module
from vpai_tui.logs.link import Link
from vpai_tui.logs.model import Source
from vpai_tui.logs.session import Choice, Logs, Surface
from vpai_tui.logs.way import End, TailEnd

ROOT = Path(__file__).parents[2]
FLEET = config.load_fleet(ROOT / "config" / "fleet.yaml")
STACKS = load_stacks(ROOT / "stacks", FLEET)


class FakeConnection:
    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = False


class FakeEngine:
    """What `docker ps -a` and the logs of a container are on one host."""

    def __init__(self, containers: list[dict[str, Any]]) -> None:
        self.containers = containers

    async def call(self, fn_name: str, /, *args: Any, **kw: Any) -> Any:
        if fn_name == "containers":
            return self.containers
        if fn_name == "inspect_container":
            return {"Config": {"Env": ["DB_PASSWORD=geheimgeheim"]}}
        return b"2026-11-28T03:59:01Z ERROR said by itself geheimgeheim\n"


class World:
    """Hosts, their engines and what Loki answers; `asked` notes which container was asked on which connection."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, stacks: tuple[Stack, ...] = STACKS) -> None:
        self.engines = {name: FakeEngine([]) for name in FLEET.hosts}
        self.unreachable: set[str] = set()
        self.connections: dict[str, FakeConnection] = {}
        self.asked: list[str] = []
        self.fail: Callable[[httpx.Request], None] = lambda request: None
        self.series: list[dict[str, str]] = []
        monkeypatch.setattr(module, "http_client", self._client)
        self.surface = Surface(FLEET, stacks, self._connect, lambda it: self.engines[it.name], SystemClock())  # type: ignore[arg-type, return-value]
        self.link = Link(FLEET, stacks, self.surface.connection, self.surface.engine, SystemClock())

    async def _connect(self, host: str) -> Any:
        if host in self.unreachable:
            raise HostUnreachable("no answer", host=host, step="tcp")
        known = self.connections.get(host)
        if known is None or known.closed:
            known = self.connections[host] = FakeConnection(host)
        return known

    def _client(self, connection: FakeConnection, *, container: str, base_url: str) -> httpx.AsyncClient:
        def handler(request: httpx.Request) -> httpx.Response:
            self.asked.append(f"{connection.name}/{container}{request.url.path.removeprefix('/loki/api/v1')}")
            self.fail(request)
            if request.url.path.endswith("/buildinfo"):
                return httpx.Response(200, json={"version": "3.6.5"})
            if request.url.path.endswith("/series"):
                return httpx.Response(200, json={"data": self.series})
            return httpx.Response(200, json={"data": {"resultType": "vector", "result": []}})

        return httpx.AsyncClient(transport=httpx.MockTransport(handler), base_url=base_url)


def loki(name: str = "vpai-loki-1", state: str = "running", image: str = "grafana/loki:3.6.5") -> dict[str, Any]:
    marks = {"com.docker.compose.project": "vpai", "com.docker.compose.service": "loki"}
    return {"Id": name * 3, "Names": [f"/{name}"], "Image": image, "State": state, "Status": "", "Labels": marks}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World(monkeypatch)
    found.engines["sese"].containers = [loki()]
    return found


def test_it_is_found_by_its_stack_and_its_version_read(world: World) -> None:
    async def run() -> None:
        await world.link.client()
        assert world.link.version == "3.6.5"
        await world.link.count("{}", 1, 2)
        await world.link.close()

    asyncio.run(run())
    assert world.asked == ["sese/vpai-loki-1/status/buildinfo", "sese/vpai-loki-1/query"]
    assert set(world.connections) == {"sese"}  # no other host was bothered


def test_a_fleet_whose_stacks_do_not_name_it_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, stacks=tuple(it for it in STACKS if "loki" not in it.services))
    world.unreachable.add("sese")
    world.engines["pi"].containers = [loki("my-logs", image="docker.io/grafana/loki:3.7.2@sha256:0")]
    asyncio.run(world.link.client())
    assert world.link.place.host == "pi"


@pytest.mark.parametrize(("containers", "message"), [([], "no Loki container"), ([loki(state="exited")], "is exited")])
def test_where_it_does_not_run_that_is_said(world: World, containers: list[dict[str, Any]], message: str) -> None:
    world.engines["sese"].containers = containers
    with pytest.raises(OperatorError, match=message):
        asyncio.run(world.link.client())


def test_after_a_recreate_it_is_looked_for_again(world: World) -> None:
    def gone(request: httpx.Request) -> None:
        raise httpx.ConnectError("no route to host")

    async def run() -> None:
        await world.link.count("{}", 1, 2)
        world.fail = gone
        with pytest.raises(OperatorError, match="no route"):
            await world.link.count("{}", 1, 2)
        world.fail = lambda request: None
        world.engines["sese"].containers = [loki("vpai-loki-2")]
        await world.link.count("{}", 1, 2)

    asyncio.run(run())
    assert world.asked[-1] == "sese/vpai-loki-2/query"


def test_a_slow_answer_is_no_reason_to_look_again(world: World) -> None:
    def slow(request: httpx.Request) -> None:
        raise httpx.ReadTimeout("too late")

    async def run() -> None:
        await world.link.client()
        world.fail = slow
        with pytest.raises(OperatorError, match="in time"):
            await world.link.count("{}", 1, 2)
        world.fail = lambda request: None
        await world.link.count("{}", 1, 2)

    asyncio.run(run())
    assert sum("buildinfo" in it for it in world.asked) == 1


def test_a_new_connection_is_used_and_a_tail_of_the_old_one_ended_with_the_link(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> TailEnd:
        client = await world.link.client()

        async def tail(*_: object, **__: object) -> TailEnd:
            world.connections["sese"].closed = True
            return TailEnd(End.LOST, "the connection ended without a word", 1006)

        monkeypatch.setattr(client, "tail", tail)
        end = await world.link.tail("{}", 1, limit=1, opened=lambda: None, frame=lambda _: None)
        old = world.connections["sese"]
        await world.link.count("{}", 1, 2)
        assert world.connections["sese"] is not old
        return end

    assert asyncio.run(run()).end is End.UNREACHABLE


# ── what a target means then ─────────────────────────────────────────────────────────────────────────────────────────


def choose(world: World, text: str, grep: str = "") -> Choice:
    async def run() -> Choice:
        logs = Logs(world.surface)
        try:
            return await logs.choose(logs.target(text), grep=grep)
        finally:
            await logs.close()

    return asyncio.run(run())


def test_a_service_is_asked_for_by_the_labels_there_are(world: World) -> None:
    world.series = [{"container": "vpai-caddy-1", "job": "docker"}, {"container": "vpai-n8n-1", "job": "docker"}]
    assert choose(world, "caddy", "x").query == '{container="vpai-caddy-1"} |~ "x"'
    assert choose(world, '{job="docker"}').query == '{job="docker"}'
    missing = choose(world, "redis")
    assert missing.query is None and "has no line of sese/infra/redis" in missing.reason
    with pytest.raises(OperatorError, match="no line of pi"):
        choose(world, "pi")


def test_without_loki_a_service_speaks_for_itself_and_everything_is_an_error(world: World) -> None:
    world.engines["sese"].containers = []
    assert "no Loki container" in choose(world, "caddy").reason
    with pytest.raises(OperatorError, match="no Loki container"):
        choose(world, "all")


def test_what_a_container_says_has_its_source_and_not_its_secrets(world: World) -> None:
    marks = {"com.docker.compose.project": "vpai", "com.docker.compose.service": "caddy"}
    world.engines["sese"].containers = [
        {"Id": "c", "Names": ["/vpai-caddy-1"], "Image": "caddy", "State": "running", "Status": "", "Labels": marks}
    ]

    async def run() -> tuple[str, Source]:
        from vpai_tui.logs.buffer import Buffer

        logs = Logs(world.surface)
        choice = await logs.choose(logs.target("caddy"))
        found = await logs.read(choice, Buffer(), 1, 2**62, 10)
        assert (found.expected, found.proven, found.reason) == (None, False, choice.reason)
        (line,) = found.lines
        return line.text, logs.source(line.labels)

    assert asyncio.run(run()) == ("ERROR said by itself •••", Source("caddy", "sese", "sese/edge", "caddy"))
    assert json.dumps(world.asked) == "[]"  # nobody else was asked
