"""From a plan to its end: release uploaded, runner started detached, journal followed, outcome told."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Awaitable, Callable

from vpai_tui.clock import Clock, rfc3339
from vpai_tui.deploy import arch
from vpai_tui.deploy.host import Place, probe, runner_script
from vpai_tui.deploy.images import Images
from vpai_tui.deploy.plan import Prepared
from vpai_tui.deploy.release import upload
from vpai_tui.errors import CommandFailed, HostUnreachable, LinkLost, OperatorError
from vpai_tui.fleet.operation import (
    ConfirmAwaited,
    Confirmed,
    Event,
    Finished,
    HookDone,
    HookFailed,
    HookStarted,
    Journaled,
    Outcome,
    ReleaseUploaded,
    RevertStarted,
    RunnerStarted,
    ServiceHealthy,
    ServiceRemoved,
    ServiceStarted,
    StepFailed,
    StepStarted,
)
from vpai_tui.redact import redact
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.docker import Docker
from vpai_tui.remote.job import JournalLine, Patience, follow, parse_line, script_name, start_command
from vpai_tui.text import last_lines, number

_OUTCOMES = {
    "ok": Outcome.COMMITTED,
    "adopted": Outcome.COMMITTED,
    "recorded": Outcome.COMMITTED,
    "unchanged": Outcome.UNCHANGED,
    "failed": Outcome.FAILED,
    "reverted": Outcome.REVERTED,
    "revert_failed": Outcome.REVERT_FAILED,
    "refused": Outcome.REFUSED,
}
_OUTPUT_LINES = 24
_OF_ONE_RUN = (
    "journal status out.log failure.log hook.log confirmed touched carried* prior prior.* networks.before dumps.before "
    "dumps.then env.marks .listing"
)
_REFUSALS = {  # of a settling
    75: "another deploy holds the lock",
    77: "the interrupted deploy was settled by somebody else",
    78: "the values edited on the host could not be carried over",
}
RECONNECT_WITHIN_S = 120.0  # awake, since the journal last said something

Connect = Callable[[], Awaitable[Connection]]


class Run:
    """One run of the runner on a host, followed to its end over as many connections as it takes."""

    def __init__(
        self,
        connection: Connection,
        place: Place,
        release: str,
        by: str,
        clock: Clock,
        fresh: Connect,
        *,
        again: Connect | None = None,
        confirms: bool = True,
    ) -> None:
        """`fresh` makes a connection of this run's own; `again` gives one, somebody else's, after a loss (without it
        `fresh` does). `confirms`: answers the host's question whether it can be reached; who only looks on does not.
        """
        self.connection = connection
        self.place = place
        self.release = release
        self.by = by
        self._clock = clock
        self._fresh = fresh
        self._again = again
        self._confirms = confirms
        self._seen = 0
        self._sent = False  # whether a release was uploaded, or begun to be

    @property
    def directory(self) -> str:
        return f"{self.place.home}/releases/{self.release}"

    @property
    def told_in(self) -> str:
        """Its folder as the probe finds it, from the releases on."""
        return self.release

    @property
    def environment(self) -> str:
        """The words the runner is started behind."""
        return f"{self.place.environment()} WHO={shlex.quote(self.by)}"

    def skip(self, lines: int) -> None:
        """Lines of the journal that were told before."""
        self._seen = lines

    async def start(self, verb: str, tar: bytes, source: str | None = None) -> AsyncIterator[Event]:
        """Uploads `tar` and starts the runner. It is the release (apply), its lists (adopt), or what goes into it."""
        runner = runner_script()
        path = f"{self.place.deploy}/bin/{script_name(runner)}"
        start = start_command(self.environment, path, (verb, self.release), self.directory, self._seen)
        settles = verb in ("resume", "revert")
        self._sent = not settles
        command = install(self.place, path, runner)
        command += _into(self.directory, tar) if settles else _release(self.directory, source)
        yield RunnerStarted(self._now(), self.release)
        try:
            async for event in self._follow_started(f"{command} && {{ {start}; }}", runner, tar, settles=settles):
                yield event
        except LinkLost:
            async for event in self.resume_following("the link was lost; the host goes on"):
                yield event

    async def _follow_started(self, command: str, runner: bytes, tar: bytes, *, settles: bool) -> AsyncIterator[Event]:
        label = f"deploy {self.place.stack} {self.release}"
        async with self.connection.stream(["sh", "-c", command], root=True, stdin=runner + tar, label=label) as lines:
            async for raw in lines:
                if line := parse_line(raw):
                    async for event in self._tell(line):
                        yield event
                    if line.event == "finished":
                        return
            stderr, refused = lines.stderr, lines.exit_status if settles else None
        yield await self._ended(stderr, refused)

    async def follow(self) -> AsyncIterator[Event]:
        """What `watch` tells, over as many connections as it takes."""
        try:
            async for event in self.watch():
                yield event
        except LinkLost:
            async for event in self.resume_following("the link was lost; the host goes on"):
                yield event

    async def resume_following(self, why: str) -> AsyncIterator[Event]:
        """A new connection, and the journal from where it was left, as often as the link breaks.

        The end is `unknown` when no connection can be had: not within `RECONNECT_WITHIN_S`, or refused.
        """
        patience = Patience(RECONNECT_WITHIN_S)
        while True:
            yield Journaled(self._now(), "link_lost", why)
            seen = self._seen
            try:
                async for event in self._once_more(patience):
                    yield event
                return
            except LinkLost as error:
                why, lost = "the link was lost again", error
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
        self.connection = await self._connected(self._again or self._fresh, patience)
        try:
            if self._sent and not self._seen:  # what was left of an upload must not become a release by itself later
                await self.connection.run(["rm", "-rf", f"{self.directory}.part"], root=True, label="tidy up")
            async for event in self.watch():
                yield event
        finally:
            if self._again is None:
                await self.connection.close()

    async def _connected(self, connect: Connect, patience: Patience) -> Connection:
        """The first connection that can be had while there is patience; else the last error, at once if refused."""
        while True:
            try:
                return await connect()
            except HostUnreachable as error:
                if error.refused or not await patience.pause():
                    raise

    def _unknown(self, error: OperatorError) -> Finished:
        reason = f"{error.message}; the host goes on by itself: look again with `vpai-tui status`"
        return Finished(self._now(), Outcome.UNKNOWN, self.release, reason, error.output)

    async def watch(self) -> AsyncIterator[Event]:
        """The journal from where this run has read it, to the end."""
        owner = f"{self.place.deploy}/owner"
        async for line in follow(self.connection, self.directory, owner, self._seen, f"follow {self.place.stack}"):
            async for event in self._tell(line):
                yield event
            if line.event == "finished":
                return
        yield await self._ended(b"", None)

    async def _tell(self, line: JournalLine) -> AsyncIterator[Event]:
        self._seen += 1
        if line.event == "finished":
            yield await self._finished(line.at, line.detail)
            return
        event = as_event(line)
        yield event
        if isinstance(event, ConfirmAwaited) and self._confirms:
            yield await self._confirm(event.timeout_s)

    async def _confirm(self, within_s: float) -> Event:
        """Proof that the host can still be reached: a new connection leaves a mark. Failing is no error: it reverts."""
        try:
            connection = await self._connected(self._fresh, Patience(within_s))
        except OperatorError as error:
            return Journaled(self._now(), "confirm_failed", f"no new connection: {error.message}")
        try:
            await connection.run(
                ["sh", "-c", f": >{shlex.quote(self.directory)}/confirmed"], root=True, label="confirm"
            )
        except OperatorError as error:
            return Journaled(self._now(), "confirm_failed", error.message)
        finally:
            await connection.close()
        return Journaled(self._now(), "confirm_sent", connection.address)

    async def _finished(self, at: str, detail: str) -> Finished:
        word, code, reason = [*detail.split(" ", 2), "", ""][:3]
        outcome = _OUTCOMES.get(word, Outcome.FAILED)
        if word not in _OUTCOMES:
            reason = "how it ended is not readable on the host: look at `vpai-tui status`"
        quiet = (Outcome.COMMITTED, Outcome.UNCHANGED, Outcome.REFUSED)
        output = "" if outcome in quiet else await self._output()
        if outcome is Outcome.REFUSED and code == "75":
            reason = f"another deploy holds the lock: {reason}"
        return Finished(at, outcome, self.release, redact(reason.strip()), output, number(code) or 0)

    async def _output(self) -> str:
        try:
            facts = await probe(self.connection, self.place, "tail_of", self.told_in)
        except OperatorError:
            return ""
        return redact(last_lines(facts.out, _OUTPUT_LINES))

    async def _ended(self, stderr: bytes, refused: int | None) -> Finished:
        """The journal stopped without an end: killed, never begun, or (`refused`) a settling that was not let in.

        Such a one leaves the journal and the status of the release alone: they are another run's.
        """
        try:
            facts = await probe(self.connection, self.place, "tail_of", self.told_in)
        except CommandFailed as error:
            return self._unknown(error)
        if refused in _REFUSALS:
            return Finished(self._now(), Outcome.REFUSED, self.release, _REFUSALS[refused], facts.owner, refused)
        # killed between telling its end and taking the mark away: what is pending is refused to everybody, and no end
        if facts.status and (facts.pending != self.release or facts.status.startswith("revert_failed")):
            return await self._finished(self._now(), facts.status)
        if facts.pending == self.release:
            reason = "the runner was killed; the deploy is interrupted: resume or revert it"
        else:
            reason = "the runner did not start"
        output = redact(last_lines(facts.out or stderr, _OUTPUT_LINES))
        return Finished(self._now(), Outcome.FAILED, self.release, reason, output)

    def _now(self) -> str:
        return rfc3339(self._clock.now())


def install(place: Place, path: str, runner: bytes) -> str:
    """sh that puts the runner (the first bytes of stdin) in its place."""
    home, quoted = place.home, shlex.quote
    return " && ".join(
        (
            "umask 022",
            f"mkdir -p {quoted(place.root)}",
            "umask 077",
            f"mkdir -p {quoted(place.deploy)}/bin {quoted(home)}/releases {quoted(home)}/runs",
            f"head -c {len(runner)} >{quoted(path)}.$$ && mv -f {quoted(path)}.$$ {quoted(path)}",
        )
    )


def _release(directory: str, source: str | None) -> str:
    """sh that makes a release of the rest of stdin (a tar) over a copy of `source`, visible as one rename."""
    target = shlex.quote(directory)
    parts = ["", f"rm -rf {target}.part", f"mkdir {target}.part"]
    if source:
        kept = f"{directory.rpartition('/')[0]}/{source}"
        parts.append(f"cp -R {shlex.quote(kept)}/. {target}.part")
        parts.append(f"(cd {target}.part && rm -rf {_OF_ONE_RUN})")
    parts += [f"tar -xf - -C {target}.part", f"sync -f {target}.part", f"mv -T {target}.part {target}"]
    return " && ".join(parts)


def _into(directory: str, tar: bytes) -> str:
    """sh that lays the rest of stdin beside an interrupted release, for its runner to take in under the lock."""
    target = f"{shlex.quote(directory)}/carried.tar"
    return f" && cat >{target}.part && mv -f {target}.part {target}" if tar else f" && rm -f {target}"


_EVENTS: dict[str, Callable[[str, str, str], Event]] = {  # at, subject, detail
    "step_started": StepStarted,
    "service_started": lambda at, subject, _: ServiceStarted(at, subject),
    "service_healthy": ServiceHealthy,
    "service_removed": lambda at, subject, _: ServiceRemoved(at, subject),
    "step_failed": StepFailed,
    "hook_started": HookStarted,
    "hook_done": HookDone,
    "hook_failed": HookFailed,
    "confirm_awaited": lambda at, _, detail: ConfirmAwaited(at, number(detail) or 0),
    "confirmed": lambda at, *_: Confirmed(at),
    "revert_started": RevertStarted,
}


def as_event(line: JournalLine) -> Event:
    """A journal line as the past fact it tells."""
    at, subject, detail = line.at, line.subject, redact(line.detail)
    if line.event in _EVENTS:
        return _EVENTS[line.event](at, subject, detail)
    return Journaled(at, line.event, " ".join(part for part in (subject, detail) if part))


async def execute(
    connection: Connection,
    docker: Docker,
    prepared: Prepared,
    by: str,
    clock: Clock,
    fresh: Connect,
    again: Connect | None = None,
) -> AsyncIterator[Event]:
    """Fetches the images, uploads the release, runs it, follows it to its end. The last event is `Finished`.

    Raises:
        PreflightRefused: an image cannot be had, or is for another kind of machine; nothing was changed.
    """
    plan = prepared.plan
    if plan.empty:
        yield Finished(rfc3339(clock.now()), Outcome.UNCHANGED, plan.base or plan.release)
        return
    images = Images(connection, docker, prepared, clock)
    async for event in images.fetch():
        yield event
    await arch.check(docker, prepared, images.targets)
    tar = upload(prepared, images.targets, clock, by)
    yield ReleaseUploaded(rfc3339(clock.now()), plan.release, len(tar))
    run = Run(connection, prepared.place, plan.release, by, clock, fresh, again=again)
    async for event in run.start("apply", tar, prepared.bundle.source):
        yield event
