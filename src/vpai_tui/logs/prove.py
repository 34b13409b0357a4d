"""The count: stretch by stretch what is here against what Loki has, and what is missing fetched."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from vpai_tui.errors import OperatorError
from vpai_tui.logs.model import SECOND_NS, Cause, Gap, Mark, Uncounted, Window
from vpai_tui.logs.pages import pages
from vpai_tui.logs.wire import LokiError

if TYPE_CHECKING:
    from vpai_tui.logs.live import Following

_TRIES = 3  # while lines still come into a stretch
_NARROW = 6  # windows that are proven at once without a glance first


@dataclass
class _Stretch:
    """A stretch that was counted. `own`: lines here; they may be fewer than `expected` where lines are alike."""

    from_ns: int
    to_ns: int
    expected: int
    own: int
    proven: int


class Prover:
    """Runs as one task. All before `counted_ns` has been counted."""

    def __init__(self, following: Following) -> None:
        self._of = following
        self._pace = following.pace
        self.counted_ns = 0
        self._done: deque[_Stretch] = deque()  # those young enough to be counted again
        self._hurried = asyncio.Event()
        self._uncounted = False  # told already
        self._countable = True  # else windows are proven by fetching them
        self._distrust = False  # the tail shows lines that cannot be queried: equal counts prove nothing
        self._again_at_s = 0.0

    def begin(self, from_ns: int) -> None:
        """Nothing older than `from_ns` is claimed."""
        self.counted_ns = from_ns

    def hurry(self) -> None:
        """Something was lost: count now, not at the end of the window."""
        self._hurried.set()

    async def run(self) -> None:
        """Until cancelled."""
        self._again_at_s = _now_s() + self._pace.again_s
        while True:
            hurried = await self._turn()
            try:
                await self._up_to(self._settled_ns(exactly=hurried))
                if _now_s() >= self._again_at_s:
                    await self._again()
                    self._again_at_s = _now_s() + self._pace.again_s
                if self._uncounted:
                    self._uncounted = False
                    self._of.way_is_back()
            except OperatorError as error:
                await self._failed(error)

    async def _turn(self) -> bool:
        """Waits for the end of a window and its lag, or for a reason to hurry (True)."""
        step = self._pace.window_s * SECOND_NS
        due = _grid(self.counted_ns, step) + int(self._pace.settle_s * SECOND_NS)
        wait_s = max((due - self._of.loki.now_ns()) / SECOND_NS, 0.0)
        try:
            async with asyncio.timeout(max(min(wait_s, float(self._pace.window_s)), 0.05)):
                await self._hurried.wait()
        except TimeoutError:
            return False
        await asyncio.sleep(self._pace.settle_s + 0.5)  # until what was lost just now may be counted
        self._hurried.clear()
        return True

    def _settled_ns(self, *, exactly: bool) -> int:
        """Up to where lines may be counted: the last edge of a window, or with `exactly` to the nanosecond."""
        settled = self._of.loki.now_ns() - int(self._pace.settle_s * SECOND_NS)
        step = self._pace.window_s * SECOND_NS
        return settled if exactly else (settled - 1) // step * step + 1

    async def _failed(self, error: OperatorError) -> None:
        if isinstance(error, LokiError) and error.query_is_wrong and self._countable:
            self._countable = False  # some pipelines cannot be counted: their lines can be listed
            return
        if not self._uncounted:
            self._uncounted = True
            self._of.say(Uncounted(self.counted_ns, self._settled_ns(exactly=True), str(error)))
        await asyncio.sleep(self._pace.retry_count_s)

    # ── forward ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _up_to(self, due_ns: int) -> None:
        """Counts all there is up to `due_ns`, wide stretches first, narrow where something is missing."""
        step = self._pace.window_s * SECOND_NS
        wide = self._pace.widest
        due_ns -= due_ns % 1_000_000  # spans of whole milliseconds are counted with one question
        while self.counted_ns < due_ns:
            self._skip_evicted()
            from_ns = self.counted_ns
            to_ns = min(due_ns, _grid(from_ns, step) + (wide - 1) * step)
            if to_ns <= from_ns:
                return
            if to_ns - from_ns > _NARROW * step:
                wide = await self._wide(from_ns, to_ns)
                continue
            await self._one(from_ns, to_ns)
            wide = min(wide * 2, self._pace.widest)

    async def _wide(self, from_ns: int, to_ns: int) -> int:
        """Proves a wide stretch in one go where all of it is here, or hardly anything; how wide the next may be."""
        of, step = self._of, self._pace.window_s * SECOND_NS
        expected = await of.loki.count(of.query, from_ns, to_ns) if self._countable else 0
        if of.buffer.floor_ns > from_ns:
            return self._pace.widest  # some of it is gone meanwhile: what is left is counted
        own = of.buffer.count(from_ns, to_ns)
        if self._countable and own == expected and not self._distrust:
            edges = [from_ns, *self._pieces(from_ns, to_ns), to_ns]
            for start, end in pairwise(edges):  # nothing is here that Loki has not: so of each piece
                count = of.buffer.count(start, end)
                self._keep(_Stretch(start, end, count, count, count), 0)
            return self._pace.widest
        if self._countable and 2 * own < expected:
            await self._one(from_ns, to_ns)
            return self._pace.widest
        return max((to_ns - from_ns) // step // 4, 1)

    def _pieces(self, from_ns: int, to_ns: int) -> list[int]:
        """Where to divide a wide stretch, so that what may still change is counted again in small pieces."""
        step = self._pace.window_s * SECOND_NS
        first = _grid(max(from_ns, to_ns - int(self._pace.again_over_s * SECOND_NS)), step)
        return list(range(first, to_ns, _NARROW * step))

    async def _one(self, from_ns: int, to_ns: int) -> None:
        found, recovered = await self._prove(from_ns, to_ns)
        if self._of.buffer.floor_ns <= from_ns:  # else it never was here as a whole: what is left is counted next
            self._keep(found, recovered)

    def _keep(self, stretch: _Stretch, recovered: int) -> None:
        self.counted_ns = stretch.to_ns
        self._done.append(stretch)
        self._tell(stretch, recovered)

    def _skip_evicted(self) -> None:
        """Nothing is claimed of lines that were given up before they were counted."""
        floor = self._of.buffer.floor_ns
        if floor > self.counted_ns:
            self._of.say(Gap(self.counted_ns, floor, Cause.EVICTED))
            self.counted_ns = floor

    def _tell(self, stretch: _Stretch, recovered: int) -> None:
        self._of.say(Window(stretch.from_ns, stretch.to_ns, stretch.expected, stretch.proven, recovered))
        if stretch.proven < stretch.expected:
            missing = stretch.expected - stretch.proven
            self._of.say(Gap(stretch.from_ns, stretch.to_ns, Cause.MISSING, missing=missing))

    async def _prove(self, from_ns: int, to_ns: int) -> tuple[_Stretch, int]:
        """Counts a stretch, and fetches it where the counts differ; how many lines that brought.

        What is fetched after the count has at least what was counted: with all of it here the stretch is proven, even
        where more lines are here (Loki gives some to tails before it can be asked for them).
        """
        of, recovered, expected, fetched, own, extra, whole = self._of, 0, 0, 0, 0, 0, True
        for _ in range(_TRIES):
            if self._countable:
                expected = await of.loki.count(of.query, from_ns, to_ns)
                own = of.buffer.count(from_ns, to_ns)
                if own == expected and not self._distrust:
                    return _Stretch(from_ns, to_ns, expected, own, expected), recovered
            fetched, new, whole = await self._fetch(from_ns, to_ns)
            recovered += new
            own = of.buffer.count(from_ns, to_ns)
            self._distrust = self._distrust or (own - fetched == extra and extra > 0)
            extra = max(own - fetched, 0)
            if whole and fetched >= expected and not (extra and not self._distrust):
                return _Stretch(from_ns, to_ns, fetched, own, fetched), recovered
        expected = max(expected, fetched if whole else fetched + 1)
        return _Stretch(from_ns, to_ns, expected, own, fetched), recovered

    async def _fetch(self, from_ns: int, to_ns: int) -> tuple[int, int, bool]:
        """Pages through a stretch: lines that Loki gave, how many of them were new, and whether it gave all."""
        of, given, new, whole = self._of, 0, 0, True
        async for page in pages(of.loki, of.query, from_ns, to_ns, forward=True, limit=self._pace.page):
            given += len(page.entries)
            new += of.take(page.entries, Mark.RECOVERED)
            whole = whole and page.overflow_ns is None
        return given, new, whole

    # ── again ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _again(self) -> None:
        """Counts the last minutes once more, in one question: a line may come late, and get lost on its way too."""
        oldest = self._of.loki.now_ns() - int(self._pace.again_over_s * SECOND_NS)
        floor = self._of.buffer.floor_ns
        while self._done and (self._done[0].to_ns <= oldest or self._done[0].from_ns < floor):
            self._done.popleft()
        if self._done and self._countable and not self._distrust:
            await self._recount(list(self._done))

    async def _recount(self, stretches: list[_Stretch]) -> None:
        """Halves until it is known in which of the stretches something is missing."""
        of = self._of
        expected = await of.loki.count(of.query, stretches[0].from_ns, stretches[-1].to_ns)
        if stretches[0].from_ns < of.buffer.floor_ns:
            return  # it was proven when it was here; the rest has its turn with the next count
        own = [of.buffer.count(it.from_ns, it.to_ns) for it in stretches]
        came = [now - it.own for now, it in zip(own, stretches, strict=True)]
        whole = all(it.proven == it.expected for it in stretches)
        if whole and expected - sum(it.expected for it in stretches) == sum(came):
            for stretch, more in zip(stretches, came, strict=True):
                if more:  # it came by the tail, late
                    self._now(stretch, stretch.expected + more, stretch.own + more, stretch.proven + more, 0)
            return
        if len(stretches) > 1:
            middle = len(stretches) // 2
            await self._recount(stretches[:middle])
            await self._recount(stretches[middle:])
            return
        (stretch,) = stretches
        found, recovered = await self._prove(stretch.from_ns, stretch.to_ns)
        if stretch.from_ns < of.buffer.floor_ns:
            return
        self._now(stretch, found.expected, found.own, found.proven, recovered)

    def _now(self, stretch: _Stretch, expected: int, own: int, proven: int, recovered: int) -> None:
        """Keeps what a stretch was counted as now, and tells it when it is news."""
        changed = recovered or (expected, proven) != (stretch.expected, stretch.proven)
        stretch.expected, stretch.own, stretch.proven = expected, own, proven
        if changed:
            self._tell(stretch, recovered)


def _grid(ns: int, step: int) -> int:
    """The first edge of a window after `ns`: an instant count at a whole number of windows ends there."""
    return (ns - 1) // step * step + step + 1


def _now_s() -> float:
    return asyncio.get_running_loop().time()
