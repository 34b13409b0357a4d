"""What was found becomes one snapshot: each part from the best source that has it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta

from vpai_tui.budget import activity
from vpai_tui.budget.alerts import alerts_of
from vpai_tui.budget.findings import Findings
from vpai_tui.budget.forecast import forecast, midnight
from vpai_tui.budget.model import (
    Beat,
    BudgetSnapshot,
    DaySpend,
    Enforcement,
    Forecast,
    HourSpend,
    Mode,
    Part,
    Reached,
    Source,
    Spend,
)
from vpai_tui.budget.native import native_from
from vpai_tui.budget.notes import down, notes_of, version_of, why_enforcement
from vpai_tui.budget.prices import PriceList, price_list
from vpai_tui.budget.tally import Tally, keys_of, models_of, providers_of, total_of

WEEK = 7
_WHOLE = 0.95  # of the day's sum that hours must hold to stand for it


def fold(found: Findings) -> BudgetSnapshot:
    """The snapshot."""
    places, counters = found.places, found.counters
    enforcement = enforcement_of(found)
    acting = _beat(found) if enforcement is Enforcement.ENFORCED else None
    day, prices = day_of(found), _prices(found)
    spend = spend_of(found, day, prices)
    cap, cap_source = cap_of(found)
    mode = mode_of(found, enforcement)
    error, remedy = down(found)
    expected = _forecast(found, spend, day, cap, acting)
    unpriced = tuple(it.model for it in spend.models if it.priced is False and it.requests) if spend else ()
    return BudgetSnapshot(
        at=found.at,
        host=places.host,
        stack=places.stack,
        service=places.service,
        day=day,
        timezone=found.zone_name,
        resets_at=midnight(day + timedelta(days=1), found.zone),
        mode=mode,
        manual=counters.manual if counters else None,
        enforcement=enforcement,
        why=why_enforcement(found, enforcement),
        version=version_of(found),
        spend=spend,
        cap_usd=cap,
        cap_source=cap_source,
        redis_cap_usd=counters.cap_usd if counters else None,
        configured_cap_usd=found.settings.max_budget if found.settings else None,
        file=places.config,
        beat=_beat(found),
        reached=_reached(found, day),
        prices=prices.by_alias,
        forecast=expected,
        alerts=alerts_of(
            places.host,
            places.service,
            day=day,
            spend_usd=_compared(spend, acting),
            cap_usd=cap,
            enforcement=enforcement,
            mode=mode,
        ),
        notes=notes_of(found, spend, expected, unpriced),
        error=error,
        remedy=remedy,
    )


# ── what acts ────────────────────────────────────────────────────────────────────────────────────────────────────────


def enforcement_of(found: Findings) -> Enforcement:
    """By the heartbeat alone; that it is missing means something only while LiteLLM runs and Redis can be read."""
    if found.counters is not None and found.counters.fresh:
        return Enforcement.ENFORCED
    answers = found.proxy is not None and found.proxy.answers
    return Enforcement.DECLARED if answers and found.counters is not None else Enforcement.UNKNOWN


def mode_of(found: Findings, enforcement: Enforcement) -> Mode | None:
    """What acts now: without the callback nothing does, whatever the key says."""
    beat = _beat(found)
    if enforcement is Enforcement.ENFORCED and beat is not None:
        return beat.effective
    return Mode.NORMAL if enforcement is Enforcement.DECLARED else None


def cap_of(found: Findings) -> tuple[float | None, str]:
    """The cap and who says it: the callback where it beats; without it LiteLLM's own, where LiteLLM says that one is in
    force; else what the callback would take, in its order."""
    beat = _beat(found)
    if beat is not None and found.counters is not None and found.counters.fresh:
        return beat.cap_usd, beat.cap_source
    native = native_from(found.proxy.native) if found.proxy else None
    told = [
        ("litellm_settings", (native.cap_usd if native else None) or None),
        ("redis", found.counters.cap_usd if found.counters else None),
        ("env", found.places.cap_usd),
        ("general_settings", found.settings.max_budget if found.settings else None),
        ("litellm_settings", (found.settings.native_budget if found.settings else None) or None),
    ]
    source, cap = next(((source, cap) for source, cap in told if cap is not None), ("none", None))
    return cap or None, source


def day_of(found: Findings) -> date:
    """Today, by the host's clocks where they were heard."""
    if found.counters is not None and found.counters.fresh and found.counters.beat is not None:
        return found.counters.beat.day
    return found.tables.day if found.tables is not None else found.here.date()


