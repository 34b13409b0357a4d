"""A program of this machine that has the terminal for a while: a pager, an editor."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from vpai_tui.errors import OperatorError


async def run_program(words: Sequence[str], *, stdin: IO[bytes] | None = None, remedy: str = "") -> int:
    """`words` until they end; their status, below zero for the signal that ended them.

    Raises:
        OperatorError: it could not be started.
    """
    with _keys_are_its_own():
        try:
            process = await asyncio.create_subprocess_exec(*words, stdin=stdin)
        except OSError as error:
            raise OperatorError(f"{words[0]} cannot be started: {error.strerror}", remedy=remedy) from error
        return await process.wait()


@contextmanager
def _keys_are_its_own() -> Iterator[None]:
    """The terminal sends ctrl+c and ctrl+z to both: one is the program's alone, by the other both stop and go on.

    A handler of ours is none in the program, which has the usual one then.
    """
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTSTP: signal.signal(signal.SIGTSTP, signal.SIG_DFL),
        signal.SIGCONT: signal.signal(signal.SIGCONT, signal.SIG_DFL),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
