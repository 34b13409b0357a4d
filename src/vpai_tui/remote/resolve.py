"""Asks a resolver inside the VPN: DNS over TCP through the SSH connection, nothing installed anywhere."""

from __future__ import annotations

import asyncio
import ipaddress
import struct
from collections.abc import Sequence

from vpai_tui.errors import OperatorError
from vpai_tui.remote.bridge import Bytes, open_port
from vpai_tui.remote.connection import Connection

QUAD_100 = "100.100.100.100"  # Tailscale's own resolver, on every client
PORT = 53
TIMEOUT_S = 5.0
_TYPES = {"A": 1, "AAAA": 28}
Question = tuple[str, str]  # name, A or AAAA


async def ask(connection: Connection, questions: Sequence[Question]) -> dict[Question, tuple[str, ...]]:
    """The addresses that this host's VPN client answers; the empty tuple where it knows none.

    Raises:
        OperatorError: nobody answers there: the host is no VPN client, or its client does not speak TCP.
    """
    if not questions:
        return {}
    try:
        async with asyncio.timeout(TIMEOUT_S):
            stream = await open_port(connection, QUAD_100, PORT)
            try:
                return await _exchange(stream, questions)
            finally:
                await stream.close()
    except TimeoutError as error:
        raise OperatorError(f"{QUAD_100} did not answer within {TIMEOUT_S:.0f} s", host=connection.name) from error
    except (ValueError, IndexError, struct.error) as error:
        raise OperatorError(f"{QUAD_100} answered what is no DNS", host=connection.name) from error


async def _exchange(stream: Bytes, questions: Sequence[Question]) -> dict[Question, tuple[str, ...]]:
    found: dict[Question, tuple[str, ...]] = {}
    buffer = b""
    for number, (name, kind) in enumerate(questions):
        query = query_of(number, name, kind)
        await stream.write(struct.pack(">H", len(query)) + query)
        while len(buffer) < 2 or len(buffer) < 2 + struct.unpack(">H", buffer[:2])[0]:
            data = await stream.read()
            if not data:
                raise OperatorError(f"{QUAD_100} hung up")
            buffer += data
        size = 2 + struct.unpack(">H", buffer[:2])[0]
        found[name, kind] = answers_in(buffer[2:size], number)
        buffer = buffer[size:]
    return found


def query_of(number: int, name: str, kind: str) -> bytes:
    """One question. ValueError for a name that DNS cannot carry."""
    labels = name.rstrip(".").encode("ascii", errors="strict").split(b".")
    if any(not 0 < len(label) < 64 for label in labels):
        raise ValueError(name)
    packed = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return struct.pack(">HHHHHH", number & 0xFFFF, 0x0100, 1, 0, 0, 0) + packed + struct.pack(">HH", _TYPES[kind], 1)


def answers_in(packet: bytes, number: int) -> tuple[str, ...]:
    """The addresses in an answer; ValueError, IndexError or struct.error when it is none."""
    id_, _, asked, answered, _, _ = struct.unpack(">HHHHHH", packet[:12])
    if id_ != number & 0xFFFF:
        raise ValueError("another question's answer")
    at = 12
    for _ in range(asked):
        at = _skip_name(packet, at) + 4
    found = []
    for _ in range(answered):
        at = _skip_name(packet, at)
        kind, _, _, size = struct.unpack(">HHIH", packet[at : at + 10])
        data = packet[at + 10 : at + 10 + size]
        if kind in _TYPES.values() and len(data) in (4, 16):
            found.append(str(ipaddress.ip_address(data)))
        at += 10 + size
    return tuple(found)


def _skip_name(packet: bytes, at: int) -> int:
    for _ in range(128):
        size = packet[at]
        if size >= 0xC0:
            return at + 2
        if size == 0:
            return at + 1
        at += 1 + size
    raise ValueError("a name without an end")
