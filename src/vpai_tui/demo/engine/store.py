"""The stored facts of one simulated engine: one JSON file, replaced as a whole under a lock."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Doc = dict[str, Any]

STATE_VERSION = 2
_EVENTS_KEPT = 400


class EngineError(Exception):
    """What the daemon answers when it refuses: an HTTP status and the message both the API and the CLI show."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def empty_state(host: str, arch: str, seed: int, booted: float) -> Doc:
    """A fresh engine: the three networks every Docker has, no image, no container."""
    state: Doc = {
        "version": STATE_VERSION,
        "host": host,
        "arch": arch,
        "seed": seed,
        "booted": booted,
        "seq": 0,
        "images": {},
        "containers": {},
        "networks": {},
        "volumes": {},
        "execs": {},
        "events": [],
    }
    for name in ("bridge", "host", "none"):
        state["networks"][name] = {
            "id": hex_of(f"{host} network {name}"),
            "name": name,
            "driver": {"none": "null"}.get(name, name),
            "subnet": "172.17.0.0/16" if name == "bridge" else "",
            "internal": False,
            "labels": {},
            "created": 0.0,
        }
    return state


def hex_of(text: str) -> str:
    """64 hex digits that depend on `text` only."""
    return hashlib.sha256(text.encode()).hexdigest()


def fraction(text: str) -> float:
    """A number in [0, 1) that depends on `text` only."""
    return int(hex_of(text)[:8], 16) / 0x1_0000_0000


class Engine:
    """One host's engine. `home` is the host's folder in the demo; its state is `home/docker/state.json`.

    Reading needs no lock, as the file is replaced by rename; `change` holds the lock from reading to writing.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.path = home / "docker" / "state.json"
        self._lock = home / "docker" / "lock"
        self._clock = home.parent / "clock"

    def now(self) -> float:
        """The host's wall clock, seconds since the epoch: the real one, moved as the demo's clock is."""
        try:
            return time.time() + float(self._clock.read_text())
        except (OSError, ValueError):
            return time.time()

    def read(self) -> Doc:
        """The facts as they are now; the caller may not keep changes."""
        try:
            state: Doc = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            raise EngineError(500, "Cannot connect to the Docker daemon. Is the docker daemon running?") from None
        return state

    def stamp(self) -> tuple[int, int]:
        """Changes whenever the facts do; for those who watch."""
        stat = self.path.stat()
        return stat.st_mtime_ns, stat.st_ino

    @contextmanager
    def change(self) -> Iterator[Doc]:
        """The facts under the lock; written back when the block ends without an exception."""
        with self._lock.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            state = self.read()
            yield state
            self.write(state)

    def write(self, state: Doc) -> None:
        """Replace the file; only for who holds the lock or builds the engine."""
        fresh = self.path.with_name(f"state.{os.getpid()}.new")
        fresh.write_text(json.dumps(state, separators=(",", ":")))
        fresh.replace(self.path)


def emit(state: Doc, now: float, kind: str, action: str, actor: str, attributes: dict[str, str]) -> None:
    """Append an event; `seq` orders them for the streams of other processes."""
    state["seq"] += 1
    event = {"seq": state["seq"], "at": now, "type": kind, "action": action, "id": actor, "attributes": attributes}
    state["events"] = [*state["events"][-_EVENTS_KEPT:], event]
