"""What may be done to one service at once: restart, stop, start, and a command inside it. Each is verified."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vpai_tui.clock import Clock, rfc3339
from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.containers import Engine, from_inspect
from vpai_tui.fleet.health import container_health
from vpai_tui.fleet.model import Container, Health, Service
from vpai_tui.fleet.operation import Event

if TYPE_CHECKING:
    from vpai_tui.remote.channel import Completed
    from vpai_tui.remote.docker import Docker

Action = Literal["restart", "stop", "start"]
SETTLE_S = 1.0  # a service that dies at once is not one that was started
_DONE = {"restart": "restarted", "stop": "stopped", "start": "started"}


@dataclass(frozen=True, slots=True)
class ActionStarted(Event):
    """The engine is asked to do it now."""

    service: str
    action: Action
    container: str


@dataclass(frozen=True, slots=True)
class ActionVerified(Event):
    """The engine did it, and the container is what it should be."""

    service: str
    action: Action
    state: str
    health: Health


async def act(
    engine: Engine, service: Service, action: Action, *, clock: Clock, settle_s: float = SETTLE_S
) -> AsyncIterator[ActionStarted | ActionVerified]:
    """Do `action` to the service's container by the Engine API and look at the result.

    The container's own stop signal and grace period hold. Raises UsageError when there is no container, the
    engine's errors, and OperatorError when the container is not what it should be afterwards (it ended at once).
    """
    container = _container(service)
    before = await _inspect(engine, container.id, service)
    yield ActionStarted(rfc3339(clock.now()), service.id, action, container.name)
    await engine.call(action, container.id)
    after = await _inspect(engine, container.id, service)
    if action != "stop":
        await asyncio.sleep(settle_s)
        after = await _inspect(engine, container.id, service)
    _verify(service, action, before, after)
    health = container_health(after, one_shot=service.one_shot)
    yield ActionVerified(rfc3339(clock.now()), service.id, action, after.state, health)


async def execute(docker: Docker, service: Service, argv: Sequence[str], *, timeout_s: float = 30.0) -> Completed:
    """Run `argv` inside the service's container; its status (any) and output. Nothing is a shell string."""
    return await docker.exec(_container(service).id, argv, timeout_s=timeout_s)


def _container(service: Service) -> Container:
    if service.container is None:
        remedy = f"deploy it: vpai-tui deploy {service.host}/{service.stack}" if service.stack else ""
        raise UsageError(f"{service.id} has no container", host=service.host, remedy=remedy)
    return service.container


async def _inspect(engine: Engine, container: str, service: Service) -> Container:
    seen = from_inspect(await engine.call("inspect_container", container))
    if seen is None:
        raise OperatorError("the engine says nothing of the container", host=service.host, step="docker")
    return seen


def _verify(service: Service, action: Action, before: Container, after: Container) -> None:
    """Raise unless the container is what the action should have made of it."""
    if action == "stop":
        good = after.state in ("exited", "created", "dead")
    else:
        finished = service.one_shot and after.state == "exited" and after.exit_code == 0
        renewed = action == "start" or after.started_at != before.started_at
        good = (after.state == "running" or finished) and renewed and not _restarted(action, before, after)
    if not good:
        code = f" (exit {after.exit_code})" if after.state != "running" and after.exit_code else ""
        raise OperatorError(
            f"{service.id} was {_DONE[action]}, but is {after.state}{code} now",
            host=service.host,
            step=action,
            remedy=f"read its last lines: vpai-tui describe {service.id}",
        )


def _restarted(action: Action, before: Container, after: Container) -> bool:
    """Whether the engine had to bring it back by itself meanwhile; a start or restart sets its count to 0."""
    known = 0 if action == "restart" or before.state != "running" else before.restarts or 0
    return (after.restarts or 0) > known
