"""The past: pages both ways through a crowd, what lies around a line, prices, and what is proven of a span."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sim_loki import START_NS, STREAMS, Entry, SimLoki, in_virtual_time
from sim_loki import entry as line_at

from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.client import Stats
from vpai_tui.logs.histogram import counted
from vpai_tui.logs.model import SECOND_NS, Level
from vpai_tui.logs.pages import newest, pages
from vpai_tui.logs.past import around, newer, older, price, read, stream_selector, worth_asking
from vpai_tui.logs.wire import Series


class Store(SimLoki):
    """With an index, and with streams that can be asked for by name."""

    async def stats(self, query: str, from_ns: int, to_ns: int) -> Stats:
        self.asked.append(query)
        return Stats(3, 10, 600 * 1024 * 1024, 1_000_000)

    async def counts(self, query: str, from_ns: int, to_ns: int, step_s: int, by: object = ()) -> tuple[Series, ...]:
        return (
            Series({"level": "error"}, ((step_s * 1.0, 2.0), (step_s * 3.0, 5.0))),
            Series({}, ((step_s * 2.0, 1.0),)),
        )


def fill(loki: SimLoki, entries: list[Entry]) -> None:
    loki.stored.update((it.identity, 0.0) for it in entries)


crowds = st.lists(st.tuples(st.integers(-9, 0), st.integers(0, 2), st.integers(0, 3)), max_size=60)


@given(found=crowds, limit=st.integers(13, 30), forward=st.booleans())
def test_pages_give_every_line_once_in_either_direction(
    found: list[tuple[int, int, int]], limit: int, forward: bool
) -> None:
    async def run() -> None:
        loki = SimLoki(most=limit)
        fill(loki, [line_at(at, f"text {text}", stream) for at, stream, text in found])
        got: list[Entry] = []
        async for page in pages(loki, "{}", 0, START_NS + SECOND_NS, forward=forward, limit=limit):
            assert page.overflow_ns is None  # twelve lines share a nanosecond at most
            assert [it.ns for it in page.entries] == sorted(it.ns for it in page.entries)
            got = got + page.entries if forward else page.entries + got
        assert sorted(it.identity for it in got) == sorted(loki.stored)
        assert [it.ns for it in got] == sorted(it.ns for it in got)
        last, complete = await newest(loki, "{}", 0, START_NS + SECOND_NS, 20)
        assert len(last) == min(20, len(loki.stored)) and complete is (len(loki.stored) < 20)
        assert [it.ns for it in last] == sorted(it[0] for it in loki.stored)[-20:]

    in_virtual_time(run())


def test_one_pages_back_without_end_and_forward_again() -> None:
    async def run() -> None:
        loki, buffer = Store(), Buffer()
        fill(loki, [line_at(-at, f"{at}") for at in range(1, 501)])
        found = await read(loki, "{}", START_NS - 100 * SECOND_NS, START_NS, 50, buffer)
        assert (len(found.lines), found.expected, found.complete, found.proven) == (50, 100, False, False)
        steps = []
        while came := await older(loki, "{}", buffer, 200):
            steps.append(came)
        assert steps == [200, 200, 50] and len(buffer) == 500
        ahead = Buffer()
        ahead.add([line_at(-400, "400")])
        # The line it begins with is there, and the last nanosecond of a full page is left to the next one.
        assert await newer(loki, "{}", ahead, START_NS, 100) == 98
        assert ahead[-1].text == "302"

    in_virtual_time(run())


def test_a_span_that_is_all_here_is_proven() -> None:
    async def run() -> None:
        loki = Store()
        fill(loki, [line_at(-at) for at in range(1, 11)])
        found = await read(loki, "{}", START_NS - 60 * SECOND_NS, START_NS, 50, Buffer())
        assert found.proven and found.expected == 10

    in_virtual_time(run())


def test_lines_that_come_while_a_span_is_counted_are_not_missing() -> None:
    class Busy(Store):
        async def count(self, query: str, from_ns: int, to_ns: int) -> int:
            fill(self, [line_at(at, f"{self.asked}") for at in range(3)])
            counted = await super().count(query, from_ns, to_ns)
            fill(self, [line_at(5, "after the count")])
            return counted

    class Lossy(Store):
        async def count(self, query: str, from_ns: int, to_ns: int) -> int:
            return 12

    async def run() -> None:
        busy, full, lossy = Busy(), Busy(), Lossy()
        for loki in (busy, full, lossy):
            fill(loki, [line_at(-at) for at in range(1, 11)])
        span = (START_NS - 60 * SECOND_NS, START_NS + 600 * SECOND_NS)
        found = await read(busy, "{}", *span, 50, Buffer())
        assert found.proven and found.expected == 14
        cut = await read(full, "{}", *span, 12, Buffer())
        assert not cut.proven and not cut.complete and len(cut.lines) == 12
        short = await read(lossy, "{}", *span, 50, Buffer())
        assert not short.proven and (len(short.lines), short.expected) == (10, 12)

    in_virtual_time(run())


def test_what_lies_around_a_line_is_exact_inside_its_nanosecond() -> None:
    async def run() -> None:
        loki = Store()
        fill(loki, [line_at(-at, f"before {at}") for at in range(1, 40)])
        fill(loki, [line_at(0, f"same {it}") for it in range(4)] + [line_at(at, f"after {at}") for at in range(1, 40)])
        wanted = line_at(0, "same 2").identity
        found, place = await around(loki, wanted, before=3, after=3)
        assert found[place].identity == wanted
        texts = [it.line.decode() for it in found]
        assert texts[:3] == ["before 3", "before 2", "before 1"] and texts[-3:] == ["after 1", "after 2", "after 3"]
        assert {f"same {it}" for it in range(4)} <= set(texts)

    in_virtual_time(run())


def test_one_stream_is_asked_for_by_its_labels() -> None:
    assert stream_selector((("container", 'a"b'), ("service_name", "x"))) == '{container="a\\"b"}'
    assert stream_selector((("service_name", "x"),)) == '{service_name="x"}'


def test_a_wide_span_has_a_price() -> None:
    async def run() -> None:
        loki = Store()
        told = await price(loki, '{a="b"} |= "x"', START_NS - 3 * 86400 * SECOND_NS, START_NS)
        assert loki.asked == ['{a="b"}']  # a selector alone is what the index knows
        assert told.dear and told.young and told.entries == 1_000_000

    in_virtual_time(run())
    assert worth_asking(0, 25 * 3600 * SECOND_NS) and not worth_asking(0, 3600 * SECOND_NS)


def test_bars_of_the_past_lie_before_their_points() -> None:
    bars = asyncio.run(counted(Store(), "{}", 0, 180 * SECOND_NS, 60))
    assert [(bar.from_ns // SECOND_NS, bar.counts[Level.ERROR], bar.counts[Level.UNKNOWN]) for bar in bars] == [
        (0, 2, 0),
        (60, 0, 1),
        (120, 5, 0),
    ]


def test_paging_costs_one_question_a_page() -> None:
    async def run() -> int:
        loki = Store()
        fill(loki, [line_at(-at, stream=at % len(STREAMS)) for at in range(1, 301)])
        async for _ in pages(loki, "{}", 0, START_NS, forward=True, limit=100):
            pass
        return len(loki.asked)

    assert in_virtual_time(run()) == pytest.approx(4, abs=1)
