"""How services and stacks do, from what the engine says of their containers. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from vpai_tui.fleet.model import Container, Health, Sync

# Worst first. `UNKNOWN` is worse than `STARTING`: nothing is known to be under way.
_BY_BADNESS = (
    Health.DOWN,
    Health.DEGRADED,
    Health.UNKNOWN,
    Health.STARTING,
    Health.STOPPED,
    Health.RUNNING,
    Health.HEALTHY,
)
_OK = frozenset({Health.HEALTHY, Health.RUNNING})
_ASKED_TO_STOP = frozenset({0, 130, 143})  # ended by itself, by SIGINT, by SIGTERM
_NOT_STARTED = frozenset({125, 126, 127, 128})  # the engine could not start it: it does not try again by itself
_BRINGS_BACK = frozenset({"always", "unless-stopped"})
_LOOP_RESTARTS = 3
_LOOP_UPTIME_S = 60.0


def container_health(
    container: Container | None,
    *,
    one_shot: bool = False,
    on_demand: bool = False,
    deployed: bool = True,
    now: datetime | None = None,
) -> Health:
    """The health of a service whose container is `container` (None: there is none).

    `one_shot` services do their work and end; `on_demand` ones may be stopped at any time; without `deployed`
    nothing of the stack is wanted yet. `now`, by the host's clock, lets a crash loop be told from a start.
    """
    if container is None:
        return Health.DOWN if deployed and not (one_shot or on_demand) else Health.STOPPED
    match container.state:
        case "running":
            return _running(container, now)
        case "restarting":
            return Health.DEGRADED
        case "paused":
            return Health.STOPPED
        case "exited":
            return _exited(container, one_shot)
        case "created":
            return Health.STOPPED if on_demand else Health.DOWN
        case "dead" | "removing":
            return Health.DOWN
        case _:
            return Health.UNKNOWN


def looping(container: Container, now: datetime | None) -> bool:
    """Whether a container that runs at the moment has been restarted several times and came up just now."""
    if now is None or container.started_at is None or (container.restarts or 0) < _LOOP_RESTARTS:
        return False
    return (now - container.started_at).total_seconds() < _LOOP_UPTIME_S


def _running(container: Container, now: datetime | None) -> Health:
    match container.health:
        case "healthy":
            return Health.HEALTHY
        case "unhealthy":
            return Health.DEGRADED
    if looping(container, now):
        return Health.DEGRADED
    return Health.STARTING if container.health == "starting" else Health.RUNNING


def _exited(container: Container, one_shot: bool) -> Health:
    code = container.exit_code
    if container.oom_killed:
        return Health.DOWN
    if one_shot:
        return Health.HEALTHY if code == 0 else Health.DOWN
    if code is None or code in _ASKED_TO_STOP:
        return Health.STOPPED
    # A crash would have been followed by a restart: somebody stopped it, and it had to be killed.
    if container.restart_policy in _BRINGS_BACK and code not in _NOT_STARTED:
        return Health.STOPPED
    return Health.DOWN


def ok(health: Health) -> bool:
    """Whether a service with this health does what it is there for."""
    return health in _OK


def worst_health(values: Iterable[Health]) -> Health:
    """The worst of several; `UNKNOWN` of none."""
    present = set(values)
    return next((health for health in _BY_BADNESS if health in present), Health.UNKNOWN)


def stack_sync(values: Iterable[Sync]) -> Sync:
    """The sync of a stack from its services': partly deployed is drifted; what is not known stays unknown."""
    present = set(values)
    if not present:
        return Sync.UNKNOWN
    if Sync.DRIFTED in present or {Sync.IN_SYNC, Sync.NOT_DEPLOYED} <= present:
        return Sync.DRIFTED
    if Sync.UNKNOWN in present:
        return Sync.UNKNOWN
    return present.pop()
