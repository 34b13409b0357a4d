"""What the command line prints of hosts whose engines hold hostile text: nothing that a terminal obeys."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hostile_text import HOSTILE, MARK
from vpai_tui.text import clean

pytestmark = pytest.mark.xdist_group("printed-bytes")  # one demo for all of them


def poison(state: Path) -> None:
    """Every text of the engine's state that its own machinery does not read becomes hostile."""
    told: dict[str, Any] = json.loads(state.read_text())
    for container in told["containers"].values():
        container["labels"] = {**container.get("labels", {}), f"evil{HOSTILE}": HOSTILE}
        container["env"] = [*(container.get("env") or []), f"EVIL{HOSTILE}={HOSTILE}"]
        container["image"] = f"{container['image']}{HOSTILE}"
        container["command"] = ["sh", HOSTILE]
        container["user"] = HOSTILE
    state.write_text(json.dumps(told))


@pytest.fixture(scope="module")
def hostile_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A demo whose engines hold hostile text in labels, variables, commands, images and (through the image) logs."""
    folder = tmp_path_factory.mktemp("demo")
    command(folder, "history")
    for state in sorted(folder.glob("*/docker/state.json")):
        poison(state)
    history = folder / "laptop" / "history.jsonl"
    entry = {
        **dict.fromkeys(("at", "by", "host", "what", "subject", "result", "detail"), HOSTILE),
        "at": "2099-01-01T00:00:00Z",
    }
    history.write_text(json.dumps(entry) + "\n")
    yield folder


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    argv = [sys.executable, "-m", "vpai_tui", *words, "--demo-dir", str(folder)]
    return subprocess.run(argv, capture_output=True, timeout=120, check=False)


VERBS = (
    ("status",),
    ("describe", "litellm"),
    ("releases", "apps"),
    ("plan", "sese/apps"),
    ("history",),
    ("doctor",),
    ("deploy", "sese/apps", "--yes"),
)


@pytest.mark.parametrize("words", VERBS, ids=lambda words: words[0])
def test_no_sequence_of_a_host_is_printed(hostile_demo: Path, words: tuple[str, ...]) -> None:
    for form in ((), ("--json",)) if words[0] in ("status", "describe") else ((),):
        done = command(hostile_demo, *words, *form)
        shown = (done.stdout + done.stderr).decode()
        assert clean(shown) == shown
        assert "internal error" not in shown
        assert "Traceback" not in shown
        if words[0] in ("status", "describe"):
            assert MARK in shown
