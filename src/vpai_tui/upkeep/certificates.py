"""`certificates`: the certificate of every name, from where a user stands, and of public ones also from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from vpai_tui.clock import duration
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.fleet.endpoints import Endpoint, Look, Questioner
from vpai_tui.fleet.model import FleetSnapshot, Sync
from vpai_tui.remote.resolve import ask as resolve
from vpai_tui.upkeep.examiner import Source

if TYPE_CHECKING:
    from vpai_tui.upkeep.surface import Surface

CHECK = "certificates"
WARN_DAYS = 14
ERROR_DAYS = 3
EVERY_S = 3600.0
_NEW_S = 120.0  # a look takes at most so long
_TOGETHER = 3
_REMEDY = "look at the log of the proxy of {host}: it renews them by itself"


class Certificates:
    """Asks at the first look, then once an hour for each name that was well; one that is not, at every look."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._known: dict[tuple[str, str], tuple[float, Finding]] = {}

    async def ask(self) -> Sequence[Finding]:
        questioner = self._surface.questioner()
        wanted = names_of(questioner.endpoints, self._surface.snapshot())
        if not wanted:
            return [Finding(CHECK, "", "", Standing.UNKNOWN, "no stack's `access` has a subdomain")]
        todo = [(it, view) for it in wanted for view in views_of(it) if self._fresh(it, view) is None]
        if todo:
            await self._look(questioner, todo)
        return together(self._told(it, view) for it in wanted for view in views_of(it))

    def _told(self, endpoint: Endpoint, view: str) -> Finding:
        """What is known, and how old that is where it is not of this look."""
        at, finding = self._known[str(endpoint.name), view]
        age_s = self._surface.clock.boot_s() - at
        return finding if age_s < _NEW_S else replace(finding, detail=f"{finding.detail} {duration(age_s)} ago")

    def _fresh(self, endpoint: Endpoint, view: str) -> Finding | None:
        at, finding = self._known.get((str(endpoint.name), view), (0.0, None))
        if finding is None or finding.standing is not Standing.OK:
            return None
        return finding if 0 <= self._surface.clock.boot_s() - at < EVERY_S else None

    async def _look(self, questioner: Questioner, todo: Sequence[tuple[Endpoint, str]]) -> None:
        begun = self._surface.clock.boot_s()  # one time for all of a look: what is the same is told as one
        inside = await _inside(questioner, [it for it, view in todo if view == "vpn"])
        gate = asyncio.Semaphore(_TOGETHER)

        async def one(endpoint: Endpoint, view: str) -> None:
            async with gate:
                finding = await self._one(questioner, endpoint, view, inside)
            self._known[str(endpoint.name), view] = (begun, finding)

        await asyncio.gather(*(one(it, view) for it, view in todo))

    async def _one(
        self, questioner: Questioner, endpoint: Endpoint, view: str, inside: Mapping[str, str] | OperatorError
    ) -> Finding:
        subject = subject_of(endpoint, view)
        target = None
        if view == "vpn":
            if isinstance(inside, OperatorError):
                return Finding(CHECK, endpoint.host, subject, Standing.UNKNOWN, inside.message)
            target = inside.get(str(endpoint.name))
            if target is None:
                return Finding(CHECK, endpoint.host, subject, Standing.UNKNOWN, "the VPN knows no such name")
        try:
            seen = await questioner.look(endpoint, target)
        except OperatorError as error:
            return Finding(CHECK, endpoint.host, subject, Standing.UNKNOWN, error.message)
        return judged(endpoint, subject, seen, self._surface.clock.now())


async def _inside(questioner: Questioner, wanted: Sequence[Endpoint]) -> Mapping[str, str] | OperatorError:
    """Where the VPN's resolver leads; the error where it cannot be asked."""
    try:
        connection = await questioner.asking()
        answers = await resolve(connection, [(str(it.name), "A") for it in wanted])
    except OperatorError as error:
        return OperatorError(f"the VPN's resolver cannot be asked: {error.message}", host=error.host)
    return {name: found[0] for (name, _), found in answers.items() if found}


def together(found: Iterable[Finding]) -> list[Finding]:
    """One finding for the names of a host of which the same is said: a proxy fails with all of them."""
    groups: dict[tuple[str, Standing, str, str], list[Finding]] = {}
    for it in found:
        groups.setdefault((it.host, it.standing, it.detail, it.subject.partition(" ")[2]), []).append(it)
    return [_one_of(it) for it in groups.values()]


def _one_of(group: Sequence[Finding]) -> Finding:
    first = group[0]
    if len(group) == 1:
        return first
    names = ", ".join(it.subject.partition(".")[0] for it in group)
    _, blank, where = first.subject.partition(" ")
    return replace(first, subject=f"{len(group)} names{blank}{where}", detail=f"{first.detail}: {names}")


def names_of(endpoints: Sequence[Endpoint], snapshot: FleetSnapshot) -> list[Endpoint]:
    """One endpoint for each name of what is deployed."""
    waiting = {it.id for it in snapshot.stacks if it.sync is Sync.NOT_DEPLOYED and not it.on_demand}
    found: dict[str, Endpoint] = {}
    for it in endpoints:
        if it.name is not None and it.stack not in waiting:
            found.setdefault(it.name, it)
    return list(found.values())


def views_of(endpoint: Endpoint) -> tuple[str, ...]:
    """From where it is asked: a public name is not in the VPN's records, and led to by public DNS."""
    return ("public",) if endpoint.access.reach == "public" else ("vpn",)


def subject_of(endpoint: Endpoint, view: str) -> str:
    return f"{endpoint.name} from outside" if view == "public" else str(endpoint.name)


def judged(endpoint: Endpoint, subject: str, seen: Look, now: datetime) -> Finding:
    """By what is left of it; one that does not hold is an error, one that was not shown is none."""
    remedy = _REMEDY.format(host=endpoint.host)
    if seen.holds is None:
        return Finding(CHECK, endpoint.host, subject, Standing.UNKNOWN, f"asked from {seen.asker}: {seen.problem}")
    ends = f"ends {seen.until:%Y-%m-%d}" if seen.until else "its end is not known"
    if not seen.holds:
        detail = f"{seen.problem}; {ends}, asked from {seen.asker}"
        return Finding(CHECK, endpoint.host, subject, Standing.ERROR, detail, remedy, endpoint.service)
    if seen.until is None:
        return Finding(CHECK, endpoint.host, subject, Standing.UNKNOWN, ends)
    days = (seen.until - now.astimezone(UTC)).days
    detail = f"{ends}, in {days} day{'s' if days != 1 else ''}, asked from {seen.asker}"
    standing = Standing.ERROR if days < ERROR_DAYS else Standing.WARN if days < WARN_DAYS else Standing.OK
    if standing is Standing.OK:
        return Finding(CHECK, endpoint.host, subject, standing, detail)
    return Finding(CHECK, endpoint.host, subject, standing, detail, remedy, endpoint.service)


def certificate_source(surface: Surface) -> Source:
    return Source("certificates", (CHECK,), "", Certificates(surface).ask, within_s=90.0)
