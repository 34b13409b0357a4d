"""One apply of staged records: a script shipped to the host, started detached, followed to its end."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from importlib.resources import files as package_files

from vpai_tui.clock import Clock, rfc3339
from vpai_tui.errors import HostUnreachable, LinkLost, LockHeld, OperatorError
from vpai_tui.fleet.operation import Event, Finished, Journaled, Outcome, RevertStarted, RunnerStarted
from vpai_tui.redact import redact
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.job import (
    JournalLine,
    Patience,
    follow,
    journal_length,
    parse_line,
    script_name,
    start_command,
    with_lock,
)
from vpai_tui.text import last_lines
from vpai_tui.vpn.hub import Hub

HEALTH_S = 25  # for Headscale to answer again; it takes 0.2 s, twice that on a bad day
RECONNECT_WITHIN_S = 90.0  # awake, since the journal last said something
_KEPT = 10  # runs whose copies stay on the host
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OUTPUT_LINES = 50


@dataclass(frozen=True, slots=True)
class Order:
    """What to put in place. `base` is the sha256 of the file that `content` was made from."""

    hub: Hub
    path: str  # on the host
    inside: str  # in the container
    content: bytes
    base: str
    restart: bool
    relays: tuple[str, ...] = ()  # URLs whose relay map it needs to start again
    port: int = 8080  # of its HTTP, in the container
    public: str = ""  # where clients reach it


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def script() -> bytes:
    """The script that runs on the host."""
    return with_lock(package_files("vpai_tui.vpn.dns").joinpath("apply.sh").read_bytes())


def new_id(clock: Clock) -> str:
    """A run's name: sorts by time."""
    return f"{clock.now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


