"""The watcher of an idle stop as it is shipped, on a host below a folder whose half minutes pass in a blink."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from budget_host import busy

from vpai_tui.ondemand import idle

ENGINE = r"""#!/bin/sh
[ ! -e {root}/dead ] || exit 1
case "$1" in
  ps) [ ! -e {root}/off ] || exit 0; cat {root}/ids ;;
  inspect) echo 41 ;;
esac
"""


class Watched:
    """A stack `cut` whose service `web` runs; `bytes` is what its interface has counted."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "ids").write_text("aaa\n")
        engine = root / "engine"
        engine.write_text(ENGINE.format(root=root))
        engine.chmod(0o755)
        bin_ = root / "bin"
        bin_.mkdir()
        sleep = bin_ / "sleep"
        sleep.write_text(
            f'#!/bin/sh\ncase $1 in 30) set -- 0.05; echo >>{root}/looks ;; esac\nexec {shutil.which("sleep")} "$@"\n'
        )
        sleep.chmod(0o755)
        (root / "proc/41/net").mkdir(parents=True)
        (root / "proc/sys/kernel/random").mkdir(parents=True)
        self.boot("one")
        self.count(1000)
        self.stop = f"echo stopped >>{root}/stopped; : >{root}/off"
        self.record = root / "deploy/idle/cut"

    def boot(self, name: str) -> None:
        (self.root / "proc/sys/kernel/random/boot_id").write_text(name + "\n")

    def count(self, number: int) -> None:
        rows = "".join(
            f"{name}:{came} 1 0 0 0 0 0 0 7 1\n" for name, came in (("    lo", 99), ("  eth0", number), ("eth1", 5))
        )
        file = self.root / "proc/41/net/dev.new"
        file.write_text("Inter-| Receive | Transmit\n face |bytes |bytes\n" + rows)
        file.rename(file.with_name("dev"))

    def environment(self, minutes: int) -> dict[str, str]:
        return {
            "PATH": f"{self.root}/bin:{os.environ['PATH']}",
            "LC_ALL": "C",
            "VPAI_PROC": str(self.root / "proc"),
            "ROOT": str(self.root),
            "STACK": "cut",
            "PROJECT": "cut",
            "DOCKER": str(self.root / "engine"),
            "WHO": "ann@lap",
            "MINUTES": str(minutes),
            "FRONT": "web",
            "STOP": self.stop,
            "EVERY_S": "30",
            "QUIET_BYTES": str(idle.QUIET_BYTES),
        }

    def run(self, verb: str, minutes: int = 1) -> subprocess.CompletedProcess[str]:
        program = self.root / "idle.sh"
        program.write_bytes(idle.script("idle.sh"))
        argv = ["sh", str(program), verb]
        return subprocess.run(argv, env=self.environment(minutes), capture_output=True, text=True, timeout=30)

    def fact(self, name: str) -> str:
        if not self.record.exists():
            return ""
        pairs = dict(line.split("=", 1) for line in self.record.read_text().splitlines())
        return pairs.get(name, "")

    @property
    def looks(self) -> int:
        file = self.root / "looks"
        return len(file.read_text().splitlines()) if file.exists() else 0

    @property
    def alive(self) -> bool:
        try:
            words = Path(f"/proc/{self.fact('pid')}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return self.fact("token").encode() in words

    def seen(self) -> dict[str, object]:
        script = idle.script("look.sh")
        environment = {"PATH": os.environ["PATH"], "VPAI_PROC": str(self.root / "proc")}
        done = subprocess.run(["sh", "-s", "--", str(self.root)], input=script, env=environment, capture_output=True)
        return dict(idle.read_look(done.stdout, "here")[1])


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    found = Watched(tmp_path)
    yield found
    if found.alive:
        os.kill(int(found.fact("pid")), signal.SIGKILL)


def until(there: object, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not there():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_what_is_quiet_for_so_long_is_stopped(watched: Watched) -> None:
    assert watched.run("set").returncode == 0
    until(lambda: watched.fact("state") == "stopped")
    assert (watched.root / "stopped").read_text() == "stopped\n"
    assert watched.fact("why") == "1 min without network bytes"
    until(lambda: not watched.alive)
    assert watched.looks == 3, "two quiet half minutes, and one to know where it began"


def test_bytes_begin_it_anew_and_noise_does_not(watched: Watched) -> None:
    count = 1000
    assert watched.run("set", 600).returncode == 0
    until(lambda: watched.fact("quiet_s") not in ("", "0"))
    count += idle.QUIET_BYTES + 1
    before = watched.looks
    watched.count(count)
    until(lambda: watched.looks > before + 2)
    assert int(watched.fact("quiet_s")) < 30 * before + 30
    assert watched.fact("state") == "watching"
    quiet = int(watched.fact("quiet_s"))
    watched.count(count + 200)
    until(lambda: int(watched.fact("quiet_s")) > quiet + 30)
    assert not (watched.root / "stopped").exists()


def test_another_container_begins_it_anew(watched: Watched) -> None:
    assert watched.run("set", 600).returncode == 0
    until(lambda: int(watched.fact("quiet_s") or 0) >= 60)
    at = int(watched.fact("quiet_s"))
    (watched.root / "ids").write_text("bbb\n")
    until(lambda: int(watched.fact("quiet_s")) < at)


def test_it_ends_with_the_stack(watched: Watched) -> None:
    assert watched.run("set", 600).returncode == 0
    (watched.root / "off").touch()
    until(lambda: watched.fact("state") == "ended")
    until(lambda: not watched.alive)
    assert not (watched.root / "stopped").exists()


@pytest.mark.parametrize("code", [75, 1])
def test_a_stop_that_cannot_be_is_tried_again(watched: Watched, code: int) -> None:
    watched.stop = f"[ -e {watched.root}/may ] || exit {code}; : >{watched.root}/off"
    assert watched.run("set").returncode == 0
    words = "waits for what holds the lock" if code == 75 else "could not be stopped (status 1)"
    until(lambda: words in watched.fact("why"))
    assert watched.fact("state") == "watching"
    (watched.root / "may").touch()
    until(lambda: watched.fact("state") in ("stopped", "ended"))


@pytest.mark.parametrize("silent", ["dead", "proc/41/net/dev"])
def test_what_cannot_be_read_stops_nothing(watched: Watched, silent: str) -> None:
    assert watched.run("set", 600).returncode == 0
    (watched.root / "dead").touch() if silent == "dead" else (watched.root / silent).unlink()
    until(lambda: watched.fact("why") in ("Docker does not answer", "its network bytes cannot be read"))
    before = watched.looks
    until(lambda: watched.looks > before + 6)
    assert not (watched.root / "stopped").exists()
    assert watched.alive


def test_set_anew_and_cancelled(watched: Watched) -> None:
    assert watched.run("set", 900).returncode == 0
    first = int(watched.fact("pid"))
    assert watched.run("set", 450).returncode == 0
    until(lambda: not Path(f"/proc/{first}").exists())
    assert (watched.fact("minutes"), watched.alive) == ("450", True)
    second = int(watched.fact("pid"))
    assert watched.run("cancel").returncode == 0
    assert not watched.record.exists()
    until(lambda: not Path(f"/proc/{second}").exists())
    assert watched.run("cancel").returncode == 0, "none is no error"


@pytest.mark.parametrize("verb", ["set", "cancel"])
def test_the_lock_of_a_deploy_is_everybodys(watched: Watched, verb: str) -> None:
    assert watched.run("set", 900).returncode == 0
    token = watched.fact("token")
    with busy(watched.root, "pid=1 apply other by ben since now") as holder:
        done = watched.run(verb, 45)
        holder.kill()
    assert (done.returncode, done.stderr) == (75, "pid=1 apply other by ben since now\n")
    assert watched.fact("token") == token
    assert watched.alive


def test_what_does_not_run_is_not_watched(watched: Watched) -> None:
    (watched.root / "off").touch()
    done = watched.run("set")
    assert (done.returncode, "nothing to watch" in done.stderr) == (78, True)
    assert not watched.record.exists()


def test_how_it_stands_is_told_to_whoever_looks(watched: Watched) -> None:
    assert watched.seen() == {}
    assert watched.run("set", 900).returncode == 0
    found = watched.seen()["cut"]
    assert isinstance(found, idle.Idle)
    assert (found.state, found.minutes, found.by) == (idle.IdleState.WATCHING, 900, "ann@lap")
    os.kill(int(watched.fact("pid")), signal.SIGKILL)
    until(lambda: not watched.alive)
    gone = watched.seen()["cut"]
    assert isinstance(gone, idle.Idle)
    assert gone.state is idle.IdleState.GONE
    watched.boot("two")
    again = watched.seen()["cut"]
    assert isinstance(again, idle.Idle)
    assert again.state is idle.IdleState.REBOOTED


def test_a_pid_that_somebody_else_has_by_now_is_left_alone(watched: Watched) -> None:
    with subprocess.Popen(["sleep", "30"]) as other:
        watched.record.parent.mkdir(parents=True)
        watched.record.write_text(f"token=cut-1\npid={other.pid}\nboot=one\nminutes=30\nquiet_s=0\nstate=watching\n")
        assert watched.run("cancel").returncode == 0
        assert other.poll() is None
        other.kill()
