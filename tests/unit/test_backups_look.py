"""What a host tells of its backups: the script for real, hostile answers, and what each of them means."""

from __future__ import annotations

import os
import re
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.fleet.stackspec import Fresh
from vpai_tui.upkeep.backups import look as looking
from vpai_tui.upkeep.backups.findings import CHECKS, findings, rows
from vpai_tui.upkeep.backups.look import Place, at_of, read_look
from vpai_tui.upkeep.backups.model import HostBackups
from vpai_tui.upkeep.backups.record import read_run

TOP = Path(__file__).parents[2]
NOW = 1_772_100_000  # 2026-02-26T10:00:00Z
DUMPS = Fresh(glob="backups/pg_dump/*.dump", max_age_s=93600, min_size_bytes=500, dump_of="postgresql")
REDIS = Fresh(glob="backups/redis/*.rdb", max_age_s=93600, min_size_bytes=50, dump_of="redis")
PLACE = Place("sese", (("sese/infra", DUMPS), ("sese/infra", REDIS)), "sese/backups", "postgresql", "", 3.0)
RUN = """2026-02-26T01:55:00Z\tbegun\t20260226T015500Z\tschedule\t-
2026-02-26T01:55:04Z\tstep\tpg_dump/n8n\tok\t4\t9000\tn8n-20260226T015500Z.dump\t
2026-02-26T01:55:05Z\tstep\tredis/redis\tok\t1\t2000\tdump-20260226T015500Z.rdb\t
2026-02-26T01:55:06Z\theartbeat\t-\tsent\t
2026-02-26T01:55:06Z\tfinished\t20260226T015500Z\tok\t0
"""
RESTORED = "2026-02-20T01:55:06Z\tfinished\tn8n\tok\t41\t18220\t7\tn8n-20260219T015500Z.dump\t\n"


def copy(place: int, name: str, hours: float, size: int) -> str:
    return f"file\t{place}\t{int(NOW - hours * 3600)}\t{size}\t{name}\n"


WELL = (
    f"now\t{NOW}\nglob\t0\t2\n"
    + copy(0, "backups/pg_dump/n8n-20260226T015500Z.dump", 8, 9000)
    + copy(0, "backups/pg_dump/n8n-20260225T015500Z.dump", 32, 8900)
    + "glob\t1\t1\n"
    + copy(1, "backups/redis/dump-20260226T015500Z.rdb", 8, 2000)
    + "".join(f"line\tlast-run\t{line}\n" for line in RUN.splitlines())
    + f"line\trestore\t{RESTORED}lock\tfree\nheartbeat\tset\ndatabase\tn8n\tn8n\nend\n"
)


def told(text: str, place: Place = PLACE) -> HostBackups:
    return read_look(text.encode(), place, 100.0)


def found(text: str, check: str) -> list[Finding]:
    return [it for it in findings(told(text)) if it.check == check]


def one(text: str, check: str) -> tuple[str, str]:
    got = found(text, check)
    assert len(got) == 1, got
    return got[0].standing.value, got[0].detail


def without(text: str, *starts: str) -> str:
    return "".join(line + "\n" for line in text.splitlines() if not line.startswith(starts))


def test_a_good_night_is_told_as_one() -> None:
    got = findings(told(WELL))
    assert {it.check for it in got} == set(CHECKS)
    assert {it.standing for it in got} == {Standing.OK}
    assert [(row.kind, row.subject, row.copies) for row in rows(told(WELL))] == [
        ("pg_dump", "n8n", 2),
        ("redis", "dump", 1),
    ]
    assert round(rows(told(WELL))[0].restored_age_s or 0) == NOW - 1_771_552_506


