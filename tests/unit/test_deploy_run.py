"""Following a run: whose process it is, who answers the host, and ends that cannot be read."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fleet_things import stack

from vpai_tui import config
from vpai_tui.clock import SystemClock
from vpai_tui.deploy import apply
from vpai_tui.deploy.apply import Run
from vpai_tui.deploy.facts import HostFacts
from vpai_tui.deploy.host import Place
from vpai_tui.deploy.kept import differing, verified
from vpai_tui.errors import CommandFailed, HostUnreachable, LinkLost
from vpai_tui.fleet.operation import Change, ConfirmAwaited, Effect, Event, Finished, Journaled, Outcome, Plan
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.failures import HostRefused
from vpai_tui.remote.job import JournalLine, follow_command, journal_length, start_command


class Local:
    """A connection whose commands run here."""

    name = "here"
    address = "127.0.0.1"
    host = config.Host(addresses=("127.0.0.1",), ssh=config.Ssh(user="me"))

    def __init__(self) -> None:
        self.ran: list[str] = []

    async def run(self, argv: Sequence[str], *, label: str = "", **_: object) -> Answer:
        self.ran.append(label)
        return Answer(subprocess.run(argv, capture_output=True, check=True).stdout)

    async def close(self) -> None:
        self.ran.append("close")


class Answer:
    def __init__(self, stdout: bytes) -> None:
        self.stdout = stdout
        self.text = stdout.decode()


def run_on(local: Local, root: Path, *, confirms: bool = True) -> Run:
    async def fresh() -> Connection:
        return local  # type: ignore[return-value]

    place = Place(str(root), "web", "web", "true")
    return Run(local, place, "r2", "me", SystemClock(), fresh, confirms=confirms)  # type: ignore[arg-type]


async def told(run: Run, line: JournalLine) -> list[Event]:
    return [event async for event in run._tell(line)]


@pytest.mark.parametrize("confirms", [True, False])
async def test_only_who_runs_a_deploy_confirms_it(tmp_path: Path, confirms: bool) -> None:
    release = tmp_path / "deploy/stacks/web/releases/r2"
    release.mkdir(parents=True)
    local = Local()
    events = await told(run_on(local, tmp_path, confirms=confirms), JournalLine("t", "confirm_awaited", "", "5"))
    assert isinstance(events[0], ConfirmAwaited)
    assert [event.what for event in events if isinstance(event, Journaled)] == (["confirm_sent"] if confirms else [])
    assert (release / "confirmed").exists() is confirms
    assert bool(local.ran) is confirms


async def test_an_end_that_cannot_be_read_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    run = run_on(Local(), tmp_path)
    run._output = _nothing  # type: ignore[method-assign]
    (end,) = await told(run, JournalLine("t", "finished", "", "rever"))
    assert isinstance(end, Finished)
    assert (end.outcome, end.reason, end.exit_code) == (
        Outcome.FAILED,
        "how it ended is not readable on the host: look at `vpai-tui status`",
        1,
    )
    (end,) = await told(run, JournalLine("t", "finished", "", "reverted 2 web: unhealthy"))
    assert isinstance(end, Finished) and (end.outcome, end.reason) == (Outcome.REVERTED, "web: unhealthy")


async def test_what_cannot_be_verified_is_noted_and_fails_nothing(tmp_path: Path) -> None:
    class Mute(Local):
        async def run(self, argv: Sequence[str], *, label: str = "", **_: object) -> Answer:
            raise LinkLost("the link was lost", host="here")

    place = Place(str(tmp_path), "web", "web", "true")
    event = await verified(Mute(), place, stack("web", "web"), "r2", SystemClock())  # type: ignore[arg-type]
    assert isinstance(event, Journaled)
    assert (event.what, event.detail) == ("not_verified", "the link was lost")


def test_what_differs_is_named_in_one_line() -> None:
    changes = (Change("web", Effect.RECREATE), Change("db", Effect.NONE), Change("old", Effect.REMOVE))
    plan = Plan("sese/web", "deploy", "r2", "r3", "f", changes, installs=("configs/a",))
    assert differing(plan) == "web (recreate), old (remove), configs/a"
    assert differing(replace(plan, changes=(), installs=())) == ""


@pytest.mark.parametrize("code", [75, 77, 78])
async def test_a_settling_that_is_not_let_in_is_refused_whatever_the_release_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    async def tail_of(*_: object) -> HostFacts:
        return HostFacts(status="reverted 2 web: unhealthy", pending=None, out="said")

    monkeypatch.setattr(apply, "probe", tail_of)
    end = await run_on(Local(), tmp_path)._ended(b"", code)
    assert (end.outcome, end.exit_code) == (Outcome.REFUSED, code)
    assert end.reason
    end = await run_on(Local(), tmp_path)._ended(b"", 1)  # any other end is what the status says
    assert (end.outcome, end.reason) == (Outcome.REVERTED, "web: unhealthy")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("ok 0", Outcome.FAILED), ("reverted 2 x", Outcome.FAILED), ("revert_failed 3 x", Outcome.REVERT_FAILED)],
)
async def test_a_runner_killed_before_it_took_the_pending_mark_away_has_not_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str, outcome: Outcome
) -> None:
    run = run_on(Local(), tmp_path)

    async def tail_of(*_: object) -> HostFacts:
        return HostFacts(status=status, pending=run.release, out="said")

    monkeypatch.setattr(apply, "probe", tail_of)
    end = await run._ended(b"", None)
    assert (end.outcome, "resume or revert it" in end.reason) == (outcome, outcome is Outcome.FAILED)


async def _nothing() -> str:
    return ""


async def test_a_journal_is_counted_to_its_last_end_or_whole(tmp_path: Path) -> None:
    lines = ["begin", "finished", "resume", "finished", "resume", "step_started"]
    (tmp_path / "journal").write_text("".join(f"t\t{line}\t-\tfinished -\n" for line in lines))
    assert await journal_length(Local(), str(tmp_path)) == 6  # type: ignore[arg-type]
    assert await journal_length(Local(), str(tmp_path), ended=True) == 4  # type: ignore[arg-type]
    (tmp_path / "journal").write_text("")
    assert await journal_length(Local(), str(tmp_path), ended=True) == 0  # type: ignore[arg-type]


def follow(folder: Path, owner: Path) -> str:
    command = follow_command(str(folder), str(owner), 0)
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=10)
    assert done.stderr == b""
    return done.stdout.decode()


@pytest.mark.parametrize("owner", ["", "pid=%d apply web by me\n", "pid=2147483 apply web by me\n", "torn"])
def test_a_pid_that_is_another_process_by_now_is_not_waited_for(tmp_path: Path, owner: str) -> None:
    release = tmp_path / "r2"
    release.mkdir()
    (release / "journal").write_text("t\tbegin\t-\t-\n")
    (tmp_path / "owner").write_text(owner % os.getpid() if "%" in owner else owner)
    assert follow(release, tmp_path / "owner") == "t\tbegin\t-\t-\n"


def test_a_job_in_a_folder_of_any_name_is_started_and_followed_to_its_end(tmp_path: Path) -> None:
    release = tmp_path / "it's $HOME; (a)/r2"
    release.mkdir(parents=True)
    owner = tmp_path / "the owner"
    script = tmp_path / "run me.sh"
    script.write_text(
        f'echo "pid=$$ x" >"{owner}"; printf "t\\tbegin\\t-\\t%s\\n" "$1 $2" >>"$J/journal"; '
        f'read -r go <"{tmp_path}/go"; '
        'printf "t\\tend\\t-\\t-\\n" >>"$J/journal"; exit 4\n'
    )
    os.mkfifo(tmp_path / "go")
    environment = 'env J="$J"'
    start = start_command(environment, str(script), ("apply", "r2"), str(release))
    with subprocess.Popen(["sh", "-c", start], stdout=subprocess.PIPE) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == b"t\tbegin\t-\tapply r2\n"
        command = follow_command(str(release), str(owner), 1)
        with subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE) as follower:
            assert follower.stdout is not None
            (tmp_path / "go").write_text("go\n")
            assert follower.stdout.readline() == b"t\tend\t-\t-\n"
            assert follower.wait(10) == 0
        assert job.wait(10) == 4


class Flaky(Local):
    """A connection whose every command ends with the link."""

    async def run(self, argv: Sequence[str], *, label: str = "", **_: object) -> Answer:
        raise LinkLost("cut", host="here")

    @asynccontextmanager
    async def stream(self, *_: object, **__: object) -> AsyncIterator[object]:
        raise LinkLost("cut", host="here")
        yield


@pytest.mark.parametrize("refused", [True, False])
async def test_who_follows_gives_up_at_once_only_when_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    monkeypatch.setattr(apply, "RECONNECT_WITHIN_S", 2.0)
    tried = []

    async def fresh() -> Connection:
        tried.append(1)
        kind = HostRefused if refused else HostUnreachable
        raise kind("no such key", host="here", step="auth")

    run = run_on(Local(), tmp_path)
    run._fresh = fresh
    *_, end = [event async for event in run.resume_following("lost")]
    assert isinstance(end, Finished)
    assert (end.outcome, end.exit_code) == (Outcome.UNKNOWN, 79)
    assert "no such key" in end.reason and "status" in end.reason
    assert len(tried) == (1 if refused else 3), "0, 0.5 and 1.5 s; each is a login that counts"


async def test_a_link_that_breaks_as_soon_as_it_is_there_is_not_tried_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "RECONNECT_WITHIN_S", 2.0)
    flaky = Flaky()
    run = run_on(flaky, tmp_path)
    *events, end = [event async for event in run.resume_following("lost")]
    assert isinstance(end, Finished) and end.outcome is Outcome.UNKNOWN
    assert [event.detail for event in events if isinstance(event, Journaled)] == [
        "lost",
        *["the link was lost again"] * 2,
    ]
    assert flaky.ran == ["close"] * 3


async def test_a_connection_of_somebody_else_is_used_and_left_open(tmp_path: Path) -> None:
    shared = Flaky()
    run = run_on(Local(), tmp_path)

    async def again() -> Connection:
        if shared.ran:
            raise HostRefused("enough", host="here", step="auth")
        shared.ran.append("lent")
        return shared  # type: ignore[return-value]

    run._again = again
    *_, end = [event async for event in run.resume_following("lost")]
    assert isinstance(end, Finished) and end.reason.startswith("enough")
    assert shared.ran == ["lent"]


async def test_what_cannot_be_read_after_the_end_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_sudo(*_: object, **__: object) -> HostFacts:
        raise CommandFailed("`probe` ended with status 1", exit_status=1, output="sudo: a password is required")

    monkeypatch.setattr(apply, "probe", no_sudo)
    end = await run_on(Local(), tmp_path)._ended(b"", None)
    assert (end.outcome, end.exit_code, end.output) == (Outcome.UNKNOWN, 79, "sudo: a password is required")
