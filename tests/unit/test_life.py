"""Start and stop by the runner as it is shipped, on a host below a folder: all of it or nothing, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from budget_host import busy
from runner_host import BASE, ID, Host

from vpai_tui.deploy.host import runner_script

RUN = "20260101T000000-0009"
# Containers are files in `there/`, named for their service; one that is `bad` never becomes healthy.
ENGINE = r"""
there={root}/there; echo "$*" >>{root}/calls
case "$1" in
  ps)
    case "$*" in
      *label=vpai.keep*) exit ;;
      *'--format'*) for it in "$there"/*; do [ -f "$it" ] || continue; s=${{it##*/}}
          printf '%s\tweb-%s-1\trunning\t%s\th\ti\t2\t\t\t\tx\n' "id-$s" "$s" "$s"; done ;;
      *service=*) s=${{*#*service=}}; s=${{s%% *}}; [ ! -f "$there/$s" ] || echo "id-$s" ;;
    esac ;;
  inspect) s=${{4#id-}}; [ -f "$there/$s" ] || exit 1
    case "$(cat "$there/$s")" in bad) echo "running unhealthy 0 0" ;; *) echo "running healthy 0 0" ;; esac ;;
  compose)
    case " $* " in
      *" up "*) for s; do :; done; [ ! -e {root}/slow ] || sleep 2
        if [ -e "{root}/broken-$s" ]; then echo bad >"$there/$s"; else echo good >"$there/$s"; fi ;;
    esac ;;
  stop) ;;
  rm) for id; do :; done; [ ! -e {root}/stuck ] || exit 1; rm -f "$there/${{id#id-}}" ;;
  logs) echo "the last words of $4" ;;
  network) case $2 in ls) [ ! -e "$there/db" ] || echo net-of-web ;; rm) echo "$3" >>{root}/networks-gone ;; esac ;;
esac
exit 0
"""


class Stack(Host):
    """Two services, `db` and then `web`, of a deployed release."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.say(ENGINE.format(root=root).replace("${{", "${").replace("}}", "}"))
        self.there = root / "there"
        self.there.mkdir()
        (self.home / "releases" / BASE / "services").write_text("db\nweb\n")

    def ask(self, verb: str, *, services: str = "db web", steps: str = "db web", base: str = BASE) -> list[str]:
        folder = self.home / "runs" / RUN
        folder.mkdir(parents=True, exist_ok=True)
        rows = [f"up\t{name}\tservice\t5\t-" for name in steps.split()]
        (folder / "steps").write_text("".join(f"{row}\n" for row in rows))
        (folder / "manifest").write_text(f"id={RUN}\nkind={verb}\nby=me\nrelease={base}\ncompose=2.40.3\n")
        return self._argv(runner_script(), verb, RUN)

    def environment(self) -> dict[str, str]:
        return self._environment() | {"SERVICES": "db web", "NETWORKS": "web_default"}

    def go(self, verb: str, **how: str) -> int:
        argv = self.ask(verb, **how)
        return subprocess.run(argv, capture_output=True, env=self.environment(), timeout=60).returncode

    def begin(self, verb: str, **how: str) -> subprocess.Popen[bytes]:
        nothing = subprocess.DEVNULL
        return subprocess.Popen(
            self.ask(verb, **how), env=self.environment(), stdout=nothing, stderr=nothing, start_new_session=True
        )

    @property
    def up(self) -> list[str]:
        return sorted(it.name for it in self.there.iterdir())

    @property
    def end(self) -> str:
        return (self.home / "runs" / RUN / "status").read_text().strip()

    @property
    def told(self) -> list[str]:
        lines = (self.home / "runs" / RUN / "journal").read_text().splitlines()
        return [" ".join(line.split("\t")[1:3]) for line in lines]

    def untouched(self) -> bool:
        """The deployed release is as it was: its status, its journal, and `current`."""
        release = self.home / "releases" / BASE
        here = os.readlink(self.home / "current") == f"releases/{BASE}"
        return here and (release / "status").read_text() == "ok 0 \n" and not (release / "journal").exists()


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path)


