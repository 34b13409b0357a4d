"""Asks everything that may know something of the budget, at the same time; what fails leaves its reason behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, TypeVar

from vpai_tui.budget import activity, counters, sql
from vpai_tui.budget.counters import Counters
from vpai_tui.budget.places import Places, zone_of
from vpai_tui.budget.settings import Settings
from vpai_tui.budget.sql import Tables
from vpai_tui.budget.transport import Answer, Inside
from vpai_tui.errors import LinkLost, OperatorError
from vpai_tui.remote.failures import NoAnswer

T = TypeVar("T")
_PAGES = 10  # of a thousand rows in all; more are not fetched only to draw hours


@dataclass(frozen=True, slots=True)
class Proxy:
    """LiteLLM's own answers; the last four are asked for only where the ones before do not suffice."""

    readiness: Answer
    details: Answer
    activity: Answer
    native: Answer  # /global/spend: the max_budget that LiteLLM itself has in force
    models: Answer
    providers: Answer | None = None
    logs: Answer | None = None
    pages: tuple[Answer, ...] = ()
    pages_left: int = 0  # that were not fetched

    @property
    def answers(self) -> bool:
        """Whether it answers at all, whatever it says."""
        return bool(self.readiness.status)


@dataclass(frozen=True, slots=True)
class Findings:
    """What was learnt at one moment, that of Redis's answer where it came. A part is None where it failed, with the
    failure; `zone` is the budget's."""

    at: datetime
    places: Places
    zone: tzinfo
    zone_name: str
    proxy: Proxy | None = None
    counters: Counters | None = None
    tables: Tables | None = None
    settings: Settings | None = None
    proxy_error: OperatorError | None = None
    redis_error: OperatorError | None = None
    sql_error: OperatorError | None = None
    settings_error: OperatorError | None = None

    @property
    def here(self) -> datetime:
        """Now by the host's clock, in the budget's zone: what its days and hours are counted by."""
        skew_s = self.counters.skew_s if self.counters else 0.0
        return (self.at + timedelta(seconds=skew_s)).astimezone(self.zone)


async def gather(
    inside: Inside, places: Places, settings: Callable[[], Awaitable[Settings]], now: Callable[[], datetime]
) -> Findings:
    """Everything, each part within a time of its own.

    Raises:
        LinkLost: the connection ended.
    """
    at = now()
    name = places.timezone if zone_of(places.timezone) else "UTC"
    proxy, redis, tables, file = await asyncio.gather(
        _kept(_proxy(inside, at)), _kept(_redis(inside, now)), _kept(_tables(inside, name)), _kept(settings())
    )
    counted = _good(redis)
    found = Findings(
        at=counted[1] if counted else now(),
        places=places,
        zone=zone_of(name) or UTC,
        zone_name=name or "UTC",
        proxy=_good(proxy),
        counters=counted[0] if counted else None,
        tables=_good(tables),
        settings=_good(file),
        proxy_error=_bad(proxy),
        redis_error=_bad(redis),
        sql_error=_bad(tables),
        settings_error=_bad(file),
    )
    return await _hours(inside, await _in_its_zone(inside, found))


async def _kept(work: Awaitable[T]) -> T | OperatorError:
    """The failure as a value. A lost link is raised: then nothing can be learnt."""
    try:
        return await work
    except OperatorError as error:
        if isinstance(error, LinkLost) and not isinstance(error, NoAnswer):
            raise
        return error


def _good(value: T | OperatorError) -> T | None:
    return None if isinstance(value, OperatorError) else value


def _bad(value: object) -> OperatorError | None:
    return value if isinstance(value, OperatorError) else None


async def _proxy(inside: Inside, at: datetime) -> Proxy:
    today = at.astimezone(UTC).date()
    asked = [
        activity.READINESS,
        activity.DETAILS,
        activity.aggregated(today),
        activity.GLOBAL_SPEND,
        activity.MODEL_INFO,
    ]
    readiness, details, days, native, models = await inside.litellm(asked)
    proxy = Proxy(readiness, details, days, native, models)
    if not proxy.answers or proxy.activity.no_database or activity.activity_of(proxy.activity.body) is not None:
        return proxy
    fallback = await _kept(inside.litellm([activity.spend_by_provider(today), activity.SPEND_LOGS]))
    return proxy if isinstance(fallback, OperatorError) else replace(proxy, providers=fallback[0], logs=fallback[1])


async def _redis(inside: Inside, now: Callable[[], datetime]) -> tuple[Counters, datetime]:
    """With the moment of the answer: the heartbeat's age is as of then, and others may take seconds more."""
    raw: Any = await inside.redis(counters.READ_LUA, *counters.read_arguments(now()))
    at = now()
    return counters.counters_of(raw, at), at


async def _tables(inside: Inside, zone: str | None) -> Tables:
    return sql.tables_of(await inside.sql(sql.query(zone or "UTC")))


async def _in_its_zone(inside: Inside, found: Findings) -> Findings:
    """The heartbeat's time zone is the one that acts; where the container's environment says another, the database is
    asked again."""
    beat = found.counters.beat if found.counters and found.counters.fresh else None
    zone = zone_of(beat.timezone) if beat else None
    if beat is None or zone is None or beat.timezone == found.zone_name:
        return found
    found = replace(found, zone=zone, zone_name=beat.timezone)
    if found.tables is None:
        return found
    tables = await _kept(_tables(inside, beat.timezone))
    return replace(found, tables=_good(tables), sql_error=_bad(tables))


async def _hours(inside: Inside, found: Findings) -> Findings:
    """LiteLLM's rows of today, where nothing else knows the hours."""
    proxy = found.proxy
    counted = found.counters is not None and bool(found.counters.days)
    if counted or found.tables is not None or proxy is None or not proxy.activity.ok:
        return found
    begin = found.here.replace(hour=0, minute=0, second=0, microsecond=0)
    first = await _kept(inside.litellm([activity.log_page(begin, 1)]))
    if isinstance(first, OperatorError):
        return found
    pages = activity.pages_of(first[0].body) if first[0].ok else 0
    rest = await _kept(inside.litellm([activity.log_page(begin, page) for page in range(2, min(pages, _PAGES) + 1)]))
    if not isinstance(rest, OperatorError):
        first = [*first, *rest]
    good = tuple(it for it in first if it.ok)
    return replace(found, proxy=replace(proxy, pages=good, pages_left=max(pages - len(good), 0)))
