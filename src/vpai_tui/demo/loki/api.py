"""The HTTP API: a request in, status and body out. The tail, which stays open, is `tail.py`'s."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from vpai_tui.demo.loki import amounts, params, push, shapes, syntax
from vpai_tui.demo.loki.metrics import Work, evaluate, steps
from vpai_tui.demo.loki.model import Refused
from vpai_tui.demo.loki.params import one
from vpai_tui.demo.loki.parser import parse, selector
from vpai_tui.demo.loki.server import Answer, Loki, Request, in_order, json_answer, lines, looked_up, streams
from vpai_tui.demo.loki.stages import Row, matches

__all__ = ["Answer", "Loki", "Request", "answer"]

VERSION = "3.6.5"
_BASE = "/loki/api/v1/"


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
        call = lambda loki, request: amounts.field_values(loki, request, found[1])  # noqa: E731
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


def _ready(loki: Loki, request: Request) -> Answer:
    if request.method != "GET":
        return Answer(405)
    told = loki.faults().not_ready(loki.now())
    return Answer(503, f"{told}\n".encode()) if told else Answer(200, b"ready\n")


def _buildinfo(loki: Loki, request: Request) -> Answer:
    known = {"version": VERSION, "revision": "6a5ff7a3", "branch": "HEAD", "buildUser": "root@buildkitsandbox"}
    return json_answer({**known, "buildDate": "2026-02-06T14:21:07Z", "goVersion": "go1.25.7"}, "application/json")


def _limits(loki: Loki, request: Request) -> Answer:
    """The limits in force, for those who say whose."""
    if not request.headers.get("x-scope-orgid"):
        return Answer(401, b"no org id\n")
    limits = {"max_entries_limit_per_query": params.MAX_ENTRIES, "max_query_length": "30d1h", "max_query_series": 500}
    limits |= {"max_query_lookback": "0s", "query_timeout": "1m", "retention_period": "0s", "volume_enabled": True}
    known = {"limits": limits, "pattern_ingester_enabled": False, "version": VERSION}
    return json_answer(known, "application/json")


def _no_upgrade(loki: Loki, request: Request) -> Answer:
    return Answer(400, b"Bad Request\n")  # a tail that asks for no WebSocket


# ── labels and series ────────────────────────────────────────────────────────────────────────────────────────────────


def _listed(values: Iterable[str]) -> Answer:
    """`data` is not there when it would be empty."""
    data = sorted(values)
    return json_answer({"status": "success", "data": data} if data else {"status": "success"})


def _labels(loki: Loki, request: Request) -> Answer:
    return _listed({name for labels in looked_up(loki, request) for name in labels})


def _label_values(loki: Loki, request: Request, name: str) -> Answer:
    return _listed({labels[name] for labels in looked_up(loki, request) if name in labels})


def _series(loki: Loki, request: Request) -> Answer:
    given = request.params
    asked = given.get("match[]", []) + given.get("match", []) or ["{}"]
    tests = [matches(selector(text, any_stream=True)) for text in asked]
    params.bounds(given, loki.now())
    found = streams(loki, lambda labels: any(test(labels) for test in tests))
    return json_answer({"status": "success", "data": found})


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
        return json_answer(shapes.matrix(evaluate(loki.source, query, times, loki.now(), work), work))
    params.check_entries(wanted)
    try:
        rows = in_order(lines(loki, query, bounds, work), forward=forward)
    except Refused:
        if shapes.CATEGORIZE not in request.flags:
            raise
        rows = []  # a stage that cannot run: where labels are kept apart, 3.6.5 has no word for it
    rows = _thinned(rows, interval)[:wanted] if interval else rows[:wanted]
    return json_answer(shapes.streams(rows, request.flags, work))


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
    return json_answer(
        shapes.vector(((key, time, points[time]) for key, points in sorted(found.items()) if points), work)
    )


def _format_query(loki: Loki, request: Request) -> Answer:
    try:
        told = str(parse(one(request.params, "query")))
    except Refused as error:
        body = shapes.encoded({"status": "invalid-query", "error": error.text})
        return Answer(error.status, body.encode(), "application/json; charset=utf-8")
    return json_answer({"status": "success", "data": told}, "application/json; charset=utf-8")


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
    "index/volume": amounts.volume,
    "index/volume_range": amounts.volume_range,
    "index/stats": amounts.stats,
    "detected_fields": amounts.detected_fields,
    "detected_labels": amounts.detected_labels,
    "patterns": _patterns,
    "format_query": _format_query,
    "status/buildinfo": _buildinfo,
    "push": _push,
    "drilldown-limits": _limits,
    "tail": _no_upgrade,
}
