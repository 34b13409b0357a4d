"""Requests and answers: `/api/v1/query_range`, `/api/v1/query`, `/api/v1/import/prometheus`, `/-/healthy`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from math import isnan
from typing import Any

from vpai_tui.demo.loki.net import read_request
from vpai_tui.demo.loki.server import Request
from vpai_tui.demo.victoria.query import Refused, Vector, evaluate, selector
from vpai_tui.demo.victoria.tracks import Match, Pushed, Store, Track

_POINTS_MOST = 30_000
_STEP_S = 300.0
Handler = Callable[[Any, Any], Awaitable[None]]
_REASONS = {200: "OK", 204: "No Content", 400: "Bad Request", 404: "Not Found", 422: "Unprocessable Entity"}


@dataclass(slots=True)
class Victoria:
    """One server: what it draws, what was pushed, its clock in seconds since 1970."""

    drawn: Store
    pushed: Pushed
    now: Callable[[], float]

    def select(self, match: Match) -> Iterable[Track]:
        return [*self.drawn.select(match), *self.pushed.select(match)]


def answer(server: Victoria, request: Request) -> tuple[int, bytes]:
    """Status and body."""
    try:
        match request.path:
            case "/-/healthy" | "/health":
                return 200, b"VictoriaMetrics is Healthy.\n"
            case "/api/v1/query_range":
                return 200, _encoded(_range(server, request))
            case "/api/v1/query":
                return 200, _encoded(_instant(server, request))
            case "/api/v1/import/prometheus" if request.method == "POST":
                for line in request.body.decode("utf-8", "replace").splitlines():
                    _import(server, line)
                return 204, b""
    except Refused as error:
        return 422, _encoded({"status": "error", "errorType": "422", "error": str(error)})
    return 404, _encoded({"status": "error", "errorType": "404", "error": f"unsupported path: {request.path}"})


def _encoded(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _number(request: Request, name: str, default: float) -> float:
    text = request.params.get(name, [""])[0].removesuffix("s")
    try:
        return float(text) if text else default
    except ValueError as error:
        raise Refused(f"cannot parse {name}={text}") from error


def _range(server: Victoria, request: Request) -> dict[str, Any]:
    end = min(_number(request, "end", server.now()), server.now())
    start, step = _number(request, "start", end - _STEP_S), _number(request, "step", _STEP_S)
    if step <= 0 or (end - start) / step > _POINTS_MOST:
        raise Refused(f"too many points for the given start={start}, end={end} and step={step}")
    times = [start + column * step for column in range(int((end - start) // step) + 1)] if end >= start else []
    result = [{"metric": dict(key), "values": _points(times, row)} for key, row in _rows(server, request, times)]
    return _success("matrix", [it for it in result if it["values"]])


def _instant(server: Victoria, request: Request) -> dict[str, Any]:
    at = _number(request, "time", server.now())
    found = [(key, _points([at], row)) for key, row in _rows(server, request, [at])]
    return _success("vector", [{"metric": dict(key), "value": points[0]} for key, points in found if points])


def _rows(server: Victoria, request: Request, times: list[float]) -> list[Any]:
    query = request.params.get("query", [""])[0]
    if not query:
        raise Refused("missing `query` arg")
    found: Vector = evaluate(query, server, times)
    return sorted(found.items())


def _points(times: list[float], row: list[float | None]) -> list[list[Any]]:
    pairs = zip(times, row, strict=True)
    return [
        [int(time) if time == int(time) else time, f"{value:.12g}"]
        for time, value in pairs
        if value is not None and not isnan(value)
    ]


def _success(kind: str, result: list[dict[str, Any]]) -> dict[str, Any]:
    return {"status": "success", "isPartial": False, "data": {"resultType": kind, "result": result}}


def _import(server: Victoria, line: str) -> None:
    """`name{label="value"} 3.5 1700000000000`; the time in milliseconds may be missing."""
    if not line.strip() or line.startswith("#"):
        return
    head, brace, tail = line.rpartition("}")
    head, tail = (head + brace, tail) if brace else line.split(" ", 1)
    value, *time = tail.split()
    server.pushed.add(selector(head).labels, float(time[0]) / 1000 if time else server.now(), float(value))


def handler(server: Victoria) -> Handler:
    """Who serves one connection: asyncio's streams, or asyncssh's."""
    return lambda reader, writer: _serve(server, reader, writer)


async def _serve(server: Victoria, reader: Any, writer: Any) -> None:
    try:
        while (found := await read_request(reader)) is not None:
            status, body = await asyncio.to_thread(answer, server, found[0])
            head = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
            head += "" if status == 204 else f"Content-Length: {len(body)}\r\n"
            writer.write(head.encode() + b"\r\n" + body)
            await writer.drain()
    except (OSError, EOFError, ValueError):
        pass  # the other side has gone, or speaks no HTTP
    finally:
        writer.close()
