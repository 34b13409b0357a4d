"""What the clean-up of backups removes, keeps and tells: the script, on files alone."""

from __future__ import annotations

import os
import time
from pathlib import Path

from vpai_tui.upkeep.backups.record import read_cleanup

from . import backups_kit as kit
from .backups_kit import Machine, files


def old(path: Path, days: float, content: bytes = b"x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (time.time() - days * 86400,) * 2)


def test_clean_up_keeps_the_newest_of_each_kind(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.set_up()
    dumps = machine.backups / "pg_dump"
    old(dumps / "n8n-20260101T015500Z.dump", 9)
    old(dumps / "n8n-20260102T015500Z.dump", 8)
    old(dumps / "n8n-20260103T015500Z.dump", 7, b"")  # empty: not a good one, whatever its time
    old(dumps / "n8n-2-20260101T015500Z.dump", 9)  # another database
    old(dumps / "gone-20250101-0255.dump", 300)  # of an earlier script; the database is no more
    old(dumps / "litellm-20260108T015500Z.dump", 0.5)
    old(dumps / "litellm-20260107T015500Z.dump", 2.5)
    old(dumps / "litellm-20260101T015500Z.dump", 3.5)
    old(machine.backups / "redis" / "dump-20260101T015500Z.rdb", 30)
    done = machine.run("backup-cleanup.sh", "tester")
    assert done.returncode == 0, done.stderr
    assert files(machine, "pg_dump") == [
        "gone-20250101-0255.dump",
        "litellm-20260107T015500Z.dump",
        "litellm-20260108T015500Z.dump",
        "n8n-2-20260101T015500Z.dump",
        "n8n-20260102T015500Z.dump",
    ]
    assert files(machine, "redis") == ["dump-20260101T015500Z.rdb"]
    found = read_cleanup((machine.backups / "status/cleanup").read_bytes())
    assert found is not None
    assert (found.removed, found.stuck) == (3, ())


def test_clean_up_tells_what_it_cannot_remove(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.set_up()
    for day in range(4, 8):
        old(machine.backups / "redis" / f"dump-2026010{9 - day}T015500Z.rdb", day)
    refuses = (
        "#!/bin/bash\ncase $* in *20260104*) echo 'rm: Permission denied' >&2; exit 1 ;; esac\nexec /bin/rm \"$@\"\n"
    )
    machine.program(machine.bin / "rm", refuses)
    done = machine.run("backup-cleanup.sh", "tester", PATH=f"{machine.bin}:{kit.USUAL}")
    found = read_cleanup((machine.backups / "status/cleanup").read_bytes())
    assert found is not None
    assert done.returncode == 1
    assert found.stuck == (("redis/dump-20260104T015500Z.rdb", "rm: Permission denied"),)
    assert found.removed == 2
