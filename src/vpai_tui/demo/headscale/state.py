"""What a simulated Headscale knows: one JSON document, replaced whole under a lock."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Doc = dict[str, Any]
ZERO = -62135596800 * 10**9  # the year 1, in nanoseconds: Go's zero time
S = 10**9
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Fail(Exception):
    """What the server refuses with: HTTP status, gRPC code, message."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def fresh(version: str) -> Doc:
    """A server that was just set up."""
    return {
        "version": version,
        "ids": {"user": 0, "node": 0, "key": 0, "api": 0},
        "address": 0,
        "users": [],
        "nodes": [],
        "keys": [],
        "apis": [],
        "pending": {},
        "policy": None,  # in database mode: the text
        "policy_mode": "file",
        "booted": "",
        "loaded": {"records": [], "base_domain": ""},
        "locked": False,
    }


class World:
    """One server's state for the time of one call: the document, what time it is, and random words."""

    def __init__(self, doc: Doc, now_ns: int, random: Callable[[int], str] | None = None) -> None:
        self.doc = doc
        self.now = now_ns
        self._random = random or (lambda size: "".join(secrets.choice(ALPHABET) for _ in range(size)))
        self.series = tuple(int(part) for part in str(doc["version"]).split(".")[:2])

    def since(self, minor: int) -> bool:
        """Whether this is 0.`minor` or later."""
        return self.series >= (0, minor)

    def random(self, size: int) -> str:
        return self._random(size)

    def hex(self, size: int) -> str:
        """Random hexadecimal digits."""
        return secrets.token_hex(size // 2)

    def next_id(self, kind: str) -> int:
        self.doc["ids"][kind] += 1
        found: int = self.doc["ids"][kind]
        return found

    # ── addresses ────────────────────────────────────────────────────────────────────────────────────────────────

    def next_address(self) -> list[str]:
        """The next free pair; what was freed is not given out again before a restart."""
        taken = {address for node in self.doc["nodes"] for address in node["ipAddresses"]}
        number = self.doc["address"]
        while True:
            number += 1
            four = f"100.64.{number // 256}.{number % 256}"
            if four not in taken and number % 256 not in (0, 255):
                self.doc["address"] = number
                return [four, f"fd7a:115c:a1e0::{number:x}"]

    def restart(self, booted: str, loaded: Doc, policy_mode: str) -> None:
        """What a start does: pending registrations are lost, freed addresses are found again, records are read."""
        self.doc.update(booted=booted, loaded=loaded, pending={}, address=0, policy_mode=policy_mode)

    # ── looking up ───────────────────────────────────────────────────────────────────────────────────────────────

    def user(self, id_: int) -> Doc:
        found: Doc | None = next((user for user in self.doc["users"] if user["id"] == id_), None)
        if found is None:
            raise Fail(500, 2, "user not found")
        return found

    def user_called(self, name: str) -> Doc:
        found: Doc | None = next((user for user in self.doc["users"] if user["name"] == name), None)
        if found is None:
            raise Fail(500, 2, "user not found")
        return found

    def node(self, id_: int) -> Doc | None:
        """The node; to 0.26 the id 0 is the first one's."""
        nodes = self.doc["nodes"]
        if id_ == 0 and not self.since(27):
            return nodes[0] if nodes else None
        return next((node for node in nodes if node["id"] == id_), None)


class Store:
    """The document on disk."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self.path = path
        self._clock = clock

    def read(self) -> World:
        """The state as it is; changes are not kept."""
        return World(json.loads(self.path.read_bytes()), int(self._clock() * S))

    @contextmanager
    def change(self) -> Iterator[World]:
        """The state under the lock; kept when the block ends well, and also when the server refuses."""
        with self.path.with_name("lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            world = self.read()
            try:
                yield world
            finally:
                self.write(world.doc)

    def write(self, doc: Doc) -> None:
        """Only for who holds the lock, or sets the server up."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_name(f"state.{os.getpid()}.new")
        new.write_text(json.dumps(doc))
        new.replace(self.path)
