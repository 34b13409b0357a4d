"""Hostile text can at worst look odd: no markup, no control character, no crash, in any widget."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator, Iterator
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vpai_tui
from vpai_tui.deploy.chronicle import Chronicle, Told
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.operation import Finished, Journaled, Outcome
from vpai_tui.vpn.guard import Action, Verdict
from vpai_tui.widgets.backend import Description, Section
from vpai_tui.widgets.dialogs import Choice, Confirm, ErrorDialog, error_lines, wrap
from vpai_tui.widgets.paint import Line, clip, fit, safe, width_of

from . import fake_budget, fake_mesh, fake_studio
from . import fake_fleet as fake
from .conftest import TALL, Cockpit, OpenCockpit
from .fake_backend import FakeBackend
from .fake_budget import FakeBudget
from .fake_vpn import FakeVpn
from .hostile_backend import HostileBackend, poisoned_fleet

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


def clean_screen(shown: str) -> bool:
    return not any((ord(letter) < 32 and letter != "\n") or 0x7F <= ord(letter) <= 0x9F for letter in shown)


async def every_place(at: Cockpit) -> AsyncIterator[str]:
    """What each screen and dialog shows, one after the other."""
    run = at.app.dispatcher.run_command
    yield at.text()
    await at.press("enter")  # describe
    yield at.text()
    await at.press("escape", "y")
    yield at.text()
    await at.press("escape", "v", "R")  # the command log, a question
    yield at.text()
    await at.press("escape", "v", "2", "j")  # stacks and releases
    yield at.text()
    await at.press("D")  # the plan
    yield at.text()
    await at.press("A")  # its question, with its dangers
    yield at.text()
    await at.press("escape", "escape", "w")  # an operation
    yield at.text()
    for name, argument in (
        ("history", ""),
        ("adopt", "pi"),
        ("env.check", "sese/apps"),
        ("env.init", "sese/apps"),
        ("lift", "sese"),
        ("palette", ""),
    ):
        run(name, argument)
        await at.settle()
        yield at.text()
        await at.press("escape")


@pytest.mark.parametrize("first", range(0, len(HOSTILE), 4))
async def test_every_screen_survives_hostile_names(cockpit: OpenCockpit, first: int) -> None:
    text, texts = HOSTILE[first], cycle(HOSTILE[first:] + HOSTILE[:first])
    backend = HostileBackend(lambda _: next(texts))
    async with cockpit(size=TALL, backend=backend) as at:
        seen = [shown async for shown in every_place(at)]
        at.app.toast(text)
        at.app.dispatcher.flows.problem(backend.failure(), text)
        await at.settle()
        seen.append(at.text())
        await at.press("escape")
        at.app.push_screen(Confirm(text, [((text, ""),)], [Choice("x", text)], word=text))
        await at.settle()
        seen.append(at.text())
        assert at.app.is_running
        assert len(set(seen)) == len(seen)  # each is another place
        assert [shown for shown in seen if not clean_screen(shown)] == []


async def test_what_is_copied_is_clean(cockpit: OpenCockpit) -> None:
    """It may be pasted into a shell, where a line end or an escape sequence is obeyed."""
    async with cockpit(size=TALL, backend=HostileBackend(lambda _: "a\x1b[200~\rb")) as at:
        await at.press("j", "c")
        assert "a[200~b" in at.app.clipboard
        assert clean_screen(at.app.clipboard)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_the_vpn_screen_survives_hostile_names_and_records(cockpit: OpenCockpit, text: str) -> None:
    backend = FakeBackend(fake.calm())
    backend.fake_vpn = FakeVpn(fake_mesh.poisoned(text))
    backend.fake_vpn.script = [Journaled(text, text, text), Finished(text, Outcome.REVERTED, text, text, text)]
    backend.fake_vpn.verdict = Verdict(Action.DELETE, (text,), "", (text,), (text,), (text,))
    async with cockpit(size=TALL, backend=backend) as at:
        seen = [at.text()]
        for keys in (
            ("5", "enter"),
            ("X",),
            ("escape", "e"),
            ("escape", "tab"),
            ("d",),
            ("escape", "A", "right", "enter"),
        ):
            await at.press(*keys)
            seen.append(at.text())
        assert at.screen == "VpnRunScreen"
        assert at.app.is_running
        assert all(clean_screen(shown) for shown in seen)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_the_budget_screen_survives_hostile_aliases_and_notes(cockpit: OpenCockpit, text: str) -> None:
    backend = FakeBackend(fake.calm())
    found = backend.fake_budget = FakeBudget(fake_budget.poisoned(lambda _: text))
    told = Told(text, text, "sese", f"budget {text}", text, text, text)
    backend.chronicle = Chronicle((told,), 0, ())
    found.planned = fake_budget.poisoned_change(lambda _: text)
    found.script = [Journaled(text, text, text), Finished(text, Outcome.FAILED, text, text, text)]
    async with cockpit(size=TALL, backend=backend) as at:
        seen = [at.text()]
        for keys in (
            ("4",),
            ("enter",),
            *(("tab",) for _ in range(4)),
            ("c", "escape", "E"),
            ("escape", "M"),
            ("3", "enter"),
            ("right", "enter"),
        ):
            await at.press(*keys)
            seen.append(at.text())
        assert at.screen == "BudgetRunScreen"
        assert at.app.is_running
        assert all(clean_screen(shown) for shown in seen)
        assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_the_studio_survives_hostile_names_and_queues(cockpit: OpenCockpit, text: str) -> None:
    found = fake_studio.poisoned(text)
    backend = FakeBackend(found.fleet)
    backend.fake_studio = found
    async with cockpit(size=TALL, backend=backend) as at:
        seen = [at.text()]
        for keys in (("6",), ("enter",), ("escape", "I"), ("escape", "S"), ("escape", "U"), ("right", "enter")):
            await at.press(*keys)
            seen.append(at.text())
        assert at.screen == "StudioRunScreen"
        assert at.app.is_running
        assert all(clean_screen(shown) for shown in seen)
        assert len(set(seen)) == len(seen)


HOSTILE_TEXT = st.one_of(
    st.sampled_from(HOSTILE), st.text(max_size=40), st.text(alphabet="[]/@=\\\x1b\x9b$", max_size=20)
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(HOSTILE_TEXT, min_size=3, max_size=3))
async def test_widgets_draw_whatever_they_are_given(cockpit: OpenCockpit, texts: list[str]) -> None:
    one, two, three = texts
    async with cockpit(poisoned_fleet(lambda _: one)) as at:
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
