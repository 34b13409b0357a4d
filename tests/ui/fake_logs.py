"""Loki as the tests of mode 3 have it: lines and events that a test gives, and what was asked of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.client import Stats
from vpai_tui.logs.find import Target
from vpai_tui.logs.model import (
    SECOND_NS,
    Backfilled,
    Entry,
    Event,
    Fallback,
    Labels,
    LinesCame,
    Mark,
    Source,
    TailOpened,
    Window,
)
from vpai_tui.logs.query import is_logql
from vpai_tui.logs.session import Choice
from vpai_tui.logs.wire import Cost, Lines, Series

from .fake_fleet import NOW

NOW_NS = int(NOW.timestamp()) * SECOND_NS
SERVICES = ("sese/edge/caddy", "sese/apps/n8n", "sese/infra/redis", "sese/infra/postgresql", "seko/headscale/headscale")


def labels(service: str) -> Labels:
    host, stack, name = service.split("/")
    return (("container", f"javisi_{name}"), ("host", host), ("service", name), ("stack", stack))


def entry(ago_s: float, service: str, text: str | bytes, **meta: str) -> Entry:
    """A line that was written `ago_s` seconds before now."""
    line = text if isinstance(text, bytes) else text.encode()
    return Entry(NOW_NS - round(ago_s * 1000) * 1_000_000, labels(service), line, meta)


class FakeLogs:
    """`Logs`, as far as the screen asks it."""

    host = "sese"

    @property
    def link(self) -> FakeLogs:
        return self

    def __init__(self, entries: Sequence[Entry] = (), events: Sequence[Event] = ()) -> None:
        self.entries = list(entries)
        self.events = list(events)
        self.asked: list[tuple[str, str]] = []
        self.failure: OperatorError | None = None  # why nothing can be asked
        self.past: list[Entry] = []  # older lines, which only paging brings
        self.stored: dict[str, list[Entry]] = {}  # lines by the query that asks for them; `past` has all other ones
        self.refused: OperatorError | None = None  # what is wrong with any query that is looked at first
        self.slow: asyncio.Event | None = None  # nothing of the past is answered before it is set
        self.count_fails: OperatorError | None = None  # why no bar of the past is counted
        self.held = Stats(3, 40, 700 * 1024 * 1024, 9_000_000)  # what the store has of whatever is asked for
        self.reason = ""  # why only the container itself is left
        self.following = 0  # tails that are open now
        self.at_once = 0  # and at most at a time
        self.buffer: Buffer | None = None
        self._queue: asyncio.Queue[Event] = asyncio.Queue()

    def target(self, text: str) -> Target:
        if is_logql(text):
            return Target(query=text)
        if text in ("all", ""):
            return Target()
        if text in ("sese", "seko", "pi"):
            return Target(host=text)
        if text.count("/") == 1:
            return Target(text.partition("/")[0], text)
        found = [it for it in SERVICES if it == text or it.endswith(f"/{text}")]
        if len(found) != 1:
            raise UsageError(f"{text} is no service of ours")
        host, stack, service = found[0].split("/")
        return Target(host, f"{host}/{stack}", service)

    async def choose(self, target: Target, *, grep: str = "") -> Choice:
        self.asked.append(("choose", target.name))
        if self.failure is not None:
            raise self.failure
        if self.reason:
            return Choice(target, None, self.reason)
        return Choice(target, target.query or f'{{service="{target.service}"}}')

    def source(self, found: Labels) -> Source:
        known = dict(found)
        if "host" not in known:
            return Source(known.get("container", "?"))
        return Source(known["service"], known["host"], f"{known['host']}/{known['stack']}", known["service"])

    def now_ns(self) -> int:
        return NOW_NS

    @property
    def most(self) -> int:
        return 5000

    async def lines(self, query: str, from_ns: int, to_ns: int, *, limit: int, forward: bool) -> Lines:
        """What the past is asked of: `past` has it."""
        self.asked.append(("lines", query))
        if self.slow is not None:
            await self.slow.wait()
        found = sorted(
            (it for it in self.stored.get(query, self.past) if from_ns <= it.ns < to_ns), key=lambda it: it.ns
        )
        return Lines(found[:limit] if forward else found[-limit:], Cost())

    async def validate(self, query: str) -> None:
        self.asked.append(("validate", query))
        if self.refused is not None:
            raise self.refused

    async def count(self, query: str, from_ns: int, to_ns: int) -> int:
        self.asked.append(("count", query))
        return sum(from_ns <= it.ns < to_ns for it in self.stored.get(query, self.past))

    async def counts(
        self, query: str, from_ns: int, to_ns: int, step_s: int, by: Sequence[str] = ()
    ) -> tuple[Series, ...]:
        self.asked.append(("counts", query))
        if self.slow is not None:
            await self.slow.wait()
        if self.count_fails is not None:
            raise self.count_fails
        found: dict[str, dict[int, float]] = {}
        step = step_s * SECOND_NS
        for it in self.stored.get(query, self.past):
            if from_ns <= it.ns < to_ns:
                points = found.setdefault(str(it.meta.get("detected_level", "unknown")), {})
                ends_s = (it.ns // step + 1) * step_s
                points[ends_s] = points.get(ends_s, 0) + 1
        return tuple(Series({"detected_level": level}, tuple(points.items())) for level, points in found.items())

    async def stats(self, query: str, from_ns: int, to_ns: int) -> Stats:
        self.asked.append(("stats", query))
        return self.held

    async def follow(
        self, choice: Choice, buffer: Buffer, *, lines: int = 1000, since_s: float = 3600.0
    ) -> AsyncGenerator[Event, None]:
        self.asked.append(("follow", choice.query or "docker"))
        self.buffer = buffer
        buffer.from_ns = min(NOW_NS - 3600 * SECOND_NS, *(it.ns for it in self.entries), NOW_NS)
        self.following += 1
        self.at_once = max(self.at_once, self.following)
        try:
            if choice.query is None:
                yield Fallback("javisi_caddy", choice.reason)
            there = self.stored.get(choice.query or "", self.entries)
            came = buffer.add(it for it in there if choice.target.has(self.source(it.labels)))
            yield LinesCame(tuple(came))
            yield Backfilled(len(came), NOW_NS - 3600 * SECOND_NS, NOW_NS, True)
            if choice.query is not None:
                yield TailOpened(NOW_NS)
            for event in self.events:
                yield event
            while True:
                yield await self._queue.get()
        finally:
            self.following -= 1

    def say(self, *told: Event) -> None:
        """What happens to the tail now."""
        for event in told:
            self._queue.put_nowait(event)

    def write(self, *entries: Entry, mark: Mark = Mark.NONE) -> None:
        """Lines that come now."""
        assert self.buffer is not None
        self.say(LinesCame(tuple(self.buffer.add(entries, mark))))


def window(from_ago_s: float, to_ago_s: float, expected: int, proven: int | None = None, recovered: int = 0) -> Window:
    return Window(
        NOW_NS - round(from_ago_s * SECOND_NS),
        NOW_NS - round(to_ago_s * SECOND_NS),
        expected,
        expected if proven is None else proven,
        recovered,
    )


class NoLogs(FakeLogs):
    """Nothing that it is asked for is known."""

    def target(self, text: str) -> Target:
        raise UsageError(f"{text} is in no stack")


def entries() -> list[Entry]:
    """Some minutes of a small fleet: every style of line, a traceback, errors, one hour of quiet before."""
    found: list[Entry] = []
    for at in range(60):
        ago = 600 - at * 9
        found.append(
            entry(
                ago,
                "sese/edge/caddy",
                f'{{"level":"info","ts":1.7,"logger":"http.log.access","msg":"handled request",'
                f'"request":{{"method":"GET","uri":"/api/{at}"}},"status":200,"duration":0.0{at:02d}}}',
            )
        )
        if at % 4 == 0:
            found.append(
                entry(ago - 1.25, "sese/infra/redis", f"1:M 26 Feb 2026 23:0{at % 10}:00.000 * {at} keys saved")
            )
        if at % 5 == 0:
            found.append(entry(ago - 2.5, "sese/apps/n8n", f"workflow {at} finished in 0.{at}s"))
        if at % 7 == 0:
            found.append(
                entry(
                    ago - 3,
                    "seko/headscale/headscale",
                    f'time="x" level=debug msg="poll of node {at}" node=sese n={at}',
                )
            )
    found.append(
        entry(
            130,
            "sese/edge/caddy",
            '{"level":"warn","msg":"certificate expires soon","names":["mayi.example"],"days":9}',
        )
    )
    found.append(
        entry(
            95,
            "sese/infra/postgresql",
            '2026-02-26 23:02:25 UTC [91] ERROR:  duplicate key value violates "users_pkey"',
        )
    )
    found.append(
        entry(95, "sese/infra/postgresql", "2026-02-26 23:02:25 UTC [91] DETAIL:  Key (id)=(7) already exists.")
    )
    trace = (
        "Traceback (most recent call last):",
        '  File "/app/worker.py", line 41, in run',
        "    await job()",
        '  File "/app/jobs.py", line 7, in job',
        "    raise ValueError(path)",
        "ValueError: no such path: [/]",
    )
    found += [entry(70 - number / 1000, "sese/apps/n8n", row) for number, row in enumerate(trace)]
    found.append(
        entry(62, "sese/apps/n8n", 'level=error msg="workflow 55 failed" workflow=55 retry=1 password=hunter2')
    )
    return found
