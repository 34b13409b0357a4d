"""A program in a pseudo terminal of 120×40: when does it show this and that, and what does it cost to stay open."""

from __future__ import annotations

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

_ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]")
_TICKS = os.sysconf("SC_CLK_TCK")


class Terminal:
    """`with Terminal(argv) as it: it.wait_for("text")`; the program is ended on leaving."""

    def __init__(self, argv: Sequence[str], env: dict[str, str] | None = None) -> None:
        self._argv = list(argv)
        self._env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **(env or {})}
        self._seen = b""

    def __enter__(self) -> Terminal:
        self.started = time.perf_counter()
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.execvpe(self._argv[0], self._argv, self._env)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            self._read(0.05)
            if os.waitpid(self.pid, os.WNOHANG)[0]:
                break
        else:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._fd)

    def forget(self) -> None:
        """What was shown up to now does not count any more."""
        self._seen = b""

    def wait_for(self, *texts: str, timeout_s: float = 30) -> float:
        """Seconds since the start until all of `texts` were drawn."""
        wanted = [text.encode() for text in texts]
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self._read(0.5)
            plain = _ESCAPES.sub(b"", self._seen)
            if all(text in plain for text in wanted):
                return time.perf_counter() - self.started
        raise TimeoutError(f"never shown: {texts}; last: {_ESCAPES.sub(b'', self._seen)[-600:]!r}")

    def key(self, keys: str, timeout_s: float = 10) -> float:
        """Seconds from a key press to the first that is drawn after it."""
        self.rest(0.05)
        self.forget()
        pressed = time.perf_counter()
        os.write(self._fd, keys.encode())
        while not self._seen and time.perf_counter() - pressed < timeout_s:
            self._read(0.5)
        return time.perf_counter() - pressed

    def press(self, keys: str) -> None:
        """Press without waiting; what was shown up to now does not count any more."""
        self.forget()
        os.write(self._fd, keys.encode())

    def until(self, keys: str, text: str, timeout_s: float = 10) -> float:
        """Seconds from a key press to `text` drawn after it."""
        self.rest(0.05)
        pressed = time.perf_counter()
        self.press(keys)
        while text.encode() not in _ESCAPES.sub(b"", self._seen):
            self._read(0.5)
            if time.perf_counter() - pressed > timeout_s:
                raise TimeoutError(f"{keys!r} does not show {text!r}: {_ESCAPES.sub(b'', self._seen)[-600:]!r}")
        return time.perf_counter() - pressed

    def rest(self, seconds: float) -> None:
        """Keeps reading what the program draws."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._read(0.2)

    def cpu_s(self) -> float:
        """Processor time used so far, in seconds."""
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss_mib(self) -> float:
        """Resident memory."""
        with open(f"/proc/{self.pid}/status") as file:
            line = next(line for line in file if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def _read(self, timeout_s: float) -> None:
        ready, _, _ = select.select([self._fd], [], [], timeout_s)
        if not ready:
            return
        try:
            self._seen += os.read(self._fd, 65536)
        except OSError:
            time.sleep(timeout_s)  # the program has ended
