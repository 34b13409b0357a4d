"""The newest lines of a level: as many as were asked for, over as many pages as that takes, folded as read forward."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from sim_loki import SimLoki, in_virtual_time
from sim_loki import entry as line_at

from vpai_tui.logs.client import Stats
from vpai_tui.logs.fold import groups
from vpai_tui.logs.levels import judge
from vpai_tui.logs.model import LATEST_NS, Entry, Level, Line
from vpai_tui.logs.pick import Picked, among, pick

TEXTS = (
    "request done",
    "ERROR: it broke",
    "Traceback (most recent call last):",
    '  File "x.py", line 1',
    "ValueError: broken",
    "level=warn msg=slow",
    "",
    "INFO fine",
)
NOW_S = 1000.0


class Store(SimLoki):
    """The past of it, an hour ago."""

    async def stats(self, query: str, from_ns: int, to_ns: int) -> Stats:
        return Stats(0, 0, 0, 0)


def picked(
    entries: list[Entry], wanted: int, least: Level, *, page: int = 5000, then: Callable[[Store], None] | None = None
) -> Picked:
    async def run() -> Picked:
        store = Store(most=page)
        await asyncio.sleep(NOW_S)
        store.push(entries)
        if then is not None:
            asyncio.get_running_loop().call_later(0.03, then, store)
        return await pick(store, "{}", 0, LATEST_NS, wanted, least)

    return in_virtual_time(run())


def line(entry: Entry) -> Line:
    level, theirs = judge(entry.line, entry.labels, entry.meta)
    return Line(entry.ns, entry.labels, entry.line, level, loki_level=theirs, meta=entry.meta)


def plainly(entries: list[Entry], least: Level) -> list[list[Line]]:
    """All groups that have lines that bad, by reading everything forward."""
    lines = [line(it) for it in sorted({it.identity: it for it in entries}.values(), key=lambda it: it.ns)]
    return [fitting for group in groups(lines) if (fitting := group.fitting(least))]


said = st.tuples(st.integers(0, 12), st.integers(0, 2), st.sampled_from(TEXTS))


@given(st.lists(said, max_size=50), st.integers(1, 6), st.sampled_from([Level.WARN, Level.ERROR]), st.integers(4, 9))
def test_it_is_the_end_of_what_reading_everything_gives(
    given_: list[tuple[int, int, str]], wanted: int, least: Level, page: int
) -> None:
    at, entries = 0.0, []
    for wait, stream, text in given_:
        at += wait / 5 + 0.001  # one line in a nanosecond: their order in one is Loki's own
        entries.append(line_at(at, text or " ", stream))
    found = picked(entries, wanted, least, page=page)
    everything = plainly(entries, least)
    expected = sorted((it for group in everything[-wanted:] for it in group), key=lambda it: it.ns)
    assert [it.identity for it in found.lines] == [it.identity for it in expected]
    assert not found.complete or len(everything) <= wanted
    assert found.expected == found.counted <= found.read


def test_no_more_is_read_than_it_takes_and_that_is_proven() -> None:
    entries = [line_at(second, "ERROR: it broke" if second % 10 == 5 else "request done") for second in range(900)]
    found = picked(entries, 4, Level.ERROR, page=20)
    assert [it.raw for it in found.lines] == [b"ERROR: it broke"] * 4
    assert 36 <= found.read <= 60
    assert not found.complete
    assert found.counted == found.expected == found.read
    assert found.from_ns == entries[900 - found.read].ns


def test_fewer_than_wanted_read_the_whole_span() -> None:
    entries = [line_at(second, "ERROR: it broke" if second == 5 else "request done") for second in range(90)]
    found = picked(entries, 4, Level.ERROR, page=20)
    assert len(found.lines) == 1
    assert found.complete
    assert (found.from_ns, found.counted, found.expected) == (0, 90, 90)


def test_a_line_that_comes_while_it_is_read_is_read_too_and_one_that_is_too_young_is_not_claimed() -> None:
    entries = [line_at(second) for second in range(30)] + [line_at(NOW_S - 1, "ERROR: just now")]
    late = line_at(12.5, "ERROR: late")
    found = picked(entries, 4, Level.ERROR, then=lambda store: store.push([late]))
    assert [it.text for it in found.lines] == ["ERROR: late", "ERROR: just now"]
    assert (found.read, found.counted, found.expected) == (32, 31, 31)


def test_of_a_containers_own_log_older_lines_are_asked_for_until_it_is_enough() -> None:
    lines = [line(line_at(second, "ERROR: it broke" if second < 3 else "fine")) for second in range(50)]
    assert among(lines[20:], 2, Level.ERROR, whole=False, reason="down") is None
    found = among(lines, 2, Level.ERROR, whole=True, reason="down")
    assert found is not None
    assert [it.ns for it in found.lines] == [lines[1].ns, lines[2].ns]
    assert (found.complete, found.expected, found.reason) == (False, None, "down")


def test_a_stream_that_never_begins_a_group_is_not_held_for_ever() -> None:
    entries = [line_at(second / 10, "  indented and ERROR") for second in range(3000)]
    found = picked(entries, 2000, Level.ERROR, page=100)
    assert len(found.lines) == 3000
