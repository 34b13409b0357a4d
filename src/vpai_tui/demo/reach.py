"""What `nc` of a simulated host starts: `reach.py SOCKET HOST PORT`.

Bytes to an address of the host's networks, which only the process that serves the demo knows; it listens on SOCKET.
Standard library only, for `python -I -S`.
"""

import os
import select
import socket
import sys


def main(path: str, host: str, port: str) -> int:
    """Carry bytes until either side ends; exit status 1 when nobody listens there."""
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
        view = memoryview(data)
        while view:
            view = view[os.write(1, view) :]
    return True


if __name__ == "__main__":
    sys.exit(main(*[*sys.argv[1:4], "", "", ""][:3]))