def _beat(found: Findings) -> Beat | None:
    return found.counters.beat if found.counters else None


def _reached(found: Findings, day: date) -> Reached | None:
    """Of today alone: what is left of a day before tells nothing."""
    reached = found.counters.reached if found.counters else None
    return reached if reached and reached.since.astimezone(found.zone).date() == day else None


# ── what was spent ───────────────────────────────────────────────────────────────────────────────────────────────────


def spend_of(found: Findings, day: date, prices: PriceList) -> Spend | None:
    """Today's money from the first source that has it; None where none has. What that one does not tell (models, keys,
    hours, days) is taken from the next that does."""
    known = list(sources(found, day))
    if not known:
        return None
    source, main = known[0]
    rich = next((it for _, it in known if it.models), main)
    total = total_of(main)
    hours = _hours(known, found, day, total)
    days = _days(found, day, total)
    return Spend(
        day=day,
        total=Part(source, found.at),
        spend_usd=total,
        requests=_first(main.requests, rich.requests),
        failed=_first(main.failed, rich.failed),
        tokens=_first(main.tokens, rich.tokens),
        cached_tokens=main.cached_tokens,
        providers=providers_of(main if main.vendors else _with_vendors(main, rich)),
        models=models_of(main if main.models else rich, prices),
        keys=keys_of(main if main.keys is not None else rich),
        hours=_to_now(hours[1], found, day) if hours else None,
        hours_part=Part(hours[0], found.at) if hours else None,
        days=days[1] if days else None,
        days_part=Part(days[0], found.at) if days else None,
    )


def sources(found: Findings, day: date) -> Iterator[tuple[Source, Tally]]:
    """The sources that know today's sum, the best first. LiteLLM's own days are UTC days: where the budget's are
    others, its tables and the counters, which can be cut anywhere, come first."""
    own = [*_activity(found, day), *_spend(found, day)]
    exact = [(Source.SQL, found.tables.today)] if found.tables is not None and found.tables.day == day else []
    counted = found.counters.days.get(day) if found.counters else None
    if counted is None and found.counters is not None and found.counters.fresh:
        counted = Tally(0.0, 0, tokens=0, keys={}, hours={})  # it beats, and nothing was answered yet
    exact += [(Source.COUNTERS, counted)] if counted is not None else []
    yield from [*own, *exact] if _utc(found) else [*exact, *own]


def _activity(found: Findings, day: date) -> Iterator[tuple[Source, Tally]]:
    answer = found.proxy.activity if found.proxy else None
    days = activity.activity_of(answer.body) if answer and answer.ok else None
    if days is not None:
        yield Source.ACTIVITY, days.get(day, Tally(0.0, 0, 0, 0, 0, keys={}))


def _spend(found: Findings, day: date) -> Iterator[tuple[Source, Tally]]:
    told = _told_by_spend(found, day)
    if told is not None:
        yield Source.SPEND, told[0]


def _told_by_spend(found: Findings, day: date) -> tuple[Tally, dict[date, float]] | None:
    proxy = found.proxy
    if proxy is None or proxy.providers is None or proxy.logs is None:
        return None
    providers, logs = (answer.body if answer.ok else None for answer in (proxy.providers, proxy.logs))
    return activity.spend_of(providers, logs, day)


def _with_vendors(main: Tally, rich: Tally) -> Tally:
    return Tally(main.spend_usd, providers=main.providers, vendors=rich.vendors)


def _hours(
    known: Sequence[tuple[Source, Tally]], found: Findings, day: date, total: float
) -> tuple[Source, Mapping[int, float]] | None:
    """Counters, tables, LiteLLM's rows: the first that holds the day, else the one that holds most of it."""
    tallies = dict(known)
    told: list[tuple[Source, Mapping[int, float]]] = []
    for source in (Source.COUNTERS, Source.SQL):
        hours = tallies[source].hours if source in tallies else None
        told += [(source, hours)] if hours is not None else []
    if found.proxy is not None and found.proxy.pages:
        pages = [it.body for it in found.proxy.pages]
        told.append((Source.SPEND, activity.hours_of(pages, day, found.zone)))
    sums = [math.fsum(hours.values()) for _, hours in told]
    whole = next((it for it, held in zip(told, sums, strict=True) if held >= _WHOLE * total), None)
    if whole is not None or not told:
        return whole
    most = max(range(len(told)), key=lambda index: sums[index])
    return told[most] if sums[most] > 0 else None


