"""Everything the command line and the screens do with stacks, behind one object."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

from vpai_tui.clock import Clock, rfc3339
from vpai_tui.deploy import life
from vpai_tui.deploy.apply import Run, execute
from vpai_tui.deploy.data import refuse_unfit
from vpai_tui.deploy.hold import lift_hold, read_hold, reason_of, set_hold
from vpai_tui.deploy.host import Place, place_of, probe
from vpai_tui.deploy.kept import plan_of_release, verified
from vpai_tui.deploy.plan import Prepared, compared_with_host, make_plan
from vpai_tui.deploy.release import releases_of
from vpai_tui.deploy.settle import carried
from vpai_tui.errors import HostUnreachable, LinkLost, LockHeld, OperatorError, PreflightRefused, StalePlan, UsageError
from vpai_tui.fleet.history import Entry, History, who
from vpai_tui.fleet.model import Hold, Sync
from vpai_tui.fleet.operation import (
    Effect,
    Event,
    Finished,
    Journaled,
    Outcome,
    Plan,
    Release,
    RunnerStarted,
    refuse_held,
)
from vpai_tui.fleet.stacks import Stack, find_stack
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.docker import Docker
from vpai_tui.remote.job import journal_length

Connections = Callable[[str], Awaitable[Connection]]


class Deployer:
    """Plans and runs deploys and rollbacks.

    `connections` gives the live connection of a host, `fresh` a new one (proof that the host can be reached), `again`
    the next live one after a loss (without it a fresh one is made), `docker_of` the engine's client of a connection.
    """

    def __init__(
        self,
        stacks: Sequence[Stack],
        connections: Connections,
        fresh: Connections,
        docker_of: Callable[[Connection], Docker],
        clock: Clock,
        history: History,
        *,
        again: Connections | None = None,
    ) -> None:
        self._stacks = stacks
        self._connections = connections
        self._fresh = fresh
        self._again = again
        self._docker = docker_of
        self._clock = clock
        self._history = history
        self._by = who()
        self._prepared: dict[str, Prepared] = {}

    def use(self, docker_of_host: Callable[[str], Docker]) -> None:
        """Use a fleet watch's engine clients from now on: they exist already, and channels are few."""
        self._docker = lambda connection: docker_of_host(connection.name)

    async def plan(self, stack: str, after: Sequence[str] = ()) -> Plan:
        """What a deploy of `stack` would do now; `after`: stacks that are deployed just before it."""
        found = find_stack(self._stacks, stack)
        connection = await self._connections(found.host)
        coming = frozenset(name for other in after for name in _networks_of(find_stack(self._stacks, other)))
        with _only_looking():
            prepared = await make_plan(connection, self._docker(connection), found, self._clock, coming, self._stacks)
        refuse_unfit(prepared.plan.stack, prepared.around.refusals)
        return self._keep(prepared)

    async def plan_rollback(self, stack: str, release: str | None = None) -> Plan:
        """A way back to `release` (default: the newest restorable before the one whose bits run, without those
        that were rolled back from), with the same bits.

        Raises:
            UsageError: there is no such release.
            PreflightRefused: it cannot be restored; the message says why.
        """
        found = find_stack(self._stacks, stack)
        connection, place = await self._place(found)
        with _only_looking():
            listed = releases_of(await probe(connection, place, "releases"), found.spec.data)
            ways, passed = _choose(listed, release, found.id), []
            for target in ways:
                made = await plan_of_release(connection, place, found, target.id, self._clock, self._stacks)
                if not made.plan.empty or target is ways[-1]:
                    break
                passed.append(f"{target.id} is what runs already and is passed over")
        return self._keep(replace(made, plan=replace(made.plan, notes=(*passed, *made.plan.notes))))

    async def plan_start(self, stack: str) -> Plan:
        """What it takes for all of the deployed release to run again; a deploy where starting is not enough, which
        its `kind` says. Raises as `plan`, and LockHeld while something runs on the host."""
        found = find_stack(self._stacks, stack)
        connection = await self._connections(found.host)
        with _only_looking():
            prepared = await life.start_of(connection, found, self._clock, self._stacks)
        return await self.plan(stack) if prepared is None else self._keep(prepared)

    async def stop(self, stack: str) -> AsyncIterator[Event]:
        """Stops a stack and frees what it holds, its data apart. The last event is `Finished`."""
        found = find_stack(self._stacks, stack)
        connection = await self._connections(found.host)
        new, again = self._new(connection), self._next(connection)
        events = life.stop(connection, found, self._own_networks(found), self._by, self._clock, new, again)
        async for event in self._recorded(events, "stop", found.id):
            yield event

    async def stop_words(self, stack: str, by: str) -> str:
        """The sh words by which its host can stop `stack` without us, in the name of `by`."""
        found = find_stack(self._stacks, stack)
        return await life.stop_words(await self._connections(found.host), found, self._own_networks(found), by)

    def _own_networks(self, stack: Stack) -> list[str]:
        """Those a stop removes: none where another stack of the host has the same project."""
        shared = any(it.host == stack.host and it.project == stack.project for it in self._stacks if it.id != stack.id)
        return [] if shared else [*_networks_of(stack), f"{stack.project}_default"]

    async def apply(self, plan: Plan) -> AsyncIterator[Event]:
        """Carries a plan of this object out. The last event is `Finished`.

        Raises:
            StalePlan: the plan is not of this session, or was used.
            PreflightRefused: deploys there are held, or an image cannot be had; nothing was changed.
        """
        self._may_apply(plan)
        prepared = self._prepared.pop(plan.release, None)
        if prepared is None:
            raise StalePlan(f"the plan {plan.release} was carried out already", remedy="plan again")
        connection = await self._connections(plan.stack.split("/")[0])
        new, again = self._new(connection), self._next(connection)
        run = life.start if plan.kind == life.START else execute
        events = run(connection, self._docker(connection), prepared, self._by, self._clock, new, again)
        async for event in self._recorded(self._verified(events, plan, prepared, connection), plan.kind, plan.stack):
            yield event

    def _may_apply(self, plan: Plan) -> None:
        try:
            refuse_held(plan)
        except PreflightRefused as error:
            self._record(plan.kind, plan.stack, Outcome.REFUSED.value, error.message)
            raise

    async def _verified(
        self, events: AsyncIterator[Event], plan: Plan, prepared: Prepared, connection: Connection
    ) -> AsyncIterator[Event]:
        """The same events; after a commit, and before the end is told, the host is compared with the release."""
        stack, lost = find_stack(self._stacks, plan.stack), False
        async for event in events:
            lost = lost or (isinstance(event, Journaled) and event.what == "link_lost")
            if isinstance(event, Finished) and event.outcome is Outcome.COMMITTED:
                yield Journaled(event.at, "committed", plan.release)
                if lost:
                    yield Journaled(event.at, "not_verified", "the link was lost meanwhile; plan again to see")
                else:
                    yield await verified(connection, prepared.place, stack, plan.release, self._clock, self._stacks)
            yield event

    async def releases(self, stack: str) -> list[Release]:
        """Newest first."""
        found = find_stack(self._stacks, stack)
        connection, place = await self._place(found)
        with _only_looking():
            return releases_of(await probe(connection, place, "releases"), found.spec.data)

    async def interrupted(self, stack: str) -> str:
        """The release that an interrupted deploy of `stack` was making.

        Raises:
            UsageError: no deploy was interrupted.
            LockHeld: a deploy runs.
        """
        connection, place = await self._place(find_stack(self._stacks, stack))
        with _only_looking():
            facts = await probe(connection, place, "state")
        if facts.busy:
            raise LockHeld(f"{stack}: a deploy is running: {facts.owner}", remedy="look at `vpai-tui status`")
        if not facts.pending:
            raise UsageError(f"{stack}: no deploy of it was interrupted", remedy="look at `vpai-tui status`")
        return facts.pending

    async def settle(self, stack: str, how: str) -> AsyncIterator[Event]:
        """Ends an interrupted deploy: `resume` goes on with it, `revert` goes back to the release before.

        Raises:
            UsageError, LockHeld: see `interrupted`.
        """
        release = await self.interrupted(stack)
        connection, place = await self._place(find_stack(self._stacks, stack))
        new, again = self._new(connection), self._next(connection)
        run = Run(connection, place, release, self._by, self._clock, new, again=again)
        with _only_looking():
            run.skip(await journal_length(connection, run.directory))
            values = await carried(connection, place, release)
        async for event in self._recorded(run.start(how, values), how, stack):
            yield event

    async def attach(self, stack: str) -> AsyncIterator[Event]:
        """Follows a deploy that runs on the host, from where it began or was taken up again. Changes nothing there."""
        connection, place = await self._place(find_stack(self._stacks, stack))
        with _only_looking():
            facts = await probe(connection, place, "state")
        if not facts.pending:
            yield Finished(rfc3339(self._clock.now()), Outcome.UNCHANGED, facts.current or "", "no deploy is running")
            return
        new, again = self._new(connection), self._next(connection)
        run = Run(connection, place, facts.pending, self._by, self._clock, new, again=again, confirms=False)
        with _only_looking():
            run.skip(await journal_length(connection, run.directory, ended=True))
        async for event in run.follow():
            yield event

    async def held(self, host: str) -> Hold | None:
        """The hold on a host, if deploys there are frozen."""
        return await read_hold(await self._connections(host))

    async def hold(self, host: str, why: str) -> Hold:
        """Freezes deploys on a host; see `set_hold`. Recorded, also when it fails."""
        async with self._told("hold", host, reason_of(why)):
            return await set_hold(await self._connections(host), self._by, why)

    async def lift(self, host: str, hold: Hold) -> None:
        """Lets deploys on a host go again; see `lift_hold`. Recorded, also when it fails."""
        async with self._told("release hold", host, f"{hold.by}: {hold.why}"):
            await lift_hold(await self._connections(host), hold, self._by)

    @asynccontextmanager
    async def _told(self, what: str, subject: str, detail: str) -> AsyncIterator[None]:
        try:
            yield
        except OperatorError as error:
            self._record(what, subject, f"failed: {error.message}", detail)
            raise
        self._record(what, subject, "done", detail)

    async def sync_of(self, connection: Connection, stack: Stack) -> Mapping[str, Sync]:
        """By service: whether what runs is what the laptop's files say.

        Raises:
            OperatorError: it cannot be planned; sync is unknown for that reason.
        """
        docker = self._docker(connection)
        prepared, _ = await compared_with_host(connection, docker, stack, self._clock, beside=self._stacks)
        words = {Effect.NONE: Sync.IN_SYNC, Effect.CREATE: Sync.NOT_DEPLOYED}
        return {change.service: words.get(change.effect, Sync.DRIFTED) for change in prepared.plan.changes}

    async def _recorded(self, events: AsyncIterator[Event], what: str, stack: str) -> AsyncIterator[Event]:
        """The same events; how it ended goes into the laptop's journal, also when nobody waited for the end."""
        result: tuple[str, str] | None = None
        started = False
        try:
            async for event in events:
                if isinstance(event, RunnerStarted):
                    started = True
                    result = (Outcome.UNKNOWN.value, f"{event.release}: not watched to its end")
                elif isinstance(event, Journaled) and event.what == "committed":
                    result = (Outcome.COMMITTED.value, f"{event.detail}: not verified")
                elif isinstance(event, Finished):
                    result = None
                    problem = self._record(what, stack, event.outcome.value, f"{event.release} {event.reason}".strip())
                    if problem:
                        yield Journaled(event.at, "history_failed", problem)
                yield event
        except LinkLost as error:
            if started:
                result = (Outcome.UNKNOWN.value, error.message)
                raise
            result = (Outcome.FAILED.value, error.message)
            raise _untouched(error) from error
        except OperatorError as error:
            result = (Outcome.UNKNOWN.value if started else Outcome.REFUSED.value, error.message)
            raise
        finally:
            if result is not None:
                self._record(what, stack, *result)

    def _record(self, what: str, stack: str, result: str, detail: str) -> str:
        """One entry of the laptop's journal; returns why it could not be written, or an empty text."""
        host = stack.split("/")[0]
        return self._history.append(Entry(rfc3339(self._clock.now()), self._by, host, what, stack, result, detail))

    async def _place(self, stack: Stack) -> tuple[Connection, Place]:
        connection = await self._connections(stack.host)
        return connection, place_of(connection, stack.name, stack.project)

    def _keep(self, prepared: Prepared) -> Plan:
        self._prepared[prepared.plan.release] = prepared
        return prepared.plan

    def _new(self, connection: Connection) -> Callable[[], Awaitable[Connection]]:
        return lambda: self._fresh(connection.name)

    def _next(self, connection: Connection) -> Callable[[], Awaitable[Connection]] | None:
        again = self._again
        return None if again is None else lambda: again(connection.name)


