"""One turn of a knob, carried out: the key, the proof by the heartbeat, the file; or the file and a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

from vpai_tui.budget import persist
from vpai_tui.budget.cap import GENERAL
from vpai_tui.budget.change import Change, Order, Wanted, Write
from vpai_tui.budget.counters import CAP_KEY, READ_LUA, SET_LUA, Counters, counters_of, read_arguments
from vpai_tui.budget.model import Enforcement
from vpai_tui.budget.native import native_of
from vpai_tui.budget.persist import Edit, Restart, new_id
from vpai_tui.budget.plans import DECLARED
from vpai_tui.budget.reading import Ground
from vpai_tui.budget.words import usd
from vpai_tui.clock import Clock, rfc3339
from vpai_tui.errors import LinkLost, OperatorError, StalePlan
from vpai_tui.fleet.operation import Event, Finished, Journaled, Outcome
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.failures import NoAnswer
from vpai_tui.text import clean_line

PROOF_WITHIN_S = 15.0  # the callback looks every 2 s
REREAD_WITHIN_S = 40.0  # LiteLLM 1.106 with STORE_MODEL_IN_DB reads its file again every 30 s
_PROOF_PAUSE_S = 0.7


class Turn:
    """Carries out one change; `by` is who does it, `fresh` makes a new connection when the link breaks in a restart.

    `begun` is True from the moment on at which something may have been changed.
    """

    def __init__(
        self, ground: Ground, change: Change, *, by: str, clock: Clock, fresh: Callable[[], Awaitable[Connection]]
    ) -> None:
        if change.order is None:
            raise OperatorError("this change was not planned here, so nothing is known to be done")
        self._ground = ground
        self._by = by
        self._clock = clock
        self._fresh = fresh
        self._change = change
        self._order: Order = change.order
        self.id = new_id(clock)
        self.begun = False

    async def run(self) -> AsyncIterator[Event]:
        """The last event is `Finished`.

        Raises:
            LockHeld, StalePlan, PreflightRefused: nothing was changed.
            OperatorError: Redis could not be asked; with LinkLost it is not known whether the key was set.
        """
        order = self._order
        acts = order.enforcement is Enforcement.ENFORCED or self._change.kind == "cap"
        if order.empty and acts:
            yield self._end(Outcome.UNCHANGED, "it is so already")
            return
        steps = self._restarted(order.edit) if order.restart and order.edit else self._written(order)
        async for event in steps:
            yield event

    # ── through the callback ─────────────────────────────────────────────────────────────────────────────────────────

    async def _written(self, order: Order) -> AsyncIterator[Event]:
        edit = order.edit if order.edit is not None and not order.edit.empty else None
        if edit is not None:  # what would keep the file from being written is told before anything acts
            await persist.check(self._ground.connection, edit, self._by)
        if order.write is not None and not order.write.empty:
            await self._set(order.write)
            yield self._said("set", f"{order.write.key}: {self._change.before} → {self._change.after}")
            if order.wanted.by_redis is False:
                async for event in self._handed_back(order, edit):
                    yield event
                return
        found, proved = await self._proof(order)
        if not proved:
            yield self._end(Outcome.FAILED, self._unproved(order, found))
            return
        yield self._said("enforced", _beat(found))
        if edit is None:
            yield self._end(Outcome.COMMITTED, f"acts now; {order.unkept}" if order.unkept else "")
            return
        async for event in self._kept(edit):
            yield event

    async def _handed_back(self, order: Order, edit: Edit | None) -> AsyncIterator[Event]:
        """The key is gone and what is configured shall act: the file is written before the proof, since LiteLLM may
        have read what it says now, and may read it again. Where it does not, Redis holds the amount.
        """
        if edit is not None:
            async for event in self._kept(edit, f"{CAP_KEY} is taken away"):
                if not isinstance(event, Finished):
                    yield event
                elif event.outcome is not Outcome.COMMITTED:
                    yield event
                    return
        found, proved = await self._proof(order, REREAD_WITHIN_S)
        held = ""
        if not proved and await self._hold(order, found):
            held = f"LiteLLM goes by another file than the host's: Redis holds {usd(order.wanted.cap_usd)}"
            yield self._said("set", held)
            found, proved = await self._proof(replace(order, wanted=replace(order.wanted, by_redis=True)))
        if proved:
            yield self._said("enforced", _beat(found))
            yield self._end(Outcome.COMMITTED, held)
            return
        done = f"{edit.path} is written, " if edit is not None else ""
        yield self._end(Outcome.FAILED, f"{done}{self._unproved(order, found, kept=True)}")

    async def _hold(self, order: Order, found: Counters | None) -> bool:
        """Sets the key to the amount that nothing else holds; False where that cannot be known, or somebody did."""
        if found is None or not found.fresh or found.raw_cap or order.write is None or not order.wanted.cap_usd:
            return False
        try:
            await self._set(Write(order.write.key, "", usd(order.wanted.cap_usd)))
        except StalePlan:
            return False
        finally:
            self.begun = True
        return True

    async def _set(self, write: Write) -> None:
        """Sets the key. StalePlan when it has another value than the plan saw: nothing was done."""
        self.begun = True
        life_ms = "" if write.life_s is None else str(max(1, int(write.life_s * 1000)))
        try:
            answer = await self._ground.inside.redis(SET_LUA, write.key, write.was, write.new, life_ms)
        except LinkLost:
            raise
        except OperatorError:
            self.begun = False
            raise
        if not isinstance(answer, dict) or answer.get("done") is not True:
            self.begun = False
            was = answer.get("was") if isinstance(answer, dict) else None
            now = clean_line(str(was or ""), 40) or "not set"
            raise StalePlan(
                f"{write.key} was changed by somebody else meanwhile, it is {now} now; nothing was changed",
                host=self._ground.connection.name,
                step="budget",
                remedy="look again: vpai-tui budget",
            )

    async def _proof(self, order: Order, within_s: float = PROOF_WITHIN_S) -> tuple[Counters | None, bool]:
        """Reads the heartbeat until it says what is wanted; what was read last, and whether it did.

        Where no callback acts there is nothing to wait for."""
        clock = self._clock
        until = clock.boot_s() + (within_s if order.enforcement is not Enforcement.DECLARED else 0.0)
        found: Counters | None = None
        while True:
            try:
                now = clock.now()
                found = counters_of(await self._ground.inside.redis(READ_LUA, *read_arguments(now)), now)
            except LinkLost as error:
                if not isinstance(error, NoAnswer):
                    raise self._lost(order, error) from error
                found = None
            except OperatorError:
                found = None
            if found is not None and _says(found, order.wanted):
                return found, True
            if clock.boot_s() + _PROOF_PAUSE_S > until:
                return found, False
            await asyncio.sleep(_PROOF_PAUSE_S)

    def _lost(self, order: Order, error: LinkLost) -> LinkLost:
        """The link broke while the proof was waited for."""
        done = self._done(order)
        left = f", and {order.edit.path} was not changed" if order.edit is not None and not order.edit.empty else ""
        return LinkLost(
            f"{error.message}; {done}, whether it acts is not known{left}",
            host=error.host,
            step="budget",
            remedy="look again: vpai-tui budget",
        )

    @staticmethod
    def _done(order: Order) -> str:
        write = order.write
        if write is None or write.empty:
            return "nothing was changed"
        return f"{write.key} is set to {clean_line(write.new, 40) or 'nothing'}"

    def _unproved(self, order: Order, found: Counters | None, *, kept: bool = False) -> str:
        """What was done, what was not, and why."""
        done = self._done(order)
        if order.enforcement is Enforcement.DECLARED and self._change.kind == "mode":
            return f"{done}, and {DECLARED}: deploy the stack, it brings the callback (docs/budget.md)"
        if found is None:
            why = "Redis does not answer any more"
        elif found.beat is None or not found.fresh:
            why = "the callback gives no heartbeat"
        else:
            why = f"the callback does not take it: {_beat(found)}"
        edited = order.edit is not None and not order.edit.empty and not kept
        left = f"; {order.edit.path} was not changed" if order.edit is not None and edited else ""
        return f"{done}, but within {PROOF_WITHIN_S:.0f} s nothing proved that it acts ({why}){left}"

    async def _kept(self, edit: Edit, done: str = "acts now") -> AsyncIterator[Event]:
        """Writes the file; a failure here leaves what was `done` before, and a file that does not say it."""
        try:
            copy = await persist.keep(self._ground.connection, edit, self._by)
        except LinkLost as error:
            yield self._end(Outcome.UNKNOWN, f"{done}; whether {edit.path} was written is not known: {error.message}")
            return
        except OperatorError as error:
            reason = f"{done}, and is not kept: {error.message}; without the key in Redis the file's old cap acts"
            yield self._end(Outcome.FAILED, reason, error.output)
            return
        value = (self._order.lasting[1] if self._order.lasting else None) or "taken out"
        yield self._said("kept", f"{'.'.join(GENERAL)}: {value} in {edit.path}; the file before: {clean_line(copy)}")
        yield self._end(Outcome.COMMITTED)

    # ── LiteLLM's own ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _restarted(self, edit: Edit) -> AsyncIterator[Event]:
        ground = self._ground
        if ground.places.litellm is None:
            raise OperatorError("there is no container of LiteLLM", host=ground.connection.name, step="budget")
        container, port = ground.places.litellm.id, ground.places.port
        run = Restart(ground.connection, container, self._by, self._clock, self._fresh, port=port)
        self.id = run.id
        self.begun = True
        async for event in run.run(edit):
            if isinstance(event, Finished):
                self.begun = event.outcome not in (Outcome.REFUSED, Outcome.REVERTED)
                if event.outcome is Outcome.COMMITTED:
                    event = await self._verified(event)
            yield event

    async def _verified(self, end: Finished) -> Finished:
        """Whether LiteLLM says the new cap: only what it has in force counts."""
        wanted = self._order.lasting[1] if self._order.lasting else ""
        try:
            native = await native_of(self._ground.inside)
        except OperatorError as error:
            return self._end(Outcome.FAILED, f"restarted, and then not proved: {error.message}")
        told = native.cap_usd if native else None
        if told is not None and usd(told) == wanted:
            return Finished(end.at, end.outcome, end.release, f"/global/spend says max_budget {usd(told)}")
        says = "does not tell its cap" if told is None else f"says max_budget {usd(told)}"
        reason = (
            f"the file says {wanted} and LiteLLM was restarted, but it {says}: what its database keeps may go first"
        )
        return self._end(Outcome.FAILED, reason)

    # ── telling ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _said(self, what: str, detail: str) -> Journaled:
        return Journaled(self._now(), what, detail)

    def _end(self, outcome: Outcome, reason: str = "", output: str = "") -> Finished:
        return Finished(self._now(), outcome, self.id, reason, output)

    def _now(self) -> str:
        return rfc3339(self._clock.now())


def _says(found: Counters, wanted: Wanted) -> bool:
    """Whether a fresh heartbeat says what is wanted."""
    beat = found.beat
    if beat is None or not found.fresh:
        return False
    if wanted.cap_usd is not None and abs((beat.cap_usd or 0.0) - wanted.cap_usd) > 1e-6:
        return False
    if wanted.by_redis is not None and (beat.cap_source == "redis") is not wanted.by_redis:
        return False
    return wanted.mode is None or beat.mode is wanted.mode


def _beat(found: Counters | None) -> str:
    """`the heartbeat, 1 s old, says cap 3.00 (redis), eco`."""
    if found is None or found.beat is None or found.beat_age_s is None:
        return "there is no heartbeat"
    beat, age_s = found.beat, found.beat_age_s
    return f"the heartbeat, {age_s:.0f} s old, says cap {usd(beat.cap_usd)} ({beat.cap_source}), {beat.effective}"
