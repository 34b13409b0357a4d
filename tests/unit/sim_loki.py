"""A Loki of a few lines of Python, as `logs.live` needs it: exact storage, and a tail that loses, doubles and reorders.

It runs in virtual time: an hour passes as fast as its events can be computed.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from vpai_tui.errors import LinkLost, OperatorError
from vpai_tui.logs.client import ascending
from vpai_tui.logs.model import SECOND_NS, Entry, Labels
from vpai_tui.logs.way import End, TailEnd
from vpai_tui.logs.wire import Cost, Frame, Lines, LokiError

T = TypeVar("T")
START_NS = 1_795_168_800 * SECOND_NS
STREAMS: tuple[Labels, ...] = tuple((("container", name), ("job", "docker")) for name in ("caddy", "n8n", "redis"))


class _Jumping(selectors.DefaultSelector):
    """Waits for no time at all: what it would have waited is added to the loop's clock."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("everything waits for something that will never come")
        if timeout > 0:
            self.loop.now_s += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.now_s = 0.0
        selector = _Jumping()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now_s


def in_virtual_time(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


@dataclass(eq=False)
class _Tail:
    frame: Callable[[Frame], None]
    ended: asyncio.Future[TailEnd]


@dataclass
class SimLoki:
    """`push` stores; what tails see of it is the caller's to say."""

    most: int = 5000
    latency_s: float = 0.02
    tail_most_s: float = 3600.0
    down: bool = False  # questions and tails find nobody
    refused: bool = False  # the host is there, and nobody listens
    no_slots: bool = False
    stored: dict[tuple[int, Labels, bytes], float] = field(default_factory=dict)  # when it was stored
    hidden: set[tuple[int, Labels, bytes]] = field(default_factory=set)  # tails see it, questions do not
    tails: list[_Tail] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    opened: int = 0
    starts: list[int] = field(default_factory=list)
    wrong: str = ""  # what is wrong with the query
    uncountable: bool = False
    believed_ahead_s: float = 0.0

    def now_ns(self) -> int:
        """What a client takes for the server's time."""
        return self.server_ns() + int(self.believed_ahead_s * SECOND_NS)

    def server_ns(self) -> int:
        return START_NS + int(asyncio.get_running_loop().time() * SECOND_NS)

    # ── what the world does ──────────────────────────────────────────────────────────────────────────────────────────

    def push(self, entries: Iterable[Entry]) -> None:
        now = asyncio.get_running_loop().time()
        for entry in entries:
            self.stored.setdefault(entry.identity, now)

    def show(self, entries: Iterable[Entry], dropped: int = 0) -> None:
        for tail in list(self.tails):
            if not tail.ended.done():
                tail.frame(Frame(list(entries), dropped))

    def end_tails(self, end: TailEnd) -> None:
        for tail in self.tails:
            if not tail.ended.done():
                tail.ended.set_result(end)

    def found(self, from_ns: int, to_ns: int) -> list[tuple[int, Labels, bytes]]:
        return [it for it in self.stored if from_ns <= it[0] < to_ns and it not in self.hidden]

    # ── what a client asks ───────────────────────────────────────────────────────────────────────────────────────────

    async def _answer(self, what: str) -> None:
        self.asked.append(what)
        await asyncio.sleep(self.latency_s)
        if self.down:
            raise LinkLost("the link is down", host="box")
        if self.refused:
            raise OperatorError("loki: connection refused", host="box")
        if self.wrong:
            raise LokiError(self.wrong, status=400)

    async def validate(self, query: str) -> None:
        await self._answer("validate")

    async def lines(self, query: str, from_ns: int, to_ns: int, *, limit: int, forward: bool) -> Lines:
        await self._answer("lines")
        assert limit <= self.most
        found = sorted(self.found(from_ns, to_ns), key=lambda it: it[0], reverse=not forward)[:limit]
        by_stream = sorted((Entry(*it) for it in found), key=lambda entry: entry.labels)
        return Lines(ascending(by_stream, forward=forward), Cost())

    async def count(self, query: str, from_ns: int, to_ns: int) -> int:
        await self._answer("count")
        if self.uncountable:
            raise LokiError("pipeline error", status=400)
        return len(self.found(from_ns, to_ns))

    async def tail(
        self, query: str, start_ns: int, *, limit: int, opened: Callable[[], None], frame: Callable[[Frame], None]
    ) -> TailEnd:
        await asyncio.sleep(self.latency_s)
        if self.down:
            raise LinkLost("the link is down", host="box")
        if self.refused:
            raise OperatorError("loki: connection refused", host="box")
        opened()
        if self.no_slots:
            return TailEnd(End.SLOTS, "max concurrent tail requests limit exceeded, count > limit (11 > 10)", 1011)
        if start_ns > self.server_ns():
            return TailEnd(End.FUTURE, "this data is no longer available", 1011)
        self.opened += 1
        self.starts.append(start_ns)
        tail = _Tail(frame, asyncio.get_running_loop().create_future())
        self.tails.append(tail)
        try:
            history = sorted(self.found(start_ns, self.server_ns()))[-limit:]
            if history:
                frame(Frame([Entry(*it) for it in history]))
            async with asyncio.timeout(self.tail_most_s):
                return await tail.ended
        except TimeoutError:
            return TailEnd(End.ROLLOVER, "reached tail max duration limit", 1011)
        finally:
            self.tails.remove(tail)


def entry(at_s: float, text: str = "", stream: int = 0, ns: int = 0) -> Entry:
    """A line stamped so many seconds after the start."""
    return Entry(START_NS + int(at_s * SECOND_NS) + ns, STREAMS[stream], (text or f"line at {at_s}").encode())
