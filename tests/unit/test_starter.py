"""`init`: writes what is not there, never touches what is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vpai_tui import starter
from vpai_tui.config import find_stacks_dir, load_fleet
from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.stacks import load_stacks


def test_what_init_writes_loads_as_it_is(tmp_path: Path) -> None:
    done = starter.write_starter(tmp_path / "new")
    assert done.kept == ()
    assert {Path("config/fleet.yaml"), Path("stacks/sese/apps/stack.yaml")} <= set(done.written)
    config = tmp_path / "new" / "config" / "fleet.yaml"
    fleet = load_fleet(config)
    assert [stack.id for stack in load_stacks(find_stacks_dir(config), fleet)] == list(fleet.stacks)
    script = Path("stacks/sese/infra/configs/postgresql/init/10-databases.sh")
    assert (tmp_path / "new" / script).stat().st_mode & 0o111
    assert not [path for path in done.written if path.suffix == ".env"]


def test_nothing_that_is_there_is_touched(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    mine = tmp_path / "config" / "fleet.yaml"
    mine.write_text("mine")
    (tmp_path / "config" / "fleet.schema.json").symlink_to(tmp_path / "nowhere")
    first = starter.write_starter(tmp_path)
    assert first.kept == (Path("config/fleet.schema.json"), Path("config/fleet.yaml"))
    assert mine.read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()
    second = starter.write_starter(tmp_path)
    assert second.written == ()
    assert set(second.kept) == {*first.written, *first.kept}


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "stacks").write_text("a file in the way")
    with pytest.raises(UsageError, match="cannot be written"):
        starter.write_starter(tmp_path)


def test_an_installed_wheel_brings_its_own_starter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel has `config` and `stacks` in `vpai_tui/starter`, beside the module of that name."""
    package = tmp_path / "site-packages" / "vpai_tui"
    source = starter.find_starter()
    for folder in starter.FOLDERS:
        shutil.copytree(source / folder, package / "starter" / folder)
    monkeypatch.setattr(starter, "__file__", str(package / "starter.py"))
    assert starter.find_starter() == package / "starter"
    assert starter.write_starter(tmp_path / "out").written
    shutil.rmtree(package / "starter")
    with pytest.raises(OperatorError, match="not in this installation"):
        starter.find_starter()
