"""Asks every source of findings at the same time. One that lies, hangs or is gone costs only its own checks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from vpai_tui.clock import Clock
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.fleet.model import Alert, Severity
from vpai_tui.redact import redact
from vpai_tui.text import clean_line
from vpai_tui.upkeep.table import BY_ID, CHECKS

_PER_HOST = 2  # sources that ask one host at a time: the operator's own questions need channels too
WITHIN_S = 100.0  # the whole look: a host on which everything hangs must not hold back what the others said


@dataclass(frozen=True, slots=True)
class Source:
    """One question that answers some checks. `ask` may raise OperatorError."""

    name: str  # what is asked, in a few words
    checks: tuple[str, ...]
    host: str  # whom it asks; "" for several or none
    ask: Callable[[], Awaitable[Sequence[Finding]]]
    within_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Report:
    """All findings of one look, in the table's order, and when it ended."""

    at_boot_s: float
    findings: tuple[Finding, ...]


class Examiner:
    """Made cheap; nothing is asked before the first look."""

    def __init__(self, sources: Sequence[Source], clock: Clock, within_s: float = WITHIN_S) -> None:
        self._sources = sources
        self._clock = clock
        self._within_s = within_s

    async def look(self) -> Report:
        """Asks all sources once. Every check of the table is in the answer, unknown at worst; nothing is raised."""
        gates: dict[str, asyncio.Semaphore] = {}
        until = asyncio.get_running_loop().time() + self._within_s

        async def one(source: Source) -> list[Finding]:
            gate = gates.setdefault(source.host, asyncio.Semaphore(_PER_HOST))
            try:
                async with asyncio.timeout_at(until), gate:
                    return await _ask(source)
            except TimeoutError:
                why = f"{source.name}: the look ended after {self._within_s:.0f} s, and it had not answered"
                return [_unknown(check, source.host, why) for check in source.checks]

        answers = await asyncio.gather(*(one(source) for source in self._sources))
        found = [finding for answer in answers for finding in answer]
        told = {finding.check for finding in found}
        found += [
            _unknown(check.id, "", "nothing of this fleet answers it") for check in CHECKS if check.id not in told
        ]
        place = {check.id: at for at, check in enumerate(CHECKS)}
        found.sort(key=lambda it: (place[it.check], it.host, it.subject))
        return Report(self._clock.boot_s(), tuple(found))


async def _ask(source: Source) -> list[Finding]:
    try:
        async with asyncio.timeout(source.within_s) as limit:
            found = [_whole(it) for it in await source.ask() if it.check in source.checks]
    except OperatorError as error:
        why = f"{source.name}: {error.message}"
        return [_unknown(check, source.host, why, error.remedy) for check in source.checks]
    except Exception as error:  # a lie that no reader foresaw, and only its own checks pay for it
        late = isinstance(error, TimeoutError) and limit.expired()
        why = f"no answer within {source.within_s:.0f} s" if late else f"the answer broke its reader: {error!r}"
        return [_unknown(check, source.host, f"{source.name}: {why}") for check in source.checks]
    told = {it.check for it in found}
    silent = [check for check in source.checks if check not in told]
    return [*found, *(_unknown(check, source.host, f"{source.name} tells nothing of it") for check in silent)]


def _unknown(check: str, host: str, why: str, remedy: str = "") -> Finding:
    return Finding(check, host, "", Standing.UNKNOWN, redact(clean_line(why, 300)), redact(clean_line(remedy, 300)))


def _whole(finding: Finding) -> Finding:
    """With the table's remedy where it has none of its own."""
    return finding if finding.remedy or not finding.bad else replace(finding, remedy=BY_ID[finding.check].remedy)


def worst(findings: Iterable[Finding]) -> Standing:
    """The worst of what is known; unknown where nothing is."""
    standings = {it.standing for it in findings}
    for standing in (Standing.ERROR, Standing.WARN, Standing.OK):
        if standing in standings:
            return standing
    return Standing.UNKNOWN


_SEVERITY = {Standing.WARN: Severity.WARN, Standing.ERROR: Severity.ERROR}


def alerts_of(findings: Iterable[Finding]) -> tuple[Alert, ...]:
    """The bad ones, as the fleet's list takes them; not those of checks whose alerts come from elsewhere.

    What cannot be known is no alert.
    """
    return tuple(
        Alert(
            severity=_SEVERITY[it.standing],
            host=it.host,
            subject=it.subject or BY_ID[it.check].title,
            message=f"{BY_ID[it.check].title}: {it.detail}" if it.subject else it.detail,
            remedy=it.remedy,
            target=it.target or it.host,
        )
        for it in findings
        if it.bad and BY_ID[it.check].alerts
    )
