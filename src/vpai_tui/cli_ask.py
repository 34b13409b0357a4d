"""Questions on a terminal. Where there is none, nothing is assumed: exit 2."""

from __future__ import annotations

import getpass
import sys
from argparse import Namespace
from collections.abc import Sequence

from vpai_tui.errors import UsageError


def _terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def confirm(words: Sequence[str | None], what: str, args: Namespace) -> None:
    """Has the operator confirm; `words` are the names to type (None: `yes` is enough).

    Raises:
        UsageError: refused, or nobody can be asked and `--yes` / `--confirm` do not answer.
    """
    names = [word for word in words if word]
    for name in names:
        if not _given(name, args.confirm):
            _typed(name, f"type {name} to {what}: ", f"--confirm {name}")
    if not names and words and not args.yes:
        _typed("yes", f"type yes to {what}: ", "--yes")


def _given(name: str, given: Sequence[str]) -> bool:
    return name in given or name.rpartition("/")[2] in given


def _typed(word: str, question: str, flag: str) -> None:
    if not _terminal():
        raise UsageError("nobody can be asked here", remedy=f"give {flag}")
    try:
        answer = input(question)
    except EOFError:
        answer = ""
    if answer.strip() != word:
        raise UsageError("not confirmed; nothing was changed")


def confirmed(question: str) -> bool:
    """A question that may be left unanswered: False then."""
    if not _terminal():
        return False
    try:
        return input(f"{question} type yes: ").strip() == "yes"
    except EOFError:
        return False


class TerminalPrompts:
    """`remote.prompts.Prompts` on a terminal; blocking is fine, a command does nothing else meanwhile."""

    async def accept_host_key(self, host: str, address: str, fingerprint: str, key_type: str) -> bool:
        if not _terminal():
            return False
        print(f"{host} at {address} shows a key that is not known yet:\n  {key_type} {fingerprint}")
        return confirmed("is it this host's?")

    async def passphrase(self, key_path: str) -> str | None:
        return getpass.getpass(f"passphrase of {key_path}: ") if _terminal() else None
