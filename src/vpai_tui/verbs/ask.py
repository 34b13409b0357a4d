"""Questions on a terminal. Where there is none, or JSON is printed, nothing is asked and nothing assumed: exit 2."""

from __future__ import annotations

import getpass
import sys
from argparse import Namespace
from collections.abc import Sequence

from vpai_tui.errors import UsageError


def _terminal(args: Namespace) -> bool:
    return not args.json and sys.stdin.isatty() and sys.stdout.isatty()


def confirm(words: Sequence[str | None], what: str, args: Namespace) -> None:
    """Has the operator confirm; `words` are the names to type (None: `yes` is enough).

    Raises:
        UsageError: refused, or nobody can be asked and `--yes` / `--confirm` do not answer.
    """
    names = [word for word in words if word]
    for name in names:
        if not _given(name, args.confirm):
            _typed(name, f"type {name} to {what}: ", f"--confirm {name}", args)
    if not names and words and not args.yes:
        _typed("yes", f"type yes to {what}: ", "--yes", args)


def _given(name: str, given: Sequence[str]) -> bool:
    return name in given or name.rpartition("/")[2] in given


def _typed(word: str, question: str, flag: str, args: Namespace) -> None:
    if not _terminal(args):
        raise UsageError("nobody can be asked here", remedy=f"give {flag}")
    try:
        answer = input(question)
    except EOFError:
        answer = ""
    if answer.strip() != word:
        raise UsageError("not confirmed; nothing was changed")


def line(question: str, args: Namespace) -> str:
    """A line of text; empty where nobody can be asked."""
    if not _terminal(args):
        return ""
    try:
        return input(question).strip()
    except EOFError:
        return ""


def confirmed(question: str, args: Namespace) -> bool:
    """A question that may be left unanswered: False then."""
    if not _terminal(args):
        return False
    try:
        return input(f"{question} type yes: ").strip() == "yes"
    except EOFError:
        return False


def answer(question: str, args: Namespace) -> str:
    """One line, trimmed; empty where nobody can be asked."""
    if not _terminal(args):
        return ""
    try:
        return input(question).strip()
    except EOFError:
        return ""


class TerminalPrompts:
    """`remote.prompts.Prompts` on a terminal; blocking is fine, a command does nothing else meanwhile."""

    def __init__(self, args: Namespace) -> None:
        self._args = args

    async def accept_host_key(self, host: str, address: str, fingerprint: str, key_type: str) -> bool:
        if not _terminal(self._args):
            return False
        print(f"{host} at {address} shows a key that is not known yet:\n  {key_type} {fingerprint}")
        return confirmed("is it this host's?", self._args)

    async def passphrase(self, key_path: str) -> str | None:
        return getpass.getpass(f"passphrase of {key_path}: ") if _terminal(self._args) else None
