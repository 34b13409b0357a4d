"""The words of the logs: lines and where they come from, windows that were counted, gaps, and what happens to a tail.

Times are nanoseconds since 1970 (`*_ns`), as Loki stamps lines. A window is half-open: `[from_ns, to_ns)`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import NamedTuple

from vpai_tui.text import clean

SECOND_NS = 1_000_000_000
LATEST_NS = 2**63 - 1  # a time beyond makes Loki eat all memory: never sent

_CSI = re.compile(rb"\x1b\[[0-9;:?]{0,64}[ -/]{0,4}[@-~]")

Labels = tuple[tuple[str, str], ...]
"""The labels of a stream, sorted, without `__stream_shard__`: with ns and line Loki's own identity of a line."""


class Level(IntEnum):
    """How bad a line is; a higher one is worse."""

    UNKNOWN = 0
    TRACE = 1
    DEBUG = 2
    INFO = 3
    WARN = 4
    ERROR = 5
    CRITICAL = 6

    @property
    def word(self) -> str:
        return self.name.lower()


class Mark(IntEnum):
    """What is special about how a line came here."""

    NONE = 0
    RECOVERED = 1  # the tail lost it; fetched after counting
    LATE = 2  # it came after its window had been counted, or out of its stream's order

    @property
    def word(self) -> str | None:
        return self.name.lower() if self else None


class Identity(NamedTuple):
    """What makes a line this one: Loki stores it once, however often it is sent."""

    ns: int
    labels: Labels
    line: bytes


class Entry(NamedTuple):
    """One line as it arrives. `line` is UTF-8 as Loki has it, untrusted; `meta`: structured metadata, parsed fields."""

    ns: int
    labels: Labels
    line: bytes
    meta: Mapping[str, str] = MappingProxyType({})

    @property
    def identity(self) -> Identity:
        return Identity(self.ns, self.labels, self.line)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a stream's lines come from, in the cockpit's words; None where nothing in the fleet fits its labels."""

    name: str  # for people: the service, else the container, else the labels
    host: str | None = None
    stack: str | None = None  # host/stack
    service: str | None = None

    @property
    def id(self) -> str:
        """`host/stack/service` where that is known, else the name."""
        return f"{self.stack}/{self.service}" if self.stack and self.service else self.name


class Line(NamedTuple):
    """One line of the buffer, ready to be shown. `raw` is as it came; `text` may reach a terminal."""

    ns: int
    labels: Labels
    raw: bytes
    level: Level
    mark: Mark = Mark.NONE
    loki_level: Level | None = None  # what Loki detected; None where it told nothing
    meta: Mapping[str, str] = MappingProxyType({})

    @property
    def text(self) -> str:
        """Without colours and whatever else could drive a terminal."""
        return clean(_CSI.sub(b"", self.raw) if b"\x1b" in self.raw else self.raw)

    @property
    def at(self) -> datetime:
        """Its time in UTC, cut to microseconds."""
        return moment(self.ns)

    @property
    def disagrees(self) -> bool:
        """Whether Loki claims another level than the line itself shows."""
        return self.loki_level not in (None, Level.UNKNOWN, self.level)

    @property
    def identity(self) -> Identity:
        return Identity(self.ns, self.labels, self.raw)


def moment(ns: int) -> datetime:
    """`ns` as a time in UTC, cut to microseconds; the nearest there is when no calendar has it."""
    try:
        seconds, rest = divmod(ns, SECOND_NS)
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)
    except (OverflowError, ValueError, OSError):
        return datetime.max.replace(tzinfo=UTC) if ns > 0 else datetime.min.replace(tzinfo=UTC)


def rfc3339_ns(ns: int) -> str:
    """`2026-02-26T23:04:00.000000001Z`: UTC, with all nine digits."""
    return f"{moment(ns):%Y-%m-%dT%H:%M:%S}.{ns % SECOND_NS:09d}Z"


# ── what happens while lines are followed ────────────────────────────────────────────────────────────────────────────


class Cause(StrEnum):
    """Why the tail was not there for a while, or why lines are missing."""

    ROLLOVER = "hourly limit of the server"
    LINK = "link lost"
    RESTART = "server closed the connection"
    SLOTS = "all tail slots of the server are taken"
    NO_TAIL = "the server gives no tail"
    CLOCK = "clocks differ"
    DROPPED = "server dropped lines"
    UNCOUNTED = "the server did not answer the count"
    MISSING = "lines could not be had"
    EVICTED = "the buffer was full"
    STOPPED = "the container stopped"


@dataclass(frozen=True, slots=True)
class Backfilled:
    """What was there before: `count` lines from `from_ns` on. `complete`: no older ones in the span asked for."""

    count: int
    from_ns: int
    to_ns: int
    complete: bool


@dataclass(frozen=True, slots=True)
class TailOpened:
    """The live tail runs."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class LinesCame:
    """New lines, already in the buffer at their place. In the order they came, which need not be that of time."""

    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time was counted: Loki has `expected` lines, `proven` of them are here, `recovered` were fetched.

    A window may be told again when lines came into it later; the newest word counts.
    """

    from_ns: int
    to_ns: int
    expected: int
    proven: int
    recovered: int = 0

    @property
    def complete(self) -> bool:
        return self.proven == self.expected


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch in which the tail was not there. `missing`: lines known to be lost; None: a window will tell."""

    from_ns: int
    to_ns: int
    cause: Cause
    detail: str = ""
    missing: int | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """The server admits to have dropped lines of the tail; they are counted and fetched."""

    count: int


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The tail ended; it is opened again in `retry_in_s`."""

    cause: Cause
    detail: str
    retry_in_s: float


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The tail runs again, after `away_s` seconds."""

    why: Cause
    away_s: float


