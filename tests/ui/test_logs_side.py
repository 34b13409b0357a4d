"""Mode 3, beside the log followed: the lines around one as Loki has them, a span and its price, a line as JSON."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator

import pytest

from vpai_tui.logs.model import Entry
from vpai_tui.logs.past import stream_selector

from .conftest import OpenCockpit
from .fake_logs import FakeLogs, entries, entry, labels
from .test_logs import PROVEN, log_of, on
from .vpn_kit import BOTH, Picture, Size, command

N8N = stream_selector(labels("sese/apps/n8n"))


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is the same wherever the tests run."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def with_store() -> FakeLogs:
    """Loki has more of n8n than the tail brought: fifty lines before the last error, four of its own nanosecond."""
    found = FakeLogs(entries(), PROVEN)
    error = next(it for it in found.entries if b"workflow 55 failed" in it.line)
    before = [entry(300 - number, "sese/apps/n8n", f"quiet {number}") for number in range(50)]
    same = [Entry(error.ns, error.labels, f"same nanosecond {number}".encode(), {}) for number in range(3)]
    after = [entry(61 - number, "sese/apps/n8n", f"after {number}") for number in range(30)]
    found.stored[N8N] = [*before, same[0], error, *same[1:], *after]
    return found


@BOTH
async def test_the_lines_around_one_are_those_loki_has(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = with_store()
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("3")
        await at.press("N", "n")
        cursor = log_of(at).cursor
        assert cursor is not None
        await command(at, "level error")
        shown = at.text()
        await at.press("x")
        await at.settle()
        assert ("lines", N8N) in found.asked
        text = at.text()
        assert "around 23:02:58" in text
        assert "51 before, 32 after, of its stream" in text
        assert all(f"same nanosecond {number}" in text for number in range(3))  # the level hides none of them
        assert "quiet 49" in text
        assert "after 0" in text
        assert "handled request" not in text
        assert log_of(at).cursor == cursor
        await at.settle()  # there is a row more now
        picture(at, "around")
        found.write(entry(0.5, "sese/apps/n8n", "level=error came=meanwhile msg=x"))
        await at.settle()
        assert "came=meanwhile" not in at.text()
        await at.press("escape")
        await at.settle()
        assert "around" not in at.text()
        assert "▼ 1 new" in at.text()
        assert re.findall(r"✖ .*", at.text())[0] == re.findall(r"✖ .*", shown)[0]
        assert log_of(at).cursor == cursor


async def test_a_log_that_was_followed_is_followed_again(cockpit: OpenCockpit) -> None:
    found = with_store()
    async with cockpit(backend=on(found)) as at:
        await at.press("3")
        assert log_of(at).cursor is not None
        await at.press("x")
        await at.settle()
        assert "of its stream" in at.text()
        await at.press("g", "k")  # above the oldest: a page more of that stream
        await at.settle()
        assert "there is no older line" in at.toasts()
        await at.press("escape")
        assert "✔ live" in at.text()
        await at.press("x")
        await at.settle()
        await command(at, "logs caddy")  # another log: nothing is left of what lay beside the first
        await at.settle()
        assert "esc goes back" not in at.text()
        assert "handled request" in at.text()


async def test_asking_is_given_up_on_a_key(cockpit: OpenCockpit) -> None:
    found = with_store()
    found.slow = asyncio.Event()
    async with cockpit(backend=on(found)) as at:
        await at.press("3")
        await at.press("x")
        await at.settle()
        assert "asking Loki, esc gives up" in at.text()
        await at.press("escape")
        assert "given up" in at.toasts()
        found.slow.set()
        await at.settle()
        assert "✔ live" in at.text()
        assert "of its stream" not in at.text()


async def test_a_line_that_is_gone_and_a_loki_that_is_down_are_said(cockpit: OpenCockpit) -> None:
    found = FakeLogs(entries())
    async with cockpit(backend=on(found)) as at:
        await at.press("3")
        await at.press("x")
        await at.settle()
        assert "Loki does not have this line any more" in at.toasts()
        assert "✔ live" in at.text()
    found = FakeLogs(entries())
    found.reason = "Loki is away"
    async with cockpit(backend=on(found)) as at:
        await command(at, "logs caddy")
        await at.settle()
        await at.press("x")
        assert any("are Loki's to give" in it for it in at.toasts())


@BOTH
async def test_past_lines_of_a_span_with_their_proof(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeLogs(entries(), PROVEN)
    found.past = [entry(7200 - number, "sese/apps/n8n", f"level=info msg=past n={number}") for number in range(60)]
    async with cockpit(backend=on(found), size=size) as at:
        await command(at, "logs n8n")
        await command(at, "since 21:00 until 22:30")
        await at.settle()
        text = at.text()
        assert "21:00:00 – 22:30:00" in text
        assert "✔ all 60 lines" in text
        assert "n=59" in text
        assert "workflow" not in text
        assert ("stats", '{service="n8n"}') not in found.asked  # it is not wide
        await at.settle()
        picture(at, "span")
        await at.press("escape")
        assert "✔ live" in at.text()
        await command(at, "since 14:00 until 13:00")
        assert "14:00 is not before 13:00" in at.toasts()
        await command(at, "since 20:00 until 20:30")
        await at.settle()
        assert any("Loki has no line of" in it for it in at.toasts())
        assert "✔ live" in at.text()


@BOTH
async def test_a_wide_span_tells_its_price_first(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeLogs(entries())
    found.past = [entry(86_400 * 3, "sese/apps/n8n", "days ago")]
    async with cockpit(backend=on(found), size=size) as at:
        await command(at, "logs n8n")
        await command(at, "since 7d")
        await at.settle()
        assert "Loki reads 734 MB: 9 000 000 lines of 3 streams" in at.text()
        picture(at, "price")
        await at.press("escape")
        await at.settle()
        assert not [it for it in found.asked if it[0] == "lines"]
        assert "✔ live" in at.text()
        await command(at, "since 7d")
        await at.settle()
        await at.pilot.click("#answer-read")
        await at.settle()
        assert "days ago" in at.text()
        assert "✔ all 1 lines" in at.text()


async def test_a_line_is_copied_as_json_without_its_secrets(cockpit: OpenCockpit) -> None:
    found = FakeLogs([entry(30, "sese/apps/n8n", "level=error msg=failed password=hunter2")])
    async with cockpit(backend=on(found)) as at:
        await at.press("3")
        await at.press("m")
        told = json.loads(at.app.clipboard)
        assert (told["host"], told["service"], told["level"]) == ("sese", "n8n", "error")
        assert told["ts_ns"] == str(found.entries[0].ns)
        assert told["fields"]["password"] != "hunter2"
        assert "hunter2" not in at.app.clipboard
        assert "copied as JSON" in at.toasts()
        found.write(entry(1, "sese/apps/n8n", "x" * 80_000))
        await at.settle()
        await at.press("m")
        assert any("too much for the terminal's clipboard" in it for it in at.toasts())
        assert json.loads(at.app.clipboard) == told
