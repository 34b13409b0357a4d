"""What was: the newest lines of a span, pages back and forth, what lies around a line, and what a query will cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vpai_tui.errors import OperatorError
from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.client import Stats
from vpai_tui.logs.model import LATEST_NS, SECOND_NS, Entry, Identity, Labels, Line
from vpai_tui.logs.pages import Pageable, newest, pages
from vpai_tui.logs.query import quoted, selector_of

DEAR_BYTES = 500 * 1024 * 1024  # what half a core reads in some ten seconds
DEAR_SPAN_S = 24 * 3600.0
_IN_MEMORY_S = 2 * 3600.0  # lines that young are with the ingester, and no store knows of them


class Asked(Pageable, Protocol):
    """What the past is asked of."""

    def now_ns(self) -> int: ...

    async def count(self, query: str, from_ns: int, to_ns: int) -> int: ...

    async def stats(self, query: str, from_ns: int, to_ns: int) -> Stats: ...


@dataclass(frozen=True, slots=True)
class Found:
    """Lines of a span: those read, how many Loki has there (None where it would not count), whether older are left."""

    lines: tuple[Line, ...]
    expected: int | None
    complete: bool
    reason: str = ""  # why they were not counted

    @property
    def proven(self) -> bool:
        """Whether every line of the span is here."""
        return self.complete and self.expected == len(self.lines)


@dataclass(frozen=True, slots=True)
class Price:
    """What a query will read, before it is asked. `young`: the span has lines that the store does not know of yet."""

    bytes: int
    entries: int
    streams: int
    young: bool

    @property
    def dear(self) -> bool:
        return self.bytes > DEAR_BYTES


async def read(loki: Asked, query: str, from_ns: int, to_ns: int, limit: int, buffer: Buffer) -> Found:
    """The newest `limit` lines of `[from_ns, to_ns)` into `buffer`, and the count that proves them."""
    entries, complete = await newest(loki, query, from_ns, to_ns, limit)
    expected, reason = None, ""
    try:
        expected = await loki.count(query, from_ns, to_ns)
    except OperatorError as error:
        reason = str(error)
    if expected is not None and complete and expected > len(entries):
        # Lines came between the two questions: what is read after a count has what was counted, and maybe more.
        entries, complete = await newest(loki, query, from_ns, to_ns, limit)
        expected = max(expected, len(entries))
    buffer.from_ns = min(buffer.from_ns or from_ns, from_ns)
    lines = buffer.add(entries)
    if expected is not None:
        alike = len(entries) - len(lines)  # lines that differ in nothing any more after `line_format`
        expected = max(expected - alike, 0)
    return Found(tuple(lines), expected, complete, reason)


async def older(loki: Asked, query: str, buffer: Buffer, limit: int = 1000, back_s: float = 30 * 86400.0) -> int:
    """One page before the oldest line of `buffer` into it; how many lines that were. 0: there are none that old."""
    oldest = buffer.oldest_ns
    to_ns = loki.now_ns() if oldest is None else oldest + 1  # its own nanosecond may have more
    from_ns = max(to_ns - int(back_s * SECOND_NS), 0)
    known = buffer.count(to_ns - 1, to_ns) if oldest is not None else 0
    entries, complete = await newest(loki, query, from_ns, to_ns, limit + known)
    if entries:
        buffer.from_ns = min(buffer.from_ns, from_ns if complete else entries[0].ns)
    return len(buffer.add(entries, newest_go=True))


async def newer(loki: Asked, query: str, buffer: Buffer, to_ns: int, limit: int = 1000) -> int:
    """One page after the newest line of `buffer` into it; how many lines that were."""
    newest_ns = buffer.newest_ns
    if newest_ns is None:
        return 0
    async for page in pages(loki, query, newest_ns, to_ns, forward=True, limit=limit):
        if came := buffer.add(page.entries):
            return len(came)
    return 0


async def around(
    loki: Asked,
    line: Identity,
    *,
    before: int = 20,
    after: int = 20,
    within_s: float = 7200.0,
    query: str | None = None,
) -> tuple[Sequence[Entry], int]:
    """The lines around one of its own stream (or of `query`), oldest first, and the place of the line among them.

    Exact inside a nanosecond too: what else was written in the line's own is there.
    """
    asked = query or stream_selector(line.labels)
    reach = int(within_s * SECOND_NS)
    earlier, _ = await newest(loki, asked, max(line.ns - reach, 0), line.ns, before)
    later: list[Entry] = []
    async for page in pages(loki, asked, line.ns, min(line.ns + reach, LATEST_NS), forward=True):
        later += page.entries
        beyond = sum(entry.ns > line.ns for entry in later)
        if beyond >= after:
            break
    same = [entry for entry in later if entry.ns == line.ns]
    beyond_it = [entry for entry in later if entry.ns > line.ns][:after]
    found = [*earlier, *same, *beyond_it]
    place = next((at for at, entry in enumerate(found) if entry.identity == line), len(earlier))
    return found, place


def stream_selector(labels: Labels) -> str:
    """Just one stream. What Loki adds by itself is left out: it is not in the index of every version."""
    wanted = [(name, value) for name, value in labels if name != "service_name"] or list(labels)
    return "{" + ", ".join(f"{name}={quoted(value)}" for name, value in wanted) + "}"


async def price(loki: Asked, query: str, from_ns: int, to_ns: int) -> Price:
    """What Loki will have to read for `query`, by the index of its store."""
    stats = await loki.stats(selector_of(query), from_ns, to_ns)
    young = loki.now_ns() - to_ns < int(_IN_MEMORY_S * SECOND_NS)
    return Price(stats.bytes, stats.entries, stats.streams, young)


def worth_asking(from_ns: int, to_ns: int) -> bool:
    """Whether a span is so wide that its price should be known before it is read."""
    return to_ns - from_ns > int(DEAR_SPAN_S * SECOND_NS)
