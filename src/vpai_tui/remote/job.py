"""A detached job on a host: a script that goes on without us, its journal read line by line, found again later."""

from __future__ import annotations

import asyncio
import hashlib
import shlex
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.resources import files as package_files

from vpai_tui.errors import OperatorError
from vpai_tui.remote.connection import Connection
from vpai_tui.text import clean, clean_line, number

_NO_PID = 2147483646  # beyond what a kernel gives


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One line a job wrote: when (RFC 3339 UTC, the host's clock), what, about which subject, and a detail."""

    at: str
    event: str
    subject: str
    detail: str


def parse_line(raw: bytes) -> JournalLine | None:
    """A journal line; None for one that is cut (the host lost power while writing it)."""
    parts = clean(raw).split("\t", 3)
    if len(parts) != 4:
        return None
    at, event, subject, detail = parts
    return JournalLine(at, event, "" if subject == "-" else subject, "" if detail == "-" else detail)


def with_lock(script: bytes) -> bytes:
    """A script behind the words by which it takes the host's lock (`lock.sh`): one file."""
    return package_files("vpai_tui.remote").joinpath("lock.sh").read_bytes() + script


def script_name(content: bytes) -> str:
    """Content-addressed: a job that runs is never changed under its feet by a newer one."""
    return f"run-{hashlib.sha256(content).hexdigest()[:16]}.sh"


def start_command(environment: str, script: str, args: tuple[str, ...], directory: str, skip: int = 0) -> str:
    """sh that starts the job detached and follows its journal: `setsid`, no terminal, nothing of the channel kept.

    It ends with the job's exit status.

    `environment` are the words before `sh` (an `env -i …`); `directory` holds `journal` and `out.log`; the
    journal is told from line `skip` on.
    """
    return (
        f'J={shlex.quote(directory)}; : >>"$J/journal"; '
        f'{environment} setsid sh {shlex.quote(script)} {shlex.join(args)} </dev/null >>"$J/out.log" 2>&1 & P=$!; '
        f'tail -n +{skip + 1} -s 0.1 -f --pid="$P" "$J/journal"; wait "$P"'
    )


async def journal_length(connection: Connection, directory: str, *, ended: bool = False) -> int:
    """How many lines a journal has; `ended`: only up to the last end in it, which is what earlier runs told."""
    program = '$2 == "finished" { n = NR } END { print n + 0 }' if ended else "END { print NR }"
    argv = ["awk", "-F", "\t", program, f"{directory}/journal"]
    done = await connection.run(argv, root=True, label="journal length")
    length = number(done.text.strip() or "0")
    if length is None:
        raise OperatorError(
            "how long the journal is cannot be read", host=connection.name, output=clean_line(done.text)
        )
    return length


def follow_command(directory: str, owner: str, skip: int) -> str:
    """sh that prints the journal from line `skip` on, until the job that holds `owner` ends.

    A pid that is not this job's, which has the last part of `directory` among its arguments, is one that was used
    again: the job has ended.
    """
    release = shlex.quote(directory.rpartition("/")[2])
    return (
        f"p=$(sed -n 's/^pid=\\([0-9]*\\).*/\\1/p' {shlex.quote(owner)} 2>/dev/null); "
        f"tr '\\0' '\\n' 2>/dev/null <\"/proc/${{p:-none}}/cmdline\" | grep -qxF {release} || p={_NO_PID}; "
        f'exec tail -n +{skip + 1} -s 0.1 -f --pid="$p" {shlex.quote(directory + "/journal")}'
    )


async def follow(
    connection: Connection, directory: str, owner: str, skip: int, label: str
) -> AsyncIterator[JournalLine]:
    """The journal from line `skip` on, until the job that holds `owner` (a file with `pid=N …`) ends.

    Raises:
        LinkLost: the connection ended first; the job goes on.
    """
    command = follow_command(directory, owner, skip)
    async with connection.stream(["sh", "-c", command], root=True, label=label) as lines:
        async for raw in lines:
            if line := parse_line(raw):
                yield line


class Patience:
    """How long, and how often, a host that is gone is asked for: pauses of 0.5 s doubling to 10 s, ten in the first
    minute. Time counts while this machine is awake, so that a laptop opened again does not give up at once."""

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self.renew()

    def renew(self) -> None:
        """There was news: from the beginning."""
        self._pause_s = 0.5
        self._until = asyncio.get_running_loop().time() + self._within_s

    async def pause(self) -> bool:
        """Waits before the next try; False, at once, when there is no patience left."""
        pause_s, self._pause_s = self._pause_s, min(self._pause_s * 2, 10.0)
        if asyncio.get_running_loop().time() + pause_s > self._until:
            return False
        await asyncio.sleep(pause_s)
        return True
