"""Spend from LiteLLM's tables, in the budget's own time zone: it works while the proxy is down."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files as package_files
from typing import Any

from vpai_tui.budget.activity import key_name
from vpai_tui.budget.figures import calendar_day, count, mapping, money, name, rows
from vpai_tui.budget.tally import Tally, Use, summed, vendor_of
from vpai_tui.errors import OperatorError

# Rows that /config/update leaves behind: from then on they go before the file.
OVERRULING = ("general_settings", "litellm_settings", "router_settings")
_ZONE = re.compile(r"[A-Za-z0-9_+/-]{1,60}")


@dataclass(frozen=True, slots=True)
class Tables:
    """What the tables say: today, the days before with their hours, and the settings that the database has."""

    day: date
    today: Tally
    days: Mapping[date, Mapping[int, float]]
    settings: tuple[str, ...]


def query(zone: str) -> str:
    """The query for the days of a time zone.

    Raises:
        OperatorError: that is no name of one.
    """
    if not _ZONE.fullmatch(zone):
        raise OperatorError("the budget's time zone has a name that no zone has")
    return _text().replace("@ZONE@", zone)


@cache
def _text() -> str:
    text = package_files("vpai_tui.budget").joinpath("spend.sql").read_text(encoding="utf-8")
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))


def tables_of(found: Any) -> Tables:
    """What the query returned.

    Raises:
        OperatorError: it is something else.
    """
    raw = mapping(found)
    day, spend = calendar_day(raw.get("day")), money(raw.get("spend"))
    if day is None or spend is None:
        raise OperatorError("the database's answer is strange")
    days: dict[date, dict[int, float]] = {}
    for row in rows(raw.get("hours")):
        at, hour, spent = calendar_day(row.get("day")), count(row.get("hour")), money(row.get("spend"))
        if at is not None and hour is not None and hour < 24:
            hours = days.setdefault(at, {})
            hours[hour] = hours.get(hour, 0.0) + (spent or 0.0)
    settings = raw.get("settings")
    names = {name(it) for it in settings} if isinstance(settings, list) else set()
    today = _today(raw, spend, days.get(day, {}))
    return Tables(day, today, days, tuple(it for it in OVERRULING if it in names))


def _today(raw: Mapping[str, Any], spend: float, hours: Mapping[int, float]) -> Tally:
    models: dict[str, Use] = {}
    for row in rows(raw.get("aliases")):
        alias = name(row.get("alias")) or "?"
        before, spent = models.get(alias, Use()), money(row.get("spend")) or 0.0
        asked, tokens = count(row.get("requests")) or 0, count(row.get("tokens")) or 0
        models[alias] = Use(before.spend_usd + spent, before.requests + asked, before.tokens + tokens)
    pairs = [
        (name(row.get("model")), name(row.get("provider")), money(row.get("spend")) or 0.0)
        for row in rows(raw.get("models"))
    ]
    keys = [
        (name(row.get("alias")) or key_name(name(row.get("hash"))), money(row.get("spend")) or 0.0)
        for row in rows(raw.get("keys"))
    ]
    return Tally(
        spend_usd=spend,
        requests=count(raw.get("requests")),
        failed=count(raw.get("failed")),
        tokens=count(raw.get("tokens")),
        models=models,
        providers=summed((provider or "?", spent) for _, provider, spent in pairs),
        vendors=summed((vendor_of(model, provider), spent) for model, provider, spent in pairs),
        keys=summed(keys),
        hours=hours,
    )
