"""Does the work of `shim.py` in forks of a process that has loaded everything: `forkserver.py SOURCES PACKAGES SOCKET`.

Loading is most of what a `docker` command of the demo costs. A request is one connection: the length of a message (4
bytes, big-endian) with the files 0, 1, 2 and the directory of the one who asks, then umask, host folder, number of
arguments, arguments and environment, separated by zero bytes. The answer is one byte, the exit status. Whoever asks and
goes away ends the work. The server ends with its own input.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module

_LOADED = ("api", "cli", "cli_compose", "compose_up", "http", "streams")
_FILES = 4  # standard input, output, error; the directory

Main = Callable[[str, list[str]], int]


def serve(path: str, main: Main) -> None:
    """Forks for each connection, until the input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them here
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen(128)
        while 0 not in select.select([0, door.fileno()], [], [])[0]:
            wire, _ = door.accept()
            if os.fork() == 0:
                door.close()
                _answer(wire, main)
            wire.close()


def _answer(wire: socket.socket, main: Main) -> None:
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        home, argv = _received(wire)
        threading.Thread(target=_die_with, args=(wire,), daemon=True).start()
        status = main(home, argv)
        sys.stdout.flush()
    except SystemExit as done:
        status = done.code if isinstance(done.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with suppress(OSError):  # whoever asked has gone
            wire.send(bytes([status & 255]))
        os._exit(status)


def _received(wire: socket.socket) -> tuple[str, list[str]]:
    """Takes the place of whoever asks; the host's folder and the arguments."""
    head, files, _, _ = socket.recv_fds(wire, 4, _FILES)
    left, parts = int.from_bytes(head, "big"), []
    while left and len(files) == _FILES:
        parts.append(wire.recv(left))
        left -= len(parts[-1])
        if not parts[-1]:
            break
    if left or not parts:
        os._exit(1)  # it has gone before it had asked
    mask, home, count, *fields = b"".join(parts).split(b"\0")
    os.fchdir(files[3])
    for number in (0, 1, 2):
        os.dup2(files[number], number)
    for number in files:
        os.close(number)
    os.umask(int(mask))
    os.environb.clear()
    os.environb.update(field.partition(b"=")[::2] for field in fields[int(count) :])
    return os.fsdecode(home), [os.fsdecode(field) for field in fields[: int(count)]]


def _die_with(wire: socket.socket) -> None:
    wire.recv(1)
    os._exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.path[:0] = [sys.argv[1]]
    sys.path.append(sys.argv[2])
    for name in _LOADED:
        import_module(f"vpai_tui.demo.engine.{name}")
    import_module("yaml")
    gc.freeze()
    serve(sys.argv[3], import_module("vpai_tui.demo.engine.cli").main)
