"""A prune plan carried out: on the host, detached, under its lock, with a journal that is found again."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from importlib.resources import files as package_files

from vpai_tui.clock import Clock, rfc3339
from vpai_tui.errors import LinkLost, OperatorError
from vpai_tui.fleet.operation import Event, Finished, Journaled, Outcome, RunnerStarted
from vpai_tui.redact import redact
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.job import JournalLine, Patience, follow, parse_line, script_name, start_command, with_lock
from vpai_tui.text import last_lines, number
from vpai_tui.upkeep.disk.model import size
from vpai_tui.upkeep.disk.plan import Prune

RECONNECT_WITHIN_S = 300.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MOST = 1 << 60


@dataclass(frozen=True)
class Removed(Event):
    """`subject` is an image's name, `build cache` or apt's packages; `detail` what went with it."""

    subject: str
    detail: str = ""


@dataclass(frozen=True)
class Skipped(Event):
    """It stays, and why."""

    subject: str
    reason: str


@dataclass(frozen=True)
class Freed(Event):
    """What `df` tells of Docker's filesystem before and after, in bytes; others may have written meanwhile."""

    before_bytes: int
    after_bytes: int

    @property
    def freed_bytes(self) -> int:
        return self.after_bytes - self.before_bytes


def script() -> bytes:
    """The script as it is shipped: one file."""
    return with_lock(package_files(__package__).joinpath("prune.sh").read_bytes())


def records(prune: Prune) -> bytes:
    """The plan as the script reads it."""
    rows = [f"image\t{image.id}\t{' '.join(image.tags) or '-'}\n" for image in prune.images]
    rows += [f"cache\t{max(0, int(prune.older_than_s // 3600))}\n"] if prune.cache else []
    rows += ["apt\n"] if prune.apt else []
    return "".join(rows).encode()


class Run:
    """One prune. `again` hands out a connection when the link broke."""

    def __init__(
        self, connection: Connection, prune: Prune, by: str, clock: Clock, again: Callable[[], Awaitable[Connection]]
    ) -> None:
        self.id = clock.now().strftime("%Y%m%dT%H%M%S-") + secrets.token_hex(2)
        self._connection = connection
        self._prune = prune
        self._by = by
        self._clock = clock
        self._again = again
        self._names = {image.id: image.name for image in prune.images}
        self._names |= {"cache": "build cache", "apt": "apt's packages"}
        self._seen = 0
        self._before: int | None = None
        self._freed: Freed | None = None

    @property
    def _deploy(self) -> str:
        return f"{self._connection.host.root.rstrip('/')}/deploy"

    @property
    def directory(self) -> str:
        return f"{self._deploy}/upkeep/{self.id}"

    async def events(self) -> AsyncIterator[Event]:
        """The last is `Finished`: committed, refused, failed or unknown. Never raises for a link that is lost."""
        program = script()
        path = f"{self._deploy}/bin/{script_name(program)}"
        start = start_command(self._words(), path, (self.id,), self.directory)
        command = f"{self._install(path, len(program))} && {{ {start}; }}"
        yield RunnerStarted(self._now(), self.id)
        try:
            async with self._connection.stream(
                ["sh", "-c", command], root=True, stdin=program + records(self._prune), label=f"disk prune {self.id}"
            ) as lines:
                async for raw in lines:
                    if line := parse_line(raw):
                        for event in self._tell(line):
                            yield event
                            if isinstance(event, Finished):
                                return
                stderr = lines.stderr
            yield await self._ended() if self._seen else self._unbegun(stderr)
        except LinkLost:
            async with aclosing(self._follow()) as told:  # type: ignore[type-var]
                async for event in told:
                    yield event

    def _words(self) -> str:
        pairs = {
            "PATH": _PATH,
            "LC_ALL": "C",
            "ROOT": self._connection.host.root.rstrip("/"),
            "WHO": self._by,
            "DOCKER": self._connection.host.docker,
        }
        return 'env -i HOME="$HOME" ' + " ".join(f"{key}={shlex.quote(value)}" for key, value in pairs.items())

    def _install(self, path: str, length: int) -> str:
        """sh that puts script and plan in place."""
        quoted = shlex.quote
        return " && ".join(
            (
                f"umask 022 && mkdir -p {quoted(self._connection.host.root)}",
                f"umask 077 && mkdir -p {quoted(self._deploy)}/bin {quoted(self.directory)}",
                f"head -c {length} >{quoted(path)}.$$ && mv -f {quoted(path)}.$$ {quoted(path)}",
                f"cat >{quoted(self.directory)}/plan",
            )
        )

    def _tell(self, line: JournalLine) -> list[Event]:
        self._seen += 1
        detail, subject = redact(line.detail), self._names.get(line.subject, line.subject)
        match line.event:
            case "removed":
                return [Removed(line.at, subject, detail)]
            case "skipped":
                return [Skipped(line.at, subject, detail)]
            case "measured":
                return self._measured(line)
            case "finished":
                return [self._finished(line.at, detail)]
        return [Journaled(line.at, line.event, detail)]

    def _measured(self, line: JournalLine) -> list[Event]:
        count = number(line.detail, most=_MOST)
        if line.subject == "before":
            self._before = count
        elif count is not None and self._before is not None:
            self._freed = Freed(line.at, self._before, count)
            return [self._freed]
        return []

    def _finished(self, at: str, detail: str) -> Finished:
        word, code, reason = [*detail.split(" ", 2), "", ""][:3]
        outcome = Outcome(word) if word in list(Outcome) else Outcome.FAILED
        if outcome is Outcome.COMMITTED and self._freed is not None:
            reason = f"{size(max(0, self._freed.freed_bytes))} came free"
        return Finished(at, outcome, self.id, reason.strip(), "", number(code) or 0)

    def _unbegun(self, stderr: bytes) -> Finished:
        reason = f"nothing was changed: {redact(last_lines(stderr, 1)) or 'the script did not begin'}"
        return Finished(self._now(), Outcome.REFUSED, self.id, reason, "", 78)

    async def _ended(self) -> Finished:
        """The journal stopped: what is told of its end, if it came to one."""
        argv = ["cat", f"{self.directory}/status"]
        done = await self._connection.run(argv, root=True, check=False, label="disk prune status")
        if done.exit_status == 0:
            return self._finished(self._now(), redact(done.text.strip()))
        reason = f"it was killed in the middle, all else is as it was: vpai-tui disk {self._prune.host}"
        return Finished(self._now(), Outcome.FAILED, self.id, reason)

    async def _follow(self) -> AsyncIterator[Event]:
        """The journal from where it was left, over a new connection; `unknown` without any."""
        patience = Patience(RECONNECT_WITHIN_S)
        yield Journaled(self._now(), "link_lost", "the link was lost; the host goes on")
        while True:
            try:
                self._connection = await self._again()
                async for line in follow(
                    self._connection, self.directory, f"{self._deploy}/owner", self._seen, "follow disk prune"
                ):
                    for event in self._tell(line):
                        yield event
                        if isinstance(event, Finished):
                            return
                yield await self._ended()
                return
            except OperatorError as error:
                if not await patience.pause():
                    reason = f"{error.message}; the host goes on by itself: vpai-tui disk {self._prune.host}"
                    yield Finished(self._now(), Outcome.UNKNOWN, self.id, reason)
                    return

    def _now(self) -> str:
        return rfc3339(self._clock.now())