@contextmanager
def _only_looking() -> Iterator[None]:
    """A link that is lost while nothing was changed yet leaves no outcome open: it is no exit 79."""
    try:
        yield
    except LinkLost as error:
        raise _untouched(error) from error


def _untouched(error: LinkLost) -> HostUnreachable:
    message = f"the link was lost before anything was changed ({error.message.partition(';')[0]})"
    return HostUnreachable(message, host=error.host, step="link", remedy="nothing was changed: try again")


def _networks_of(stack: Stack) -> list[str]:
    """Names of the networks a stack defines."""
    networks = stack.compose.get("networks") or {}
    return [
        str((net or {}).get("name") or f"{stack.project}_{key}")
        for key, net in networks.items()
        if not (net or {}).get("external")
    ]


def _named(releases: Sequence[Release], wanted: str, stack: str) -> Release:
    """The release of that id, or the only one whose id begins so."""
    exact = [item for item in releases if item.id == wanted]
    matching = exact or [item for item in releases if wanted and item.id.startswith(wanted)]
    remedy = f"vpai-tui releases {stack}"
    if not matching:
        raise UsageError(f"{stack} has no release {wanted or 'without a name'}", remedy=remedy)
    if matching[1:]:
        several = ", ".join(item.id for item in matching)
        raise UsageError(f"{stack} has several releases {wanted}…: {several}", remedy="name more of it")
    return matching[0]