@pytest.mark.parametrize(
    ("change", "check", "standing", "detail"),
    [
        (lambda it: it.replace("\t9000\tbackups", "\t0\tbackups"), "pg-dump", "error", "0 bytes, less than 500"),
        (lambda it: it.replace(str(NOW - 8 * 3600), str(NOW - 30 * 3600)), "pg-dump", "error", "1d6h old, more"),
        (lambda it: without(it, "file\t0"), "pg-dump", "error", "no dump at all: nothing matches"),
        (lambda it: it.replace("database\tn8n\tn8n", "database\tn8n\tn8n\ndatabase\tnew\tnew"), "pg-coverage", "error",
         "no dump covers this database"),
        (lambda it: it.replace("database\tn8n\tn8n", "no-databases\tpostgresql does not run"), "pg-coverage", "unknown",
         "the server was not asked: postgresql does not run"),
        (lambda it: without(it, "database"), "pg-coverage", "error", "the server names no database"),
        (lambda it: without(it, "line\tlast-run"), "backup-steps", "error", "it has never run"),
        (lambda it: it.replace("redis\tok\t1\t2000\tdump-20260226T015500Z.rdb\t", "redis\tfailed\t1\t0\t\tno"),
         "backup-steps", "error", "no"),
        (lambda it: it.replace("line\trestore\t2026-02", "line\trestore\t2025-02"), "restore-test", "warn", "ago"),
        (lambda it: without(it, "line\trestore"), "restore-test", "warn", "a restore was never tried"),
        (lambda it: it.replace("n8n\tok\t41", "n8n\tfailed\t0"), "restore-test", "error", "the last one failed"),
        (lambda it: it.replace("heartbeat\tset", "heartbeat\tunset"), "heartbeat", "error", "not configured"),
        (lambda it: it.replace("heartbeat\t-\tsent\t", "heartbeat\t-\tfailed\tanswers 404"), "heartbeat", "error",
         "failed: answers 404"),
        (lambda it: it.replace("heartbeat\t-\tsent\t", "heartbeat\t-\tmissing\t"), "heartbeat", "error",
         "not configured for the last run 8h04 ago"),
        (lambda it: without(it, "file\t1"), "backup-steps", "error", "nothing matches backups/redis"),
        (lambda it: it.replace("\t2000\tbackups/redis", "\t4\tbackups/redis"), "backup-steps", "error",
         "4 bytes, less than 50"),
    ],
)  # fmt: skip
def test_each_way_in_which_it_goes_wrong(change: object, check: str, standing: str, detail: str) -> None:
    assert callable(change)
    assert change(WELL) != WELL
    got = [it for it in found(change(WELL), check) if it.standing is not Standing.OK]
    assert len(got) == 1, got
    assert got[0].standing.value == standing
    assert detail in got[0].detail


def test_a_run_that_was_ended_in_the_middle_and_one_that_goes_on() -> None:
    begun = "line\tjournal\t2026-02-26T09:00:00Z\tbegun\t20260226T090000Z\tann\ttoken\n"
    text = WELL.replace("lock\tfree", begun + "lock\tfree")
    assert "ended in the middle" in found(text, "backup-steps")[0].detail
    text = WELL.replace("lock\tfree", begun + "lock\theld")
    assert one(text, "backup-steps")[0] == "ok"
    ended = WELL.replace("lock\tfree", "lock\theld\n" + begun + "lock\tfree")
    assert one(ended, "backup-steps")[0] == "ok", "it ended between two looks at the lock"
    running = told(text).running
    assert running is not None
    assert running.by == "ann"


def test_growth_and_what_cannot_be_removed() -> None:
    old = copy(1, "backups/redis/dump-20260201T015500Z.rdb", 24 * 9, 2000)
    text = WELL.replace("lock\tfree", old + "lock\tfree")
    assert ("warn", "dump-20260201T015500Z.rdb is 9d0h old, kept for 3 days") in [
        (it.standing.value, it.detail) for it in found(text, "backup-growth")
    ]
    assert {it.standing for it in findings(replace(told(text), keep_days=None)) if it.check == "backup-growth"} == {
        Standing.OK
    }
    big = copy(0, "backups/pg_dump/n8n-20260226T020000Z.dump", 7, 40 << 20)
    grown = WELL.replace("glob\t0\t2\n", "glob\t0\t3\n" + big)
    assert any("of the last day are 40 MiB" in it.detail and it.bad for it in found(grown, "backup-growth"))
    old = copy(0, "backups/pg_dump/n8n-20260225T020000Z.dump", 31, 39 << 20)
    again = copy(0, "backups/pg_dump/n8n-20260226T040000Z.dump", 6, 41 << 20)
    twice = WELL.replace("glob\t0\t2\n", f"glob\t0\t5\n{again}{big}{old}")
    assert not [it for it in found(twice, "backup-growth") if it.bad], "a second run on one day is no growth"
    at = "line\tcleanup\t2026-02-26T03:00:00Z"
    stuck = f"{at}\tstuck\tredis/x.rdb\tdenied\n{at}\tfinished\t-\tfailed\t1\n"
    assert any(
        "could not be removed: denied" in it.detail
        for it in found(WELL.replace("lock\tfree", stuck + "lock\tfree"), "backup-growth")
    )


def test_a_dropped_database_is_no_alarm() -> None:
    gone = copy(0, "backups/pg_dump/gone-20250101T015500Z.dump", 24 * 300, 9000)
    text = WELL.replace("glob\t1", gone + "glob\t1")
    assert one(text, "pg-coverage")[0] == "ok"
    assert one(text, "pg-dump")[0] == "ok"
    assert [(row.subject, row.standing.value) for row in rows(told(text))][1] == ("gone", "ok")


