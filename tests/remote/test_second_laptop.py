"""Two operators on one demo fleet: a hold, and the history of both."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vpai_tui import cli
from vpai_tui.clock import SystemClock
from vpai_tui.demo.fleet import DEFAULT_SEED, build

pytestmark = pytest.mark.xdist_group("second-laptop")  # one demo for all of them

Run = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def demo_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("demo"), seed=DEFAULT_SEED, clock=SystemClock(), reset=False)


@pytest.fixture
def as_user(demo_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`as_user("ann", "plan", "apps")` → exit code and the JSON that was printed (a list where lines were)."""
    monkeypatch.setattr("socket.gethostname", lambda: "lap")

    def call(user: str, *words: str) -> tuple[int, Any]:
        monkeypatch.setenv("LOGNAME", user)
        code = cli.main([*words, "--demo-dir", str(demo_dir), "--json"])
        out = capsys.readouterr().out
        try:
            return code, json.loads(out)
        except json.JSONDecodeError:
            return code, [json.loads(line) for line in out.splitlines()]

    return call


def root(demo_dir: Path) -> Path:
    return next((demo_dir / "sese").glob("opt/*/deploy"))


def test_a_hold_is_shown_to_everybody_and_refuses_before_anything_is_sent(as_user: Run, demo_dir: Path) -> None:
    code, told = as_user("ann", "hold", "sese", "--why", "kernel\tupgrade\nPASSWORD=hunter2")
    hold = told["hold"]
    assert (code, hold["by"], told["lifted"]) == (0, "ann@lap", None)
    assert hold["why"].startswith("kernel upgrade PASSWORD=")
    assert "hunter2" not in json.dumps(told)
    kept = root(demo_dir) / "hold"
    assert kept.read_text() == f"{hold['at']}\tann@lap\t{hold['why']}\n"
    assert kept.stat().st_mode & 0o777 == 0o600

    _, status = as_user("bob", "status")
    assert {host["name"]: host["hold"] for host in status["hosts"]} == {"sese": hold, "seko": None, "pi": None}
    alert = next(row for row in status["alerts"] if row["subject"] == "hold")
    assert (alert["severity"], alert["remedy"]) == ("info", "when that is done: vpai-tui hold sese --off")

    code, plan = as_user("bob", "plan", "sese/apps")
    assert (code, plan["hold"], plan["summary"]) == (0, hold, "1 recreate")
    before = sorted((root(demo_dir) / "stacks/apps/releases").iterdir())
    for words in (["deploy", "sese/apps", "--yes"], ["rollback", "sese/apps", "--yes"]):
        code, refused = as_user("bob", *words)
        assert code == 78
        assert "held by ann@lap" in refused["error"]["message"]
        assert refused["error"]["remedy"].endswith("vpai-tui hold sese --off, then plan again")
    assert sorted((root(demo_dir) / "stacks/apps/releases").iterdir()) == before


def test_somebody_elses_hold_is_neither_taken_over_nor_lifted_without_a_word(as_user: Run, demo_dir: Path) -> None:
    code, told = as_user("bob", "hold", "sese", "--why", "mine now")
    assert code == 2
    assert "is held already by ann@lap" in told["error"]["message"]
    code, told = as_user("bob", "hold", "sese", "--off")
    assert (code, told["error"]["remedy"]) == (2, "give --yes")
    code, told = as_user("ann", "hold", "sese", "--why", "longer")  # one's own is renewed
    assert (code, told["hold"]["why"]) == (0, "longer")
    code, told = as_user("bob", "hold", "sese", "--off", "--yes")
    assert (code, told["hold"], told["lifted"]["by"]) == (0, None, "ann@lap")
    assert not (root(demo_dir) / "hold").exists()
    code, told = as_user("bob", "hold", "sese", "--off")
    assert (code, told["lifted"]) == (0, None)


def test_a_hold_is_possible_where_nothing_was_ever_deployed(as_user: Run, demo_dir: Path) -> None:
    bare = next((demo_dir / "pi").glob("opt/*"))
    (bare / "deploy").rename(bare / "away")
    try:
        assert as_user("ann", "hold", "pi")[1]["hold"]["why"] == "no reason given"
        assert as_user("ann", "hold", "pi", "--off")[0] == 0
        assert (bare / "deploy").stat().st_mode & 0o777 == 0o700
    finally:
        (bare / "deploy").rename(bare / "made")
        (bare / "away").rename(bare / "deploy")


def test_a_hold_waits_for_who_works_under_the_lock(as_user: Run, demo_dir: Path) -> None:
    import fcntl

    with (root(demo_dir) / "lock").open("a") as lock:
        (root(demo_dir) / "owner").write_text("pid=1 apply apps by bob@lap since now\n")
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, told = as_user("ann", "hold", "sese", "--why", "x")
    assert code == 75
    assert "apply apps by bob@lap" in told["error"]["message"]


def test_a_host_that_is_none(as_user: Run) -> None:
    assert as_user("ann", "hold", "nowhere", "--why", "x")[0] == 2


