"""What listens in the simulated network: the server's HTTP port at its container's address, and the resolver."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from vpai_tui.demo.engine.life import life
from vpai_tui.demo.engine.store import Doc, Engine
from vpai_tui.demo.headscale import box, names

Handler = Callable[[Any, Any], Awaitable[None]]
PORT = 8080
DNS_PORT = 53


def listener(engine: Engine, host: str, port: int) -> Handler | None:
    """Who answers at this address; None: nobody."""
    container = _running(engine)
    if container is None:
        return None
    addresses = {endpoint.get("ip") for endpoint in container["networks"].values()}
    if port == PORT and host in addresses | {"127.0.0.1"}:
        return lambda reader, writer: _http(engine, container, reader, writer)
    if port == DNS_PORT and host == names.ADDRESS:
        return lambda reader, writer: _dns(engine, reader, writer)
    return None


def _running(engine: Engine) -> Doc | None:
    """The server's container, if it runs."""
    found = next((it for it in engine.read()["containers"].values() if box.is_headscale(it)), None)
    if found is None:
        return None
    box.boot(engine, found)
    found = engine.read()["containers"].get(found["id"])
    return found if found is not None and life(found, engine.now()).status == "running" else None


async def _http(engine: Engine, container: Doc, reader: Any, writer: Any) -> None:
    """Requests until the other side hangs up."""
    try:
        while head := await _head(reader):
            method, target, headers = head
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            done = await asyncio.to_thread(box.request, engine, container, method, target, headers, body)
            lines = [f"HTTP/1.1 {done.status} {_REASONS.get(done.status, 'OK')}", f"Content-Type: {done.kind}"]
            lines.append(f"Content-Length: {len(done.body)}")
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + done.body)
            await writer.drain()
    except (asyncio.IncompleteReadError, OSError, ValueError):
        pass  # the other side has gone
    writer.close()


_REASONS = {400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 500: "Internal Server Error"}
_REASONS |= {501: "Not Implemented"}


async def _head(reader: Any) -> tuple[str, str, dict[str, str]] | None:
    first = (await reader.readline()).decode("latin-1").split()
    if len(first) != 3:
        return None
    headers: dict[str, str] = {}
    while line := (await reader.readline()).decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return first[0], first[1], headers


async def _dns(engine: Engine, reader: Any, writer: Any) -> None:
    """Questions over TCP until the other side hangs up."""
    try:
        while True:
            size = struct.unpack(">H", await reader.readexactly(2))[0]
            query = await reader.readexactly(size)
            doc = await asyncio.to_thread(lambda: box.store_of(engine).read().doc)
            found = names.answer(doc, query)
            writer.write(struct.pack(">H", len(found)) + found)
            await writer.drain()
    except (asyncio.IncompleteReadError, OSError, IndexError, struct.error):
        pass  # the other side has gone
    writer.close()
