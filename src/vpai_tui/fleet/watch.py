"""The whole fleet, live: a session per host, folded into one `FleetSnapshot` that watchers see change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

from vpai_tui import config
from vpai_tui.clock import Clock, SystemClock
from vpai_tui.errors import HostUnreachable, UsageError
from vpai_tui.fleet.containers import ContainerEvent
from vpai_tui.fleet.fold import Folder
from vpai_tui.fleet.metrics import INTERVAL_S
from vpai_tui.fleet.model import FleetSnapshot, HostState
from vpai_tui.fleet.session import HostSession
from vpai_tui.fleet.stacks import Stack
from vpai_tui.fleet.sync import SyncKeeper, SyncProbe

if TYPE_CHECKING:
    from vpai_tui.remote.command_log import CommandLog
    from vpai_tui.remote.connection import Connection
    from vpai_tui.remote.docker import Docker
    from vpai_tui.remote.prompts import Prompts

MIN_INTERVAL_S = 0.1  # between two snapshots of one watcher
TICK_S = 2.0
SLEPT_S = 4.0  # that the monotonic clock did not count: the machine was asleep
STOPPED_S = 30.0  # a tick that took so long: this process was stopped


class FleetWatch:
    """Connects to every host at once and keeps the picture true until `stop`.

    `sync_probe` compares one stack with its host; it is asked at connect and after a change, never by the clock.
    """

    def __init__(
        self,
        fleet: config.Fleet,
        stacks: Sequence[Stack],
        *,
        clock: Clock | None = None,
        prompts: Prompts | None = None,
        log: CommandLog | None = None,
        sync_probe: SyncProbe | None = None,
        interval_s: float = INTERVAL_S,
        tick_s: float = TICK_S,
    ) -> None:
        self.fleet = fleet
        self.stacks = tuple(stacks)
        self._clock = clock or SystemClock()
        self._tick_s = tick_s
        self._sync = SyncKeeper(self.stacks, sync_probe, self._changed)
        self._sessions = {
            name: HostSession(
                name,
                host,
                clock=self._clock,
                on_change=self._changed,
                prompts=prompts,
                log=log,
                interval_s=interval_s,
            )
            for name, host in fleet.hosts.items()
        }
        self._tasks: list[asyncio.Task[None]] = []
        self._watchers: set[asyncio.Event] = set()
        self._version = 0
        self._folded: tuple[int, FleetSnapshot] | None = None
        self._folder = Folder()
        self._stopped = False

    async def start(self) -> None:
        """Begin; returns at once, the hosts answer when they do."""
        self._stopped = False
        self._tasks = [
            asyncio.create_task(session.run(), name=f"session {name}") for name, session in self._sessions.items()
        ]
        self._tasks.append(asyncio.create_task(self._mind_the_clock(), name="suspend watchdog"))
        self._tasks.append(asyncio.create_task(_import_ahead(), name="imports"))

    async def stop(self) -> None:
        """End all sessions and their connections; watchers end too. What runs detached on the hosts goes on."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, self._sync.close(), return_exceptions=True)
        self._tasks = []
        self._wake()

    def snapshot(self) -> FleetSnapshot:
        """The fleet as it is known now."""
        if self._folded is None or self._folded[0] != self._version:
            hosts = [session.snapshot for session in self._sessions.values()]
            picture = self._folder.fold(
                hosts, self.stacks, self._sync.results, at_boot_s=self._clock.boot_s(), now=self._clock.now()
            )
            self._folded = (self._version, picture)
        return self._folded[1]

    async def watch(self) -> AsyncIterator[FleetSnapshot]:
        """The present snapshot, then a new one after each change: the first at once, then at most ten a second.

        A slow reader misses what came in between, never the last one. Ends at `stop`.
        """
        wake = asyncio.Event()
        self._watchers.add(wake)
        seen: FleetSnapshot | None = None
        try:
            while not self._stopped:
                wake.clear()
                snapshot = self.snapshot()
                if snapshot is not seen:
                    seen = snapshot
                    yield snapshot
                    await asyncio.sleep(MIN_INTERVAL_S)
                else:
                    await wake.wait()
        finally:
            self._watchers.discard(wake)

    async def settled(self, timeout_s: float = 15.0, hosts: Sequence[str] | None = None) -> FleetSnapshot:
        """Wait until every host (of `hosts`) has told all it has to tell once, or is known not to answer; at most
        `timeout_s` seconds. For a command that looks once."""
        names = list(self._sessions if hosts is None else hosts)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                async for _ in self.watch():
                    if all(self._told(self._session(name)) for name in names):
                        break
        return self.snapshot()

    def connection(self, host: str) -> Connection:
        """The live connection to `host`; HostUnreachable, with the failing step and its remedy, when there is none."""
        session = self._session(host)
        if session.connection is not None and not session.connection.closed:
            return session.connection
        raise self._unreachable(session)

    async def connected(self, host: str, within_s: float) -> Connection:
        """The next live connection to `host`: this one, or the one it will have within `within_s` seconds.

        Raises:
            HostUnreachable: as `connection`; at once when the host refuses us.
        """
        session = self._session(host)
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                async for _ in self.watch():
                    live = session.connection is not None and not session.connection.closed
                    if live or session.snapshot.link.state is HostState.REFUSED:
                        break
        return self.connection(host)

    def docker(self, host: str) -> Docker:
        """The engine client of `host`; HostUnreachable when it has no connection or its engine does not answer."""
        session = self._session(host)
        if session.docker is not None:
            return session.docker
        raise self._unreachable(session)

    def events(self, host: str, container: str | None = None) -> tuple[ContainerEvent, ...]:
        """The last container events of `host` (up to an hour back), or of one container id; oldest first."""
        events = self._session(host).events
        return tuple(event for event in events if container is None or event.container == container)

    def reconnect(self, host: str | None = None) -> None:
        """Try `host`, or every host, now: what waits or was refused connects, what does not work is tried again."""
        for session in [self._session(host)] if host is not None else self._sessions.values():
            session.reconnect()

    def use(self, fleet: config.Fleet, stacks: Sequence[Stack], host: str) -> None:
        """Watch `host` under the names that it was adopted with; its connection is made anew."""
        self.fleet, self.stacks = fleet, tuple(stacks)
        self._sync.use(self.stacks)
        session = self._session(host)
        session.host = fleet.hosts[host]
        session.drop()
        self._changed(host)

    def reread(self, stacks: Sequence[Stack]) -> None:
        """Take stacks whose files were changed on this laptop: what has changed is compared anew."""
        before, self.stacks = self.stacks, tuple(stacks)
        self._sync.use(self.stacks)
        for stack in self.stacks:
            if stack not in before and stack.host in self._sessions:
                self.recheck(stack.id)
                self._changed(stack.host)

    def recheck(self, stack_id: str | None = None) -> None:
        """Compare one stack, or all, with its host now (after its files changed on the laptop, or when asked to)."""
        for stack in self.stacks:
            if stack_id in (None, stack.id) and stack.host in self._sessions:
                self._sync.recheck(self._sessions[stack.host], stack)

    def _told(self, session: HostSession) -> bool:
        if not session.told:
            return False
        docker = session.snapshot.docker
        silent = not session.snapshot.live or docker is None or bool(docker.error)
        return silent or self._sync.idle(session.name)

    def _session(self, host: str) -> HostSession:
        try:
            return self._sessions[host]
        except KeyError:
            known = ", ".join(self._sessions)
            raise UsageError(f"no host {host!r} in the fleet", remedy=f"known: {known}") from None

    def _unreachable(self, session: HostSession) -> HostUnreachable:
        link = session.snapshot.link
        message = link.error or f"no connection yet ({link.state.value})"
        if link.state is HostState.REFUSED:
            from vpai_tui.remote.failures import HostRefused

            return HostRefused(message, host=session.name, step=link.step or None, remedy=link.remedy)
        return HostUnreachable(message, host=session.name, step=link.step or None, remedy=link.remedy)

    def _changed(self, host: str) -> None:
        self._version += 1
        if not self._stopped:
            self._sync.observe(self._sessions[host])
        self._wake()

    def _wake(self) -> None:
        for watcher in self._watchers:
            watcher.set()

    async def _mind_the_clock(self) -> None:
        """Notice that the machine slept: its connections may look alive and are not, and nothing known is current.

        A machine that is busy for some seconds did not sleep.
        """
        while True:
            boot_s, awake_s = self._clock.boot_s(), time.monotonic()
            await asyncio.sleep(self._tick_s)
            passed_s = self._clock.boot_s() - boot_s
            if passed_s - (time.monotonic() - awake_s) > SLEPT_S or passed_s > STOPPED_S:
                for session in self._sessions.values():
                    session.drop()


async def _import_ahead() -> None:
    """The engine's client, imported while the hosts shake hands: it takes as long as three round trips."""
    for name in ("vpai_tui.remote.connection", "vpai_tui.remote.docker"):
        await asyncio.to_thread(import_module, name)
