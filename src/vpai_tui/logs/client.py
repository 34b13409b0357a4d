"""Loki's HTTP API: lines, counts, labels, costs, and the tail. Only integers of ns go out, never beyond 2^63."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vpai_tui.clock import Clock
from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.logs import wire
from vpai_tui.logs.model import LATEST_NS, SECOND_NS, Entry
from vpai_tui.logs.way import Params, TailEnd, Way, header_date_s, params_of
from vpai_tui.logs.wire import Cost, Frame, Lines, LokiError, Reader, Series

API = "/loki/api/v1"
PAGE = 5000  # lines; what Loki allows by default
QUERY_TIMEOUT_S = 75.0  # Loki's own is a minute
LOOK_TIMEOUT_S = 10.0
AT_ONCE = 2  # one to prove, one to look: the server has half a core
_STAGE = re.compile(r"\|\s*[a-z_]")  # a parser or formatter, which may put __error__ on a line
_LIMIT = re.compile(r"max_entries_limit\w* \(\d+ > (\d+)\)")
_MS = 1_000_000  # ns
_FINE_KEPT = 256
_CLOCK_STEPPED_S = 3.0


@dataclass(frozen=True, slots=True)
class Build:
    """What Loki says of itself."""

    version: str
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Stats:
    """What the store holds of a query; what the ingester still has (the last hour or two) is not in it."""

    streams: int
    chunks: int
    bytes: int
    entries: int


class ServerClock:
    """The server's time, from the `Date` of its answers: never ahead of it, and behind by a second at most."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead_s: float | None = None  # of our boot clock, at least

    def heard(self, date: str, took_s: float = 0.0) -> None:
        """The `Date` of an answer that took so long: it may have been stamped when that began to come."""
        told = header_date_s(date)
        if told is None:
            return
        ahead = told - self._clock.boot_s()
        known = self._ahead_s
        if known is None or ahead > known or ahead < known - took_s - _CLOCK_STEPPED_S:
            self._ahead_s = ahead

    def now_ns(self) -> int:
        if self._ahead_s is None:
            return int(self._clock.now().timestamp() * 1_000_000) * 1000
        return int((self._clock.boot_s() + self._ahead_s) * 1_000_000) * 1000

    @property
    def skew_s(self) -> float | None:
        """How far this machine's clock is ahead of the server's, to about a second; None before the first answer."""
        if self._ahead_s is None:
            return None
        return self._clock.now().timestamp() - (self._clock.boot_s() + self._ahead_s)