def test_zerobyte_and_what_others_write() -> None:
    place = Place(
        "seko", (("seko/services", Fresh(glob="data/obsidian-vault/*/*.md", max_age_s=93600)),), zerobyte="zerobyte"
    )
    text = (
        f"now\t{NOW}\nglob\t0\t1\n" + copy(0, "data/obsidian-vault/a/b.md", 30, 10) + "job\tdb\tdb\ts3\t1\t\t\t\nend\n"
    )
    got = {it.subject: (it.standing.value, it.detail) for it in findings(told(text, place))}
    unseen = got.pop("Zerobyte")
    assert unseen[0] == "unknown"
    assert "how much its snapshots hold is not in its database" in unseen[1]
    assert got == {
        "data/obsidian-vault/*/*.md": ("error", "1d6h old, more than 1d2h"),
        "Zerobyte db": ("error", "has never run"),
    }
    cut = text.partition("job")[0] + "no-jobs\tbun: not found\nend\n"
    assert [it.standing.value for it in findings(told(cut, place))] == ["error", "unknown", "unknown"]


@pytest.mark.parametrize(
    ("hours", "rest", "standing", "detail"),
    [
        (2, f"success\t\t{(NOW + 22 * 3600) * 1000}\tmounted", "ok", "2h00 ago: success"),
        (2, "success\t", "ok", "2h00 ago: success"),  # of a version that does not tell what comes next
        (30, "success\t", "error", "the last one was 1d6h ago"),
        (30, f"success\t\t{(NOW - 6 * 3600) * 1000}\tmounted", "error", "was due 6h00 ago and has not begun"),
        (5 * 24, f"success\t\t{(NOW + 48 * 3600) * 1000}\tmounted", "ok", "5d0h ago: success"),  # once a week
        (2, f"success\t\t{(NOW + 22 * 3600) * 1000}\terror", "error", "db cannot be read"),
        (2, f"error\tno such host\t{(NOW + 22 * 3600) * 1000}\tmounted", "error", "no such host"),
    ],
)
def test_how_a_schedule_of_zerobyte_stands(hours: int, rest: str, standing: str, detail: str) -> None:
    place = Place("seko", (), zerobyte="zerobyte")
    line = f"job\tdb\tdb\ts3\t1\t{(NOW - hours * 3600) * 1000}\t{rest}\n"
    (got,) = [it for it in findings(told(f"now\t{NOW}\n{line}end\n", place)) if it.subject == "Zerobyte db"]
    assert got.standing.value == standing
    assert detail in got.detail


def test_a_schedule_without_a_volume_takes_nothing_away() -> None:
    text = f"now\t{NOW}\njob\tdb\t\ts3\t1\t{NOW * 1000}\tsuccess\t\nend\n"
    (got,) = [it for it in findings(told(text, Place("seko", (), zerobyte="zerobyte"))) if it.subject == "Zerobyte db"]
    assert (got.standing.value, got.detail) == ("error", "it has no volume: nothing is taken away")


def test_it_is_not_said_that_a_dump_was_read_which_the_last_run_did_not_make() -> None:
    assert one(WELL, "pg-dump")[1].endswith("read by pg_restore to its end")
    other = WELL.replace("backups/pg_dump/n8n-20260226T015500Z.dump", "backups/pg_dump/n8n-20260226-0255.dump")
    assert one(other, "pg-dump")[0] == "ok"
    assert one(other, "pg-dump")[1].endswith("not of the last run: whether it can be read is not known")


@pytest.mark.parametrize("raw", [b"", b"end\n", WELL.encode()[:-5], WELL.encode().replace(b"now\t", b"now\tx")])
def test_a_cut_answer_is_an_error(raw: bytes) -> None:
    with pytest.raises(OperatorError, match="the answer is cut"):
        read_look(raw, PLACE, 0.0)


@given(st.lists(st.sampled_from(WELL.encode().splitlines()) | st.binary(max_size=60), max_size=40))
def test_whatever_a_host_says_there_are_findings(lines: list[bytes]) -> None:
    raw = b"\n".join([b"now\t1772100000", *(line.replace(b"\n", b"") for line in lines), b"end"]) + b"\n"
    for it in findings(read_look(raw, PLACE, 0.0)):
        assert it.detail.isprintable()
        assert it.check in CHECKS


