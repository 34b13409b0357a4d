"""Backups as one thing: `Backups` tells how they stand, has one made now, and tries a restore."""

from __future__ import annotations

import asyncio
import secrets
import shlex
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from importlib.resources import files as package_files

from vpai_tui.clock import rfc3339
from vpai_tui.errors import LinkLost, LockHeld, OperatorError, PreflightRefused, UsageError
from vpai_tui.fleet.checks import Finding
from vpai_tui.fleet.history import Entry, who
from vpai_tui.fleet.stacks import Stack
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.job import Patience
from vpai_tui.text import clean, clean_line
from vpai_tui.upkeep.backups.findings import CHECKS, findings
from vpai_tui.upkeep.backups.look import Place, look, places
from vpai_tui.upkeep.backups.model import HostBackups
from vpai_tui.upkeep.backups.record import Heartbeat, Line, RestoreTest, Step, read_line, restore_of, step_of
from vpai_tui.upkeep.examiner import Source
from vpai_tui.upkeep.surface import Surface

RECONNECT_WITHIN_S = 900.0
_RUN, _RESTORE = ("pre-backup.sh", "journal"), ("restore-test.sh", "journal-restore")


@dataclass(frozen=True, slots=True)
class JobBegun:
    """The host has begun: `what` is `backup` or `restore test`."""

    at: str
    what: str
    subject: str


@dataclass(frozen=True, slots=True)
class StepBegun:
    """A step is under way."""

    at: str
    step: str


@dataclass(frozen=True, slots=True)
class StepEnded:
    """A copy was made, or was not."""

    at: str
    step: Step


@dataclass(frozen=True, slots=True)
class HeartbeatTold:
    """What became of the heartbeat."""

    at: str
    heartbeat: Heartbeat


@dataclass(frozen=True, slots=True)
class LinkWaited:
    """The link was lost; the host goes on, and is asked for again."""

    at: str
    reason: str


@dataclass(frozen=True, slots=True)
class JobEnded:
    """The last event. `test` is the result of a restore test."""

    at: str
    ok: bool
    reason: str
    test: RestoreTest | None = None

    @property
    def exit_code(self) -> int:
        return 0 if self.ok else 1


Event = JobBegun | StepBegun | StepEnded | HeartbeatTold | LinkWaited | JobEnded


@dataclass(frozen=True, slots=True)
class Unreached:
    """A host that could not be asked."""

    host: str
    reason: str
    remedy: str


