"""The host's scripts: valid for every POSIX shell, and their small parts one by one, in dash and in bash."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from vpai_tui.budget.persist import script as budget_script
from vpai_tui.deploy.host import runner_script, script
from vpai_tui.deploy.pull import pull_script
from vpai_tui.fleet.operation import TAKEN_BACK
from vpai_tui.ondemand.idle import script as idle_script
from vpai_tui.remote.job import script_name
from vpai_tui.vpn.dns.apply import script as dns_script

SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]
SCRIPTS = {
    "env": script("common.sh") + script("env.sh").replace(b". ./common.sh\n", b""),
    "probe": script("common.sh") + script("probe.sh").replace(b". ./common.sh\n", b""),
    "runner": runner_script(),
    "dns": dns_script(),
    "pull": pull_script(),
    "hold": script("hold.sh"),
    "budget": budget_script(),
    "idle": idle_script("idle.sh"),
    "idle look": idle_script("look.sh"),
}


def argv(shell: str) -> list[str]:
    return ["busybox", "sh"] if shell == "busybox" else [shell]


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_can_read_it(name: str, shell: str) -> None:
    done = subprocess.run([*argv(shell), "-n"], input=SCRIPTS[name], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("name", SCRIPTS)
def test_shellcheck_finds_nothing(name: str) -> None:
    done = subprocess.run(["shellcheck", "-s", "sh", "-"], input=SCRIPTS[name], capture_output=True)
    assert done.stdout.decode() == ""


def run(shell: str, root: Path, body: str, stdin: str = "") -> str:
    """`body` after common.sh, for a stack `web` below `root`; its standard output."""
    settings = f"ROOT='{root}' STACK=web PROJECT=web DOCKER=false\n"
    text = settings.encode() + script("common.sh") + body.encode()
    program = root / "script.sh"
    program.write_bytes(text)
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    done = subprocess.run(
        [*argv(shell), str(program)], input=stdin.encode(), capture_output=True, env=environment, timeout=20
    )
    assert done.stderr == b""
    return done.stdout.decode()


ENV = """# the database
DB_PASSWORD="hunter2 two"
export API_TOKEN=a$b\\c*d
DATABASE_URL=postgres://user:p4ss@db/x
MODE=production
EMPTY_KEY=
SHORT_KEY=ab
"""


@pytest.mark.parametrize("shell", SHELLS)
def test_values_of_secret_looking_keys_are_masked_and_others_are_not(shell: str, tmp_path: Path) -> None:
    (tmp_path / "web.env").write_text(ENV)
    (tmp_path / "envs").write_text(f"{tmp_path}/web.env\n{tmp_path}/missing.env\n")
    said = "hunter2 two, hunter2 two; a$b\\c*d\nproduction ab p4ss\npostgres://user:p4ss@db/x\n"
    told = run(shell, tmp_path, f"mask '{tmp_path}' '{tmp_path}/no-such-release'", said)
    assert told == "•••, •••; •••\nproduction ab •••\n•••\n"
    assert run(shell, tmp_path, f"mask '{tmp_path}/no-such-release'", said) == said


@pytest.mark.parametrize("shell", SHELLS)
def test_values_of_the_env_file_where_it_ran_before_us_are_masked(shell: str, tmp_path: Path) -> None:
    for folder in ("before", "r0"):
        (tmp_path / folder).mkdir()
    (tmp_path / "before/.env").write_text("DB_PASSWORD=hunter2\n")
    (tmp_path / "r0/project_dir").write_text(f"{tmp_path}/before\n")
    assert run(shell, tmp_path, f"mask '{tmp_path}/r0'", "hunter2\n") == "•••\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_env_marks_show_equal_values_and_no_value(shell: str, tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy/hmac.key").write_bytes(b"k" * 32)
    (tmp_path / "web.env").write_text("A=same value\nB=same value\nexport C=other\n# D=no\nE\n")
    rows = dict(line.split(" ") for line in run(shell, tmp_path, f"env_marks '{tmp_path}/web.env'").splitlines())
    assert list(rows) == ["A", "B", "C"]
    assert rows["A"] == rows["B"] != rows["C"]
    assert all(len(mark) == 16 for mark in rows.values())
    (tmp_path / "deploy/hmac.key").write_bytes(b"l" * 32)
    assert rows["A"] not in run(shell, tmp_path, f"env_marks '{tmp_path}/web.env'")


def test_every_shell_makes_the_same_marks_and_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "deploy/stacks/web").mkdir(parents=True)
    (tmp_path / "deploy/hmac.key").write_bytes(b"k" * 32)
    (tmp_path / "web.env").write_text(ENV)
    (tmp_path / "live.yaml").write_text("a: 1\n")
    (tmp_path / "services").write_text("web\n")
    (tmp_path / "lives").write_text("live.yaml\nmissing.yaml\n")
    (tmp_path / "listing").write_text("id1\tweb-1\trunning\tweb\th1\timg\nid2\tdb-1\trunning\tdb\th2\timg\n")
    body = (
        f"LISTING='{tmp_path}/listing'\nenv_marks '{tmp_path}/web.env'; file_mark '{tmp_path}/web.env'\n"
        f"fingerprint '{tmp_path}/services' '{tmp_path}/lives'"
    )
    assert len({run(shell, tmp_path, body) for shell in SHELLS}) == 1
    before = run("sh", tmp_path, body)
    (tmp_path / "listing").write_text("id1\tweb-1\trunning\tweb\th1\timg\nid3\tdb-1\trunning\tdb\th3\timg\n")
    assert run("sh", tmp_path, body) == before  # another stack's service
    (tmp_path / "live.yaml").write_text("a: 2\n")
    assert run("sh", tmp_path, body) != before


@pytest.mark.parametrize("shell", SHELLS)
def test_versions_are_told_apart_by_their_numbers(shell: str, tmp_path: Path) -> None:
    pairs = ["2.9.0 2.26.0", "2.25.9 2.26.0", "2.26.0 2.26.0", "2.26.1 2.26.0", "2.40 2.26.0", "5.0.2 2.29.3"]
    body = "".join(f"if older {pair}; then echo older; else echo not; fi\n" for pair in pairs)
    assert run(shell, tmp_path, body).split() == ["older", "older", "not", "not", "not", "not"]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_lock_is_free_held_or_only_tidied_under(shell: str, tmp_path: Path) -> None:
    ask = "if lock_free; then echo free; else echo held; fi"
    assert run(shell, tmp_path, ask) == "free\n"
    (tmp_path / "deploy").mkdir()
    lock = tmp_path / "deploy/lock"
    lock.touch()
    assert run(shell, tmp_path, ask) == "free\n"
    with subprocess.Popen(["flock", str(lock), "sh", "-c", "echo locked; read x"], **_PIPES) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        assert run(shell, tmp_path, ask) == "held\n"
        (tmp_path / "deploy/owner").write_text("pid=1 tidies up after web since now\n")
        assert run(shell, tmp_path, ask) == "free\n"
        holder.communicate(b"\n")


_PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}


def test_a_runner_is_named_by_its_content() -> None:
    assert script_name(b"a") == script_name(b"a") != script_name(b"b")
    assert script_name(b"a").startswith("run-")


def test_words_that_others_go_by_are_the_runners() -> None:
    runner, common = script("runner.sh").decode(), script("common.sh").decode()
    assert f"$why{TAKEN_BACK}$FAILURE" in runner
    (tidies,) = re.findall(r"^TIDIES='(.*)'$", common, re.M)
    for waiting in (script("hold.sh").decode(), dns_script().decode(), budget_script().decode()):
        assert f"' {tidies} '" in waiting
