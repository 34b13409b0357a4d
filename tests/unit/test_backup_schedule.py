"""When the backup's container runs what, what its healthcheck says, and its heartbeat; without databases."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "stacks/sese/backups/configs/backups/scripts"
SHELLS = [name for name in ("sh", "bash") if shutil.which(name)]
OK = "2026-02-26T01:55:00Z\tfinished\t20260226T015500Z\tok\t0\n"


def environ(folder: Path, **more: str) -> dict[str, str]:
    (folder / "backups/status").mkdir(parents=True, exist_ok=True)
    found = {"PATH": os.environ["PATH"], "BACKUPS": str(folder / "backups"), "ALIVE": str(folder / "alive")}
    return {**found, "TMPDIR": str(folder), **more}


def copies(folder: Path) -> Path:
    """The schedule beside two jobs that only note that they were begun."""
    scripts = folder / "scripts"
    scripts.mkdir()
    for name in ("common.sh", "schedule.sh"):
        shutil.copy(SCRIPTS / name, scripts / name)
    for name in ("pre-backup.sh", "backup-cleanup.sh"):
        (scripts / name).write_text(f'echo "{name} $*" >>"$BACKUPS/begun"\n')
    return scripts


def clock(folder: Path, at: str) -> Path:
    """A `date` whose day and time of day stand still; seconds since the epoch go on."""
    day, time_of_day = at.split("T")
    program = folder / "bin" / "date"
    program.parent.mkdir(exist_ok=True)
    program.write_text(
        f'#!/bin/sh\ncase $1 in +%Y%m%d) echo {day} ;; +%H%M) echo {time_of_day} ;; *) exec /bin/date "$@" ;; esac\n'
    )
    program.chmod(0o755)
    return program.parent


def scheduled(folder: Path, at: str, *, last: str = "", seconds: float = 0.6, **more: str) -> list[str]:
    """What the schedule begins within a moment, at a time of day, after a `last` run of both."""
    scripts = folder / "scripts" if (folder / "scripts").exists() else copies(folder)
    env = environ(folder, EVERY_S="0.1", **more)
    env["PATH"] = f"{clock(folder, at)}:{env['PATH']}"
    for name in ("backup", "cleanup"):
        if last:
            (folder / "backups/status" / f"{name}.day").write_text(last + "\n")
    begun = folder / "backups/begun"
    begun.unlink(missing_ok=True)
    with subprocess.Popen(["sh", str(scripts / "schedule.sh")], env=env) as process:
        time.sleep(seconds)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    return begun.read_text().splitlines() if begun.exists() else []


def test_each_job_runs_once_a_day_at_its_time(tmp_path: Path) -> None:
    assert scheduled(tmp_path, "20260226T0254", last="20260225") == []
    assert scheduled(tmp_path, "20260226T0255", last="20260225") == ["pre-backup.sh schedule 7200"]
    assert scheduled(tmp_path, "20260226T0256") == []
    assert scheduled(tmp_path, "20260226T0400") == ["backup-cleanup.sh schedule 7200"]
    # the hour that a change to summer time leaves out
    done = scheduled(tmp_path, "20260329T0300", last="20260328", CATCH_UP_S="0")
    assert done == ["pre-backup.sh schedule 7200"]


def test_what_was_missed_is_made_good_but_not_at_once(tmp_path: Path) -> None:
    assert scheduled(tmp_path, "20260226T1500", last="20260225") == []
    done = scheduled(tmp_path, "20260226T1500", last="20260225", CATCH_UP_S="0")
    assert done == ["pre-backup.sh schedule 7200", "backup-cleanup.sh schedule 7200"]


def test_the_first_night_is_waited_for(tmp_path: Path) -> None:
    assert scheduled(tmp_path, "20260226T1500", CATCH_UP_S="0") == []
    shutil.rmtree(tmp_path / "backups")
    assert scheduled(tmp_path, "20260226T0100", CATCH_UP_S="0") == []
    assert scheduled(tmp_path, "20260226T0255", CATCH_UP_S="0") == ["pre-backup.sh schedule 7200"]


# ── healthcheck ──────────────────────────────────────────────────────────────────────────────────────────────────────


def health(folder: Path, shell: str, **more: str) -> str:
    """What it complains of; empty when healthy."""
    done = subprocess.run(
        [shell, str(SCRIPTS / "healthcheck.sh")],
        env=environ(folder, **more),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == (done.stderr == ""), done
    return done.stderr.strip()


def awake(folder: Path, *, since: float = 7200, seen: float = 5) -> None:
    (folder / "alive.since").write_text(f"{int(time.time() - since)}\n")
    (folder / "alive").write_text(f"{int(time.time() - seen)}\n")


def ran(folder: Path, text: str, age_s: float = 60) -> None:
    path = folder / "backups/status/last-run"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (time.time() - age_s,) * 2)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_healthcheck_looks_at_the_schedule_and_the_last_run(tmp_path: Path, shell: str) -> None:
    assert health(tmp_path, shell).endswith("the schedule has not begun")
    awake(tmp_path)
    assert health(tmp_path, shell) == ""  # nothing was due yet
    ran(tmp_path, OK)
    assert health(tmp_path, shell) == ""
    ran(tmp_path, OK.replace("\tok\t0", "\tfailed\t2"))
    assert health(tmp_path, shell) == "the last run failed: vpai-tui backups"
    ran(tmp_path, "")
    assert health(tmp_path, shell) == "the last run failed: vpai-tui backups"
    ran(tmp_path, OK.replace("\tok\t0", "\tfailed\t2"), age_s=9000)
    assert health(tmp_path, shell) == "", "of before this start: what mends it must come through a deploy"
    awake(tmp_path, since=200_000)
    ran(tmp_path, OK, age_s=100_000)
    assert health(tmp_path, shell) == "the last run is too old"
    ran(tmp_path, OK, age_s=300_000)
    assert health(tmp_path, shell) == "no run since the start, and one was due"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_schedule_that_sleeps_is_told_unless_a_run_is_under_way(tmp_path: Path, shell: str) -> None:
    awake(tmp_path, seen=1000)
    assert health(tmp_path, shell) == "the schedule sleeps"
    lock = tmp_path / "backups/status/lock"
    with subprocess.Popen(["flock", str(lock), "-c", "echo; exec sleep 20"], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert health(tmp_path, shell) == ""
        holder.kill()
    shutil.rmtree(tmp_path / "backups")
    (tmp_path / "backups").write_text("in the way")
    awake(tmp_path)
    done = subprocess.run(
        [shell, str(SCRIPTS / "healthcheck.sh")],
        env={"PATH": os.environ["PATH"], "BACKUPS": str(tmp_path / "backups"), "ALIVE": str(tmp_path / "alive")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "cannot be written" in done.stderr


# ── heartbeat ────────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def monitor(answer: bytes, context: ssl.SSLContext | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """One listener; what it was asked."""
    asked: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            channel, _ = listener.accept()
            channel = context.wrap_socket(channel, server_side=True) if context else channel
            with channel:
                told = b""
                while b"\r\n\r\n" not in told and (more := channel.recv(4000)):
                    told += more
                asked.append(told)
                channel.sendall(answer)
        except OSError:
            return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1], asked
    finally:
        listener.close()
        thread.join(5)


BEAT = 'HERE=$1; . "$HERE/common.sh"; . "$HERE/heartbeat.sh"; if send_heartbeat; then echo sent; else echo "$WHY"; fi'


def beat(folder: Path, url: str) -> tuple[str, str]:
    """What became of it, and every command line that was made for it."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    for name in ("nc", "ssl_client"):
        (programs / name).unlink(missing_ok=True)
        real = shutil.which("busybox")
        (programs / name).write_text(f'#!/bin/sh\nprintf "%s\\n" "{name} $*" >>"$NOTES"\nexec {real} {name} "$@"\n')
        (programs / name).chmod(0o755)
    env = environ(folder, HEARTBEAT_URL=url, HEARTBEAT_OPEN_S="0.2", NOTES=str(folder / "notes"))
    env["PATH"] = f"{programs}:{env['PATH']}"
    done = subprocess.run(["sh", "-c", BEAT, "-", str(SCRIPTS)], env=env, capture_output=True, text=True, check=False)
    return done.stdout.strip(), (folder / "notes").read_text() if (folder / "notes").exists() else ""


