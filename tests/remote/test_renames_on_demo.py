"""A stack whose project or service got another name, on the demo fleet: never two databases on one volume."""

import json
from pathlib import Path
from typing import Any

import pytest

from vpai_tui import cli


class Laptop:
    """The demo's command line, with files of its stacks to be edited."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder, self._capsys = folder, capsys

    def run(self, *words: str) -> tuple[int, Any]:
        code = cli.main([*words, "--json", "--demo-dir", str(self._folder)])
        out = self._capsys.readouterr().out
        try:
            return code, json.loads(out)
        except json.JSONDecodeError:
            return code, [json.loads(line) for line in out.splitlines()]

    def edit(self, name: str, old: str, new: str, *, stack: str = "infra") -> None:
        file = self._folder / "laptop/stacks/sese" / stack / name
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
        assert code == 78, told
        assert "its project was vpai and is vpaix now, and vpai-postgresql-1" in told["error"]["output"]
        assert "put `project: vpai` back" in told["error"]["remedy"]


def test_a_renamed_database_and_a_renamed_proxy_take_over_after_the_old_ones_are_gone(laptop: Laptop) -> None:
    laptop.edit("compose.yaml", "\n  postgresql:\n", "\n  postgres:\n")
    laptop.edit("stack.yaml", "data: [postgresql,", "data: [postgres,")
    laptop.edit("stack.yaml", "dump_of: postgresql", "dump_of: postgres")
    laptop.edit("stack.yaml", "service: postgresql,", "service: postgres,")
    code, plan = laptop.run("plan", "sese/infra")
    words = "replaces postgresql, which is stopped and removed first: volume vpai_postgresql"
    assert (code, [item["detail"] for item in plan["dangers"]]) == (0, [f"postgres {words}"])
    code, events = laptop.run("deploy", "sese/infra", "--yes", "--confirm", "sese/infra")
    told = [(item["event"], item.get("service")) for item in events]
    assert (code, events[-1]["outcome"]) == (0, "committed")
    assert told.index(("service_removed", "postgresql")) < told.index(("step_started", "postgres"))
    code, back = laptop.run("rollback", "sese/infra", "--yes", "--confirm", "sese/infra")
    told = [(item["event"], item.get("service")) for item in back]
    assert (code, back[-1]["outcome"]) == (0, "committed")
    assert told.index(("service_removed", "postgres")) < told.index(("step_started", "postgresql"))

    laptop.edit("compose.yaml", "\n  caddy:\n", "\n  proxy:\n", stack="edge")
    laptop.edit("stack.yaml", "service: caddy,", "service: proxy,", stack="edge")
    code, plan = laptop.run("plan", "sese/edge")
    assert (code, plan["dangers"]) == (0, [])
    (proxy,) = [item for item in plan["changes"] if item["service"] == "proxy"]
    assert any("port 0.0.0.0:443" in cause["detail"] for cause in proxy["causes"] if cause["kind"] == "replaces")
