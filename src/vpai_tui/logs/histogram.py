"""How many lines there were, by time and level: from the buffer at once, from Loki's counts for what is not here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.levels import named
from vpai_tui.logs.model import SECOND_NS, Level, Window
from vpai_tui.logs.wire import Series

_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_BY = ("detected_level", "level")


class Counts(Protocol):
    """What the bars of the past are asked of."""

    async def counts(
        self, query: str, from_ns: int, to_ns: int, step_s: int, by: Sequence[str] = ()
    ) -> tuple[Series, ...]: ...


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: the lines of `[from_ns, to_ns)`, by level (index: `Level`). `missing`: Loki has so many more.

    `by_loki`: the count is Loki's, and so are the levels; else both are of the lines that are here.
    """

    from_ns: int
    to_ns: int
    counts: tuple[int, ...]
    missing: int = 0
    by_loki: bool = False

    @property
    def total(self) -> int:
        return sum(self.counts) + self.missing

    @property
    def worst(self) -> Level:
        return next((level for level in reversed(Level) if self.counts[level]), Level.UNKNOWN)


def step_for(span_ns: int, bars: int) -> int:
    """Seconds of one bar, so that at most `bars` cover the span; a round number."""
    wanted = span_ns / SECOND_NS / max(bars, 1)
    return next((step for step in _STEPS_S if step >= wanted), -(-int(wanted) // 86400) * 86400)


def local(buffer: Buffer, from_ns: int, to_ns: int, step_s: int, windows: Sequence[Window] = ()) -> list[Bar]:
    """The bars of what is in the buffer. `windows` tell what is known to be missing, spread over their bars."""
    step = step_s * SECOND_NS
    first = from_ns // step
    tables = [[0] * len(Level) for _ in range(max(-(-to_ns // step) - first, 0))]
    at, last = buffer.index_at(from_ns), buffer.index_at(to_ns)
    while at < last:
        chunk, offset = buffer.where(at)
        until = min(len(chunk), offset + last - at)
        times, bits = chunk.ns, chunk.bits
        for place in range(offset, until):
            tables[times[place] // step - first][bits[place] & 7] += 1
        at += until - offset
    lost = [0] * len(tables)
    for window in windows:
        if window.expected > window.proven and tables:
            middle = (window.from_ns + window.to_ns) // 2 // step - first
            if 0 <= middle < len(lost):
                lost[middle] += window.expected - window.proven
    return [
        Bar((first + number) * step, (first + number + 1) * step, tuple(table), lost[number])
        for number, table in enumerate(tables)
    ]


async def counted(loki: Counts, query: str, from_ns: int, to_ns: int, step_s: int) -> list[Bar]:
    """The bars of a span by Loki's own counts and its own levels, whether or not the lines are here."""
    step = step_s * SECOND_NS
    first, last = from_ns // step, -(-to_ns // step)
    tables = [[0] * len(Level) for _ in range(last - first)]
    for series in await loki.counts(query, from_ns, to_ns, step_s, _BY):
        level = next((named(series.labels[name]) for name in _BY if series.labels.get(name)), Level.UNKNOWN)
        for at_s, value in series.points:
            bar = round(at_s) // step_s - 1 - first  # a point counts what lies before it
            if 0 <= bar < len(tables):
                tables[bar][level] += round(value)
    return [
        Bar((first + number) * step, (first + number + 1) * step, tuple(table), by_loki=True)
        for number, table in enumerate(tables)
    ]
