"""`pull`: what is written on the laptop."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
from pull_host import COMPOSE, ID, SPEC, Now

from vpai_tui.deploy.pull import Kept
from vpai_tui.deploy.pulled import Local, check, compare, only_here, write
from vpai_tui.errors import UsageError
from vpai_tui.verbs.pull import _ask as ask


def kept_of(**files: str) -> Kept:
    body = {"compose.yaml": COMPOSE, "stack.yaml": SPEC, "configs/web/a.conf": "a\n", **files}
    return Kept(ID, {path: (text.encode(), 0o644) for path, text in body.items()})


def test_what_differs_is_moved_aside_and_nothing_is_lost(tmp_path: Path) -> None:
    folder, kept = tmp_path / "sese/web", kept_of()
    (folder / "configs/web").mkdir(parents=True)
    (folder / "configs/web/a.conf").write_text("mine\n")
    (folder / "configs/web/own.conf").write_text("mine too\n")
    (folder / "stack.yaml").write_text(SPEC)
    local = compare(folder, kept)
    assert (local.new, local.same, local.differing) == (("compose.yaml",), ("stack.yaml",), ("configs/web/a.conf",))
    aside = write(folder, kept, local, Now())
    assert aside == tmp_path / "sese/web.before-20260227T080000"
    assert (aside / "configs/web/a.conf").read_text() == "mine\n"
    assert (folder / "configs/web/a.conf").read_text() == "a\n"
    assert only_here(tmp_path, "sese/web", kept) == ["configs/web/own.conf"]
    assert compare(folder, kept).differing == ()
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == [
        "a.conf", "compose.yaml", "own.conf", "stack.yaml"
    ]  # fmt: skip


def test_a_mode_that_differs_is_a_difference(tmp_path: Path) -> None:
    kept = kept_of()
    write(tmp_path, kept, compare(tmp_path, kept), Now())
    (tmp_path / "configs/web/a.conf").chmod(0o755)
    assert compare(tmp_path, kept).differing == ("configs/web/a.conf",)


def test_links_and_folders_in_the_way_are_not_written_through(tmp_path: Path) -> None:
    folder, outside = tmp_path / "web", tmp_path / "outside"
    outside.mkdir()
    folder.mkdir()
    (folder / "configs").symlink_to(outside)
    with pytest.raises(UsageError, match="in the way"):
        compare(folder, kept_of())
    assert list(outside.iterdir()) == []
    (folder / "configs").unlink()
    (folder / "compose.yaml").mkdir()
    with pytest.raises(UsageError, match="in the way"):
        compare(folder, kept_of())


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "configs").write_text("a file where a folder belongs")
    kept = kept_of()
    with pytest.raises(UsageError, match="Not a directory"):
        write(tmp_path, kept, compare(tmp_path, kept), Now())


def test_the_names_of_an_adopted_host_need_its_file() -> None:
    kept = kept_of()
    assert check(kept, "sese/web") == []
    kept.project = "javisi"
    (told,) = check(kept, "sese/web")
    assert told.endswith("(project javisi): adopted/sese.yaml must lie beside fleet.yaml here too")


def test_a_build_context_is_missing_and_said_to_be() -> None:
    built = (
        "services:\n  web: {build: ./images/web}\n  two: {build: {context: .}}\n  three: {build: 'https://x/y.git'}\n"
    )
    kept = kept_of(**{"compose.yaml": built, "stack.yaml": "project: old\n"})
    assert check(kept, "sese/web") == [
        "images/web/ is built from, and a release does not keep it: put that folder there"
    ]


@pytest.mark.parametrize(("count", "told"), [(1, "1 file differs in"), (2, "2 files differ in")])
def test_what_would_be_replaced_is_refused_without_force(count: int, told: str) -> None:
    local = Local((), (), tuple(f"{number}.conf" for number in range(count)))
    with pytest.raises(UsageError, match=told) as refused:
        ask(local, "stacks/sese/web", Namespace(force=False))
    assert refused.value.output == "\n".join(local.differing)
