"""A stack whose project or service got another name, on the demo fleet: never two databases on one volume."""

import json
from pathlib import Path
from typing import Any

import pytest

from vpai_tui import cli


class Laptop:
    """The demo's command line, with files of the stack `sese/infra` to be edited."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder, self._capsys = folder, capsys

    def run(self, *words: str) -> tuple[int, Any]:
        code = cli.main([*words, "--json", "--demo-dir", str(self._folder)])
        out = self._capsys.readouterr().out
        try:
            return code, json.loads(out)
        except json.JSONDecodeError:
            return code, [json.loads(line) for line in out.splitlines()]

    def edit(self, name: str, old: str, new: str) -> None:
        file = self._folder / "laptop/stacks/sese/infra" / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))


@pytest.fixture
def laptop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Laptop:
    found = Laptop(tmp_path, capsys)
    assert found.run("plan", "sese/infra")[0] == 0
    return found


def test_a_new_project_does_not_put_a_second_database_beside_the_first(laptop: Laptop) -> None:
    laptop.edit("stack.yaml", "project: vpai", "project: vpaix")
    for words in (("plan", "sese/infra"), ("rollback", "sese/infra")):
        code, told = laptop.run(*words)
        assert code == 78
        assert "its project was vpai and is vpaix now, and vpai-postgresql-1" in told["error"]["output"]
        assert "put `project: vpai` back" in told["error"]["remedy"]
