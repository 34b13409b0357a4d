"""A query followed live, with the proof that nothing is missing: Loki's tail loses, doubles and hides what it lost.

Backfill (which validates), tail; every line goes into the ordered buffer once. Some seconds behind, stretch by stretch,
what is here is counted against Loki's own count; where they differ the stretch is paged, and what the tail lost is
marked `recovered`. The same mends every outage: the tail is only a hint of what is new.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Protocol

from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.keep import Keeper
from vpai_tui.logs.model import SECOND_NS, Backfilled, Dropped, Entry, Event, LinesCame, Mark
from vpai_tui.logs.pace import Pace
from vpai_tui.logs.pages import Pageable, newest
from vpai_tui.logs.prove import Prover
from vpai_tui.logs.way import TailEnd
from vpai_tui.logs.wire import Frame

AHEAD_NS = 600 * SECOND_NS  # Loki takes lines of clocks that are so far ahead
_TOGETHER = 5000  # lines of one event


class Loki(Pageable, Protocol):
    """What following needs of a client, or of what makes clients anew as connections come and go."""

    def now_ns(self) -> int: ...

    async def validate(self, query: str) -> None: ...

    async def count(self, query: str, from_ns: int, to_ns: int) -> int: ...

    async def tail(
        self, query: str, start_ns: int, *, limit: int, opened: Callable[[], None], frame: Callable[[Frame], None]
    ) -> TailEnd: ...


async def follow(
    loki: Loki, query: str, buffer: Buffer, *, lines: int = 1000, since_s: float = 3600.0, pace: Pace | None = None
) -> AsyncGenerator[Event, None]:
    """What happens while `query` is followed, for ever: the newest `lines` of the last `since_s` seconds first.

    `buffer` is filled as it goes, whether or not the events are taken. Close the iterator (`aclosing`) to end it.

    Raises:
        LokiError: the query is wrong, or Loki refuses to follow it.
        OperatorError: it cannot be reached at the start. Later losses are events.
    """
    following = Following(loki, query, buffer, pace or Pace())
    try:
        await following.begin(lines, since_s)
        while True:
            yield await following.next()
    finally:
        await following.end()


class Following:
    """One query being followed: what its two tasks, the tail's and the count's, share."""

    def __init__(self, loki: Loki, query: str, buffer: Buffer, pace: Pace) -> None:
        self.loki = loki
        self.query = query
        self.buffer = buffer
        self.pace = pace
        self.newest_ns = 0  # of all lines that came
        self._prover = Prover(self)
        self._keeper = Keeper(self)
        self._events: deque[Event] = deque()
        self._failure: BaseException | None = None
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self, lines: int, since_s: float) -> None:
        """Backfills, then starts the tasks. A query that can be asked for lines can be followed; no other is."""
        now = self.loki.now_ns()
        from_ns = max(now - int(since_s * SECOND_NS), 0)
        found, complete = await newest(self.loki, self.query, from_ns, now + AHEAD_NS, max(lines, 1))
        if found and not complete:
            from_ns = found[0].ns + 1  # its own nanosecond may hold more of them
        self.buffer.from_ns = found[0].ns if found and not complete else from_ns
        self.take(found)
        self._prover.begin(from_ns)
        newest_ns = found[-1].ns if found else now
        self.say(Backfilled(len(found), from_ns, newest_ns, complete))
        for work in (self._keeper.run(), self._prover.run()):
            task = asyncio.create_task(work)
            task.add_done_callback(self._task_ended)
            self._tasks.append(task)

    async def end(self) -> None:
        """Stops everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def next(self) -> Event:
        """The next event; the failure of a task once all events before it have been taken."""
        while not self._events:
            if self._failure is not None:
                raise self._failure
            self._news.clear()
            await self._news.wait()
        return self._events.popleft()

    def say(self, event: Event) -> None:
        """Lines that nobody has taken yet are told together."""
        last = self._events[-1] if self._events else None
        if isinstance(event, LinesCame) and isinstance(last, LinesCame) and len(last.lines) < _TOGETHER:
            self._events[-1] = LinesCame(last.lines + event.lines)
        else:
            self._events.append(event)
        self._news.set()

    def take(self, entries: list[Entry], mark: Mark = Mark.NONE) -> int:
        """Puts lines into the buffer and tells of the new ones; how many they were."""
        if not entries:
            return 0
        buffer, lag_ns = self.buffer, int(self.pace.settle_s * SECOND_NS)
        came = buffer.add(entries, mark, counted_to=self._prover.counted_ns, lag_ns=lag_ns)
        self.newest_ns = max(self.newest_ns, buffer.newest_ns or 0)
        if came:
            self.say(LinesCame(tuple(came)))
        return len(came)

    def heard(self, frame: Frame) -> None:
        """A message of the tail."""
        self.take(frame.entries)
        if frame.dropped:
            self.say(Dropped(frame.dropped))
        if frame.dropped or len(frame.entries) >= self.pace.full_frame:
            self._prover.hurry()

    def tail_is_back(self) -> None:
        """What went by meanwhile is to be counted at once."""
        self._prover.hurry()

    def way_is_back(self) -> None:
        """Loki answers again: the tail need not wait for its turn."""
        self._keeper.retry()

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and self._failure is None:
            self._failure = error
            self._news.set()
