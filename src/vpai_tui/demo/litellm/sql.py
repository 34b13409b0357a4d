"""LiteLLM's tables, as the one query of this client sees them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from vpai_tui.demo.litellm.shapes import alias_of, key_hash
from vpai_tui.demo.litellm.traffic import Row
from vpai_tui.demo.litellm.world import World

K = TypeVar("K")
Said = tuple[int, str, str]
# budget/spend.sql has both.
_TABLE, _PART = 'FROM "LiteLLM_SpendLogs"', "'aliases'"
_ZONE = re.compile(r"AT TIME ZONE '([^']+)'")
_SOCKET = 'connection to server on socket "/var/run/postgresql/.s.PGSQL.5432" failed'


def run(world: World, query: str) -> Said | None:
    """What `psql -At -c QUERY` answers; None: it is another query."""
    if _TABLE not in query or _PART not in query:
        return None
    if not world.database:
        return 2, "", f'psql: error: {_SOCKET}: FATAL:  database "litellm" does not exist\n'
    zone = _ZONE.search(query)
    limit = "SET\n" if query.startswith("SET ") else ""
    return 0, limit + json.dumps(_spend(world, ZoneInfo(zone[1] if zone else "UTC"))) + "\n", ""


def _spend(world: World, zone: ZoneInfo) -> dict[str, Any]:
    def of(row: Row) -> datetime:
        return datetime.fromtimestamp(row.hour, zone)

    here = datetime.fromtimestamp(world.now, zone)
    begin = datetime.combine(here.date() - timedelta(days=7), datetime.min.time(), zone)
    week = list(world.rows(begin.timestamp(), world.now))
    today = [row for row in week if of(row).date() == here.date()]
    hours = _grouped(week, lambda row: (f"{of(row):%F}", f"{of(row):%H}"))
    aliases, models = _grouped(today, lambda row: row.alias), _grouped(today, lambda row: (row.model, row.provider))
    return {
        "day": f"{here:%F}",
        "spend": _spent(today),
        "requests": sum(row.requests for row in today),
        "failed": sum(row.failed for row in today),
        "tokens": _tokens(today),
        "aliases": [
            {
                "alias": alias,
                "spend": _spent(rows),
                "requests": sum(row.requests for row in rows),
                "tokens": _tokens(rows),
            }
            for alias, rows in aliases.items()
        ],
        "models": [
            {"model": model, "provider": provider, "spend": _spent(rows)} for (model, provider), rows in models.items()
        ],
        "keys": [
            {"alias": alias_of(key), "hash": key_hash(key)[:40], "spend": _spent(rows)}
            for key, rows in _grouped(today, lambda row: row.key).items()
        ],
        "hours": [{"day": day, "hour": hour, "spend": _spent(rows)} for (day, hour), rows in hours.items()],
        "settings": [],
    }


def _grouped(rows: list[Row], name: Callable[[Row], K]) -> dict[K, list[Row]]:
    found: dict[K, list[Row]] = {}
    for row in rows:
        found.setdefault(name(row), []).append(row)
    return found


def _spent(rows: list[Row]) -> float:
    return sum((row.spend for row in rows), 0.0)


def _tokens(rows: list[Row]) -> int:
    return sum(row.prompt + row.completion for row in rows)