def _ways_back(releases: Sequence[Release], stack: str) -> list[Release]:
    """The restorable releases below the one whose bits run, newest first, without those that were rolled back from."""
    known = {item.id: item for item in releases}
    start = next((item.id for item in releases if item.current), "")
    while (now := known.get(start)) is not None and now.rollback_of is not None and now.rollback_of < start:
        start = now.rollback_of
    fled = {item.base for item in releases if item.rollback_of and item.outcome == "ok"}
    found = [item for item in releases if item.restorable and item.id < start and item.id not in fled]
    if not found:
        others = any(item.restorable for item in releases)
        raise PreflightRefused(
            f"{stack} has no restorable release before the current that was not rolled back from",
            remedy=f"vpai-tui releases {stack}" + (f", then vpai-tui rollback {stack} --to RELEASE" if others else ""),
        )
    return found


def _choose(releases: Sequence[Release], wanted: str | None, stack: str) -> list[Release]:
    """What to go back to, the best first: of itself, or the one that was named."""
    if wanted is None:
        return _ways_back(releases, stack)
    found = _named(releases, wanted, stack)
    if not found.restorable:
        raise PreflightRefused(
            f"release {found.id} cannot be restored: {found.reason}", remedy=f"vpai-tui releases {stack}"
        )
    return [found]
