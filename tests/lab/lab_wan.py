"""A longer link to the lab's hosts, for kernels without netem: packets to the far addresses pass through this process.

A TUN device takes what is sent to 198.18.(n+1).x; each packet waits `delay` and goes on to 198.18.n.x, the answer waits
on the way back. No program under test has to know: it is given the far address of a host instead of the near one. The
addresses are moved by one in the third octet, source and destination in opposite directions, so that the sums in the IP
and TCP headers stay right as they are.

    laptop 198.18.(n+1).254 ⇄ [198.18.(n+2).254 ⇄ host 198.18.n.x]
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

from lab_machines import Lab, LabError, run

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_PACKET_BYTES = 65536


def socket_path(lab: Lab) -> Path:
    return lab.state / "link.sock"


def set_delay(lab: Lab, rtt_ms: float) -> None:
    """Round-trip time of the far addresses from now on; half of it each way. Returns when it is in force."""
    answer = _ask(lab, f"delay {rtt_ms / 2}")
    if answer != "ok":
        raise LabError(f"the link emulator answered {answer!r}")


def start(lab: Lab) -> None:
    """Start the emulator, or find it running; RTT 0 added until `set_delay`."""
    with contextlib.suppress(OSError):
        if _ask(lab, "ping") == "ok":
            return
    log = lab.state / "link.log"
    with log.open("ab") as out:
        # forked away by setsid: it outlives whoever started it, and is nobody's child to wait for
        argv = ["setsid", "--fork", sys.executable, str(Path(__file__)), str(lab.third)]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if _ask(lab, "ping") == "ok":
                return
        time.sleep(0.05)
    raise LabError(f"the link emulator does not start: {log.read_text()[-500:]}")


def stop(lab: Lab) -> None:
    with contextlib.suppress(OSError):
        _ask(lab, "quit")


def _ask(lab: Lab, request: str) -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(5)
        sock.connect(str(socket_path(lab)))
        sock.sendall(request.encode())
        return sock.recv(64).decode()


def moved(packet: bytes, third: int) -> bytes | None:
    """The packet as the other side of the link has to see it; None for what is not between the laptop and a host."""
    if len(packet) < 20 or packet[0] >> 4 != 4:
        return None
    source, target = packet[12:16], packet[16:20]
    near, far, behind = (bytes((198, 18, third + n)) for n in range(3))
    if source == far + b"\xfe" and target[:3] == far:
        return packet[:12] + behind + b"\xfe" + near + target[3:] + packet[20:]
    if source[:3] == near and target == behind + b"\xfe":
        return packet[:12] + far + source[3:] + far + b"\xfe" + packet[20:]
    return None


class Link:
    """Holds packets for a delay and hands them on in order."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._delay_s = 0.0
        self._held: deque[tuple[float, bytes]] = deque()
        self._tun = self._open_tun()
        self._control = self._open_control()

    def run(self) -> None:
        """Until asked to quit or a signal arrives; leaves neither device nor rules behind."""
        try:
            while True:
                wait_s = max(0.0, self._held[0][0] - time.monotonic()) if self._held else None
                readable, _, _ = select.select([self._tun, self._control.fileno()], [], [], wait_s)
                if self._control.fileno() in readable and not self._obey():
                    return
                if self._tun in readable:
                    self._take()
                self._hand_on()
        finally:
            socket_path(self._lab).unlink(missing_ok=True)
            for rule in self._rules():
                subprocess.run(["iptables", "-w", "-D", *rule], capture_output=True)
            os.close(self._tun)  # the device goes with its last descriptor, and its routes with it

    def _take(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                packet = moved(os.read(self._tun, _PACKET_BYTES), self._lab.third)
                if packet is not None:
                    self._held.append((time.monotonic() + self._delay_s, packet))

    def _hand_on(self) -> None:
        now = time.monotonic()
        while self._held and self._held[0][0] <= now:
            with contextlib.suppress(OSError):  # a device that is full drops, as a link does
                os.write(self._tun, self._held.popleft()[1])

    def _obey(self) -> bool:
        connection, _ = self._control.accept()
        with connection:
            words = connection.recv(64).decode().split()
            if words[:1] == ["delay"]:
                self._delay_s = float(words[1]) / 1000
            connection.sendall(b"ok")
        return words[:1] != ["quit"]

    def _open_tun(self) -> int:
        third, name = self._lab.third, f"{self._lab.prefix}-link"
        # an emulator that outlived its lab loses its device here, and ends of it
        subprocess.run(["ip", "link", "delete", name], capture_output=True)
        tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN | _IFF_NO_PI))
        run(["ip", "address", "replace", f"198.18.{third + 1}.254/24", "dev", name])
        run(["ip", "link", "set", name, "up", "mtu", "1280", "txqueuelen", "1000"])
        run(["ip", "route", "replace", f"198.18.{third + 2}.254/32", "dev", name])
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        for rule in self._rules():
            run(["iptables", "-w", "-I", *rule])
        return tun

    def _rules(self) -> list[list[str]]:
        """In front of whatever the outer engine put there to keep an internal network internal."""
        link, bridge = f"{self._lab.prefix}-link", self._lab.bridge
        return [["FORWARD", "-i", a, "-o", b, "-j", "ACCEPT"] for a, b in ((link, bridge), (bridge, link))]

    def _open_control(self) -> socket.socket:
        path = socket_path(self._lab)
        path.unlink(missing_ok=True)
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        control.bind(str(path))
        control.listen(8)
        return control


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Link(Lab(int(sys.argv[1]))).run()


if __name__ == "__main__":
    main()
