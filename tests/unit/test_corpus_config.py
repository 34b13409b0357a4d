"""The corpus of the operator's own files: each is refused in words, with exit 2, and nothing is changed."""

from __future__ import annotations

import asyncio
import json
from argparse import Namespace
from pathlib import Path

import pytest

from corpus_cases import NONE, Case, cases, check_complaint, is_safe, lay, names, tree
from vpai_tui import cli, cockpit, errors, strict
from vpai_tui.config import load_fleet
from vpai_tui.deploy.bundle import read_bundle
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.stacks import load_stacks
from vpai_tui.world import open_world

FLEET = "hosts: {a: {addresses: [203.0.113.7], ssh: {user: op}}}\nstacks: [a/web]\n"
COMPOSE = "services:\n  web: {image: nginx}\n  db: {image: postgres}\n"
FILES = [*cases("fleet"), *cases("stack"), *cases("compose")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "fleet.yaml").write_text(FLEET)
    home = tmp_path / "stacks" / "a" / "web"
    home.mkdir(parents=True)
    (home / "stack.yaml").write_text("")
    (home / "compose.yaml").write_text(COMPOSE)
    return tmp_path


def refusal(root: Path) -> OperatorError | None:
    """What reading everything a plan reads of the laptop raises, if anything."""

    async def read() -> None:
        args = Namespace(demo=False, config=root / "config" / "fleet.yaml")
        async with open_world(args) as world:
            for stack in world.stacks:
                read_bundle(stack, "/opt/vpai")

    try:
        asyncio.run(read())
    except OperatorError as error:
        return error
    return None


@pytest.mark.parametrize("case", FILES, ids=[f"{case.group}: {case.name}" for case in FILES])
def test_a_broken_file_is_refused_in_words(case: Case, root: Path) -> None:
    lay(case, root)
    before = tree(root)
    found = refusal(root)
    assert tree(root) == before
    if case.error == NONE:
        assert found is None
        return
    assert found is not None
    kind = strict.ConfigError if case.error == "ConfigError" else getattr(errors, case.error)
    assert type(found) is kind
    assert found.exit_code == case.exit
    assert case.says in found.message
    assert "\x1b" not in str(found)


COMPLAINED = [case for case in FILES if case.error != NONE and "times" not in case.more and "make" not in case.more]


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_the_command_line_tells_each_safely(as_json: bool, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of them through `status`, which ends before a host is asked; what is printed drives no terminal."""
    for case in (case for case in COMPLAINED if case.group == "fleet"):
        lay(case, root)
        words = ["status", "--config", str(root / "config" / "fleet.yaml"), *(["--json"] if as_json else [])]
        code = cli.main(words)
        shown = capsys.readouterr()
        (root / "config" / "fleet.yaml").is_dir() and (root / "config" / "fleet.yaml").rmdir()
        (root / "config" / "fleet.yaml").unlink(missing_ok=True)
        if as_json:
            told = json.loads(shown.out)["error"]
            assert told["exit_code"] == code == case.exit
            assert is_safe(told["message"]), case.name
        else:
            check_complaint(shown.err, code=code, case=case)


KEYMAPS = cases("keymap")


@pytest.mark.parametrize("case", KEYMAPS, ids=names(KEYMAPS))
def test_a_broken_keymap_is_refused_before_the_cockpit_opens(
    case: Case, root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(case, root)
    before = tree(root)
    monkeypatch.setattr(cockpit, "_run", lambda *_: pytest.fail("the cockpit opens"))
    code = cli.main(["--config", str(root / "config" / "fleet.yaml")])
    check_complaint(capsys.readouterr().err, code=code, case=case)
    assert tree(root) == before


def test_the_good_files_the_broken_ones_are_made_from_are_good(root: Path) -> None:
    assert refusal(root) is None
    assert [stack.id for stack in load_stacks(root / "stacks", load_fleet(root / "config" / "fleet.yaml"))] == ["a/web"]