class Run:
    """One run of the script on the hub."""

    def __init__(
        self, connection: Connection, id_: str, by: str, clock: Clock, fresh: Callable[[], Awaitable[Connection]]
    ) -> None:
        self.id = id_
        self._connection = connection
        self._by = by
        self._clock = clock
        self._fresh = fresh
        self._seen = 0

    @property
    def _deploy(self) -> str:
        return f"{self._connection.host.root.rstrip('/')}/deploy"

    @property
    def directory(self) -> str:
        return f"{self._deploy}/dns/{self.id}"

    async def apply(self, order: Order) -> AsyncIterator[Event]:
        """Uploads and starts. The last event is `Finished`: committed, reverted, refused, failed or unknown."""
        async for event in self._go("apply", order, order.content):
            yield event

    async def settle(self, order: Order) -> AsyncIterator[Event]:
        """Takes an interrupted run back."""
        self._seen = await journal_length(self._connection, self.directory)
        async for event in self._go("settle", order, b""):
            yield event

    async def _go(self, verb: str, order: Order, content: bytes) -> AsyncIterator[Event]:
        runner = script()
        path = f"{self._deploy}/bin/{script_name(runner)}"
        start = start_command(self._environment(order), path, (verb, self.id), self.directory, self._seen)
        command = f"{self._install(path, runner, verb)} && {{ {start}; }}"
        yield RunnerStarted(self._now(), self.id)
        try:
            async with self._connection.stream(
                ["sh", "-c", command], root=True, stdin=runner + content, label=f"dns {verb} {self.id}"
            ) as lines:
                async for raw in lines:
                    if line := parse_line(raw):
                        yield (event := await self._tell(line))
                        if isinstance(event, Finished):
                            return
                stderr = lines.stderr
            yield await self._ended(stderr)
        except LinkLost:
            async for event in self._again():
                yield event

    def _environment(self, order: Order) -> str:
        host = self._connection.host
        pairs = {
            "ROOT": host.root.rstrip("/"),
            "DOCKER": host.docker,
            "WHO": self._by,
            "CONTAINER": order.hub.container,
            "FILE": order.path,
            "INSIDE": order.inside,
            "HASH": order.base,
            "MODE": "restart" if order.restart else "path",
            "HEALTH_S": str(HEALTH_S),
            "PORT": str(order.port),
            "PUBLIC": order.public.rstrip("/"),
            "DERP_URLS": " ".join(order.relays),
        }
        words = [f"{key}={shlex.quote(value)}" for key, value in pairs.items()]
        return " ".join([f'env -i PATH={_PATH} HOME="$HOME" LC_ALL=C', *words])

    def _install(self, path: str, runner: bytes, verb: str) -> str:
        """sh that puts script and candidate in place, and lets go of old runs."""
        home, quoted = f"{self._deploy}/dns", shlex.quote
        parts = [
            f"umask 022 && mkdir -p {quoted(self._connection.host.root)}",
            f"umask 077 && mkdir -p {quoted(self._deploy)}/bin {quoted(self.directory)}",
            f"head -c {len(runner)} >{quoted(path)}.$$ && mv -f {quoted(path)}.$$ {quoted(path)}",
        ]
        if verb == "apply":
            parts.append(f"cat >{quoted(self.directory)}/new && sync -d {quoted(self.directory)}/new")
            old = f'ls -d [0-9]* | sort -r | tail -n +{_KEPT + 1} | grep -vxF "$(readlink pending || echo -)"'
            parts.append(f"{{ (cd {quoted(home)} && {old} | xargs -r rm -rf --); }}")  # an unsettled one stays
        return " && ".join(parts)

    async def _tell(self, line: JournalLine) -> Event:
        self._seen += 1
        if line.event == "finished":
            return await self._finished(line.at, line.detail)
        detail = redact(line.detail)
        if line.event == "revert_started":
            return RevertStarted(line.at, "the records before", detail)
        return Journaled(line.at, line.event, detail)

    async def _finished(self, at: str, detail: str) -> Finished:
        word, code, reason = [*detail.split(" ", 2), "", ""][:3]
        outcome = Outcome(word) if word in list(Outcome) else Outcome.FAILED
        output = "" if outcome in (Outcome.COMMITTED, Outcome.REFUSED) else await self._output()
        return Finished(at, outcome, self.id, redact(reason.strip()), output, int(code) if code.isdigit() else 0)

    async def _output(self) -> str:
        """The last lines: what docker, configtest and Headscale said."""
        try:
            argv = ["tail", "-n", str(_OUTPUT_LINES), f"{self.directory}/out.log"]
            done = await self._connection.run(argv, root=True, check=False, label="dns log")
        except OperatorError:
            return ""
        return redact(last_lines(done.stdout, _OUTPUT_LINES))

    async def _ended(self, stderr: bytes) -> Finished:
        """The journal stopped without an end: it was killed, and what guards it settles it; or it never began."""
        status = f"{self.directory}/status"
        reason = "it was killed before it changed anything"
        for _ in range(HEALTH_S * 2):
            done = await self._connection.run(["cat", status], root=True, check=False, label="dns status")
            if done.exit_status == 0:
                return await self._finished(self._now(), done.text.strip())
            try:
                if await interrupted(self._connection) is None:
                    break
            except LockHeld:
                pass  # it is being settled
            reason = "it was killed; the next `dns apply` settles it first"
            await asyncio.sleep(1)
        output = redact(last_lines(stderr)) or await self._output()
        return Finished(self._now(), Outcome.FAILED, self.id, reason, output)

    async def _again(self) -> AsyncIterator[Event]:
        """A new connection, and the journal from where it was left, as often as the link breaks.

        The end is `unknown` when no connection can be had: not within `RECONNECT_WITHIN_S`, or refused.
        """
        patience = Patience(RECONNECT_WITHIN_S)
        while True:
            yield Journaled(self._now(), "link_lost", "the link was lost; the host goes on")
            seen = self._seen
            try:
                async for event in self._once_more(patience):
                    yield event
                return
            except LinkLost as error:
                lost = error
            except OperatorError as error:
                yield self._unknown(error)
                return
            if self._seen > seen:
                patience.renew()
            elif not await patience.pause():
                yield self._unknown(lost)
                return

    async def _once_more(self, patience: Patience) -> AsyncIterator[Event]:
        """The journal over one more connection. HostUnreachable when none can be had, LinkLost when it ends too."""
        connection = self._connection = await self._connected(patience)
        try:
            owner = f"{self._deploy}/owner"
            async for line in follow(connection, self.directory, owner, self._seen, "follow dns apply"):
                yield (event := await self._tell(line))
                if isinstance(event, Finished):
                    return
            yield await self._ended(b"")
        finally:
            await connection.close()

    async def _connected(self, patience: Patience) -> Connection:
        """The first connection that can be had while there is patience; else the last error, at once if refused."""
        while True:
            try:
                return await self._fresh()
            except HostUnreachable as error:
                if error.refused or not await patience.pause():
                    raise

    def _unknown(self, error: OperatorError) -> Finished:
        reason = f"{error.message}; the host goes on by itself: look again with `vpai-tui dns list`"
        return Finished(self._now(), Outcome.UNKNOWN, self.id, reason)

    def _now(self) -> str:
        return rfc3339(self._clock.now())


async def interrupted(connection: Connection) -> str | None:
    """The run that was killed and that nobody has settled yet, or None.

    Raises:
        LockHeld: one still runs (or a deploy of this host).
    """
    deploy = f"{connection.host.root.rstrip('/')}/deploy"
    command = (
        f'cd {shlex.quote(deploy)} 2>/dev/null && p=$(readlink dns/pending) && [ -n "$p" ] || exit 0; '
        'flock -n -E 75 lock true || { head -n 1 owner; exit 75; }; [ -e "dns/$p/status" ] || printf "%s" "$p"'
    )
    done = await connection.run(["sh", "-c", command], root=True, check=False, label="look for an interrupted apply")
    if done.exit_status == 75:
        raise LockHeld(f"something runs on the host: {done.text.strip()}", host=connection.name)
    return done.text.strip() or None
