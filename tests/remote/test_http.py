from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx_ws import WebSocketDisconnect, aconnect_ws

from vpai_tui.demo.certificates import contexts
from vpai_tui.errors import LinkLost, OperatorError
from vpai_tui.remote.connection import Connection, connect
from vpai_tui.remote.http import as_operator_error, http_bridge, http_client

from .hosts import Keys, SshHost, serve
from .web import Web, web

_NC = f"""#!{sys.executable}
import os, select, socket, sys
try:
    sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
except OSError as error:
    sys.exit(f"nc: {{error.strerror}}")
while True:
    for ready in select.select([0, sock], [], [])[0]:
        data = os.read(0, 65536) if ready == 0 else sock.recv(65536)
        if not data:
            sys.exit(0)
        sock.sendall(data) if ready == 0 else os.write(1, data)
"""
_SOCAT = _NC.replace("sys.argv[1], int(sys.argv[2])", "sys.argv[2].split(':')[1], int(sys.argv[2].split(':')[2])")
_DOCKER = """#!/bin/sh
case "$*" in
  *web) echo "true bridge  127.0.0.1" ;;
  *host) echo "true host" ;;
  *down) echo "false bridge " ;;
  *) echo "Error: No such container: $5" >&2; exit 1 ;;
esac
"""


