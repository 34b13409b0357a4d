"""A defect that ends the cockpit: one redacted line on the operator's own terminal, and no variable's value."""

from __future__ import annotations

import os
import pty
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import sys
from vpai_tui import app, cli

def broken(self):
    password = secret_of_a_local = "cnryLocal" + "7Qe"
    raise RuntimeError("boom password=" + password)

app.CockpitApp.{place} = broken
sys.exit(cli.main(["--demo-dir", sys.argv[1]]))
"""


@pytest.mark.parametrize("place", ["on_mount", "_bring_up"])
def test_a_crash_shows_one_line_without_what_its_variables_hold(tmp_path: Path, place: str) -> None:
    pid, terminal = pty.fork()
    if not pid:
        os.environ.pop("VPAI_TUI_DEBUG", None)
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [sys.executable, "-c", _PROGRAM.format(place=place), str(tmp_path / "demo")])
    seen = bytearray()
    try:
        while data := os.read(terminal, 65536):
            seen += data
    except OSError:
        pass  # the other side has ended
    finally:
        os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 1
    assert b"cnryLocal" not in seen
    assert "internal error: RuntimeError: boom password=•••".encode() in seen
    assert b"Traceback" not in seen
    assert bytes(seen).rfind(b"\x1b[?1049l") < bytes(seen).find(b"internal error")  # on the operator's own screen
