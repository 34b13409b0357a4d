"""Loki on whatever connection its host has now: found again after a loss, a restart or a recreate."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

import httpx

from vpai_tui.clock import Clock
from vpai_tui.config import Fleet
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.containers import Engine
from vpai_tui.fleet.stacks import Stack
from vpai_tui.logs.client import PAGE, Build, LokiClient, ServerClock, Stats
from vpai_tui.logs.find import Place, container_at, places
from vpai_tui.logs.way import End, OverHttp, TailEnd
from vpai_tui.logs.wire import Frame, Lines, LokiError, Series
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.failures import NoAnswer, link_lost
from vpai_tui.remote.http import as_operator_error, http_client

T = TypeVar("T")
Connect = Callable[[str], Awaitable[Connection]]
EngineOf = Callable[[Connection], Engine]


class Link:
    """Hands out the client and asks through it; made cheap, nothing is asked before the first question."""

    def __init__(self, fleet: Fleet, stacks: Sequence[Stack], connect: Connect, engine: EngineOf, clock: Clock) -> None:
        self._places = places(fleet, stacks)
        self._connect = connect
        self._engine = engine
        self._clock = clock
        self._server_clock = ServerClock(clock)
        self._client: LokiClient | None = None
        self._connection: Connection | None = None
        self._making = asyncio.Lock()
        self.place = self._places[0]
        self.version = ""  # Loki's, once it has answered

    async def client(self) -> LokiClient:
        """The client on the live connection.

        Raises:
            OperatorError: no host can be reached that has it, or it does not run.
        """
        async with self._making:
            if self._client is not None and self._connection is not None and not self._connection.closed:
                return self._client
            await self._drop()
            failures: list[OperatorError] = []
            for place in self._places:
                try:
                    self._client = await self._make(place)
                except OperatorError as error:
                    failures.append(error)
                else:
                    self.place = place
                    self._places = [place]
                    return self._client
        raise failures[0]

    async def _make(self, place: Place) -> LokiClient:
        connection = await self._connect(place.host)
        name = (await container_at(place, self._engine(connection))).name
        self._connection = connection

        def make() -> httpx.AsyncClient:
            return http_client(connection, container=name, base_url=f"http://{name}:{place.port}")

        way = OverHttp(place.host, make, lambda error: as_operator_error(error, connection, "loki"))
        client = LokiClient(way, self._clock, self._server_clock)
        try:
            self.version = (await client.build()).version  # the first answer tells Loki's clock too
        except BaseException:
            await client.close()
            raise
        return client

    async def close(self) -> None:
        """Lets go; the connection is not ours."""
        async with self._making:
            await self._drop()

    async def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(OperatorError, httpx.HTTPError, OSError):
                await client.close()

    async def _through(self, work: Callable[[LokiClient], Awaitable[T]]) -> T:
        client = await self.client()
        try:
            return await work(client)
        except (LokiError, NoAnswer):
            raise
        except OperatorError:
            async with self._making:  # it is looked for again: another container, or another connection
                if client is self._client:
                    await self._drop()
            raise

    # ── what a client does ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def most(self) -> int:
        return self._client.most if self._client is not None else PAGE

    def now_ns(self) -> int:
        return self._server_clock.now_ns()

    @property
    def skew_s(self) -> float | None:
        """How far this machine's clock is ahead of Loki's; None before the first answer."""
        return self._server_clock.skew_s

    async def validate(self, query: str) -> None:
        await self._through(lambda it: it.validate(query))

    async def lines(self, query: str, from_ns: int, to_ns: int, *, limit: int, forward: bool) -> Lines:
        return await self._through(lambda it: it.lines(query, from_ns, to_ns, limit=limit, forward=forward))

    async def count(self, query: str, from_ns: int, to_ns: int) -> int:
        return await self._through(lambda it: it.count(query, from_ns, to_ns))

    async def counts(
        self, query: str, from_ns: int, to_ns: int, step_s: int, by: Sequence[str] = ()
    ) -> tuple[Series, ...]:
        return await self._through(lambda it: it.counts(query, from_ns, to_ns, step_s, by))

    async def stats(self, query: str, from_ns: int, to_ns: int) -> Stats:
        return await self._through(lambda it: it.stats(query, from_ns, to_ns))

    async def labels(self, from_ns: int, to_ns: int) -> tuple[str, ...]:
        return await self._through(lambda it: it.labels(from_ns, to_ns))

    async def values(self, label: str, from_ns: int, to_ns: int) -> tuple[str, ...]:
        return await self._through(lambda it: it.values(label, from_ns, to_ns))

    async def series(self, selector: str, from_ns: int, to_ns: int) -> tuple[Mapping[str, str], ...]:
        return await self._through(lambda it: it.series(selector, from_ns, to_ns))

    async def build(self) -> Build:
        return await self._through(lambda it: it.build())

    async def tail(
        self, query: str, start_ns: int, *, limit: int, opened: Callable[[], None], frame: Callable[[Frame], None]
    ) -> TailEnd:
        end = await self._through(lambda it: it.tail(query, start_ns, limit=limit, opened=opened, frame=frame))
        connection = self._connection
        if end.end is End.LOST and connection is not None and connection.closed:
            return TailEnd(End.UNREACHABLE, str(link_lost(connection.name)))
        return end
