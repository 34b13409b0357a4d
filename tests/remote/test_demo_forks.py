"""Docker commands of the demo that are done by forks of one process: nothing tells them from those started anew."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

from vpai_tui import demo
from vpai_tui.demo.engine import shim

pytestmark = pytest.mark.xdist_group("demo-forks")  # one demo for all of them
FOLLOW = ("logs", "-f", "vpai-redis-1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture
async def forked(folder: Path) -> AsyncIterator[dict[str, str]]:
    """The environment of a login on sese, while the fork server listens."""
    async with demo.start(folder) as running:
        env = dict(running.servers["sese"].env)
        await until(Path(env["VPAI_DOCKER"]).is_socket)
        yield env


@pytest.fixture
def anew(forked: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in forked.items() if name != "VPAI_DOCKER"}


async def until(there: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not there():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.02)


def docker(
    env: Mapping[str, str], *words: str, stdin: bytes = b"", cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    command = [Path(env["PATH"]) / "docker", *words]
    return subprocess.run(command, env=env, input=stdin, cwd=cwd, capture_output=True, timeout=60)


COMPOSE = b"services: {one: {image: demo/one, environment: {WORD: '${WORD-}', OF: '${OF-}'}}}"


@pytest.mark.parametrize(
    ("words", "stdin"),
    [
        (("ps", "-aq", "--no-trunc"), b""),
        (("inspect", "-f", "{{.Name}}\n{{.Id}} é", "vpai-redis-1"), b""),
        (("inspect", "nobody"), b""),
        (("no-such-word",), b""),
        (("compose", "-p", "x", "-f", "-", "config"), COMPOSE),
        (("compose", "-p", "x", "-f", "-", "config"), b"services: ["),
        (("compose", "-p", "x", "-f", "compose.yaml", "config", "--hash", "*"), b""),
        (("exec", "vpai-redis-1", "false"), b""),
    ],
)
def test_what_is_said_and_how_it_ends_is_the_same(
    forked: dict[str, str], anew: dict[str, str], tmp_path: Path, words: tuple[str, ...], stdin: bytes
) -> None:
    (tmp_path / "compose.yaml").write_bytes(COMPOSE)
    found, wanted = (
        docker({**env, "WORD": "two\nlines", "OF": "\udcff"}, *words, stdin=stdin, cwd=tmp_path)
        for env in (forked, anew)
    )
    assert (found.returncode, found.stdout, found.stderr) == (wanted.returncode, wanted.stdout, wanted.stderr)


def test_it_is_the_server_that_does_it(forked: dict[str, str], anew: dict[str, str], folder: Path) -> None:
    alone = [sys.executable, "-I", "-S", shim.__file__, "/nowhere", "/nowhere", str(folder / "sese"), "ps", "-q"]
    assert subprocess.run(alone, env=forked, capture_output=True).returncode == 0
    assert b"ModuleNotFoundError" in subprocess.run(alone, env=anew, capture_output=True).stderr


async def test_whoever_goes_away_ends_the_work(forked: dict[str, str]) -> None:
    reading, writing = os.pipe()
    client = subprocess.Popen([Path(forked["PATH"]) / "docker", *FOLLOW], env=forked, stdout=writing)
    os.close(writing)
    assert os.read(reading, 1)
    client.send_signal(signal.SIGKILL)
    client.wait()
    with os.fdopen(reading, "rb") as rest:
        await asyncio.wait_for(asyncio.to_thread(rest.read), 30)  # ends once nobody has the other end


async def test_without_a_server_it_is_done_all_the_same(folder: Path, forked: dict[str, str]) -> None:
    gone = {**forked, "VPAI_DOCKER": str(folder / "nobody")}
    assert docker(gone, "ps", "-q").stdout == docker(forked, "ps", "-q").stdout != b""


async def test_nothing_of_it_outlives_the_demo(folder: Path) -> None:
    async with demo.start(folder) as running:
        path = Path(running.servers["sese"].env["VPAI_DOCKER"])
        await until(path.is_socket)
    assert not path.parent.exists()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                assert bytes(path) not in (entry / "cmdline").read_bytes()
            except OSError:
                continue
