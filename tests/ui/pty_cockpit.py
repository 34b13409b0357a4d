"""A program in a pseudo terminal of 140×50, every byte it wrote, and what of it only its own driver may write."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Sequence

from vpai_tui.text import clean

# What Textual's driver writes by itself: colours, cursor, modes, questions to the terminal, shape of the pointer.
_OWN = re.compile(
    rb"\x1b\[(?:[0-9;]*m|[0-9]+;[0-9]+H|H|\?[0-9]+[hl]|\?[0-9]+\$p|[>=<][0-9;]*u|c|>[0-9;]*[mq])"
    rb"|\x1b\]22;[a-z-]+(?:\x07|\x1b\\)|\x1b[78=>]"
)
# The key as a terminal with the newer protocol sends it: an ESC alone and the key behind it may be taken for one.
_ESCAPE = "\x1b[27u"
_CLIPBOARD = re.compile(rb"\x1b\]52;c;([A-Za-z0-9+/=]*)\x07")
_UNSAFE_TEXT = re.compile("[\x80-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def plain(raw: bytes) -> str:
    """The text of what was drawn, in the order of drawing."""
    return _CLIPBOARD.sub(b"", _OWN.sub(b"", raw)).decode(errors="replace")


def copied(raw: bytes) -> list[str]:
    """What was put into the terminal's clipboard."""
    return [base64.b64decode(found, validate=True).decode() for found in _CLIPBOARD.findall(raw)]


def offences(raw: bytes) -> list[str]:
    """What in `raw` a terminal would obey and Textual's driver does not write by itself."""
    rest = _CLIPBOARD.sub(b"", _OWN.sub(b"", raw))
    found = [repr(item) for item in re.findall(rb"\x1b.{0,12}", rest, re.DOTALL)]
    found += [
        repr(item) for item in re.findall(rb".{0,8}[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f].{0,8}", rest, re.DOTALL)
    ]
    found += [repr(item) for item in _UNSAFE_TEXT.findall(raw.decode())]
    try:
        return found + [repr(text) for text in copied(raw) if clean(text) != text]
    except ValueError:
        return [*found, "a clipboard that is no base64"]


class PtyCockpit:
    """`with PtyCockpit(argv) as it: it.press("y", "shown")`; the program is ended on leaving."""

    def __init__(self, argv: Sequence[str], environment: dict[str, str]) -> None:
        self._argv = list(argv)
        self._environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "TEXTUAL_ANIMATIONS": "none",
            **environment,
        }
        self.raw = b""

    def __enter__(self) -> PtyCockpit:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.execve(self._argv[0], self._argv, self._environment)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 140, 0, 0))
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._fd)

    def press(self, name: str, keys: str, *wanted: str) -> None:
        """Presses keys; returns when all of `wanted` were drawn since. `name`: of the place they lead to."""
        until = time.monotonic() + 2  # a place that never rests is left all the same
        while time.monotonic() < until and self._read(0.3):  # what is still drawn of the place before does not count
            pass
        start = len(self.raw)
        os.write(self._fd, keys.replace("\x1b", _ESCAPE).encode())
        self.wait_for(*wanted, start=start, name=name)

    def wait_for(self, *wanted: str, start: int = 0, within_s: float = 60, name: str = "the start") -> None:
        """Returns when all of `wanted` were drawn after the first `start` bytes."""
        until = time.monotonic() + within_s
        while missing := [text for text in wanted if text not in plain(self.raw[start:])]:
            assert time.monotonic() < until, f"{name}: {missing} never shown in {plain(self.raw[start:])[-3000:]!r}"
            self._read(0.5)

    def _read(self, within_s: float) -> bool:
        ready = bool(select.select([self._fd], [], [], within_s)[0])
        if ready:
            self.raw += os.read(self._fd, 65536)
        return ready

    def end(self, keys: str, within_s: float = 60) -> None:
        """Presses keys that end the program; reads to its last byte."""
        os.write(self._fd, keys.encode())
        until = time.monotonic() + within_s
        with contextlib.suppress(OSError):  # how Linux says that the other side has closed
            while True:
                assert time.monotonic() < until, "it goes on"
                self._read(0.5)
