"""A host's root with LiteLLM's file in it, and a connection whose commands run here: for the tests of the budget."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from vpai_tui import config
from vpai_tui.budget.persist import Edit, Restart
from vpai_tui.clock import SystemClock
from vpai_tui.errors import CommandFailed, LinkLost
from vpai_tui.remote.channel import Completed

# It is ready when the file, as it was at the last restart, says so.
ENGINE = """#!/bin/sh
case "$*" in
  restart*) echo r >>{root}/restarts; cp {file} {root}/loaded ;;
  *readiness*) grep -q bad {root}/loaded || echo '[{{"status": 200, "headers": {{}}, "body": {{}}}}]' ;;
  logs*) echo 'Traceback: it cannot start' ;;
esac
"""


class Link:
    """A connection whose commands run here; `cut` after so many lines of a stream."""

    name = "here"

    def __init__(self, root: Path, cut: int | None = None) -> None:
        self.host = config.Host(
            addresses=("127.0.0.1",), ssh=config.Ssh(user="me"), root=str(root), docker=str(root / "engine"), sudo=False
        )
        self.cut = cut
        self.closed = 0

    async def run(self, argv: Sequence[str], *, stdin: bytes = b"", **_: object) -> Completed:
        done = subprocess.run(argv, input=stdin, capture_output=True, timeout=60)
        return Completed(done.returncode, done.stdout, done.stderr, 0.0)

    def failed(self, what: str, done: Completed) -> CommandFailed:
        return CommandFailed(what, exit_status=done.exit_status, host="here", output=done.stderr.decode())

    @asynccontextmanager
    async def stream(self, argv: Sequence[str], *, stdin: bytes = b"", **_: object) -> AsyncIterator[Any]:
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(stdin)
        process.stdin.close()
        process.stdin = None
        try:
            yield Lines(process, self.cut)
        finally:
            process.communicate(timeout=60)

    async def close(self) -> None:
        self.closed += 1


class Lines:
    """What a command prints, up to the cut."""

    def __init__(self, process: subprocess.Popen[bytes], cut: int | None) -> None:
        self._process = process
        self._cut = cut

    @property
    def stderr(self) -> bytes:
        assert self._process.stderr is not None
        return self._process.stderr.read()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert self._process.stdout is not None
        for number, line in enumerate(self._process.stdout):
            if number == self._cut:
                raise LinkLost("cut", host="here")
            yield line.rstrip(b"\n")


class Place:
    """A host's root with LiteLLM's file in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = root / "configs/litellm_config.yaml"
        self.file.parent.mkdir()
        self.file.write_text("cap: 5\n")
        self.file.chmod(0o640)
        (root / "loaded").write_text("cap: 5\n")
        engine = root / "engine"
        engine.write_text(ENGINE.format(root=root, file=self.file))
        engine.chmod(0o755)
        self.edit = Edit(str(self.file), b"cap: 5\n", b"cap: 3\n")
        self.link: Any = Link(root)

    @property
    def kept(self) -> list[Path]:
        return sorted((self.root / "deploy/budget").glob("*/before"))

    @property
    def restarts(self) -> int:
        path = self.root / "restarts"
        return len(path.read_text().split()) if path.exists() else 0

    def leftovers(self) -> list[str]:
        beside = [it.name for it in self.file.parent.iterdir() if it != self.file]
        return beside + [it.name for it in (self.root / "deploy/budget").glob("in.*")]

    def restart(self, *, link: Any = None, fresh: Any = None) -> Restart:
        nobody = lambda: pytest.fail("no new link was needed")  # noqa: E731
        return Restart(link or self.link, "c", "ann@lap", SystemClock(), fresh or nobody)


def busy(root: Path, owner: str) -> subprocess.Popen[bytes]:
    """Somebody who holds the host's lock until he is killed."""
    (root / "deploy").mkdir(parents=True, exist_ok=True)
    (root / "deploy/owner").write_text(f"{owner}\n")
    command = f"exec 9>>{shlex.quote(str(root))}/deploy/lock; flock 9; echo; exec sleep 60"
    holder = subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    return holder