def _tool(folder: Path, name: str, source: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(source)
    (folder / name).chmod(0o755)


@pytest.fixture
async def site() -> AsyncIterator[Web]:
    async with web() as running:
        yield running


@pytest.fixture(params=["direct-tcpip", "bash", "nc", "socat"])
async def bridged(request: pytest.FixtureRequest, tmp_path: Path, keys: Keys) -> AsyncIterator[tuple[Connection, str]]:
    """A connection to a host on which only the named way exists."""
    way, tools = request.param, tmp_path / "bin"
    tools.mkdir()
    if way == "bash":
        for name in ("bash", "cat", "grep", "sh"):
            (tools / name).symlink_to(shutil.which(name) or name)
    if way in ("nc", "socat"):
        (tools / "sh").symlink_to("/bin/sh")
        _tool(tools, way, _NC if way == "nc" else _SOCAT)
    async with serve(
        tmp_path / "host", keys, path=str(tools), only_path=way != "direct-tcpip", allow_tcp=way == "direct-tcpip"
    ) as server:
        connection = await connect("box", server.host())
        yield connection, way
        await connection.close()


async def test_requests_streams_and_websockets_go_over_every_bridge(bridged: tuple[Connection, str], site: Web) -> None:
    conn, way = bridged
    assert await http_bridge(conn) == way
    base = f"http://127.0.0.1:{site.port}"
    async with http_client(conn, base_url=base) as client:
        for _ in range(3):
            assert (await client.get("/")).text == "hello"
        assert site.connections == 1
        async with client.stream("GET", "/stream") as response:
            assert [line async for line in response.aiter_lines()] == ["0", "1", "2"]
        async with aconnect_ws(f"{base}/ws", client) as ws:
            for text in ("one", "zwei ✔"):
                await ws.send_text(text)
                assert await ws.receive_text() == text
    async with asyncio.timeout(5):
        while site.open:
            await asyncio.sleep(0.1)


async def test_refused_port_is_a_connect_error(bridged: tuple[Connection, str]) -> None:
    conn, _ = bridged
    async with http_client(conn) as client:
        with pytest.raises(httpx.ConnectError) as caught:
            await client.get("http://127.0.0.1:1/")
    told = as_operator_error(caught.value, conn, "loki")
    assert "refused" in told.message.lower() or "Connect call failed" in told.message
    assert told.host == "box"


async def test_server_that_closed_an_idle_connection_is_asked_anew(bridged: tuple[Connection, str], site: Web) -> None:
    conn, _ = bridged
    async with http_client(conn, base_url=f"http://127.0.0.1:{site.port}") as client:
        assert (await client.get("/bye")).text == "hello"
        await asyncio.sleep(0.3)
        assert (await client.get("/")).text == "hello"


async def test_ten_requests_at_once(conn: Connection, site: Web) -> None:
    async with http_client(conn, base_url=f"http://127.0.0.1:{site.port}") as client:
        answers = await asyncio.gather(*(client.get("/") for _ in range(10)))
    assert {answer.text for answer in answers} == {"hello"}
    assert 1 < site.peak <= 6  # three, and those of which the server has not heard yet that they are closed


async def test_websocket_closed_by_the_server(conn: Connection, site: Web) -> None:
    async with http_client(conn) as client:
        with pytest.RaisesGroup(WebSocketDisconnect, flatten_subgroups=True, allow_unwrapped=True):
            async with aconnect_ws(f"http://127.0.0.1:{site.port}/ws", client) as ws:
                await ws.send_text("bye")
                assert await ws.receive_text() == "bye"
                await ws.receive_text()


async def test_timeout_and_lost_link_are_told_apart(server: SshHost, conn: Connection, site: Web) -> None:
    async with http_client(conn, base_url=f"http://127.0.0.1:{site.port}", timeout_s=3) as client:
        await client.get("/")  # a connection is there, so the time is the answer's alone
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/slow")
    async with http_client(conn, base_url=f"http://127.0.0.1:{site.port}") as client:
        before = site.connections
        asking = asyncio.create_task(client.get("/slow"))
        async with asyncio.timeout(30):
            while site.connections == before:
                await asyncio.sleep(0.05)
        server.drop()
        with pytest.raises(httpx.ReadError) as caught:
            await asking
        assert isinstance(as_operator_error(caught.value, conn), LinkLost)


@pytest.mark.parametrize("name", ["web", "host"])
async def test_container_is_reached_by_its_name(tmp_path: Path, keys: Keys, site: Web, name: str) -> None:
    _tool(tmp_path / "bin", "docker", _DOCKER)
    async with serve(tmp_path / "host", keys, path=str(tmp_path / "bin")) as server:
        conn = await connect("box", server.host())
        async with http_client(conn, container=name, base_url=f"http://{name}:{site.port}") as client:
            assert (await client.get("/")).text == "hello"
            assert (await client.get("/")).request.headers["host"] == f"{name}:{site.port}"
        await conn.close()
        assert len([command for command in server.commands if "inspect" in command]) == 1


@pytest.mark.parametrize(("name", "message"), [("down", "is not running"), ("nobody", "cannot be looked up")])
async def test_container_that_cannot_be_reached(tmp_path: Path, keys: Keys, name: str, message: str) -> None:
    _tool(tmp_path / "bin", "docker", _DOCKER)
    async with serve(tmp_path / "host", keys, path=str(tmp_path / "bin")) as server:
        conn = await connect("box", server.host())
        async with http_client(conn, container=name) as client:
            with pytest.raises(httpx.ConnectError, match=message) as caught:
                await client.get("/")
        assert isinstance(as_operator_error(caught.value, conn), OperatorError)
        await conn.close()


async def test_host_with_no_way_says_so(tmp_path: Path, keys: Keys) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sh").symlink_to("/bin/sh")
    async with serve(tmp_path / "host", keys, path=str(tmp_path / "bin"), only_path=True) as server:
        conn = await connect("box", server.host())
        assert await http_bridge(conn) is None
        async with http_client(conn) as client:
            with pytest.raises(httpx.ConnectError, match="neither bash, nc nor socat"):
                await client.get("http://127.0.0.1:1/")
        await conn.close()


async def test_nothing_but_http_is_carried(conn: Connection, site: Web) -> None:
    async with http_client(conn) as client:
        with pytest.raises(httpx.UnsupportedProtocol):
            await client.get(f"ftp://127.0.0.1:{site.port}/")


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def secured() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For the server of `site.test`, and for who trusts it."""
    return contexts("site.test", datetime.now(UTC), 30)


@pytest.fixture
async def locked(secured: tuple[ssl.SSLContext, ssl.SSLContext]) -> AsyncIterator[Web]:
    async with web(secured[0]) as running:
        yield running


async def test_https_goes_over_every_bridge_and_is_verified_here(
    bridged: tuple[Connection, str], locked: Web, secured: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    conn, _ = bridged
    named = {"headers": {"Host": "site.test"}, "extensions": {"sni_hostname": "site.test"}}
    async with http_client(conn, tls=secured[1]) as client:
        for _ in range(2):
            answer = await client.get(f"https://127.0.0.1:{locked.port}/", **named)
            assert (answer.text, locked.connections) == ("hello", 1)
        assert answer.extensions["network_stream"].get_extra_info("ssl_object").getpeercert()["subject"]
    async with http_client(conn, tls=secured[1]) as client:
        with pytest.raises(httpx.ConnectError, match=r"the certificate does not hold: .*127\.0\.0\.1"):
            await client.get(f"https://127.0.0.1:{locked.port}/")
    async with http_client(conn) as client:
        with pytest.raises(
            httpx.ConnectError, match="the certificate does not hold: unable to get local issuer certificate"
        ):
            await client.get(f"https://127.0.0.1:{locked.port}/", **named)
    async with asyncio.timeout(5):
        while locked.open:
            await asyncio.sleep(0.1)


async def test_what_is_no_tls_is_told(conn: Connection, secured: tuple[ssl.SSLContext, Any]) -> None:
    over: asyncio.Queue[None] = asyncio.Queue()  # one for each connection of a server that has ended

    async def end(writer: asyncio.StreamWriter) -> None:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        over.put_nowait(None)

    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await end(writer)

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while await reader.read(4096):
                pass
        await end(writer)

    plain = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with plain, http_client(conn, tls=secured[1]) as client:
        with pytest.raises(httpx.ConnectError, match="TLS failed: "):
            await client.get(f"https://127.0.0.1:{plain.sockets[0].getsockname()[1]}/")
    silent = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with silent, http_client(conn, tls=secured[1], timeout_s=0.5) as client:
        with pytest.raises(httpx.ConnectTimeout, match="no TLS in time"):
            await client.get(f"https://127.0.0.1:{silent.sockets[0].getsockname()[1]}/")
    async with asyncio.timeout(5):
        for _ in range(2):
            await over.get()
