"""The lines of a buffer that fit a filter, kept up to date as it grows: only what is new is looked at again."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from vpai_tui.errors import UsageError
from vpai_tui.logs.buffer import Buffer, Chunk
from vpai_tui.logs.model import Labels, Level, Line

_ALL_LEVELS = frozenset(Level)
# `.*x` finds just what `x` does, but looks through a long line once from each of its letters.
_ANYTHING = re.compile(r"(?:\.\*\??(?![?*+{]))+")


@dataclass(frozen=True)
class Filter:
    """What is to be seen: levels, streams, and lines that fit (or with `inverted` do not fit) a regular expression."""

    pattern: str = ""
    inverted: bool = False
    levels: frozenset[Level] = _ALL_LEVELS
    stream: Callable[[Labels], bool] | None = None

    def compiled(self) -> re.Pattern[bytes] | None:
        """Small letters only: case does not matter. UsageError when it is no regular expression.

        There is no time limit: one that repeats what repeats, as `(a+)+$`, may stand still at a single line.
        """
        if not self.pattern:
            return None
        flags = re.IGNORECASE if self.pattern == self.pattern.lower() else 0
        try:
            pattern = _ANYTHING.sub("", self.pattern, count=1) if _ANYTHING.match(self.pattern) else self.pattern
            return re.compile(pattern.encode("utf-8", "surrogatepass"), flags)
        except re.error as error:
            at = f" at column {error.colno}" if error.colno else ""
            raise UsageError(f"{self.pattern!r} is no regular expression: {error.msg}{at}") from error
        except (OverflowError, RecursionError) as error:  # `a{9999999999}`, a thousand brackets
            raise UsageError("this regular expression is too large") from error


@dataclass
class _Seen:
    """What is known of one chunk: the places that fit among its first `length` lines, as of `edits`."""

    edits: int
    length: int
    places: array[int]


class View:
    """Indexes like a sequence of lines; `refresh` before it is drawn. Places of lines move as the buffer does."""

    def __init__(self, buffer: Buffer, wanted: Filter | None = None) -> None:
        self.buffer = buffer
        self.filter = wanted or Filter()
        self._pattern = self.filter.compiled()
        self._streams: dict[int, bool] = {}
        self._reused = buffer.reused
        self._seen: dict[int, _Seen] = {}
        self._chunks: list[tuple[Chunk, _Seen]] = []
        self._starts: list[int] = [0]
        self._version = -1

    def refresh(self) -> bool:
        """Looks at what is new; whether anything may have changed."""
        buffer = self.buffer
        if buffer.version == self._version:
            return False
        self._version = buffer.version
        if self._reused != buffer.reused:
            self._reused = buffer.reused
            self._streams.clear()
        seen: dict[int, _Seen] = {}
        self._chunks = []
        for chunk in buffer.chunks:
            known = self._seen.get(id(chunk))
            if known is None or known.edits != chunk.edits:
                known = _Seen(chunk.edits, 0, array("H"))
            if known.length < len(chunk):
                self._look(chunk, known)
            seen[id(chunk)] = known
            self._chunks.append((chunk, known))
        self._seen = seen
        self._starts = list(accumulate((len(it.places) for _, it in self._chunks), initial=0))
        return True

    def _look(self, chunk: Chunk, known: _Seen) -> None:
        wanted, pattern, add = self.filter, self._pattern, known.places.append
        levels, inverted, every = wanted.levels, wanted.inverted, wanted.levels >= _ALL_LEVELS
        for place in range(known.length, min(len(chunk), 65536)):
            if not every and chunk.bits[place] & 7 not in levels:
                continue
            if wanted.stream is not None and not self._fits(chunk.streams[place], wanted.stream):
                continue
            if pattern is not None and (pattern.search(chunk.raw(place)) is None) is not inverted:
                continue
            add(place)
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

    def find(self, pattern: re.Pattern[bytes], start: int, *, forward: bool = True) -> int | None:
        """The next place from `start` on (itself included) whose line fits; None when there is none."""
        places: Sequence[int] = range(max(start, 0), len(self)) if forward else range(min(start, len(self) - 1), -1, -1)
        for index in places:
            number = bisect_right(self._starts, index) - 1
            chunk, seen = self._chunks[number]
            if pattern.search(chunk.raw(seen.places[index - self._starts[number]])):
                return index
        return None

    def _ns(self, index: int) -> int:
        number = bisect_right(self._starts, index) - 1
        chunk, seen = self._chunks[number]
        return chunk.ns[seen.places[index - self._starts[number]]]
