"""Mode 3, a field of the detail included or excluded: asked of Loki first, opened, said, taken back; or in place."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from vpai_tui.logs.wire import refused
from vpai_tui.widgets.log_fields import FieldView

from .conftest import Cockpit, OpenCockpit
from .fake_logs import FakeLogs, entries, entry
from .test_logs import PROVEN, log_of, on, screen_of
from .vpn_kit import BOTH, Picture, Size, command, without_toasts

QUERY = '{service="caddy"}'
NARROW = f'{QUERY} | json | request_method="GET"'


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is the same wherever the tests run."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def stored(*queries: str) -> FakeLogs:
    """Loki that finds Caddy's requests by these queries, and nothing by another one."""
    found = FakeLogs(entries(), PROVEN)
    for query in queries:
        found.stored[query] = [it for it in found.entries if b'"method":"GET"' in it.line]
    return found


def detail(at: Cockpit) -> FieldView:
    return screen_of(at).query_one("#detail", FieldView)


async def to_field(at: Cockpit, name: str) -> None:
    """Into the detail, and to a field of it."""
    await at.press("enter", "enter", "g")
    for _ in range(60):
        field = detail(at).field
        if field is not None and field.name == name:
            return
        await at.pilot.press("j")
    raise AssertionError(f"{name} is not in {detail(at).text}")


