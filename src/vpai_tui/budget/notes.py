"""Why a part of the snapshot is missing or not what it seems, one sentence each; and why LiteLLM does not answer."""

from __future__ import annotations

from collections.abc import Iterator

from vpai_tui.budget import activity
from vpai_tui.budget.findings import Findings, Proxy
from vpai_tui.budget.model import BYTEPLUS, Enforcement, Forecast, Source, Spend
from vpai_tui.budget.settings import CALLBACK
from vpai_tui.clock import duration
from vpai_tui.errors import OperatorError

NO_DATABASE = "no database"
_FOREIGN_KEY = "the container's LITELLM_MASTER_KEY is not LiteLLM's master key"
_SKEW_S = 60.0
_NAMED = 5  # models in one sentence
_DIFFERS = 0.05  # of the larger sum


def why_enforcement(found: Findings, enforcement: Enforcement) -> str:
    """What the enforcement is judged by, in one sentence."""
    counters, proxy = found.counters, found.proxy
    if enforcement is Enforcement.ENFORCED and counters is not None:
        return f"the callback's heartbeat is {counters.beat_age_s or 0.0:.0f} s old"
    if enforcement is Enforcement.DECLARED and counters is not None:
        return f"LiteLLM and Redis answer, but {_silence(found)}"
    if counters is None:
        return f"Redis cannot be asked: {_told(found.redis_error)}"
    why = _told(found.proxy_error) if proxy is None else proxy.readiness.said
    return f"LiteLLM does not answer ({why or 'no reason given'}), and {_silence(found)}"


def _silence(found: Findings) -> str:
    """What is wrong with the heartbeat."""
    age_s = found.counters.beat_age_s if found.counters else None
    if age_s is not None:
        return f"the callback's last heartbeat is {age_s:.0f} s old"
    if found.settings is not None and not found.settings.names_callback:
        return f"there is no heartbeat: litellm_config.yaml does not name {CALLBACK} under callbacks"
    return "the callback has no heartbeat"


def down(found: Findings) -> tuple[str, str]:
    """Why LiteLLM does not answer, and what to do next; both empty when it does."""
    place, service = found.places.litellm, found.places.service
    if found.proxy is not None and found.proxy.answers:
        return "", ""
    if place is None:
        remedy = f"deploy it: vpai-tui deploy {found.places.stack}" if found.places.stack else "start it"
        return "there is no LiteLLM container", remedy
    look = f"look at its log: vpai-tui describe {service}"
    if not place.running:
        starts = place.state in ("exited", "created", "paused", "dead")
        return f"{place.name} is {place.state}", f"start it: vpai-tui start {service}" if starts else look
    if found.proxy is None:
        error = found.proxy_error
        return _told(error), (error.remedy if error else "") or look
    said = found.proxy.readiness.said
    return f"LiteLLM does not answer: {said}", f"after a start it takes up to 90 s; then {look}"


def notes_of(found: Findings, spend: Spend | None, expected: Forecast, unpriced: tuple[str, ...]) -> tuple[str, ...]:
    """All of them, each once."""
    every = [
        *_sources(found),
        *_configuration(found),
        *_spend(found, spend),
        *_forecast(spend, expected),
        *_prices(unpriced),
        BYTEPLUS,
    ]
    return tuple(dict.fromkeys(every))


def _sources(found: Findings) -> Iterator[str]:
    """What could not be asked."""
    if found.proxy is not None and found.proxy.answers:
        yield from _proxy(found.proxy)
    if found.redis_error is not None:
        yield f"mode, cap and counters: {_told(found.redis_error)}"
    if found.sql_error is not None:
        yield NO_DATABASE if found.places.database is None else f"LiteLLM's tables: {_told(found.sql_error)}"
    if found.settings_error is not None:
        yield f"the configuration: {_told(found.settings_error)}"


