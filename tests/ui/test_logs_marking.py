"""Mode 3, marking lines: extended by movement, kept as lines come and filters change; copied as text and as JSON."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.model import Entry
from vpai_tui.logs.view import Filter, View
from vpai_tui.widgets.log_detail import belonging
from vpai_tui.widgets.log_marks import SIGN, Marks, heads, with_folded
from vpai_tui.widgets.log_rows import Rows

from .conftest import Cockpit, OpenCockpit
from .fake_logs import NOW_NS, FakeLogs, entries, entry, labels
from .test_logs import PROVEN, log_of, on, screen_of
from .vpn_kit import BOTH, Picture, Size, command, without_toasts


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is the same wherever the tests run."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def numbered(many: int = 60) -> FakeLogs:
    return FakeLogs([entry(600 - number, "sese/apps/n8n", f"line {number:03d}") for number in range(many)])


def marked(at: Cockpit) -> list[str]:
    return [line.raw.decode() for line in log_of(at).marked_lines()]


@BOTH
async def test_lines_are_marked_by_moving_and_copied_with_what_is_folded_into_them(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    found = FakeLogs(entries(), PROVEN)
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("3")
        await at.press("space")
        assert f"{SIGN} 1 line marked" in at.text()
        assert "■ paused" in at.text()
        await at.press("k", "k", "k", "k")
        assert at.text().count(f"{SIGN}23:0") == 5
        picture(at, "marked")
        await at.press("c")
        rows = at.app.clipboard.splitlines()
        assert "ValueError: no such path: [/]" in rows  # folded into a row that is marked
        assert rows.index("ValueError: no such path: [/]") - rows.index("Traceback (most recent call last):") == 5
        assert "hunter2" not in at.app.clipboard
        assert f"copied {len(rows)} lines" in at.toasts()
        await at.press("m")
        told = [json.loads(row) for row in at.app.clipboard.splitlines()]
        assert len(told) == len(rows)
        assert "hunter2" not in at.app.clipboard
        assert f"copied as JSON {len(rows)} lines" in at.toasts()
        await without_toasts(at)
        await at.press("escape")
        assert SIGN not in at.text()
        await at.press("c")
        assert "\n" not in at.app.clipboard  # the line under the cursor


async def test_what_is_marked_stays_as_lines_come_and_a_filter_comes_and_goes(cockpit: OpenCockpit) -> None:
    found = numbered()
    async with cockpit(backend=on(found)) as at:
        await command(at, "logs n8n")
        await at.press("k", "space", "k", "k")
        assert marked(at) == ["line 056", "line 057", "line 058"]
        found.write(*(entry(500 - number, "sese/apps/n8n", f"new {number}") for number in range(40)))
        found.write(entry(700, "sese/apps/n8n", "long before"), entry(542.5, "sese/apps/n8n", "late, between"))
        await at.settle()
        assert marked(at) == ["line 056", "line 057", "late, between", "line 058"]
        await at.press("slash")
        await at.type("line 0.[78]")
        await at.press("enter")
        assert marked(at) == ["line 057", "line 058"]
        assert f"{SIGN} 2 lines marked" in at.text()
        await at.press("escape", "slash")
        await at.type("nothing")
        await at.press("enter")
        assert "none of it is shown" in at.text()
        await at.press("c")
        assert any("nothing of what is marked is shown" in it for it in at.toasts())
        screen_of(at).unfilter()
        await at.settle()
        assert marked(at) == ["line 056", "line 057", "late, between", "line 058"]
        await at.press("f")  # followed again: the marks stay where they are
        assert "✔ live" in at.text()
        found.write(entry(1, "sese/apps/n8n", "newest"))
        await at.settle()
        assert marked(at)[-1] == "line 058"
        await at.press("space")
        assert marked(at) == []


async def test_pages_ends_and_searches_extend_it(cockpit: OpenCockpit) -> None:
    found = numbered()
    async with cockpit(backend=on(found)) as at:
        await command(at, "logs n8n")
        await at.press("g", "space", "pagedown")
        assert len(marked(at)) > 10
        await at.press("G")
        assert len(marked(at)) == 60
        assert "■ paused" in at.text()
        found.write(entry(1, "sese/apps/n8n", "newest"))
        await at.settle()
        assert len(marked(at)) == 60
        await at.press("g")
        assert marked(at) == ["line 000"]
        await command(at, "at 22:54:05")
        assert len(marked(at)) == 6


async def test_what_does_not_fit_into_the_clipboard_is_told_and_cut_at_a_line(
    cockpit: OpenCockpit, tmp_path: Path
) -> None:
    found = FakeLogs([entry(600 - number / 10, "sese/apps/n8n", f"{number:04d} " + "x" * 995) for number in range(100)])
    async with cockpit(backend=on(found)) as at:
        await command(at, "logs n8n")
        await at.press("g", "space", "G", "c")
        rows = at.app.clipboard.splitlines()
        assert len(rows) == 73
        assert all(len(row) == 1000 for row in rows)
        assert any("the first 73 lines; 27 did not fit" in it for it in at.toasts())
        await command(at, f"save {tmp_path}/all.jsonl")
        assert len((tmp_path / "all.jsonl").read_text().splitlines()) == 100
        await at.press("escape")
        found.write(entry(1, "sese/apps/n8n", "y" * 80_000))
        await at.settle()
        await at.press("G")
        await at.press("c")
        assert any("too much for the terminal's clipboard" in it for it in at.toasts())
        assert at.app.clipboard.splitlines() == rows  # what was there stays


async def test_marks_are_left_and_found_again_beside_the_log(cockpit: OpenCockpit) -> None:
    found = numbered()
    found.past = [entry(7200 - number, "sese/apps/n8n", f"past {number}") for number in range(5)]
    async with cockpit(backend=on(found)) as at:
        await command(at, "logs n8n")
        await at.press("space", "k")
        await command(at, "since 21:00 until 22:30")
        await at.settle()
        assert marked(at) == []
        await at.press("space", "k", "c")
        assert at.app.clipboard == "past 3\npast 4"
        await at.press("escape")
        await at.press("escape")
        assert marked(at) == ["line 058", "line 059"]
        await command(at, "logs caddy")
        await at.settle()
        assert log_of(at).marks is None


async def test_where_there_is_no_line_nothing_is_marked(cockpit: OpenCockpit) -> None:
    async with cockpit(backend=on(FakeLogs())) as at:
        await at.press("3")
        await at.press("space")
        assert any("no line to mark here" in it for it in at.toasts())
        await at.press("c")
        assert any("nothing to copy here" in it for it in at.toasts())


async def test_without_colour_what_is_marked_has_a_sign(
    cockpit: OpenCockpit, monkeypatch: pytest.MonkeyPatch, picture: Picture
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with cockpit(backend=on(FakeLogs(entries(), PROVEN))) as at:
        await at.press("3")
        await at.press("k", "k", "space", "j", "w")
        assert at.text().count(f"\n{SIGN}") >= 2
        picture(at, "marked-no-color")


# -- the parts ------------------------------------------------------------------------------------------------------

_ROWS = [
    "Traceback (most recent call last):",
    '  File "a.py", line 1',
    "ValueError: x",
    "level=info msg=plain",
    "ERROR: boom",
    "DETAIL:  more",
    "quiet",
]


@given(st.randoms(use_true_random=False), st.integers(5, 60))
def test_what_goes_with_each_row_is_as_the_detail_shows_it(chance: random.Random, many: int) -> None:
    """Looked for once over all rows, as one would look for each of them."""
    streams = [labels("sese/apps/n8n"), labels("sese/edge/caddy")]
    ns, made = NOW_NS, []
    for number in range(many):
        ns += chance.choice([0, 1_000_000, 900_000_000, 3_000_000_000])
        made.append(Entry(ns, chance.choice(streams), f"{chance.choice(_ROWS)} {number}".encode(), {}))
    buffer = Buffer()
    buffer.add(made)
    view = View(buffer)
    view.refresh()
    rows = Rows(view)
    wanted = list(heads(rows, 0, len(view) - 1))
    assert wanted == [item.line for item in rows.forward(0, 10_000)]
    kept = [line for line in wanted if chance.random() < 0.6]
    expected = [it for line in kept for it in (line, *belonging(buffer, line))]
    assert list(with_folded(buffer, kept)) == expected


def test_an_end_that_a_filter_hides_still_bounds_what_is_marked() -> None:
    buffer = Buffer()
    buffer.add(Entry(number // 2, (), f"n{number}".encode(), {}) for number in range(20))
    whole = View(buffer)
    whole.refresh()
    marks = Marks(whole[15], whole[5])
    assert marks.places(whole) == (5, 15)
    odd = View(buffer, Filter("n(7|9|13|17)"))
    odd.refresh()
    assert [odd[at].raw for at in range(*(at + step for step, at in enumerate(marks.places(odd) or (0, -1))))] == [
        b"n7",
        b"n9",
        b"n13",
    ]
    none = View(buffer, Filter("n0"))
    none.refresh()
    assert marks.places(none) is None
