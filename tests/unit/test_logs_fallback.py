"""A container's own log: stamps, secrets, spans, restarts, and what an engine may send."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import pytest
from sim_loki import in_virtual_time

from vpai_tui.errors import LinkLost, OperatorError
from vpai_tui.logs import fallback
from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.fallback import Spoken
from vpai_tui.logs.model import Backfilled, Cause, Disconnected, Event, Fallback, Level, LinesCame, Reconnected

NOW = datetime(2026, 11, 28, 4, 0, 0, tzinfo=UTC)
BASE_NS = int(NOW.timestamp()) * 10**9


def row(second: int, text: str, ns: int = 0) -> bytes:
    return f"2026-11-28T03:59:{second:02d}.{ns:09d}Z {text}\n".encode()


class Engine:
    """`logs` as the SDK gives them; each stream is a list of chunks, an exception among them is raised."""

    def __init__(self, said: bytes, *streams: list[bytes | Exception]) -> None:
        self.said = said
        self.streams = list(streams)
        self.asked: list[dict[str, Any]] = []

    async def call(self, fn_name: str, /, *args: Any, **kw: Any) -> Any:
        assert fn_name == "logs"
        self.asked.append(kw)
        return self.said

    async def iterate(self, fn_name: str, /, *args: Any, **kw: Any) -> AsyncIterator[Any]:
        assert fn_name == "logs" and kw["follow"] and kw["stream"]
        self.asked.append(kw)
        for chunk in self.streams.pop(0) if self.streams else [LinkLost("gone")]:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk


def read(said: bytes, limit: int = 10, secrets: tuple[str, ...] = ()) -> tuple[list[str], bool, list[Level]]:
    async def run() -> tuple[list[str], bool, list[Level]]:
        it = Spoken(Engine(said), "id", "web", secrets)
        lines, complete = await fallback.read(it, Buffer(), from_ns=BASE_NS - 60 * 10**9, limit=limit)
        return [line.text for line in lines], complete, [line.level for line in lines]

    return in_virtual_time(run())


def test_lines_have_their_time_and_level_and_no_secret() -> None:
    said = (
        row(1, "ERROR one") + row(2, "pw=geheimgeheim") + b"2026-11-28T03:00:00Z before\n" + row(3, "") + b"no stamp\n"
    )
    assert read(said, secrets=("geheimgeheim",)) == (
        ["ERROR one", "pw=•••", ""],
        True,
        [Level.ERROR, Level.UNKNOWN, Level.UNKNOWN],
    )


def test_the_newest_are_taken_and_hostile_bytes_do_no_harm() -> None:
    said = (
        b"".join(row(second, f"line {second}") for second in range(20)) + row(30, "\x1b[2J\x1b]0;x\x07") + b"\xff\xfe\n"
    )
    lines, complete, _ = read(said, limit=3)
    assert lines == ["line 18", "line 19", "]0;x"]
    assert complete is False


def test_a_span_that_ended_is_not_asked_for_by_its_tail() -> None:
    async def run() -> None:
        engine = Engine(b"".join(row(second, f"line {second}") for second in range(10)))
        it = Spoken(engine, "id", "web")
        until = BASE_NS - 55 * 10**9
        lines, complete = await fallback.read(it, Buffer(), from_ns=BASE_NS - 60 * 10**9, to_ns=until, limit=3)
        assert [line.text for line in lines] == ["line 2", "line 3", "line 4"] and not complete
        assert (engine.asked[0]["tail"], engine.asked[0]["until"]) == ("all", BASE_NS // 10**9 - 54)

    in_virtual_time(run())


def test_the_rest_of_a_line_that_was_cut_stands_behind_it_and_not_in_1970() -> None:
    engine = Engine(b"", [row(10, "x" * 2**20)[:-1], b"rest\n" + row(9, "earlier")])

    async def run() -> list[str]:
        buffer = Buffer()
        async with aclosing(fallback.follow(_found(engine), buffer, "down", now=lambda: NOW)) as events:
            async for event in events:
                if isinstance(event, LinesCame) and event.lines[-1].text == "earlier":
                    break
        return [line.text[-7:] for line in buffer]

    assert in_virtual_time(run()) == ["earlier", "xxxxxxx", "rest"]


def _found(engine: Engine) -> fallback.Find:
    async def find() -> Spoken:
        return Spoken(engine, "id", "web")

    return find


def test_a_stopped_container_and_a_lost_link_are_told_and_nothing_comes_twice() -> None:
    first, second = row(10, "begin"), row(20, "half a li")[:-1]
    engine = Engine(
        first,
        [first + second, b"ne\n", row(21, "more")],  # the stream ends: the container stopped
        [LinkLost("no link", host="sese")],
        [row(21, "more") + row(40, "again")],
    )

    async def run() -> list[Event]:
        told: list[Event] = []

        async def find() -> Spoken:
            if len(told) == 7 and isinstance(told[-1], Disconnected):
                raise OperatorError("still being made")
            return Spoken(engine, "id", "web")

        following = fallback.follow(find, Buffer(), "Loki is down", now=lambda: NOW)
        async with aclosing(following) as events:
            async for event in events:
                told.append(event)
                if isinstance(event, LinesCame) and event.lines[-1].text == "again":
                    break
        return told

    told = in_virtual_time(run())
    assert told[0] == Fallback("web", "Loki is down")
    lines = [line.text for event in told if isinstance(event, LinesCame) for line in event.lines]
    assert lines == ["begin", "half a line", "more", "again"]
    assert [event.count for event in told if isinstance(event, Backfilled)] == [1]
    assert [event.cause for event in told if isinstance(event, Disconnected)] == [Cause.STOPPED]
    # Away from the first word of it on: half a second, and one.
    assert [it for it in told if isinstance(it, Reconnected)] == [Reconnected(Cause.STOPPED, pytest.approx(1.5))]
    assert engine.asked[1]["since"] == BASE_NS // 10**9 - 50  # from the newest line on
