"""Mode 3, highlight rules: added, listed, removed from the cockpit; drawn while filtered and without colour."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vpai_tui.widgets.dialogs import Confirm

from .conftest import SHORT, Cockpit, OpenCockpit
from .fake_logs import FakeLogs, entries, entry
from .test_logs import PROVEN, log_of, on
from .vpn_kit import BOTH, Picture, Size, command, without_toasts


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Local time is the same wherever the tests run; the configuration is this test's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def file(tmp_path: Path) -> Path:
    return tmp_path / "vpai-tui" / "highlights.yaml"


def roles(at: Cockpit, prefix: str) -> set[tuple[str, str]]:
    """Texts and roles of what is drawn in roles that begin so."""
    return {(text, role) for row in log_of(at)._drawn for text, role in row.spans if role.startswith(prefix)}


@BOTH
async def test_rules_are_drawn_at_once_also_while_filtered(
    cockpit: OpenCockpit, picture: Picture, size: Size, tmp_path: Path
) -> None:
    async with cockpit(backend=on(FakeLogs(entries(), PROVEN)), size=size) as at:
        await at.press("3")
        await command(at, "highlight api chip /api/5\\d")
        assert ("/api/58", "rule-chip") in roles(at, "rule-")
        await command(at, "highlight method warn handled")
        await command(at, "highlight keys ok \\d+ keys")
        assert "highlighted as keys: \\d+ keys in ok" in at.toasts()
        await without_toasts(at)
        assert {role for _, role in roles(at, "rule-")} == {"rule-chip", "rule-warn", "rule-ok"}
        picture(at, "highlighted")
        await at.press("slash")
        await at.type("handled request")
        await at.press("enter")
        assert roles(at, "hit") == {("handled request", "hit")}  # what is searched wins
        assert ("/api/58", "rule-chip") in roles(at, "rule-")
        picture(at, "highlighted-filtered")
        await at.press("escape")
        await command(at, "highlight list")
        assert isinstance(at.app.screen, Confirm)
        assert "/api/5\\d" in at.text()
        await at.press("escape")
        await command(at, "highlight remove api")
        await at.press("escape")
        assert {role for _, role in roles(at, "rule-")} == {"rule-warn", "rule-ok"}
        assert "api" not in file(tmp_path).read_text().split(":")[0]


async def test_rules_of_the_file_are_read_and_its_mistakes_told(
    cockpit: OpenCockpit, picture: Picture, tmp_path: Path
) -> None:
    file(tmp_path).parent.mkdir()
    file(tmp_path).write_text("good: {pattern: workflow \\d+, style: error}\nbad: {pattern: 'x(', style: warn}\n")
    async with cockpit(backend=on(FakeLogs(entries())), size=SHORT) as at:
        await at.press("3")
        assert ("workflow 55", "rule-error") in roles(at, "rule-")
        assert any("highlights.yaml: bad: 'x(' is no regular expression" in it for it in at.toasts())
        await without_toasts(at)
        await command(at, "highlight")
        assert isinstance(at.app.screen, Confirm)
        told = " ".join("".join(text for text, _ in row) for row in at.app.screen.body_lines)
        assert "workflow \\d+" in told
        assert "no regular expression" in told
        await at.press("escape")
        await command(at, "highlight remove bad")  # a rule that is wrong can be removed as well
        assert "bad" not in file(tmp_path).read_text()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("highlight slow warn took(", "is no regular expression"),
        ("highlight slow", "highlight NAME [STYLE] PATTERN: STYLE is one of accent"),
        ("highlight a/b warn x", "is no name: letters"),
        ("highlight remove nobody", "no rule is called nobody: there is none"),
        ("highlight remove", "highlight remove NAME: there is none"),
    ],
)
async def test_bad_words_say_what_is_wrong_and_change_nothing(
    cockpit: OpenCockpit, tmp_path: Path, words: str, why: str
) -> None:
    async with cockpit(backend=on(FakeLogs(entries()))) as at:
        await at.press("3")
        await command(at, words)
        assert any(why in it for it in at.toasts())
        assert not file(tmp_path).exists()


async def test_a_file_that_is_none_is_told_and_the_log_is_read_all_the_same(
    cockpit: OpenCockpit, tmp_path: Path
) -> None:
    file(tmp_path).parent.mkdir()
    file(tmp_path).write_text("- a list\n")
    async with cockpit(backend=on(FakeLogs(entries()))) as at:
        await at.press("3")
        assert any("a mapping of names to patterns" in it for it in at.toasts())
        assert "handled request" in at.text()
        await command(at, "highlight x warn y")
        assert file(tmp_path).read_text() == "- a list\n"


async def test_without_colour_rules_are_underlined(
    cockpit: OpenCockpit, monkeypatch: pytest.MonkeyPatch, picture: Picture
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with cockpit(backend=on(FakeLogs(entries(), PROVEN))) as at:
        await at.press("3")
        await command(at, "highlight keys warn \\d+ keys")
        await without_toasts(at)
        log = log_of(at)
        drawn = [segment for y in range(log.size.height) for segment in log.render_line(y)]
        assert {it.text for it in drawn if it.style is not None and it.style.underline} >= {"52 keys", "56 keys"}
        picture(at, "highlighted-no-color")


async def test_rules_are_drawn_over_hostile_lines_that_come_later(cockpit: OpenCockpit) -> None:
    found = FakeLogs(entries())
    async with cockpit(backend=on(found)) as at:
        await at.press("3")
        await command(at, "highlight x chip .")
        found.write(entry(0.5, "sese/apps/n8n", b"\x1b]52;c;eA==\x07[/]\xff\xe2\x80\xae tail"))
        await at.settle()
        assert "[/]" in "".join(text for text, _ in roles(at, "rule-chip"))
        assert "\x1b" not in at.text()
