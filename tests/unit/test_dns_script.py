"""The script that puts DNS records in place, as it is shipped, below a folder and with a stand-in for the engine."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from vpai_tui.vpn.dns.apply import script

ENGINE = """#!/bin/sh
case "$*" in
  *State.Running*) echo true ;;
  *RestartCount*) echo 0 ;;
  *"nodes list"*) printf '[{\\n"machine_key": "a"\\n}]\\n' ;;
  restart*) echo restarted >>{root}/restarts ;;
esac
"""


class Hub:
    """A config.yaml below a folder; the run `r1` put it there, kept what was before it, and was killed."""

    def __init__(self, root: Path) -> None:
        self.root, self.runs = root, root / "deploy/dns"
        self.file = root / "config.yaml"
        self.engine = root / "engine"
        self.engine.write_text(ENGINE.replace("{root}", str(root)))
        self.engine.chmod(0o755)
        self.file.write_text("new\n")
        self.lay("r1", "new\n")
        (self.runs / "r1/before").write_text("old\n")
        (self.runs / "pending").symlink_to("r1")
        (root / "deploy/owner").write_text("pid=1 apply sese/infra by ann since now\n")

    def lay(self, run: str, content: str) -> None:
        (self.runs / run).mkdir(parents=True)
        (self.runs / run / "new").write_text(content)
        (self.runs / run / "journal").touch()

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        program = self.root / "apply.sh"
        program.write_bytes(script())
        told = {
            "ROOT": str(self.root), "DOCKER": str(self.engine), "WHO": "me", "CONTAINER": "headscale",
            "FILE": str(self.file), "INSIDE": "/etc/headscale/config.yaml", "MODE": "restart", "HEALTH_S": "5",
            "HASH": hashlib.sha256(self.file.read_bytes()).hexdigest(), "SETTLE_WAIT_S": "0.1",
        }  # fmt: skip
        return subprocess.Popen(["sh", str(program), *args], env={"PATH": os.environ["PATH"], "LC_ALL": "C", **told})

    def run(self, *args: str) -> int:
        return self.start(*args).wait(30)

    @property
    def pending(self) -> str | None:
        return os.readlink(self.runs / "pending") if (self.runs / "pending").is_symlink() else None

    def status(self, run: str) -> str | None:
        file = self.runs / run / "status"
        return file.read_text().strip() if file.exists() else None


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path)


def deploying(hub: Hub) -> subprocess.Popen[bytes]:
    """Somebody who holds the host's lock until he is killed."""
    command = f"exec 9>>'{hub.root}/deploy/lock'; flock 9; echo; exec sleep 60"
    holder = subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    return holder


def test_a_settling_without_the_lock_leaves_the_run_unsettled(hub: Hub) -> None:
    with deploying(hub) as holder:
        assert hub.run("settle", "r1") == 75
        holder.kill()
    assert (hub.status("r1"), hub.pending) == (None, "r1")
    assert "held\t-\tpid=1 apply sese/infra by ann" in (hub.runs / "r1/journal").read_text()
    assert hub.run("settle", "r1") == 4
    assert (hub.file.read_text(), hub.pending) == ("old\n", None)
    assert (hub.root / "restarts").exists()


def test_the_guard_waits_for_the_lock_however_long_it_is_held(hub: Hub) -> None:
    with deploying(hub) as holder, hub.start("guard", "r1", "2147483646") as guard:
        with pytest.raises(subprocess.TimeoutExpired):
            guard.wait(1)
        assert (hub.status("r1"), hub.pending) == (None, "r1")
        holder.kill()
        guard.wait(30)
    assert (hub.status("r1"), hub.pending) == ("reverted 4 the apply was interrupted", None)
    assert hub.file.read_text() == "old\n"


def test_an_end_that_cannot_be_written_down_leaves_the_run_to_be_settled(hub: Hub) -> None:
    (hub.runs / "r1/status.new").mkdir()  # no file can be put there, not even by root
    assert hub.run("settle", "r1") == 1
    assert (hub.status("r1"), hub.pending) == (None, "r1")
    assert "finished" not in (hub.runs / "r1/journal").read_text()
    (hub.runs / "r1/status.new").rmdir()
    assert hub.run("settle", "r1") == 4
    assert (hub.status("r1"), hub.pending) == ("reverted 4 the apply was interrupted", None)


def test_a_refusal_that_cannot_be_written_down_is_told_all_the_same(hub: Hub) -> None:
    hub.lay("r2", "newer\n")
    (hub.runs / "r2/status.new").mkdir()
    assert hub.run("apply", "r2") == 76
    assert "finished\t-\trefused 76 the apply r1 was interrupted" in (hub.runs / "r2/journal").read_text()
    assert hub.pending == "r1"


@pytest.mark.parametrize("held", [True, False])
def test_a_refused_apply_leaves_the_pending_mark_of_another(hub: Hub, held: bool) -> None:
    hub.lay("r2", "newer\n")
    if held:
        with deploying(hub) as holder:
            code = hub.run("apply", "r2")
            holder.kill()
    else:
        code = hub.run("apply", "r2")
    assert code == (75 if held else 76)
    assert (hub.status("r1"), hub.pending) == (None, "r1")
    assert hub.file.read_text() == "new\n"
    assert (hub.status("r2") or "").startswith(f"refused {code} ")


def test_a_run_that_ended_and_left_its_mark_keeps_nobody(hub: Hub) -> None:
    (hub.runs / "r1/status").write_text("committed 0 \n")
    hub.lay("r2", "newer\n")
    assert hub.run("apply", "r2") == 0
    assert (hub.file.read_text(), hub.pending) == ("newer\n", None)


def test_it_waits_for_a_runner_that_only_tidies_up(hub: Hub) -> None:
    (hub.runs / "r1/status").write_text("committed 0 \n")
    hub.lay("r2", "newer\n")
    (hub.root / "deploy/owner").write_text("pid=1 tidies up after infra since now\n")
    with deploying(hub) as holder, hub.start("apply", "r2") as applying:
        with pytest.raises(subprocess.TimeoutExpired):
            applying.wait(4)
        holder.kill()
        assert applying.wait(30) == 0