class LokiClient:
    """One Loki behind one `Way`. Failures are OperatorErrors; LokiError is Loki's own word."""

    def __init__(self, way: Way, clock: Clock, server_clock: ServerClock | None = None) -> None:
        self._way = way
        self._reader = Reader()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._most = PAGE
        self._fine: set[str] = set()  # queries of which the server took every stage
        self.clock = server_clock or ServerClock(clock)
        self._boot_s = clock.boot_s

    @property
    def host(self) -> str:
        return self._way.host

    def now_ns(self) -> int:
        """The server's time, as far as it is known."""
        return self.clock.now_ns()

    async def close(self) -> None:
        await self._way.close()

    # ── lines ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def validate(self, query: str) -> None:
        """Raises LokiError when the query is wrong: a tail of some wrong queries opens, and is silent for ever.

        With labels kept apart, Loki 3.6 answers a bad expression or template in a stage with no lines and no word.
        """
        if query in self._fine:
            return
        now = self.now_ns()
        params = params_of(query=query, start=_ns(now - SECOND_NS), end=_ns(now), limit=1)
        self._reader.lines(await self._ask("query_range", params, query, apart=False))
        if len(self._fine) >= _FINE_KEPT:
            self._fine.clear()
        self._fine.add(query)

    async def lines(self, query: str, from_ns: int, to_ns: int, *, limit: int, forward: bool) -> Lines:
        """At most `limit` lines of `[from_ns, to_ns)`, the oldest or the newest; in ascending order of time.

        Where the server allows fewer at once, fewer come: `most` tells.
        """
        if to_ns <= from_ns:
            return Lines([], Cost())
        asked = min(limit, self._most)
        params = params_of(
            query=query,
            start=_ns(from_ns),
            end=_ns(to_ns),
            limit=asked,
            direction="forward" if forward else "backward",
        )
        try:
            body = await self._ask("query_range", params, query)
        except LokiError as error:
            allowed = _LIMIT.search(error.message)
            if allowed is None or int(allowed[1]) >= asked:
                raise
            self._most = max(int(allowed[1]), 1)
            return await self.lines(query, from_ns, to_ns, limit=limit, forward=forward)
        found = self._reader.lines(body)
        if not found.entries:
            await self.validate(query)
        return Lines(ascending(found.entries, forward=forward), found.cost)

    @property
    def most(self) -> int:
        """The most lines that come at once."""
        return self._most

    async def tail(
        self, query: str, start_ns: int, *, limit: int, opened: Callable[[], None], frame: Callable[[Frame], None]
    ) -> TailEnd:
        """Follows `query` until the server or the link ends it; `frame` takes what comes and must not wait."""
        read = self._reader.frame
        params = params_of(query=query, start=_ns(start_ns), limit=limit)
        return await self._way.tail(f"{API}/tail", params, opened, lambda text: frame(read(text)))

    # ── counts ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def count(self, query: str, from_ns: int, to_ns: int) -> int:
        """How many lines of `query` Loki has in `[from_ns, to_ns)`, exact to the nanosecond."""
        if to_ns <= from_ns:
            return 0
        # An instant count is (t - W, t]: one nanosecond earlier it is ours. W is in milliseconds at the least: what
        # the window has too much, less than one of them, is read and taken off.
        span_ms = -(-(to_ns - from_ns) // _MS)
        expression = f"sum(count_over_time({countable(query)} [{span_ms}ms]))"
        body = await self._ask("query", params_of(query=expression, time=_ns(to_ns - 1)), query)
        found = round(sum(value for it in wire.numbers(body) for _, value in it.points))
        start_ns = max(to_ns - span_ms * _MS, 0)
        if found and start_ns < from_ns:
            found -= len((await self.lines(query, start_ns, from_ns, limit=PAGE, forward=True)).entries)
        return found

    async def counts(
        self, query: str, from_ns: int, to_ns: int, step_s: int, by: Sequence[str] = ()
    ) -> tuple[Series, ...]:
        """Counts per step, by the values of `by`: a point at t counts `(t - step, t]`; a missing one is 0.

        Points lie on multiples of the step: from the one after `from_ns` to the one at or after `to_ns`.
        """
        group = f" by ({', '.join(by)})" if by else ""
        expression = f"sum{group}(count_over_time({countable(query, always=bool(by))} [{step_s}s]))"
        first = (from_ns // SECOND_NS // step_s + 1) * step_s
        last = -(-to_ns // SECOND_NS // step_s) * step_s
        body = await self._ask(
            "query_range", params_of(query=expression, start=first, end=max(last, first), step=step_s), query
        )
        return wire.numbers(body)

    async def stats(self, query: str, from_ns: int, to_ns: int) -> Stats:
        """What the store would have to read; `query` is a selector alone."""
        body = await self._ask("index/stats", params_of(query=query, start=_ns(from_ns), end=_ns(to_ns)), query)
        told = wire.load(body, "stats")
        told = told if isinstance(told, dict) else {}
        return Stats(*(wire.whole(told.get(key)) for key in ("streams", "chunks", "bytes", "entries")))

    # ── what there is ────────────────────────────────────────────────────────────────────────────────────────────────

    async def labels(self, from_ns: int, to_ns: int) -> tuple[str, ...]:
        params = params_of(start=_ns(from_ns), end=_ns(to_ns))
        found = wire.names(await self._ask("labels", params, timeout_s=LOOK_TIMEOUT_S), "labels")
        return tuple(name for name in found if name != wire.SHARD)

    async def values(self, label: str, from_ns: int, to_ns: int) -> tuple[str, ...]:
        """The values of a label: what the store's cache and the ingester know of that span."""
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", label):
            raise UsageError(f"{label!r} is no label")
        params = params_of(start=_ns(from_ns), end=_ns(to_ns))
        return wire.names(await self._ask(f"label/{label}/values", params, timeout_s=LOOK_TIMEOUT_S), label)

    async def series(self, selector: str, from_ns: int, to_ns: int) -> tuple[Mapping[str, str], ...]:
        """The label sets of all streams of a selector."""
        params: Params = [("match[]", selector), *params_of(start=_ns(from_ns), end=_ns(to_ns))]
        return wire.series(await self._ask("series", params, selector, timeout_s=LOOK_TIMEOUT_S))

    async def build(self) -> Build:
        told = wire.load(await self._ask("status/buildinfo", [], timeout_s=LOOK_TIMEOUT_S), "buildinfo")
        told = told if isinstance(told, dict) else {}
        return Build(wire.word(told.get("version")), wire.word(told.get("revision")))

    async def _ask(
        self, path: str, params: Params, query: str = "", *, timeout_s: float = QUERY_TIMEOUT_S, apart: bool = True
    ) -> bytes:
        async with self._turns:
            asked_s = self._boot_s()
            answer = await self._way.get(f"{API}/{path}", params, timeout_s=timeout_s, apart=apart)
        self.clock.heard(answer.date, self._boot_s() - asked_s)
        if not 200 <= answer.status < 300:
            raise wire.refused(answer.status, answer.body, query, self._way.host)
        return answer.body


def ascending(entries: list[Entry], *, forward: bool) -> list[Entry]:
    """Stream by stream as Loki sends them, into one order of time; inside one nanosecond as they were written."""
    if not forward:
        entries = entries[::-1]  # each stream came newest first
    return sorted(entries, key=lambda entry: entry.ns)


def countable(query: str, *, always: bool = False) -> str:
    """`query` as the inside of a count: a line that a parser fails on is a line all the same.

    The newline keeps a comment at its end from taking in what follows.
    """
    return f"{query}\n| drop __error__, __error_details__" if always or _STAGE.search(query) else f"{query}\n"


def _ns(value: int) -> int:
    """A time that may be sent.

    Raises:
        OperatorError: it lies outside of what Loki can take.
    """
    if not 0 <= value <= LATEST_NS:
        raise OperatorError(f"{value} ns is no time that Loki knows", step="loki", remedy="a time from 1970 to 2262")
    return value
