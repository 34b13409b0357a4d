"""The server's port: HTTP and the tail's WebSocket over a stream of bytes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Event, Ping, TextMessage
from wsproto.events import Request as Upgrade
from wsproto.utilities import ProtocolError

from vpai_tui.demo.loki.api import answer
from vpai_tui.demo.loki.model import Refused, S
from vpai_tui.demo.loki.server import Answer, Loki, Request
from vpai_tui.demo.loki.tail import POLL_S, Ended, Tail

PORT = 3100
_PING_S = 1.0
_MOST = 64 << 20  # bytes of a body
_REASONS = {101: "Switching Protocols", 200: "OK", 204: "No Content", 400: "Bad Request", 401: "Unauthorized"}
_REASONS |= {404: "Not Found", 405: "Method Not Allowed", 422: "Unprocessable Entity", 500: "Internal Server Error"}
_REASONS |= {503: "Service Unavailable"}

Handler = Callable[[Any, Any], Awaitable[None]]


def handler(loki: Loki) -> Handler:
    """Who serves one connection: asyncio's streams, or asyncssh's."""
    return lambda reader, writer: _serve(loki, reader, writer)


async def _serve(loki: Loki, reader: Any, writer: Any) -> None:
    """Requests until the other side hangs up; a tail is the last."""
    try:
        while (found := await read_request(reader)) is not None:
            request, head = found
            if loki.faults().gone(loki.now()):
                break
            if (delay := loki.faults().slow_s) > 0:
                await asyncio.sleep(delay)
            if request.path == "/loki/api/v1/tail" and request.method == "GET":
                if not await _tail(loki, request, head, reader, writer):
                    break
                continue
            await _send(writer, await asyncio.to_thread(answer, loki, request), loki)
            if request.headers.get("connection", "").lower() == "close":
                break
    except (OSError, EOFError, ValueError):
        pass  # the other side has gone, or speaks no HTTP
    finally:
        writer.close()


async def read_request(reader: Any) -> tuple[Request, bytes] | None:
    """The next request and its head as it came; None at the end."""
    first = await reader.readline()
    words = first.decode("latin-1").split()
    if len(words) != 3:
        return None
    head, headers = first, {}
    while line := await reader.readline():
        head += line
        if not line.strip():
            break
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _chunks(reader)
    else:
        body = await reader.readexactly(min(int(headers.get("content-length", "0")), _MOST))
    return Request(words[0], words[1], headers, body), head


async def _chunks(reader: Any) -> bytes:
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


async def _send(writer: Any, done: Answer, loki: Loki) -> None:
    lines = [f"HTTP/1.1 {done.status} {_REASONS.get(done.status, 'OK')}"]
    lines.append(f"Date: {formatdate(loki.now() // S, usegmt=True)}")
    if done.status not in (204, 405):
        lines.append(f"Content-Type: {done.kind}")
        if done.kind.startswith("text/plain"):
            lines.append("X-Content-Type-Options: nosniff")
    if done.status != 204:
        lines.append(f"Content-Length: {len(done.body)}")
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + done.body)
    await writer.drain()


# ── the tail ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _tail(loki: Loki, request: Request, head: bytes, reader: Any, writer: Any) -> bool:
    """Serve a tail to its end; true when it was refused and the connection goes on."""
    try:
        tail = await asyncio.to_thread(Tail, loki, request)
        socket = _Socket(head, reader, writer)
    except Refused as error:
        await _send(writer, Answer(error.status, error.text.encode()), loki)
        return True
    except ProtocolError:
        await _send(writer, Answer(400, b"Bad Request\n"), loki)
        return True
    await socket.send(AcceptConnection())
    listening = asyncio.ensure_future(socket.listen())
    try:
        await _talk(tail, socket, listening)
    except Ended as end:
        if end.code != 1006:
            await socket.send(CloseConnection(end.code, end.reason))
            await asyncio.wait((listening,), timeout=_PING_S)
    finally:
        tail.close()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    return False


async def _talk(tail: Tail, socket: _Socket, listening: asyncio.Future[None]) -> None:
    """Send until the client goes or the tail ends."""
    await asyncio.to_thread(tail.open)
    pinged = time.monotonic()
    while not listening.done():
        for text in tail.frames():
            await socket.send(TextMessage(data=text))
        if time.monotonic() - pinged >= _PING_S:
            pinged = time.monotonic()
            await socket.send(Ping())
        await asyncio.wait((listening,), timeout=POLL_S)
        if not listening.done():
            await asyncio.to_thread(tail.poll)


class _Socket:
    """The server's end of a WebSocket. ProtocolError when the request asks for none."""

    def __init__(self, head: bytes, reader: Any, writer: Any) -> None:
        self._reader, self._writer = reader, writer
        self._protocol = WSConnection(ConnectionType.SERVER)
        self._protocol.receive_data(head)
        if not isinstance(next(self._protocol.events(), None), Upgrade):
            raise ProtocolError
        self._sending = asyncio.Lock()

    async def send(self, event: Event) -> None:
        async with self._sending:
            with contextlib.suppress(OSError):
                self._writer.write(self._protocol.send(event))
                await self._writer.drain()

    async def listen(self) -> None:
        """Answer pings and the close of the client; ends when it is gone."""
        while data := await self._reader.read(65536):
            self._protocol.receive_data(data)
            for event in self._protocol.events():
                if isinstance(event, Ping):
                    await self.send(event.response())
                elif isinstance(event, CloseConnection):
                    with contextlib.suppress(ProtocolError):
                        await self.send(event.response())
                    return
