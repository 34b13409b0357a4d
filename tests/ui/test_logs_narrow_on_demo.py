"""Mode 3 narrowed with nothing scripted: the demo's Loki parses the query, counts the field, follows, is proven."""

from __future__ import annotations

from pathlib import Path

from vpai_tui.fleet.model import HostState
from vpai_tui.logs.narrow import Kind, parsed_fields
from vpai_tui.screens.logs import LogsScreen
from vpai_tui.widgets.log_look import Tail

from .test_cockpit_on_demo import cockpit, seen, until


async def test_a_field_and_a_label_narrow_what_is_followed(tmp_path: Path) -> None:
    async with cockpit(tmp_path / "demo") as (app, pilot, _):
        await until(lambda: seen(app).host("sese").link.state is HostState.READY, "sese is ready")
        app.dispatcher.run_command("logs", "sese/edge/caddy")
        look = app.context.logs
        await until(lambda: look.tail is Tail.LIVE and bool(look.buffer), "the tail")
        screen = app.cockpit
        assert isinstance(screen, LogsScreen)
        assert look.choice is not None and look.buffer is not None
        before = look.choice.query or ""
        wanted = next(it for it in look.buffer if "request.method" in parsed_fields(it))
        value = parsed_fields(wanted)["request.method"].value
        screen.redraw()
        screen.log_view.select(wanted)
        screen.detail.enter()
        await until(lambda: screen.detail.read, "the detail")
        for _ in range(60):
            field = screen.detail.pane.field
            if field is not None and field.name == "request.method":
                break
            await pilot.press("j")
        await pilot.press("=")
        narrowed = f'{before} | json | request_method="{value}"'
        await until(lambda: look.choice is not None and look.choice.query == narrowed, "the narrowed query")
        await until(lambda: look.tail is Tail.LIVE and bool(look.buffer), "its tail")
        assert all(parsed_fields(it)["request.method"].value == value for it in look.buffer)
        assert all(it.meta["request_method"] == value for it in look.buffer)  # Loki tells what it found
        await until(lambda: look.proof is not None and look.proof.complete, "its proof")

        screen.redraw()
        line = screen.log_view.cursor
        assert line is not None
        screen.detail.enter()
        await until(lambda: screen.detail.read, "the detail again")
        for _ in range(80):
            field = screen.detail.pane.field
            if field is not None and field.kind is Kind.LABEL:
                break
            await pilot.press("j")
        assert field is not None and field.kind is Kind.LABEL
        screen.narrow.run("back")
        await until(lambda: look.choice is not None and look.choice.query == before, "the first query again")
        await until(lambda: look.tail is Tail.LIVE, "its tail again")
