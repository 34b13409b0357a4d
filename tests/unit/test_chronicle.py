"""The history: what a host keeps of it, read by the script itself, and merged with the laptop's."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.deploy.chronicle import Chronicle, Told, chronicle, local, merged, read_lines
from vpai_tui.deploy.host import script
from vpai_tui.errors import HostUnreachable, OperatorError
from vpai_tui.fleet.history import Entry, History
from vpai_tui.remote.connection import Connection

ONE, TWO = "20260227T080000-9a2b", "20260227T090000-77ab"


class HostFolder:
    """A host's release directory, as its runner leaves it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.deploy = root / "deploy"

    def release(self, release: str, journal: str, status: str = "", stack: str = "apps", **told: str) -> None:
        home = self.deploy / "stacks" / stack / "releases" / release
        home.mkdir(parents=True)
        pairs = {"id": release, "kind": "deploy", "by": "ann@desk", "created_at": "2026-02-27T08:00:00Z", **told}
        (home / "manifest").write_text("".join(f"{key}={value}\n" for key, value in pairs.items()))
        (home / "journal").write_text(journal)
        if status:
            (home / "status").write_text(status + "\n")

    def read(self) -> list[Told]:
        done = subprocess.run(
            ["sh", "-s", "--", str(self.root)], input=script("chronicle.sh"), capture_output=True, check=True
        )
        assert done.stderr == b""
        return read_lines(done.stdout, "sese")


@pytest.fixture
def host(tmp_path: Path) -> HostFolder:
    return HostFolder(tmp_path / "vpai")


def journal(*rows: tuple[str, str, str]) -> str:
    return "".join(f"2026-02-27T{at}.123Z\t{event}\t-\t{detail}\n" for at, event, detail in rows)


def short(line: Told) -> tuple[str, ...]:
    return (line.at[11:19], line.by, line.what, line.subject, line.result, line.detail)


def test_a_host_without_releases_has_no_history(host: HostFolder) -> None:
    assert host.read() == []


def test_each_run_of_a_release_is_a_line(host: HostFolder) -> None:
    rows = [("08:00:01", "begin", "ann@desk"), ("08:00:05", "step_started", "up"), ("08:09:00", "resume", "bob@lap")]
    rows += [("08:09:30", "resume", "bob@lap"), ("08:10:00", "finished", "ok 0 ")]
    host.release(ONE, journal(*rows), "ok 0 ")
    assert [short(line) for line in host.read()] == [
        ("08:00:01", "ann@desk", "deploy", "sese/apps", "interrupted", ONE),
        ("08:09:00", "bob@lap", "resume", "sese/apps", "interrupted", ONE),
        ("08:10:00", "bob@lap", "resume", "sese/apps", "committed", ONE),
    ]


def test_the_service_that_failed_first_is_told_and_when(host: HostFolder) -> None:
    rows = journal(("08:00:01", "begin", "ann@desk")) + "".join(
        f"2026-02-27T08:00:{at}.5Z\tstep_failed\t{service}\texited 1\n" for at, service in ((20, "web"), (30, "db"))
    )
    host.release(ONE, rows + journal(("08:00:40", "finished", "reverted 2 web: exited 1")), "reverted 2 web")
    rows = "2026-02-27T09:00:20.5Z\tstep_failed\t../no name\texited 1\n"
    host.release(TWO, rows, "failed 1 x")
    first, second = sorted(host.read(), key=lambda line: line.release)
    assert (first.failed, first.failed_at, first.result) == ("web", "2026-02-27T08:00:20Z", "reverted")
    assert (second.failed, second.failed_at) == ("", "2026-02-27T09:00:20Z")


def test_kinds_results_and_reasons(host: HostFolder) -> None:
    host.release("00000000T000000-r0", "", "adopted 0", kind="adopted")
    host.release(ONE, journal(("08:01:00", "finished", "refused 75 bob has it PASSWORD=x1")), "refused 75 b")
    rows = [("09:00:01", "begin", "ann@desk"), ("09:00:09", "finished", "reverted 2 web: exited 1")]
    host.release(TWO, journal(*rows), "reverted 2 web", kind="rollback", rollback_of=ONE)
    told = {line.what: line for line in host.read()}
    assert short(told["adopt"])[4:] == ("adopted", "00000000T000000-r0")
    assert short(told["deploy"])[4:] == ("refused", f"{ONE} bob has it PASSWORD=•••")
    assert short(told["rollback"])[4:] == ("reverted", f"{TWO} to {ONE} web: exited 1")


