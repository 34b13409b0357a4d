"""What `nc` of a simulated host starts: `reach.py SOCKET [-N] HOST PORT`; with -N the end of its input is passed on.

Bytes to an address of the host's networks, which only the process that serves the demo knows; it listens on SOCKET.
Standard library only, for `python -I -S`.
"""

import os
import select
import socket
import sys


def main(path: str, host: str, port: str, *, half: bool = False) -> int:
    """Carry bytes until either side ends (with `half` until the other does); exit status 1 when nobody listens."""
    with socket.socket(socket.AF_UNIX) as wire:
        try:
            wire.connect(path)
            wire.sendall(f"{host} {port}\n".encode())
            reached = wire.recv(1) == b"+"
        except OSError:
            reached = False
        if not reached:
            sys.stderr.write(f"nc: connect to {host} port {port} (tcp) failed: Connection refused\n")
            return 1
        try:
            while _carry(wire):
                pass
            if half:
                wire.shutdown(socket.SHUT_WR)
                while data := wire.recv(65536):
                    _put(data)
        except OSError:
            return 1
    return 0


def _carry(wire: socket.socket) -> bool:
    """What is there to be carried; false when a side has ended."""
    for ready in select.select([0, wire.fileno()], [], [])[0]:
        data = os.read(0, 65536) if ready == 0 else wire.recv(65536)
        if not data:
            return False
        if ready == 0:
            wire.sendall(data)
            continue
        _put(data)
    return True


def _put(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word not in ("-N", "-h")]
    if "-h" in sys.argv:
        sys.exit("usage: nc [-N] host port")
    sys.exit(main(*[*words[:3], "", "", ""][:3], half="-N" in sys.argv))
