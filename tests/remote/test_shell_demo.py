"""`vpai-tui shell` on the demo's hosts, on a pty from end to end; and why there is none."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from argparse import Namespace
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from vpai_tui.errors import LinkLost, OperatorError, UsageError
from vpai_tui.world import World, open_world

from .terminals import as_ours, screen

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the demo's hosts need Linux"),
    pytest.mark.xdist_group("shell-demo"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shell")


@pytest.fixture
async def world(folder: Path) -> AsyncIterator[World]:
    args = Namespace(demo=True, demo_dir=folder, demo_reset=False, demo_foreign=None, config=None, verb=None)
    async with open_world(args) as world:
        yield world


def journal(folder: Path) -> list[dict[str, Any]]:
    rows = (folder / "laptop/history.jsonl").read_text().splitlines()
    return [json.loads(row) for row in rows]


async def test_a_service_and_a_host_by_the_command(folder: Path) -> None:
    async def shell(name: str, *steps: tuple[str, bytes]) -> tuple[int, bytes]:
        with screen(90, 25) as terminal:
            before = terminal.settings()
            process = await asyncio.create_subprocess_exec(
                *[sys.executable, "-m", "vpai_tui", "--demo-dir", str(folder), "shell", name],
                stdin=terminal.far,
                stdout=terminal.far,
                stderr=terminal.far,
                env={**os.environ, "TERM": "xterm-256color"},
            )
            for typed, wanted in steps:
                terminal.type(typed.encode())
                await terminal.until(wanted)
            ended = await process.wait()
            assert terminal.settings() == before
            return ended, terminal.rest()

    status, seen = await shell("n8n", ("", b"/ # "), ("nonsense\r", b"not found in $PATH"), ("exit 7\r", b"exit 7"))
    assert status == 7
    assert b"simulated container" in seen
    root = str(folder / "sese/opt/vpai").encode()
    steps = ("", b"mobuone@sese:"), ("pwd; stty size; docker ps\r", b"vpai-n8n-1"), ("exit 3\r", b"exit 3")
    status, seen = await shell("sese", *steps)
    assert status == 3
    assert root + b"\r\n25 90\r\n" in seen
    told = [(it["what"], it["subject"], it["result"]) for it in journal(folder)]
    assert told == [
        ("shell", "sese/apps/n8n", "opened"),
        ("shell", "sese/apps/n8n", "ended with status 7"),
        ("shell", "sese", "opened"),
        ("shell", "sese", "ended with status 3"),
    ]
    assert "nonsense" not in (folder / "laptop/history.jsonl").read_text()


async def test_without_a_terminal_or_where_nothing_may_change(folder: Path) -> None:
    async def told(*words: str) -> str:
        argv = [sys.executable, "-m", "vpai_tui", "--demo-dir", str(folder), *words]
        process = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.DEVNULL, stdout=-1, stderr=-1)
        _, err = await process.communicate()
        assert process.returncode == 2
        return err.decode()

    before = journal(folder) if (folder / "laptop/history.jsonl").exists() else []
    assert "this needs a terminal" in await told("shell", "n8n")
    assert "--read-only: shell would change something" in await told("--read-only", "shell", "n8n")
    assert "prints no JSON" in json.loads(await _json(folder, "shell", "n8n"))["error"]["message"]
    assert (journal(folder) if before else []) == before


async def _json(folder: Path, *words: str) -> str:
    argv = [sys.executable, "-m", "vpai_tui", "--demo-dir", str(folder), *words, "--json"]
    process = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.DEVNULL, stdout=-1)
    out, _ = await process.communicate()
    return out.decode()


@pytest.mark.parametrize(
    ("name", "message", "remedy"),
    [
        ("loki", "the image of sese/monitoring/loki has no shell", "docker cp vpai-loki-1:/ -"),
        ("palais", "sese/apps/palais does not run: its container is exited", "vpai-tui start sese/apps/palais"),
        ("diun-gone", 'no service "diun-gone"', ""),
    ],
)
async def test_why_there_is_no_shell(world: World, name: str, message: str, remedy: str) -> None:
    docker = world.docker(await world.connection("sese"))
    if name == "palais":
        await docker.call("stop", "vpai-palais-1")
    with pytest.MonkeyPatch.context() as patch, screen() as made, as_ours(made, patch):
        with pytest.raises(OperatorError, match=message) as caught:
            async with asyncio.timeout(30):
                await world.shells().open(name)
        assert remedy in caught.value.remedy
        assert isinstance(caught.value, UsageError) is (name == "diun-gone")


async def test_a_lost_link_is_told_and_the_terminal_is_as_it_was(world: World) -> None:
    assert world.demo is not None
    with pytest.MonkeyPatch.context() as patch, screen() as made, as_ours(made, patch):
        before, listening = made.settings(), signal.getsignal(signal.SIGWINCH)
        work = asyncio.create_task(world.shells().open("seko"))
        await made.until(b"mobuone@seko")
        await world.demo.cut("seko")
        with pytest.raises(LinkLost) as caught:
            await asyncio.wait_for(work, 30)
        assert (made.settings(), signal.getsignal(signal.SIGWINCH)) == (before, listening)
        assert b"\x1b[?25h" in made.rest()
    await world.demo.heal("seko")
    assert caught.value.exit_code == 79
    assert "vpai-tui shell seko looks again" in caught.value.remedy
    last = world.history.read()[0][-1]
    assert (last.what, last.subject, last.result) == ("shell", "seko", "the link was lost")
