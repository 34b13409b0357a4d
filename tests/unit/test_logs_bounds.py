"""Weeks of following: what is kept stays bounded, and nothing is claimed of lines that were given up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sim_loki import START_NS, STREAMS, SimLoki, in_virtual_time
from sim_loki import entry as line_at

from vpai_tui.logs import buffer as buffer_module
from vpai_tui.logs import fold, model
from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.fold import Folder
from vpai_tui.logs.live import Following
from vpai_tui.logs.model import SECOND_NS, Cause, Entry, Event, Gap, Identity, Labels, Level, Line, Proof, Window
from vpai_tui.logs.pace import Pace
from vpai_tui.logs.view import Filter, View
from vpai_tui.widgets.log_head import badge
from vpai_tui.widgets.log_look import LogLook, Tail
from vpai_tui.widgets.log_style import Times, when


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """So that a few lines and streams are many."""
    patch = pytest.MonkeyPatch()
    patch.setattr(buffer_module, "CHUNK", 4)
    patch.setattr(buffer_module, "_STREAMS_KEPT", 4)
    patch.setattr(model, "_WINDOWS", 8)
    yield
    patch.undo()


def stream(number: int) -> Labels:
    return (("container", f"made anew {number}"),)


TEXTS = (b"plain", b"  indented", b"Traceback (most recent call last):", b"ValueError: x", b"ERROR bad", b"")
texts = st.tuples(st.integers(0, 9), st.integers(0, 3), st.sampled_from(TEXTS))


@given(st.lists(texts, max_size=60), st.integers(1, 4))
def test_a_folder_that_forgets_silent_streams_folds_the_same(given_: list[tuple[int, int, bytes]], many: int) -> None:
    ns, lines = 0, []
    for seconds, number, text in given_:
        ns += seconds * SECOND_NS // 3
        lines.append(Line(ns, stream(number), text, Level.ERROR if b"ERROR" in text else Level.UNKNOWN))
    plain = Folder()
    expected = [(plain.joins(line), plain.level(line)) for line in lines]
    patch = pytest.MonkeyPatch()
    patch.setattr(fold, "MANY", many)
    bounded = Folder()
    found = [(bounded.joins(line), bounded.level(line)) for line in lines]
    patch.undo()
    assert found == expected


def test_a_folder_of_ever_new_streams_keeps_no_more_than_those_of_the_last_seconds() -> None:
    folder = Folder()
    for number in range(5 * fold.MANY):
        folder.joins(Line(number * SECOND_NS, stream(number), b"started", Level.UNKNOWN))
    assert len(folder._last) <= fold.MANY


def test_streams_whose_lines_are_gone_are_forgotten_and_the_others_keep_their_labels() -> None:
    buffer = Buffer(20)
    view = View(buffer, Filter(stream=lambda labels: "7" in labels[0][1]))
    for number in range(400):
        buffer.add([Entry(number * SECOND_NS, stream(number), b"started"), Entry(number * SECOND_NS, stream(0), b"x")])
        view.refresh()
        here = list(buffer)
        assert {line.labels for line in here} <= set(buffer.streams)
        assert [line.labels for line in view] == [line.labels for line in here if "7" in line.labels[0][1]]
        assert all(line.labels == (stream(0) if line.raw == b"x" else stream(line.ns // SECOND_NS)) for line in here)
    assert len(buffer.streams) < 40
    assert len(buffer._labels) < 40


def test_a_stream_that_comes_back_is_late_as_it_was() -> None:
    """What is forgotten of a stream is its newest line: with that one gone, no line that is taken in lies behind it."""
    buffer = Buffer(8)
    buffer.add([Entry(1, stream(0), b"first")])
    for number in range(1, 60):
        buffer.add([Entry(number * SECOND_NS, stream(number), b"x")], counted_to=1, lag_ns=SECOND_NS)
    assert stream(0) not in buffer.streams
    (came,) = buffer.add([Entry(60 * SECOND_NS, stream(0), b"again")], counted_to=1, lag_ns=SECOND_NS)
    assert came.mark is model.Mark.NONE
    held = buffer[0]
    (behind,) = buffer.add([held_again(held)], counted_to=held.ns + 1, lag_ns=SECOND_NS)
    assert behind.mark is model.Mark.LATE


def held_again(line: Line) -> Entry:
    return Entry(line.ns, line.labels, b"late")


def test_the_proof_of_weeks_is_a_sum_and_what_is_missing_stays_known() -> None:
    proof, day = Proof(), 24 * 360
    for number in range(day):
        lacks = number == 5
        proof.add(Window(number * 10 * SECOND_NS, (number + 1) * 10 * SECOND_NS, 3, 2 if lacks else 3))
    assert (proof.expected, proof.proven) == (3 * day, 3 * day - 1)
    assert [it.from_ns for it in proof.incomplete()] == [50 * SECOND_NS]
    assert not proof.complete
    assert len(proof._windows) <= 2 * 360 + 2  # an hour, and as much again before it is tidied
    last = (day - 1) * 10 * SECOND_NS
    proof.add(Window(last, last + 10 * SECOND_NS, 5, 5))  # told again: the newest word counts
    assert (proof.expected, proof.proven) == (3 * day + 2, 3 * day + 1)
    assert proof.to_ns == day * 10 * SECOND_NS


# ── more lines than are kept ─────────────────────────────────────────────────────────────────────────────────────────


class Watched(Following):
    """Looks at every claim at the moment it is made: a window was here as a whole when it was first called proven."""

    def __init__(self, loki: SimLoki, buffer: Buffer) -> None:
        super().__init__(loki, "{}", buffer, Pace())
        self.sim = loki
        self.stretches: dict[tuple[int, int], Event] = {}

    def say(self, event: Event) -> None:
        if isinstance(event, Window):
            before = asyncio.get_running_loop().time() - 1.0
            old = {it for it in self.sim.found(event.from_ns, event.to_ns) if self.sim.stored[it] <= before}
            here: set[Identity] = {line.identity for line in self.buffer.between(event.from_ns, event.to_ns)}
            if event.complete:
                assert here >= old
            self.stretches[event.from_ns, event.to_ns] = event
        elif isinstance(event, Gap) and event.cause is Cause.EVICTED:
            self.stretches[event.from_ns, event.to_ns] = event
        super().say(event)


bursts = st.lists(
    st.tuples(st.integers(1, 60), st.integers(1, 50), st.floats(0, 8), st.booleans()), min_size=1, max_size=8
)


@given(bursts=bursts, capacity=st.integers(4, 40))
def test_a_burst_larger_than_the_buffer_is_given_up_and_not_called_proven(
    bursts: list[tuple[int, int, float, bool]], capacity: int
) -> None:
    async def run() -> Watched:
        sim = SimLoki()
        following = Watched(sim, Buffer(capacity))
        await following.begin(1000, 3600.0)
        for wait, count, span, shown in bursts:
            await asyncio.sleep(wait)
            now = asyncio.get_running_loop().time()
            came = [line_at(now + span * it / count, f"burst {it}", it % 2, it % 3) for it in range(count)]
            sim.push(came)
            if shown:
                sim.show(came)
        await asyncio.sleep(90)
        while following._events:
            await following.next()
        await following.end()
        return following

    following = in_virtual_time(run())
    told = sorted(following.stretches)
    for one, other in pairwise(told):
        assert one[1] == other[0]  # no stretch is left out, and none is both proven and given up
    assert told[0][0] <= START_NS
    buffer = following.buffer
    assert {it.identity for it in buffer} == {it for it in following.sim.stored if it[0] >= buffer.floor_ns}
    assert all(not isinstance(it, Window) or it.complete for it in following.stretches.values())


def test_what_was_proven_before_it_was_given_up_stays_proven() -> None:
    async def run() -> tuple[Watched, Proof]:
        sim, proof = SimLoki(), Proof()
        following = Watched(sim, Buffer(40))
        await following.begin(1000, 3600.0)
        for second in range(200):
            await asyncio.sleep(1)
            line = line_at(second, stream=second % len(STREAMS))
            sim.push([line])
            sim.show([line])
        while following._events:
            event = await following.next()
            if isinstance(event, Window):
                proof.add(event)
            elif isinstance(event, Gap):
                proof.give_up(event)
        await following.end()
        return following, proof

    following, proof = in_virtual_time(run())
    assert following.buffer.evicted > 150
    assert proof.complete
    assert not proof.given_up
    assert proof.proven > 180  # more than are here


def test_the_badge_says_what_it_covers() -> None:
    look = LogLook()
    look.begin("all")
    look.tail, look.buffer = Tail.LIVE, Buffer(8)
    for number in range(1, 30):
        look.buffer.add([Entry(number * 60 * SECOND_NS, stream(0), b"x")])
    look.take(Window(0, 1700 * SECOND_NS, 29, 29))
    kept = f"kept from {when(look.buffer.oldest_ns or 0, Times.LOCAL):%H:%M:%S}"
    ((text, role),) = badge(look)
    assert (f"✔ 29 proven to {when(1700 * SECOND_NS, Times.LOCAL):%H:%M:%S}, {kept} ", "ok") == (text, role)
    look.take(Gap(1700 * SECOND_NS, 1800 * SECOND_NS, Cause.EVICTED))
    ((text, role),) = badge(look)
    assert text.startswith("▲ 29 proven to")
    assert text.endswith(", 1 stretch given up ")
    assert role == "warn"
