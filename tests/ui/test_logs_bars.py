"""Mode 3, the bars: walked by keyboard, of what is here or of a span that Loki counts; the log at a bar's time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from vpai_tui.errors import OperatorError
from vpai_tui.widgets.log_bars import LogBars, bar_lines
from vpai_tui.widgets.log_style import Times

from .conftest import SHORT, TALL, Cockpit, OpenCockpit
from .fake_logs import FakeLogs, entries, entry
from .test_logs import PROVEN, log_of, on, screen_of
from .test_logs_view import rows_of
from .vpn_kit import BOTH, Picture, Size, command


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is the same wherever the tests run."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def with_past() -> FakeLogs:
    """Ten minutes are here; four hours before them only Loki has, with errors at 20:30."""
    found = FakeLogs(entries(), PROVEN)
    found.past = [
        entry(600 + 60 * number, "sese/apps/n8n", f"quiet {number}", detected_level="info") for number in range(240)
    ]
    found.past += [
        entry(9240 - number, "sese/apps/n8n", f"level=error msg=broke n={number}", detected_level="error")
        for number in range(8)
    ]
    return found


def bars_of(at: Cockpit) -> LogBars:
    return screen_of(at).query_one(LogBars)


@BOTH
async def test_bars_are_walked_and_enter_goes_there(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeLogs(entries(), PROVEN)
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("3")
        bars = bars_of(at)
        assert bars.display is (size == TALL)
        await at.press("b")
        assert bars.has_focus
        assert sum(bar.total for bar in bars.bars) == 106
        assert "counted here" in bars.text
        await at.press("home", "right")
        chosen = bars.bars[1]
        assert f"{chosen.total} line" in bars.text.splitlines()[-1]
        picture(at, "bars")
        await at.press("enter")
        assert log_of(at).has_focus
        assert "■ paused" in at.text()
        cursor = log_of(at).cursor
        assert cursor is not None
        assert chosen.from_ns <= cursor.ns < chosen.to_ns
        await at.press("b", "escape")
        assert log_of(at).has_focus
        assert bars.display
        await at.press("b", "b")
        assert not bars.display
        assert log_of(at).has_focus


async def test_a_click_and_a_time_lead_there_too(cockpit: OpenCockpit) -> None:
    found = FakeLogs(entries(), PROVEN)
    async with cockpit(backend=on(found), size=TALL) as at:
        await at.press("3")
        assert "22:54:00" in bars_of(at).text
        await at.pilot.click("#log-bars", offset=(1, 2))
        await at.settle()
        assert "■ paused" in at.text()
        assert "22:54:00" in rows_of(at.text())[0]
        await command(at, "at 23:02:25")
        cursor = log_of(at).cursor
        assert cursor is not None
        assert cursor.at.strftime("%H:%M:%S") == "23:02:25"
        assert not [it for it in found.asked if it[0] == "lines"]  # its lines are here


@BOTH
async def test_loki_counts_what_is_not_here_and_gives_its_lines(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    found = with_past()
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("3")
        await command(at, "bars 6h")
        await at.settle()
        bars = bars_of(at)
        assert bars.has_focus
        assert ("counts", found_query(at)) in found.asked
        theirs, own = ([it for it in bars.bars if it.by_loki is whose] for whose in (True, False))
        assert theirs[-1].to_ns == own[0].from_ns
        assert sum(it.total for it in theirs) == sum(it.ns < theirs[-1].to_ns for it in found.past)
        assert sum(it.total for it in own) == 106
        assert "counted by Loki" in bars.text
        await at.press("home")
        while "error" not in bars.text.splitlines()[-1]:
            await at.pilot.press("right")
        picture(at, "bars-by-loki")
        await at.press("enter")
        await at.settle()
        text = at.text()
        assert "broke" in text
        assert "✔ all " in text
        assert "esc goes back" in text
        assert bars.display
        assert log_of(at).cursor is not None
        assert bars.bars[bars.at or 0].from_ns <= log_of(at).cursor.ns  # type: ignore[union-attr]
        picture(at, "bar-of-the-past")
        await at.press("escape")
        assert "✔ live" in at.text()


def found_query(at: Cockpit) -> str:
    choice = at.app.context.logs.choice
    assert choice is not None
    assert choice.query is not None
    return choice.query


async def test_the_span_is_widened_and_narrowed_and_nothing_is_asked_twice(cockpit: OpenCockpit) -> None:
    found = with_past()
    async with cockpit(backend=on(found), size=TALL) as at:
        await at.press("3", "b")
        bars = bars_of(at)

        def minutes() -> int:
            return round((bars.bars[-1].to_ns - bars.bars[0].from_ns) / 60e9)

        assert minutes() < 11
        await at.press("up")
        assert minutes() == 15
        await at.press("home", "left")  # beyond the first bar: a wider span
        assert 60 <= minutes() <= 62
        assert not [it for it in found.asked if it[0] == "counts"]  # an hour is here
        await at.press("up")
        await at.settle()
        assert 360 <= minutes() <= 370
        at.app.redraw()
        await at.settle()
        assert len([it for it in found.asked if it[0] == "counts"]) == 1
        await at.press("down", "down", "down")
        assert minutes() < 11
        await command(at, "bars soon")
        assert any("no span of time" in it for it in at.toasts())


async def test_counts_that_do_not_come_are_said_and_given_up_on_a_key(cockpit: OpenCockpit) -> None:
    found = with_past()
    found.slow = asyncio.Event()
    async with cockpit(backend=on(found), size=SHORT) as at:
        await at.press("3")
        await command(at, "bars 6h")
        await at.settle()
        assert "… Loki counts" in at.text()
        await at.press("escape")
        await at.settle()
        assert "Loki counts" not in at.text()
        found.slow = None
        found.count_fails = OperatorError("too many series", host="sese")
        await command(at, "bars 6h")
        await at.settle()
        assert "Loki did not count: sese: too many series" in at.text()
        found.count_fails = None
        await command(at, "bars 6h")  # asked again
        await at.settle()
        assert "counted by Loki" in at.text()


async def test_a_wide_span_tells_its_price_and_may_be_refused(cockpit: OpenCockpit) -> None:
    found = with_past()
    async with cockpit(backend=on(found), size=SHORT) as at:
        await at.press("3")
        await command(at, "bars 7d")
        await at.settle()
        assert "Loki reads 734 MB" in at.text()
        await at.press("escape")
        await at.settle()
        assert not [it for it in found.asked if it[0] == "counts"]
        assert "counted here" in at.text()


@BOTH
async def test_a_time_that_is_not_here_is_fetched_and_paged_both_ways(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    found = FakeLogs(entries(), PROVEN)
    found.past = [entry(9000 - number, "sese/apps/n8n", f"past {number:04d}") for number in range(4000)]
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("3")
        await command(at, "at 21:00")
        await at.settle()
        assert " at 21:00:00 " in at.text()
        assert "✔ all 1 998 lines 20:51:40 – 21:24:58" in at.text()
        cursor = log_of(at).cursor
        assert cursor is not None
        assert cursor.text == "past 1560"
        picture(at, "moment")
        await at.press("G", "j")
        await at.settle()
        assert "941 newer lines" in at.toasts()
        await at.press("g", "k")
        await at.settle()
        assert "1000 older lines" in at.toasts()
        await command(at, "at 12:00")
        await at.settle()
        assert any("Loki has no line within an hour of 12:00:00" in it for it in at.toasts())
        await at.press("escape")
        assert "✔ live" in at.text()


async def test_without_loki_there_are_only_bars_of_what_is_here(cockpit: OpenCockpit) -> None:
    found = FakeLogs(entries())
    found.reason = "Loki is away"
    async with cockpit(backend=on(found), size=SHORT) as at:
        await command(at, "logs caddy")
        await at.settle()
        await command(at, "bars 6h")
        await at.settle()
        assert not any(bar.by_loki for bar in bars_of(at).bars)
        assert sum(bar.total for bar in bars_of(at).bars) == 61
        await command(at, "at 12:00")
        assert log_of(at).cursor is not None


def test_no_bar_is_no_row() -> None:
    assert bar_lines([], Times.LOCAL, 80) == []
