"""The past, as VictoriaMetrics has it: figures of containers and hosts over time, asked over HTTP over SSH.

It keeps what Alloy sends (stacks/*/monitoring): `container_*` of cAdvisor with the labels `host` and `container`,
`node_*` of every host with `host`. Whoever needs another figure asks `Trends.series` for any PromQL.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from vpai_tui.clock import Clock
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.model import Service
from vpai_tui.fleet.shell import Connect, EngineOf, container_of
from vpai_tui.fleet.stacks import Stack
from vpai_tui.text import clean_line

if TYPE_CHECKING:
    import httpx

IMAGE = "victoria-metrics"
PORT = 8428
DAY_S = 24 * 3600.0
STEP_S = 300.0
ASK_TIMEOUT_S = 15.0
POINTS_MOST = 11_000  # of one series; what the server allows by default is three times that
_SERIES_MOST = 512
_ANSWER_MOST = 16 << 20  # bytes
_KEPT_S = 60.0  # an answer about the last day is good for that long
_KEPT_MOST = 64


class Point(NamedTuple):
    """One value at one time, in seconds since 1970."""

    at_s: float
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart: finite values, oldest first; a time without one is left out. Labels are cleaned."""

    labels: Mapping[str, str]
    points: tuple[Point, ...]

    @property
    def values(self) -> tuple[float, ...]:
        return tuple(point.value for point in self.points)

    @property
    def least(self) -> float:
        return min(self.values)

    @property
    def mean(self) -> float:
        return sum(self.values) / len(self.points)

    @property
    def most(self) -> float:
        return max(self.values)


@dataclass(frozen=True, slots=True)
class Past:
    """A day of one service or host by figure: `cpu` (percent of one core) and `memory` (bytes) of a service; `load`,
    `memory` (percent) and `disk` (percent, the fullest) of a host. `why` says what is missing, and is empty otherwise.
    """

    figures: Mapping[str, Series]
    why: str = ""


