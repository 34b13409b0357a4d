"""remote/ against real hosts: their sshd, their engine, their network, a link that is cut."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import httpx
import msgspec
import pytest
import yaml
from httpx_ws import aconnect_ws
from lab_host import LabHost
from lab_registry import Registry

from vpai_tui import config
from vpai_tui.errors import LinkLost
from vpai_tui.remote import files
from vpai_tui.remote.connection import Connection, connect
from vpai_tui.remote.docker import Docker, EngineError
from vpai_tui.remote.http import http_bridge, http_client

pytestmark = pytest.mark.lab

WEB = "docker.io/lab/remote-web:1"
# A WebSocket server of one conversation: says `one`, takes five bytes, says `heard`, closes.
WEBSOCKET = r"""
while read -r name value; do
  value=$(printf %s "$value" | tr -d '\r')
  case $name in [Ss]ec-[Ww]eb[Ss]ocket-[Kk]ey:) key=$value ;; "$(printf '\r')"|'') break ;; esac
done
sum=$(printf '%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11' "$key" | sha1sum | cut -d' ' -f1 | sed 's/../\\x&/g')
accept=$(printf "$sum" | base64)
printf 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
printf 'Sec-WebSocket-Accept: %s\r\n\r\n' "$accept"
printf '\201\003one'
head -c 11 >/dev/null
printf '\201\005heard\210\002\003\350'
sleep 1
"""


@asynccontextmanager
async def reach(host: LabHost) -> AsyncIterator[Connection]:
    fleet = yaml.safe_load((host.lab.state / "fleet.yaml").read_text())
    connection = await connect(host.name, msgspec.convert(fleet["hosts"][host.name], config.Host))
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def engine(host: LabHost) -> AsyncIterator[Docker]:
    async with AsyncExitStack() as stack:
        docker = Docker(await stack.enter_async_context(reach(host)))
        stack.push_async_callback(docker.close)
        yield docker


def run_web(host: LabHost, registry: Registry, name: str, *options: str) -> None:
    registry.push(WEB, "1")
    host.sh(f"docker run -d --name {name} {' '.join(options)} {WEB}")


async def test_engine_calls_streams_and_pulls(pi: LabHost, registry: Registry) -> None:
    registry.push(WEB, "1")
    pi.lab.forget_images(pi.name, "lab/remote-web")
    async with engine(pi) as docker:
        pulled = [step async for step in docker.iterate("pull", WEB, stream=True, decode=True)]
        assert any("progressDetail" in step for step in pulled)
        assert pulled[-1]["status"].startswith("Status: Downloaded newer image")
        pi.sh(f"docker run -d --name remote-web {WEB}")
        (container,) = await docker.call("containers")
        assert container["Names"] == ["/remote-web"]
        async with aclosing(docker.iterate("stats", container["Id"], stream=True, decode=True)) as samples:
            async for sample in samples:
                assert sample["memory_stats"]["usage"] > 0
                break
        assert (await docker.exec("remote-web", ["sh", "-c", "echo inside; exit 3"])).exit_status == 3
        with pytest.raises(EngineError) as caught:
            await docker.call("inspect_container", "nobody")
        assert caught.value.status_code == 404


async def test_event_of_a_dying_container_arrives_at_once(pi: LabHost, registry: Registry) -> None:
    run_web(pi, registry, "remote-web")
    async with engine(pi) as docker, aclosing(docker.iterate("events", decode=True)) as events:
        dying = asyncio.create_task(_kill_soon(docker))
        async for event in events:
            if event["Action"] == "die":
                late = time.time() - event["timeNano"] / 1e9
                break
        await dying
    assert late < 0.3  # one clock: the hosts are on this machine


async def _kill_soon(docker: Docker) -> None:
    await asyncio.sleep(0.5)
    await docker.call("kill", "remote-web")


async def test_leaving_streams_leaves_nothing_on_the_host(pi: LabHost) -> None:
    async with reach(pi) as connection:
        docker = Docker(connection)
        login = int((await connection.run(["sh", "-c", "echo $PPID"])).stdout)
        for _ in range(3):
            task = asyncio.create_task(anext(docker.iterate("events", decode=True)))
            await asyncio.sleep(0.3)
            task.cancel()
            await asyncio.wait([task])
        async with asyncio.timeout(20):
            while len(_dials_below(pi, login)) > 1:
                await asyncio.sleep(0.3)
        assert await docker.call("containers") == []
        assert len(_dials_below(pi, login)) == 1
        await docker.close()


def _dials_below(host: LabHost, login: int) -> list[str]:
    """What the connection of this sshd process dials its engine with; other tests may be on the host too."""
    rows = [row.split(None, 2) for row in host.sh("ps -e -o pid=,ppid=,args=").splitlines()]
    below = {str(login)}
    for pid, parent, _ in sorted(rows, key=lambda row: int(row[0])):
        below |= {pid} if parent in below else set()
    return [args for pid, _, args in rows if pid in below and args.startswith("docker system dial-stdio")]


async def test_without_sudo_the_engine_says_why(pi: LabHost) -> None:
    async with reach(pi) as connection:
        connection.host = msgspec.structs.replace(connection.host, sudo=False)
        docker = Docker(connection)
        with pytest.raises(EngineError, match="user mobuone may not use Docker") as caught:
            await docker.call("containers")
        assert "group docker" in caught.value.remedy
        await docker.close()


@pytest.mark.parametrize(("name", "way"), [("sese", "bash"), ("pi", "direct-tcpip")])
async def test_http_and_websocket_reach_an_internal_network(
    request: pytest.FixtureRequest, registry: Registry, name: str, way: str
) -> None:
    """sese's sshd forbids forwarding; the container's network has no way out and publishes nothing."""
    host: LabHost = request.getfixturevalue(name)
    host.sh("docker network create --internal inner")
    run_web(host, registry, "remote-web", "--network inner")
    async with reach(host) as connection:
        assert await http_bridge(connection) == way
        async with http_client(connection, container="remote-web", base_url="http://remote-web:8080") as client:
            await _until_up(client)
            for _ in range(3):
                assert (await client.get("/")).status_code == 200
        await files.write_file(connection, "/opt/ws.sh", WEBSOCKET.encode(), root=True)
        serve = f"--entrypoint sh {WEB} -c 'exec nc -ll -p 9001 -e sh /ws.sh'"
        host.sh(f"docker run -d --name remote-ws --network inner -v /opt/ws.sh:/ws.sh:ro {serve}")
        await asyncio.sleep(1)  # its only conversation is the one below: it cannot be asked whether it listens
        async with (
            http_client(connection, container="remote-ws") as client,
            aconnect_ws("http://remote-ws:9001/", client, keepalive_ping_interval_seconds=None) as ws,
        ):
            assert await ws.receive_text() == "one"
            await ws.send_text("hello")
            assert await ws.receive_text() == "heard"
        async with asyncio.timeout(5):  # no bridge stays behind while the connection lives on
            while int(host.sh("pgrep -c -u mobuone '^(cat|bash)$' || true")):
                await asyncio.sleep(0.3)


async def _until_up(client: httpx.AsyncClient) -> None:
    """A container that has just been started does not listen yet."""
    async with asyncio.timeout(10):
        while True:
            try:
                await client.get("/")
            except httpx.ConnectError:
                await asyncio.sleep(0.3)
            else:
                return


async def test_cut_link_is_noticed_in_ten_seconds_and_ends_everything(pi: LabHost) -> None:
    async with engine(pi) as docker:
        await docker.call("containers")
        pending = [
            asyncio.create_task(anext(docker.iterate("events", decode=True))),  # type: ignore[arg-type]
            asyncio.create_task(docker._connection.run(["sleep", "60"])),
        ]
        await asyncio.sleep(0.5)
        pi.cut()
        started = time.monotonic()
        results = await asyncio.gather(*pending, return_exceptions=True)
        assert time.monotonic() - started < 10
        assert [type(result) for result in results] == [LinkLost, LinkLost]
        pi.heal()
        started = time.monotonic()
        async with reach(pi) as again:
            assert (await again.run(["echo", "back"])).text == "back\n"
        assert time.monotonic() - started < 3
