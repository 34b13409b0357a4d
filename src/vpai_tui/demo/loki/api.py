"""The HTTP API: a request in, status and body out. The tail, which stays open, is `tail.py`'s."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from vpai_tui.demo.loki import fields, params, push, shapes, syntax
from vpai_tui.demo.loki.faults import Faults
from vpai_tui.demo.loki.metrics import Work, evaluate, steps
from vpai_tui.demo.loki.model import Entry, Key, Labels, Match, Refused, S, Source
from vpai_tui.demo.loki.params import Params, one
from vpai_tui.demo.loki.parser import parse, selector
from vpai_tui.demo.loki.stages import Pipeline, Row, matches
from vpai_tui.demo.loki.store import Pushed

VERSION = "3.6.5"
_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json; charset=UTF-8"
_FORM = "application/x-www-form-urlencoded"
_BASE = "/loki/api/v1/"
_FLAGS_HEADER = "x-loki-response-encoding-flags"
_IN_STORE_NS = 2 * 3600 * S  # what is older has left the ingester, and only that is in the index's statistics


class Answer(NamedTuple):
    """What goes back."""

    status: int
    body: bytes = b""
    kind: str = _TEXT


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
        if self.method == "POST" and self.headers.get("content-type", "").startswith(
            "application/x-www-form-urlencoded"
        ):
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


def answer(loki: Loki, request: Request) -> Answer:
    """One exchange."""
    path = request.path
    if path == "/ready":
        return _ready(loki, request)
    name = path.removeprefix(_BASE)
    value_of = re.fullmatch(r"label/([A-Za-z_][A-Za-z0-9_]*)/values", name)
    if value_of:
        call: _Call | None = lambda loki, request: _label_values(loki, request, value_of[1])  # noqa: E731
        name = "label"
    elif found := re.fullmatch(r"detected_field/([^/]+)/values", name):
        call = lambda loki, request: _field_values(loki, request, found[1])  # noqa: E731
        name = "detected_field"
    else:
        call = _CALLS.get(name) if path.startswith(_BASE) else None
    if call is None or (name == "push" and request.method != "POST"):
        return Answer(404, b"404 page not found\n")
    if request.method not in ("GET", "POST"):
        return Answer(405)
    try:
        return call(loki, request)
    except Refused as error:
        return Answer(error.status, error.text.encode())


_Call = Callable[[Loki, Request], Answer]


def _json(value: Any, kind: str = _JSON) -> Answer:
    return Answer(200, shapes.encoded(value).encode(), kind)


def _ready(loki: Loki, request: Request) -> Answer:
    if request.method != "GET":
        return Answer(405)
    told = loki.faults().not_ready(loki.now())
    return Answer(503, f"{told}\n".encode()) if told else Answer(200, b"ready\n")


def _buildinfo(loki: Loki, request: Request) -> Answer:
    known = {"version": VERSION, "revision": "6a5ff7a3", "branch": "HEAD", "buildUser": "root@buildkitsandbox"}
    return _json({**known, "buildDate": "2026-02-06T14:21:07Z", "goVersion": "go1.25.7"}, "application/json")


def _limits(loki: Loki, request: Request) -> Answer:
    """The limits in force, for those who say whose."""
    if not request.headers.get("x-scope-orgid"):
        return Answer(401, b"no org id\n")
    limits = {"max_entries_limit_per_query": params.MAX_ENTRIES, "max_query_length": "30d1h", "max_query_series": 500}
    limits |= {"max_query_lookback": "0s", "query_timeout": "1m", "retention_period": "0s", "volume_enabled": True}
    known = {"limits": limits, "pattern_ingester_enabled": False, "version": VERSION}
    return _json(known, "application/json")


def _no_upgrade(loki: Loki, request: Request) -> Answer:
    return Answer(400, b"Bad Request\n")  # a tail that asks for no WebSocket


# ── labels and series ────────────────────────────────────────────────────────────────────────────────────────────────


def _streams(loki: Loki, match: Match) -> list[Labels]:
    """The labels of streams that match: of those in the ingester, whatever the window."""
    return [labels for labels in map(dict, loki.source.streams(loki.now())) if match(labels)]


def _looked_up(loki: Loki, request: Request) -> list[Labels]:
    given = request.params
    bounds = params.bounds(given, loki.now())
    match = matches(selector(one(given, "query"), any_stream=True))
    if bounds.end < bounds.start:
        raise Refused(400, "this data is no longer available, it is past now - max_query_lookback (0s)")
    params.check_range(bounds)
    return _streams(loki, match)


def _listed(values: Iterable[str]) -> Answer:
    """`data` is not there when it would be empty."""
    data = sorted(values)
    return _json({"status": "success", "data": data} if data else {"status": "success"})


def _labels(loki: Loki, request: Request) -> Answer:
    return _listed({name for labels in _looked_up(loki, request) for name in labels})


def _label_values(loki: Loki, request: Request, name: str) -> Answer:
    return _listed({labels[name] for labels in _looked_up(loki, request) if name in labels})


def _series(loki: Loki, request: Request) -> Answer:
    given = request.params
    asked = given.get("match[]", []) + given.get("match", []) or ["{}"]
    tests = [matches(selector(text, any_stream=True)) for text in asked]
    params.bounds(given, loki.now())
    found = _streams(loki, lambda labels: any(test(labels) for test in tests))
    return _json({"status": "success", "data": found})


# ── lines and counts ─────────────────────────────────────────────────────────────────────────────────────────────────


def _query_range(loki: Loki, request: Request) -> Answer:
    given = request.params
    bounds = params.bounds(given, loki.now())
    if bounds.end < bounds.start:
        raise Refused(400, "end timestamp must not be before or equal to start time")
    wanted = params.limit(given)
    forward = params.forward(given)
    step = params.step(given, bounds)
    interval = params.span(given, "interval", 0)
    query = parse(one(given, "query"))
    params.check_range(bounds)
    work = Work()
    if not isinstance(query, syntax.Log):
        times = list(steps(bounds.start, bounds.end, step))
        return _json(shapes.matrix(evaluate(loki.source, query, times, loki.now(), work), work))
    params.check_entries(wanted)
    rows = lines(loki, query, bounds, work)
    rows = in_order(rows, forward=forward)
    rows = _thinned(rows, interval)[:wanted] if interval else rows[:wanted]
    return _json(shapes.streams(rows, request.flags, work))


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


def _thinned(rows: list[Row], interval: int) -> list[Row]:
    """One row, then none for the interval, whatever stream they are of."""
    found: list[Row] = []
    for row in rows:
        if not found or abs(row.ts - found[-1].ts) >= interval:
            found.append(row)
    return found


def _query(loki: Loki, request: Request) -> Answer:
    given = request.params
    params.limit(given)
    params.forward(given)
    time = params.time_ns(text) if (text := one(given, "time")) else loki.now()
    query = parse(one(given, "query"))
    if isinstance(query, syntax.Log):
        told = "log queries are not supported as an instant query type, please change your query to a range query type"
        raise Refused(400, told)
    work = Work()
    found = evaluate(loki.source, query, [time], loki.now(), work)
    return _json(shapes.vector(((key, time, points[time]) for key, points in sorted(found.items()) if points), work))


def _format_query(loki: Loki, request: Request) -> Answer:
    try:
        told = str(parse(one(request.params, "query")))
    except Refused as error:
        body = shapes.encoded({"status": "invalid-query", "error": error.text})
        return Answer(error.status, body.encode(), "application/json; charset=utf-8")
    return _json({"status": "success", "data": told}, "application/json; charset=utf-8")


# ── how much there is ────────────────────────────────────────────────────────────────────────────────────────────────


def _sizes(loki: Loki, request: Request, bounds: params.Bounds) -> list[tuple[Key, int, int]]:
    """Stream, time and bytes of each entry in the window."""
    match = matches(selector(one(request.params, "query"), any_stream=True))
    return [
        (stream, entry.ts, len(entry.line.encode()) + sum(len(text.encode()) for _, text in entry.meta))
        for stream, entries in loki.source.select(match, bounds.start, bounds.end, loki.now())
        for entry in entries
    ]


def _volumes(loki: Loki, request: Request, stamp: Callable[[int], int]) -> dict[Key, dict[int, float]]:
    """Bytes by what is asked for, at the moments `stamp` gives."""
    given = request.params
    by = one(given, "aggregateBy", "series")
    if by not in ("series", "labels"):
        raise Refused(400, "invalid aggregation option")
    bounds = params.bounds(given, loki.now())
    matchers = selector(one(given, "query"), any_stream=True)
    params.check_range(bounds)
    wanted = [name for name in one(given, "targetLabels").split(",") if name]
    wanted = wanted or ([] if by == "labels" else [matcher.name for matcher in matchers])
    found: dict[Key, dict[int, float]] = {}
    for stream, ts, size in _sizes(loki, request, bounds):
        if by == "labels":
            keys: list[Key] = [((name, ""),) for name, _ in stream if not wanted or name in wanted]
        else:
            keys = [tuple((name, text) for name, text in stream if not wanted or name in wanted)]
        for key in keys:
            points = found.setdefault(key, {})
            points[stamp(ts)] = points.get(stamp(ts), 0) + size
    most = params.limit(given)
    largest = sorted(found.items(), key=lambda item: (-sum(item[1].values()), item[0]))
    return dict(largest[:most])


def _volume(loki: Loki, request: Request) -> Answer:
    end = params.bounds(request.params, loki.now()).end
    found = _volumes(loki, request, lambda _: end)
    return _json(shapes.vector(((key, end, int(points[end])) for key, points in found.items()), Work()))


def _volume_range(loki: Loki, request: Request) -> Answer:
    """A vector where no series has more than one bucket; buckets are stamped at their end."""
    bounds = params.bounds(request.params, loki.now())
    step = params.step(request.params, bounds)

    def stamp(ts: int) -> int:
        last = ts - ts % step + step
        return bounds.end if last >= bounds.end else last - 10**6

    found = _volumes(loki, request, stamp)
    if all(len(points) <= 1 for points in found.values()):
        single = ((key, time, int(value)) for key, points in found.items() for time, value in points.items())
        return _json(shapes.vector(single, Work()))
    whole = {key: {time: int(value) for time, value in points.items()} for key, points in found.items()}
    result = shapes.matrix({}, Work())
    result["data"]["result"] = [
        {"metric": dict(key), "values": [[shapes.seconds(time), str(it)] for time, it in sorted(points.items())]}
        for key, points in whole.items()
    ]
    return _json(result)


def _stats(loki: Loki, request: Request) -> Answer:
    """Of the store alone: what is still in the ingester is not counted."""
    bounds = params.bounds(request.params, loki.now())
    selector(one(request.params, "query"))
    params.check_range(bounds)
    flushed = params.Bounds(bounds.start, min(bounds.end, loki.now() - _IN_STORE_NS))
    sizes = [] if loki.pushed is loki.source else _sizes(loki, request, flushed)
    streams = {stream for stream, _, _ in sizes}
    chunks = {(stream, ts // _IN_STORE_NS) for stream, ts, _ in sizes}
    known = {"streams": len(streams), "chunks": len(chunks), "bytes": sum(size for _, _, size in sizes)}
    return _json({**known, "entries": len(sizes)})


# ── what lines hold ──────────────────────────────────────────────────────────────────────────────────────────────────


def _newest(loki: Loki, request: Request) -> tuple[list[Row], bool]:
    """The newest lines of a query, and whether the query parses them itself."""
    given = request.params
    bounds = params.bounds(given, loki.now())
    query = parse(one(given, "query"))
    if not isinstance(query, syntax.Log):
        raise Refused(400, "only log selector is supported")
    params.check_range(bounds)
    rows = lines(loki, query, bounds, Work())
    rows = in_order(rows, forward=False)
    return rows[: params.integer(given, "line_limit", 100)], Pipeline(query.stages).parses


def _fields_limit(request: Request) -> int:
    return params.integer(request.params, "limit", params.integer(request.params, "field_limit", 1000))


def _detected_fields(loki: Loki, request: Request) -> Answer:
    rows, parsed = _newest(loki, request)
    most = _fields_limit(request)
    found = fields.detected(rows, parsed=parsed)[:most]
    return _json({"fields": [it.document() for it in found], "limit": most} if found else {})


def _field_values(loki: Loki, request: Request, name: str) -> Answer:
    rows, parsed = _newest(loki, request)
    most = _fields_limit(request)
    found = next((it.values for it in fields.detected(rows, parsed=parsed) if it.label == name), {})
    return _json({"limit": most, "values": list(found)[:most]} if found else {})


def _detected_labels(loki: Loki, request: Request) -> Answer:
    streams = _looked_up(loki, request)
    found = [
        {"label": name, "cardinality": len({labels[name] for labels in streams if name in labels})}
        for name in sorted({name for labels in streams for name in labels})
    ]
    return _json({"detectedLabels": found} if found else {})


def _patterns(loki: Loki, request: Request) -> Answer:
    selector(one(request.params, "query"))
    return Answer(404)  # the pattern ingester is off, as it is by default


def _push(loki: Loki, request: Request) -> Answer:
    batch = push.read(request.body, request.headers, loki.now())
    loki.pushed.push(batch.entries, loki.now())  # the good ones stay, also where others are refused
    if batch.refused:
        raise Refused(400, "\n".join(batch.refused) + "\n")
    return Answer(204)


_CALLS: dict[str, _Call] = {
    "labels": _labels,
    "label": _labels,
    "series": _series,
    "query_range": _query_range,
    "query": _query,
    "index/volume": _volume,
    "index/volume_range": _volume_range,
    "index/stats": _stats,
    "detected_fields": _detected_fields,
    "detected_labels": _detected_labels,
    "patterns": _patterns,
    "format_query": _format_query,
    "status/buildinfo": _buildinfo,
    "push": _push,
    "drilldown-limits": _limits,
    "tail": _no_upgrade,
}