# ── one question ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def ask(
    client: httpx.AsyncClient, query: str, start_s: float, end_s: float, step_s: float, *, host: str | None = None
) -> tuple[Series, ...]:
    """What `query` was at every multiple of `step_s` from `start_s` to `end_s` (seconds since 1970).

    Series without a finite value are left out.

    Raises:
        OperatorError: the server refuses the query, or what it says is no answer of such a server.
        httpx.HTTPError: it cannot be reached.
    """
    step = max(1, round(step_s), round((end_s - start_s) / POINTS_MOST))
    # the server rounds to multiples of the step where there are many points, and not where there are few
    params: dict[str, str | int] = {
        "query": query,
        "start": int(start_s // step * step),
        "end": int(end_s // step * step),
        "step": step,
    }
    async with client.stream("GET", "/api/v1/query_range", params=params, timeout=ASK_TIMEOUT_S) as response:
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > _ANSWER_MOST:
                raise _wrong("its answer is larger than 16 MiB", host)
    return read(bytes(body), response.status_code, host=host)


def read(body: bytes, status: int, *, host: str | None = None) -> tuple[Series, ...]:
    """The series of an answer of `/api/v1/query_range`. OperatorError where there are none in it."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise _wrong(f"HTTP {status}, and what it says is no JSON", host)
    if told.get("status") != "success" or not 200 <= status < 300:
        raise _wrong(f"HTTP {status}: {clean_line(str(told.get('error') or 'no reason told'), 300)}", host)
    data = told.get("data")
    rows = data.get("result") if isinstance(data, dict) else None
    if not isinstance(rows, list):
        raise _wrong("its answer holds no series", host)
    found = [_series(row) for row in rows[:_SERIES_MOST] if isinstance(row, dict)]
    return tuple(series for series in found if series.points)


def _series(row: Mapping[str, Any]) -> Series:
    metric, values = row.get("metric"), row.get("values")
    labels = metric.items() if isinstance(metric, dict) else ()
    points = [_point(item) for item in values[: POINTS_MOST + 1]] if isinstance(values, list) else []
    whole = sorted(point for point in points if point is not None)
    return Series({clean_line(str(key), 200): clean_line(str(text), 200) for key, text in labels}, tuple(whole))


def _point(item: Any) -> Point | None:
    try:
        at, value = item
        point = Point(float(at), float(value))
    except (TypeError, ValueError, OverflowError):
        return None
    return point if isfinite(point.at_s) and isfinite(point.value) else None


def _wrong(what: str, host: str | None) -> OperatorError:
    return OperatorError(f"VictoriaMetrics: {what}", host=host, step="history", remedy="vpai-tui logs victoriametrics")


def quoted(value: str) -> str:
    """A text as PromQL writes it."""
    return json.dumps(value, ensure_ascii=False)


# ── where it is ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Home:
    """The stack's service that is VictoriaMetrics."""

    stack: Stack
    service: str
    port: int = PORT


def home_of(stacks: Sequence[Stack]) -> Home | None:
    """The first service whose image is VictoriaMetrics'; None where there is none."""
    for stack in stacks:
        for service in stack.services:
            image = (stack.image(service) or "").partition("@")[0].rsplit("/", 1)[-1].partition(":")[0]
            if image == IMAGE:
                ports = (it.port for it in stack.spec.access if it.service == service and it.port)
                return Home(stack, service, next(ports, PORT))
    return None


class Trends:
    """VictoriaMetrics of the fleet, one per command or cockpit. Nothing is opened before the first question, and
    nothing stays open after one: its host's channels are few."""

    def __init__(self, stacks: Sequence[Stack], connect: Connect, engine: EngineOf, clock: Clock) -> None:
        self._home = home_of(stacks)
        self._connect = connect
        self._engine = engine
        self._clock = clock
        self._turn = asyncio.Lock()
        self._kept: dict[str, tuple[float, Past]] = {}

    @property
    def host(self) -> str | None:
        """Where it runs by the stacks' files; None: nowhere."""
        return self._home.stack.host if self._home else None

    async def series(self, query: str, start_s: float, end_s: float, step_s: float = STEP_S) -> tuple[Series, ...]:
        """What `query` (PromQL) was from `start_s` to `end_s`, seconds since 1970, every `step_s` seconds.

        Raises:
            OperatorError: no stack has VictoriaMetrics, its host is not connected, it does not run or refuses.
        """
        return (await self.several({"": query}, start_s, end_s, step_s))[""]

    async def several(
        self, queries: Mapping[str, str], start_s: float, end_s: float, step_s: float = STEP_S
    ) -> dict[str, tuple[Series, ...]]:
        """The same for several queries over one connection, by their names."""
        async with self._turn, self._client() as (client, host):
            return {
                name: await ask(client, query, start_s, end_s, step_s, host=host) for name, query in queries.items()
            }

    async def of_service(self, service: Service) -> Past:
        """The last day of one service: CPU and memory. Never raises for what cannot be had: `why` tells."""
        name = service.container.name if service.container else ""
        if not name:
            return Past({}, f"{service.id} has no container")
        matchers = f"{{host={quoted(service.host)},container={quoted(name)}}}"
        queries = {
            "cpu": f"100 * sum(rate(container_cpu_usage_seconds_total{matchers}[5m]))",
            "memory": f"sum(container_memory_working_set_bytes{matchers})",
        }
        return await self._day(service.id, queries, f"VictoriaMetrics has no figures of the container {name}")

    async def of_host(self, host: str) -> Past:
        """The last day of one host: load of five minutes, memory and the fullest disk. Never raises, as above."""
        it = f"{{host={quoted(host)}}}"
        disks = f'{{host={quoted(host)},fstype=~"ext4|xfs|btrfs"}}'
        queries = {
            "load": f"max(node_load5{it})",
            "memory": f"100 * (1 - sum(node_memory_MemAvailable_bytes{it}) / sum(node_memory_MemTotal_bytes{it}))",
            "disk": f"100 * max(1 - node_filesystem_avail_bytes{disks} / node_filesystem_size_bytes{disks})",
        }
        return await self._day(host, queries, f"VictoriaMetrics has no figures of {host}")

    async def _day(self, subject: str, queries: Mapping[str, str], nothing: str) -> Past:
        now_boot_s = self._clock.boot_s()
        kept = self._kept.get(subject)
        if kept is not None and now_boot_s - kept[0] < _KEPT_S:
            return kept[1]
        now_s = self._clock.now().timestamp()
        try:
            found = await self.several(queries, now_s - DAY_S, now_s)
        except OperatorError as error:
            past = Past({}, str(error))
        else:
            figures = {name: rows[0] for name, rows in found.items() if rows}
            past = Past(figures, "" if figures else nothing)
        while len(self._kept) >= _KEPT_MOST:
            self._kept.pop(next(iter(self._kept)))
        self._kept[subject] = (self._clock.boot_s(), past)
        return past

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
        """A client for a few questions; every failure of it is an OperatorError."""
        home = self._home
        if home is None:
            raise OperatorError("no stack has VictoriaMetrics", step="history")
        connection = await self._connect(home.stack.host)
        name = (await container_of(self._engine(connection), home.stack, home.service)).name
        import httpx

        from vpai_tui.remote.http import as_operator_error, http_client

        client = http_client(connection, container=name, base_url=f"http://{name}:{home.port}")
        try:
            yield client, home.stack.host
        except httpx.HTTPError as error:
            raise as_operator_error(error, connection, "VictoriaMetrics") from error
        finally:
            await client.aclose()