def until(there: object, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not there():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def test_a_start_brings_all_of_it_and_leaves_the_release_alone(stack: Stack) -> None:
    assert stack.go("start") == 0
    assert (stack.up, stack.end) == (["db", "web"], "ok 0")
    assert stack.told == [
        f"begin {BASE}", "step_started db", "service_started db", "service_healthy db", "step_started web",
        "service_started web", "service_healthy web", "finished -",
    ]  # fmt: skip
    assert stack.untouched()
    assert not (stack.home / "pending").exists()


def test_a_service_that_does_not_come_up_takes_the_others_with_it(stack: Stack) -> None:
    (stack.root / "broken-web").touch()
    assert stack.go("start") == 2
    assert stack.up == []
    assert stack.end == "reverted 2 web: unhealthy by its own check"
    said = (stack.home / "runs" / RUN / "failure.log").read_text()
    assert "--- last lines of web:\nthe last words of id-web" in said
    assert stack.untouched()


def test_what_ran_before_a_failed_start_stays(stack: Stack) -> None:
    (stack.there / "db").write_text("good")
    (stack.root / "broken-web").touch()
    assert stack.go("start", steps="web") == 2
    assert stack.up == ["db"]


def test_what_cannot_be_taken_down_is_said(stack: Stack) -> None:
    (stack.root / "broken-web").touch()
    (stack.root / "stuck").touch()
    assert stack.go("start") == 3
    assert stack.end == "revert_failed 3 web: unhealthy by its own check; and then not to be taken down: web db"


@pytest.mark.parametrize("verb", ["start", "stop"])
def test_the_lock_of_a_deploy_is_everybodys(stack: Stack, verb: str) -> None:
    with busy(stack.root, "pid=1 apply other by ben since now") as holder:
        assert stack.go(verb) == 75
        holder.kill()
    assert stack.end == "refused 75 pid=1 apply other by ben since now"
    assert stack.up == []


@pytest.mark.parametrize("verb", ["start", "stop"])
def test_an_interrupted_deploy_is_settled_first(stack: Stack, verb: str) -> None:
    (stack.home / "pending").symlink_to(f"releases/{ID}")
    assert stack.go(verb) == 76
    assert stack.end == f"refused 76 release {ID} was interrupted"


def test_what_was_deployed_meanwhile_is_not_started(stack: Stack) -> None:
    assert stack.go("start", base=ID) == 77
    (stack.home / "current").unlink()
    assert stack.go("start") == 77
    assert stack.up == []


def test_a_hold_holds_a_start_and_no_stop(stack: Stack) -> None:
    (stack.there / "db").write_text("good")
    (stack.root / "deploy/hold").write_text("2026-02-26T23:04:00Z\tann\tkernel upgrade\n")
    assert stack.go("start", steps="web") == 78
    assert "kernel upgrade" in stack.end
    assert stack.go("stop") == 0
    assert stack.up == []


def test_an_env_file_that_is_gone_is_a_refusal(stack: Stack) -> None:
    (stack.home / "releases" / BASE / "envs").write_text(f"{stack.root}/web.env\n")
    assert stack.go("start") == 78
    assert stack.end == f"refused 78 env file {stack.root}/web.env is missing"
    assert stack.up == []


def test_a_stop_takes_the_last_first_and_its_networks(stack: Stack) -> None:
    for name in ("db", "web", "others"):
        (stack.there / name).write_text("good")
    assert stack.go("stop") == 0
    assert (stack.up, stack.end) == (["others"], "ok 0"), "several stacks may share one project"
    assert [line for line in stack.told if line.startswith("service_removed")] == [
        "service_removed web", "service_removed db",
    ]  # fmt: skip
    assert (stack.root / "networks-gone").read_text() == "web_default\n"
    calls = (stack.root / "calls").read_text()
    assert " -v" not in calls and "volume" not in calls, "data is nobody's to touch"
    assert stack.untouched()


def test_a_stop_of_nothing_is_unchanged(stack: Stack) -> None:
    assert stack.go("stop") == 0
    assert stack.end == "unchanged 0"


def test_a_stop_without_a_release_stops_what_others_have_started(stack: Stack) -> None:
    (stack.home / "current").unlink()
    (stack.there / "web").write_text("good")
    assert stack.go("stop") == 0
    assert stack.up == []


def test_a_stop_that_leaves_something_says_what_and_can_be_repeated(stack: Stack) -> None:
    (stack.there / "web").write_text("good")
    (stack.root / "stuck").touch()
    assert stack.go("stop") == 1
    assert stack.end == "failed 1 still there: web"
    (stack.root / "stuck").unlink()
    (stack.home / "runs" / RUN / "status").unlink()
    assert stack.go("stop") == 0
    assert stack.up == []


def test_one_that_no_laptop_asks_for_makes_its_own_folder(stack: Stack) -> None:
    (stack.there / "web").write_text("good")
    argv = [*stack._argv(runner_script(), "stop", "auto")]
    done = subprocess.run(argv, capture_output=True, env=stack.environment(), timeout=60)
    assert (done.returncode, stack.up) == (0, [])
    (folder,) = (stack.home / "runs").iterdir()
    told = dict(line.split("=", 1) for line in (folder / "manifest").read_text().splitlines())
    assert (told["id"], told["kind"], told["by"]) == (folder.name, "stop", "me")
    assert (folder / "status").read_text() == "ok 0 \n"


def test_ten_runs_are_kept(stack: Stack) -> None:
    for number in range(14):
        (stack.home / f"runs/20250101T0000{number:02d}-0001").mkdir(parents=True)
    assert stack.go("stop") == 0
    kept = sorted(it.name for it in (stack.home / "runs").iterdir())
    assert len(kept) == 10
    assert kept[-1] == RUN
    assert kept[0] == "20250101T000005-0001"


def test_a_start_that_is_killed_is_taken_down_by_what_minds_it(stack: Stack) -> None:
    (stack.there / "db").write_text("good")
    (stack.root / "slow").touch()
    journal = stack.home / "runs" / RUN / "journal"
    with stack.begin("start", steps="web") as runner:
        until(lambda: journal.exists() and "step_started" in journal.read_text())
        os.killpg(runner.pid, signal.SIGKILL)  # the Compose that it waits for goes on, and with it the lock
    until(lambda: (journal.parent / "status").exists())
    assert stack.end == "reverted 2 the start was killed"
    assert stack.up == ["db"], "it was there before; what the Compose of the dead one had brought is gone"
    assert stack.untouched()


def test_a_start_that_came_to_its_end_is_left_alone_by_what_minds_it(stack: Stack) -> None:
    assert stack.go("start") == 0
    argv = [*stack._argv(runner_script(), "mind", RUN), "2147483646"]
    assert subprocess.run(argv, capture_output=True, env=stack.environment(), timeout=60).returncode == 0
    assert (stack.up, stack.end) == (["db", "web"], "ok 0")
