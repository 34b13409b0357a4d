"""The corpus of what may be typed and exported: a complaint in words, exit 2, and no host is asked."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from corpus_cases import Case, cases, is_safe, names
from vpai_tui import cli
from vpai_tui.world import World

WORDS = cases("words")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.mark.parametrize("case", WORDS, ids=names(WORDS))
def test_a_strange_word_is_refused(
    case: Case, demo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [str(word) for word in case.more["argv"]]
    if "long" in case.more:
        words.append("x" * case.more["long"])
    if "digits" in case.more:
        words.append("9" * case.more["digits"])
    if case.more.get("demo", True):
        words += ["--demo-dir", str(demo)]
    for name, value in case.more.get("env", {}).items():
        monkeypatch.setenv(name, value)
    if "service" not in case.says:  # which service is meant is only known from the fleet
        monkeypatch.setattr(World, "connection", lambda *_: pytest.fail("a host is asked"))
    try:
        code = cli.main(words)
    except SystemExit as ended:
        code = int(ended.code or 0)
    shown = capsys.readouterr().err
    assert code == case.exit, shown[:500]
    assert case.says in shown
    assert "internal error" not in shown
    assert is_safe(shown.encode(sys.stderr.encoding, "replace").decode())
