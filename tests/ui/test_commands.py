"""The command registry: one grammar, no clash, help for everything."""

from __future__ import annotations

from pathlib import Path

import pytest

from vpai_tui.command_table import BY_ID, COMMANDS, DIGIT_KEYS, Arg, Danger
from vpai_tui.commands import (
    FOOTER_KEYS,
    FOOTERS,
    Situation,
    bindings_of,
    check_keymap,
    footer_of,
    key_clashes,
    load_keymap,
    parse,
    refusal,
    suggestions,
    visible,
)
from vpai_tui.errors import UsageError
from vpai_tui.widgets.command_log import CommandLogPane
from vpai_tui.widgets.help import help_lines

from . import fake_fleet as fake
from .conftest import TALL, OpenCockpit

# DESIGN.md "Keys", for what exists.
DESIGNED = {
    "fleet": {
        "1": "go.fleet", "2": "go.deploy", "3": "go.logs", "4": "go.budget", "5": "go.vpn", "6": "go.studio",
        "h": "scope",
        "slash": "filter", "question_mark": "help", "colon": "palette", "ctrl+p": "palette", "enter": "describe",
        "y": "yaml", "l": "logs", "ctrl+r": "refresh",
        "escape": "back", "D": "deploy", "B": "rollback", "R": "restart", "S": "stop", "U": "start", "o": "sort",
        "space": "mark", "c": "copy", "v": "log", "q": "leave", "ctrl+q": "quit",
    },
    "deploy": {"D": "deploy", "B": "rollback", "enter": "describe", "slash": "filter", "o": "sort", "h": "scope"},
    "vpn": {
        "5": "go.vpn", "a": "vpn.add", "e": "vpn.edit", "u": "vpn.undo", "X": "vpn.remove", "A": "apply",
        "o": "sort", "space": "mark", "enter": "describe", "slash": "filter", "c": "copy", "tab": "vpn.part",
    },
    "budget": {
        "4": "go.budget", "E": "budget.eco", "M": "budget.cap", "u": "budget.undo", "enter": "describe", "o": "sort",
        "c": "copy", "ctrl+r": "refresh", "slash": "filter", "tab": "budget.part",
    },
    "logs": {
        "f": "logs.follow", "w": "logs.wrap", "t": "logs.times", "n": "logs.next", "N": "logs.previous",
        "space": "logs.mark", "enter": "describe", "slash": "filter", "h": "scope", "c": "copy", "ctrl+r": "refresh",
    },
    "studio": {
        "6": "go.studio", "U": "start", "S": "stop", "I": "studio.idle", "enter": "describe", "l": "logs", "c": "copy",
        "w": "watch", "tab": "studio.next", "ctrl+r": "refresh",
    },
    "plan": {"A": "apply", "escape": "back", "v": "log"},
    "operation": {"B": "rollback", "escape": "back"},
}  # fmt: skip


@pytest.mark.parametrize("screen", sorted(FOOTERS))
def test_no_two_commands_of_a_screen_share_a_key(screen: str) -> None:
    assert key_clashes(screen) == []


@pytest.mark.parametrize("screen", sorted(DESIGNED))
def test_every_designed_key_is_bound(screen: str) -> None:
    bound = {key: item.id for item in bindings_of(screen) for key in item.key.split(",")}
    assert {key: bound.get(key) for key in DESIGNED[screen]} == DESIGNED[screen]


def test_a_key_means_the_same_on_every_screen() -> None:
    meanings: dict[str, set[str]] = {}
    for screen in FOOTERS:
        for item in bindings_of(screen):
            for key in item.key.split(","):
                meanings.setdefault(key, set()).add(str(item.id))
    several = {key: names for key, names in meanings.items() if len(names) > 1}
    assert several == {
        "e": {"stack.edit", "vpn.edit"},  # what the row stands for is edited
        "u": {"budget.undo", "vpn.undo", "logs.back"},  # the last change is taken back
        "tab": {"budget.part", "studio.next", "vpn.part"},  # the next table
        "w": {"watch", "logs.wrap"},
        "R": {"restart", "unit.restart"},  # what the row stands for
        # what is too much goes: a node, a ban, what fills a disk, a port that is open
        "X": {"vpn.remove", "disk.prune", "guard.unban", "forward.close"},
        "space": {"mark", "logs.mark"},  # a row, or rows from here on
    }


def test_every_command_has_help_and_words_of_its_own() -> None:
    assert all(len(command.help) > 10 for command in COMMANDS)
    assert len({command.words for command in COMMANDS}) == len(COMMANDS) == len(BY_ID)


