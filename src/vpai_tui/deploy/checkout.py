"""The git checkout that a stack's files lie in: its commit, whether it is clean, and which repository it is."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from vpai_tui.text import clean_line, last_lines

_WITHIN_S = 5.0
_HEX = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
# They would point git somewhere else than at the folder, as they do inside of its own hooks.
_ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
# Files that a host gave (`pull`) lie in there: no program that they may name is run for looking at them.
_CAREFUL = ("-c", "safe.bareRepository=explicit", "-c", "core.fsmonitor=false")


@dataclass(frozen=True, slots=True)
class Checkout:
    """Where files come from. `root` is the id of the repository's first commit: it tells two repositories apart
    without naming a path or an address. `problem`: why there is no commit."""

    commit: str = ""  # full id, or empty
    dirty: bool = False  # the stack's folder has changes that are in no commit
    root: str = ""
    shallow: bool = False
    problem: str = ""


NO_CHECKOUT = Checkout()


class GitFailed(Exception):
    """git ended with an error, was not there, or took too long; the text says which."""


def git(folder: Path, *words: str) -> str:
    """What git prints for `words` in `folder`. Nothing is fetched and nobody is asked.

    Raises:
        GitFailed: it did not end well within a few seconds.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    environment |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1"}
    try:
        done = subprocess.run(
            ["git", *_CAREFUL, "-C", str(folder), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_WITHIN_S,
            env=environment,
        )
    except FileNotFoundError as error:
        raise GitFailed("git is not installed on this laptop") from error
    except subprocess.TimeoutExpired as error:
        raise GitFailed(f"git gave no answer within {_WITHIN_S:.0f} s") from error
    except OSError as error:
        raise GitFailed(f"git could not be started: {error.strerror or error}") from error
    if done.returncode != 0:
        said = clean_line(last_lines(done.stderr, 1), 160).removeprefix("fatal: ")
        raise GitFailed(said or f"git ended with {done.returncode}")
    return done.stdout.decode("utf-8", errors="replace").strip()


def says(folder: Path, *words: str) -> bool:
    """Whether git answers the question `words` with yes."""
    try:
        git(folder, *words)
    except GitFailed:
        return False
    return True


def is_commit(text: str) -> bool:
    """Whether `text` is a full commit id: what a host says is one is looked at before it becomes an argument."""
    return _HEX.match(text) is not None


def read_checkout(folder: Path) -> Checkout:
    """The checkout around `folder`."""
    try:
        commit = git(folder, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        shallow = git(folder, "rev-parse", "--is-shallow-repository") == "true"
        dirty = bool(git(folder, "status", "--porcelain", "--", "."))
    except GitFailed as error:
        return Checkout(problem=str(error))
    if not is_commit(commit):
        return Checkout(problem="git names no commit here")
    return Checkout(commit, dirty, "" if shallow else _root(folder, commit), shallow)


@lru_cache(maxsize=64)
def _root(folder: Path, commit: str) -> str:
    """The first commit of the history behind `commit`; of several (histories that were joined) the least."""
    try:
        roots = git(folder, "rev-list", "--max-parents=0", commit, "--").splitlines()
    except GitFailed:
        return ""
    return min(filter(is_commit, roots), default="")


def checkout_of(told: Mapping[str, str]) -> Checkout:
    """The checkout that a release's manifest names; what is no commit id is left out."""
    commit, root = told.get("git_commit", ""), told.get("git_root", "")
    if not is_commit(commit):
        return Checkout(problem="the manifest names no commit")
    return Checkout(commit, told.get("git_dirty") == "1", root if is_commit(root) else "")
