"""The raw bytes of a terminal: whatever a host says, only sequences of the cockpit's own driver reach it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vpai_tui.text import clean

MARK = "PWNED"
# Clipboard, title, link, colour, reports, DCS, APC, PM, SOS, all of them again as C1, bidi, cursor and screen.
HOSTILE = (
    f"\x1b]52;c;{MARK}\x07\x1b]0;{MARK}\x1b\\\x1b]8;;http://{MARK}\x1b\\x\x1b]8;;\x1b\\\x1b[31m\x1b[6n\x1bP{MARK}\x1b\\"
    f"\x1b_{MARK}\x1b\\\x1b^{MARK}\x1b\\\x1bX{MARK}\x1b\\\x9d52;c;{MARK}\x9c\x9b31m\x90{MARK}\x9c\u202e{MARK}\u2066\x00"
    f"\x07\x08\r\x0e\x1b[2J\x1b[H\x1bc[red][@click=app.quit][link=http://{MARK}]"
)
# What Textual's driver writes by itself: colours, cursor, modes, questions to the terminal.
CSI = re.compile(
    rb"\x1b\[(?:[0-9;:]*m|[0-9;]*H|[0-9]*[ABCDGJKX]|\?[0-9;]+[hl]|\?[0-9;]+\$p|[>=<]?[0-9;]*u|[0-9]*c|[0-9;]*t|>[0-9;]*[mq])"
)
ALONE = (b"\x1b7", b"\x1b8", b"\x1b=", b"\x1b>")


class Screen:
    """The cockpit in a pseudo terminal, every byte it wrote."""

    def __init__(self, argv: list[str]) -> None:
        self.raw = b""
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            environ = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "TEXTUAL_ANIMATIONS": "none"}
            os.execve(argv[0], argv, environ)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))

    def read(self, seconds: float) -> None:
        """Until nothing more comes for a moment, at most `seconds`."""
        deadline, quiet = time.monotonic() + seconds, 0
        while time.monotonic() < deadline and quiet < 3:
            if not select.select([self._fd], [], [], 0.1)[0]:
                quiet += 1
                continue
            quiet = 0
            with contextlib.suppress(OSError):
                self.raw += os.read(self._fd, 65536)

    def wait_for(self, text: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while text.encode() not in plain(self.raw):
            assert time.monotonic() < deadline, plain(self.raw)[-2000:]
            self.read(0.5)

    def press(self, keys: bytes, text: str = "") -> None:
        """Keys, then what they bring onto the screen."""
        os.write(self._fd, keys)
        self.read(3)
        if text:
            self.wait_for(text, 20)

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        for _ in range(100):
            self.read(0.1)
            if os.waitpid(self.pid, os.WNOHANG)[0]:
                break
        else:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._fd)


def plain(raw: bytes) -> bytes:
    return CSI.sub(b"", raw)


def offences(raw: bytes) -> list[bytes]:
    """What in `raw` a terminal would obey and Textual's driver does not write."""
    rest = CSI.sub(b"", raw)
    for sequence in ALONE:
        rest = rest.replace(sequence, b"")
    found = re.findall(rb"\x1b.{0,12}", rest, re.DOTALL)
    found += re.findall(rb".{0,4}[\x00-\x07\x0b\x0e-\x1a\x1c-\x1f\x7f].{0,8}", rest, re.DOTALL)
    text = raw.decode(errors="replace")
    found += [letter.encode() for letter in re.findall("[\x80-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]", text)]
    return found


def test_the_allow_list_would_notice() -> None:
    """Each part of the payload is an offence by itself."""
    for part in re.findall(r"\x1b[^\x1b\x80-\x9f]*|[\x80-\x9f\u202e\u2066][^\x1b\x80-\x9f]*", HOSTILE):
        harmless = CSI.fullmatch(part.encode())  # colours and cursor: Textual's own; the text below tells them apart
        assert harmless or offences(part.encode()) or MARK not in part, part
    assert offences(b"\x1b]52;c;eA==\x07")
    assert not offences(b"\x1b[1;31mred\x1b[0m\x1b[?25l\r\n")


def poison(state: Path) -> None:
    """Every text of the engine's state that its own machinery does not read becomes hostile."""
    told: dict[str, Any] = json.loads(state.read_text())
    for container in told["containers"].values():
        container["labels"] = {**container.get("labels", {}), f"evil{HOSTILE}": HOSTILE}
        container["env"] = [*(container.get("env") or []), f"EVIL{HOSTILE}={HOSTILE}"]
        container["image"] = f"{container['image']}{HOSTILE}"
        container["command"] = ["sh", HOSTILE]
        container["user"] = HOSTILE
    state.write_text(json.dumps(told))


@pytest.fixture(scope="module")
def hostile_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A demo whose engines hold hostile text in labels, variables, commands, images and (through the image) logs."""
    folder = tmp_path_factory.mktemp("demo")
    command(folder, "history")
    for state in sorted(folder.glob("*/docker/state.json")):
        poison(state)
    history = folder / "laptop" / "history.jsonl"
    entry = dict.fromkeys(("at", "by", "host", "what", "subject", "result", "detail"), HOSTILE)
    history.write_text(json.dumps(entry) + "\n")
    yield folder


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    argv = [sys.executable, "-m", "vpai_tui", *words, "--demo-dir", str(folder)]
    return subprocess.run(argv, capture_output=True, timeout=120, check=False)


# (keys, what the screen then shows): fleet, describe, YAML, logs, help, command log, palette, deploy, plan, dialogs.
WALK = (
    (b"j", ""),
    (b"\r", MARK),  # what is asserted below was really drawn
    (b"GGgg", ""),
    (b"\x1b", ""),
    (b"y", "State"),
    (b"G", ""),
    (b"\x1b", ""),
    (b"l", ""),
    (b"G", ""),
    (b"\x1b", ""),
    (b"v", "docker"),
    (b"\x1b", ""),
    (b"?", "help"),
    (b"\x1b", ""),
    (b":desc", ""),
    (b"\x1b", ""),
    (b"/evil", ""),
    (b"\x1b", ""),
    (b"R", ""),
    (b"\x1b", ""),
    (b"2", "release"),
    (b"jjD", ""),
    (b"\x1b\x1b", ""),
    (b"B", ""),
    (b"\x1b", ""),
    (b":explode\r", ""),
    (b"\x1b", ""),
)


def test_no_sequence_of_a_host_reaches_the_terminal(hostile_demo: Path) -> None:
    screen = Screen([sys.executable, "-m", "vpai_tui", "--demo-dir", str(hostile_demo)])
    try:
        screen.wait_for("litellm")
        for keys, text in WALK:
            screen.press(keys, text)
    finally:
        screen.end()
    assert plain(screen.raw).count(MARK.encode()) > 20
    assert offences(screen.raw) == []


VERBS = (
    ("status",),
    ("describe", "litellm"),
    ("releases", "apps"),
    ("plan", "sese/apps"),
    ("history",),
    ("doctor",),
    ("deploy", "sese/apps", "--yes"),
)


@pytest.mark.parametrize("words", VERBS, ids=lambda words: words[0])
def test_no_sequence_of_a_host_is_printed(hostile_demo: Path, words: tuple[str, ...]) -> None:
    for form in ((), ("--json",)) if words[0] in ("status", "describe") else ((),):
        done = command(hostile_demo, *words, *form)
        shown = (done.stdout + done.stderr).decode()
        assert clean(shown) == shown
        assert "internal error" not in shown
        assert "Traceback" not in shown
        if words[0] in ("status", "describe", "history"):
            assert MARK in shown
