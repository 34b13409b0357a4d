"""Hostile text can at worst look odd: no markup, no control character, no crash, in any widget."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vpai_tui
from vpai_tui.errors import CommandFailed, OperatorError
from vpai_tui.fleet.model import Alert, Severity
from vpai_tui.fleet.operation import Cause, Change, Effect, Release, StepFailed
from vpai_tui.widgets.backend import Description, Section
from vpai_tui.widgets.dialogs import Choice, Confirm, ErrorDialog, error_lines, wrap
from vpai_tui.widgets.paint import Line, clip, fit, safe, width_of

from . import fake_backend as fake
from .conftest import TALL, OpenCockpit
from .fake_backend import FakeBackend

HOSTILE = (
    "[/] x",
    "a [/foo] b",
    "path[/etc/x",
    "[@click=app.quit]x[/]",
    "[bold]x",
    "\\[red]x",
    "\x1b]52;c;aGVsbG8=\x1b\\",
    "\x9b31mred",
    "a\x00b\tc\nd\re",
    "\u202egnp.exe",
    "名前\u200d\u0301👩‍👩‍👧",
    "$name {braces} %s",
)
SOURCES = Path(vpai_tui.__file__).parent
SCREEN_FILES = sorted([SOURCES / "app.py", *(SOURCES / "widgets").glob("*.py"), *(SOURCES / "screens").glob("*.py")])

# Every other widget of Textual reads markup in the strings it is given.
ALLOWED_WIDGETS = {"Button", "Input"}


def calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


@pytest.mark.parametrize("path", SCREEN_FILES, ids=lambda path: path.name)
def test_no_widget_that_reads_markup_is_used(path: Path) -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("textual.widgets"):
            imported |= {alias.name for alias in node.names}
    assert imported <= ALLOWED_WIDGETS
    assert "from_markup" not in path.read_text(encoding="utf-8")


def test_every_notification_is_without_markup() -> None:
    found = [call for path in SCREEN_FILES for call in calls(path) if name_of(call) == "notify"]
    assert found
    for call in found:
        markup = next((word.value for word in call.keywords if word.arg == "markup"), None)
        assert isinstance(markup, ast.Constant)
        assert markup.value is False


def test_buttons_get_content_and_titles_are_never_set() -> None:
    for path in SCREEN_FILES:
        for call in calls(path):
            if name_of(call) == "Button":
                assert isinstance(call.args[0], ast.Call)
                assert name_of(call.args[0]) == "Content"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign):
                names = [target.attr for target in node.targets if isinstance(target, ast.Attribute)]
                assert not {"border_title", "border_subtitle", "tooltip"} & set(names)


def test_stylesheets_name_variables_never_colours() -> None:
    for path in sorted(SOURCES.rglob("*.tcss")):
        rules = [row for row in path.read_text(encoding="utf-8").splitlines() if ":" in row and "{" not in row]
        assert not [row for row in rules if "#" in row or "rgb(" in row], path.name


@given(st.text(max_size=60), st.integers(min_value=1, max_value=40))
def test_fit_takes_exactly_its_cells(text: str, width: int) -> None:
    assert width_of(((fit(safe(text), width), ""),)) == width


@given(st.lists(st.tuples(st.text(max_size=20), st.just("")), max_size=5), st.integers(min_value=1, max_value=40))
def test_clip_never_takes_more_than_its_cells(spans: list[tuple[str, str]], width: int) -> None:
    row: Line = tuple((safe(text), role) for text, role in spans)
    assert width_of(clip(row, width)) <= width


@given(st.text(max_size=300), st.integers(min_value=4, max_value=60))
def test_wrap_loses_nothing(text: str, width: int) -> None:
    rows = wrap(text, width)
    assert all(len(row) <= width for row in rows)
    assert "".join("".join(rows).split()) == "".join(text.split())


@given(st.text(max_size=200))
def test_safe_text_is_one_printable_line(text: str) -> None:
    found = safe(text)
    assert "\n" not in found
    assert "\x1b" not in found
    assert not any(0x7F <= ord(letter) <= 0x9F for letter in found)


def poisoned(text: str) -> FakeBackend:
    """A fleet in which every name and every answer is `text`."""
    fleet = fake.troubled()
    services = tuple(
        replace(item, service=text, image=text) if at % 2 else item for at, item in enumerate(fleet.services)
    )
    stacks = tuple(replace(item, title=text, current=text, owner=text, busy=True) for item in fleet.stacks)
    hosts = tuple(replace(item, link=replace(item.link, error=text, step=text)) for item in fleet.hosts)
    alert = Alert(Severity.ERROR, "sese", text, text, text, "sese/apps")
    backend = FakeBackend(replace(fleet, services=services, stacks=stacks, hosts=hosts, alerts=(alert,)))
    backend.release_list = [Release(text, "2026-02-24T18:20:11Z", text, text, False, reason=text)]
    backend.plan_made = replace(
        fake.make_plan(),
        release=text,
        changes=(Change("n8n", Effect.RECREATE, (Cause("config", text, text, text + "x"),), image=text),),
        notes=(text,),
        kept=(text,),
    )
    backend.script = [StepFailed("2026-02-24T18:20:11Z", text, text, text)]
    return backend


def clean_screen(shown: str) -> bool:
    return not any((ord(letter) < 32 and letter != "\n") or 0x7F <= ord(letter) <= 0x9F for letter in shown)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_every_screen_survives_hostile_names(cockpit: OpenCockpit, text: str) -> None:
    backend = poisoned(text)
    async with cockpit(size=TALL, backend=backend) as at:
        log = backend.command_log
        log.end(log.begin("sese", text), 1)
        seen = [at.text()]
        await at.press("v", "escape", "enter")
        seen.append(at.text())
        at.app.toast(text)
        await at.press("2", "j")
        seen.append(at.text())
        at.app.dispatcher.flows.problem(CommandFailed(text, exit_status=1, host=text, output=text, remedy=text), text)
        await at.settle()
        seen.append(at.text())
        await at.press("escape")
        at.app.push_screen(Confirm(text, [((text, ""),)], [Choice("x", text)], word=text))
        await at.settle()
        seen.append(at.text())
        await at.press("escape", "w")
        seen.append(at.text())
        assert at.app.is_running
        assert all(clean_screen(shown) for shown in seen)


HOSTILE_TEXT = st.one_of(
    st.sampled_from(HOSTILE), st.text(max_size=40), st.text(alphabet="[]/@=\\\x1b\x9b$", max_size=20)
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(HOSTILE_TEXT, min_size=3, max_size=3))
async def test_widgets_draw_whatever_they_are_given(cockpit: OpenCockpit, texts: list[str]) -> None:
    one, two, three = texts
    async with cockpit(poisoned(one)._snapshots.get_nowait()) as at:
        at.backend.describe = _describing(two, three)  # type: ignore[method-assign]
        await at.pilot.press("enter")
        await at.pilot.pause()
        at.app.push_screen(ErrorDialog(OperatorError(two, host=three, step=one, output=two, remedy=three), one))
        await at.pilot.pause()
        at.app.toast(three)
        await at.pilot.pause()
        assert clean_screen(at.text())


def _describing(name: str, value: str) -> object:
    async def describe(service_id: str) -> Description:
        return Description(service_id, (Section(name, ((value, name),)),))

    return describe


def test_an_error_shows_all_its_parts() -> None:
    error = OperatorError("it broke", host="pi", step="pull", output="\n".join("abcdefghijklmnop"), remedy="try again")
    text = "\n".join("".join(part for part, _ in row) for row in error_lines(error))
    assert all(part in text for part in ("it broke", "pi", "pull", "│ p", "→ try again"))
    assert "│ a" not in text
