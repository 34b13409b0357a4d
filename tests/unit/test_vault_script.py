"""What makes Obsidian's database in CouchDB: done again it changes nothing, and no password is an argument."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "stacks/seko/services/configs/couchdb/init/vault.sh"
# Notes its arguments and what it is told through the descriptor, and answers with the next status.
CURL = """#!/bin/sh
printf '%s\\n' "$*" >>"$NOTES/arguments"
{ cat /dev/fd/3; echo --; } >>"$NOTES/told"
read -r status rest <"$NOTES/answers" || status=200
sed -i 1d "$NOTES/answers"
printf %s "$status"
"""


def run(folder: Path, answers: list[int], shell: str = "sh") -> subprocess.CompletedProcess[str]:
    program = folder / "bin" / "curl"
    program.parent.mkdir(exist_ok=True)
    program.write_text(CURL)
    program.chmod(0o755)
    (folder / "answers").write_text("".join(f"{status}\n" for status in answers))
    env = {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "NOTES": str(folder),
        "COUCHDB_USER": "admin",
        "COUCHDB_PASSWORD": "topsecret1",
        "OBSIDIAN_PASSWORD": 'odd"\\2',
    }
    return subprocess.run([shell, str(SCRIPT)], env=env, capture_output=True, text=True, check=False)


def told(folder: Path) -> list[tuple[str, str, str]]:
    """Method, path and body of each request."""
    found = []
    for request in (folder / "told").read_text().split("--\n")[:-1]:
        values = dict(re.findall(r'(?m)^(\w+) = "(.*)"$', request))
        assert values["user"] == "admin:topsecret1"
        body = re.sub(r"\\(.)", r"\1", values["data"])
        found.append((values["request"], values["url"].removeprefix("http://127.0.0.1:5984/"), body))
    return found


@pytest.mark.parametrize("shell", [name for name in ("sh", "bash") if shutil.which(name)])
def test_a_first_and_a_second_run(tmp_path: Path, shell: str) -> None:
    for answers in ([201, 201, 201, 201, 200], [412, 412, 412, 409, 200]):
        assert run(tmp_path, answers, shell).returncode == 0
        requests = told(tmp_path)
        assert [(method, path) for method, path, _ in requests] == [
            ("PUT", "_users"),
            ("PUT", "_replicator"),
            ("PUT", "obsidian_vault"),
            ("PUT", "_users/org.couchdb.user:obsidian"),
            ("PUT", "obsidian_vault/_security"),
        ]
        assert json.loads(requests[4][2])["members"]["names"] == ["obsidian"]
        arguments = (tmp_path / "arguments").read_text()
        assert "topsecret1" not in arguments
        assert "odd" not in arguments
        (tmp_path / "told").unlink()


def test_another_answer_ends_it_and_is_told(tmp_path: Path) -> None:
    done = run(tmp_path, [201, 201, 401])
    assert (done.returncode, done.stderr) == (1, "database obsidian_vault: CouchDB answered 401\n")
