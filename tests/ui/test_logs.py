"""Mode 3: what is followed and how much of it is proven; gaps, errors, Loki down; never two tails."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.model import FleetSnapshot
from vpai_tui.logs.model import SECOND_NS, Cause, Disconnected, Gap, Mark, Polling, Reconnected, Uncounted
from vpai_tui.logs.wire import refused
from vpai_tui.screens.logs import LogsScreen
from vpai_tui.widgets.log_look import Tail
from vpai_tui.widgets.log_view import LogView

from . import fake_fleet as fake
from .conftest import SHORT, Cockpit, OpenCockpit
from .fake_backend import FakeBackend
from .fake_logs import NOW_NS, FakeLogs, entries, entry, window
from .vpn_kit import BOTH, Picture, Size, command, without_toasts


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is the same wherever the tests run."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def on(found: FakeLogs, first: FleetSnapshot | None = None) -> FakeBackend:
    backend = FakeBackend(first or fake.calm())
    backend.fake_logs = found
    return backend


def screen_of(at: Cockpit) -> LogsScreen:
    screen = at.app.cockpit
    assert isinstance(screen, LogsScreen)
    return screen


def log_of(at: Cockpit) -> LogView:
    return screen_of(at).query_one(LogView)


PROVEN = (window(600, 30, 110), window(30, 5, 8))


@BOTH
async def test_everything_live_with_the_proof(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeLogs(entries(), PROVEN)
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("3")
        assert ("choose", "all hosts") in found.asked
        text = at.text()
        assert "✔ live" in text
        assert "✔ 118 proven to 23:03:55" in text
        assert "sese/caddy" in text
        assert "handled request" in text
        assert "✖ sese/n8n" in text
        assert "+ 5 lines" in text  # the traceback is one row
        assert "raise ValueError" not in text
        picture(at, "live")


async def test_the_tail_survives_leaving_the_screen_and_there_is_one_only(cockpit: OpenCockpit) -> None:
    found = FakeLogs(entries())
    async with cockpit(backend=on(found)) as at:
        await at.press("3")
        await at.press("1")
        found.write(entry(0.5, "sese/apps/n8n", "written while nobody looked"))
        await at.settle()
        assert found.following == 1
        await at.press("3")
        assert "written while nobody looked" in at.text()
        await command(at, "logs n8n")
        assert found.asked[-1] == ("follow", '{service="n8n"}')
        assert (found.following, found.at_once) == (1, 1)
        assert "handled request" not in at.text()
        await command(at, "stop following")
        assert found.following == 0
        assert "■ not followed" in at.text()
        assert "workflow" in at.text()


async def test_l_opens_the_log_of_the_row_and_h_scopes_to_a_host(cockpit: OpenCockpit) -> None:
    found = FakeLogs(entries())
    async with cockpit(backend=on(found)) as at:
        at.app.cockpit.query_one("#main-table").select("sese/apps/n8n")  # type: ignore[attr-defined]
        await at.press("l")
        assert at.screen == "LogsScreen"
        assert ("choose", "sese/apps/n8n") in found.asked
        assert "sese/n8n" not in at.text()  # one source: it is not repeated on each row
        await at.press("h", "2")
        assert ("choose", "seko") in found.asked
        assert "poll of node" in at.text()
        assert "handled request" not in at.text()


@BOTH
async def test_lines_that_the_tail_lost_are_marked_and_counted(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    found = FakeLogs(entries(), PROVEN)
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("3")
        found.say(Disconnected(Cause.LINK, "the connection ended without a word", 2.0))
        await at.settle()
        assert "▲ reconnecting" in at.text()
        assert "link lost: the connection ended without a word" in at.text()
        picture(at, "away")
        gap = Gap(NOW_NS - 4 * SECOND_NS, NOW_NS + 8 * SECOND_NS, Cause.LINK)
        found.say(gap, Reconnected(Cause.LINK, 12.0))
        await at.settle()
        assert "link lost, 12s  ▲ not counted yet" in at.text()
        found.write(entry(-3, "sese/apps/n8n", "said while the link was away"), mark=Mark.RECOVERED)
        found.say(window(5, -10, 4, recovered=1))
        await at.settle()
        text = at.text()
        assert "link lost, 12s  ✔ nothing is missing" in text
        assert f"▲ 1 {'rec.' if size == SHORT else 'recovered'}  ✔ 122 proven to 23:04:10" in text
        assert "+23:04:03" in text
        picture(at, "recovered")


async def test_what_cannot_be_had_is_missing_and_not_claimed(cockpit: OpenCockpit) -> None:
    found = FakeLogs(
        entries(), [*PROVEN, window(5, 0, 9, proven=6), Gap(NOW_NS - 5 * SECOND_NS, NOW_NS, Cause.MISSING, missing=3)]
    )
    async with cockpit(backend=on(found)) as at:
        await at.press("3")
        assert "✖ 3 missing of 127 to 23:04:00" in at.text()
        assert "3 lines missing" in at.text()
        found.say(window(5, 0, 9))  # they came after all
        await at.settle()
        assert "✔ 127 proven" in at.text()
        assert "3 lines missing" not in at.text()


async def test_no_tail_and_no_count_are_said(cockpit: OpenCockpit) -> None:
    found = FakeLogs(entries())
    async with cockpit(backend=on(found)) as at:
        await at.press("3")
        assert "… counting" in at.text()
        found.say(Polling(Cause.SLOTS, "", 2.0), Uncounted(0, 1, "Loki is busy"))
        await at.settle()
        assert "▲ polling" in at.text()
        assert "all tail slots of the server are taken: asking every 2 s" in at.text()
        assert "not counted for now: Loki is busy" in at.text()


@BOTH
async def test_wrong_logql_is_shown_with_its_place(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    query = '{service="caddy"} |= "a" | jsn | status >= 500'
    found = FakeLogs(entries())
    found.failure = refused(400, b"parse error at line 1, col 28: syntax error: unexpected IDENTIFIER", query, "sese")
    async with cockpit(backend=on(found), size=size) as at:
        await command(at, f"logs {query}")
        text = at.text()
        assert "unexpected IDENTIFIER" in text
        row, below = (next(it for it in text.splitlines() if part in it) for part in ("│ {", "│" + " " * 8))
        assert row.index("jsn") == below.index("^")
        assert screen_of(at).context.logs.tail is Tail.FAILED
        picture(at, "error")
        assert found.asked.count(("choose", query)) == 1  # asking again cannot help


@BOTH
async def test_where_loki_is_down_the_container_speaks_for_itself(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    found = FakeLogs(entries())
    found.reason = "Loki's container vpai-loki-1 is exited"
    async with cockpit(backend=on(found), size=size) as at:
        await command(at, "logs caddy")
        await at.settle()  # it is found, opened, and falls back
        text = " ".join(at.text().split())
        assert "not counted: the container's own log" in text
        assert "vpai-loki-1 is exited" in text
        assert "by Docker, unproven" in text
        assert "handled request" in text
        assert "proven to" not in text
        picture(at, "loki-down")
        found.reason = ""
        await at.press("ctrl+r")
        assert "by Docker" not in at.text()
        assert found.at_once == 1


@BOTH
async def test_loki_that_does_not_answer_is_no_empty_log(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeLogs()
    found.failure = OperatorError("no answer within 10 s", host="sese", step="loki", remedy="vpai-tui doctor")
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("3")
        assert "no answer within 10 s" in at.text()
        assert "on sese" in at.text()
        picture(at, "no-answer")
        found.failure = None
        await at.press("ctrl+r")
        assert "no line in the last hour" in at.text()
        await without_toasts(at)
        picture(at, "empty")


async def test_a_log_that_is_being_opened_says_so(cockpit: OpenCockpit) -> None:
    async with cockpit(None, backend=FakeBackend()) as at:
        await at.press("3")
        screen_of(at).context.logs.begin("all")
        at.app.redraw()
        await at.pilot.pause()
        assert "… asking Loki" in at.text()


async def test_a_service_of_no_stack_shows_its_last_lines_instead(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.calm()) as at:
        await at.press("l")
        assert at.screen == "FleetScreen"
        assert any("its last lines instead" in toast for toast in at.toasts())
        assert "finished in" in at.text()
