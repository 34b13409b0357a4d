"""A local socket whose other end is a Docker engine: bytes carried over one `docker system dial-stdio` channel."""

from __future__ import annotations

import asyncio
import select
import shlex
import socket

from vpai_tui.errors import OperatorError
from vpai_tui.remote.channel import ByteStream
from vpai_tui.remote.connection import OUTPUT_LIMIT, Connection

COMPLAIN_WITHIN_S = 1.0  # how long a dial that ended may take to say why


class Dial:
    """One dial. `near` is for a thread that speaks HTTP; no other process can reach it.

    The pumps are our own: asyncssh's own redirection of a channel to a socket ends the whole connection when the
    socket's user hangs up in the middle.
    """

    def __init__(self, stream: ByteStream, host: str = "") -> None:
        self.near, self._far = socket.socketpair()
        self._far.setblocking(False)
        self._stream = stream
        self._host = host
        self._heard = 0  # bytes since `renew`
        self.error: OperatorError | None = None  # why the link ended it
        self.complaint = b""  # what dial-stdio printed when it ended by itself
        self.exit_status: int | None = None
        self.ended = False  # by the other side
        self._task = asyncio.create_task(self._carry(), name="dial-stdio")

    @classmethod
    async def open(cls, connection: Connection) -> Dial:
        """Starts dial-stdio on the host; the errors of `Connection.open_bytes`."""
        argv = [*shlex.split(connection.host.docker), "system", "dial-stdio"]
        return cls(await connection.open_bytes(argv, root=True), connection.name)

    def renew(self) -> None:
        """What comes from now on is another answer: one has `OUTPUT_LIMIT` bytes at most."""
        self._heard = 0

    async def close(self) -> None:
        """Hangs up: a thread that reads from `near` sees the end at once."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _carry(self) -> None:
        up = asyncio.create_task(self._up())
        down = asyncio.create_task(self._down())
        try:
            await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
            if not down.done() and not self._hung_up():
                await down  # only the sending half was shut: the answer is still wanted
        finally:
            for task in (up, down):
                task.cancel()
            try:
                await asyncio.gather(up, down, return_exceptions=True)
            finally:  # a second cancel must not leave the thread at the other end waiting
                self._far.close()
                await self._stream.close()

    async def _up(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while data := await loop.sock_recv(self._far, 65536):
                self.renew()
                await self._stream.write(data)
            if not self._hung_up():
                self._stream.write_eof()
        except (OperatorError, OSError):
            await asyncio.Event().wait()  # the way down ends too, and knows more

    async def _down(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while data := await self._stream.read():
                self._heard += len(data)
                if self._heard > OUTPUT_LIMIT:
                    raise OperatorError(
                        f"the engine's answer has no end: more than {OUTPUT_LIMIT >> 20} MiB",
                        host=self._host,
                        step="docker",
                        remedy="look at the engine on the host",
                    )
                await loop.sock_sendall(self._far, data)
            async with asyncio.timeout(COMPLAIN_WITHIN_S):
                self.exit_status = await self._stream.finished()
        except OperatorError as error:
            self.error = error
        except TimeoutError:
            pass  # it has shut its output and says no more
        except OSError:
            return  # hung up on our side
        self.complaint = self._stream.stderr
        self.ended = True

    def _hung_up(self) -> bool:
        """Whether `near` was closed altogether, not only its sending half."""
        poll = select.poll()
        poll.register(self._far, 0)
        return any(event & select.POLLHUP for _, event in poll.poll(0))
