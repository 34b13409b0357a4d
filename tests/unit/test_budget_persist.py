"""The script that puts litellm_config.yaml in place, as it is shipped; below a folder, the engine a stand-in."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from budget_host import Link, Place, busy

from vpai_tui.budget import persist
from vpai_tui.budget.persist import Edit
from vpai_tui.errors import (
    HostUnreachable,
    LockHeld,
    OperatorError,
    PreflightRefused,
    StalePlan,
)
from vpai_tui.fleet.operation import Event, Finished, Journaled, Outcome
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.failures import HostRefused


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_the_file_is_replaced_whole_and_the_old_one_kept(place: Place) -> None:
    inode = place.file.stat().st_ino
    copy = await persist.keep(place.link, place.edit, "ann@lap")
    assert place.file.read_text() == "cap: 3\n" and place.file.stat().st_ino != inode, "one rename"
    assert place.file.stat().st_mode & 0o777 == 0o640, "owner and mode are the file's"
    assert Path(copy).read_text() == "cap: 5\n" and place.kept == [Path(copy)]
    assert (place.root / "deploy").stat().st_mode & 0o077 == 0, "copies of a configuration are nobody else's"
    assert place.leftovers() == []
    assert (place.root / "deploy/owner").read_text().split(" ", 1)[1].startswith("budget keep by ann@lap since 2")


async def test_ten_copies_are_kept(place: Place) -> None:
    for number in range(12):
        before = place.file.read_bytes()
        await persist.keep(place.link, Edit(str(place.file), before, b"cap: 1%02d\n" % number), "ann@lap")
    assert place.file.read_text() == "cap: 111\n"
    assert [it.read_text() for it in place.kept] == [f"cap: 1{number:02d}\n" for number in range(1, 11)]


@pytest.mark.parametrize("verb", ["check", "keep"])
async def test_a_file_that_somebody_changed_meanwhile_is_left(place: Place, verb: str) -> None:
    place.file.write_text("cap: 9\n")
    with pytest.raises(StalePlan, match="changed by somebody else") as told:
        await getattr(persist, verb)(place.link, place.edit, "ann@lap")
    assert told.value.exit_code == 77
    assert place.file.read_text() == "cap: 9\n" and place.kept == [] and place.leftovers() == []


@pytest.mark.parametrize("verb", ["check", "keep"])
async def test_the_lock_of_a_deploy_is_everybodys(place: Place, verb: str) -> None:
    with busy(place.root, "pid=1 apply sese/apps by ben since now") as holder:
        with pytest.raises(LockHeld, match="apply sese/apps by ben"):
            await getattr(persist, verb)(place.link, place.edit, "ann@lap")
        holder.kill()
    assert place.file.read_text() == "cap: 5\n" and place.leftovers() == []


async def test_it_waits_for_a_runner_that_only_tidies_up(place: Place) -> None:
    holder = busy(place.root, "pid=1 tidies up after apps since now")
    with holder, subprocess.Popen(["sh", "-c", f"sleep 4; kill {holder.pid}"]):
        await persist.check(place.link, place.edit, "ann@lap")
    assert place.file.read_text() == "cap: 5\n", "a check changes nothing"


@pytest.mark.parametrize("arrived", [b"", b"cap: ", b"cap: 3\n\n"])
async def test_a_part_of_a_file_is_never_put_in_place(place: Place, arrived: bytes) -> None:
    argv = [
        "env",
        *persist._environment(place.link, place.edit, "me"),
        "sh",
        "-c",
        persist.script().decode(),
        "x",
        "keep",
    ]
    done = subprocess.run(argv, input=arrived, capture_output=True, timeout=30)
    assert (done.returncode, b"only a part" in done.stderr) == (78, True)
    assert place.file.read_text() == "cap: 5\n" and place.leftovers() == []


async def test_what_is_no_plain_file_is_refused(place: Place) -> None:
    real = place.root / "real.yaml"
    place.file.rename(real)
    place.file.symlink_to(real)
    with pytest.raises(PreflightRefused, match="no plain file"):
        await persist.keep(place.link, place.edit, "me")
    assert real.read_text() == "cap: 5\n" and place.file.is_symlink()


async def test_a_file_that_cannot_be_written_is_as_it_was(place: Place) -> None:
    (place.file.parent / ".vpai-candidate.yaml").mkdir()  # no file can be put there, not even by root
    with pytest.raises(PreflightRefused, match="it is as it was"):
        await persist.keep(place.link, place.edit, "me")
    assert place.file.read_text() == "cap: 5\n"


async def test_a_file_that_is_not_there_is_told(place: Place) -> None:
    with pytest.raises(OperatorError, match="there is no"):
        await persist.read_config(place.link, str(place.root / "none.yaml"))
    assert await persist.read_config(place.link, str(place.file)) == b"cap: 5\n"


# ── with a restart ───────────────────────────────────────────────────────────────────────────────────────────────────


async def events(run: AsyncIterator[Event]) -> tuple[list[str], Finished]:
    found = [event async for event in run]
    assert isinstance(found[-1], Finished)
    return [it.what if isinstance(it, Journaled) else it.name for it in found], found[-1]


async def test_a_restart_that_works(place: Place) -> None:
    told, end = await events(place.restart().run(place.edit))
    assert told == ["runner_started", "kept", "installed", "restarting", "restarted", "ready", "finished"]
    assert (end.outcome, end.exit_code) == (Outcome.COMMITTED, 0)
    assert (place.file.read_text(), place.restarts) == ("cap: 3\n", 1)
    assert place.file.stat().st_mode & 0o777 == 0o640 and place.leftovers() == []


async def test_a_litellm_that_does_not_come_back_gets_its_file_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persist, "READY_S", 1)
    told, end = await events(place.restart().run(replace(place.edit, after=b"cap: bad\n")))
    assert told[-5:] == ["restarted", "revert_started", "restored", "restarted", "finished"]
    assert (end.outcome, end.exit_code, end.reason) == (Outcome.REVERTED, 4, "it was not ready within 1 s")
    assert "Traceback: it cannot start" in end.output
    assert (place.file.read_text(), place.restarts) == ("cap: 5\n", 2)


async def test_a_change_that_somebody_else_made_meanwhile_is_not_taken_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persist, "READY_S", 1)
    engine = place.root / "engine"
    engine.write_text(engine.read_text().replace("cp {", "cp {") + f"[ $1 != restart ] || echo theirs >{place.file}\n")
    _, end = await events(place.restart().run(replace(place.edit, after=b"cap: bad\n")))
    assert end.outcome is Outcome.REVERT_FAILED and "it is left so" in end.reason
    assert place.file.read_text() == "theirs\n"


@pytest.mark.parametrize("case", ["changed", "locked", "not ready"])
async def test_what_cannot_be_restarted_is_refused_and_nothing_done(place: Place, case: str) -> None:
    holder = None
    if case == "changed":
        place.file.write_text("cap: 9\n")
    elif case == "locked":
        holder = busy(place.root, "pid=1 apply sese/apps by ben since now")
    else:
        (place.root / "loaded").write_text("bad")
    before = place.file.read_text()
    try:
        _, end = await events(place.restart().run(place.edit))
    finally:
        if holder is not None:
            holder.kill()
            holder.communicate()
    assert (end.outcome, end.exit_code) == (Outcome.REFUSED, {"changed": 77, "locked": 75, "not ready": 78}[case])
    assert (place.file.read_text(), place.restarts) == (before, 0)


async def test_a_script_that_cannot_begin_is_told_at_once(place: Place) -> None:
    (place.root / "deploy").write_text("in the way")
    told, end = await events(place.restart().run(place.edit))
    assert (told, end.outcome, end.exit_code) == (["runner_started", "finished"], Outcome.REFUSED, 78)
    assert end.reason.startswith("nothing was changed: mkdir: ")
    assert (place.file.read_text(), place.restarts) == ("cap: 5\n", 0)


async def test_a_run_that_was_killed_is_taken_back_by_what_guards_it(place: Place) -> None:
    """Killed between the rename and the restart."""
    home = place.root / "deploy/budget/20260101T000000-aa"
    home.mkdir(parents=True)
    (home / "before").write_text("cap: 5\n")
    (home / "new").write_text("cap: 3\n")
    place.file.write_text("cap: 3\n")
    program = place.root / "run.sh"
    program.write_bytes(persist.script())
    words = [*persist._environment(place.link, place.edit, "me"), f"DOCKER={place.root}/engine", "CONTAINER=c"]
    words += ["ASK=x", "READY=/health/readiness", "READY_S=5"]
    done = subprocess.run(["env", *words, "sh", str(program), "guard", home.name, "2147483646"], timeout=30)
    assert done.returncode == 4
    assert (home / "status").read_text() == "reverted 4 it was killed in the middle\n"
    assert (place.file.read_text(), place.restarts) == ("cap: 5\n", 1)


async def test_a_link_that_breaks_is_made_again_and_the_end_is_told(place: Place) -> None:
    second = Link(place.root)

    async def fresh() -> Connection:
        return second  # type: ignore[return-value]

    run = place.restart(link=Link(place.root, cut=2), fresh=fresh)
    told, end = await events(run.run(place.edit))
    assert told[:4] == ["runner_started", "kept", "installed", "link_lost"]
    assert told[4:] == ["restarting", "restarted", "ready", "finished"]
    assert (end.outcome, second.closed) == (Outcome.COMMITTED, 1)


@pytest.mark.parametrize("refused", [True, False])
async def test_without_a_link_the_outcome_is_unknown(
    place: Place, monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    monkeypatch.setattr(persist, "RECONNECT_WITHIN_S", 2.0)
    asked = 0

    async def fresh() -> Connection:
        nonlocal asked
        asked += 1
        raise (HostRefused if refused else HostUnreachable)("no such key", host="here", step="auth")

    _, end = await events(place.restart(link=Link(place.root, cut=0), fresh=fresh).run(place.edit))
    assert (end.outcome, end.exit_code) == (Outcome.UNKNOWN, 79)
    assert "the host goes on by itself" in end.reason
    assert asked == (1 if refused else 3)


def test_an_edit_knows_the_file_it_was_made_for() -> None:
    edit = Edit("/f", b"a", b"b")
    assert edit.base == hashlib.sha256(b"a").hexdigest()
    assert not edit.empty and Edit("/f", b"a", b"a").empty


def test_the_script_is_one_file_with_the_lock_in_it() -> None:
    text = persist.script().decode()
    assert "' tidies up '" in text and text.index("lock()") < text.index("keep()")
    assert len(text) < 32 * 1024 and os.linesep == "\n"
