"""Mode 3, `$PAGER`: what it is fed, what is told where there is none, and that the log is as it was afterwards."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vpai_tui.logs.model import SECOND_NS, Cause, Gap
from vpai_tui.screens import logs_pager

from .conftest import TALL, Cockpit, OpenCockpit
from .fake_logs import NOW_NS, FakeLogs, entries, entry
from .pty_cockpit import PtyCockpit, offences, plain
from .test_logs import PROVEN, on
from .vpn_kit import command


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is the same wherever the tests run."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def pager(monkeypatch: pytest.MonkeyPatch, folder: Path, body: str = "") -> Path:
    """A pager that writes what it reads into the file given back."""
    path = folder / "pager"
    path.write_text(f"#!/bin/sh\ncat > {folder}/read\n{body}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PAGER", str(path))
    return folder / "read"


def with_terminal(at: Cockpit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver of the tests has none to give away."""
    monkeypatch.setattr(at.app, "suspend", contextlib.nullcontext)


async def test_what_is_shown_is_paged_clean_and_masked(
    cockpit: OpenCockpit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read = pager(monkeypatch, tmp_path)
    lines = [*entries(), entry(50, "sese/apps/n8n", b"\x1b]52;c;eA==\x07hostile \xff\xe2\x80\xae\ttab\nsecond row")]
    gap = Gap(NOW_NS - 100 * SECOND_NS, NOW_NS - 90 * SECOND_NS, Cause.LINK)
    async with cockpit(backend=on(FakeLogs(lines, [*PROVEN, gap])), size=TALL) as at:
        with_terminal(at, monkeypatch)
        await at.press("3")
        await at.press("r")
        rows = read.read_text().split("\n")
        assert "✔ live ✔ 118 proven to 23:03:55" in rows[0]
        assert len([row for row in rows if "handled request" in row]) == 60  # not only what is seen
        trace = rows.index(" 2026-02-26 23:02:50.000 ✖ sese/n8n  Traceback (most recent call last):")
        assert any("ValueError: no such path: [/]" in row for row in rows[trace : trace + 9])
        assert any("link lost, 10s" in row for row in rows)
        hostile = rows.index(" 2026-02-26 23:03:10.000   sese/n8n  ]52;c;eA==hostile \ufffd\ttab")
        assert rows[hostile + 1] == "    second row"
        assert "hunter2" not in read.read_text()
        assert not any(char in read.read_text() for char in "\x1b\x07\u202e")
        assert at.toasts() == []
        await command(at, "level error")
        await at.press("slash")
        await at.type("workflow")
        await at.press("enter", "r")
        shown = [row for row in read.read_text().splitlines() if not row.startswith("—")]
        assert len(shown) == 1 + len([row for row in shown if "link lost" in row])
        assert "workflow 55 failed" in shown[0]


async def test_what_is_marked_is_paged_alone(
    cockpit: OpenCockpit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read = pager(monkeypatch, tmp_path)
    found = FakeLogs([entry(60 - number, "sese/apps/n8n", f"line {number:02d}") for number in range(40)])
    async with cockpit(backend=on(found)) as at:
        with_terminal(at, monkeypatch)
        await command(at, "logs n8n")
        await at.press("t", "k", "space", "k", "r")
        rows = [row for row in read.read_text().splitlines() if not row.startswith("—")]
        assert [row[-7:] for row in rows] == ["line 37", "line 38"]
        monkeypatch.setattr(logs_pager, "MOST", 10)
        await at.press("escape", "r")
        rows = read.read_text().splitlines()
        assert "— only the newest 10 of 40 lines: save FILE writes all" in rows
        assert rows[-1].endswith("line 39")
        assert len([row for row in rows if "line " in row and "n8n" in row and not row.startswith("—")]) == 10


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("/no/such/pager -x", "$PAGER names no program: /no/such/pager -x: export PAGER='less -R', or save FILE"),
        ("less 'R", "No closing quotation"),
    ],
)
async def test_a_pager_that_is_none_is_told(
    cockpit: OpenCockpit, monkeypatch: pytest.MonkeyPatch, wanted: str, told: str
) -> None:
    monkeypatch.setenv("PAGER", wanted)
    async with cockpit(backend=on(FakeLogs(entries()))) as at:
        await at.press("3")
        await at.press("r")
        assert any(told in it for it in at.toasts())
        await at.shows("✔ live")


async def test_no_line_no_terminal_and_a_bad_end_are_told_and_the_log_is_as_it_was(
    cockpit: OpenCockpit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read = pager(monkeypatch, tmp_path, "exit 4")
    async with cockpit(backend=on(FakeLogs())) as at:
        await at.press("3")
        await at.press("r")
        assert "no line to page" in at.toasts()
    async with cockpit(backend=on(FakeLogs(entries()))) as at:
        await at.press("3")
        await at.press("k", "k", "space", "k")
        before = at.text()
        await at.press("r")
        assert "this terminal cannot be given away: save FILE writes the lines" in at.toasts()
        assert not read.exists()
        with_terminal(at, monkeypatch)
        await at.press("r")
        assert any("the pager ended with status 4; the log is as it was" in it for it in at.toasts())
        at.app.clear_notifications()
        await at.settle()
        assert at.text() == before


def test_in_a_terminal_the_pager_has_it_alone_and_the_tail_goes_on(tmp_path: Path) -> None:
    program = tmp_path / "pager"
    # It waits for a key of its own; ctrl+c in it ends neither.
    program.write_text(
        "#!/bin/sh\ntrap 'echo got it' INT\necho 'PAGED '$(grep -c .)\nread key </dev/tty || read key </dev/tty\n"
        "echo 'LEFT BY '$key\n"
    )
    program.chmod(0o755)
    argv = [sys.executable, "-c", "from ui.paged_cockpit import main; main()"]
    paths = os.pathsep.join((str(Path(__file__).parent.parent), os.environ["PYTHONPATH"]))
    with PtyCockpit(argv, {"PYTHONPATH": paths, "PAGER": str(program)}) as at:
        at.wait_for("? help")
        at.press("the log", "3", "meanwhile")
        at.press("the pager", "r", "PAGED ")
        shown = len(at.raw)
        time.sleep(1)
        os.write(at._fd, b"\x03")
        at.press("left", "x\n", "LEFT BY x", "meanwhile")
        away = plain(at.raw[shown:]).split("LEFT BY x")
        assert "meanwhile" not in away[0]  # nothing was drawn over the pager
        at.press("the end", "\x11", "Quit the cockpit?")
        at.end("\t\r")
    assert offences(at.raw) == []
