"""`watcher`: the two that watch, each asked for itself: Grafana with VictoriaMetrics, and Uptime Kuma elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.fleet.model import FleetSnapshot, Service
from vpai_tui.upkeep.asking import Asker, Reply, asker, hosts_of, running, services_of
from vpai_tui.upkeep.examiner import Source

if TYPE_CHECKING:
    from vpai_tui.upkeep.surface import Surface

CHECK = "watcher"


@dataclass(frozen=True, slots=True)
class Watcher:
    """One that watches. `inside`: it sees what happens on its host; else it looks at the others from outside."""

    title: str
    kinds: tuple[str, ...]
    port: int
    path: str
    inside: bool


WATCHERS = (
    Watcher("Grafana", ("grafana", "grafana-oss", "grafana-enterprise"), 3000, "/api/health", inside=True),
    Watcher("VictoriaMetrics", ("victoriametrics", "victoria-metrics"), 8428, "/-/healthy", inside=True),
    Watcher("Uptime Kuma", ("uptime-kuma",), 3001, "/", inside=False),
)


def watcher_source(surface: Surface) -> Source:
    """Asks each on its own host; one host that is gone costs only its own."""

    async def ask() -> Sequence[Finding]:
        snapshot = surface.snapshot()
        places = [(watcher, service) for watcher in WATCHERS for service in services_of(snapshot, *watcher.kinds)]
        found = [*missing(places), *apart(places)]
        for host in hosts_of(service for _, service in places):
            found += await _on(surface, host, [it for it in places if it[1].host == host])
        return found

    return Source("the watchers", (CHECK,), "", ask)


def missing(places: Iterable[tuple[Watcher, Service]]) -> list[Finding]:
    """Those that no stack of the fleet has."""
    there = {watcher.title for watcher, _ in places}
    return [
        Finding(CHECK, "", it.title, Standing.ERROR, "no stack of the fleet has one: nobody would tell")
        for it in WATCHERS
        if it.title not in there
    ]


def apart(places: Iterable[tuple[Watcher, Service]]) -> list[Finding]:
    """Whether one of them would see the other's host go."""
    places = list(places)
    inside = {service.host for watcher, service in places if watcher.inside}
    outside = {service.host for watcher, service in places if not watcher.inside}
    if not inside or not outside or outside - inside:
        return []
    detail = "both watchers are on this host: with it both are gone"
    return [Finding(CHECK, host, "", Standing.ERROR, detail, "run Uptime Kuma on another host") for host in outside]


async def _on(surface: Surface, host: str, places: Sequence[tuple[Watcher, Service]]) -> list[Finding]:
    if not _live(surface.snapshot(), host):
        return [_unknown(it, service, "the host is gone") for it, service in places]
    if not any(running(service) for _, service in places):
        return [judged(it, service, None) for it, service in places]
    try:
        async with asker(surface, host) as asking:
            return [await _one(asking, it, service) for it, service in places]
    except OperatorError as error:
        return [_unknown(it, service, error.message) for it, service in places]


def _live(snapshot: FleetSnapshot, host: str) -> bool:
    return any(it.live for it in snapshot.hosts if it.name == host)


async def _one(asking: Asker, watcher: Watcher, service: Service) -> Finding:
    if not running(service):
        return judged(watcher, service, None)
    try:
        return judged(watcher, service, await asking.get(service, watcher.port, watcher.path))
    except OperatorError as error:
        return judged(watcher, service, error)


def judged(watcher: Watcher, service: Service, reply: Reply | OperatorError | None) -> Finding:
    """`reply` None: its container does not run."""
    if reply is None:
        state = service.container.state if service.container else "not there"
        return _bad(watcher, service, f"its container is {state}")
    if isinstance(reply, OperatorError):
        return _bad(watcher, service, reply.message)
    if not 200 <= reply.status < 400:
        return _bad(watcher, service, f"{watcher.path} answers {reply.status}")
    if watcher.path == "/api/health" and (state := database_of(reply.body)) != "ok":
        return _bad(watcher, service, f"its database is {state}")
    return Finding(CHECK, service.host, watcher.title, Standing.OK, f"{watcher.path} answers {reply.status}")


def database_of(body: bytes) -> str:
    """What Grafana says of its database: ok, or another word."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return "not told"
    word = found.get("database") if isinstance(found, dict) else None
    return "ok" if word == "ok" else "not well" if isinstance(word, str) else "not told"


def _bad(watcher: Watcher, service: Service, why: str) -> Finding:
    remedy = f"vpai-tui logs {service.id}; vpai-tui restart {service.id}"
    return Finding(CHECK, service.host, watcher.title, Standing.ERROR, f"does not watch: {why}", remedy, service.id)


def _unknown(watcher: Watcher, service: Service, why: str) -> Finding:
    return Finding(CHECK, service.host, watcher.title, Standing.UNKNOWN, why)
