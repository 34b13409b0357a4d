"""`container-series`: whether the containers that run are measured by name, one host at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.fleet.model import Container, FleetSnapshot
from vpai_tui.text import clean_line
from vpai_tui.upkeep.asking import asker, running, services_of
from vpai_tui.upkeep.examiner import Source

if TYPE_CHECKING:
    from vpai_tui.upkeep.surface import Surface

CHECK = "container-series"
PORT = 8428
ENOUGH = 0.9
_YOUNG_S = 180.0  # a container is measured every 30 s, and sent as often
_MOST = 50_000  # rows of an answer
# Alloy gives the name as `container`; cAdvisor's own label is `name`. What has neither is a control group alone.
QUERY = "count by (host, container, name) (container_memory_working_set_bytes)"


@dataclass(frozen=True, slots=True)
class Seen:
    """Of one host: the names of its measured containers, and how many series have no name."""

    names: frozenset[str] = frozenset()
    nameless: int = 0


def series_source(surface: Surface) -> Source:
    """Asks VictoriaMetrics once for the whole fleet."""
    place = next((it.host for it in surface.stacks for name in it.services if _is_store(it.image(name))), "")

    async def ask() -> Sequence[Finding]:
        snapshot = surface.snapshot()
        store = next((it for it in services_of(snapshot, "victoriametrics", "victoria-metrics") if running(it)), None)
        if store is None:
            raise OperatorError("no VictoriaMetrics runs")
        async with asker(surface, store.host) as asking:
            reply = await asking.get(store, PORT, f"/api/v1/query?{urlencode({'query': QUERY})}")
        if reply.status != 200:
            raise OperatorError(f"VictoriaMetrics answers {reply.status}", host=store.host)
        seen = seen_of(reply.body, store.host)
        return list(findings(snapshot, seen, surface.clock.now()))

    return Source("VictoriaMetrics", (CHECK,), place, ask)


def _is_store(image: str | None) -> bool:
    return "victoria-metrics" in (image or "")


def seen_of(body: bytes, home: str) -> Mapping[str, Seen]:
    """By host; series that tell no host are of `home`, where the store itself runs.

    Raises:
        OperatorError: it is no answer to the query.
    """
    try:
        found = json.loads(body)
        rows = found["data"]["result"] if found["status"] == "success" else None
    except (ValueError, RecursionError, KeyError, TypeError):
        rows = None
    if not isinstance(rows, list) or len(rows) > _MOST:
        raise OperatorError("VictoriaMetrics answered what is no answer to the query", host=home)
    names: dict[str, set[str]] = {}
    nameless: dict[str, int] = {}
    for row in rows:
        labels = row.get("metric") if isinstance(row, dict) else None
        if not isinstance(labels, dict):
            continue
        host = _text(labels.get("host")) or home
        name = (_text(labels.get("container")) or _text(labels.get("name"))).lstrip("/")
        if name:
            names.setdefault(host, set()).add(name)
        else:
            nameless[host] = nameless.get(host, 0) + _count(row.get("value"))
    return {it: Seen(frozenset(names.get(it, ())), nameless.get(it, 0)) for it in {*names, *nameless}}


def _count(value: object) -> int:
    """The number in a pair of time and text; 1 where it is none, for the row is there."""
    text = value[1] if isinstance(value, list) and len(value) == 2 else ""
    return int(text) if isinstance(text, str) and text.isdecimal() and text.isascii() and len(text) < 10 else 1


def _text(value: object) -> str:
    return clean_line(value, 200) if isinstance(value, str) else ""


def findings(snapshot: FleetSnapshot, seen: Mapping[str, Seen], now: datetime) -> Iterator[Finding]:
    """One for each host."""
    for host in snapshot.hosts:
        if not host.live or host.containers is None:
            why = "its containers are not known" if host.live else "the host is gone"
            yield Finding(CHECK, host.name, "", Standing.UNKNOWN, why)
            continue
        measured = any(it.host == host.name for it in services_of(snapshot, "cadvisor"))
        yield judged(host.name, host.containers, seen.get(host.name, Seen()), now, measured=measured)


def judged(host: str, containers: Iterable[Container], seen: Seen, now: datetime, *, measured: bool) -> Finding:
    """`measured`: a stack of the host has cAdvisor."""
    old = [it for it in containers if it.state == "running" and not _young(it, now)]
    having = [it for it in old if it.name in seen.names]
    if not seen.names and not measured and not seen.nameless:
        return Finding(CHECK, host, "", Standing.UNKNOWN, "no stack of this host has cAdvisor: nobody measures them")
    if not old:
        return Finding(CHECK, host, "", Standing.OK, "no container runs for long enough to be measured")
    told = f"{len(having)} of {len(old)} running containers are measured by name"
    if not having:
        more = f"; {seen.nameless} series have no name" if seen.nameless else ""
        return Finding(CHECK, host, "", Standing.ERROR, f"{told}{more}", target=host)
    if len(having) < ENOUGH * len(old):
        lacking = ", ".join(sorted(it.name for it in old if it.name not in seen.names)[:4])
        return Finding(CHECK, host, "", Standing.WARN, f"{told}; not {lacking}", target=host)
    return Finding(CHECK, host, "", Standing.OK, told)


def _young(container: Container, now: datetime) -> bool:
    begun = container.started_at or container.created_at
    return begun is not None and (now - begun).total_seconds() < _YOUNG_S
