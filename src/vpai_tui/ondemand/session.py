"""Stacks on demand as one thing: `Studio` tells how they stand, plans a start or a stop, and carries it out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from vpai_tui.clock import Clock, rfc3339
from vpai_tui.config import Fleet
from vpai_tui.errors import LockHeld, OperatorError, UsageError
from vpai_tui.fleet.history import Entry, History, who
from vpai_tui.fleet.model import FleetSnapshot
from vpai_tui.fleet.operation import Effect, Event, Finished, Outcome, Plan
from vpai_tui.fleet.stacks import Stack
from vpai_tui.ondemand import files, idle
from vpai_tui.ondemand.fold import fold
from vpai_tui.ondemand.kinds import kind_of
from vpai_tui.ondemand.model import Look, OnDemandSnapshot, OnDemandStack, Queue, Start, Stop
from vpai_tui.ondemand.room import own_services, refuse_full, room_of, runs

if TYPE_CHECKING:
    from vpai_tui.remote.connection import Connection
    from vpai_tui.remote.docker import Docker


class Lifter(Protocol):
    """What starts and stops a stack: the deployer."""

    async def plan_start(self, stack: str) -> Plan: ...
    def apply(self, plan: Plan) -> AsyncIterator[Event]: ...
    def stop(self, stack: str) -> AsyncIterator[Event]: ...
    async def stop_words(self, stack: str, by: str) -> str: ...


@dataclass(frozen=True)
class Surface:
    """What it stands on. `snapshot` is the fleet as it is watched; `connection` and `docker` are those of a host."""

    fleet: Fleet
    stacks: Sequence[Stack]
    snapshot: Callable[[], FleetSnapshot]
    connection: Callable[[str], Awaitable[Connection]]
    docker: Callable[[str], Docker]
    lifter: Callable[[], Lifter]
    clock: Clock
    history: History
    read_only: bool = False  # every change is refused


class Studio:
    """One per command or cockpit; made cheap, nothing is asked before the first look."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self.stacks = files.on_demand(surface.stacks, surface.fleet.domain)

    def find(self, name: str) -> OnDemandStack:
        """The stack on demand of this name. UsageError: there is none, or it is not on demand."""
        return files.find(self._surface.stacks, self._surface.fleet.domain, name)

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def look(self, stack: OnDemandStack) -> Look:
        """What its host must be asked for: lock, idle stops, queues. OperatorError: the host cannot be asked."""
        surface = self._surface
        connection = await surface.connection(stack.host)
        argv = ["sh", "-s", "--", connection.host.root.rstrip("/")]
        done = await connection.run(argv, root=True, stdin=idle.script("look.sh"), label=f"look at {stack.name}")
        owner, idles = idle.read_look(done.stdout, connection.name)
        queues = await self._queues(connection)
        at = surface.clock.boot_s()
        return Look(stack.host, at, owner, MappingProxyType(idles), MappingProxyType(queues))

    async def _queues(self, connection: Connection) -> dict[str, Queue]:
        services = self._surface.snapshot().services
        known = [it for it in services if it.host == connection.name and runs(it) and kind_of(it) is not None]
        if not known:
            return {}
        from vpai_tui.ondemand.beside import queues_of

        return await queues_of(connection, lambda: self._surface.docker(connection.name), known)

    def snapshot(self, stack: OnDemandStack, look: Look | None, acting: str = "") -> OnDemandSnapshot:
        """The stack as it is known now; asks nobody."""
        clock = self._surface.clock
        fleet = self._surface.snapshot()
        return fold(stack, fleet, look, now=clock.now(), now_boot_s=clock.boot_s(), acting=acting)

    # ── starting ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def plan_start(self, stack: OnDemandStack) -> Start:
        """What a start would do, and whether there is room for it.

        Raises:
            LockHeld: something runs on the host, and who does it.
            Interrupted: a deploy must be settled first.
            PreflightRefused: env keys are missing, a port is taken, the memory is not there (and who holds it), …
        """
        self._may_change()
        plan = await self._surface.lifter().plan_start(stack.id)
        room = room_of(stack, self._surface.snapshot())
        if not plan.empty:
            refuse_full(stack, room)
        notes = list(plan.notes)
        if room.enough is None and not plan.empty:
            notes.append("memory: the host tells no figures, so nothing was checked")
        if room.unlimited and not plan.empty:
            notes.append(f"memory: no limit is set for {', '.join(room.unlimited)}, so they are not counted")
        return Start(stack, plan, room, _start_word(plan), tuple(notes))

    async def start(self, start: Start, *, typed: str = "") -> AsyncIterator[Event]:
        """Carries a start out; the last event is `Finished`. `typed` answers `start.word`. Raises as the deployer."""
        self._may_change()
        _answered(start.word, typed, f"start {start.stack.id}")
        async for event in self._surface.lifter().apply(start.plan):
            yield event

    # ── stopping ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def plan_stop(self, stack: OnDemandStack) -> Stop:
        """What a stop would end, and what renders meanwhile. LockHeld: something else is done on the host."""
        self._may_change()
        look = await self.look(stack)
        if look.owner:
            raise LockHeld(
                f"something runs on this host: {look.owner}",
                host=stack.host,
                step="stop",
                remedy="try again when it ended; vpai-tui status shows it",
            )
        found = self.snapshot(stack, look)
        fleet = self._surface.snapshot()
        there = tuple(it.service for it in own_services(stack, fleet) if it.container is not None)
        unknown = tuple(f"{it.service}: {it.queue.error}" for it in found.beside if it.queue and it.queue.error)
        word = stack.id if found.renders and there else None
        return Stop(stack, there, found.memory_bytes, found.renders, unknown, word)

    async def stop(self, stop: Stop, *, typed: str = "") -> AsyncIterator[Event]:
        """Carries a stop out; the last event is `Finished`. `typed` answers `stop.word`."""
        self._may_change()
        _answered(stop.word, typed, f"stop {stop.stack.id}")
        if stop.empty:
            yield Finished(rfc3339(self._surface.clock.now()), Outcome.UNCHANGED, "", "nothing of it is there")
            return
        async for event in self._surface.lifter().stop(stop.stack.id):
            yield event

    # ── the idle stop ────────────────────────────────────────────────────────────────────────────────────────────────

    async def set_idle(self, stack: OnDemandStack, minutes: int | None) -> str:
        """Sets the idle stop, or cancels it (None); recorded, also when it fails. Returns why the laptop's journal
        could not be written, mostly nothing. Raises as `idle.set_idle`."""
        self._may_change()
        surface, by, result = self._surface, who(), "failed"
        try:
            connection = await surface.connection(stack.host)
            if minutes is None:
                await idle.cancel_idle(connection, stack, by)
            else:
                stop = await surface.lifter().stop_words(stack.id, f"idle stop ({minutes} min, set by {by})")
                await idle.set_idle(connection, stack, minutes, stop, by)
            result = "done"
        except OperatorError as error:
            result = f"failed: {error.message}"
            raise
        finally:
            at, what = rfc3339(surface.clock.now()), f"{minutes} min" if minutes is not None else "off"
            surface.history.append(Entry(at, by, stack.host, "idle stop", stack.id, result, what))
        return surface.history.problem

    def _may_change(self) -> None:
        if self._surface.read_only:
            raise UsageError("this cockpit is read-only", remedy="open it without --read-only")


def _start_word(plan: Plan) -> str | None:
    """A start is reversible; where it is more (a deploy that replaces data, or has a danger) the name is typed."""
    replaced = any(it.has_data and it.effect in (Effect.RECREATE, Effect.REMOVE) for it in plan.changes)
    return plan.stack if plan.dangers or replaced else None


def _answered(word: str | None, typed: str, what: str) -> None:
    if word is not None and typed != word:
        raise UsageError(f"type {word} to {what}")
