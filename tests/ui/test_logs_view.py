"""Mode 3, reading: scrolling stops following, filters, levels, wrap, times, detail, copy, save; hostile lines."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vpai_tui.logs import view
from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.model import SECOND_NS
from vpai_tui.logs.view import View
from vpai_tui.text import clean
from vpai_tui.widgets.canvas import LineView
from vpai_tui.widgets.log_rows import Rows
from vpai_tui.widgets.log_style import from_cell, masked, wrapped

from .conftest import SHORT, TALL, OpenCockpit
from .fake_logs import FakeLogs, entries, entry
from .test_logs import PROVEN, log_of, on, screen_of
from .test_text_safety import HOSTILE
from .vpn_kit import BOTH, Picture, Size, command


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def rows_of(text: str) -> list[str]:
    """The rows of lines: those that begin with a time."""
    return [row for row in text.splitlines() if row[1:9].replace(":", "").isdigit() and "counted here" not in row]


@BOTH
async def test_scrolling_stops_following_and_counts_what_is_new(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    found = FakeLogs(entries(), PROVEN)
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("3")
        await at.press("k", "k", "k")
        assert "■ paused" in at.text()
        before = rows_of(at.text().replace("▐", " "))
        found.write(*(entry(-1 - number, "sese/apps/n8n", f"new {number}") for number in range(214)))
        found.write(entry(590, "sese/apps/n8n", "late, above what is read"))
        await at.settle()
        assert "▼ 214 new" in at.text()
        assert rows_of(at.text().replace("▐", " ")) == before  # nothing that is read moves
        picture(at, "paused")
        await at.press("f")
        assert "✔ live" in at.text()
        assert "new 213" in rows_of(at.text())[-1]
        await at.press("f")
        assert "■ paused" in at.text()
        await at.press("G")
        assert "✔ live" in at.text()


async def test_a_page_up_and_down_shows_every_line_once(cockpit: OpenCockpit) -> None:
    found = FakeLogs([entry(600 - number, "sese/apps/n8n", f"line {number:03d}") for number in range(100)])
    async with cockpit(backend=on(found)) as at:
        await command(at, "logs n8n")
        await at.press("g")
        assert "line 000" in rows_of(at.text())[0]
        seen: set[str] = set()
        for _ in range(10):
            seen |= set(re.findall(r"line (\d+)", at.text()))
            await at.press("pagedown")
        assert len(seen) == 100
        assert log_of(at).cursor is not None
        assert log_of(at).cursor.raw == b"line 099"  # type: ignore[union-attr]
        log_of(at)._scroll(-5)
        await at.settle()
        assert "line 094" in rows_of(at.text())[-1]


async def test_going_above_the_oldest_line_asks_loki_for_older_ones(cockpit: OpenCockpit) -> None:
    found = FakeLogs([entry(60 - number, "sese/apps/n8n", f"line {number}") for number in range(40)])
    found.past = [entry(5000 - number, "sese/apps/n8n", f"long ago {number}") for number in range(50)]
    async with cockpit(backend=on(found)) as at:
        await command(at, "logs n8n")
        await at.press("g", "k")
        assert "50 older lines" in at.toasts()
        assert " all 90 " in at.text()
        assert "line 0" in rows_of(at.text())[0]  # what is read stays where it is
        await at.press("k")
        assert "long ago 49" in at.text()
        await at.press("g", "k")
        assert "there is no older line" in at.toasts()


@BOTH
async def test_the_filter_is_a_regex_in_place_and_turns_around(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    found = FakeLogs(entries(), PROVEN)
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("3")
        await at.press("slash")
        await at.type("workflow 5")
        await at.press("enter")
        assert all("workflow 5" in row for row in rows_of(at.text()))
        assert "/workflow 5/ 4 shown" in at.text()
        picture(at, "filtered")
        await at.press("n")
        await at.press("z")
        assert "/workflow 5/ marked" in at.text()
        assert any("handled request" in row for row in rows_of(at.text()))
        await at.press("G", "N")
        assert log_of(at).cursor is not None
        assert b"workflow 5" in log_of(at).cursor.raw  # type: ignore[union-attr]
        await at.press("z", "slash")
        await at.press("home")
        await at.type("!")
        await at.press("enter")
        assert not any("workflow 5" in row for row in rows_of(at.text()))
        assert "not /workflow 5/" in at.text()
        await at.press("escape")
        assert not screen_of(at).reading.pattern


async def test_a_wrong_regex_says_so_and_keeps_the_last_good_filter(cockpit: OpenCockpit) -> None:
    found = FakeLogs(entries())
    async with cockpit(backend=on(found)) as at:
        await at.press("3")
        await at.press("slash")
        await at.type("keys(")
        assert "is no regular expression" in at.text()
        assert all("keys" in row for row in rows_of(at.text()))
        await at.press("backspace")
        assert "/keys/ 15 shown" in at.text()
        await at.type("zzz")
        assert "no line of 106 fits /keyszzz/" in at.text()


@BOTH
async def test_a_filter_that_takes_too_long_is_given_up_and_another_one_is_tried(
    cockpit: OpenCockpit, picture: Picture, size: Size, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = FakeLogs(entries())
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("3")
        monkeypatch.setattr(view, "PATIENCE_S", -1.0)
        await at.press("slash")
        await at.type("key.")
        await at.press("enter")
        assert "given up: it takes longer than" in at.text()
        assert any("handled request" in row for row in rows_of(at.text())), "all lines are shown again"
        picture(at, "given-up")
        monkeypatch.undo()
        await at.press("slash", "backspace", "s")
        await at.press("enter")
        assert "/keys/ 15 shown" in at.text() and "given up" not in at.text()


async def test_levels_are_chosen_by_key_word_and_click(cockpit: OpenCockpit) -> None:
    found = FakeLogs(entries())
    async with cockpit(backend=on(found), size=TALL) as at:
        await command(at, "logs all")
        await command(at, "level error")
        assert len(rows_of(at.text())) == 3
        await at.press("p")
        assert len(rows_of(at.text())) > 20
        await at.pilot.click("#log-chips", offset=(34, 0))
        await at.settle()
        assert {row[14] for row in rows_of(at.text())} == {"▲", "✖"}
        await at.press("escape")
        assert len(rows_of(at.text())) > 20


async def test_n_goes_to_the_next_error_where_nothing_is_searched(cockpit: OpenCockpit) -> None:
    found = FakeLogs(entries())
    async with cockpit(backend=on(found)) as at:
        await at.press("3")
        await at.press("N", "N")
        assert log_of(at).cursor is not None
        assert log_of(at).cursor.raw.startswith(b"2026-02-26 23:02:25 UTC [91] ERROR")  # type: ignore[union-attr]
        await at.press("g", "N")
        assert "no error above" in at.toasts()


@BOTH
async def test_wrap_times_and_sideways(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    long = "begin " + "".join(f"{number:04d} " for number in range(60)) + "end"
    found = FakeLogs([entry(86_400 * 2, "sese/apps/n8n", "two days ago"), entry(5, "sese/apps/n8n", long)])
    async with cockpit(backend=on(found), size=size) as at:
        await command(at, "logs n8n")
        assert "── Thu 26 Feb 2026 ──" in at.text()
        assert "begin 0000" in at.text()
        await at.press("right", "right")
        assert "begin" not in rows_of(at.text())[-1]
        assert "→ 16" in at.text()
        found.write(entry(1, "sese/apps/n8n", "0123456789abcdef, then this"))
        await at.settle()
        assert ", then this" in at.text()  # it stays where it is as lines come
        assert "0123" not in rows_of(at.text())[-1]
        await at.press("w")
        assert "0059 end" in at.text()
        picture(at, "wrapped")
        await at.press("t")
        assert "times UTC" in at.text()
        await at.press("t")
        assert "    -1s" in at.text()
        await at.press("t")
        assert "times off" in at.text()


@BOTH
async def test_all_that_is_known_of_a_line(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeLogs(entries(), PROVEN)
    async with cockpit(backend=on(found), size=size) as at:
        await at.press("3")
        await at.press("N", "enter")
        detail = screen_of(at).query_one("#detail", LineView)
        assert "raise ValueError(path)" in detail.text
        assert "ValueError: no such path: [/]" in detail.text
        assert "✖ error" in detail.text
        assert "sese/apps/n8n" in detail.text
        picture(at, "detail")
        await at.press("G")
        assert "workflow 55 retry 1 password •••" in " ".join(detail.text.split())
        assert "hunter2" not in detail.text
        assert "hunter2" not in at.text()
        await at.press("escape")
        assert not detail.display


async def test_a_line_is_copied_and_the_lines_saved_without_secrets(cockpit: OpenCockpit, tmp_path: Path) -> None:
    found = FakeLogs(entries())
    async with cockpit(backend=on(found)) as at:
        await at.press("3")
        await at.press("c")
        assert 'msg="workflow 55 failed"' in at.app.clipboard
        assert "hunter2" not in at.app.clipboard
        await at.press("k", "k", "c")
        assert at.app.clipboard.splitlines()[0] == "Traceback (most recent call last):"
        assert at.app.clipboard.splitlines()[-1] == "ValueError: no such path: [/]"
        target = tmp_path / "out.jsonl"
        await command(at, "level warn")
        screen_of(at).view("logs.save", str(target))
        saved = [json.loads(row) for row in target.read_text(encoding="utf-8").splitlines()]
        assert len(saved) == 5
        assert {row["level"] for row in saved} == {"warn", "error"}
        assert "hunter2" not in target.read_text(encoding="utf-8")
        screen_of(at).view("logs.save", str(target))
        await at.settle()
        assert any("is there already" in toast for toast in at.toasts())


async def test_the_filter_is_pushed_down_to_loki(cockpit: OpenCockpit) -> None:
    found = FakeLogs(entries())
    async with cockpit(backend=on(found)) as at:
        await command(at, "logs caddy")
        await at.press("slash")
        await at.type("!status")
        await at.press("enter", "i")
        assert found.asked[-1] == ("follow", '{service="caddy"} !~ "status"')


async def test_a_query_is_kept_by_name(cockpit: OpenCockpit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    found = FakeLogs(entries())
    async with cockpit(backend=on(found)) as at:
        await command(at, 'logs {service="caddy"} |= "x"')
        await command(at, "keep query slow ones")
        assert any("kept as slow ones" in toast for toast in at.toasts())
        await command(at, "logs all")
        await at.press("colon")
        await at.type("kept query slow")
        assert "slow ones" in at.text()
        await at.press("down", "enter")
        assert found.asked[-1] == ("follow", '{service="caddy"} |= "x"')
        await command(at, "kept query")
        assert any("slow ones" in toast for toast in at.toasts())


async def test_hostile_lines_look_odd_at_worst(cockpit: OpenCockpit) -> None:
    lines = [entry(100 - at, "sese/apps/n8n", text.encode("utf-8", "surrogatepass")) for at, text in enumerate(HOSTILE)]
    lines += [
        entry(50, "sese/apps/n8n", b"\xff\xfe invalid \x80"),
        entry(49, "sese/apps/n8n", '{"msg":"\\u001b]52;c;x\\u0007[/]","k\\u001b[2J":"[@click=app.quit]v[/]"}'),
        entry(48, "sese/apps/n8n", "x" * 200_000),
        entry(47, "sese/apps/n8n", "{" * 5000),
        entry(46, "sese/apps/n8n", ""),
    ]
    found = FakeLogs(lines)
    async with cockpit(backend=on(found), size=TALL) as at:
        await command(at, "logs n8n")
        for key in ("w", "enter", "g", "t", "N", "j", "j", "w"):
            await at.press(key)
            text = at.text()
            assert clean(text) == text
            assert "\t" not in text
        assert "path[/etc/x" in at.text()
        assert "[@click=app.quit]x[/]" in at.text()


@BOTH
async def test_without_colour_levels_read_the_same(
    cockpit: OpenCockpit, monkeypatch: pytest.MonkeyPatch, picture: Picture, size: Size
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with cockpit(backend=on(FakeLogs(entries(), PROVEN)), size=size) as at:
        await at.press("3")
        assert {row[10 if size == SHORT else 14] for row in rows_of(at.text())} >= {"✖", "▲", "·", "d"}
        picture(at, "no-color")


# -- the parts ------------------------------------------------------------------------------------------------------


def test_items_are_found_in_the_middle_as_from_the_start() -> None:
    buffer = Buffer()
    buffer.add(sorted(entries(), key=lambda it: it.ns))
    view = View(buffer)
    view.refresh()
    rows = Rows(view)
    whole = rows.forward(0, 1000)
    assert sum(1 + it.more for it in whole) == len(view)
    for start in range(0, len(view), 7):
        assert [it.place for it in rows.forward(start, 5)] == [it.place for it in whole if it.place >= start][:5]
        assert [it.place for it in rows.backward(start, 5)] == [it.place for it in whole if it.place < start][-5:]


def test_only_what_is_seen_is_looked_at() -> None:
    buffer = Buffer()
    buffer.add(entry(0, "sese/apps/n8n", f"line {at}")._replace(ns=at * SECOND_NS) for at in range(50_000))
    view = View(buffer)
    view.refresh()
    asked: list[int] = []

    class Counting(View):
        def __getitem__(self, index: int):  # type: ignore[no-untyped-def]
            asked.append(index)
            return super().__getitem__(index)

    counted = Counting(buffer)
    counted.refresh()
    rows = Rows(counted)
    rows.backward(len(counted), 40)
    rows.forward(25_000, 40)
    assert len(asked) < 1000


def test_wide_characters_are_never_torn() -> None:
    spans = (("名前x", ""), ("y", "ok"))
    assert wrapped((("名" * 30, ""),), 11) == [(("名" * 5, ""),)] * 6
    assert from_cell(spans, 4) == (("x", ""), ("y", "ok"))
    assert from_cell(spans, 5) == (("y", "ok"),)


def test_secrets_are_masked_in_fields_by_their_names() -> None:
    found = masked(b'{"msg":"login","password":"hunter2","user":"ann","nested":{"api_key":"abc"}}')
    assert found.fields == {"password": "•••", "user": "ann", "nested.api_key": "•••"}
