"""The operator's pager: `$PAGER`, fed by a file without a name, so that nothing of a log is left on the disk."""

from __future__ import annotations

import shlex
import shutil
import signal
import tempfile
from collections.abc import Iterable, Mapping
from typing import IO

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.remote.program import run_program
from vpai_tui.text import clean_line

DEFAULTS = ("less -R", "more")
_INSTEAD = "export PAGER='less -R', or save FILE"


def command(environ: Mapping[str, str]) -> list[str]:
    """The words of `$PAGER`, without a shell; where it is not set, the first of `DEFAULTS` that there is.

    Raises:
        UsageError: they are none, or name no program of this machine.
    """
    wanted = environ.get("PAGER", "").strip()
    for told in (wanted,) if wanted else DEFAULTS:
        try:
            words = shlex.split(told)
        except ValueError as error:
            raise UsageError(f"$PAGER is {clean_line(told, 80)!r}: {error}", remedy=_INSTEAD) from error
        if words and shutil.which(words[0], path=environ.get("PATH")):
            return words
    if wanted:
        raise UsageError(f"$PAGER names no program: {clean_line(wanted, 80)}", remedy=_INSTEAD)
    raise UsageError(f"there is no pager: neither $PAGER nor {' nor '.join(DEFAULTS)}", remedy=_INSTEAD)


def paper(rows: Iterable[str]) -> IO[bytes]:
    """A file with these rows, to be read from its beginning: only this process has it, and it ends with it.

    Raises:
        OperatorError: there is no room for it.
    """
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - whoever asked closes it
        try:
            for row in rows:
                file.write(row.encode("utf-8", "replace") + b"\n")
            file.seek(0)
        except BaseException:
            file.close()
            raise
    except OSError as error:
        raise OperatorError(f"nothing to page from: {error.strerror}", remedy="make room in $TMPDIR") from error
    return file


async def run(words: list[str], file: IO[bytes]) -> int:
    """The pager on `file`, until the operator leaves it; its status, below zero for the signal that ended it.

    Raises:
        OperatorError: it could not be started.
    """
    return await run_program(words, stdin=file, remedy=_INSTEAD)


def ending(status: int) -> str:
    """How a pager ended that did not end well; empty for one that did."""
    if status < 0:
        known = {it.value: it.name for it in signal.Signals}
        return f"the pager was ended by {known.get(-status, f'signal {-status}')}"
    return f"the pager ended with status {status}" if status else ""
