"""One server: what it is made of, a request and an answer of it, and what it reads for either."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from vpai_tui.demo.loki import params, shapes, syntax
from vpai_tui.demo.loki.faults import Faults
from vpai_tui.demo.loki.metrics import Work
from vpai_tui.demo.loki.model import Entry, Key, Labels, Match, Refused, Source
from vpai_tui.demo.loki.params import Params, one
from vpai_tui.demo.loki.parser import selector
from vpai_tui.demo.loki.stages import Pipeline, Row, matches
from vpai_tui.demo.loki.store import Pushed

TEXT = "text/plain; charset=utf-8"
JSON = "application/json; charset=UTF-8"
_FORM = "application/x-www-form-urlencoded"
_FLAGS_HEADER = "x-loki-response-encoding-flags"


class Answer(NamedTuple):
    """What goes back."""

    status: int
    body: bytes = b""
    kind: str = TEXT


class Request(NamedTuple):
    """What came in; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def params(self) -> Params:
        """Of the address, and of a form in the body."""
        found = parse_qs(urlsplit(self.target).query, keep_blank_values=True)
        if self.method == "POST" and self.headers.get("content-type", "").startswith(_FORM):
            for name, values in parse_qs(self.body.decode("utf-8", "replace"), keep_blank_values=True).items():
                found[name] = values + found.get(name, [])
        return found

    @property
    def flags(self) -> list[str]:
        return [flag for flag in self.headers.get(_FLAGS_HEADER, "").split(",") if flag]


@dataclass(slots=True)
class Loki:
    """One server: where its lines come from, what it takes in, its clock (nanoseconds) and its faults."""

    source: Source
    pushed: Pushed
    now: Callable[[], int]
    faults: Callable[[], Faults] = Faults
    alive: Callable[[], bool] = lambda: True  # whether its container still runs as it did
    max_tails: int = 10
    max_duration_s: float = 3600.0
    tails: set[object] = field(default_factory=set)


def json_answer(value: Any, kind: str = JSON) -> Answer:
    return Answer(200, shapes.encoded(value).encode(), kind)


def streams(loki: Loki, match: Match) -> list[Labels]:
    """The labels of streams that match: of those in the ingester, whatever the window."""
    return [labels for labels in map(dict, loki.source.streams(loki.now())) if match(labels)]


def looked_up(loki: Loki, request: Request) -> list[Labels]:
    given = request.params
    bounds = params.bounds(given, loki.now())
    match = matches(selector(one(given, "query"), any_stream=True))
    if bounds.end < bounds.start:
        raise Refused(400, "this data is no longer available, it is past now - max_query_lookback (0s)")
    params.check_range(bounds)
    return streams(loki, match)


def lines(loki: Loki, query: syntax.Log, bounds: params.Bounds, work: Work) -> list[Row]:
    """The rows of a log query, stream by stream, each in time order."""
    pipeline = Pipeline(query.stages)
    rows = []
    for stream, entries in _selected(loki, query, bounds):
        labels = dict(stream)
        for entry in entries:
            work.lines += 1
            work.bytes += len(entry.line)
            row = pipeline.run(labels, entry)
            if row is not None:
                work.kept += 1
                rows.append(row)
    return rows


def in_order(rows: list[Row], *, forward: bool) -> list[Row]:
    """By time; inside one nanosecond in the order of arrival, backward in its exact reverse."""
    found = sorted(rows, key=lambda row: row.ts)
    return found if forward else found[::-1]


def _selected(loki: Loki, query: syntax.Log, bounds: params.Bounds) -> Iterable[tuple[Key, list[Entry]]]:
    return sorted(loki.source.select(matches(query.matchers), bounds.start, bounds.end, loki.now()))