def test_a_pending_release_is_interrupted_or_running_by_the_lock(host: HostFolder) -> None:
    host.release(ONE, journal(("08:00:01", "begin", "ann@desk")))
    host.release(TWO, "")
    (host.deploy / "stacks/apps/pending").symlink_to(f"releases/{ONE}")
    assert [line.result for line in host.read()] == ["unfinished", "interrupted"]
    with (host.deploy / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert [line.result for line in host.read()] == ["unfinished", "running"]


def test_holds_of_every_laptop_are_told(host: HostFolder) -> None:
    host.deploy.mkdir(parents=True)
    log = "2026-02-27T07:00:00Z\tann@desk\theld\tdisk\n2026-02-27T09:00:00Z\tbob@lap\treleased\tann@desk: disk\n"
    (host.deploy / "hold.log").write_text(log)
    assert [short(line)[1:] for line in host.read()] == [
        ("ann@desk", "hold", "sese", "done", "disk"),
        ("bob@lap", "release hold", "sese", "done", "ann@desk: disk"),
    ]


def test_many_releases_and_long_journals_are_bounded(host: HostFolder) -> None:
    for number in range(70):
        rows = [("08:00:01", "resume", "x" * 5000)] * 60
        host.release(f"20260227T0800{number:02d}-aaaa", journal(*rows), "ok 0 " + "y" * 9000)
    lines = host.read()
    assert len({line.release for line in lines}) == 60
    assert max(sum(1 for line in lines if line.release == one.release) for one in lines[:1]) == 41
    assert all(len(line.detail) < 400 for line in lines)


def entry(result: str, detail: str, what: str = "deploy", by: str = "ann@desk", at: str = "08:05:00") -> Entry:
    return Entry(f"2026-02-27T{at}Z", by, "sese", what, "sese/apps", result, detail)


def on_host(result: str, release: str = ONE, what: str = "deploy", by: str = "ann@desk") -> Told:
    return Told("2026-02-27T08:04:58Z", by, "sese", what, "sese/apps", result, release, release, "host")


def test_the_hosts_word_on_a_release_wins(host: HostFolder) -> None:
    laptop = [entry("unknown", f"{ONE}: not watched to its end"), entry("refused", "deploys are held", at="07:00:00")]
    lines = merged(laptop, [on_host("committed")])
    assert [(line.result, line.source) for line in lines] == [("refused", "laptop"), ("committed", "host")]


def test_what_a_host_has_forgotten_the_laptop_still_tells() -> None:
    lines = merged([entry("committed", "20250101T000000-aaaa")], [on_host("committed")])
    assert [(line.release, line.source) for line in lines] == [(ONE, "host"), ("20250101T000000-aaaa", "laptop")]


def test_settlings_of_two_operators_are_two_lines() -> None:
    hosts = [on_host("interrupted"), on_host("interrupted", what="resume", by="bob@lap")]
    hosts += [on_host("reverted", what="revert")]
    lines = merged([entry("reverted", ONE, "revert"), entry("failed", ONE, "resume", "ann@desk")], hosts)
    assert [(line.what, line.by, line.source) for line in lines][-1] == ("resume", "ann@desk", "laptop")
    assert len(lines) == 4


def test_a_hold_is_told_once_whatever_the_clocks_say() -> None:
    def held(at: str, source: str) -> Told:
        return Told(f"2026-02-27T{at}Z", "ann@desk", "sese", "hold", "sese", "done", "disk", "", source)

    own = Entry("2026-02-27T08:00:00Z", "ann@desk", "sese", "hold", "sese", "done", "disk")
    assert merged([own], [held("08:03:00", "host")]) == (held("08:03:00", "host"),)
    assert len(merged([own], [held("18:00:00", "host")])) == 2
    failed = Entry("2026-02-27T08:00:00Z", "ann@desk", "sese", "hold", "sese", "failed: locked", "disk")
    assert len(merged([failed], [held("08:00:00", "host")])) == 2


async def test_a_host_that_does_not_answer_is_named(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    history.append(entry("committed", ONE))
    history.append(Entry("2026-02-27T08:00:00Z", "a", "pi", "restart", "pi/x/y", "done"))

    async def gone(host: str) -> Connection:
        raise HostUnreachable(f"no answer from {host}", host=host)

    found = await chronicle(gone, ["sese"], history)
    assert found.unreached == (("sese", "no answer from sese"),)
    assert [line.subject for line in found.lines] == ["sese/apps"]
    assert [line.subject for line in local(history, None, 1).lines] == ["sese/apps"]
    assert [line.host for line in local(history, "pi", 9).lines] == ["pi"]
    assert local(History(tmp_path / "none"), None, 9) == Chronicle(())


def test_a_cut_answer_is_an_error() -> None:
    with pytest.raises(OperatorError, match="cut"):
        read_lines(b"stack\tapps\t\n", "sese")


@pytest.mark.parametrize(
    "row",
    [
        "release\t../../x\tid\tok 0\t",
        "release\tapps\t$(x)\tok 0\t",
        "release\tapps\tid\tok 0\tnot base64!",
        "line\tapps\tnever told\tat\tbegin\tx",
        "release\tapps",
        "hold\t\x1b]0;x\x07\t\x1b[2J\t\t",
        "unknown\trecord",
    ],
)
def test_hostile_records_are_harmless(row: str) -> None:
    for line in read_lines(f"{row}\nend\n".encode(), "sese"):
        assert all(text.isprintable() for text in (line.at, line.by, line.subject, line.result, line.detail))
        assert line.at == "" or line.at[4] == "-"


@given(st.lists(st.lists(st.text(max_size=12), max_size=6).map("\t".join), max_size=12))
def test_no_answer_is_too_strange(rows: list[str]) -> None:
    raw = "\n".join([*rows, "end"]).encode("utf-8", "replace")
    for line in merged([], read_lines(raw, "sese")):
        assert line.detail.isprintable()


def test_the_script_runs_in_a_bare_environment(host: HostFolder) -> None:
    host.release(ONE, journal(("08:00:01", "begin", "ann@desk")), "ok 0 ")
    done = subprocess.run(
        ["sh", "-s", "--", str(host.root)],
        input=script("chronicle.sh"),
        capture_output=True,
        check=True,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
    )
    assert [line.result for line in read_lines(done.stdout, "sese")] == ["committed"]