def _to_now(hours: Mapping[int, float], found: Findings, day: date) -> tuple[HourSpend, ...]:
    """Every hour up to now, those without spend too."""
    local = found.here
    last = max([local.hour if local.date() == day else 0, *hours])
    return tuple(HourSpend(hour, hours.get(hour, 0.0)) for hour in range(last + 1))


def _days(found: Findings, day: date, total: float) -> tuple[Source, tuple[DaySpend, ...]] | None:
    """The last seven days, today last, from the first source that has them."""
    own = [*_activity_days(found), *_spend_days(found, day)]
    exact = [*_table_days(found), *_counted_days(found, day)]
    told = next(iter([*own, *exact] if _utc(found) else [*exact, *own]), None)
    if told is None:
        return None
    source, sums, since = told
    week = [day - timedelta(days=back) for back in range(WEEK - 1, 0, -1)]
    rows = [DaySpend(it, sums.get(it, 0.0)) for it in week if it >= since]
    return source, (*rows, DaySpend(day, total))


_Days = tuple[Source, Mapping[date, float], date]  # the last: since when a day that is not there is a day without spend


def _activity_days(found: Findings) -> Iterator[_Days]:
    answer = found.proxy.activity if found.proxy else None
    days = activity.activity_of(answer.body) if answer and answer.ok else None
    if days is not None:
        yield Source.ACTIVITY, {it: tally.spend_usd for it, tally in days.items()}, date.min


def _spend_days(found: Findings, day: date) -> Iterator[_Days]:
    told = _told_by_spend(found, day)
    if told is not None and told[1]:
        yield Source.SPEND, told[1], date.min


def _table_days(found: Findings) -> Iterator[_Days]:
    if found.tables is not None:
        sums = {it: math.fsum(hours.values()) for it, hours in found.tables.days.items()}
        yield Source.SQL, sums, date.min


def _counted_days(found: Findings, day: date) -> Iterator[_Days]:
    """Since the first day that it counted: before that the callback was not there."""
    days = found.counters.days if found.counters else {}
    before = [it for it in days if it < day]
    if before:
        yield Source.COUNTERS, {it: tally.spend_usd for it, tally in days.items()}, min(before)


# ── what follows from it ─────────────────────────────────────────────────────────────────────────────────────────────


def _forecast(found: Findings, spend: Spend | None, day: date, cap: float | None, acting: Beat | None) -> Forecast:
    spent = _compared(spend, acting)
    if spent is None:
        return Forecast(None, None, None)
    return forecast(
        found.here,
        found.zone,
        spent,
        cap_usd=cap,
        hours={it.hour: it.spend_usd for it in spend.hours} if spend and spend.hours is not None else None,
        past=past_of(found, day),
        stopped=acting is not None and acting.effective is not Mode.NORMAL,
    )


def past_of(found: Findings, day: date) -> list[Mapping[int, float]]:
    """The hours of the days before, as far back as one source knows them."""
    if found.tables is not None and found.tables.days:
        days: Mapping[date, Mapping[int, float]] = found.tables.days
    else:
        counted = found.counters.days if found.counters else {}
        days = {it: tally.hours for it, tally in counted.items() if tally.hours}
    week = [day - timedelta(days=back) for back in range(1, WEEK + 1)]
    since = min(days, default=day)
    return [days.get(it, {}) for it in week if it >= since]


def _compared(spend: Spend | None, acting: Beat | None) -> float | None:
    """What the cap is compared with: the larger of both sums, as the callback does."""
    told = [it for it in (spend.spend_usd if spend else None, acting.spend_usd if acting else None) if it is not None]
    return max(told, default=None)


def _prices(found: Findings) -> PriceList:
    beat = _beat(found)
    free = beat.free if beat else found.places.free or ()
    info = found.proxy.models.body if found.proxy and found.proxy.models.ok else None
    return price_list(info, found.settings, free)


def _utc(found: Findings) -> bool:
    return not found.here.utcoffset()


def _first(*values: int | None) -> int | None:
    return next((it for it in values if it is not None), None)
