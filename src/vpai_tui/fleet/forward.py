"""A service's port on the laptop: a listener on loopback, each of its connections carried over SSH to the container."""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from vpai_tui.clock import Clock, duration, rfc3339
from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.history import Entry, History, who
from vpai_tui.fleet.shell import Connect, EngineOf, container_of
from vpai_tui.fleet.stacks import Stack, find_service

if TYPE_CHECKING:
    from vpai_tui.remote.bridge import ContainerAddress
    from vpai_tui.remote.connection import Connection

LOOPBACK = "127.0.0.1"
CHANNELS = 4  # of a host at once where its bridge is a command: a cockpit wants the other five
DIRECT_MOST = 64  # where sshd forwards itself
WAITING_MOST = 128  # of one forward; more are turned away
_LOWEST = 1024  # below, a port of the laptop is root's
_EVENTS_KEPT = 1000
_TOLD_WITHIN_S = 0.5


@dataclass(frozen=True, slots=True)
class Listening:
    """The port is there."""

    service: str
    host: str
    port: int
    local_port: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection of the laptop reaches the service."""

    id: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A connection waits for one of the host's channels."""

    id: int


@dataclass(frozen=True, slots=True)
class Closed:
    """A connection ended; `error` says why where it did not end by itself."""

    id: int
    sent_bytes: int
    received_bytes: int
    error: str = ""


Event = Listening | Opened | Waiting | Closed


@dataclass(slots=True)
class Forward:
    """One listener and its figures."""

    id: int
    service: str
    host: str
    port: int
    local_port: int
    since_boot_s: float
    open: int = 0
    waiting: int = 0
    total: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    error: str = ""  # of the last connection that failed
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=_EVENTS_KEPT))
    happened: asyncio.Event = field(default_factory=asyncio.Event)
    server: asyncio.Server | None = None
    place: tuple[Connection, ContainerAddress] | None = None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def tell(self, event: Event) -> None:
        self.events.append(event)
        self.happened.set()


@dataclass(slots=True)
class _One:
    """A connection of the laptop."""

    id: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    sent_bytes: int = 0
    received_bytes: int = 0
    error: str = ""


