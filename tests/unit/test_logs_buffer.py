"""The ordered buffer against the plainest thing that does the same, and what it may cost."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.errors import UsageError
from vpai_tui.logs import buffer as module
from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.histogram import local, step_for
from vpai_tui.logs.model import SECOND_NS, Entry, Labels, Level, Mark, Window
from vpai_tui.logs.view import Filter, View

A: Labels = (("container", "a"),)
B: Labels = (("container", "b"),)

entries = st.builds(
    Entry,
    ns=st.integers(0, 12),
    labels=st.sampled_from([A, B]),
    line=st.sampled_from([b"one", b"ERROR two", b"\xff three", b""]),
    meta=st.sampled_from([{}, {"detected_level": "info"}, {"detected_level": "warn", "trace_id": "1"}]),
)


@pytest.fixture(autouse=True, scope="module")
def small_chunks() -> object:
    """So that a few lines fill several, and a crowd is one early."""
    patch = pytest.MonkeyPatch()
    patch.setattr(module, "CHUNK", 4)
    patch.setattr(module, "CROWD", 3)
    yield None
    patch.undo()


@given(batches=st.lists(st.lists(entries, max_size=12), max_size=12))
def test_it_is_a_sorted_set(batches: list[list[Entry]]) -> None:
    buffer, plain = Buffer(), dict[object, Entry]()
    view = View(buffer, Filter("two|three"))
    for batch in batches:
        new = [it for it in dict.fromkeys(entry.identity for entry in batch) if it not in plain]
        came = buffer.add(batch)
        assert [line.identity for line in came] == new
        for entry in batch:
            plain.setdefault(entry.identity, entry)
        expected = sorted(plain.values(), key=lambda entry: entry.ns)  # stable: as they came
        assert [line.identity for line in buffer] == [entry.identity for entry in expected]
        assert [dict(line.meta).get("trace_id") for line in buffer] == [it.meta.get("trace_id") for it in expected]
        for ns in range(14):
            assert buffer.count(3, ns) == sum(3 <= entry.ns < ns for entry in expected)
            assert buffer.index_at(ns) == sum(entry.ns < ns for entry in expected)
        view.refresh()
        fitting = [entry.identity for entry in expected if b"t" in entry.line]
        assert [line.identity for line in view] == fitting
        for index, line in enumerate(view):
            assert view.place_of(line) == index
    assert len(buffer) == len(plain)


@given(batches=st.lists(st.lists(entries, min_size=1, max_size=6), max_size=30))
def test_a_full_one_gives_up_the_oldest_and_says_so(batches: list[list[Entry]]) -> None:
    buffer = Buffer(12)
    for number, batch in enumerate(batches):
        buffer.add([it._replace(ns=it.ns + number * 20) for it in batch])
        assert len(buffer) <= 12 or len(buffer.chunks) == 1
        assert all(line.ns >= buffer.floor_ns for line in buffer)
    if buffer.evicted:
        before = len(buffer)
        assert buffer.add([Entry(buffer.floor_ns - 1, A, b"too old")]) == []
        assert len(buffer) == before


def test_levels_marks_and_metadata_are_kept() -> None:
    buffer = Buffer()
    buffer.add([Entry(5, A, b"ERROR x", {"detected_level": "info"}), Entry(6, B, b"x", {"trace_id": "7"})])
    buffer.add([Entry(4, A, b"level=warn x")], Mark.RECOVERED)
    first, second, third = buffer
    assert (first.level, first.loki_level, first.mark, first.disagrees) == (Level.WARN, None, Mark.RECOVERED, False)
    assert (second.level, second.loki_level, second.mark, second.disagrees) == (
        Level.ERROR,
        Level.INFO,
        Mark.NONE,
        True,
    )
    assert (third.level, dict(third.meta)) == (Level.UNKNOWN, {"trace_id": "7"})
    assert buffer[-1] == third
    with pytest.raises(IndexError):
        buffer[3]


def test_late_is_what_was_counted_before_or_is_out_of_its_streams_order() -> None:
    buffer = Buffer()
    buffer.add([Entry(100, A, b"new")], counted_to=50, lag_ns=10)
    late = buffer.add(
        [Entry(49, B, b"counted"), Entry(95, A, b"in order"), Entry(80, A, b"behind"), Entry(60, B, b"its own time")],
        counted_to=50,
        lag_ns=10,
    )
    assert {line.text: line.mark for line in late} == {
        "counted": Mark.LATE,
        "in order": Mark.NONE,
        "behind": Mark.LATE,
        "its own time": Mark.NONE,
    }


def test_a_crowd_in_one_nanosecond_is_not_compared_one_by_one() -> None:
    buffer = Buffer()
    crowd = [Entry(7, A, b"line %d" % number) for number in range(3000)]
    assert len(buffer.add(crowd)) == 3000
    assert buffer.add(crowd[::-1]) == []
    assert len(buffer.chunks) == 1  # it stays together


def test_a_hundred_thousand_lines_are_held_in_what_they_weigh_and_little_more() -> None:
    patch = pytest.MonkeyPatch()
    patch.setattr(module, "CHUNK", 4096)
    buffer, lines = Buffer(), 100_000
    text = b"2026-11-20T10:00:00.000000000Z INFO service: request of some user took some time and then it ended "
    buffer.add(Entry(number * 1000, A, text + b"%05d" % (number % 100_000)) for number in range(lines))
    size = sum(
        sys.getsizeof(chunk.ns)
        + sys.getsizeof(chunk.streams)
        + sys.getsizeof(chunk.bits)
        + sys.getsizeof(chunk.lines)
        + sum(map(sys.getsizeof, chunk.lines))
        for chunk in buffer.chunks
    )
    patch.undo()
    assert size / lines <= 250  # bytes for a line of a hundred


def test_paging_into_the_past_gives_up_the_newest() -> None:
    buffer = Buffer(8)
    buffer.add([Entry(number, A, b"x") for number in range(100, 108)])
    buffer.add([Entry(number, A, b"x") for number in range(92, 100)], newest_go=True)
    assert buffer[0].ns == 92
    assert len(buffer) <= 8


@pytest.mark.parametrize(
    ("wanted", "seen"),
    [
        (Filter(), ["one", "ERROR two", "Three", "warn: four"]),
        (Filter("t"), ["ERROR two", "Three"]),
        (Filter("T"), ["Three"]),
        (Filter("t", inverted=True), ["one", "warn: four"]),
        (Filter(levels=frozenset({Level.ERROR, Level.WARN})), ["ERROR two", "warn: four"]),
        (Filter(stream=lambda labels: labels == B), ["warn: four"]),
    ],
)
def test_filters(wanted: Filter, seen: list[str]) -> None:
    buffer = Buffer()
    buffer.add([Entry(1, A, b"one"), Entry(2, A, b"ERROR two"), Entry(3, A, b"Three"), Entry(4, B, b"warn: four")])
    view = View(buffer, wanted)
    assert view.refresh() and not view.refresh()
    assert [line.text for line in view] == seen


def test_a_filter_that_is_no_regular_expression_says_where() -> None:
    with pytest.raises(UsageError, match="missing \\)"):
        View(Buffer(), Filter("ab(c"))


def test_bars_count_by_level_and_show_what_is_missing() -> None:
    buffer = Buffer()
    buffer.add([Entry(number * SECOND_NS, A, b"ERROR x" if number % 5 == 0 else b"INFO x") for number in range(30)])
    lost = Window(10 * SECOND_NS, 20 * SECOND_NS, expected=14, proven=10)
    bars = local(buffer, 5 * SECOND_NS, 30 * SECOND_NS, 10, [lost])
    assert [
        (bar.from_ns // SECOND_NS, bar.counts[Level.ERROR], bar.counts[Level.INFO], bar.missing) for bar in bars
    ] == [
        (0, 1, 4, 0),
        (10, 2, 8, 4),
        (20, 2, 8, 0),
    ]
    assert sum(bar.total for bar in bars) == 29
    assert bars[0].worst is Level.ERROR
    assert step_for(3600 * SECOND_NS, 60) == 60
    assert step_for(3601 * SECOND_NS, 60) == 120
