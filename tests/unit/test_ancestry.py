"""Older checkouts, diverged ones, hostile manifests: on real git repositories."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from vpai_tui.deploy.ancestry import Judgement, judge, judged
from vpai_tui.deploy.checkout import Checkout, GitFailed, checkout_of, git, read_checkout
from vpai_tui.deploy.facts import HostFacts
from vpai_tui.fleet.operation import Change, Effect, Plan

ME, OTHER = "ann@lap", "bob@desk"
AT = "2026-02-27T08:00:00Z"


class Repo:
    """A repository with the stack `stacks/sese/apps` in it."""

    def __init__(self, home: Path, *, empty: bool = False) -> None:
        self.home = home
        self.stack = home / "stacks/sese/apps"
        self.stack.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")
        if not empty:
            self.commit("first")

    def git(self, *words: str, at: Path | None = None) -> str:
        identity = {f"GIT_{who}_{what}": "x@y.z" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        environment = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        words = ("-c", "protocol.file.allow=always", *words)
        done = subprocess.run(["git", *words], cwd=at or self.home, check=True, capture_output=True, env=environment)
        return done.stdout.decode().strip()

    def commit(self, text: str, path: str = "stacks/sese/apps/compose.yaml") -> str:
        target = self.home / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", text)
        return self.git("rev-parse", "HEAD")

    def to(self, commit: str) -> None:
        self.git("checkout", "-q", commit)

    def clone(self, home: Path, *words: str) -> Repo:
        self.git("clone", "-q", *words, f"file://{self.home}", str(home))
        made = object.__new__(Repo)
        made.home, made.stack = home, home / "stacks/sese/apps"
        return made

    def judge(self, commit: str, by: str = OTHER, **told: str) -> Judgement:
        running = {"git_commit": commit, "by": by, "created_at": AT, **told}
        return judge(self.stack, read_checkout(self.stack), running, ME)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "repo")


def dangers(found: Judgement) -> list[str]:
    assert all(item.kind == "ancestry" and item.danger for item in found.dangers)
    return [item.detail for item in found.dangers]


def test_a_checkout_is_told_by_its_commit_and_its_first_one(repo: Repo) -> None:
    first = repo.git("rev-parse", "HEAD")
    second = repo.commit("second")
    assert read_checkout(repo.stack) == Checkout(second, False, first)
    (repo.home / "README").write_text("not the stack's")
    assert not read_checkout(repo.stack).dirty
    (repo.stack / "stack.yaml").write_text("title: x")
    assert read_checkout(repo.stack).dirty


def test_nothing_is_said_of_the_same_commit_and_of_a_descendant(repo: Repo) -> None:
    first = repo.git("rev-parse", "HEAD")
    assert repo.judge(first) == Judgement()
    repo.commit("second")
    assert repo.judge(first) == Judgement()


@pytest.mark.parametrize(("count", "words"), [(1, "1 commit"), (2, "2 commits")])
def test_an_older_checkout_is_a_danger_that_names_who_and_when(repo: Repo, count: int, words: str) -> None:
    old = repo.git("rev-parse", "HEAD")
    newest = [repo.commit(f"version {number}") for number in range(count)][-1]
    repo.to(old)
    told = f"your checkout is {words} behind what runs ({newest[:7]} by bob@desk at {AT})"
    assert dangers(repo.judge(newest)) == [told]


def test_commits_that_do_not_touch_the_stack_do_not_count(repo: Repo) -> None:
    old = repo.git("rev-parse", "HEAD")
    elsewhere = repo.commit("x", "stacks/pi/other/compose.yaml")
    repo.to(old)
    assert repo.judge(elsewhere) == Judgement()
    repo.to(elsewhere)
    newest = repo.commit("touches it")
    repo.commit("y", "README")
    repo.to(old)
    assert "1 commit behind" in dangers(repo.judge(newest))[0]


def test_diverged_histories(repo: Repo) -> None:
    base = repo.git("rev-parse", "HEAD")
    theirs = repo.commit("theirs")
    repo.to(base)
    repo.commit("ours")
    told = f"your checkout and what runs ({theirs[:7]} by bob@desk at {AT}) have diverged: 1 commit of it is not here"
    assert dangers(repo.judge(theirs)) == [told]
    repo.to(base)
    beside = repo.commit("z", "elsewhere")
    repo.to(base)
    repo.commit("ours again")
    assert repo.judge(beside) == Judgement()


def test_a_merge_that_holds_what_runs_descends_from_it(repo: Repo) -> None:
    base = repo.git("rev-parse", "HEAD")
    theirs = repo.commit("theirs", "stacks/sese/apps/extra")
    repo.to(base)
    repo.commit("ours")
    repo.git("merge", "-q", "--no-edit", theirs)
    assert repo.judge(theirs) == Judgement()


def test_a_commit_that_is_not_here_is_to_be_fetched(repo: Repo, tmp_path: Path) -> None:
    clone = repo.clone(tmp_path / "clone")
    newest = repo.commit("pushed since")
    made = f"{newest[:7]} by bob@desk at {AT}"
    assert dangers(clone.judge(newest)) == [f"what runs ({made}) is not in this checkout: fetch first"]
    clone.git("fetch", "-q")
    assert "behind" in dangers(clone.judge(newest))[0]


def test_another_repository_is_named_as_one(repo: Repo, tmp_path: Path) -> None:
    other = Repo(tmp_path / "other", empty=True)
    foreign = other.commit("of somebody else")
    root = read_checkout(other.stack).root
    assert root == foreign
    told = f"what runs was made from another repository ({foreign[:7]} by bob@desk at {AT})"
    assert dangers(repo.judge(foreign, git_root=root)) == [told]


def test_shallow_clones_say_so(repo: Repo, tmp_path: Path) -> None:
    old = repo.git("rev-parse", "HEAD")
    repo.commit("second")
    clone = repo.clone(tmp_path / "clone", "--depth", "1")
    assert read_checkout(clone.stack).shallow
    assert read_checkout(clone.stack).root == ""
    made = f"{old[:7]} by bob@desk at {AT}"
    assert dangers(clone.judge(old)) == [
        f"what runs ({made}) is not in this shallow clone: git fetch --unshallow first"
    ]
    clone.git("fetch", "-q", "--depth", "1", "origin", old)
    told = f"whether this shallow clone has what runs ({made}) cannot be told: git fetch --unshallow first"
    assert dangers(clone.judge(old)) == [told]
    assert clone.judge(repo.git("rev-parse", "HEAD")) == Judgement()


def test_what_runs_from_an_unclean_tree_is_lost_by_the_next(repo: Repo) -> None:
    here = repo.git("rev-parse", "HEAD")
    found = repo.judge(here, git_dirty="1")
    made = f"{here[:7]} by bob@desk at {AT}"
    lost = f"what runs ({made}) was made from a tree with changes that are in no commit: this would undo them"
    assert dangers(found) == [lost]
    own = repo.judge(here, ME, git_dirty="1", git_root=here)
    assert (own.dangers, "changes of this laptop's" in own.notes[0]) == ([], True)
    elsewhere = repo.judge(here, ME, git_dirty="1", git_root="f" * 40)
    assert len(elsewhere.dangers) == 1


def test_our_own_unclean_tree_is_a_note(repo: Repo) -> None:
    here = repo.git("rev-parse", "HEAD")
    (repo.stack / "compose.yaml").write_text("edited")
    found = repo.judge(here)
    assert (found.dangers, len(found.notes)) == ([], 1)
    assert "in no commit" in found.notes[0]


def test_without_git_here_the_age_cannot_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    running = {"git_commit": "a" * 40, "by": OTHER, "created_at": AT}
    found = judge(tmp_path, read_checkout(tmp_path), running, ME)
    assert "here is no checkout to compare it with (not a git repository" in dangers(found)[0]
    assert judge(tmp_path, read_checkout(tmp_path), {"by": OTHER}, ME) == Judgement()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_checkout(tmp_path).problem == "git is not installed on this laptop"


def test_a_repository_without_a_commit_is_no_checkout(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "new", empty=True)
    assert read_checkout(repo.stack).commit == ""
    assert len(repo.judge("a" * 40).dangers) == 1


@pytest.mark.parametrize(
    "named",
    [
        "--output=/tmp/x",
        "HEAD",
        "$(touch /tmp/x)",
        "../../x",
        "A" * 40,
        "a" * 39,
        "a" * 40 + "\n",
        "\x1b[31m" + "a" * 40,
    ],
)
def test_a_hostile_manifest_reaches_no_command(repo: Repo, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = read_checkout(repo.stack)

    def ran(*words: object) -> str:
        raise AssertionError(words)

    monkeypatch.setattr("vpai_tui.deploy.checkout.subprocess.run", ran)
    running = {"git_commit": named, "git_root": named, "by": "x\x1b[2J" * 90, "created_at": "\n" * 9}
    found = judge(repo.stack, ours, running, ME)
    assert "a commit that is none" in dangers(found)[0]
    assert dangers(found)[0].isprintable()
    assert checkout_of(running).commit == ""


def test_an_environment_of_a_hook_does_not_lead_astray(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Repo(tmp_path / "other", empty=True)
    other.commit("other")
    monkeypatch.setenv("GIT_DIR", str(other.home / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.home))
    seen = read_checkout(repo.stack).commit
    monkeypatch.undo()
    assert seen == repo.git("rev-parse", "HEAD")


def test_files_that_look_like_a_repository_run_nothing(repo: Repo) -> None:
    """What `pull` wrote may come from a hostile host: a bare repository in the folder must not be taken for one."""
    for name in ("objects", "refs"):
        (repo.stack / name).mkdir()
    (repo.stack / "HEAD").write_text("ref: refs/heads/main\n")
    (repo.stack / "config").write_text('[core]\n\tbare = false\n\tfsmonitor = "touch /tmp/x"\n')
    assert "safe.bareRepository" in read_checkout(repo.stack).problem


def test_git_that_fails_says_why(repo: Repo) -> None:
    with pytest.raises(GitFailed, match="bad revision"):
        git(repo.stack, "rev-list", "nonsense", "--")


def test_a_plan_wants_the_stacks_name_then_and_an_empty_one_does_not(repo: Repo) -> None:
    old = repo.git("rev-parse", "HEAD")
    newest = repo.commit("new")
    repo.to(old)
    facts = HostFacts(blobs={"base.manifest": f"git_commit={newest}\nby={OTHER}\ncreated_at={AT}\n".encode()})
    plan = Plan("sese/apps", "deploy", "r1", "r2", "f", (Change("n8n", Effect.RECREATE),), notes=("a note",))
    ours = read_checkout(repo.stack)
    made = judged(plan, repo.stack, ours, facts)
    assert made.confirm_word == "sese/apps"
    assert [item.kind for item in made.dangers] == ["ancestry"]
    assert judged(plan, repo.stack, ours, HostFacts()) == plan
    nothing = replace(plan, changes=(Change("n8n", Effect.NONE),))
    assert judged(nothing, repo.stack, ours, facts) == nothing
