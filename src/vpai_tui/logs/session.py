"""The logs as one thing: who is who, whose lines are asked for, live or past, from Loki or from a container itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from vpai_tui.clock import Clock
from vpai_tui.config import Fleet
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.containers import Engine
from vpai_tui.fleet.stacks import Stack
from vpai_tui.logs import fallback
from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.client import Build
from vpai_tui.logs.find import Directory, Target, containers, target_of
from vpai_tui.logs.link import Link
from vpai_tui.logs.live import AHEAD_NS, follow
from vpai_tui.logs.model import LATEST_NS, SECOND_NS, Event, Labels, Level, Source, moment
from vpai_tui.logs.pace import Pace
from vpai_tui.logs.past import Found, read
from vpai_tui.logs.pick import Picked, among, pick
from vpai_tui.logs.query import containing
from vpai_tui.logs.wire import LokiError

if TYPE_CHECKING:
    from vpai_tui.remote.connection import Connection

_KNOWN_FOR_S = 60.0
_SERIES_OVER_S = 24 * 3600.0
_OWN_FIRST, _OWN_MOST = 5_000, 640_000  # lines of a container's own log that are looked through


@dataclass(frozen=True)
class Surface:
    """What the logs stand on. `connection` hands out the live connection of a host, `engine` its Docker."""

    fleet: Fleet
    stacks: Sequence[Stack]
    connection: Callable[[str], Awaitable[Connection]]
    engine: Callable[[Connection], Engine]
    clock: Clock


@dataclass(frozen=True, slots=True)
class Choice:
    """How a target's lines can be had: `query` for Loki; None: `reason` says why only the container itself is left."""

    target: Target
    query: str | None
    reason: str = ""


class Logs:
    """One per command or cockpit; `close` it. Nothing is asked before the first question."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self.link = Link(surface.fleet, surface.stacks, surface.connection, surface.engine, surface.clock)
        self.directory = Directory(surface.fleet, surface.stacks, self.link.place.host)
        self._series: tuple[Mapping[str, str], ...] = ()
        self._series_at_s = float("-inf")

    async def close(self) -> None:
        await self.link.close()

    @property
    def host(self) -> str:
        """The host that Loki is (looked for) on."""
        return self.link.place.host

    def now_ns(self) -> int:
        """Loki's time where it is known, else this machine's."""
        return self.link.now_ns()

    def source(self, labels: Labels) -> Source:
        return self.directory.source(labels)

    def target(self, text: str) -> Target:
        """What `text` names. UsageError when nothing fits."""
        return target_of(text, self._surface.fleet, self._surface.stacks)

    async def build(self) -> Build:
        """Loki's version. OperatorError when it does not answer."""
        return await self.link.build()

    def now(self) -> datetime:
        """The same as a time in UTC: what `1h` before now is counted from."""
        return moment(self.now_ns())

    async def series(self, over_s: float = _SERIES_OVER_S) -> tuple[Mapping[str, str], ...]:
        """The label sets of all streams that had lines in the last `over_s` seconds; asked once a minute at most."""
        now_s = self._surface.clock.boot_s()
        if now_s - self._series_at_s > _KNOWN_FOR_S:
            now = self.now_ns()
            self._series = await self.link.series("{}", max(now - int(over_s * SECOND_NS), 0), now + AHEAD_NS)
            self._series_at_s = now_s
        return self._series

    async def choose(self, target: Target, *, grep: str = "") -> Choice:
        """The query for a target; whether Loki takes it shows when it is asked. Where it is down, or has nothing of a
        service, the container's own log is left.

        Raises:
            OperatorError: Loki does not answer, and what is wanted is not one service.
        """
        query = target.query
        try:
            await self.link.client()  # times before now are Loki's from here on
            if query is None:
                query = self.directory.selector(target, await self.series())
            if query is not None:
                query = containing(query, grep) if grep else query
        except LokiError as error:
            if error.query_is_wrong or target.service is None:
                raise
            return Choice(target, None, str(error))
        except OperatorError as error:
            if target.service is None:
                raise
            return Choice(target, None, str(error))
        if query is None and target.service is None:
            raise OperatorError(
                f"Loki has no line of {target.name}", host=self.host, step="loki", remedy="see what it has: all"
            )
        return Choice(target, query, "" if query else f"Loki on {self.host} has no line of {target.name}")

    def follow(
        self, choice: Choice, buffer: Buffer, *, lines: int = 1000, since_s: float = 3600.0, pace: Pace | None = None
    ) -> AsyncGenerator[Event, None]:
        """Live, from wherever the choice says. Close it (`aclosing`) to end it."""
        if choice.query is not None:
            return follow(self.link, choice.query, buffer, lines=lines, since_s=since_s, pace=pace)
        return fallback.follow(
            lambda: self._container(choice.target),
            buffer,
            choice.reason,
            lines=lines,
            since_s=since_s,
            now=self._surface.clock.now,
        )

    async def read(self, choice: Choice, buffer: Buffer, from_ns: int, to_ns: int, limit: int) -> Found:
        """The newest `limit` lines of a span, counted where Loki has them."""
        if choice.query is not None:
            return await read(self.link, choice.query, from_ns, to_ns, limit, buffer)
        it = await self._container(choice.target)
        to_ns = to_ns if to_ns < self.now_ns() else LATEST_NS
        lines, complete = await fallback.read(it, buffer, from_ns=from_ns, to_ns=to_ns, limit=limit)
        return Found(lines, None, complete, choice.reason)

    async def pick(self, choice: Choice, from_ns: int, to_ns: int, wanted: int, least: Level) -> Picked:
        """The newest `wanted` lines of a span that are `least` or worse; counted where Loki has them."""
        if choice.query is not None:
            return await pick(self.link, choice.query, from_ns, to_ns, wanted, least)
        it = await self._container(choice.target)
        to_ns = to_ns if to_ns < self.now_ns() else LATEST_NS
        limit = _OWN_FIRST
        while True:
            lines, whole = await fallback.read(it, Buffer(limit + 1), from_ns=from_ns, to_ns=to_ns, limit=limit)
            whole = whole or limit >= _OWN_MOST
            if found := among(lines, wanted, least, whole=whole, reason=choice.reason):
                return found
            limit *= 8

    async def _container(self, target: Target) -> fallback.Spoken:
        """The container of a service as it stands now. OperatorError when there is none."""
        if target.host is None or target.stack is None or target.service is None:
            raise OperatorError(f"{target.name} is no single container")
        engine = self._surface.engine(await self._surface.connection(target.host))
        stack = next(it for it in self._surface.stacks if it.id == target.stack)
        named = self.directory.container(target)
        for it in await containers(engine):
            if (it.project, it.service) == (stack.project, target.service) or it.name == named:
                return await fallback.spoken(engine, it.id, it.name)
        raise OperatorError(f"{target.name} has no container", host=target.host, remedy="vpai-tui status")
