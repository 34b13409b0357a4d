"""The morning look: every check, and what has happened since the last look. Made of what all features know."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import msgspec

from vpai_tui.checkup import examiner
from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.history import who
from vpai_tui.upkeep.lastlook import LastLook, LookFile, look_at
from vpai_tui.upkeep.news import Morning, Now, Since, news

if TYPE_CHECKING:
    from vpai_tui.budget.session import Budget
    from vpai_tui.deploy.chronicle import Chronicle
    from vpai_tui.upkeep.examiner import Report
    from vpai_tui.upkeep.surface import Surface

T = TypeVar("T")
_AHEAD = timedelta(minutes=5)  # a last look that is more than this to come: a clock has jumped
_SPEND_EVERY_S = 900.0


@dataclass(frozen=True)
class Sources:
    """What the other features know, each asked at most once a look; OperatorError where it cannot be."""

    history: Callable[[], Awaitable[Chronicle]]
    spend: Callable[[], Awaitable[Mapping[str, float]]]  # dollars by day
    moved: Callable[[], Mapping[str, str]] | None = None  # service id → image whose tag has moved upstream
    unasked: Callable[[], Set[str]] = frozenset  # images of which nobody has asked yet: what was known of them stays
    ask: Callable[[], Awaitable[None]] | None = None  # asks for those, where nothing else does; bounded, never raises


class MorningLook:
    """One per command or cockpit: the last look is read once, and stays what everything is told against."""

    def __init__(self, surface: Surface, sources: Sources) -> None:
        self._surface = surface
        self._sources = sources
        self._examiner = examiner(surface)
        self._file = LookFile(surface.folder)
        self._then, self._problem = self._file.load()
        self._spend: tuple[float, Mapping[str, float]] | None = None  # when it was asked, boot time
        self._report: Report | None = None

    async def look(self) -> Morning:
        """Asks everything once. Nothing is raised: what failed is in the notes, or cannot be known."""
        report, told, spend, _ = await asyncio.gather(
            self._examiner.look(), _or_why(self._sources.history()), _or_why(self._spent()), self._images()
        )
        self._report = report
        return Morning(report, self._since(report, told, spend))

    def _since(self, report: Report, told: Chronicle | str, spend: Mapping[str, float] | str) -> Since:
        notes = [self._problem] if self._problem else []
        then, now = self._then, self._surface.clock.now()
        if then is None:
            return Since(None, (), (*notes, "this is the first look: from now on there is something to compare with"))
        try:
            ahead = datetime.fromisoformat(then.at) - now > _AHEAD
        except (ValueError, TypeError):
            ahead = True
        if ahead:
            return Since(
                then.at, (), (*notes, "the last look is in the future: a clock has jumped, nothing is compared")
            )
        notes += [f"what others did cannot be known: {told}"] if isinstance(told, str) else []
        notes += [f"spend cannot be known: {spend}"] if isinstance(spend, str) else []
        if not isinstance(told, str):
            notes += [f"{host}: what was done there cannot be known: {why}" for host, why in told.unreached]
        if self._sources.ask is not None and (count := len(self._sources.unasked())):
            notes.append(f"image updates: not known of {count} images; each look asks some registries")
        found = news(
            then,
            Now(
                at=now,
                snapshot=self._surface.snapshot(),
                events=[event for host in self._surface.live() for event in self._surface.events(host)],
                told=None if isinstance(told, str) else told.lines,
                findings=report.findings,
                moved=self._sources.moved() if self._sources.moved else None,
                spend_usd=None if isinstance(spend, str) else spend,
                me=who(),
            ),
        )
        return Since(then.at, found, tuple(notes))

    async def _images(self) -> None:
        if self._sources.ask is not None:
            await self._sources.ask()

    async def _spent(self) -> Mapping[str, float]:
        now = self._surface.clock.boot_s()
        if self._spend is None or now - self._spend[0] > _SPEND_EVERY_S:
            self._spend = (now, await self._sources.spend())
        return self._spend[1]

    def keep(self) -> str:
        """This moment is the last look, for whoever looks next; why it could not be kept, or an empty text."""
        return self._file.save(self._now())

    def settle(self) -> str:
        """The same, and everything is told against this moment from now on."""
        self._then, self._problem = self._now(), ""
        return self._file.save(self._then)

    def _now(self) -> LastLook:
        moved = self._sources.moved
        before = set(self._then.moved if self._then else ()) & self._sources.unasked()
        look = look_at(
            self._surface.snapshot(),
            self._surface.clock.now(),
            self._then,
            findings=self._report.findings if self._report else None,
            moved=set(moved().values()) | before if moved else None,
            spend_usd=self._spend[1] if self._spend else None,
        )
        if self._report is not None or self._then is None:
            return look
        return msgspec.structs.replace(look, at=self._then.at)  # it asked nothing: what others did is still news


async def spend_of(budget: Callable[[], Budget]) -> Mapping[str, float]:
    """Dollars by day of the last week; none in a fleet without LiteLLM.

    Raises:
        OperatorError: they cannot be learnt.
    """
    try:
        asked = budget()
    except UsageError:
        return {}
    found = await asked.snapshot()
    if found.spend is None or found.spend.days is None:
        raise OperatorError("nothing tells it by the day", host=asked.host)
    return {it.day.isoformat(): it.spend_usd for it in found.spend.days}


async def _or_why(asked: Awaitable[T]) -> T | str:
    try:
        return await asked
    except OperatorError as error:
        return error.message
