"""Lokis for the tests: ours in memory, and the recordings of a real one to hold it against."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
from httpx_ws import AsyncWebSocketSession, aconnect_ws

from vpai_tui.demo.loki.api import Answer, Loki, Request, answer
from vpai_tui.demo.loki.net import handler
from vpai_tui.demo.loki.store import Pushed

REAL = os.environ.get("VPAI_LOKI_URL", "").rstrip("/")
S = 10**9
RECORDED = Path(__file__).parents[1] / "recordings" / "loki"
RECORDED_AT = 1795390533_123456789  # two days after the recorded hour, as when it was recorded


def recorded(name: str) -> list[dict[str, Any]]:
    """A file of the recordings: one JSON document a line (split at newlines only: lines hold other line ends)."""
    return [json.loads(line) for line in _lines(name)]


@cache
def _lines(name: str) -> list[str]:
    text = gzip.decompress((RECORDED / name).read_bytes()).decode()
    return [line for line in text.split("\n") if line]


def empty(now: Callable[[], int] = lambda: RECORDED_AT) -> Loki:
    """A server without a line."""
    pushed = Pushed()
    return Loki(pushed, pushed, now)


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def push(loki: Loki, body: dict[str, Any]) -> Answer:
    text = _compact(body).encode()
    return answer(loki, Request("POST", "/loki/api/v1/push", {"content-type": "application/json"}, text))


def of_the_recordings(now: Callable[[], int] = lambda: RECORDED_AT) -> Loki:
    """A server with the recordings' data set."""
    loki = empty(now)
    for body in recorded("dataset.jsonl.gz"):
        assert push(loki, body).status == 204
    return loki


def asked_again(loki: Loki, exchange: dict[str, Any]) -> tuple[int, str, Any]:
    """Status, content type and body of a recorded request, asked of ours."""
    given = exchange["params"]
    query = urlencode([tuple(pair) for pair in given] if isinstance(given, list) else given, doseq=True)
    body = exchange["body"]
    content = b"" if body is None else body.encode() if isinstance(body, str) else _compact(body).encode()
    if exchange["headers"].get("content-encoding") == "gzip":
        content = gzip.compress(content)
    found = answer(loki, Request(exchange["method"], f"{exchange['path']}?{query}", exchange["headers"], content))
    text = found.body.decode()
    kind = "" if found.status in (204, 405) else found.kind
    return found.status, kind, json.loads(text) if "json" in found.kind and text else text


class Server:
    """A Loki that tests talk to: its address, and what only ours can do."""

    def __init__(self, url: str, ours: Loki | None = None) -> None:
        self.url = url
        self.ours = ours

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(base_url=f"{self.url}/loki/api/v1", trust_env=False, timeout=30) as client:
            yield client

    @contextlib.asynccontextmanager
    async def tail(self, query: str, **params: Any) -> AsyncIterator[AsyncWebSocketSession]:
        """A tail with the header that keeps labels apart."""
        async with (
            self.client() as client,
            aconnect_ws(
                f"{self.url}/loki/api/v1/tail",
                client,
                params={"query": query, **params},
                headers={"X-Loki-Response-Encoding-Flags": "categorize-labels"},
            ) as socket,
        ):
            yield socket


@contextlib.asynccontextmanager
async def serving(loki: Loki) -> AsyncIterator[Server]:
    """Our server on a port of loopback."""
    running: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await handler(loki)(reader, writer)
        except asyncio.CancelledError:
            writer.close()
        finally:
            running.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield Server(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", loki)
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await server.wait_closed()


def live(**changes: Any) -> Loki:
    """A server without a line, on the machine's clock."""
    pushed = Pushed()
    return Loki(pushed, pushed, time.time_ns, **changes)


class Stream:
    """A stream of this test alone, and lines that are pushed into it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.labels = {"container": f"t{uuid.uuid4().hex[:12]}", "job": "contract"}
        self.base = time.time_ns() - 60 * S  # of the lines' times
        self.base -= self.base % 1000

    @staticmethod
    def now() -> int:
        return time.time_ns()

    @property
    def selector(self) -> str:
        return f'{{container="{self.labels["container"]}"}}'

    def entries(self, *texts: str, at: int = 0, every: int = S) -> list[list[Any]]:
        return [[str(self.base + at + number * every), text] for number, text in enumerate(texts)]

    async def push(self, entries: list[list[Any]], *, status: int = 204, **labels: str) -> str:
        body = {"streams": [{"stream": {**self.labels, **labels}, "values": entries}]}
        async with self.server.client() as client:
            done = await client.post("/push", json=body)
        assert done.status_code == status, done.text
        return done.text

    async def get(self, path: str, *, status: int = 200, headers: dict[str, str] | None = None, **params: Any) -> Any:
        window = {"start": str(self.base - 60 * S), "end": str(self.base + 120 * S)}
        async with self.server.client() as client:
            done = await client.get(path, params={**window, **params}, headers=headers)
        assert done.status_code == status, done.text
        return done.json() if "json" in done.headers.get("content-type", "") else done.text

    async def lines(self, query: str = "", **params: Any) -> list[str]:
        found = await self.get("/query_range", query=query or self.selector, **params)
        values = [value for stream in found["data"]["result"] for value in stream["values"]]
        return [value[1] for value in sorted(values, key=lambda it: int(it[0]))]

    async def count(self, query: str = "", window: str = "5m", **params: Any) -> int:
        found = await self.get("/query", query=f"sum(count_over_time({query or self.selector}[{window}]))", **params)
        return sum(int(item["value"][1]) for item in found["data"]["result"])
