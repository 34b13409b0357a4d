"""The raw bytes of a terminal: whatever a host says, only sequences of the cockpit's own driver reach it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from hostile_text import HOSTILE, MARK

from .pty_cockpit import PtyCockpit, copied, offences, plain

TESTS = Path(__file__).parent.parent
# Where, the keys that lead there from the place before, and what must be seen to be drawn before the next.
WALK: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("fleet", "\r", ("<service>", "<subject>", "<alert>", "<remedy>")),
    ("describe", "\r", ("<section>", "<key>", "<value>")),
    ("yaml", "\x1by", ("<yaml>",)),
    ("logs", "\x1bl", ("<line>",)),
    ("command log", "\x1bv", ("<logged>",)),
    ("toast", "c", ("copied", "<service>")),
    ("palette", "v:logs ", ("<service>",)),
    ("back", "\x1b", ("? help",)),
    ("help", "?", ("keys and commands",)),
    ("back", "\x1b", ("? help",)),
    ("question", "R", ("Restart", "<service>")),
    ("error dialog", "\t\r", ("<failure>", "<host>", "<output>", "<cure>")),
    ("back", "\x1b", ("? help",)),
    ("stacks and releases", "2j", ("<title>", "<current>", "<owner>", "<release>", "<outcome>")),
    ("plan", "D", ("<cause>", "<before>", "<after>", "<danger>", "<note>", "<kept>", "<image>", "<former>")),
    ("plan's question", "A", ("Type ", "<danger>")),
    ("operation", "sese/apps\r", ("<event>", "<healthy>", "<failed>", "<output>")),
    ("back", "\x1b", ("? help",)),
    ("env files", ":env check sese/apps\r", ("<envfile>", "<envkey>", "<envprobl>")),
    ("back", "\x1b", ("? help",)),
    ("env plan", ":env init sese/apps\r", ("Write env files", "<envfile>", "<made>")),
    ("back", "\x1b", ("? help",)),
    ("history", ":history\r", ("<by>", "<what>", "<subject>", "<result>", "<detail>", "<silent>")),
    ("back", "\x1b", ("? help",)),
    ("adoption", ":adopt pi\r", ("<match>", "<containe>", "<evidence>", "<stray>")),
    ("containers to pick", "\r", ("<stray>",)),
    ("adoption again", "\x1b", ("<match>",)),
    ("proposal", "\t\t\r", ("<proposed>", "<note>")),
    ("back", "\x1b", ("? help",)),
    ("hold", ":release hold sese\r", ("<holder>", "<since>", "<why>")),
    ("back", "\x1b", ("? help",)),
    ("the budget", "4", ("<model>", "<alias>", "<down>", "<remedy>", "<idle>")),
    ("its facts", "\r", ("<free>", "<down>")),
    ("into them", "\r", ("? help",)),
    ("the last of them", "G", ("<note>", "<other>")),
    ("back", "\x1b", ("? help",)),
    ("who bills it", "\t", ("<provider>",)),
    ("a cap", "M", ("Cap of a day",)),
    ("its plan", "3\r", ("<title>", "<effect>", "<warning>", "<place>", "<undo>")),
    ("its steps", "\t\r", ("<step>", "<detail>", "<reason>", "<output>")),
    ("back", "\x1b", ("? help",)),
    ("the end", "\x11", ("Quit the cockpit?",)),
)


def test_every_part_of_the_payload_would_be_noticed() -> None:
    parts = re.findall(r"\x1b(?:[^\x1b\x80-\x9f\x00-\x1a]*\x07?)|[\x80-\x9f\u202e\u2066\x00\x08\x0e]", HOSTILE)
    harmless = {part for part in parts if not offences(f"a{part}b".encode())}
    assert len(parts) > 25
    assert harmless <= {"\x1b[38;5;199m", "\x1b[77;199H"}  # told apart by their numbers, see below
    assert not offences(b"\x1b[1;31mred\x1b[0m\x1b[?25l\r\n\x1b]22;default\x07\x1b]52;c;YWJj\x07")
    assert offences(b"\x1b]52;c;GzE=\x07")
    assert carried(HOSTILE.encode())
    assert not carried(b"\x1b[38;2;1;2;3m[38;5;199m")


def carried(raw: bytes) -> list[bytes]:
    """The payload's colour and place: of a form that the driver writes too, with numbers that it never does."""
    return re.findall(rb"\x1b\[[0-9;]*(?:38;5;199|77;199)[0-9;]*[mH]", raw)


def test_no_sequence_of_a_host_reaches_the_terminal() -> None:
    argv = [sys.executable, "-c", "from ui.hostile_backend import main; main()"]
    paths = os.pathsep.join((str(TESTS), os.environ["PYTHONPATH"]))
    with PtyCockpit(argv, {"PYTHONPATH": paths}) as at:
        at.wait_for("<keyhost>", "<print>", "<keytype>")
        for name, keys, wanted in WALK:
            at.press(name, keys, *wanted)
        at.end("\t\r")
    assert offences(at.raw) == []
    assert carried(at.raw) == []
    assert plain(at.raw).count(MARK) > 100
    assert any(MARK in text for text in copied(at.raw))
