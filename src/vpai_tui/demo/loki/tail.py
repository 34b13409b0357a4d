"""The tail: history, then what comes in; it loses, repeats and holds back lines as the real one does."""

from __future__ import annotations

import hashlib
import heapq
from collections import deque
from typing import Any

from vpai_tui.demo.loki import params, shapes, syntax
from vpai_tui.demo.loki.metrics import Work
from vpai_tui.demo.loki.model import Arrived, Key, Labels, Refused, S
from vpai_tui.demo.loki.params import one
from vpai_tui.demo.loki.parser import parse
from vpai_tui.demo.loki.server import Loki, Request, in_order, lines
from vpai_tui.demo.loki.stages import Pipeline, Row, matches

POLL_S = 0.5
FRAME = 100  # entries in a frame at most
BURST = 2000  # entries of one poll that surely get through; more come in a flood, or while the reader sleeps
NOTED = 1000  # dropped entries that are reported at most
_REASON_BYTES = 123  # what fits a close frame
_RPC = "rpc error: code = Code(400) desc = "


class Ended(Exception):
    """The server ends the tail: with a close frame, or (1006) by hanging up."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(reason)
        fits = len(reason.encode()) <= _REASON_BYTES
        self.code, self.reason = (code, reason) if fits else (1006, "")


class Tail:
    """One tail. Refused(400) before the upgrade for what the parser or a limit refuses."""

    def __init__(self, loki: Loki, request: Request) -> None:
        given = request.params
        self._loki = loki
        self._query = parse(one(given, "query"))
        self._limit = params.limit(given)
        self._delay = params.integer(given, "delay_for", 0)
        if self._delay > 5:
            raise Refused(400, "delay_for can't be greater than 5")
        self._now = loki.now()
        self._start = params.time_ns(text, "start") if (text := one(given, "start")) else self._now - 3600 * S
        self._flags = request.flags
        self._queue: deque[str] = deque()
        self._dropped: list[dict[str, Any]] = []
        self._head: Arrived | None = None
        self._held: list[tuple[int, int, Arrived]] = []
        self._count = 0
        self._pipeline: Pipeline | None = None
        self._began = self._now
        self._restarted = loki.faults().restarted

    # ── its life ─────────────────────────────────────────────────────────────────────────────────────────────────

    def open(self) -> None:
        """After the upgrade: take a slot, and queue the history. Ended where it is refused only now."""
        count = len(self._loki.tails) + int(self._loki.faults().tails_taken) + 1
        if count > self._loki.max_tails:
            told = f"max concurrent tail requests limit exceeded, count > limit ({count} > {self._loki.max_tails})"
            raise Ended(1011, _RPC + told)
        if not isinstance(self._query, syntax.Log):
            raise Ended(1011, "only log selector is supported")
        if self._start > self._now:
            raise Ended(1011, f"{_RPC}this data is no longer available, it is past now - max_query_lookback (0s)")
        try:
            params.check_range(params.Bounds(self._start, self._now))
        except Refused as error:
            raise Ended(1011, _RPC + error.text) from None
        self._loki.tails.add(self)
        try:
            self._pipeline = Pipeline(self._query.stages)
        except Refused:
            return  # a stage that cannot run: the real one retries for ever, and says nothing
        self._loki.source.arrivals(lambda _: False, self._now, self._now)  # what is pushed from here on is live
        window = params.Bounds(self._start, self._now)
        rows = in_order(lines(self._loki, self._query, window, Work()), forward=False)[: self._limit]
        self._put(rows[::-1], live=False)

    def close(self) -> None:
        """Give the slot back."""
        self._loki.tails.discard(self)

    def poll(self) -> None:
        """Queue what came in since the last time. Ended when its time is over or the server has gone."""
        now, faults = self._loki.now(), self._loki.faults()
        if faults.gone(now) or faults.restarted != self._restarted or not self._loki.alive():
            raise Ended(1006)
        if now - self._began >= self._loki.max_duration_s * S:
            raise Ended(1011, "reached tail max duration limit")
        if self._pipeline is None or not isinstance(self._query, syntax.Log):
            return
        arrived = self._loki.source.arrivals(matches(self._query.matchers), self._now, now)
        self._now = now
        rows = []
        for item in self._due(self._repeated(_merged(arrived), faults.duplicating), now):
            row = self._pipeline.run(dict(item.stream), item.entry)
            if row is not None and not self._lost(item, row, faults.lossy):
                rows.append(row)
        self._put(rows, live=True)

    def frames(self) -> list[str]:
        """What is to be sent."""
        found = list(self._queue)
        self._queue.clear()
        return found

    # ── what comes in ────────────────────────────────────────────────────────────────────────────────────────────

    def _due(self, arrived: list[Arrived], now: int) -> list[Arrived]:
        """With a delay they are held back and sorted, but none gets before the one that already waits."""
        if not self._delay:
            return arrived
        for item in arrived:
            self._count += 1
            if self._head is None:
                self._head = item
            else:
                heapq.heappush(self._held, (item.entry.ts, self._count, item))
        found = []
        while self._head is not None and self._head.entry.ts <= now - self._delay * S:
            found.append(self._head)
            self._head = heapq.heappop(self._held)[2] if self._held else None
        return found

    def _repeated(self, arrived: list[Arrived], share: float) -> list[Arrived]:
        """Some twice: an entry is emitted anew when a batch arrives while it is being read."""
        if not share:
            return arrived
        again = [item for item in arrived if _chance(item, "again") < share]
        return arrived + again

    def _lost(self, item: Arrived, row: Row, share: float) -> bool:
        """Whether it gets lost; a third of what does is reported."""
        if not share or (chance := _chance(item, "lost")) >= share:
            return False
        if chance < share / 3:
            self._note(row)
        return True

    def _note(self, row: Row) -> None:
        if len(self._dropped) < NOTED:
            self._dropped.append({"timestamp": str(row.ts), "labels": row.stream})

    # ── what goes out ────────────────────────────────────────────────────────────────────────────────────────────

    def _put(self, rows: list[Row], *, live: bool) -> None:
        if live and len(rows) > BURST:
            rows = rows[:BURST] + self._through(rows[BURST:])
        for at in range(0, len(rows), FRAME):
            self._queue.append(self._frame(rows[at : at + FRAME], live=live))

    def _through(self, rows: list[Row]) -> list[Row]:
        """Of a burst's rest: four of ten get through, three are reported, three vanish."""
        found = []
        for place, row in enumerate(rows):
            if place % 10 < 4:
                found.append(row)
            elif place % 10 < 7:
                self._note(row)
        return found

    def _frame(self, rows: list[Row], *, live: bool) -> str:
        apart = shapes.CATEGORIZE in self._flags
        streams = [
            {"stream": self._labels(row, live=live, apart=apart), "values": [shapes.value(row, apart=apart)]}
            for row in rows
        ]
        document: dict[str, Any] = {"streams": streams}
        if self._dropped:
            document["dropped_entries"], self._dropped = self._dropped, []
        if self._flags:
            document["encodingFlags"] = self._flags
        return shapes.encoded(document)

    def _labels(self, row: Row, *, live: bool, apart: bool) -> Labels:
        """Where they are not kept apart, a live line of a query without stages has its stream's labels alone."""
        bare = isinstance(self._query, syntax.Log) and not self._query.stages
        return dict(sorted((row.stream if apart or (live and bare) else row.labels()).items()))


def _merged(arrived: list[Arrived]) -> list[Arrived]:
    """As the server merges: each push of a stream in its own order, together by time, the same line only once."""
    pushes: dict[tuple[int, Key], deque[Arrived]] = {}
    for item in arrived:
        pushes.setdefault((item.at, item.stream), deque()).append(item)
    heads = [(waiting[0].entry.ts, number, waiting) for number, waiting in enumerate(pushes.values())]
    heapq.heapify(heads)
    found: dict[tuple[Key, int, str], Arrived] = {}
    while heads:
        _, number, waiting = heapq.heappop(heads)
        item = waiting.popleft()
        found.setdefault((item.stream, item.entry.ts, item.entry.line), item)
        if waiting:
            heapq.heappush(heads, (waiting[0].entry.ts, number, waiting))
    return list(found.values())


def _chance(item: Arrived, what: str) -> float:
    """A number in [0, 1) that depends on the entry only."""
    text = f"{what} {item.stream} {item.entry.ts} {item.entry.line}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big") / (1 << 32)
