"""`api-probes`: what a user would do, done on the service's own host: a WebSocket, the APIs behind the pages."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.fleet.model import FleetSnapshot, Service
from vpai_tui.upkeep.asking import Asker, Reply, asker, image_name, running
from vpai_tui.upkeep.examiner import Source

if TYPE_CHECKING:
    from vpai_tui.upkeep.surface import Surface

CHECK = "api-probes"
_TOGETHER = 2  # at once: each is a channel of the host


@dataclass(frozen=True, slots=True)
class Probe:
    """One question that only a working program answers so. `kind`: the service's name, or its image's."""

    kind: str
    port: int
    path: str
    status: int = 200
    upgrade: bool = False

    @property
    def told(self) -> str:
        return "a WebSocket" if self.upgrade else self.path


# None of these asks for a login, and none costs anything: LiteLLM's /health would call every model.
PROBES = (
    Probe("openclaw", 18789, "/", 101, upgrade=True),
    Probe("n8n", 5678, "/healthz/readiness"),
    Probe("litellm", 4000, "/health/readiness"),
    Probe("palais", 3300, "/api/health"),
    Probe("kaneo-api", 1337, "/api/health"),
    Probe("sure-web", 3000, "/up"),
    Probe("qdrant", 6333, "/readyz"),
    Probe("couchdb", 5984, "/_up"),
    Probe("zerobyte", 4096, "/healthcheck"),
    Probe("comfyui", 8188, "/system_stats"),
    Probe("remotion", 3200, "/health"),
)


def probe_sources(surface: Surface) -> list[Source]:
    """One for each host whose stacks have such a service."""
    hosts = dict.fromkeys(stack.host for stack in surface.stacks for name in stack.services if _known(name))
    return [_source(surface, host) for host in hosts]


def _known(name: str) -> bool:
    return any(probe.kind == name for probe in PROBES)


def _source(surface: Surface, host: str) -> Source:
    async def ask() -> Sequence[Finding]:
        wanted = wanted_of(surface.snapshot(), host)
        if not wanted:
            return [Finding(CHECK, host, "", Standing.UNKNOWN, "nothing that is asked runs there")]
        gate = asyncio.Semaphore(_TOGETHER)
        async with asker(surface, host) as asking:
            return await asyncio.gather(*(_one(gate, asking, service, probe) for service, probe in wanted))

    return Source(f"APIs on {host}", (CHECK,), host, ask, within_s=45.0)


def wanted_of(snapshot: FleetSnapshot, host: str) -> list[tuple[Service, Probe]]:
    """What is asked on a host. A stack on demand is asked while it runs; what is not deployed never."""
    resting = {it.id for it in snapshot.stacks if it.on_demand}
    return [
        (service, probe)
        for service in snapshot.services
        for probe in PROBES
        if service.host == host
        and not service.off
        and probe.kind in (service.service, image_name(service.image))
        and (service.container is not None)
        and (running(service) or f"{service.host}/{service.stack}" not in resting)
    ]


async def _one(gate: asyncio.Semaphore, asking: Asker, service: Service, probe: Probe) -> Finding:
    why = _not_now(service)
    if why:
        return Finding(CHECK, service.host, service.service, Standing.UNKNOWN, why, target=service.id)
    async with gate:
        try:
            reply: Reply | OperatorError = await asking.get(service, probe.port, probe.path, upgrade=probe.upgrade)
        except OperatorError as error:
            reply = error
    return judged(service, probe, reply)


def _not_now(service: Service) -> str:
    """Why it is no use to ask; the fleet's own alerts tell of what is down."""
    container = service.container
    if container is None or container.state != "running":
        return f"its container is {container.state if container else 'not there'}"
    return "it is starting" if container.health == "starting" else ""


def judged(service: Service, probe: Probe, reply: Reply | OperatorError) -> Finding:
    """Any answer but the one expected is an error: the page in front of a program that loops is a 200, too."""
    if isinstance(reply, OperatorError):
        detail = f"{probe.told} at port {probe.port}: {reply.message}"
    elif reply.status == probe.status:
        return Finding(CHECK, service.host, service.service, Standing.OK, f"{probe.told} answers {reply.status}")
    else:
        detail = f"{probe.told} at port {probe.port} answers {reply.status}, not {probe.status}"
    remedy = f"vpai-tui logs {service.id}; vpai-tui restart {service.id}"
    return Finding(CHECK, service.host, service.service, Standing.ERROR, detail, remedy, service.id)