class Forwards:
    """All forwards of a command or cockpit; `close` them. `channels`: how many connections of a host are carried at
    once, where each takes one of the host's SSH sessions."""

    def __init__(
        self,
        stacks: Sequence[Stack],
        connect: Connect,
        engine: EngineOf,
        clock: Clock,
        history: History,
        *,
        channels: int = CHANNELS,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._stacks = stacks
        self._connect = connect
        self._engine = engine
        self._clock = clock
        self._history = history
        self._channels = channels
        self._on_change = on_change
        self._forwards: dict[int, Forward] = {}
        self._slots: dict[tuple[str, bool], asyncio.Semaphore] = {}
        self._ids = 0

    @property
    def running(self) -> tuple[Forward, ...]:
        """Those that listen, the oldest first."""
        return tuple(self._forwards.values())

    async def open(self, service: str, port: int | None = None, local: int | None = None) -> Forward:
        """Listens for a service; its port by stack.yaml where none is given, on the laptop's same where that is free.

        Raises:
            UsageError: there is no such service, which port is not known, or `local` is taken.
            OperatorError: its container does not run, or nothing on its host can carry bytes.
        """
        from vpai_tui.remote.pipe import pipe_tool

        stack, name = find_service(self._stacks, service)
        port = port or _port_of(stack, name)
        connection = await self._connect(stack.host)
        await container_of(self._engine(connection), stack, name)
        await pipe_tool(connection)
        self._ids += 1
        made = Forward(self._ids, f"{stack.id}/{name}", stack.host, port, 0, self._clock.boot_s())
        made.server = await _listen(partial(self._accepted, made), port, local)
        made.local_port = made.server.sockets[0].getsockname()[1]
        self._forwards[made.id] = made
        self._note(made, "opened", f"{LOOPBACK}:{made.local_port} → {port}")
        made.tell(Listening(made.service, made.host, port, made.local_port))
        self._on_change()
        return made

    async def shut(self, forward: Forward) -> None:
        """Ends a forward and the connections it carries."""
        if self._forwards.pop(forward.id, None) is None:
            return
        assert forward.server is not None  # noqa: S101 (told to mypy: it listens)
        forward.server.close()
        for task in tuple(forward.tasks):
            task.cancel()
        await asyncio.gather(*forward.tasks, return_exceptions=True)
        self._note(forward, "closed", f"after {duration(self._clock.boot_s() - forward.since_boot_s)}")
        self._on_change()

    async def close(self) -> None:
        """Ends all of them."""
        for forward in self.running:
            await self.shut(forward)

    async def events(self, forward: Forward) -> AsyncGenerator[Event, None]:
        """What happens at a forward, from its beginning; until it is shut."""
        while True:
            while forward.events:
                yield forward.events.popleft()
            if forward.id not in self._forwards:
                return
            forward.happened.clear()
            try:
                async with asyncio.timeout(_TOLD_WITHIN_S):
                    await forward.happened.wait()
            except TimeoutError:
                continue  # it may have been shut

    # ── connections ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _accepted(self, forward: Forward, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from vpai_tui.remote.pipe import shut

        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (told to mypy: a server's callback runs in a task)
        forward.tasks.add(task)
        task.add_done_callback(forward.tasks.discard)
        forward.total += 1
        one = _One(forward.total, reader, writer)
        try:
            await self._serve(forward, one)
            await shut(writer)
        except asyncio.CancelledError:
            one.error = "the forward was closed"
        except (OperatorError, OSError) as error:
            one.error = str(error)
        finally:
            writer.transport.abort()  # of one that was shut nothing is left
        forward.error = one.error or forward.error
        forward.tell(Closed(one.id, one.sent_bytes, one.received_bytes, one.error))
        self._on_change()

    async def _serve(self, forward: Forward, one: _One) -> None:
        """Carries one connection. OperatorError where it cannot be carried, or not to its end."""
        if forward.waiting >= WAITING_MOST:
            raise OperatorError(f"{WAITING_MOST} connections wait already", host=forward.host)
        connection = await self._connect(forward.host)
        async with self._turn(forward, one, connection):
            if one.reader.at_eof():
                return  # it hung up while it waited, and has sent nothing
            connection = await self._connect(forward.host)
            await self._bridge(forward, one, connection)

    @asynccontextmanager
    async def _turn(self, forward: Forward, one: _One, connection: Connection) -> AsyncIterator[None]:
        """One of the places that the host has."""
        from vpai_tui.remote.bridge import DIRECT
        from vpai_tui.remote.pipe import pipe_tool

        direct = await pipe_tool(connection) == DIRECT
        most = DIRECT_MOST if direct else self._channels
        slot = self._slots.setdefault((forward.host, direct), asyncio.Semaphore(most))
        if slot.locked():
            forward.waiting += 1
            forward.tell(Waiting(one.id))
            self._on_change()
            try:
                await slot.acquire()
            finally:
                forward.waiting -= 1
        else:
            await slot.acquire()
        try:
            yield
        finally:
            slot.release()

    async def _bridge(self, forward: Forward, one: _One, connection: Connection) -> None:
        from vpai_tui.remote.bridge import refusal
        from vpai_tui.remote.pipe import BASH_SILENT_S, SILENT_S, carry, open_pipe, pipe_tool

        address = await self._address(forward, connection)
        try:
            pipe = await open_pipe(connection, await address.get(), forward.port)
        except OperatorError:
            address.forget()
            raise
        forward.open += 1
        forward.tell(Opened(one.id))
        self._on_change()

        def moved(up: int, down: int) -> None:
            one.sent_bytes += up
            one.received_bytes += down
            forward.sent_bytes += up
            forward.received_bytes += down

        silent_s = BASH_SILENT_S if await pipe_tool(connection) == "bash" else SILENT_S
        try:
            await carry(one.reader, one.writer, pipe, silent_s=silent_s, moved=moved)
        finally:
            forward.open -= 1
            await pipe.close()
        if not one.received_bytes and (said := refusal(pipe)):
            address.forget()
            raise OperatorError(f"{forward.service} port {forward.port}: {said}", host=forward.host)

    async def _address(self, forward: Forward, connection: Connection) -> ContainerAddress:
        """Where the container is, asked anew on a new connection."""
        from vpai_tui.remote.bridge import ContainerAddress

        if forward.place is None or forward.place[0] is not connection:
            stack, name = find_service(self._stacks, forward.service)
            container = await container_of(self._engine(connection), stack, name)
            forward.place = (connection, ContainerAddress(connection, container.name))
        return forward.place[1]

    def _note(self, forward: Forward, result: str, detail: str) -> None:
        at = rfc3339(self._clock.now())
        self._history.append(Entry(at, who(), forward.host, "forward", forward.service, result, detail))


def _port_of(stack: Stack, name: str) -> int:
    """Its port by stack.yaml. UsageError where that names none."""
    port = next((it.port for it in stack.spec.access if it.service == name and it.port), None)
    if port is None:
        raise UsageError(
            f"stack.yaml of {stack.id} names no port of {name}", remedy=f"vpai-tui forward {stack.id}/{name} PORT"
        )
    return port


async def _listen(
    accepted: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object], port: int, local: int | None
) -> asyncio.Server:
    """On loopback: `local`, else `port`, else any. UsageError when `local` cannot be had."""
    wanted = local if local is not None else port if port >= _LOWEST else 0
    try:
        return await asyncio.start_server(accepted, LOOPBACK, wanted)  # type: ignore[arg-type]
    except OSError as error:
        if local is not None or error.errno not in (errno.EADDRINUSE, errno.EACCES):
            why = "is taken" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
            raise UsageError(f"port {wanted} of this laptop {why}", remedy="another --local, or none") from error
    return await asyncio.start_server(accepted, LOOPBACK, 0)  # type: ignore[arg-type]
