"""Refuses every connection and name look-up that would leave this machine, and remembers that it was tried.

An audit hook sees each socket call of the interpreter, whichever library makes it and from whichever thread; it cannot
be taken out again. Refusing alone is not enough: the code under test is built to survive unreachable hosts, so an
attempt is also kept, and the test that made it fails. Child interpreters get the same through `sitecustomize`.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from pathlib import Path
from typing import Any

REPORT = "VPAI_GUARD_REPORT"  # a file to which every guarded process appends its attempts
LAB = "VPAI_GUARD_LAB"  # set: the lab's range is allowed as well

_LAB_RANGE = ipaddress.ip_network("198.18.0.0/16")
_LOOPBACK_NAMES = ("", "localhost", "localhost.localdomain", "ip6-localhost")
_CONNECTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"})


class OutsideConnectionError(ConnectionRefusedError):
    """A test tried to reach something that is neither loopback nor the lab."""


def allowed_address(host: object, *, lab: bool) -> bool:
    """Whether a packet to `host` stays on this machine; `lab` adds the lab's range. A name is not an address."""
    if isinstance(host, (bytes, bytearray)):
        host = bytes(host).decode(errors="replace")
    if not isinstance(host, str):
        return False
    if host in _LOOPBACK_NAMES:
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or (lab and address in _LAB_RANGE)


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _check_connect(event: str, sock: socket.socket, address: object) -> None:
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or address is None:
        return  # unix and netlink sockets; sendmsg on a connected socket
    host = address[0] if isinstance(address, tuple) and address else address
    if not allowed_address(host, lab=LAB in os.environ):
        _record(f"{event} {address!r}")
        raise OutsideConnectionError(f"the network guard refuses {event} to {address!r}")


def _check_lookup(event: str, host: object) -> None:
    if isinstance(host, (bytes, bytearray)):
        host = bytes(host).decode(errors="replace")
    if isinstance(host, tuple) and host:
        host = host[0]
    if not isinstance(host, str) or allowed_address(host, lab=LAB in os.environ):
        return
    reverse = event in ("socket.gethostbyaddr", "socket.getnameinfo")
    if _is_numeric(host) and not reverse:
        return  # parsing an address asks nobody
    if not host.rstrip(".").endswith(".invalid"):  # reserved: never resolves, so a test may ask for one
        _record(f"{event} {host!r}")
    raise socket.gaierror(socket.EAI_NONAME, f"the network guard does not look up {host!r}")


def _record(attempt: str) -> None:
    if report := os.environ.get(REPORT):
        with Path(report).open("a") as out:
            out.write(f"{attempt} (process {os.getpid()}: {' '.join(sys.argv[:3])})\n")


def _hook(event: str, args: tuple[object, ...]) -> None:
    if not event.startswith("socket."):
        return
    if event in _CONNECTS:
        _check_connect(event, args[0], args[1])  # type: ignore[arg-type]
    elif event in _LOOKUPS:
        _check_lookup(event, args[0])


def _named_addresses(method: str) -> None:
    """A name given to `connect` itself is looked up before the hook hears of it: check it on the way in."""
    original = getattr(socket.socket, method)

    def guarded(self: socket.socket, *args: Any) -> Any:
        address = args[-1] if args else None
        if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple) and address:
            _check_lookup(f"socket.{method}", address[0])
        return original(self, *args)

    setattr(socket.socket, method, guarded)


def install() -> None:
    """Guard this interpreter for the rest of its life."""
    sys.addaudithook(_hook)
    for method in ("connect", "connect_ex", "sendto"):
        _named_addresses(method)
