"""A small HTTP server with a WebSocket for tests of the transport."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Request, TextMessage


@dataclass
class Web:
    """`/` answers, `/slow` never does, `/stream` sends three lines slowly, `/ws` echoes and closes on `bye`."""

    port: int = 0
    connections: int = 0
    open: int = 0
    peak: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.connections += 1
        self.open += 1
        self.peak = max(self.peak, self.open)
        try:
            while head := await _head(reader):
                await self._answer(head, reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            self.tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = head.split(b" ", 2)[1]
        if path == b"/ws":
            await _echo(head, reader, writer)
            raise OSError("the WebSocket is over")
        if path == b"/slow":
            await asyncio.sleep(60)
        if path == b"/stream":
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for number in range(3):
                writer.write(b"2\r\n%d\n\r\n" % number)
                await writer.drain()
                await asyncio.sleep(0.1)
            writer.write(b"0\r\n\r\n")
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        await writer.drain()
        if path == b"/bye":
            raise OSError("ends the connection")


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


async def _echo(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    protocol = WSConnection(ConnectionType.SERVER)
    protocol.receive_data(head)
    while True:
        for event in protocol.events():
            if isinstance(event, Request):
                writer.write(protocol.send(AcceptConnection()))
            elif isinstance(event, TextMessage):
                writer.write(protocol.send(TextMessage(data=event.data)))
                if event.data == "bye":
                    writer.write(protocol.send(CloseConnection(code=1000)))
            elif isinstance(event, CloseConnection):
                return
        await writer.drain()
        data = await reader.read(65536)
        if not data:
            return
        protocol.receive_data(data)


@contextlib.asynccontextmanager
async def web(tls: ssl.SSLContext | None = None) -> AsyncIterator[Web]:
    """A running `Web` on loopback; behind TLS where a server's context is given."""
    site = Web()
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0, ssl=tls)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        for task in list(site.tasks):
            task.cancel()
        await asyncio.gather(*site.tasks, return_exceptions=True)
        await server.wait_closed()
