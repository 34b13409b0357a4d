"""The cockpit's Loki client on our Loki and, with `VPAI_LOKI_URL`, a real one: questions, and a proven tail."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from tests.contract.loki_kit import REAL, S, Server, Stream, live, serving

from vpai_tui.clock import SystemClock
from vpai_tui.demo.loki.faults import Faults
from vpai_tui.errors import OperatorError
from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.client import LokiClient
from vpai_tui.logs.live import follow
from vpai_tui.logs.model import Backfilled, Cause, Dropped, Event, Mark, Polling, Reconnected, TailOpened, Window
from vpai_tui.logs.pace import Pace
from vpai_tui.logs.way import OverHttp
from vpai_tui.logs.wire import LokiError

QUICK = Pace(window_s=1, settle_s=1.0, again_s=2.0, retry_first_s=0.2, retry_most_s=0.5, tail_again_s=1.0, poll_s=0.5)


class Wrong:
    """The faults of our server, which a test changes."""

    def __init__(self) -> None:
        self.now = Faults()

    def turn(self, **changes: Any) -> None:
        self.now = replace(self.now, **changes)


@pytest.fixture
def wrong() -> Wrong:
    return Wrong()


@pytest.fixture(params=["ours", *(["real"] if REAL else [])])
async def server(request: pytest.FixtureRequest, wrong: Wrong) -> AsyncIterator[Server]:
    if request.param == "real":
        yield Server(REAL)
        return
    async with serving(live(faults=lambda: wrong.now)) as running:
        yield running


@pytest.fixture
def stream(server: Server) -> Stream:
    return Stream(server)


@pytest.fixture
async def client(server: Server) -> AsyncIterator[LokiClient]:
    def make() -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=server.url, trust_env=False)

    found = LokiClient(OverHttp("here", make, lambda error: OperatorError(str(error) or "gone")), SystemClock())
    yield found
    await found.close()


# ── questions ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_lines_both_ways_and_exact_counts(client: LokiClient, stream: Stream) -> None:
    await stream.push(stream.entries("a", "b", "c", "d"))
    start, end = stream.base, stream.base + 3 * S
    for forward, wanted in ((True, [b"a", b"b"]), (False, [b"b", b"c"])):
        found = await client.lines(stream.selector, start, end, limit=2, forward=forward)
        assert [entry.line for entry in found.entries] == wanted
    assert await client.count(stream.selector, start, end) == 3
    assert await client.count(stream.selector, start + 1, end + 1) == 3
    assert await client.count(stream.selector, end + 1, end + S) == 0
    assert await client.count(f"{stream.selector} | json", start, end) == 3  # a line that is no JSON is one
    assert await client.count(f'{stream.selector} |= "b" # told', start, end) == 1


async def test_counts_by_level(client: LokiClient, stream: Stream) -> None:
    await stream.push(stream.entries("info: a", "err: b", "info: c"))
    found = await client.counts(stream.selector, stream.base, stream.base + 10 * S, 10, by=("detected_level",))
    assert {series.labels["detected_level"]: sum(value for _, value in series.points) for series in found} == {
        "info": 2,
        "error": 1,
    }


async def test_metadata_and_labels_and_what_there_is(client: LokiClient, stream: Stream) -> None:
    await stream.push([[str(stream.base), "x", {"trace_id": "t"}]], level="warn")
    start, end = stream.base - S, stream.base + S
    [entry] = (await client.lines(stream.selector, start, end, limit=5, forward=True)).entries
    assert dict(entry.labels) == {**stream.labels, "level": "warn", "service_name": stream.labels["container"]}
    assert dict(entry.meta)["trace_id"] == "t"
    assert {"container", "job", "level"} <= set(await client.labels(start, end))
    assert stream.labels["container"] in await client.values("container", start, end)
    assert await client.values("nope", start, end) == ()
    assert [dict(it) for it in await client.series(stream.selector, start, end)] == [dict(entry.labels)]
    assert (await client.build()).version[0].isdigit()
    assert (await client.stats(stream.selector, start, end)).entries == 0
    assert abs(client.clock.skew_s or 0) < 60


@pytest.mark.parametrize(
    ("query", "column"), [('{job="docker"', 14), ('{job="x"} |= y', 14), ("{job='x'}", 6), ('{job="x"} | jsonn', 18)]
)
async def test_errors_have_a_caret(client: LokiClient, query: str, column: int) -> None:
    with pytest.raises(LokiError) as refused:
        await client.validate(query)
    assert refused.value.query_is_wrong
    shown, _, mark = refused.value.caret.partition("\n")
    assert shown.endswith(query)
    assert len(mark.rstrip()) - (len(shown) - len(query)) == column


@pytest.mark.parametrize("stage", ['|~ "("', '| line_format "{{.x"'])
async def test_what_would_be_silent_is_found_before(client: LokiClient, stream: Stream, stage: str) -> None:
    with pytest.raises(LokiError, match="parse error : stage"):
        async with contextlib.aclosing(follow(client, f"{stream.selector} {stage}", Buffer())) as events:
            await anext(events)


# ── a proven tail ────────────────────────────────────────────────────────────────────────────────────────────────────


class Follower:
    """A stream being followed, and lines being pushed into it."""

    def __init__(self, client: LokiClient, stream: Stream) -> None:
        self.buffer = Buffer()
        self.events: list[Event] = []
        self.pushed: set[tuple[int, bytes]] = set()
        self._client, self._stream = client, stream
        self._news = asyncio.Event()

    async def run(self) -> None:
        async with contextlib.aclosing(follow(self._client, self._stream.selector, self.buffer, pace=QUICK)) as events:
            async for event in events:
                self.events.append(event)
                self._news.set()

    async def push(self, count: int, what: str, *, ago: float = 0.0) -> None:
        now = self._stream.now() - int(ago * S)
        entries = [[str(now + number * 1000), f"{what} {number}"] for number in range(count)]
        await self._stream.push(entries)
        self.pushed |= {(int(ns), text.encode()) for ns, text in entries}

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(90):
            while not holds():
                self._news.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), 1)

    def saw(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def here(self) -> list[tuple[int, bytes]]:
        return [(line.ns, line.raw) for line in self.buffer]

    def proven_to(self, ns: int) -> bool:
        return any(window.to_ns > ns and window.complete for window in self.saw(Window))

    async def proven(self) -> None:
        """All that was pushed is here, once, in order; and counted."""
        newest = max(ns for ns, _ in self.pushed)
        await self.until(lambda: set(self.here) == self.pushed and self.proven_to(newest))
        assert self.here == sorted(self.here, key=lambda it: it[0])
        assert len(self.here) == len(self.pushed)


@contextlib.asynccontextmanager
async def following(client: LokiClient, stream: Stream) -> AsyncIterator[Follower]:
    follower = Follower(client, stream)
    await follower.push(3, "before", ago=5)
    task = asyncio.create_task(follower.run())
    try:
        await follower.until(lambda: bool(follower.saw(TailOpened) or follower.saw(Polling)) or task.done())
        assert not task.done(), task.exception()
        yield follower
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_history_live_and_late_lines_are_proven(client: LokiClient, stream: Stream) -> None:
    async with following(client, stream) as follower:
        assert follower.saw(Backfilled)[0].count == 3
        for number in range(4):
            await follower.push(20, f"round {number}")
            await asyncio.sleep(0.4)
        await follower.push(1, "late", ago=3)
        await follower.proven()


async def test_a_burst_that_the_tail_loses_is_recovered(client: LokiClient, stream: Stream) -> None:
    async with following(client, stream) as follower:
        await follower.push(6000, "burst")
        await follower.proven()


async def test_loss_and_repetition_are_mended(client: LokiClient, stream: Stream, server: Server, wrong: Wrong) -> None:
    if server.ours is None:
        pytest.skip("only ours loses lines when it is told to")
    wrong.turn(lossy=0.5, duplicating=0.4)
    async with following(client, stream) as follower:
        for number in range(6):
            await follower.push(30, f"round {number}")
            await asyncio.sleep(0.3)
        await follower.proven()
        recovered = sum(line.mark == Mark.RECOVERED for line in follower.buffer)
        assert recovered > 20
        assert recovered >= sum(window.recovered for window in follower.saw(Window)) > 0
        assert sum(event.count for event in follower.saw(Dropped)) < recovered


async def test_a_restart_leaves_no_gap(client: LokiClient, stream: Stream, server: Server, wrong: Wrong) -> None:
    if server.ours is None:
        pytest.skip("only ours restarts when it is told to")
    async with following(client, stream) as follower:
        await follower.push(10, "before it")
        wrong.turn(restarted=server.ours.now() / S)
        for number in range(6):
            await asyncio.sleep(0.5)
            with contextlib.suppress(httpx.TransportError):
                await follower.push(5, f"meanwhile {number}")
        await follower.until(lambda: bool(follower.saw(Reconnected)))
        await follower.push(10, "after it")
        await follower.proven()


async def test_the_end_of_the_hour_leaves_no_gap(client: LokiClient, stream: Stream, server: Server) -> None:
    if server.ours is None:
        pytest.skip("only our hour is three seconds long")
    server.ours.max_duration_s = 3
    async with following(client, stream) as follower:
        for number in range(16):
            await follower.push(5, f"round {number}")
            await asyncio.sleep(0.5)
        await follower.proven()
        assert Cause.ROLLOVER in {event.why for event in follower.saw(Reconnected)}


async def test_without_a_slot_it_asks_again_and_again(
    client: LokiClient, stream: Stream, server: Server, wrong: Wrong
) -> None:
    if server.ours is None:
        pytest.skip("only ours has its slots taken when it is told to")
    wrong.turn(tails_taken=10)
    async with following(client, stream) as follower:
        await follower.until(lambda: bool(follower.saw(Polling)))
        await follower.push(20, "polled")
        await follower.proven()
        wrong.turn(tails_taken=0)
        await follower.until(lambda: bool(follower.saw(Reconnected)))
        await follower.push(20, "live again")
        await follower.proven()
