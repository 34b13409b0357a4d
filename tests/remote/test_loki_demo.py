"""The demo's Loki over SSH: at its container's address, on a host that forbids forwarding; no port of the laptop's."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx_ws import AsyncWebSocketSession, WebSocketDisconnect, WebSocketNetworkError, aconnect_ws

from vpai_tui import demo
from vpai_tui.demo import DemoFleet
from vpai_tui.errors import UsageError
from vpai_tui.remote.connection import Connection, connect
from vpai_tui.remote.http import http_bridge, http_client

pytestmark = pytest.mark.xdist_group("loki-demo")

LOKI = "vpai-loki-1"
BASE = "http://loki:3100"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("loki")


@pytest.fixture
async def fleet(folder: Path) -> AsyncIterator[DemoFleet]:
    async with demo.start(folder) as running:
        yield running
        running.loki.switches.turn("ok")


@pytest.fixture
async def sese(fleet: DemoFleet) -> AsyncIterator[Connection]:
    connection = await connect("sese", fleet.fleet.hosts["sese"])
    yield connection
    await connection.close()


@pytest.fixture
async def client(sese: Connection) -> AsyncIterator[httpx.AsyncClient]:
    async with http_client(sese, container=LOKI, base_url=BASE) as found:
        yield found


def tail(client: httpx.AsyncClient, query: str) -> contextlib.AbstractAsyncContextManager[AsyncWebSocketSession]:
    return aconnect_ws(f"{BASE}/loki/api/v1/tail", client, params={"query": query, "limit": "1"})


async def line(socket: AsyncWebSocketSession) -> str:
    frame: dict[str, Any] = json.loads(await asyncio.wait_for(socket.receive_text(), 30))
    return str(frame["streams"][0]["values"][0][1])


async def test_lines_and_a_tail_through_a_bridging_command(sese: Connection, client: httpx.AsyncClient) -> None:
    assert await http_bridge(sese) == "nc"
    assert (await client.get("/ready")).text == "ready\n"
    values = (await client.get("/loki/api/v1/label/host/values")).json()["data"]
    assert values == ["pi", "seko", "sese"]
    found = await client.get("/loki/api/v1/query_range", params={"query": '{service="n8n"}', "limit": "5000"})
    assert sum(len(stream["values"]) for stream in found.json()["data"]["result"]) > 100
    async with tail(client, '{host="sese"}') as socket:
        assert await line(socket)
        assert await line(socket)


async def test_a_push_is_shown_by_a_tail(client: httpx.AsyncClient) -> None:
    now = (await client.get("/loki/api/v1/query", params={"query": 'sum(count_over_time({host="sese"}[5m]))'})).json()
    ns = f"{int(float(now['data']['result'][0]['value'][0]) * 1000)}000000"
    async with tail(client, '{job="mine"}') as socket:
        body = {"streams": [{"stream": {"job": "mine"}, "values": [[ns, "hello"]]}]}
        assert (await client.post("/loki/api/v1/push", json=body)).status_code == 204
        assert await line(socket) == "hello"


@pytest.mark.parametrize("how", ["restart", "down on", "stopped"])
async def test_the_tail_ends_without_a_word_when_the_server_goes(
    fleet: DemoFleet, client: httpx.AsyncClient, sese: Connection, how: str
) -> None:
    with pytest.RaisesGroup(
        pytest.RaisesExc((WebSocketNetworkError, WebSocketDisconnect)), flatten_subgroups=True, allow_unwrapped=True
    ):
        async with tail(client, '{host="sese"}') as socket:
            await line(socket)
            if how == "stopped":
                await sese.run(["docker", "restart", LOKI], root=True)
            else:
                fleet.loki.switches.turn(how)
            while True:
                await line(socket)
    if how == "down on":
        with pytest.raises(httpx.ConnectError, match="Connection refused"):
            await client.get("/ready")
        fleet.loki.switches.turn("ok")
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get("/loki/api/v1/labels")).status_code == 200:
                    break
            await asyncio.sleep(0.3)


async def test_nobody_else_listens_there(sese: Connection, fleet: DemoFleet) -> None:
    for address, port in (("172.20.2.2", 3100), ("127.0.0.1", 3100), ("172.20.3.2", 80)):
        async with http_client(sese) as client:
            with pytest.raises(httpx.ConnectError, match="refused"):
                await client.get(f"http://{address}:{port}/ready")
    with pytest.raises(UsageError):
        fleet.loki.switches.turn("broken")


async def test_a_cut_ends_what_goes_through(fleet: DemoFleet, client: httpx.AsyncClient, sese: Connection) -> None:
    assert (await client.get("/ready")).status_code == 200
    await fleet.cut("sese")
    with pytest.raises(httpx.TransportError):
        await client.get("/ready")
    await fleet.heal("sese")
    again = await connect("sese", fleet.fleet.hosts["sese"])
    async with http_client(again, container=LOKI, base_url=BASE) as client:
        assert (await client.get("/ready")).status_code == 200
    await again.close()
