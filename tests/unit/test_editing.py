"""Which file of a stack is meant, which editor, and what counts as a change."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from vpai_tui.config import load_fleet
from vpai_tui.deploy.editing import Folder, edit, editor, file_of, folder_of
from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.history import History
from vpai_tui.remote import terminal
from vpai_tui.starter import find_starter, write_starter


class Still:
    def boot_s(self) -> float:
        return 0.0

    def now(self) -> datetime:
        return datetime(2026, 2, 27, 8, tzinfo=UTC)


@pytest.fixture
def stack(tmp_path: Path) -> Folder:
    write_starter(tmp_path / "own")
    known = load_fleet(find_starter() / "config/fleet.yaml").stacks
    found = folder_of(tmp_path / "own/stacks", known, "sese/monitoring")
    assert found == Folder("sese/monitoring", tmp_path / "own/stacks/sese/monitoring")
    assert folder_of(tmp_path / "own/stacks", known, "apps").host == "sese"
    for name, told in (("monitoring", "may be sese/monitoring or pi/monitoring"), ("x", 'no stack "x"')):
        with pytest.raises(UsageError, match=told):
            folder_of(tmp_path / "own/stacks", known, name)
    return found


@pytest.fixture
def with_editor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A program whose body a test writes."""
    path = tmp_path / "edit"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(path))
    monkeypatch.setattr(terminal, "need_terminal", lambda: None)
    return path


def test_a_file_is_named_by_its_path_or_its_end(stack: Folder) -> None:
    assert file_of(stack, "") == stack.dir / "compose.yaml"
    assert file_of(stack, "stack.yaml") == stack.dir / "stack.yaml"
    assert (
        file_of(stack, "loki.yaml") == file_of(stack, "configs/loki/loki.yaml") == stack.dir / "configs/loki/loki.yaml"
    )
    with pytest.raises(UsageError, match=r"nothing.yaml is no file of it; there are compose.yaml, "):
        file_of(stack, "nothing.yaml")
    (stack.dir / "configs/other").mkdir()
    (stack.dir / "configs/other/loki.yaml").touch()
    with pytest.raises(UsageError, match=r"loki.yaml may be configs/loki/loki.yaml, configs/other/loki.yaml"):
        file_of(stack, "loki.yaml")


def test_only_files_of_the_stack_are_opened(stack: Folder, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (stack.dir / "away").symlink_to(tmp_path / "secret")
    for name in ("away", "../../../../secret", str(tmp_path / "secret"), "/etc/passwd"):
        with pytest.raises(UsageError, match="is no file of it"):
            file_of(stack, name)


def test_the_editor_is_the_operators() -> None:
    assert editor({"VISUAL": "sh -c 'x y'", "EDITOR": "false", "PATH": "/bin:/usr/bin"}) == ["sh", "-c", "x y"]
    assert editor({"VISUAL": " ", "EDITOR": "false", "PATH": "/bin:/usr/bin"}) == ["false"]
    with pytest.raises(UsageError, match=r"\$EDITOR names no program: nope"):
        editor({"EDITOR": "nope"})
    with pytest.raises(UsageError, match="No closing quotation"):
        editor({"EDITOR": "vi '"})
    with pytest.raises(UsageError, match="there is no editor"):
        editor({"PATH": "/nowhere"})


async def test_what_was_changed_is_told_and_journaled(stack: Folder, with_editor: Path, tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    assert (await edit(stack, "", Still(), history)).changed == ()
    assert history.read()[0] == []
    with_editor.write_text('#!/bin/sh\necho "# more" >>"$1"; touch "$(dirname "$1")/new" "$1~"\n')
    done = await edit(stack, "", Still(), history)
    assert (done.path, done.changed) == (stack.dir / "compose.yaml", ("compose.yaml", "new"))
    (entry,) = history.read()[0]
    assert (entry.what, entry.subject, entry.result, entry.detail) == ("edit", stack.id, "done", "compose.yaml, new")


async def test_an_editor_that_fails_leaves_what_it_saved(stack: Folder, with_editor: Path, tmp_path: Path) -> None:
    with_editor.write_text('#!/bin/sh\necho "# more" >>"$1"; exit 3\n')
    history = History(tmp_path / "history.jsonl")
    with pytest.raises(OperatorError, match="ended with status 3"):
        await edit(stack, "", Still(), history)
    assert (stack.dir / "compose.yaml").read_text().endswith("# more\n")
    assert len(history.read()[0]) == 1


async def test_it_needs_a_terminal(stack: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", "true")
    with pytest.raises(UsageError, match="needs a terminal"):
        await edit(stack, "", Still(), History(tmp_path / "history.jsonl"))
