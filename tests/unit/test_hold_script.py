"""`hold` on a host, as its script is shipped: whom it waits for, and whom it names."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from vpai_tui.deploy.host import script


def hold(root: Path, *words: str) -> tuple[int, str, str]:
    argv = ["sh", "-s", "--", str(root), *words]
    done = subprocess.run(argv, input=script("hold.sh"), capture_output=True, timeout=30)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def busy(root: Path, owner: str, seconds: int) -> subprocess.Popen[bytes]:
    (root / "deploy").mkdir(parents=True, exist_ok=True)
    (root / "deploy/owner").write_text(f"{owner}\n")
    command = shlex.join(["flock", f"{root}/deploy/lock", "sh", "-c", f"echo locked; exec sleep {seconds}"])
    held = subprocess.Popen(command, shell=True, stdout=subprocess.PIPE)
    assert held.stdout is not None
    held.stdout.readline()
    return held


@pytest.mark.parametrize("verb", ["set", "off"])
def test_whoever_is_refused_for_a_hold_is_told_whose_it_is(tmp_path: Path, verb: str) -> None:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy/owner").write_text("pid=1 apply web by ann since then\n")
    assert hold(tmp_path, "set", "ben@lap", "upgrade")[0] == 0
    if verb == "off":
        at = hold(tmp_path, "show")[1].split("\t")[0]
        assert hold(tmp_path, "off", at, "ben@lap", "eve@lap")[0] == 0
    owner = (tmp_path / "deploy/owner").read_text()
    assert f" hold by {'ben' if verb == 'set' else 'eve'}@lap since 2" in owner


def test_a_runner_that_only_tidies_up_is_waited_for(tmp_path: Path) -> None:
    with busy(tmp_path, "pid=1 tidies up after web since now", 5):
        code, told, _ = hold(tmp_path, "set", "ben@lap", "upgrade")
    assert (code, told.split("\t")[1:]) == (0, ["ben@lap", "upgrade\n"])


def test_a_deploy_is_not_waited_for(tmp_path: Path) -> None:
    with busy(tmp_path, "pid=1 apply web by ann since now", 30) as deploy:
        assert hold(tmp_path, "set", "ben@lap", "upgrade") == (75, "", "pid=1 apply web by ann since now\n")
        deploy.kill()
    assert not (tmp_path / "deploy/hold").exists()