needs_busybox = pytest.mark.skipif(shutil.which("busybox") is None, reason="busybox is not installed")


@needs_busybox
def test_the_heartbeat_is_sent_and_its_address_is_no_argument(tmp_path: Path) -> None:
    with monitor(b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"ok":true}') as (port, asked):
        said, lines = beat(tmp_path, f"http://127.0.0.1:{port}/api/push/S3cret?status=up&msg=OK")
    assert said == "sent"
    assert asked[0].startswith(b"GET /api/push/S3cret?status=up&msg=OK HTTP/1.0\r\n")
    assert f"\r\nHost: 127.0.0.1:{port}\r\n".encode() in asked[0]
    assert lines
    assert "S3cret" not in lines


@needs_busybox
def test_the_heartbeat_goes_through_tls(tmp_path: Path) -> None:
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    argv += ["-subj", "/CN=localhost", "-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "cert")]
    subprocess.run(argv, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")  # busybox's own TLS knows few; the image's is LibreSSL's
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    with monitor(b"HTTP/1.1 200 OK\r\n\r\nok", context) as (port, asked):
        said, lines = beat(tmp_path, f"https://localhost:{port}/ping/S3cret")
    assert (said, asked and asked[0].split(b"\r\n")[0]) == ("sent", b"GET /ping/S3cret HTTP/1.0")
    assert "S3cret" not in lines
    assert "ssl_client -s 3 -n localhost" in lines


@needs_busybox
def test_a_heartbeat_that_does_not_arrive_says_why(tmp_path: Path) -> None:
    with monitor(b"HTTP/1.1 404 Not Found\r\n\r\n") as (port, _):
        assert beat(tmp_path, f"http://127.0.0.1:{port}/x")[0] == "the monitor answers 404 Not Found"
    assert beat(tmp_path, f"http://127.0.0.1:{port}/S3cret")[0] == f"the monitor does not answer on port {port}"
    for url in ("S3cret", "ftp://x/S3cret", "http://a b/S3cret", "http://h:x/S3cret", "http://"):
        said = beat(tmp_path, url)[0]
        assert said.startswith("HEARTBEAT_URL")
        assert "S3cret" not in said
