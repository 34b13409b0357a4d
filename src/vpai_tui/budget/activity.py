"""LiteLLM's answers about spend: the daily aggregated activity, and what stands in for it. Days are UTC days."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any
from urllib.parse import urlencode

from vpai_tui.budget.figures import calendar_day, count, mapping, money, name, rows
from vpai_tui.budget.tally import Tally, Use, summed, vendor_of
from vpai_tui.budget.transport import Answer, Request

READINESS = Request("GET", "/health/readiness")
DETAILS = Request("GET", "/health/readiness/details")  # 1.106 and newer has the version here alone
GLOBAL_SPEND = Request("GET", "/global/spend")
MODEL_INFO = Request("GET", "/model/info")
SPEND_LOGS = Request("GET", "/global/spend/logs")
WEEK = 7
PAGE_SIZE = 100  # the most that every version allows


def aggregated(today: date) -> Request:
    """The last seven UTC days in one call, and the next: around midnight the clocks may not agree."""
    days = {"start_date": today - timedelta(days=WEEK), "end_date": today + timedelta(days=1)}
    return Request("GET", f"/user/daily/activity/aggregated?{urlencode(days)}")


def spend_by_provider(day: date) -> Request:
    return Request("GET", f"/global/spend/provider?{urlencode({'start_date': day, 'end_date': day})}")


def log_page(begin: datetime, page: int) -> Request:
    """One page of the rows since `begin`."""
    begin = begin.astimezone(UTC)
    end = begin + timedelta(days=2)  # a day of 25 hours, and a clock that is ahead
    query = {"start_date": f"{begin:%Y-%m-%d %H:%M:%S}", "end_date": f"{end:%Y-%m-%d %H:%M:%S}"}
    return Request("GET", f"/spend/logs/v2?{urlencode({**query, 'page': page, 'page_size': PAGE_SIZE})}")


def version_of(answers: Iterable[Answer]) -> str | None:
    """LiteLLM's version, from whichever answer has it."""
    for answer in answers:
        found = name(mapping(answer.body).get("litellm_version")) if answer.ok else ""
        if found := found or name(answer.headers.get("x-litellm-version")):
            return found
    return None


def older_than(version: str | None, *wanted: int) -> bool | None:
    """Whether a version (`1.81.3`, `1.81.3-stable`) is older; None where it is not known."""
    parts = (version or "").split("-", 1)[0].split(".")
    numbers = [int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < 9]
    return tuple(numbers[: len(wanted)]) < wanted if len(numbers) >= len(wanted) else None


def activity_of(body: Any) -> dict[date, Tally] | None:
    """The days of an aggregated activity; None where it is none. A day without requests is not in it."""
    if not isinstance(mapping(body).get("results"), list):
        return None
    return {day: _tally(row) for row in rows(body["results"]) if (day := _day(row.get("date")))}


def _tally(row: Mapping[str, Any]) -> Tally:
    metrics, parts = mapping(row.get("metrics")), mapping(row.get("breakdown"))
    providers = summed((name(it) or "?", _spend(one)) for it, one in mapping(parts.get("providers")).items())
    only = next(iter(providers)) if len(providers) == 1 else ""
    models = mapping(parts.get("models"))
    return Tally(
        spend_usd=money(metrics.get("spend")) or 0.0,
        requests=count(metrics.get("api_requests")),
        failed=count(metrics.get("failed_requests")),
        tokens=count(metrics.get("total_tokens")),
        cached_tokens=count(metrics.get("cache_read_input_tokens")),
        models=_uses(mapping(parts.get("model_groups")) or models),
        providers=providers,
        vendors=summed((vendor_of(name(it), only), _spend(one)) for it, one in models.items()),
        keys=summed((_key(it, one), _spend(one)) for it, one in mapping(parts.get("api_keys")).items()),
    )


def _uses(found: Mapping[str, Any]) -> dict[str, Use]:
    uses: dict[str, Use] = {}
    for word, one in found.items():
        metrics, alias = mapping(mapping(one).get("metrics")), name(word) or "?"
        before = uses.get(alias, Use())
        uses[alias] = Use(
            before.spend_usd + (money(metrics.get("spend")) or 0.0),
            before.requests + (count(metrics.get("api_requests")) or 0),
            before.tokens + (count(metrics.get("total_tokens")) or 0),
        )
    return uses


def _key(token: str, one: Any) -> str:
    """A key's alias; without one the beginning of its hash, which opens nothing."""
    return name(mapping(mapping(one).get("metadata")).get("key_alias")) or key_name(token)


def key_name(token: str) -> str:
    """How a key without an alias is shown; the master key has a word of its own in newer versions, else a hash."""
    if token == "litellm_proxy_master_key":  # noqa: S105
        return "master key"
    return "?" if token.startswith("sk-") else name(token[:8]) or "?"


def _spend(one: Any) -> float:
    return money(mapping(mapping(one).get("metrics")).get("spend")) or 0.0


def _day(text: object) -> date | None:
    return calendar_day(text[:10] if isinstance(text, str) else None)


def spend_of(providers: Any, logs: Any, day: date) -> tuple[Tally, dict[date, float]] | None:
    """Today and the days, from `/global/spend/provider` and `/global/spend/logs`; None where both are none."""
    days = {found: money(row.get("spend")) or 0.0 for row in rows(logs) if (found := _day(row.get("date")))}
    if not isinstance(providers, list) and not isinstance(logs, list):
        return None
    parts = summed((name(row.get("provider")) or "?", money(row.get("spend")) or 0.0) for row in rows(providers))
    return Tally(spend_usd=days.get(day, sum(parts.values())), providers=parts), days


def hours_of(bodies: Iterable[Any], day: date, zone: tzinfo) -> dict[int, float]:
    """Dollars by hour of `day` in `zone`, from pages of `/spend/logs/v2`."""
    found: dict[int, float] = {}
    for row in (row for body in bodies for row in rows(mapping(body).get("data"))):
        at = moment_of(row.get("startTime"))
        local = at.astimezone(zone) if at else None
        if local and local.date() == day and (spent := money(row.get("spend"))):
            found[local.hour] = found.get(local.hour, 0.0) + spent
    return found


def pages_of(body: Any) -> int:
    """How many pages there are."""
    return count(mapping(body).get("total_pages")) or 0


def moment_of(text: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if at is None or not 2000 < at.year < 9000:  # conversions of others leave the calendar
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
