"""What a store holds: tracks. One is a metric with its labels, and what it was at any time."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

Labels = Mapping[str, str]  # the metric's name under `__name__`
Match = Callable[[Labels], bool]
STALE_S = 300.0  # an older sample is no value any more


class Track(Protocol):
    """One metric over time; times in seconds since 1970."""

    @property
    def labels(self) -> Labels: ...

    def at(self, time_s: float) -> float | None:
        """The last sample then."""
        ...

    def rate(self, time_s: float, window_s: float) -> float | None:
        """How fast it grew in the window that ends then, per second."""
        ...


@dataclass(slots=True)
class Drawn:
    """A figure that is a function of the time, from its beginning on."""

    labels: Labels
    value: Callable[[float], float]
    since_s: float = 0.0
    now_s: float = float("inf")

    def at(self, time_s: float) -> float | None:
        return self.value(time_s) if self.since_s <= time_s <= self.now_s else None

    def rate(self, time_s: float, window_s: float) -> float | None:
        start = max(self.since_s, time_s - window_s)
        if not start < time_s <= self.now_s:
            return None
        return (self.value(time_s) - self.value(start)) / (time_s - start)


@dataclass(slots=True)
class Samples:
    """A figure of single samples, in order of time."""

    labels: Labels
    points: list[tuple[float, float]] = field(default_factory=list)

    def at(self, time_s: float) -> float | None:
        place = bisect_right(self.points, (time_s, float("inf")))
        if not place or time_s - self.points[place - 1][0] > STALE_S:
            return None
        return self.points[place - 1][1]

    def rate(self, time_s: float, window_s: float) -> float | None:
        """From the last sample before the window, where there is one, to the last in it; a fall is a fresh start."""
        last = bisect_right(self.points, (time_s, float("inf")))
        first = max(0, bisect_right(self.points, (time_s - window_s, float("inf"))) - 1)
        rows = self.points[first:last]
        if len(rows) < 2 or rows[-1][0] <= time_s - window_s:
            return None
        grown = sum(b[1] - a[1] if b[1] >= a[1] else b[1] for a, b in pairwise(rows))
        return grown / (rows[-1][0] - rows[0][0])


class Store(Protocol):
    """What is asked."""

    def select(self, match: Match) -> Iterable[Track]: ...


class Pushed:
    """What was sent in, in memory."""

    def __init__(self) -> None:
        self._tracks: dict[tuple[tuple[str, str], ...], Samples] = {}

    def add(self, labels: Labels, time_s: float, value: float) -> None:
        track = self._tracks.setdefault(tuple(sorted(labels.items())), Samples(dict(labels)))
        insort(track.points, (time_s, value))

    def select(self, match: Match) -> list[Track]:
        return [track for track in self._tracks.values() if match(track.labels)]