@BOTH
async def test_a_field_is_included_then_another_excluded_and_both_taken_back(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    further = f'{NARROW} | status!="200"'
    found = stored(NARROW, f'{NARROW} | status="200"')
    async with cockpit(backend=on(found), size=size) as at:
        await command(at, "logs caddy")
        await at.press("k")
        await to_field(at, "request.method")
        await at.settle()
        picture(at, "field")
        await at.press("=")
        await at.settle()
        assert ("validate", NARROW) in found.asked
        assert found.asked[-1] == ("follow", NARROW)
        assert found.asked.index(("count", NARROW)) < found.asked.index(("follow", NARROW))
        assert not detail(at).display
        assert 'request_method="GET"' in at.text()
        assert "u takes it back" in at.text()
        assert "sese/edge/caddy" in at.text()  # whose log it is stays the name
        picture(at, "narrowed")
        await at.press("k")
        await to_field(at, "status")
        await at.press("!")
        await at.settle()
        assert found.asked[-1] == ("follow", further)
        assert 'status!="200"' in at.text()
        await at.press("u")
        await at.settle()
        assert found.asked[-1] == ("follow", NARROW)
        await at.press("u")
        await at.settle()
        assert found.asked[-1] == ("follow", QUERY)
        assert "takes it back" not in at.text()
        await at.press("u")
        assert any("nothing was narrowed" in it for it in at.toasts())
        assert found.at_once == 1


async def test_a_label_goes_into_the_selector_and_another_log_forgets_the_steps(cockpit: OpenCockpit) -> None:
    wanted = '{service="None", host="sese"}'
    found = stored('{service="None", service="caddy"}', wanted)
    async with cockpit(backend=on(found)) as at:
        await at.press("3")
        await at.press("slash")
        await at.type("handled")
        await at.press("enter", "k", "escape")
        await to_field(at, "host")
        await at.press("=")
        await at.settle()
        assert found.asked[-1] == ("follow", wanted)
        await command(at, "logs caddy")
        await at.settle()
        assert "takes it back" not in at.text()
        await at.press("u")
        assert any("nothing was narrowed" in it for it in at.toasts())
        assert found.asked[-1] == ("follow", QUERY)


async def test_what_loki_refuses_or_does_not_find_changes_nothing(cockpit: OpenCockpit) -> None:
    found = stored()
    async with cockpit(backend=on(found)) as at:
        await command(at, "logs caddy")
        await to_field(at, "request.method")
        await at.press("=")
        await at.settle()
        assert any("does not find this field in this line: nothing was changed" in it for it in at.toasts())
        assert ("count", NARROW) in found.asked
        found.refused = refused(400, b"parse error at line 1, col 3: too long", NARROW, "sese")
        await at.press("!")
        await at.settle()
        assert any("too long" in it for it in at.toasts())
        assert [it for it in found.asked if it[0] == "follow"] == [("follow", QUERY)]
        assert detail(at).has_focus  # another field may be tried


async def test_secrets_and_rows_without_a_field_are_put_into_no_query(cockpit: OpenCockpit) -> None:
    found = stored()
    async with cockpit(backend=on(found)) as at:
        await command(at, "logs n8n")
        await at.press("=")  # it leads into the detail
        assert detail(at).has_focus
        assert any("walk to a field first: = keeps" in it for it in at.toasts())
        await at.press("escape", "escape")
        await to_field(at, "password")
        await at.press("=")
        assert any("password looks like a secret" in it for it in at.toasts())
        assert not any("hunter2" in it for it in at.toasts())
        await at.press("g")
        for _ in range(40):
            await at.pilot.press("j")
            if detail(at).field is None:
                break
        await at.press("!")
        assert any("no field stands here" in it for it in at.toasts())
        assert not [it for it in found.asked if it[0] in ("count", "validate")]


@BOTH
async def test_without_loki_it_is_filtered_in_place(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeLogs(entries())
    found.reason = "Loki's container vpai-loki-1 is exited"
    async with cockpit(backend=on(found), size=size) as at:
        await command(at, "logs caddy")
        await at.settle()
        await to_field(at, "request.uri")
        await at.press("=")
        await at.settle()
        assert "Loki is not asked here: filtered in place" in at.toasts()
        assert "1 shown" in at.text()
        await without_toasts(at)
        picture(at, "in-place")
        await at.press("escape", "escape", "escape")
        await to_field(at, "container")
        await at.press("!")
        assert any("all lines are of one container" in it for it in at.toasts())


async def test_past_lines_are_narrowed_where_they_are(cockpit: OpenCockpit) -> None:
    found = FakeLogs(entries(), PROVEN)
    found.past = [entry(7200 - n, "sese/apps/n8n", f"level=info msg=past n={n} odd={n % 2}") for n in range(60)]
    wanted = '{service="n8n"} | logfmt | odd="1"'
    found.stored[wanted] = [it for it in found.past if it.line.endswith(b"odd=1")]
    async with cockpit(backend=on(found)) as at:
        await command(at, "logs n8n")
        await command(at, "since 21:00 until 22:30")
        await at.settle()
        await to_field(at, "odd")
        await at.press("=")
        await at.settle()
        assert "✔ all 30 lines" in at.text()
        assert 'odd="1"' in at.text()
        assert "21:00:00 – 22:30:00" in at.text()
        assert found.at_once == 1
        assert [it for it in found.asked if it[0] == "follow"] == [("follow", '{service="n8n"}')]  # the tail goes on
        await at.press("u")
        assert "✔ all 60 lines" in at.text()
        assert 'odd="1"' not in at.text()
        await at.press("escape")
        assert "✔ live" in at.text()


async def test_the_cursor_keeps_to_its_field_and_walks_through_what_is_higher_than_the_pane(
    cockpit: OpenCockpit,
) -> None:
    long = "x" * 3000
    found = FakeLogs(
        [
            entry(60, "sese/apps/n8n", f"level=info msg=first long={long} last=1"),
            entry(50, "sese/apps/n8n", "level=info msg=second other=2 last=2"),
        ]
    )
    async with cockpit(backend=on(found)) as at:
        await command(at, "logs n8n")
        await to_field(at, "last")
        await at.press("escape", "k")
        await at.press("enter")
        field = detail(at).field
        assert field is not None
        assert (field.name, field.value) == ("last", "1")
        await at.press("k")
        seen = {at.text()}
        field = detail(at).field
        assert field is not None and field.name == "long"
        for _ in range(5):
            await at.press("k")
            assert detail(at).field == field  # row by row
            seen.add(at.text())
        assert len(seen) > 4
        await at.press("pagedown", "pageup", "G", "G")
        assert log_of(at).cursor is not None
