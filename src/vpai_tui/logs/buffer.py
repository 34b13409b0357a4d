"""Lines in the order of their time, each once: a million of them in little memory, wherever they come from.

A line costs its bytes and about 60 more: an `array` holds its ns, another the number of its stream, a byte its level,
Loki's level and its mark. Chunks of a few thousand keep an insertion cheap wherever it falls. There is no set of
identities: lines of one nanosecond lie side by side, so that looking there is enough.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from vpai_tui.logs.levels import judge
from vpai_tui.logs.model import Entry, Labels, Level, Line, Mark

CHUNK = 4096  # lines; one that grew to twice as many is divided
CROWD = 48  # lines of one nanosecond from which on their identities are kept in a set
_CROWDS_KEPT = 8
_STREAMS_KEPT = 1024  # numbers given out before those of streams without a line are taken back
_NO_LEVEL = 7  # Loki told none
_NOTHING: Mapping[str, str] = {}

Body = bytes | tuple[bytes, Mapping[str, str]]
"""A line, with its metadata where it has more than a detected level."""


class Chunk:
    """Some thousand lines. `edits` counts what is more than an append: who keeps an index looks at it."""

    __slots__ = ("bits", "edits", "lines", "ns", "streams")

    def __init__(self) -> None:
        self.ns = array("q")
        self.lines: list[Body] = []
        self.streams = array("I")
        self.bits = bytearray()  # level | Loki's level << 3 | mark << 6
        self.edits = 0

    def __len__(self) -> int:
        return len(self.lines)

    def append(self, ns: int, body: Body, stream: int, bits: int) -> None:
        self.ns.append(ns)
        self.lines.append(body)
        self.streams.append(stream)
        self.bits.append(bits)

    def insert(self, at: int, ns: int, body: Body, stream: int, bits: int) -> None:
        self.ns.insert(at, ns)
        self.lines.insert(at, body)
        self.streams.insert(at, stream)
        self.bits.insert(at, bits)
        self.edits += 1

    def cut(self) -> Chunk | None:
        """The second half, taken away; None when all lines are of one nanosecond, which stay together."""
        middle = bisect_left(self.ns, self.ns[len(self) // 2])
        if middle == 0:
            middle = bisect_right(self.ns, self.ns[0])
        if middle == len(self):
            return None
        other = Chunk()
        other.ns, other.lines = self.ns[middle:], self.lines[middle:]
        other.streams, other.bits = self.streams[middle:], self.bits[middle:]
        del self.ns[middle:], self.lines[middle:], self.streams[middle:], self.bits[middle:]
        self.edits += 1
        return other

    def raw(self, index: int) -> bytes:
        body = self.lines[index]
        return body if isinstance(body, bytes) else body[0]

    def level(self, index: int) -> int:
        return self.bits[index] & 7

    def mark(self, index: int) -> int:
        return self.bits[index] >> 6


class Buffer:
    """An ordered ring of at most `capacity` lines (whole chunks are given up, so it may hold a chunk's worth less)."""

    def __init__(self, capacity: int = 1_000_000) -> None:
        self.capacity = max(capacity, 1)
        self.chunks: list[Chunk] = []
        self.version = 0  # moves with every change
        self.evicted = 0  # lines given up
        self.floor_ns = 0  # older lines than this have been given up
        self.from_ns = 0  # older lines than this were not asked for, and are not taken in
        self._firsts: list[int] = []  # the first ns of each chunk
        self._starts: list[int] | None = None  # the index of each chunk's first line; None: to be made
        self._count = 0
        self._numbers: dict[Labels, int] = {}
        self._labels: list[Labels] = []
        self._newest: list[int] = []  # by stream
        self._free: list[int] = []  # numbers of streams that are gone
        self._tidy_at = _STREAMS_KEPT
        self.streams_version = 0  # moves as streams come and go
        self.reused = 0  # moves when numbers of streams may mean others from now on
        self._crowds: dict[int, set[tuple[int, bytes]]] = {}

    def __len__(self) -> int:
        return self._count

    # ── taking in ────────────────────────────────────────────────────────────────────────────────────────────────────

    def add(
        self,
        entries: Iterable[Entry],
        mark: Mark = Mark.NONE,
        *,
        counted_to: int = 0,
        lag_ns: int = 0,
        newest_go: bool = False,
    ) -> list[Line]:
        """Puts each entry in its place unless it is there; gives back those that were not.

        A line older than `counted_to`, or than its stream's newest by `lag_ns`, is late (0: not judged). When there
        are too many, the oldest go; with `newest_go`, for who pages into the past, the newest.
        """
        came: list[Line] = []
        oldest = self.from_ns if newest_go else max(self.from_ns, self.floor_ns)
        for entry in entries:
            if entry.ns < oldest:
                continue
            stream = self._number(entry.labels)
            late = counted_to and (entry.ns < counted_to or entry.ns < self._newest[stream] - lag_ns)
            line = self._put(entry, stream, Mark.LATE if late and not mark else mark)
            if line is not None:
                came.append(line)
        if came:
            self.version += 1
            self._starts = None
            self._trim(newest_go=newest_go)
        return came

    def _put(self, entry: Entry, stream: int, mark: Mark) -> Line | None:
        ns, labels, raw, meta = entry
        chunks = self.chunks
        if not chunks or ns > chunks[-1].ns[-1]:
            index = at = -1
        else:
            index = max(bisect_right(self._firsts, ns) - 1, 0)
            times = chunks[index].ns
            at = bisect_right(times, ns)
            if at and times[at - 1] == ns and self._known(chunks[index], at, ns, stream, raw):
                return None
        level, theirs = judge(raw, labels, meta)
        bits = level | (_NO_LEVEL if theirs is None else theirs) << 3 | mark << 6
        rich = len(meta) > 1 or (meta and "detected_level" not in meta)
        self._place(index, at, ns, (raw, meta) if rich else raw, stream, bits)
        self._newest[stream] = max(self._newest[stream], ns)
        return Line(ns, labels, raw, level, mark, theirs, meta)

    def _place(self, index: int, at: int, ns: int, body: Body, stream: int, bits: int) -> None:
        self._count += 1
        if index < 0:
            if not self.chunks or len(self.chunks[-1]) >= CHUNK:
                self.chunks.append(Chunk())
                self._firsts.append(ns)
            self.chunks[-1].append(ns, body, stream, bits)
            return
        chunk = self.chunks[index]
        if at == len(chunk):
            chunk.append(ns, body, stream, bits)
        else:
            chunk.insert(at, ns, body, stream, bits)
            self._firsts[index] = chunk.ns[0]
        if len(chunk) >= 2 * CHUNK and (other := chunk.cut()):
            self.chunks.insert(index + 1, other)
            self._firsts.insert(index + 1, other.ns[0])

    def _known(self, chunk: Chunk, end: int, ns: int, stream: int, raw: bytes) -> bool:
        """Whether the line is among those of its nanosecond, which end before `end`."""
        crowd = self._crowds.get(ns)
        if crowd is None:
            start = bisect_left(chunk.ns, ns, 0, end)
            if end - start < CROWD:
                streams = chunk.streams
                return any(streams[at] == stream and chunk.raw(at) == raw for at in range(start, end))
            crowd = {(chunk.streams[at], chunk.raw(at)) for at in range(start, end)}
            if len(self._crowds) >= _CROWDS_KEPT:
                self._crowds.clear()
            self._crowds[ns] = crowd
        if (stream, raw) in crowd:
            return True
        crowd.add((stream, raw))  # it is put in its place next
        return False

    def _number(self, labels: Labels) -> int:
        number = self._numbers.get(labels)
        if number is not None:
            return number
        if self._free:
            number = self._free.pop()
            self._labels[number], self._newest[number] = labels, 0
        else:
            number = len(self._labels)
            self._labels.append(labels)
            self._newest.append(0)
        self._numbers[labels] = number
        self.streams_version += 1
        return number

    def _trim(self, *, newest_go: bool) -> None:
        while self._count > self.capacity and len(self.chunks) > 1:
            gone = self.chunks.pop(-1 if newest_go else 0)
            self._firsts.pop(-1 if newest_go else 0)
            self._count -= len(gone)
            self.evicted += len(gone)
            self._crowds.clear()
            if not newest_go:
                self.floor_ns = gone.ns[-1] + 1
        if len(self._numbers) >= self._tidy_at:
            self._forget_streams()

    def _forget_streams(self) -> None:
        """Takes back the numbers of streams that have no line here and can be told late by none: containers that
        were made anew leave one behind each time."""
        held: set[int] = set().union(*(chunk.streams for chunk in self.chunks))
        for labels, number in list(self._numbers.items()):
            if number not in held and self._newest[number] < self.floor_ns:
                del self._numbers[labels]
                self._labels[number] = ()
                self._free.append(number)
                self.reused += 1
        self.streams_version += 1
        self._tidy_at = max(_STREAMS_KEPT, 2 * len(self._numbers))

    def clear(self) -> None:
        """Forgets all lines."""
        self.chunks, self._firsts, self._starts = [], [], None
        self._count = self.floor_ns = 0
        self._crowds.clear()
        self.version += 1

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def count(self, from_ns: int, to_ns: int) -> int:
        """How many lines lie in `[from_ns, to_ns)`."""
        return max(self.index_at(to_ns) - self.index_at(from_ns), 0)

    def index_at(self, ns: int) -> int:
        """The index of the first line that is not older than `ns`."""
        at = bisect_left(self._firsts, ns) - 1
        if at < 0:
            return 0
        return self.starts[at] + bisect_left(self.chunks[at].ns, ns)

    @property
    def starts(self) -> Sequence[int]:
        """The index of each chunk's first line."""
        if self._starts is None:
            self._starts = list(accumulate(map(len, self.chunks), initial=0))
        return self._starts

    def where(self, index: int) -> tuple[Chunk, int]:
        """The chunk of a line, and its place there. Raises IndexError."""
        if not 0 <= index < self._count:
            raise IndexError(index)
        number = bisect_right(self.starts, index) - 1
        return self.chunks[number], index - self.starts[number]

    def __getitem__(self, index: int) -> Line:
        """The line at `index`; negative ones count from the end. Raises IndexError."""
        return self.line(*self.where(index + self._count if index < 0 else index))

    def __iter__(self) -> Iterator[Line]:
        for chunk in list(self.chunks):
            for at in range(len(chunk)):
                yield self.line(chunk, at)

    def line(self, chunk: Chunk, at: int) -> Line:
        bits, body = chunk.bits[at], chunk.lines[at]
        raw, meta = body if isinstance(body, tuple) else (body, _NOTHING)
        theirs = bits >> 3 & 7
        return Line(
            chunk.ns[at],
            self._labels[chunk.streams[at]],
            raw,
            Level(bits & 7),
            Mark(bits >> 6),
            None if theirs == _NO_LEVEL else Level(theirs),
            meta,
        )

    def between(self, from_ns: int, to_ns: int) -> Iterator[Line]:
        """The lines of `[from_ns, to_ns)`, oldest first."""
        for index in range(self.index_at(from_ns), self.index_at(to_ns)):
            yield self[index]

    def stream(self, number: int) -> Labels:
        """The labels of the stream that chunks know by `number`."""
        return self._labels[number]

    @property
    def streams(self) -> tuple[Labels, ...]:
        """The streams that have lines here, and some that had."""
        return tuple(self._numbers)

    @property
    def oldest_ns(self) -> int | None:
        return self._firsts[0] if self.chunks else None

    @property
    def newest_ns(self) -> int | None:
        return self.chunks[-1].ns[-1] if self.chunks else None
