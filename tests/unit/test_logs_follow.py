"""Following, scene by scene: each kind of loss and end, what is told of it, and how soon it is mended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from typing import TypeVar

import pytest
from sim_loki import START_NS, Entry, SimLoki, in_virtual_time
from sim_loki import entry as line_at

from vpai_tui.errors import LinkLost
from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.live import follow
from vpai_tui.logs.model import (
    SECOND_NS,
    Backfilled,
    Cause,
    Disconnected,
    Dropped,
    Event,
    Gap,
    LinesCame,
    Mark,
    Polling,
    Proof,
    Reconnected,
    TailOpened,
    Uncounted,
    Window,
)
from vpai_tui.logs.pace import Pace
from vpai_tui.logs.way import End, TailEnd
from vpai_tui.logs.wire import LokiError

T = TypeVar("T", bound=Event)
Script = Callable[[SimLoki], Awaitable[None]]


class Told(list[tuple[float, Event]]):
    """Events with the second in which they were told."""

    def of(self, kind: type[T]) -> list[T]:
        return [event for _, event in self if isinstance(event, kind)]

    def when(self, kind: type[Event]) -> list[float]:
        return [at for at, event in self if isinstance(event, kind)]

    @property
    def marks(self) -> dict[str, Mark]:
        return {line.text: line.mark for event in self.of(LinesCame) for line in event.lines}


def play(
    script: Script, for_s: float, sim: SimLoki | None = None, *, pace: Pace | None = None, lines: int = 1000
) -> tuple[Told, Buffer, SimLoki]:
    """Follows while `script` plays; the virtual clock starts with it."""
    loki, buffer, told = sim or SimLoki(), Buffer(), Told()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        playing = asyncio.create_task(_play(script, loki))
        async with aclosing(follow(loki, "{}", buffer, pace=pace, lines=lines)) as events:
            with suppress(TimeoutError):
                async with asyncio.timeout(for_s):
                    async for event in events:
                        told.append((loop.time(), event))
        await playing
        assert not loki.tails  # nothing is left open

    in_virtual_time(run())
    return told, buffer, loki


async def _play(script: Script, loki: SimLoki) -> None:
    await script(loki)


async def nothing(_: SimLoki) -> None:
    return


def loki_s() -> float:
    return asyncio.get_running_loop().time()


def say(loki: SimLoki, entry: Entry, *, shown: bool = True) -> None:
    loki.push([entry])
    if shown:
        loki.show([entry])


def test_begins_with_what_was_there_then_the_tail_then_the_proof() -> None:
    async def script(loki: SimLoki) -> None:
        loki.push([line_at(-50), line_at(-40, stream=1), line_at(-4000)])
        await asyncio.sleep(3)
        say(loki, line_at(3, "live"))

    told, buffer, _ = play(script, 30)
    assert [type(event) for _, event in told[:3]] == [LinesCame, Backfilled, TailOpened]
    (backfilled,) = told.of(Backfilled)
    assert (backfilled.count, backfilled.complete) == (2, True)  # an hour; what is older was not asked for
    assert [line.text for line in buffer] == ["line at -50", "line at -40", "live"]
    proof = Proof()
    for window in told.of(Window):
        proof.add(window)
    assert (proof.proven, proof.expected, proof.complete, proof.recovered) == (3, 3, True, 0)
    assert not told.of(Gap)


def test_a_backfill_that_is_cut_claims_nothing_of_the_nanosecond_it_was_cut_in() -> None:
    async def script(loki: SimLoki) -> None:
        loki.push([line_at(-10, f"same {it}") for it in range(4)] + [line_at(-5, f"newer {it}") for it in range(3)])

    told, buffer, _ = play(script, 30, lines=5)
    assert len(buffer) == 5
    assert told.of(Backfilled)[0].complete is False
    assert min(window.from_ns for window in told.of(Window)) == START_NS - 10 * SECOND_NS + 1
    assert sum(window.expected for window in told.of(Window)) == 3


def test_a_line_that_the_tail_loses_in_silence_is_fetched_and_marked() -> None:
    async def script(loki: SimLoki) -> None:
        await asyncio.sleep(4)
        say(loki, line_at(4, "lost"), shown=False)
        say(loki, line_at(4, "seen"))

    told, _, loki = play(script, 30)
    assert told.marks == {"lost": Mark.RECOVERED, "seen": Mark.NONE}
    window = next(it for it in told.of(Window) if it.recovered)
    assert (window.expected, window.proven, window.recovered) == (2, 2, 1)
    assert told.when(Window)[-1] <= 30 and loki.asked.count("lines") == 2  # the backfill, and the page of that window


def test_a_loss_that_the_server_admits_is_mended_before_the_window_ends() -> None:
    async def script(loki: SimLoki) -> None:
        await asyncio.sleep(11)
        say(loki, line_at(11, "lost"), shown=False)
        loki.show([], dropped=7)

    told, _, _ = play(script, 30)
    assert told.of(Dropped) == [Dropped(7)]
    came = next(at for at, event in told if isinstance(event, LinesCame))
    assert came < 11 + 7  # the window ends at 20 and settles at 25


def test_a_late_line_is_put_in_its_place_and_marked() -> None:
    async def script(loki: SimLoki) -> None:
        loki.push([line_at(-1, "before")])
        await asyncio.sleep(2)
        say(loki, line_at(2, "on time"))
        await asyncio.sleep(30)
        say(loki, line_at(1, "late"))

    told, buffer, _ = play(script, 40)
    assert [line.text for line in buffer] == ["before", "late", "on time"]
    assert told.marks["late"] is Mark.LATE


def test_a_late_line_that_is_lost_too_is_found_when_all_is_counted_again() -> None:
    async def script(loki: SimLoki) -> None:
        loki.push([line_at(-1, "before")])
        await asyncio.sleep(32)
        say(loki, line_at(3, "late and lost"), shown=False)
        say(loki, line_at(13, "late"))

    told, buffer, _ = play(script, 90)
    assert [line.text for line in buffer] == ["before", "late and lost", "late"]
    assert told.marks["late and lost"] is Mark.RECOVERED
    again = [it for it in told.of(Window) if it.from_ns <= line_at(3).ns < it.to_ns]
    assert [(it.expected, it.proven) for it in again] == [(0, 0), (1, 1)]  # told anew, and again complete
    proof = Proof()
    for window in told.of(Window):
        proof.add(window)
    assert (proof.expected, proof.proven) == (3, 3)


def test_the_hour_is_rolled_over_without_a_gap() -> None:
    async def script(loki: SimLoki) -> None:
        for second in range(0, 7000, 50):
            await asyncio.sleep(50)
            say(loki, line_at(second + 50))

    told, buffer, loki = play(script, 7100)
    assert loki.opened == 3  # at 0, 55 and 110 minutes
    assert [it.why for it in told.of(Reconnected)] == [Cause.ROLLOVER] * 2
    assert not told.of(Gap) and not told.of(Disconnected)
    assert len(buffer) == 140
    assert all(mark is Mark.NONE for mark in told.marks.values())  # nothing had to be fetched


def test_a_server_with_a_shorter_hour_ends_the_tail_and_it_is_opened_at_once() -> None:
    told, _, loki = play(nothing, 60, SimLoki(tail_most_s=10))
    assert loki.opened == 6
    assert {it.why for it in told.of(Reconnected)} == {Cause.ROLLOVER}
    assert all(it.away_s < 1 for it in told.of(Reconnected))
    assert not told.of(Gap)


def test_a_lost_link_is_told_and_what_went_by_is_fetched() -> None:
    async def script(loki: SimLoki) -> None:
        await asyncio.sleep(20)
        loki.down = True
        loki.end_tails(TailEnd(End.UNREACHABLE, "box: link lost"))
        await asyncio.sleep(5)
        loki.push([line_at(24, f"unseen {it}") for it in range(30)])
        await asyncio.sleep(35)
        loki.down = False

    told, buffer, _ = play(script, 120)
    first = told.of(Disconnected)[0]
    assert (first.cause, first.detail) == (Cause.LINK, "box: link lost")
    assert len(told.of(Disconnected)) > 3  # it was tried again, ever more slowly
    (gap,) = told.of(Gap)
    assert gap.cause is Cause.LINK
    assert START_NS + 10 * SECOND_NS <= gap.from_ns <= START_NS + 20 * SECOND_NS
    assert gap.to_ns >= START_NS + 60 * SECOND_NS
    (back,) = told.of(Reconnected)
    assert 40 <= back.away_s <= 45  # the count found it first, and the tail did not wait for its turn
    assert len(buffer) == 30
    assert len(told.of(Uncounted)) == 1  # said once, not each second
    assert all(window.complete for window in told.of(Window))


def test_a_restart_of_the_server_is_survived() -> None:
    async def script(loki: SimLoki) -> None:
        await asyncio.sleep(7)
        loki.end_tails(TailEnd(End.LOST, "", 1006))

    told, _, loki = play(script, 30)
    assert told.of(Disconnected)[0].cause is Cause.RESTART
    assert loki.opened == 2
    assert told.of(Reconnected)[0].away_s < 2


def test_without_a_free_slot_lines_are_asked_for_and_a_slot_is_taken_when_there_is_one() -> None:
    async def script(loki: SimLoki) -> None:
        loki.no_slots = True
        for second in range(1, 40):
            await asyncio.sleep(1)
            say(loki, line_at(second))
        loki.no_slots = False

    told, buffer, loki = play(script, 100)
    (polling,) = told.of(Polling)
    assert polling.cause is Cause.SLOTS and "11 > 10" in polling.detail and polling.every_s == 2
    assert len(buffer) == 39
    assert set(told.marks.values()) == {Mark.NONE}  # in time, and none lost
    assert loki.opened == 1 and told.of(Reconnected)[-1].why is Cause.SLOTS


def test_a_server_that_is_away_is_not_hammered_and_not_called_a_lost_link() -> None:
    async def script(loki: SimLoki) -> None:
        await asyncio.sleep(10)
        loki.refused = True
        loki.end_tails(TailEnd(End.LOST, "", 1006))
        await asyncio.sleep(100)
        asked.append(len(loki.asked))
        loki.refused = False
        loki.push([line_at(50, "meanwhile")])

    asked: list[int] = []
    told, buffer, _ = play(script, 160)
    assert {it.cause for it in told.of(Disconnected)} == {Cause.RESTART}
    assert not told.of(Polling)
    assert asked[0] < 100  # tail, probe and count together, in a hundred seconds
    assert told.of(Gap)[0].cause is Cause.RESTART
    assert [line.text for line in buffer] == ["meanwhile"]


def test_a_clock_that_is_ahead_of_the_server_is_no_error() -> None:
    async def script(loki: SimLoki) -> None:
        await asyncio.sleep(8)
        say(loki, line_at(8))

    told, buffer, loki = play(script, 60, SimLoki(believed_ahead_s=20))
    assert loki.starts and all(start <= START_NS + 60 * SECOND_NS for start in loki.starts)
    assert loki.opened == 1
    assert told.of(Reconnected)[0].why is Cause.CLOCK
    assert not told.of(Disconnected)
    assert len(buffer) == 1


def test_a_wrong_query_is_refused_before_a_tail_is_opened() -> None:
    sim = SimLoki(wrong="parse error at line 1, col 2: syntax error")
    with pytest.raises(LokiError, match="parse error"):
        play(nothing, 10, sim)
    assert sim.opened == 0


def test_a_link_that_is_down_at_the_start_is_an_error() -> None:
    with pytest.raises(LinkLost):
        play(nothing, 10, SimLoki(down=True))


def test_a_query_that_becomes_wrong_ends_it() -> None:
    async def script(loki: SimLoki) -> None:
        await asyncio.sleep(5)
        loki.wrong = "too many"
        loki.end_tails(TailEnd(End.REFUSED, "only log selector is supported", 1011))

    with pytest.raises(LokiError, match="too many"):
        play(script, 30)


def test_what_cannot_be_counted_is_proven_by_listing_it() -> None:
    async def script(loki: SimLoki) -> None:
        await asyncio.sleep(4)
        say(loki, line_at(4, "lost"), shown=False)
        say(loki, line_at(4, "seen"))

    told, buffer, _ = play(script, 40, SimLoki(uncountable=True))
    assert len(buffer) == 2
    assert sum(it.expected for it in told.of(Window)) == 2
    assert all(it.complete for it in told.of(Window))


def test_once_the_tail_showed_what_cannot_be_asked_for_equal_counts_prove_nothing() -> None:
    async def script(loki: SimLoki) -> None:
        for second in (4, 14):
            await asyncio.sleep(second - loki_s())
            only = line_at(second, f"only the tail has it {second}")
            loki.hidden.add(only.identity)
            say(loki, only)
            if second == 14:
                say(loki, line_at(14, "lost"), shown=False)  # one too many here, one too few: the counts are equal

    told, buffer, _ = play(script, 60)
    assert "lost" in {line.text for line in buffer}
    assert told.marks["lost"] is Mark.RECOVERED
    assert all(window.complete for window in told.of(Window))


def test_a_nanosecond_with_more_lines_than_loki_gives_is_a_gap_with_its_number() -> None:
    async def script(loki: SimLoki) -> None:
        await asyncio.sleep(4)
        loki.push([line_at(4, f"crowd {it}") for it in range(30)])

    told, buffer, _ = play(script, 30, SimLoki(most=20), pace=Pace(page=20))
    assert len(buffer) == 20
    (gap,) = told.of(Gap)
    assert (gap.cause, gap.missing) == (Cause.MISSING, 10)
    window = next(it for it in told.of(Window) if it.expected)
    assert (window.expected, window.proven) == (30, 20)


def test_old_lines_that_are_shown_again_are_not_taken_for_new_ones() -> None:
    async def script(loki: SimLoki) -> None:
        await asyncio.sleep(2)
        say(loki, line_at(-9000, "from before"))  # a shipper that sends its history again

    _, buffer, _ = play(script, 20)
    assert len(buffer) == 0