def test_secrets_and_controls_of_a_reason_do_not_get_in() -> None:
    run = read_run(
        RUN.replace("ok\t4\t9000", "failed\t4\t9000")
        .replace(".dump\t\n", ".dump\t\x1b]52;c;x\x07 password=hunter22\n", 1)
        .encode()
    )
    assert run is not None
    assert run.steps[0].reason.isprintable()
    assert "hunter22" not in run.steps[0].reason


def test_the_server_is_asked_as_the_script_asks_it() -> None:
    text = (TOP / "stacks/sese/backups/configs/backups/scripts/postgresql.sh").read_text()
    safe = re.search(r'SAFE_NAME="(.*?)"\n', text, re.S)
    assert safe is not None
    assert " ".join(safe[1].replace("\\$", "$").split()) == " ".join(looking.SAFE_NAME.split())
    assert f"THROWN_AWAY='{looking.THROWN_AWAY}'" in text


def test_times() -> None:
    assert at_of("2026-02-26T10:00:00Z") == NOW
    assert at_of("yesterday") is None


# ── the script ───────────────────────────────────────────────────────────────────────────────────────────────────────

DOCKER = """#!/bin/sh
[ ! -e "$0.dead" ] || { echo 'Cannot connect' >&2; exit 1; }
case $1 in
  ps) echo id ;;
  exec) printf 'n8n\\tn8n\\n' ;;
esac
"""


def script(folder: Path, *globs: str, env: str = "backups.env") -> bytes:
    (folder / "bin").mkdir(exist_ok=True)
    program = folder / "bin" / "docker"
    program.write_text(DOCKER)
    program.chmod(0o755)
    source = (TOP / "src/vpai_tui/upkeep/backups/look.sh").read_bytes()
    argv = ["sh", "-s", "--", str(folder), str(program), env, "postgresql", "-", *globs]
    environ = {"PATH": os.environ["PATH"], "SQL": "SELECT", "JS": ""}
    done = subprocess.run(argv, input=source, env=environ, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    return done.stdout


def test_the_script_finds_files_records_and_the_server(tmp_path: Path) -> None:
    dumps = tmp_path / "backups/pg_dump"
    (tmp_path / "backups/status/restore").mkdir(parents=True)
    dumps.mkdir()
    for number in range(3):
        (dumps / f"n8n-2026022{number}T015500Z.dump").write_bytes(b"x" * (600 + number))
        os.utime(dumps / f"n8n-2026022{number}T015500Z.dump", (time.time() - (9 - number) * 3600,) * 2)
    (dumps / "a b\tc.dump").write_text("")
    (tmp_path / "backups/status/last-run").write_text(RUN)
    (tmp_path / "backups/status/restore/n8n").write_text(RESTORED)
    (tmp_path / "backups.env").write_text("# address\nHEARTBEAT_URL=https://monitor/S3cret\n")
    raw = script(tmp_path, DUMPS.glob, REDIS.glob)
    assert b"S3cret" not in raw
    got = read_look(raw, PLACE, 0.0)
    assert abs(got.now_s - time.time()) < 20
    assert [kept.count for kept in got.kept] == [4, 0]
    assert sorted(got.kept[0].by_subject()) == ["a b c", "n8n"]
    assert [copy.size_bytes for copy in got.kept[0].by_subject()["n8n"]] == [602, 601, 600]
    assert (got.databases, got.heartbeat_set, got.running) == ((looking.Database("n8n", "n8n"),), True, None)
    assert got.run is not None
    assert got.run.ok
    assert got.restores["n8n"].rows == 18220
    (tmp_path / "bin/docker.dead").touch()
    (tmp_path / "backups.env").write_text("HEARTBEAT_URL=\n")
    with subprocess.Popen(
        ["flock", str(tmp_path / "backups/status/lock"), "-c", "echo; exec sleep 20"], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        (tmp_path / "backups/status/journal").write_text(RUN.splitlines()[0].replace("015500", "025500") + "\n")
        got = read_look(
            script(tmp_path, DUMPS.glob), Place("sese", PLACE.entries[:1], "sese/backups", "postgresql"), 0.0
        )
        holder.kill()
    assert got.running is not None
    assert (got.databases, got.heartbeat_set) == (None, False)
    assert got.databases_error == "Docker does not answer"


def test_a_host_without_anything(tmp_path: Path) -> None:
    got = read_look(script(tmp_path, DUMPS.glob, REDIS.glob), PLACE, 0.0)
    assert (got.run, got.heartbeat_set, [kept.count for kept in got.kept]) == (None, False, [0, 0])
    assert {it.check for it in findings(got) if it.standing is Standing.ERROR} == {
        "pg-dump",
        "pg-coverage",
        "backup-steps",
        "heartbeat",
    }
