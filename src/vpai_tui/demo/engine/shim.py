"""What the `docker` shim of a simulated host starts: `shim.py SOURCES PACKAGES HOST-FOLDER ARGUMENTS…`.

Run with `python -I -S`: no site directory is looked at, which is half of Python's start. While the demo runs, a process
that has loaded everything (`forkserver`, at the socket in VPAI_DOCKER) forks one that does the work with this one's
files, directory and environment; else PACKAGES is searched last, for PyYAML, and it is done here.
"""

import os
import sys


def forked(path: str, home: str, argv: list[str]) -> int | None:
    """The exit status of the work done by a process of the fork server; None where there is none to do it."""
    # not `socket`: loading that takes longer than what is asked
    from _socket import AF_UNIX, SCM_RIGHTS, SOCK_STREAM, SOL_SOCKET, socket

    if os.isatty(0) or os.isatty(1):
        return None  # a terminal's signals reach whoever is in its session
    mask = os.umask(0o77)
    os.umask(mask)
    words = [str(mask), home, str(len(argv)), *argv]
    fields = [*map(os.fsencode, words), *(name + b"=" + value for name, value in os.environb.items())]
    message = b"\0".join(fields)
    try:
        here = os.open(".", os.O_RDONLY)
        wire = socket(AF_UNIX, SOCK_STREAM)
        wire.connect(path)
        rights = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2, here))
        wire.sendmsg([len(message).to_bytes(4, "big")], [(SOL_SOCKET, SCM_RIGHTS, rights)])
        wire.sendall(message)
    except OSError:
        return None
    _die_of_interrupts()
    told = wire.recv(1)
    return told[0] if told else 137


def _die_of_interrupts() -> None:
    import _signal as signal  # type: ignore[import-not-found]  # `signal` brings `enum` with it

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    if server := os.environ.get("VPAI_DOCKER"):
        status = forked(server, sys.argv[3], sys.argv[4:])
        if status is not None:
            os._exit(status)
    sys.path[:0] = [sys.argv[1]]
    sys.path.append(sys.argv[2])
    from vpai_tui.demo.engine.cli import main

    sys.exit(main(sys.argv[3], sys.argv[4:]))
