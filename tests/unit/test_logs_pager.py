"""The operator's pager: which one it is, what it is fed, how it ends; nothing is left on the disk."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.logs.pager import command, ending, paper, run


def program(folder: Path, name: str, body: str = "exit 0") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_which_pager(tmp_path: Path) -> None:
    path = str(tmp_path / "bin")
    mine = program(tmp_path / "bin", "mine")
    assert command({"PAGER": "mine -x 'two words'", "PATH": path}) == ["mine", "-x", "two words"]
    assert command({"PAGER": f"{mine}", "PATH": ""}) == [str(mine)]
    with pytest.raises(UsageError, match=r"neither \$PAGER nor less -R nor more"):
        command({"PATH": path})
    program(tmp_path / "bin", "more")
    assert command({"PATH": path, "PAGER": "  "}) == ["more"]
    program(tmp_path / "bin", "less")
    assert command({"PATH": path}) == ["less", "-R"]
    with pytest.raises(UsageError, match="names no program: nope") as caught:
        command({"PAGER": "nope -R", "PATH": path})
    assert "export PAGER" in caught.value.remedy
    with pytest.raises(UsageError, match="No closing quotation"):
        command({"PAGER": "less 'R", "PATH": path})
    with pytest.raises(UsageError) as caught:
        command({"PAGER": "\x1b[2J", "PATH": path})
    assert "\x1b" not in str(caught.value)


async def test_a_pager_reads_all_of_it_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    reader = program(tmp_path / "bin", "reader", f"cat > {tmp_path}/read; exit 3")
    with paper(["one", "zwei \ud800", "trois"]) as file:
        assert os.fstat(file.fileno()).st_mode & 0o777 == 0o600
        assert list((tmp_path / "tmp").iterdir()) == []  # it has no name, whatever ends the process
        assert await run([str(reader)], file) == 3
    assert (tmp_path / "read").read_text() == "one\nzwei ?\ntrois\n"


async def test_a_pager_that_leaves_early_or_is_killed_loses_nothing(tmp_path: Path) -> None:
    with paper(f"row {number}" for number in range(100_000)) as file:
        assert await run([str(program(tmp_path / "bin", "early"))], file) == 0
        assert ending(await run([str(program(tmp_path / "bin", "dies", "kill -9 $$"))], file)) == (
            "the pager was ended by SIGKILL"
        )
        assert ending(3) == "the pager ended with status 3"
        assert ending(0) == ""


async def test_ctrl_c_is_the_pagers_alone_and_the_handlers_are_ours_again(tmp_path: Path) -> None:
    """The terminal sends it to both; the pager's own handling is the usual one."""
    before = [signal.getsignal(it) for it in (signal.SIGINT, signal.SIGTSTP, signal.SIGCONT)]
    both = program(tmp_path / "bin", "both", "kill -INT $PPID; kill -INT $$; sleep 60")
    with paper([]) as file:
        assert ending(await run([str(both)], file)) == "the pager was ended by SIGINT"
    assert [signal.getsignal(it) for it in (signal.SIGINT, signal.SIGTSTP, signal.SIGCONT)] == before


async def test_what_cannot_be_started_or_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = program(tmp_path / "bin", "broken")
    broken.write_text("#!/no/such/interpreter\n")
    with paper(["x"]) as file, pytest.raises(OperatorError, match="cannot be started"):
        await run([str(broken)], file)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(OperatorError, match="nothing to page from"):
        paper(["x"])