@dataclass(frozen=True, slots=True)
class Polling:
    """No tail can be had: lines are asked for every `every_s` seconds instead, until one can."""

    cause: Cause
    detail: str
    every_s: float


@dataclass(frozen=True, slots=True)
class Fallback:
    """Loki cannot be asked for this, or has nothing of it: the lines come from the container's own log, unproven."""

    container: str
    reason: str


@dataclass(frozen=True, slots=True)
class Uncounted:
    """A window could not be counted; tried again. What is shown of it is not proven."""

    from_ns: int
    to_ns: int
    reason: str


Event = (
    Backfilled
    | TailOpened
    | LinesCame
    | Window
    | Gap
    | Dropped
    | Disconnected
    | Reconnected
    | Polling
    | Fallback
    | Uncounted
)


_AGAIN_NS = 3600 * SECOND_NS  # a window that much older than the newest is not told again
_WINDOWS = 2048  # that many are kept one by one before old ones are summed up


class Proof:
    """The sum of all windows: what a badge and the end of a command say. A window told again replaces its old word.

    `given_up`: stretches whose lines left the buffer before they were counted, of which nothing is claimed.
    """

    def __init__(self) -> None:
        self._windows: dict[tuple[int, int], Window] = {}
        self._lacking: dict[tuple[int, int], Window] = {}  # those of which lines are missing
        self._to_ns: int | None = None
        self._expected = self._proven = 0
        self._tidy_at = _WINDOWS
        self.recovered = 0
        self.given_up = 0

    def add(self, window: Window) -> None:
        key = (window.from_ns, window.to_ns)
        before = self._windows.get(key)
        self._windows[key] = window
        self._lacking.pop(key, None)
        if not window.complete:
            self._lacking[key] = window
        self._to_ns = max(self._to_ns or 0, window.to_ns)
        self._expected += window.expected - (before.expected if before else 0)
        self._proven += window.proven - (before.proven if before else 0)
        self.recovered += window.recovered
        if len(self._windows) >= self._tidy_at:
            self._sum_up(self._to_ns - _AGAIN_NS)

    def give_up(self, gap: Gap) -> None:
        """A stretch that cannot be counted any more."""
        self.given_up += gap.cause is Cause.EVICTED

    def _sum_up(self, before_ns: int) -> None:
        self._windows = {key: it for key, it in self._windows.items() if it.to_ns > before_ns}
        self._tidy_at = max(_WINDOWS, 2 * len(self._windows))

    @property
    def expected(self) -> int:
        return self._expected

    @property
    def proven(self) -> int:
        return self._proven

    @property
    def complete(self) -> bool:
        """Whether something was counted, and all of it is here."""
        return bool(self._windows) and self._proven == self._expected

    @property
    def to_ns(self) -> int | None:
        """Up to where lines were counted; None before the first window."""
        return self._to_ns

    def incomplete(self) -> tuple[Window, ...]:
        """The windows of which lines are missing."""
        return tuple(self._lacking.values())
