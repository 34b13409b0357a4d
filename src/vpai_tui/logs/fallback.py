"""A container's own log through the Docker API: where Loki is down or has nothing of it. Nothing there is proven."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from vpai_tui.errors import HostUnreachable, LinkLost, OperatorError
from vpai_tui.fleet.containers import Engine
from vpai_tui.fleet.describe import secrets_of
from vpai_tui.fleet.own_secrets import without
from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.model import (
    LATEST_NS,
    SECOND_NS,
    Backfilled,
    Cause,
    Disconnected,
    Entry,
    Event,
    Fallback,
    Labels,
    Line,
    LinesCame,
    Reconnected,
)

_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z ?")
_LONGEST = 1024 * 1024  # bytes of a line; what is longer is cut there
_RETRY_MOST_S = 10.0


@dataclass(frozen=True, slots=True)
class Spoken:
    """A container and the engine that has its log. `secrets` are taken out of what it says."""

    engine: Engine
    id: str
    name: str
    secrets: tuple[str, ...] = ()

    @property
    def labels(self) -> Labels:
        return (("container", self.name),)


Find = Callable[[], Awaitable[Spoken]]


async def spoken(engine: Engine, container: str, name: str) -> Spoken:
    """With what must not be seen of what it says."""
    return Spoken(engine, container, name, await secrets_of(engine, container))


async def read(
    it: Spoken, buffer: Buffer, *, from_ns: int, to_ns: int = LATEST_NS, limit: int = 1000
) -> tuple[tuple[Line, ...], bool]:
    """The newest `limit` lines of a span into `buffer`; and whether there are no older ones in it."""
    tail: int | str = (
        "all" if to_ns < LATEST_NS else limit + 1
    )  # an engine counts `tail` from the end, then looks at `until`
    answer = await it.engine.call(
        "logs", it.id, stdout=True, stderr=True, timestamps=True, **_span(from_ns, to_ns), tail=tail
    )
    text = answer if isinstance(answer, bytes) else b""
    entries = sorted((_entry(row, it) for row in text.split(b"\n") if row), key=lambda entry: entry.ns)
    wanted = [entry for entry in entries if from_ns <= entry.ns < to_ns]
    return tuple(buffer.add(wanted[-limit:])), len(entries if to_ns == LATEST_NS else wanted) <= limit


async def follow(
    find: Find, buffer: Buffer, reason: str, *, lines: int = 1000, since_s: float = 3600.0, now: Callable[[], datetime]
) -> AsyncGenerator[Event, None]:
    """What a container says, for ever; its restarts and losses of the link are survived. Close it to end it."""
    from_ns = int((now().timestamp() - since_s) * 1000) * 1_000_000
    it = await find()
    yield Fallback(it.name, reason)
    before, complete = await read(it, buffer, from_ns=from_ns, limit=lines)
    newest_ns = before[-1].ns if before else from_ns
    if before:
        yield LinesCame(before)
    yield Backfilled(len(before), before[0].ns if before else from_ns, newest_ns, complete)
    wait_s = 0.5
    away: tuple[Cause, float] | None = None  # why, and since when
    clock = asyncio.get_running_loop().time
    while True:
        try:
            it = await find()
            async with aclosing(_stream(it, newest_ns)) as entries:
                async for batch in entries:
                    if away is not None:
                        yield Reconnected(away[0], clock() - away[1])
                    away, wait_s = None, 0.5
                    came = buffer.add(batch)
                    newest_ns = max([newest_ns, *(line.ns for line in came)])
                    if came:
                        yield LinesCame(tuple(came))
            cause, detail = Cause.STOPPED, f"{it.name} says nothing any more"
        except OperatorError as error:
            lost = isinstance(error, LinkLost | HostUnreachable)
            cause, detail = (Cause.LINK if lost else Cause.STOPPED), str(error)
        if away is None:
            away = cause, clock()
            yield Disconnected(cause, detail, wait_s)
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 2, _RETRY_MOST_S)


async def _stream(it: Spoken, since_ns: int) -> AsyncGenerator[list[Entry], None]:
    """New lines as they come; what was said in the second of `since_ns` is said again."""
    rest = b""
    chunks: AsyncIterator[Any] = it.engine.iterate(
        "logs", it.id, stdout=True, stderr=True, timestamps=True, stream=True, follow=True, **_span(since_ns, LATEST_NS)
    )
    async for chunk in chunks:
        if not isinstance(chunk, bytes):
            continue
        *rows, rest = (rest + chunk).split(b"\n")
        if len(rest) > _LONGEST:
            rows, rest = [*rows, rest], b""
        entries: list[Entry] = []
        for row in rows:
            if row:
                entries.append(_entry(row, it, since_ns))
                since_ns = entries[-1].ns  # of what follows without a stamp: the rest of a line that was cut
        if entries:
            yield entries
    if rest:
        yield [_entry(rest, it, since_ns)]


def _span(from_ns: int, to_ns: int) -> dict[str, int]:
    """`since` and `until` in the whole seconds that every engine knows."""
    span = {"since": max(from_ns // SECOND_NS, 1)}
    if to_ns < LATEST_NS:
        span["until"] = to_ns // SECOND_NS + 1
    return span


def _entry(row: bytes, it: Spoken, ns: int = 0) -> Entry:
    """`ns` is the time of a line that has no stamp."""
    stamp = _STAMP.match(row)
    if stamp is not None:
        seconds = int(datetime.fromisoformat(stamp[1].decode()).replace(tzinfo=UTC).timestamp())
        ns = seconds * SECOND_NS + int((stamp[2] or b"0").ljust(9, b"0"))
        row = row[stamp.end() :]
    return Entry(ns, it.labels, _safe(row.rstrip(b"\r"), it.secrets))


def _safe(row: bytes, secrets: Sequence[str]) -> bytes:
    if not secrets:
        return row
    text = row.decode("utf-8", "replace")
    return str(without(text, secrets)).encode() if any(secret in text for secret in secrets) else row