def test_lowercase_looks_and_uppercase_opens_a_plan_or_a_dialog() -> None:
    letters = [(key, command) for command in COMMANDS for key in command.keys if len(key) == 1 and key.isalpha()]
    for key, command in letters:
        if key.isascii() and key != "N":  # as less(1) has it
            looks = command.danger is Danger.LOOK or (command.danger is Danger.FORM and key in "aeus")
            assert key.isupper() == (not looks), (key, command.id)


def test_azerty_digits_need_neither_shift_nor_altgr() -> None:
    assert set(DIGIT_KEYS) == set("0123456789")
    assert "ampersand" in BY_ID["go.fleet"].keys
    assert "é" in BY_ID["go.deploy"].keys


@pytest.mark.parametrize("screen", sorted(FOOTERS))
def test_the_footer_shows_at_most_six_keys(screen: str) -> None:
    shown = footer_of(Situation(screen, watchable=True))
    assert 0 < len(shown) <= FOOTER_KEYS
    assert all(command.keys and command.footer for command in shown)


def test_read_only_hides_and_refuses_every_mutation() -> None:
    now = Situation("fleet", read_only=True)
    mutations = [command for command in COMMANDS if command.danger is not Danger.LOOK]
    assert {command.id for command in mutations} >= {
        "deploy",
        "rollback",
        "restart",
        "stop",
        "start",
        "resume",
        "revert",
    }
    for command in mutations:
        assert refusal(command, now).startswith("read-only")
        assert not visible(command, now)
    assert all(not command.mutates for command, _ in suggestions("", {}, now))


def test_nothing_changes_before_the_fleet_is_connected() -> None:
    assert "still being connected" in refusal(BY_ID["deploy"], Situation("fleet", connected=False))


def test_the_demo_is_steered_only_when_there_is_one() -> None:
    assert refusal(BY_ID["demo"], Situation("fleet")) == "demo: this is the real fleet"
    assert refusal(BY_ID["demo"], Situation("fleet", demo=True)) == ""


def test_the_longest_words_win() -> None:
    assert parse("go deploy")[0] is BY_ID["go.deploy"]
    assert parse("deploy  sese/apps") == (BY_ID["deploy"], "sese/apps")
    assert parse("rollback sese/apps r10") == (BY_ID["rollback"], "sese/apps r10")
    assert parse("sudo rm") == (None, "sudo rm")


def test_the_palette_offers_arguments_that_fit() -> None:
    arguments = {Arg.STACK: ["sese/apps", "sese/infra", "pi/opencut"]}
    found = suggestions("deploy app", arguments, Situation("fleet"))
    assert [(command.id, argument) for command, argument in found] == [("deploy", "sese/apps")]
    typed = suggestions("demo cut pi", {}, Situation("fleet", demo=True))
    assert [(command.id, argument) for command, argument in typed] == [("demo", "cut pi")]


def test_help_names_every_visible_command_once() -> None:
    now = Situation("fleet", demo=True)
    text = "\n".join("".join(part for part, _ in row) for row in help_lines(now))
    for command in COMMANDS:
        if command.in_palette:
            assert (command.help in text) == visible(command, now)
    hidden = "\n".join("".join(p for p, _ in row) for row in help_lines(Situation("fleet", read_only=True)))
    assert "restart" not in hidden.lower()


def test_a_keymap_is_refused_with_all_its_problems() -> None:
    check_keymap({"logs": "L"}, "keymap.yaml")
    with pytest.raises(UsageError) as refused:
        check_keymap({"logs": "y", "frobnicate": "z"}, "keymap.yaml")
    assert "frobnicate: no such command" in str(refused.value)
    assert "y is both" in str(refused.value)


def test_a_keymap_file_is_read_and_checked(tmp_path: Path) -> None:
    file = tmp_path / "keymap.yaml"
    file.write_text("# mine\nlogs: L\nhelp: question_mark, f1\n", encoding="utf-8")
    assert load_keymap(file) == {"logs": "L", "help": "question_mark,f1"}
    for wrong in ("logs: [", "- a", "logs: 1", "logs: y"):
        file.write_text(wrong, encoding="utf-8")
        with pytest.raises(UsageError, match=r"keymap\.yaml"):
            load_keymap(file)
    with pytest.raises(UsageError):
        load_keymap(tmp_path / "none.yaml")


def test_the_shipped_keymap_changes_nothing() -> None:
    assert load_keymap(Path(__file__).resolve().parents[2] / "config" / "keymap.yaml") == {}


async def test_an_operators_keys_replace_ours(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.calm(), TALL, keymap={"log": "L"}) as at:
        await at.press("v")
        assert not at.app.screen.query_one(CommandLogPane).display
        await at.press("L")
        assert at.app.screen.query_one(CommandLogPane).display
        await at.press("question_mark")
        assert " L         command log" in at.text()