@pytest.mark.parametrize(
    "content", ["", "\t\t\n", "x" * 5000, "\x1b[31mat\tby\x07\t\x1b]0;t\x07why\n", "a b c d\n\n\n"]
)
def test_a_broken_or_hostile_hold_still_holds(as_user: Run, demo_dir: Path, content: str) -> None:
    kept = root(demo_dir) / "hold"
    kept.write_text(content)
    try:
        code, told = as_user("ann", "plan", "sese/apps")
        assert code == 0
        assert set(told["hold"]) == {"at", "by", "why"}
        assert all(text.isprintable() and len(text) <= 400 for text in told["hold"].values())
        assert as_user("ann", "deploy", "sese/apps", "--yes")[0] == 78
    finally:
        kept.unlink()


def test_the_history_has_what_every_laptop_did(as_user: Run, demo_dir: Path) -> None:
    code, events = as_user("bob", "deploy", "sese/apps", "--yes")
    assert code == 0
    own = demo_dir / "laptop/history.jsonl"
    lines = [json.loads(line) for line in own.read_text().splitlines()]
    lines[-1]["result"] = "unknown"  # as if the laptop had lost sight of its deploy
    own.write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, told = as_user("ann", "history", "--limit", "999")
    assert set(told) == {"schema", "entries", "unreadable", "notes"}
    names = {"at", "by", "host", "what", "subject", "result", "detail", "source", "release"}
    assert all(set(row) == names for row in told["entries"])
    assert [row["at"] for row in told["entries"]] == sorted(row["at"] for row in told["entries"])
    (made,) = [row for row in told["entries"] if row["release"] == events[-1]["release"]]
    assert (made["by"], made["what"], made["result"], made["source"]) == ("bob@lap", "deploy", "committed", "host")
    assert {row["by"] for row in told["entries"]} >= {"mobuone@laptop", "ann@lap", "bob@lap"}
    assert {row["host"] for row in told["entries"]} == {"sese", "seko", "pi"}
    holds = [row for row in told["entries"] if row["what"] == "release hold" and row["by"] == "bob@lap"]
    assert [row["source"] for row in holds] == ["host"]
    _, of_pi = as_user("ann", "history", "--host", "pi", "--limit", "2")
    assert {row["host"] for row in of_pi["entries"]} == {"pi"}
    assert len(of_pi["entries"]) == 2
    _, local = as_user("ann", "history", "--local")
    assert {row["source"] for row in local["entries"]} == {"laptop"}
    assert as_user("ann", "history", "--host", "nowhere")[0] == 2
    with pytest.raises(SystemExit) as refused:
        as_user("ann", "history", "--limit", "0")
    assert refused.value.code == 2


@pytest.mark.parametrize("kept", [True, False], ids=["stack.yaml kept", "older release"])
def test_a_laptop_without_the_files_pulls_them_and_has_nothing_to_deploy(
    as_user: Run, demo_dir: Path, tmp_path: Path, kept: bool
) -> None:
    stacks = demo_dir / "laptop/stacks/sese"
    running = root(demo_dir) / "stacks/apps/current"
    (stacks / "apps").rename(tmp_path / "original")
    if not kept:
        (running / "stack.yaml").unlink()
        told = (running / "manifest").read_text().splitlines(keepends=True)
        (running / "manifest").write_text("".join(line for line in told if not line.startswith("project=")))
    try:
        code, told = as_user("bob", "pull", "sese/apps")
        assert (code, told["same"], told["replaced"], told["aside"]) == (0, [], [], None)
        assert {"compose.yaml", "stack.yaml"} < set(told["new"])
        assert not list(stacks.rglob("*.env"))
        assert any("keeps no stack.yaml" in note for note in told["notes"]) is not kept
        code, plan = as_user("bob", "plan", "sese/apps", "--exit-code")
        assert (code, plan["summary"], plan["dangers"]) == (0, "nothing to change", [])
        assert as_user("bob", "pull", "apps")[1]["new"] == []  # fleet.yaml names it again: nothing left to do

        (stacks / "apps/compose.yaml").write_text("# mine\n")
        code, refused = as_user("bob", "pull", "apps")
        assert (code, refused["error"]["output"]) == (2, "compose.yaml")
        assert as_user("bob", "pull", "apps", "--force")[0] == 2  # nobody confirmed
        assert (stacks / "apps/compose.yaml").read_text() == "# mine\n"
        code, told = as_user("bob", "pull", "apps", "--force", "--yes")
        assert (code, told["replaced"]) == (0, ["compose.yaml"])
        assert (Path(told["aside"]) / "compose.yaml").read_text() == "# mine\n"
        assert as_user("bob", "plan", "sese/apps", "--exit-code")[0] == 0
        entry = as_user("bob", "history", "--local")[1]["entries"][-1]
        assert (entry["what"], entry["subject"], entry["result"]) == ("pull", "sese/apps", "done")
    finally:
        for made in stacks.glob("apps*"):
            made.rename(tmp_path / made.name)
        (tmp_path / "original").rename(stacks / "apps")


@pytest.mark.parametrize(
    ("words", "told"),
    [("sese/nope", "keeps no release of nope"), ("nope", "no stack"), ("mars/x", "no host"), ("sese/../x", "no name")],
)
def test_a_stack_that_cannot_be_pulled_is_said(as_user: Run, words: str, told: str) -> None:
    code, answer = as_user("bob", "pull", words)
    assert code == 2
    assert told in answer["error"]["message"]
