"""The tail kept alive: rolled over before its hour ends, opened again after a loss, replaced by polling if need be."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vpai_tui.errors import HostUnreachable, LinkLost, OperatorError
from vpai_tui.logs.model import SECOND_NS, Cause, Disconnected, Gap, Polling, Reconnected, TailOpened
from vpai_tui.logs.pages import pages
from vpai_tui.logs.way import End, TailEnd
from vpai_tui.logs.wire import Frame, LokiError

if TYPE_CHECKING:
    from vpai_tui.logs.live import Following

_QUICK_S = 2.0  # a tail that ends within that did not work
_PROBE_AFTER = 2  # of these in a row, the query is looked at again
_POLL_AFTER = 4
_SURE_S = 0.5  # some are refused right after they were opened
_UNSEEN_S = 10.0  # a dead link is found after about that
_AHEAD_NS = 600 * SECOND_NS


@dataclass(eq=False)
class _Tail:
    """One WebSocket being drained by a task of its own. It is `sure` when it gave a frame, or lived for a moment."""

    task: asyncio.Task[TailEnd] = field(init=False)
    sure: asyncio.Event = field(default_factory=asyncio.Event)
    timer: asyncio.TimerHandle | None = None


class Keeper:
    """Runs as one task; `away` says why there is no tail at the moment."""

    def __init__(self, following: Following) -> None:
        self._of = following
        self._pace = following.pace
        self.away: Cause | None = None
        self._away_since_s = 0.0
        self._away_since_ns = 0
        self._heard_ns = 0  # the server's time when the tail was last known to live
        self._quick = 0  # tails in a row that ended at once
        self._back_s = 2.0  # how far before the server's now a tail begins
        self._opened_once = False
        self._way_is_back = asyncio.Event()
        self._running: set[asyncio.Task[TailEnd]] = set()

    async def run(self) -> None:
        """Until cancelled; raises LokiError when the query cannot be followed at all."""
        delay = self._pace.retry_first_s
        while True:
            began = _now_s()
            end = await self._tails()
            lived = _now_s() - began
            self._quick = self._quick + 1 if lived < _QUICK_S else 0
            if lived >= _QUICK_S:
                delay = self._pace.retry_first_s
            if end.end is End.REFUSED:
                await self._refused(end)
            if end.end is End.ROLLOVER and not self._quick:
                self._lost(Cause.ROLLOVER)
                continue
            if end.end is End.FUTURE and self._back_s < 120:
                self._back_s *= 4
                self._lost(Cause.CLOCK)
                continue
            instead = self._instead(end)
            if instead is not None and await self._poll(instead, end.reason):
                continue
            cause = Cause.LINK if end.end is End.UNREACHABLE else Cause.RESTART
            self._lost(cause)
            if self._quick >= _PROBE_AFTER:
                await self._probe()
            wait = delay * random.uniform(0.8, 1.2)  # noqa: S311 - so that not all come back at once
            self._of.say(Disconnected(cause, end.reason, wait))
            delay = min(delay * 2, self._pace.retry_most_s)
            await self._pause(wait)

    def retry(self) -> None:
        """There is a way again: no more waiting."""
        self._way_is_back.set()

    async def _pause(self, wait_s: float) -> None:
        self._way_is_back.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._way_is_back.wait()

    def _instead(self, end: TailEnd) -> Cause | None:
        """Why lines are to be asked for instead of tailed; None: the tail is tried again first."""
        if end.end in (End.SLOTS, End.REFUSED):
            return Cause.SLOTS if end.end is End.SLOTS else Cause.NO_TAIL
        return Cause.RESTART if self._quick >= _POLL_AFTER and end.end is not End.UNREACHABLE else None

    # ── tails ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _tails(self) -> TailEnd:
        """Tails one after the other, each there before the one before it is closed; how the last one ended."""
        current = self._start()
        try:
            while True:
                done, _ = await asyncio.wait({current.task}, timeout=self._pace.rollover_s)
                if done:
                    return _result(current.task)
                successor = self._start()
                if await self._sure(successor, beside=current):
                    await asyncio.sleep(self._pace.overlap_s)
                    await _cancel(current.task)
                    current = successor
                    self._of.tail_is_back()
                    self._of.say(Reconnected(Cause.ROLLOVER, 0.0))
                else:
                    await _cancel(successor.task)
        finally:
            await asyncio.gather(*(_cancel(task) for task in self._running))

    async def _sure(self, tail: _Tail, *, beside: _Tail) -> bool:
        """Whether the new tail is there, before it or the old one ended."""
        sure = asyncio.create_task(tail.sure.wait())
        try:
            await asyncio.wait({sure, tail.task, beside.task}, timeout=15.0, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sure.cancel()
        return tail.sure.is_set() and not tail.task.done()

    def _start(self) -> _Tail:
        of, tail = self._of, _Tail()
        now = of.loki.now_ns()
        start = min(of.newest_ns or now, now - int(self._back_s * SECOND_NS))

        def sure() -> None:
            if not tail.sure.is_set():
                tail.sure.set()
                self._is_open()

        def opened() -> None:
            tail.timer = asyncio.get_running_loop().call_later(_SURE_S, sure)

        def frame(it: Frame) -> None:
            self._heard_ns = of.loki.now_ns()
            sure()
            of.heard(it)

        def ended(task: asyncio.Task[TailEnd]) -> None:
            self._running.discard(task)
            if tail.timer is not None:
                tail.timer.cancel()

        work = of.loki.tail(of.query, max(start, 0), limit=self._pace.history, opened=opened, frame=frame)
        tail.task = asyncio.create_task(_awaited(work))
        self._running.add(tail.task)
        tail.task.add_done_callback(ended)
        return tail

    def _is_open(self) -> None:
        self._heard_ns = max(self._heard_ns, self._of.loki.now_ns())
        if self.away is None:
            if not self._opened_once:
                self._opened_once = True
                self._of.say(TailOpened(self._heard_ns))
            return
        away_s = _now_s() - self._away_since_s
        if away_s >= 1.0:
            self._of.say(Gap(self._away_since_ns, self._heard_ns, self.away))
        self._of.say(Reconnected(self.away, away_s))
        self.away = None
        self._of.tail_is_back()

    def _lost(self, cause: Cause) -> None:
        if self.away is None:
            self._away_since_s = _now_s()
            now = self._of.loki.now_ns()
            self._away_since_ns = min(max(self._heard_ns, now - int(_UNSEEN_S * SECOND_NS)), now)
        self.away = cause

    async def _refused(self, end: TailEnd) -> None:
        """Raises what Loki has against the query, which a refused upgrade hides; returns when it has nothing."""
        await self._probe()
        if end.code not in (403, 404, 405, 501):  # something on the way that knows no WebSockets
            raise LokiError(f"Loki does not follow this: {end.reason}", status=end.code or 400)

    async def _probe(self) -> None:
        """Raises LokiError when the query has become wrong (a limit was lowered); other failures are the loop's."""
        try:
            await self._of.loki.validate(self._of.query)
        except LokiError as error:
            if error.query_is_wrong:
                raise
        except OperatorError:
            pass

    # ── without a tail ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _poll(self, cause: Cause, detail: str) -> bool:
        """Asks for new lines every other second for a while, then lets the tail be tried again.

        False when Loki does not answer either: then there is nothing but to wait.
        """
        until = _now_s() + self._pace.tail_again_s
        while _now_s() < until:
            try:
                await self._ask()
            except LokiError as error:
                if error.query_is_wrong:
                    raise
                return False
            except OperatorError:
                return False
            if self.away is not cause:
                self._lost(cause)
                self._of.say(Polling(cause, detail, self._pace.poll_s))
            await asyncio.sleep(self._pace.poll_s)
        return True

    async def _ask(self) -> None:
        of, now = self._of, self._of.loki.now_ns()
        seen = of.newest_ns or now
        since = min(seen, now) - int(self._pace.settle_s * SECOND_NS)
        async for page in pages(of.loki, of.query, max(since, 0), now + _AHEAD_NS, forward=True, limit=self._pace.page):
            of.take(page.entries)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _result(task: asyncio.Task[TailEnd]) -> TailEnd:
    """How a tail ended; a failure of the link is an end like others."""
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, LokiError) and error.query_is_wrong:
        return TailEnd(End.REFUSED, error.message, error.status)
    if isinstance(error, LinkLost | HostUnreachable):
        return TailEnd(End.UNREACHABLE, str(error))
    if isinstance(error, OperatorError):
        return TailEnd(End.LOST, str(error))
    raise error


async def _awaited(work: Awaitable[TailEnd]) -> TailEnd:
    return await work


async def _cancel(task: asyncio.Task[TailEnd]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
