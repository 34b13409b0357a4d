"""A new `litellm_config.yaml` put in place on its host: by a script, under the host's lock, the old one kept."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files as package_files

from vpai_tui.budget.transport import PORT, ask_program
from vpai_tui.clock import Clock, rfc3339
from vpai_tui.errors import HostUnreachable, LinkLost, LockHeld, OperatorError, PreflightRefused, StalePlan
from vpai_tui.fleet.operation import Event, Finished, Journaled, Outcome, RevertStarted, RunnerStarted
from vpai_tui.redact import redact
from vpai_tui.remote.channel import Completed
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.files import read_file
from vpai_tui.remote.job import JournalLine, follow, parse_line, script_name, start_command, with_lock
from vpai_tui.text import last_lines

READY_S = 120  # LiteLLM takes 6 to 22 s to start, and longer when it migrates its database
RECONNECT_WITHIN_S = READY_S * 3.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OUTPUT_LINES = 20


@dataclass(frozen=True, slots=True)
class Edit:
    """A file on the host as it was read, and what it shall be."""

    path: str
    before: bytes
    after: bytes

    @property
    def base(self) -> str:
        return hashlib.sha256(self.before).hexdigest()

    @property
    def empty(self) -> bool:
        return self.before == self.after


async def read_config(connection: Connection, path: str) -> bytes:
    """The file as it is now. OperatorError when there is none."""
    content = await read_file(connection, path, root=True)
    if content is None:
        raise OperatorError(f"there is no {path}", host=connection.name, step="budget", remedy="deploy LiteLLM's stack")
    return content


def script() -> bytes:
    """The script as it is shipped: one file."""
    return with_lock(package_files("vpai_tui.budget").joinpath("persist.sh").read_bytes())


async def check(connection: Connection, edit: Edit, by: str) -> None:
    """Whether the file could be put in place now.

    Raises:
        LockHeld, StalePlan, PreflightRefused: it could not, and why.
    """
    await _run(connection, edit, by, "check", b"")


async def keep(connection: Connection, edit: Edit, by: str) -> str:
    """Puts the file in place and reads it back; returns where the one before it is kept.

    Raises:
        LockHeld, StalePlan, PreflightRefused: it is as it was.
        CommandFailed, LinkLost: it is the old one or the new one, whole.
    """
    return (await _run(connection, edit, by, "keep", edit.after)).text.strip()


async def _run(connection: Connection, edit: Edit, by: str, verb: str, content: bytes) -> Completed:
    argv = ["env", "-i", *_environment(connection, edit, by), "sh", "-c", script().decode(), "persist", verb]
    label = f"budget {verb} {edit.path}"
    done = await connection.run(argv, root=True, stdin=content, check=False, timeout_s=160, label=label)
    if done.exit_status == 0:
        return done
    said, host = redact(last_lines(done.stderr, 1)) or "no reason told", connection.name
    if done.exit_status == 75:
        raise LockHeld(
            f"something runs on the host: {said}", host=host, step="budget", remedy="try again when it ended"
        )
    if done.exit_status == 77:
        raise StalePlan(said, host=host, step="budget", remedy="look again, then plan again")
    if done.exit_status == 78:
        raise PreflightRefused(said, host=host, step="budget")
    raise connection.failed(label, done)


def _environment(connection: Connection, edit: Edit, by: str, more: Mapping[str, str] | None = None) -> list[str]:
    pairs = {
        "PATH": _PATH,
        "LC_ALL": "C",
        "ROOT": connection.host.root.rstrip("/"),
        "WHO": by,
        "FILE": edit.path,
        "BASE": edit.base,
        "NEW": hashlib.sha256(edit.after).hexdigest(),
        **(more or {}),
    }
    return [f"{key}={value}" for key, value in pairs.items()]


def new_id(clock: Clock) -> str:
    return clock.now().strftime("%Y%m%dT%H%M%S-") + secrets.token_hex(2)


class Restart:
    """One change that LiteLLM must be restarted for: on the host, detached, taken back by the host if it does not come
    back. `fresh` makes a new connection when the link breaks."""

    def __init__(
        self,
        connection: Connection,
        container: str,
        by: str,
        clock: Clock,
        fresh: Callable[[], Awaitable[Connection]],
        *,
        port: int = PORT,
    ) -> None:
        self.id = new_id(clock)
        self._connection = connection
        self._container = container
        self._port = port
        self._by = by
        self._clock = clock
        self._fresh = fresh
        self._seen = 0

    @property
    def _deploy(self) -> str:
        return f"{self._connection.host.root.rstrip('/')}/deploy"

    @property
    def directory(self) -> str:
        return f"{self._deploy}/budget/{self.id}"

    async def run(self, edit: Edit) -> AsyncIterator[Event]:
        """The last event is `Finished`: committed, reverted, revert_failed, refused, failed or unknown."""
        program = script()
        path = f"{self._deploy}/bin/{script_name(program)}"
        start = start_command(self._words(edit), path, ("restart", self.id), self.directory)
        command = f"{self._install(path, len(program))} && {{ {start}; }}"
        yield RunnerStarted(self._now(), self.id)
        label = f"budget restart {self.id}"
        try:
            async with self._connection.stream(
                ["sh", "-c", command], root=True, stdin=program + edit.after, label=label
            ) as lines:
                async for raw in lines:
                    if line := parse_line(raw):
                        yield (event := await self._tell(line))
                        if isinstance(event, Finished):
                            return
                stderr = lines.stderr
            yield await self._ended() if self._seen else self._unbegun(stderr)
        except LinkLost:
            async for event in self._again():
                yield event

    def _words(self, edit: Edit) -> str:
        order = {"port": self._port, "timeout_s": 5, "requests": [["GET", "/health/readiness", None]]}
        more = {
            "DOCKER": self._connection.host.docker,
            "CONTAINER": self._container,
            "READY_S": str(READY_S),
            "ASK": ask_program(),
            "READY": json.dumps(order),
        }
        return 'env -i HOME="$HOME" ' + shlex.join(_environment(self._connection, edit, self._by, more))

    def _install(self, path: str, size: int) -> str:
        """sh that puts script and candidate in place."""
        quoted = shlex.quote
        return " && ".join(
            (
                f"umask 022 && mkdir -p {quoted(self._connection.host.root)}",
                f"umask 077 && mkdir -p {quoted(self._deploy)}/bin {quoted(self.directory)}",
                f"head -c {size} >{quoted(path)}.$$ && mv -f {quoted(path)}.$$ {quoted(path)}",
                f"cat >{quoted(self.directory)}/new && sync -d {quoted(self.directory)}/new",
            )
        )

    async def _tell(self, line: JournalLine) -> Event:
        self._seen += 1
        detail = redact(line.detail)
        if line.event == "finished":
            return await self._finished(line.at, detail)
        if line.event == "revert_started":
            return RevertStarted(line.at, "the file before", detail)
        return Journaled(line.at, line.event, detail)

    async def _finished(self, at: str, detail: str) -> Finished:
        word, code, reason = [*detail.split(" ", 2), "", ""][:3]
        outcome = Outcome(word) if word in list(Outcome) else Outcome.FAILED
        output = "" if outcome in (Outcome.COMMITTED, Outcome.REFUSED) else await self._output()
        return Finished(at, outcome, self.id, reason.strip(), output, int(code) if code.isdigit() else 0)

    async def _output(self) -> str:
        """The last lines: what Docker and LiteLLM said."""
        argv = ["tail", "-n", str(_OUTPUT_LINES), f"{self.directory}/out.log"]
        try:
            done = await self._connection.run(argv, root=True, check=False, label="budget log")
        except OperatorError:
            return ""
        return redact(last_lines(done.stdout, _OUTPUT_LINES))

    def _unbegun(self, stderr: bytes) -> Finished:
        """It ended without a line in its journal, which it writes before it touches the file: there is nobody to wait
        for."""
        reason = f"nothing was changed: {redact(last_lines(stderr, 1)) or 'the script did not begin'}"
        return Finished(self._now(), Outcome.REFUSED, self.id, reason, "", PreflightRefused.exit_code)

    async def _ended(self) -> Finished:
        """The journal stopped without an end: the script was killed, and what guards it takes the change back."""
        for _ in range(READY_S):
            argv = ["cat", f"{self.directory}/status"]
            done = await self._connection.run(argv, root=True, check=False, label="budget status")
            if done.exit_status == 0:
                return await self._finished(self._now(), redact(done.text.strip()))
            await asyncio.sleep(1)
        reason = "it was killed, and its end is not told: look again with `vpai-tui budget`"
        return Finished(self._now(), Outcome.FAILED, self.id, reason, await self._output())

    async def _again(self) -> AsyncIterator[Event]:
        """New connections, one after the other, and the journal from where it was left; `unknown` without any."""
        until, pause_s = self._clock.boot_s() + RECONNECT_WITHIN_S, 0.5
        while True:
            yield Journaled(self._now(), "link_lost", "the link was lost; the host goes on")
            try:
                connection = self._connection = await self._fresh()
            except OperatorError as error:
                lost: OperatorError = error
                hopeless = not isinstance(error, HostUnreachable) or error.refused
            else:
                try:
                    async for event in self._once_more(connection):
                        yield event
                    return
                except LinkLost as error:
                    lost, hopeless = error, False
                finally:
                    await connection.close()
            if hopeless or self._clock.boot_s() + pause_s > until:
                reason = f"{lost.message}; the host goes on by itself: look again with `vpai-tui budget`"
                yield Finished(self._now(), Outcome.UNKNOWN, self.id, reason)
                return
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 10.0)

    async def _once_more(self, connection: Connection) -> AsyncIterator[Event]:
        async for line in follow(connection, self.directory, f"{self._deploy}/owner", self._seen, "follow budget"):
            yield (event := await self._tell(line))
            if isinstance(event, Finished):
                return
        yield await self._ended()

    def _now(self) -> str:
        return rfc3339(self._clock.now())
