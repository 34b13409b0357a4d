"""Whether a laptop's files are newer than what runs: the running release's commit against the checkout here.

Only commits that touch the stack's own folder count: a checkout may be far behind and still have all of one stack.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from vpai_tui.deploy.checkout import Checkout, GitFailed, checkout_of, git, is_commit, says
from vpai_tui.deploy.facts import HostFacts, manifest
from vpai_tui.fleet.history import who
from vpai_tui.fleet.operation import Cause, Plan
from vpai_tui.text import clean_line

KIND = "ancestry"


@dataclass(slots=True)
class Judgement:
    """What a plan says of it: dangers want the stack's name typed, notes are only told."""

    dangers: list[Cause] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def danger(self, text: str) -> None:
        self.dangers.append(Cause(KIND, text, danger=True))


def judged(plan: Plan, folder: Path, ours: Checkout, facts: HostFacts) -> Plan:
    """`plan` with what the age of its files says of it. One that changes nothing cannot take anything back."""
    if plan.empty:
        return plan
    found = judge(folder, ours, manifest(facts.blobs.get("base.manifest", b"")), who())
    dangers = (*plan.dangers, *found.dangers)
    word = plan.stack if dangers else plan.confirm_word
    return replace(plan, dangers=dangers, notes=(*plan.notes, *found.notes), confirm_word=word)


def judge(folder: Path, ours: Checkout, running: Mapping[str, str], by: str) -> Judgement:
    """`running` is the manifest of the release that runs, from a host that may lie; `by` is who deploys now.

    A release without a commit (an adopted one, one made outside of git) says nothing about age.
    """
    found = Judgement()
    if ours.dirty:
        found.notes.append(
            "this checkout has changes in the stack's folder that are in no commit: nobody else has them"
        )
    named = running.get("git_commit", "")
    if not named:
        return found
    theirs = checkout_of(running)
    if not is_commit(named):
        found.danger(f"what runs names a commit that is none ({clean_line(named, 20)}): its age cannot be told")
        return found
    made = _made(running, theirs)
    if theirs.dirty:
        _unclean(found, made, own=running.get("by") == by and theirs.root == ours.root)
    if not ours.commit:
        found.danger(f"what runs was made from {made}; here is no checkout to compare it with ({ours.problem})")
    elif text := _compared(folder, ours, theirs, made):
        found.danger(text)
    return found


def _made(running: Mapping[str, str], theirs: Checkout) -> str:
    by, at = clean_line(running.get("by", ""), 80), clean_line(running.get("created_at", ""), 20)
    return f"{theirs.commit[:7]} by {by or 'somebody'} at {at or 'an unknown time'}"


def _unclean(found: Judgement, made: str, *, own: bool) -> None:
    if own:
        found.notes.append(f"what runs ({made}) has changes of this laptop's that are in no commit")
    else:
        found.danger(
            f"what runs ({made}) was made from a tree with changes that are in no commit: this would undo them"
        )


def _compared(folder: Path, ours: Checkout, theirs: Checkout, made: str) -> str:
    """What is wrong with the order of two commits; empty when nothing is."""
    here, there = ours.commit, theirs.commit
    if here == there:
        return ""
    if not says(folder, "cat-file", "-e", f"{there}^{{commit}}"):
        return _unknown(ours, theirs, made)
    try:
        return _order(folder, here, there, made, shallow=ours.shallow)
    except GitFailed as error:
        return f"whether this checkout has {made}, which runs, cannot be told: {error}"


def _unknown(ours: Checkout, theirs: Checkout, made: str) -> str:
    if ours.root and theirs.root and ours.root != theirs.root:
        return f"what runs was made from another repository ({made})"
    if ours.shallow:
        return f"what runs ({made}) is not in this shallow clone: git fetch --unshallow first"
    return f"what runs ({made}) is not in this checkout: fetch first"


def _order(folder: Path, here: str, there: str, made: str, *, shallow: bool) -> str:
    missing = int(git(folder, "rev-list", "--count", f"{here}..{there}", "--", "."))
    if not missing:
        return ""
    commits = f"{missing} commit{'s' if missing > 1 else ''}"
    if says(folder, "merge-base", "--is-ancestor", here, there):
        return f"your checkout is {commits} behind what runs ({made})"
    if shallow:
        return f"whether this shallow clone has what runs ({made}) cannot be told: git fetch --unshallow first"
    return (
        f"your checkout and what runs ({made}) have diverged: {commits} of it {'are' if missing > 1 else 'is'} not here"
    )
