"""When a stack is compared with its host: at connect, and after something of it changed there. Never by the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.fold import SyncByService, service_containers
from vpai_tui.fleet.model import DeployState, HostSnapshot, Sync
from vpai_tui.fleet.session import HostSession
from vpai_tui.fleet.stacks import Stack
from vpai_tui.redact import redact
from vpai_tui.text import clean_line

if TYPE_CHECKING:
    from vpai_tui.remote.connection import Connection

DEBOUNCE_S = 2.0  # a deploy or a restart of several services changes many containers in a row
_AT_ONCE = 2  # comparisons on one host: each takes a channel
_CONFIG_HASH = "com.docker.compose.config-hash"

SyncProbe = Callable[["Connection", Stack], Awaitable[Mapping[str, Sync]]]
_Containers = tuple[tuple[str, str, str, str], ...]  # service, id, image id, config hash


class SyncKeeper:
    """The last comparison of each stack, renewed when the host shows a reason for it."""

    def __init__(self, stacks: Sequence[Stack], probe: SyncProbe | None, on_change: Callable[[str], None]) -> None:
        self.results: dict[str, SyncByService | str] = {}
        self._stacks = stacks
        self._probe = probe
        self._on_change = on_change
        self._seen: dict[str, tuple[int, _Containers, DeployState | None]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._slots: dict[str, asyncio.Semaphore] = {}

    def use(self, stacks: Sequence[Stack]) -> None:
        """Compare these from now on; what was known of one that is another now is forgotten."""
        for old in self._stacks:
            if old not in stacks:
                self.results.pop(old.id, None)
                self._seen.pop(old.id, None)
        self._stacks = stacks

    def observe(self, session: HostSession) -> None:
        """Look at a host that has changed; compare those of its stacks that have."""
        snapshot = session.snapshot
        if self._probe is None or not _comparable(snapshot):
            return
        for stack in self._stacks:
            if stack.host == session.name:
                self._observe(session, snapshot, stack)

    def recheck(self, session: HostSession, stack: Stack) -> None:
        """Compare now, changed or not."""
        self._schedule(session, stack, 0.0)

    def idle(self, host: str) -> bool:
        """Whether every stack of `host` has been compared since its last change."""
        own = [stack.id for stack in self._stacks if stack.host == host]
        return self._probe is None or all(stack in self._seen and stack not in self._tasks for stack in own)

    async def close(self) -> None:
        """End what is under way."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _observe(self, session: HostSession, snapshot: HostSnapshot, stack: Stack) -> None:
        deploy = next((item for item in snapshot.deploys if item.stack == stack.id), None)
        if deploy is not None and deploy.busy:
            self._seen.setdefault(stack.id, (0, (), deploy))
            return  # what is in flux is compared when it has ended
        containers = _signature(snapshot, stack)
        before = self._seen.get(stack.id)
        self._seen[stack.id] = (session.connects, containers, deploy or (before[2] if before else None))
        if before is None or before[0] != session.connects:
            self._schedule(session, stack, 0.0)
        elif before[1] != containers or (before[2] is not None and deploy is not None and before[2] != deploy):
            self._schedule(session, stack, DEBOUNCE_S)

    def _schedule(self, session: HostSession, stack: Stack, delay_s: float) -> None:
        if stack.id in self._tasks:
            self._again.add(stack.id)
            return
        self._tasks[stack.id] = asyncio.create_task(self._compare(session, stack, delay_s), name=f"sync {stack.id}")

    async def _compare(self, session: HostSession, stack: Stack, delay_s: float) -> None:
        slots = self._slots.setdefault(stack.host, asyncio.Semaphore(_AT_ONCE))
        try:
            while True:
                await asyncio.sleep(delay_s)
                self._again.discard(stack.id)
                async with slots:
                    await self._ask(session, stack)
                if stack.id not in self._again:
                    return
                delay_s = DEBOUNCE_S
        finally:
            self._tasks.pop(stack.id, None)
            self._on_change(stack.host)

    async def _ask(self, session: HostSession, stack: Stack) -> None:
        connection = session.connection
        if connection is None or self._probe is None:
            return  # the next connection asks; until then the last answer stays, as all of that host does
        try:
            self.results[stack.id] = dict(await self._probe(connection, stack))
        except OperatorError as error:
            self.results[stack.id] = error.message
        except Exception as error:  # a comparison that fails must be seen, and end nothing else
            self.results[stack.id] = f"internal error: {type(error).__name__}: {clean_line(redact(str(error)), 200)}"


def _comparable(snapshot: HostSnapshot) -> bool:
    engine = snapshot.docker
    return snapshot.live and snapshot.containers is not None and engine is not None and not engine.error


def _signature(snapshot: HostSnapshot, stack: Stack) -> _Containers:
    """What of a stack's containers may change its sync; that they run or not does not."""
    return tuple(
        (service, container.id, container.image_id, container.labels.get(_CONFIG_HASH, ""))
        for service in stack.services
        for container in service_containers(snapshot.containers or (), stack.project, service)
    )
