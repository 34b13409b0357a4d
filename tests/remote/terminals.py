"""A terminal for tests: a pty whose far end stands in for this process's standard input and output."""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class Screen:
    """The operator's side of a pty."""

    def __init__(self, master: int, far: int) -> None:
        self.master, self.far = master, far
        self.seen = b""

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.far, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, data: bytes) -> None:
        os.write(self.master, data)

    def settings(self) -> object:
        return termios.tcgetattr(self.far)

    async def until(self, wanted: bytes) -> None:
        """Reads until `wanted` was seen."""
        async with asyncio.timeout(30):
            while wanted not in self.seen:
                try:
                    self.seen += os.read(self.master, 65536)
                except BlockingIOError:
                    await asyncio.sleep(0.02)

    def rest(self) -> bytes:
        try:
            self.seen += os.read(self.master, 65536)
        except (BlockingIOError, OSError):
            return self.seen
        return self.seen


@contextmanager
def screen(columns: int = 100, lines: int = 30) -> Iterator[Screen]:
    master, far = os.openpty()
    os.set_blocking(master, False)
    made = Screen(master, far)
    made.resize(columns, lines)
    try:
        yield made
    finally:
        os.close(master)
        os.close(far)


@contextmanager
def as_ours(made: Screen, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`made` is this process's terminal."""
    with os.fdopen(os.dup(made.far), "r") as reading, os.fdopen(os.dup(made.far), "w") as writing:
        monkeypatch.setattr(sys, "stdin", reading)
        monkeypatch.setattr(sys, "stdout", writing)
        yield
