"""The budget as one thing: `Budget` reads everything, plans a turn of a knob, and carries it out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vpai_tui.budget import plans
from vpai_tui.budget.apply import Turn
from vpai_tui.budget.change import Change
from vpai_tui.budget.model import BudgetSnapshot, Enforcement
from vpai_tui.budget.native import Native, native_of
from vpai_tui.budget.persist import read_config
from vpai_tui.budget.plans import Look
from vpai_tui.budget.prove import Proof, Question, ask, question
from vpai_tui.budget.reading import Ground, Reader
from vpai_tui.budget.settings import Settings, settings_of
from vpai_tui.budget.transport import Inside
from vpai_tui.budget.undo import Mark, Marks, mark_of
from vpai_tui.budget.words import cap_of, mode_of
from vpai_tui.clock import Clock, rfc3339
from vpai_tui.config import Fleet
from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.history import Entry, History, who
from vpai_tui.fleet.model import Alert
from vpai_tui.fleet.operation import Event, Finished, Outcome
from vpai_tui.fleet.stacks import Stack
from vpai_tui.remote.connection import Connection

_ACTED = (Outcome.COMMITTED, Outcome.FAILED, Outcome.REVERT_FAILED, Outcome.UNKNOWN)


@dataclass(frozen=True)
class Surface:
    """What the budget stands on. `connection` hands out the live connection of a host, `fresh` makes a new one."""

    fleet: Fleet
    stacks: Sequence[Stack]
    connection: Callable[[str], Awaitable[Connection]]
    fresh: Callable[[str], Awaitable[Connection]]
    clock: Clock
    history: History
    folder: Path  # the laptop's own state
    read_only: bool = False  # every change is refused


class Budget:
    """One per command or cockpit; made cheap, nothing is asked before the first read.

    Raises:
        UsageError: no stack of the fleet has LiteLLM.
    """

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._reader = Reader(surface.fleet, surface.stacks, surface.connection, surface.clock)
        self.host, self.service = self._reader.host, self._reader.service_id
        self._marks = Marks(surface.folder, self.host)

    async def snapshot(self) -> BudgetSnapshot:
        """Everything that can be learnt now. OperatorError: the host cannot be reached, or Docker does not answer."""
        return await self._reader.snapshot()

    async def alerts(self) -> tuple[Alert, ...]:
        """A snapshot's alerts alone, cheaply."""
        return await self._reader.alerts()

    # ── planning ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def plan_cap(self, text: str) -> Change:
        """Another cap, in dollars a day.

        Raises:
            UsageError: `text` is no cap that makes sense.
            PreflightRefused: it cannot be had here now, and why.
        """
        cap = cap_of(text)
        self._may_change()
        return plans.cap_change(await self._look(), cap)

    async def plan_mode(self, word: str) -> Change:
        """Eco mode by hand: on, off, auto or block.

        Raises:
            UsageError: `word` is none of them.
            PreflightRefused: it cannot be had here now, and why.
        """
        mode_of(word)
        self._may_change()
        return plans.mode_change(await self._look(), word)

    async def plan_undo(self) -> Change | None:
        """Back to what was before the newest change of this laptop; None where there is none. Raises as the others."""
        self._may_change()
        mark = self._marks.load()
        return None if mark is None else plans.undo_change(await self._look(), mark)

    async def _look(self) -> Look:
        found = await self.snapshot()
        ground = await self._reader.ground()
        counters, why = None, ""
        try:
            counters = await self._reader.counters(ground)
        except OperatorError as error:
            why = error.message
        config, settings, unread = await _configuration(ground)
        native = await _native(ground.inside) if found.enforcement is Enforcement.DECLARED else None
        return Look(found, ground.places, counters, why, config, unread, settings, native)

    # ── doing ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def apply(self, change: Change, *, typed: str = "") -> AsyncIterator[Event]:
        """Carries a plan out; the last event is `Finished`. `typed` answers `change.word`.

        Raises:
            UsageError: it is not confirmed, or this cockpit is read-only.
            LockHeld, StalePlan, PreflightRefused: nothing was changed.
            OperatorError: Redis could not be asked; with LinkLost it is not known whether the key was set.
        """
        self._may_change()
        if change.word is not None and typed != change.word:
            raise UsageError(f"type {change.word} to {change.title}")
        ground, fresh = await self._reader.ground(), lambda: self._surface.fresh(self.host)
        turn = Turn(ground, change, by=who(), clock=self._surface.clock, fresh=fresh)
        ended, why = False, "nobody watched its end"
        try:
            async for event in turn.run():
                if isinstance(event, Finished):
                    ended = True
                    if event.outcome is not Outcome.UNCHANGED:
                        event = self._noted(change, event, begun=turn.begun)
                yield event
        except OperatorError as error:
            why = error.message
            raise
        finally:
            if turn.begun and not ended:
                self._record(change, f"unknown: {why}")
                self._marked(mark_of(change, self._surface.clock.now()))

    def _noted(self, change: Change, end: Finished, *, begun: bool) -> Finished:
        """Writes the end down; what cannot be written is told with it."""
        problem = self._record(change, end.outcome.value, end.reason)
        if begun and end.outcome in _ACTED:
            problem = self._marked(mark_of(change, self._surface.clock.now())) or problem
        if not problem:
            return end
        reason = "; ".join(part for part in (end.reason, problem) if part)
        return Finished(end.at, end.outcome, end.release, reason, end.output, end.code)

    def _marked(self, mark: Mark | None) -> str:
        return "" if mark is None else self._marks.save(mark)

    def _record(self, change: Change, result: str, why: str = "") -> str:
        service = change.order.service if change.order else self.service
        at, turn = rfc3339(self._surface.clock.now()), f"{change.before} → {change.after}"
        detail = f"{turn}: {why}" if why else turn
        return self._surface.history.append(
            Entry(at, who(), self.host, f"budget {change.kind}", service, result, detail)
        )

    # ── a live call ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def question(self, alias: str | None = None) -> Question:
        """What `prove` would ask for, and whether it costs money. UsageError: there is no such alias."""
        return question(await self.snapshot(), alias)

    async def prove(self, alias: str | None = None) -> Proof:
        """One call of one token through LiteLLM: which model answered. It costs money where `question` says so."""
        self._may_change()
        chosen = await self.question(alias)
        proof = await ask((await self._reader.ground()).inside, chosen.alias)
        return replace(proof, forbidden=chosen.held and proof.answered == chosen.alias)

    def _may_change(self) -> None:
        if self._surface.read_only:
            raise UsageError("this cockpit is read-only", remedy="open it without --read-only")


async def _configuration(ground: Ground) -> tuple[bytes | None, Settings | None, str]:
    """The file on the host, as it is and as it is read; None where it is not there or cannot be read, and why."""
    path = ground.places.config
    if path is None:
        return None, None, ""
    try:
        content = await read_config(ground.connection, path)
    except OperatorError as error:
        return None, None, error.message
    try:
        return content, settings_of(content, path), ""
    except OperatorError:
        return content, None, ""


async def _native(inside: Inside) -> Native | None:
    try:
        return await native_of(inside)
    except OperatorError:
        return None
