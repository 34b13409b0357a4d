"""Programs that a stack ships."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from vpai_tui.deploy.bundle import ShippedFile
from vpai_tui.deploy.syntax import broken_programs

CALLBACKS = Path(__file__).parents[2] / "stacks/sese/apps/configs/litellm"


def shipped(content: bytes | None, path: str = "configs/x/hook.py") -> ShippedFile:
    digest = hashlib.sha256(content or b"").hexdigest()
    return ShippedFile(path, "644", "recreate", digest, digest, content)


@pytest.mark.parametrize("name", ["eco_mode.py", "budget_alerts.py"])
def test_the_callbacks_of_litellm_can_be_read(name: str) -> None:
    assert not list(broken_programs([shipped((CALLBACKS / name).read_bytes())]))


def test_the_line_of_an_error_is_named() -> None:
    assert list(broken_programs([shipped(b"x = 1\ndef f(:\n")])) == ["configs/x/hook.py:2: invalid syntax"]


@pytest.mark.parametrize("content", [b"\0", b"\xff = 1", b"(" * 5000])
def test_what_is_no_program_is_refused_in_words(content: bytes) -> None:
    (told,) = broken_programs([shipped(content)])
    assert told.startswith("configs/x/hook.py:")


@pytest.mark.parametrize(("content", "path"), [(None, "configs/x/hook.py"), (b"def f(:", "configs/x/hook.txt")])
def test_other_files_are_left_alone(content: bytes | None, path: str) -> None:
    assert not list(broken_programs([shipped(content, path)]))
