"""Counting: range aggregations over lines, and aggregations over those."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from vpai_tui.demo.loki import syntax
from vpai_tui.demo.loki.model import Key, Refused, S, Source, key_of
from vpai_tui.demo.loki.stages import DETAILS, Pipeline, matches

MAX_SERIES = 500
_TOO_MANY = (
    f"maximum number of series ({MAX_SERIES}) reached for a single query; consider reducing query cardinality by "
    "adding more specific stream selectors, reducing the time range, or aggregating results with functions like sum(), "
    "count() or topk()"
)
Series = dict[Key, dict[int, float]]  # values by time in nanoseconds


@dataclass(slots=True)
class _Samples:
    """The lines of one series: their times, and the bytes of all before each."""

    times: list[int] = field(default_factory=list)
    bytes: list[int] = field(default_factory=lambda: [0])


@dataclass(slots=True)
class Work:
    """What a query went through, for the statistics of its answer."""

    lines: int = 0
    bytes: int = 0
    kept: int = 0


def evaluate(source: Source, query: syntax.Metric, times: Sequence[int], now: int, work: Work) -> Series:
    """The query's series at `times`. Refused(400) when there are too many."""
    found = _values(source, query, times, now, work)
    if len(found) > MAX_SERIES:
        raise Refused(400, _TOO_MANY)
    return found


def _values(source: Source, query: syntax.Metric, times: Sequence[int], now: int, work: Work) -> Series:
    if isinstance(query, syntax.Range):
        return _range(source, query, times, now, work, None)
    if query.function == "sum" and isinstance(query.inner, syntax.Range) and not query.without:
        return _range(source, query.inner, times, now, work, query.names)
    return _aggregate(query, _values(source, query.inner, times, now, work))


def _range(
    source: Source, query: syntax.Range, times: Sequence[int], now: int, work: Work, names: tuple[str, ...] | None
) -> Series:
    """`names`: summed by those, which is the same for what can be counted; None: each series by itself."""
    start = min(times) - query.window - query.offset + 1
    end = max(times) - query.offset + 1
    groups: dict[Key, _Samples] = {}
    pipeline = Pipeline(query.log.stages)
    for stream, entries in source.select(matches(query.log.matchers), start, end, now):
        labels = dict(stream)
        for entry in entries:
            work.lines += 1
            size = len(entry.line.encode())
            work.bytes += size
            row = pipeline.run(labels, entry)
            if row is None:
                continue
            work.kept += 1
            given = row.labels()
            given.pop(DETAILS, None)
            key = key_of(given if names is None else {name: given[name] for name in names if given.get(name)})
            samples = groups.setdefault(key, _Samples())
            samples.times.append(entry.ts)
            samples.bytes.append(len(row.line.encode()))
    return {key: _points(query, _sorted(samples), times) for key, samples in groups.items()}


def _sorted(samples: _Samples) -> _Samples:
    """In time order, the bytes added up."""
    pairs = sorted(zip(samples.times, samples.bytes[1:], strict=True))
    found = _Samples([ts for ts, _ in pairs])
    for _, size in pairs:
        found.bytes.append(found.bytes[-1] + size)
    return found


def _points(query: syntax.Range, samples: _Samples, times: Sequence[int]) -> dict[int, float]:
    """Lines in (t - window, t] for each t; a window without lines has no point."""
    points: dict[int, float] = {}
    for time in times:
        last = time - query.offset
        low = bisect.bisect_right(samples.times, last - query.window)
        high = bisect.bisect_right(samples.times, last)
        if low < high:
            value: float = high - low
            if query.function.startswith("bytes"):
                value = samples.bytes[high] - samples.bytes[low]
            points[time] = value / (query.window / S) if "rate" in query.function else value
    return points


def _aggregate(query: syntax.Aggregate, series: Series) -> Series:
    gathered: dict[Key, dict[int, list[float]]] = {}
    for key, points in series.items():
        kept = tuple((name, value) for name, value in key if (name in query.names) != query.without)
        group = gathered.setdefault(kept, {})
        for time, value in points.items():
            group.setdefault(time, []).append(value)
    return {
        key: {time: _of(query.function, values) for time, values in sorted(points.items())}
        for key, points in gathered.items()
    }


def _of(function: str, values: list[float]) -> float:
    if function == "avg":
        return sum(values) / len(values)
    return {"sum": sum, "min": min, "max": max, "count": len}[function](values)  # type: ignore[operator,no-any-return]


def number(value: float) -> str:
    """As Go's FormatFloat writes it without exponent."""
    return str(value) if isinstance(value, int) else format(Decimal(repr(value)), "f").removesuffix(".0")


def steps(start: int, end: int, step: int) -> Iterable[int]:
    """Where a range query is evaluated: the start rounded down to the step, the end up."""
    return range(start - start % step, end + (-end) % step + 1, step)
