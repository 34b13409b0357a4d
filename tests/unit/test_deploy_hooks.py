"""`before` and `after` commands on a host, run by the runner as it is shipped, with a stand-in for the engine."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from runner_host import BASE, ID, Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    (made.release / "steps").write_text("up\tweb\tservice\t5\t-\n")
    made.say(ENGINE)
    return made


# It notes what it is told, runs what an exec or a one-off is to run, and has one healthy container of `web`.
ENGINE = r"""echo "$*" >>"$0.told"
case $* in
  *" --entrypoint sh web -c "*) for last; do :; done; sh -c "$last" ;;
  "exec "*) shift 4; "$@" ;;
  "ps -a --no-trunc"*) printf 'abc\tweb-1\trunning\tweb\th\timg\n' ;;
  "ps -aq --no-trunc --filter label=vpai.hook=web") cat "$0.left" 2>/dev/null ;;
  "ps -aq"*) echo abc ;;
  inspect*) echo "running healthy 0 0" ;;
esac"""


STUBBORN = "trap '' TERM; while :; do sleep 0.1; done"


def told(host: Host) -> str:
    return Path(f"{host.engine}.told").read_text()


def hooks(host: Host) -> list[str]:
    return [line for line in host.journal if line.startswith(("hook", "dump"))]


def test_commands_run_once_each_around_the_steps_on_the_host_and_in_containers(host: Host) -> None:
    host.hook("before", 'echo "host $PWD $STACK" >>"$ROOT/ran"')
    host.hook("before", f"echo new >>{host.root}/ran", service="web", container="new")
    host.hook("before", f"echo running >>{host.root}/ran", service="web", container="running")
    host.hook("after", f"echo after >>{host.root}/ran; exit 0")
    assert host.run() == 0
    assert (host.root / "ran").read_text() == f"host {host.root} web\nnew\nrunning\nafter\n"
    assert [line.split("\t")[:2] for line in hooks(host)] == [
        [event, name]
        for name in ("before 1", "before 2", "before 3", "after 1")
        for event in ("hook_started", "hook_done")
    ]
    order = [line.split("\t")[0] for line in host.journal]
    assert order.index("step_started") > order.index("hook_done")
    assert order[-3:] == ["hook_started", "hook_done", "finished"]
    assert "run --rm --no-deps -T -l vpai.hook=web" in told(host)
    assert f"exec -e VPAI_HOOK={host.release} abc sh -c" in told(host)


@pytest.mark.parametrize(
    ("command", "timeout_s", "why"),
    [
        ("echo no; echo way out; exit 3", 10, "before 1 on the host: exit 3: way out; no container was touched"),
        ("false", 10, "before 1 on the host: exit 1; no container was touched"),
        ("sleep 30", 1, "before 1 on the host: not done after 1 s; no container was touched"),
        (STUBBORN, 1, "before 1 on the host: not done after 1 s; no container was touched"),
    ],
)
def test_a_before_that_fails_changes_nothing(host: Host, command: str, timeout_s: int, why: str) -> None:
    (host.root / "web.conf").write_text("old\n")
    host.ship("web.conf", "new\n")
    host.hook("before", command, timeout_s=timeout_s)
    host.hook("before", f"touch {host.root}/never")
    assert host.run() == 2
    assert host.status == f"reverted 2 {why}"
    assert (host.root / "web.conf").read_text() == "old\n"
    assert not (host.root / "never").exists()
    assert " up " not in told(host)
    assert os.readlink(host.home / "current") == f"releases/{BASE}"
    assert not (host.home / "pending").is_symlink()
    assert hooks(host)[-1].startswith("hook_failed\tbefore 1\ton the host: ")
    assert (host.release / "failure.log").read_text().startswith("--- last lines of before 1:\n")


def test_an_after_that_fails_takes_the_release_back_and_no_command_runs_on_the_way(host: Host) -> None:
    (host.release / "steps.revert").write_text("up\tweb\tservice\t5\t-\n")
    host.hook("before", f"echo x >>{host.root}/before")
    host.hook("after", "exit 7")
    assert host.run() == 2
    assert host.status == "reverted 2 after 1 on the host: exit 7"
    assert (host.root / "before").read_text() == "x\n"
    assert [line.split("\t")[0] for line in host.journal[-4:]] == [
        "step_started",
        "service_started",
        "service_healthy",
        "finished",
    ]


def test_a_secret_of_an_env_file_is_not_told_by_a_command_that_fails(host: Host) -> None:
    (host.root / "web.env").write_text("DB_PASSWORD=hunter2hunter2\n")
    (host.release / "envs").write_text(f"{host.root}/web.env\n")
    host.hook("before", "echo no login with hunter2hunter2; exit 1")
    assert host.run() == 2
    assert "hunter2" not in host.status + "".join(host.journal)
    assert "no login with •••" in host.status


def test_what_a_command_leaves_running_does_not_hold_the_lock(host: Host) -> None:
    host.hook("before", "sleep 300 & echo $! >left")
    assert host.run() == 0
    pid = (host.root / "left").read_text().strip()
    assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text()
    assert subprocess.run(["flock", "-n", str(host.root / "deploy/lock"), "true"]).returncode == 0


def test_a_command_in_the_running_container_of_a_service_that_has_none_yet_is_skipped(host: Host) -> None:
    host.say(ENGINE.replace("printf 'abc", "true 'abc"))
    host.hook("before", f"touch {host.root}/never", service="web", container="running")
    host.run()
    assert hooks(host) == ["hook_skipped\tbefore 1\tweb has no container yet"]
    assert not (host.root / "never").exists()


def killed_in(host: Host, mark: str) -> None:
    """The runner and all that it started are killed when the file `mark` is there."""
    host.prepare()
    runner = host.start()
    deadline = time.monotonic() + 20
    while not (host.root / mark).exists():
        assert runner.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    subprocess.run(["pkill", "-KILL", "-s", str(runner.pid)])  # `timeout` leads a group of its own
    runner.wait()


@pytest.mark.parametrize(("verb", "code", "ran"), [("resume", 0, "one\ntwo\ntwo\n"), ("revert", 2, "one\ntwo\n")])
def test_a_kill_in_a_command_is_settled_and_what_was_done_is_not_done_twice(
    host: Host, verb: str, code: int, ran: str
) -> None:
    host.hook("before", "echo one >>ran")
    host.hook("before", "echo two >>ran; [ -e go ] || { touch go; sleep 300; }")
    killed_in(host, "go")
    assert os.readlink(host.home / "pending") == f"releases/{ID}"
    Path(f"{host.engine}.left").write_text("0ne0ff\n")
    assert host.run(verb) == code
    assert (host.root / "ran").read_text() == ran
    assert "rm -f 0ne0ff" in told(host)
    assert not (host.home / "pending").is_symlink()


# -- dumps -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "allowed"),
    [
        ("head -c 500 /dev/zero >'dumps/new 1.sql'", True),
        ("head -c 5 /dev/zero >dumps/small.sql", False),
        ("mkdir dumps/folder.sql", False),
        ("mv dumps/old.sql dumps/renamed.sql", False),
        ("head -c 500 /dev/zero >dumps/new.txt", False),
        ("true", False),
    ],
)
def test_a_new_major_version_needs_a_dump_that_was_made_for_it(host: Host, command: str, allowed: bool) -> None:
    (host.root / "dumps").mkdir()
    old = host.root / "dumps/old.sql"
    old.write_bytes(b"x" * 500)
    os.utime(old, (1, 1))
    (host.release / "dumps").write_text("web 100 dumps/*.sql\n")
    (host.release / "majors").write_text("web\t17\t18\n")
    host.hook("before", command)
    assert host.run() == (0 if allowed else 78)
    if allowed:
        assert hooks(host)[-1] == f"dump_made\tweb\t{host.root}/dumps/new 1.sql (500 bytes)"
        then = (host.release / "dumps.then").read_text().split("\t")
        assert (then[0], then[2], then[4].strip()) == ("web", "500", f"{host.root}/dumps/new 1.sql")
    else:
        why = "web goes from version 17 to 18, and no dump of it was made before that; no container was touched"
        assert host.status == f"refused 78 {why}"
        assert " up " not in told(host)
        assert not (host.home / "pending").is_symlink()


# -- hold and reserve --------------------------------------------------------------------------------------------------


def test_a_held_host_refuses_a_deploy_and_lets_an_interrupted_one_be_settled(host: Host) -> None:
    (host.root / "deploy/hold").write_text("2026-02-26T23:04:00Z\tmobuone@laptop\tmoving the database\n")
    assert host.run() == 78
    assert host.status == "refused 78 held by mobuone@laptop since 2026-02-26T23:04:00Z: moving the database"
    assert not (host.release / "journal").read_text().count("begin")
    (host.home / "pending").symlink_to(f"releases/{ID}")
    assert host.run("resume") == 0


def test_the_reserve_is_real_and_made_again(host: Host) -> None:
    reserve = host.root / "deploy/reserve"
    assert host.run() == 0
    assert reserve.stat().st_size == 4 << 20
    assert reserve.stat().st_blocks * 512 >= 4 << 20
    reserve.write_bytes(b"cut")
    host.hook("before", "exit 1")
    assert host.run() == 2
    assert reserve.stat().st_size == 4 << 20


def small_disk(host: Host) -> list[str]:
    """Words before the runner: `deploy` is a file system of 70 MiB of its own, copied back when the runner ends."""
    deploy, kept = host.root / "deploy", host.root / "kept"
    mount = f"mkdir {kept} && cp -a {deploy}/. {kept} && mount -t tmpfs -o size=70m none {deploy}"
    mount += f" && cp -a {kept}/. {deploy}"
    back = f"rm -rf {kept}/* && rm -f {deploy}/fill && cp -a {deploy}/. {kept}"
    out = f"umount {deploy} && cp -a {kept}/. {deploy}"
    return ["unshare", "-m", "sh", "-c", f'{mount} && {{ "$@"; code=$?; {back} && {out}; exit $code; }}', "sh"]


@pytest.mark.skipif(os.geteuid() != 0, reason="a file system can be mounted by root only")
@pytest.mark.parametrize(("last", "outcome"), [("true", "ok 0"), ("exit 9", "reverted 2 after 1 on the host: exit 9")])
def test_a_disk_that_fills_up_keeps_the_runner_from_no_end(host: Host, last: str, outcome: str) -> None:
    (host.root / "web.conf").write_text("old\n")
    host.ship("web.conf", "new\n")
    host.hook("before", "cat /dev/zero >deploy/fill 2>/dev/null; [ -s deploy/fill ] && ! echo x >deploy/more")
    host.hook("after", last)
    host.around = small_disk(host)
    code = host.run()
    assert host.status == outcome
    assert code == (0 if outcome == "ok 0" else 2)
    assert host.journal[-1] == f"finished\t-\t{outcome}" + " " * (outcome == "ok 0")
    assert (host.root / "web.conf").read_text() == ("new\n" if code == 0 else "old\n")
    assert os.readlink(host.home / "current") == f"releases/{ID if code == 0 else BASE}"
    assert not (host.home / "pending").is_symlink()
