"""The demo's Pi for the tests of stacks on demand: its engine, what works beside OpenCut, its lock, its sleep."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vpai_tui.demo import creative
from vpai_tui.demo.engine import containers
from vpai_tui.demo.engine.store import Engine, hex_of
from vpai_tui.demo.hosts import PROFILES

LABEL = "com.docker.compose."


class Pi:
    """The demo's Pi, by its files."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "pi"
        self.engine = Engine(self.home)
        self.root = self.home / "opt/workstation"
        self.deploy = self.root / "deploy"

    def running(self, project: str = "opencut") -> list[str]:
        """The services of a project that have a container."""
        found = self.engine.read()["containers"].values()
        return sorted(it["labels"][LABEL + "service"] for it in found if it["labels"].get(LABEL + "project") == project)

    @property
    def volumes(self) -> set[str]:
        return set(self.engine.read()["volumes"])

    @property
    def releases(self) -> list[str]:
        return sorted(it.name for it in (self.deploy / "stacks/opencut/releases").iterdir())

    def beside(self) -> None:
        """ComfyUI and Remotion run there, where they do not yet."""
        with self.engine.change() as state:
            there = {creative.kind_of(it) for it in state["containers"].values()}
            for name, image in (("comfyui", "comfyui-local:v0.3.27"), ("remotion", "remotion-local:4.0.259")):
                if name in there:
                    continue
                known = next(iter(state["images"].values()))
                made = "sha256:" + hex_of(image)
                state["images"][made] = {**known, "id": made, "tags": [image], "digests": [], "behaviour": ""}
                if "workstation_creative" not in state["networks"]:
                    containers.add_network(state, self.engine.now(), "workstation_creative", {})
                container = containers.create(
                    state,
                    self.engine.now(),
                    f"workstation_{name}",
                    image,
                    labels={LABEL + "project": "creative", LABEL + "service": name, LABEL + "oneoff": "False"},
                    networks={"workstation_creative": {}},
                    network_mode="workstation_creative",
                    restart="unless-stopped",
                )
                containers.start(state, self.engine.now(), container)

    def play(self, word: str) -> None:
        assert creative.play(self.engine, word, PROFILES["pi"].memory_bytes)

    async def figures(self) -> None:
        """All figures of the host are written anew: what was played is among them twice from then on."""
        for _ in range(2):
            before = self._written()
            await self.until(lambda before=before: self._written() != before)

    def _written(self) -> str:
        return (self.home / "proc/uptime").read_text()

    def behave(self, service: str, how: str) -> None:
        """From its next start on, what is made from a service's image behaves so (`crash`, `unhealthy`, nothing)."""
        with self.engine.change() as state:
            state["images"][self._image(service)]["behaviour"] = how

    @contextmanager
    def made_for(self, service: str, arch: str) -> Iterator[None]:
        """A service's image is one for that kind of machine."""
        with self.engine.change() as state:
            state["images"][self._image(service)]["arch"] = arch
        try:
            yield
        finally:
            with self.engine.change() as state:
                del state["images"][self._image(service)]["arch"]

    def _image(self, service: str) -> str:
        images = (self.deploy / "stacks/opencut/current/images.lock").read_text().splitlines()
        return next(row.split("\t")[2] for row in images if row.startswith(f"{service}\t"))

    @contextmanager
    def locked(self, owner: str) -> Iterator[None]:
        """Somebody holds the host's lock."""
        self.deploy.mkdir(exist_ok=True)
        with (self.deploy / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (self.deploy / "owner").write_text(owner + "\n")
            yield

    def sh(self, command: str) -> subprocess.CompletedProcess[str]:
        """A command as root on the host, as its other operators run it."""
        env = {
            "PATH": str(self.home / "bin"),
            "HOME": str(self.home / "root"),
            "TMPDIR": str(self.home / "tmp"),
            "VPAI_PROC": str(self.home / "proc"),
            "VPAI_SYS": str(self.home / "sys"),
            "VPAI_DEMO_UID": "0",
        }
        return subprocess.run(
            ["/bin/sh", "-c", command], env=env, cwd=self.root, capture_output=True, text=True, timeout=60
        )

    @contextmanager
    def quick(self) -> Iterator[None]:
        """Half a minute passes there in a blink."""
        sleep, real = self.home / "bin/sleep", os.path.realpath(self.home / "bin/sleep")
        sleep.unlink()
        sleep.write_text(f'#!/bin/sh\ncase $1 in 30) set -- 0.1 ;; esac\nexec {real} "$@"\n')
        sleep.chmod(0o755)
        try:
            yield
        finally:
            sleep.unlink()
            sleep.symlink_to(real)

    def watchers(self) -> list[int]:
        """The processes of idle stops of this folder's host."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if b"watch" in words and any(word.startswith(bytes(self.deploy)) for word in words):
                    found.append(int(entry.name))
        return found

    def end_watchers(self) -> None:
        for pid in self.watchers():
            os.kill(pid, signal.SIGKILL)
        (self.deploy / "idle/opencut").unlink(missing_ok=True)

    async def until(self, there: Any, seconds: float = 20.0) -> None:
        """Waits for something that the host does by itself."""
        end = time.monotonic() + seconds
        while not there():
            assert time.monotonic() < end, "it did not happen"
            await asyncio.sleep(0.1)