def _proxy(proxy: Proxy) -> Iterator[str]:
    if not proxy.readiness.ok:
        yield f"LiteLLM is not ready: {proxy.readiness.said}"
    if not activity.version_of((proxy.readiness, proxy.details, proxy.activity, proxy.models)):
        yield "LiteLLM does not say which version it is"
    if proxy.models.no_database:  # that answer needs none: without one every other key than the master's is refused so
        yield _FOREIGN_KEY
        return
    failed: dict[str, list[str]] = {}
    parts = [("daily activity", proxy.activity), ("prices", proxy.models), ("max_budget in force", proxy.native)]
    parts += [("spend by provider", it) for it in (proxy.providers,) if it is not None]
    for what, answer in parts:
        strange = what == "daily activity" and answer.ok and activity.activity_of(answer.body) is None
        said = "the answer is strange" if strange else answer.said
        if said:
            failed.setdefault(said, []).append(what)
    for said, whats in failed.items():
        yield said if said == NO_DATABASE else f"{', '.join(whats)}: {said}"


def _configuration(found: Findings) -> Iterator[str]:
    """What is configured in a way that does harm."""
    settings, tables = found.settings, found.tables
    skew_s = found.counters.skew_s if found.counters else 0.0
    if abs(skew_s) > _SKEW_S:
        yield f"this laptop's clock is {duration(abs(skew_s))} {'behind' if skew_s > 0 else 'ahead of'} the host's"
    if found.places.timezone and found.zone_name != found.places.timezone:
        yield f"ECO_TZ of the container is {found.places.timezone}, and {found.zone_name} is what counts"
    if settings is not None:
        yield from settings.problems
    if settings is not None and settings.native_budget is not None:
        version = version_of(found)
        if activity.older_than(version, 1, 95) is not False:
            which = f"LiteLLM {version}" if version else "LiteLLM before 1.95"
            yield (
                f"litellm_settings.max_budget is set: {which} compares it with the last 30 days, not with today; "
                "leave it unset and use general_settings.max_budget"
            )
    if tables is not None and tables.settings:
        yield (
            f"the database holds {', '.join(tables.settings)} (/config/update was used): they go before "
            "litellm_config.yaml, and the master key may lie there in clear text"
        )


def _spend(found: Findings, spend: Spend | None) -> Iterator[str]:
    if spend is None:
        yield "spend cannot be known: none of its sources answers"
        return
    parts = {
        "requests": spend.requests,
        "failed requests": spend.failed,
        "tokens": spend.tokens,
        "cache hits": spend.cached_tokens,
        "spend by key": spend.keys,
    }
    if missing := [word for word, part in parts.items() if part is None]:
        yield f"not in {spend.total.source.told}: {', '.join(missing)}"
    if spend.hours is None:
        yield "the hours cannot be known: neither counters nor rows of today can be read"
    elif (part := sum(it.spend_usd for it in spend.hours)) < spend.spend_usd * (1 - _DIFFERS) - 0.005:
        yield f"the hours hold ${part:.2f} of today's ${spend.spend_usd:.2f}"
    if spend.days is None:
        yield "the days before cannot be known"
    if found.here.utcoffset() and spend.total.source in (Source.ACTIVITY, Source.SPEND):
        yield f"LiteLLM counts days in UTC, and the budget's are those of {found.zone_name}"
    beat = found.counters.beat if found.counters and found.counters.fresh else None
    if beat is not None and abs(beat.spend_usd - spend.spend_usd) > max(0.01, _DIFFERS * beat.spend_usd):
        yield f"the cap is compared with ${beat.spend_usd:.2f}, which the callback counts"
    if found.proxy is not None and found.proxy.pages_left:
        yield f"the hours lack {found.proxy.pages_left} pages of LiteLLM's rows"


def _forecast(spend: Spend | None, expected: Forecast) -> Iterator[str]:
    if spend is not None and expected.end_of_day_usd is None:
        yield "a forecast needs more of the day, or hours of days before"


def _prices(unpriced: tuple[str, ...]) -> Iterator[str]:
    if unpriced:
        more = f" and {len(unpriced) - _NAMED} more" if len(unpriced) > _NAMED else ""
        yield f"no price is known of {', '.join(unpriced[:_NAMED])}{more}: the sum is the least that was spent"


def version_of(found: Findings) -> str | None:
    """LiteLLM's version."""
    proxy = found.proxy
    return activity.version_of((proxy.readiness, proxy.details, proxy.activity, proxy.models)) if proxy else None


def _told(error: OperatorError | None) -> str:
    return error.message if error is not None else "no answer"
