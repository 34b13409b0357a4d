"""The lines of a buffer that fit a filter, kept up to date as it grows: only what is new is looked at again."""

from __future__ import annotations

import time
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from vpai_tui.errors import UsageError
from vpai_tui.logs.buffer import Buffer, Chunk
from vpai_tui.logs.model import Labels, Level, Line
from vpai_tui.logs.pattern import Pattern

PATIENCE_S = 3.0  # of one look at all lines: then the filter is given up
_ALL_LEVELS = frozenset(Level)


class GivenUp(UsageError):
    """A filter takes too long for the lines there are."""


@dataclass(frozen=True)
class Filter:
    """What is to be seen: levels, streams, and lines that fit (or with `inverted` do not fit) a regular expression."""

    pattern: str = ""
    inverted: bool = False
    levels: frozenset[Level] = _ALL_LEVELS
    stream: Callable[[Labels], bool] | None = None

    def compiled(self) -> Pattern | None:
        """Small letters only: case does not matter. UsageError when it is no regular expression."""
        return Pattern(self.pattern) if self.pattern else None


@dataclass
class _Seen:
    """What is known of one chunk: the places that fit among its first `length` lines, as of `edits`."""

    edits: int
    length: int
    places: array[int]


class View:
    """Indexes like a sequence of lines; `refresh` before it is drawn. Places of lines move as the buffer does."""

    def __init__(
        self, buffer: Buffer, wanted: Filter | None = None, now_s: Callable[[], float] = time.thread_time
    ) -> None:
        self.buffer = buffer
        self._now_s = now_s
        self.filter = wanted or Filter()
        self._pattern = self.filter.compiled()
        self._streams: dict[int, bool] = {}
        self._reused = buffer.reused
        self._seen: dict[int, _Seen] = {}
        self._chunks: list[tuple[Chunk, _Seen]] = []
        self._starts: list[int] = [0]
        self._version = -1

    def refresh(self) -> bool:
        """Looks at what is new; whether anything may have changed.

        Raises:
            GivenUp: the regular expression takes more than `PATIENCE_S` of the processor. It is of no use then.
        """
        buffer = self.buffer
        if buffer.version == self._version:
            return False
        self._version = buffer.version
        if self._reused != buffer.reused:
            self._reused = buffer.reused
            self._streams.clear()
        until = self._now_s() + PATIENCE_S

        def rest() -> None:
            if self._now_s() > until:
                raise GivenUp(f"given up: it takes longer than {PATIENCE_S:g} s for {len(buffer):,} lines")

        seen: dict[int, _Seen] = {}
        self._chunks = []
        for chunk in buffer.chunks:
            known = self._seen.get(id(chunk))
            if known is None or known.edits != chunk.edits:
                known = _Seen(chunk.edits, 0, array("H"))
            if known.length < len(chunk):
                self._look(chunk, known, rest)
            seen[id(chunk)] = known
            self._chunks.append((chunk, known))
        self._seen = seen
        self._starts = list(accumulate((len(it.places) for _, it in self._chunks), initial=0))
        return True

    def _look(self, chunk: Chunk, known: _Seen, rest: Callable[[], None]) -> None:
        wanted, pattern, levels = self.filter, self._pattern, self.filter.levels
        places: Sequence[int] = range(known.length, min(len(chunk), 65536))
        if not levels >= _ALL_LEVELS:
            bits = chunk.bits
            places = [place for place in places if bits[place] & 7 in levels]
        if wanted.stream is not None:
            places = [place for place in places if self._fits(chunk.streams[place], wanted.stream)]
        if pattern is not None:
            fitting = pattern.fitting([chunk.raw(place) for place in places], rest)
            rest()
            if wanted.inverted:
                left_out = set(fitting)
                places = [place for number, place in enumerate(places) if number not in left_out]
            else:
                places = [places[number] for number in fitting]
        known.places.extend(places)
        known.length = len(chunk)

    def _fits(self, stream: int, wanted: Callable[[Labels], bool]) -> bool:
        found = self._streams.get(stream)
        if found is None:
            found = self._streams[stream] = wanted(self.buffer.stream(stream))
        return found

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> Line:
        """Raises IndexError."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        number = bisect_right(self._starts, index) - 1
        chunk, seen = self._chunks[number]
        return self.buffer.line(chunk, seen.places[index - self._starts[number]])

    def __iter__(self) -> Iterator[Line]:
        for index in range(len(self)):
            yield self[index]

    def index_at(self, ns: int) -> int:
        """The place of the first line that is not older than `ns`."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self._ns(middle) < ns:
                low = middle + 1
            else:
                high = middle
        return low

    def place_of(self, line: Line) -> int | None:
        """Where a line is now; None when it does not fit, or is gone."""
        index = self.index_at(line.ns)
        while index < len(self) and self._ns(index) == line.ns:
            if self[index].identity == line.identity:
                return index
            index += 1
        return None

    def find(self, pattern: Pattern, start: int, *, forward: bool = True) -> int | None:
        """The next place from `start` on (itself included) whose line fits; None when there is none."""
        if not 0 <= start < len(self):
            return None
        number = bisect_right(self._starts, start) - 1
        numbers = range(number, len(self._chunks)) if forward else range(number, -1, -1)
        for number in numbers:
            chunk, seen = self._chunks[number]
            first, places = self._starts[number], seen.places
            low = max(start - first, 0) if forward else 0
            high = len(places) if forward else min(start - first + 1, len(places))
            if fitting := pattern.fitting([chunk.raw(place) for place in places[low:high]]):
                return first + low + fitting[0 if forward else -1]
        return None

    def _ns(self, index: int) -> int:
        number = bisect_right(self._starts, index) - 1
        chunk, seen = self._chunks[number]
        return chunk.ns[seen.places[index - self._starts[number]]]
