"""A shell and a forward on a real host whose sshd forbids forwarding, into a container of its own Docker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import yaml
from lab_host import LabHost
from lab_registry import Registry
from tests.remote.terminals import as_ours, screen

from vpai_tui import config
from vpai_tui.clock import SystemClock
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.forward import Forwards
from vpai_tui.fleet.history import History
from vpai_tui.fleet.shell import Shells
from vpai_tui.fleet.stacks import load_stacks
from vpai_tui.remote.connection import Connection, connect
from vpai_tui.remote.docker import Docker
from vpai_tui.remote.pipe import pipe_tool

pytestmark = pytest.mark.lab

WEB = "docker.io/lab/hands-web:1"
STACK = f"services:\n  web:\n    image: {WEB}\n"


@asynccontextmanager
async def hands(host: LabHost, folder: Path) -> AsyncIterator[tuple[Shells, Forwards, Connection]]:
    fleet = yaml.safe_load((host.lab.state / "fleet.yaml").read_text())
    it = msgspec.convert(fleet["hosts"][host.name], config.Host)
    (folder / f"{host.name}/hands").mkdir(parents=True)
    (folder / f"{host.name}/hands/compose.yaml").write_text(STACK)
    (folder / f"{host.name}/hands/stack.yaml").write_text("access: [{service: web, port: 8080}]\n")
    made = config.Fleet(hosts={host.name: it}, stacks=(f"{host.name}/hands",))
    stacks = load_stacks(folder, made)
    connection = await connect(host.name, it)
    docker = Docker(connection)

    async def live(_: str) -> Connection:
        return connection

    history = History(folder / "history.jsonl")
    shells = Shells(made, stacks, live, lambda _: docker, SystemClock(), history)
    forwards = Forwards(stacks, live, lambda _: docker, SystemClock(), history)
    try:
        yield shells, forwards, connection
    finally:
        await forwards.close()
        await docker.close()
        await connection.close()


async def test_hands_on_a_service(sese: LabHost, registry: Registry, tmp_path: Path) -> None:
    registry.push(WEB, "1")
    labels = "--label com.docker.compose.project=hands --label com.docker.compose.service=web"
    sese.sh(f"docker run -d --name hands-web-1 {labels} {WEB}")
    async with hands(sese, tmp_path) as (shells, forwards, connection):
        with pytest.MonkeyPatch.context() as patch, screen() as made, as_ours(made, patch):
            before = made.settings()
            work = asyncio.create_task(shells.open("web"))
            await made.until(b"#")
            made.type(b"stty size; echo on-$((40 + 2)); exit 7\r")
            assert await asyncio.wait_for(work, 30) == 7
            assert b"on-42" in made.rest()
            assert b"30 100" in made.seen
            work = asyncio.create_task(shells.open(sese.name))
            await made.until(b"$ ")
            made.type(b"echo in-$PWD; exit 5\r")
            assert await asyncio.wait_for(work, 30) == 5
            assert made.settings() == before
            assert f"in-{connection.host.root}".encode() in made.rest()
            sese.sh("docker stop -t 0 hands-web-1")
            with pytest.raises(OperatorError, match="sese/hands/web does not run: its container is exited"):
                await shells.open("web")
            sese.sh("docker start hands-web-1")
        forward = await forwards.open("web")
        assert await pipe_tool(connection) == "perl"  # Debian's hosts always have it

        async def get(number: int) -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", forward.local_port)
            writer.write(f"GET /?{number} HTTP/1.0\r\n\r\n".encode())
            try:
                return await asyncio.wait_for(reader.read(), 60)
            finally:
                writer.close()

        answers = await asyncio.gather(*(get(number) for number in range(20)))
        assert all(b" 200 " in answer.split(b"\r\n")[0] for answer in answers), answers
        async with asyncio.timeout(20):
            while forward.tasks:
                await asyncio.sleep(0.05)
        assert (forward.total, forward.open, forward.error) == (20, 0, "")
        tool = await pipe_tool(connection)
        assert not [it for it in connection.log.records() if it.running and it.command.startswith(f"{tool} to")]
    async with asyncio.timeout(10):
        while tool in sese.sh("ps -e -o comm=").split():  # nothing stays on the host
            await asyncio.sleep(0.2)
