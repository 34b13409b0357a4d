"""How much there is, and what lines hold: volumes, statistics, detected fields and labels."""

from __future__ import annotations

from collections.abc import Callable

from vpai_tui.demo.loki import fields, params, shapes, syntax
from vpai_tui.demo.loki.metrics import Work
from vpai_tui.demo.loki.model import Key, Refused, S
from vpai_tui.demo.loki.params import one
from vpai_tui.demo.loki.parser import parse, selector
from vpai_tui.demo.loki.server import Answer, Loki, Request, in_order, json_answer, lines, looked_up
from vpai_tui.demo.loki.stages import Pipeline, Row, matches

_IN_STORE_NS = 2 * 3600 * S  # what is older has left the ingester, and only that is in the index's statistics


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


def volume(loki: Loki, request: Request) -> Answer:
    end = params.bounds(request.params, loki.now()).end
    found = _volumes(loki, request, lambda _: end)
    return json_answer(shapes.vector(((key, end, int(points[end])) for key, points in found.items()), Work()))


def volume_range(loki: Loki, request: Request) -> Answer:
    """A vector where no series has more than one bucket; buckets are stamped at their end."""
    bounds = params.bounds(request.params, loki.now())
    step = params.step(request.params, bounds)

    def stamp(ts: int) -> int:
        last = ts - ts % step + step
        return bounds.end if last >= bounds.end else last - 10**6

    found = _volumes(loki, request, stamp)
    if all(len(points) <= 1 for points in found.values()):
        single = ((key, time, int(value)) for key, points in found.items() for time, value in points.items())
        return json_answer(shapes.vector(single, Work()))
    whole = {key: {time: int(value) for time, value in points.items()} for key, points in found.items()}
    result = shapes.matrix({}, Work())
    result["data"]["result"] = [
        {"metric": dict(key), "values": [[shapes.seconds(time), str(it)] for time, it in sorted(points.items())]}
        for key, points in whole.items()
    ]
    return json_answer(result)


def stats(loki: Loki, request: Request) -> Answer:
    """Of the store alone: what is still in the ingester is not counted."""
    bounds = params.bounds(request.params, loki.now())
    selector(one(request.params, "query"))
    params.check_range(bounds)
    flushed = params.Bounds(bounds.start, min(bounds.end, loki.now() - _IN_STORE_NS))
    sizes = [] if loki.pushed is loki.source else _sizes(loki, request, flushed)
    streams = {stream for stream, _, _ in sizes}
    chunks = {(stream, ts // _IN_STORE_NS) for stream, ts, _ in sizes}
    known = {"streams": len(streams), "chunks": len(chunks), "bytes": sum(size for _, _, size in sizes)}
    return json_answer({**known, "entries": len(sizes)})


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


def detected_fields(loki: Loki, request: Request) -> Answer:
    rows, parsed = _newest(loki, request)
    most = _fields_limit(request)
    found = fields.detected(rows, parsed=parsed)[:most]
    return json_answer({"fields": [it.document() for it in found], "limit": most} if found else {})


def field_values(loki: Loki, request: Request, name: str) -> Answer:
    rows, parsed = _newest(loki, request)
    most = _fields_limit(request)
    found = next((it.values for it in fields.detected(rows, parsed=parsed) if it.label == name), {})
    return json_answer({"limit": most, "values": list(found)[:most]} if found else {})


def detected_labels(loki: Loki, request: Request) -> Answer:
    streams = looked_up(loki, request)
    found = [
        {"label": name, "cardinality": len({labels[name] for labels in streams if name in labels})}
        for name in sorted({name for labels in streams for name in labels})
    ]
    return json_answer({"detectedLabels": found} if found else {})