class Backups:
    """One per command or cockpit; made cheap, nothing is asked before the first look."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self.places = places(surface.stacks)

    @staticmethod
    def host_of(stacks: Sequence[Stack]) -> str:
        """The host whose backups are made by a stack, else the first that has any. UsageError: there is none."""
        found = places(stacks)
        if not found:
            raise UsageError("no stack says what is backed up", remedy="`fresh` in a stack.yaml: docs/backups.md")
        return next((it.host for it in found if it.stack), found[0].host)

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def look(self, host: str) -> HostBackups:
        """What one host tells. UsageError: nothing is backed up there; OperatorError: it cannot be asked."""
        place = self._place(host)
        return await look(await self._surface.connection(host), place, self._surface.clock.boot_s())

    async def look_all(self) -> tuple[HostBackups | Unreached, ...]:
        """Every host that has something to back up, at the same time; one that is gone costs only its own part."""

        async def one(host: str) -> HostBackups | Unreached:
            try:
                return await self.look(host)
            except OperatorError as error:
                return Unreached(host, clean_line(error.message, 200), error.remedy)

        return tuple(await asyncio.gather(*(one(place.host) for place in self.places)))

    def _place(self, host: str) -> Place:
        found = next((it for it in self.places if it.host == host), None)
        if found is None:
            known = ", ".join(it.host for it in self.places) or "none"
            raise UsageError(f"no stack of {host} has backups", remedy=f"known: {known}")
        return found

    def maker(self) -> Place:
        """The host whose backups can be started. UsageError: no stack has the service `backups`."""
        found = next((it for it in self.places if it.stack), None)
        if found is None:
            raise UsageError("no stack has a service `backups`", remedy="see stacks/sese/backups")
        return found

    # ── acting ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def refuse_unfit(self, database: str | None = None) -> HostBackups:
        """A look at the host that is to act, before anybody is asked to confirm.

        Raises:
            UsageError: read-only, or nothing here makes backups.
            LockHeld: a run is under way.
            PreflightRefused: the container does not run; there is no dump of `database`.
        """
        if self._surface.read_only:
            raise UsageError("this cockpit is read-only", remedy="open it without --read-only")
        place = self.maker()
        self._container(place)
        found = await self.look(place.host)
        if found.running is not None:
            by = found.running.by
            raise LockHeld(f"a backup is under way, begun by {by}", host=place.host, remedy="vpai-tui backups shows it")
        if database is not None:
            self._refuse_without_dump(found, database)
        return found

    def _refuse_without_dump(self, found: HostBackups, database: str) -> None:
        groups = found.dumps.by_subject() if found.dumps else {}
        names = {it.name: it.file_name for it in found.databases or ()}
        if names.get(database, database) not in groups:
            known = (
                ", ".join(sorted(name for name, file in names.items() if file in groups) or sorted(groups)) or "none"
            )
            raise PreflightRefused(
                f"there is no dump of {clean_line(database, 60)}",
                host=found.host,
                step="look",
                remedy=f"known: {known}",
            )

    def _container(self, place: Place) -> str:
        service = next((it for it in self._surface.snapshot().services if it.id == f"{place.stack}/backups"), None)
        if service is None or service.container is None or service.container.state != "running":
            raise PreflightRefused(
                f"{place.stack}/backups does not run",
                host=place.host,
                step="look",
                remedy=f"vpai-tui deploy {place.stack}",
            )
        return service.container.id

    async def run(self) -> AsyncIterator[Event]:
        """Has a backup made now, detached on the host; the last event is `JobEnded`. Raises as `refuse_unfit`."""
        async for event in self._job("backup", self.maker().stack, *_RUN, [who()]):
            yield event

    async def restore_test(self, database: str) -> AsyncIterator[Event]:
        """Restores the newest dump into a database that is thrown away. Raises as `refuse_unfit`."""
        async for event in self._job("restore test", database, *_RESTORE, [database, who()]):
            yield event

    async def _job(
        self, what: str, subject: str, script: str, journal: str, words: Sequence[str]
    ) -> AsyncIterator[Event]:
        if self._surface.read_only:
            raise UsageError("this cockpit is read-only", remedy="open it without --read-only")
        place, result = self.maker(), "unknown: not followed to its end, the host goes on"
        argv = [self._container(place), "sh", f"/scripts/{script}", *words]
        try:
            async for event in self._followed(place.host, what, subject, journal, argv):
                if isinstance(event, JobEnded):
                    result = "done" if event.ok else f"failed: {event.reason}"
                yield event
        except OperatorError as error:
            result = f"{'unknown' if isinstance(error, LinkLost) else 'failed'}: {error.message}"
            raise
        finally:
            at = rfc3339(self._surface.clock.now())
            self._surface.history.append(Entry(at, who(), place.host, what, subject, result))

    async def _followed(
        self, host: str, what: str, subject: str, journal: str, argv: Sequence[str]
    ) -> AsyncIterator[Event]:
        token, skip, verb = secrets.token_hex(8), 0, "start"
        patience, how = Patience(RECONNECT_WITHIN_S), ""
        while not how:
            try:
                connection = await self._surface.connection(host)
                async for line in self._lines(connection, verb, journal, token, skip, argv):
                    if isinstance(line, str):
                        how = line
                        break
                    verb, skip = "follow", skip + 1
                    patience.renew()
                    if (event := event_of(line, what, subject)) is not None:
                        yield event
                        if isinstance(event, JobEnded):
                            return
                else:
                    raise LinkLost("the link was lost", host=host)
            except LinkLost as error:
                # whether a start was heard is not known: whoever looks for the token in the journal finds out
                verb = "follow"
                yield LinkWaited(rfc3339(self._surface.clock.now()), clean_line(error.message, 200))
                if not await patience.pause():
                    raise
        yield self._ended(how, host, what, begun=skip > 0)

    async def _lines(
        self, connection: Connection, verb: str, journal: str, token: str, skip: int, argv: Sequence[str]
    ) -> AsyncIterator[Line | str]:
        """The journal's lines from `skip` on, then how it ended."""
        status = f"{connection.host.root.rstrip('/')}/backups/status"
        words = ["sh", "-s", "--", verb, status, journal, token, str(skip)]
        words += [connection.host.docker, *argv] if verb == "start" else []
        script = package_files("vpai_tui.upkeep.backups").joinpath("follow.sh").read_bytes()
        async with connection.stream(words, root=True, stdin=script, label=shlex.join(argv[1:])) as lines:
            async for raw in lines:
                text = clean(raw)
                if text.startswith("end\t"):
                    yield text.partition("\t")[2].strip()
                    return
                if (line := read_line(raw)) is not None:
                    yield line

    def _ended(self, how: str, host: str, what: str, *, begun: bool) -> JobEnded:
        if how == "busy":
            raise LockHeld(f"another {what} is under way", host=host, remedy="vpai-tui backups shows it")
        if how == "absent" and begun:
            why = f"another {what} has begun since: how this one ended is not told any more"
            raise LinkLost(why, host=host, remedy="vpai-tui backups shows what is there")
        if how == "absent":
            raise OperatorError(f"the {what} did not begin", host=host, step="start", remedy="vpai-tui logs backups")
        at = rfc3339(self._surface.clock.now())
        return JobEnded(at, ok=False, reason="it was ended in the middle" if how == "killed" else "it tells no result")

    # ── checks ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def sources(self) -> list[Source]:
        """The six checks, one question per host."""

        def source(place: Place) -> Source:
            async def ask() -> Sequence[Finding]:
                return findings(await self.look(place.host))

            own = ("backup-steps", *(("restore-test",) if place.zerobyte else ()))
            own = CHECKS if place.stack and place.postgresql else own
            return Source(f"backups of {place.host}", own, place.host, ask, within_s=60.0)

        return [source(place) for place in self.places]


def event_of(line: Line, what: str, subject: str) -> Event | None:
    """What a line of either journal tells; None for what only the script wants to know."""
    match line.event:
        case "begun":
            return JobBegun(line.at, what, subject)
        case "starting" | "reading" | "restoring":
            return StepBegun(line.at, f"{line.event} {line.subject}" if line.event != "starting" else line.subject)
        case "step":
            return StepEnded(line.at, step_of(line))
        case "heartbeat":
            return HeartbeatTold(line.at, Heartbeat(line.text(0), line.text(1)))
        case "finished" if what == "backup":
            failed = line.count(1)
            return JobEnded(line.at, line.text(0) == "ok", f"steps that failed: {failed}" if failed else "")
        case "finished":
            test = restore_of(line)
            return JobEnded(line.at, test.ok, test.reason, test)
    return None
