"""What the fleet shows of a stack on demand, folded into its state. Pure: the same input gives the same picture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from vpai_tui.clock import duration
from vpai_tui.fleet.model import FleetSnapshot, Health, HostSnapshot, Service, StackStatus
from vpai_tui.ondemand.kinds import kind_of
from vpai_tui.ondemand.model import (
    Idle,
    IdleState,
    Look,
    Neighbour,
    OnDemandSnapshot,
    OnDemandStack,
    Queue,
    ServiceState,
    State,
)
from vpai_tui.ondemand.room import others, own_services, runs

_OWNER = re.compile(r"(?:pid=\d+ )?(?P<what>\S+) (?P<stack>\S+) by (?P<by>.+?)(?: since (?P<since>\S+))?\Z")
_BRINGS = ("start", "apply", "resume", "deploy", "rollback")
_TAKES = ("stop", "mind", "revert")
_BAD = (Health.DOWN, Health.DEGRADED)


def fold(
    stack: OnDemandStack,
    fleet: FleetSnapshot,
    look: Look | None,
    *,
    now: datetime,
    now_boot_s: float,
    acting: str = "",
) -> OnDemandSnapshot:
    """The whole picture. `acting`: what this cockpit itself does to the stack just now, `start` or `stop`."""
    host = next((it for it in fleet.hosts if it.name == stack.host), None)
    status = next((it for it in fleet.stacks if it.id == stack.id), None)
    own, at = own_services(stack, fleet), _host_time(host, now)
    looked = look is not None and look.host == stack.host
    owner = look.owner if look is not None and looked else ""
    told, word = _acting(stack, owner, status, acting)
    state, why, remedy = _state(stack, host, own, status, told, word)
    up = [it for it in own if runs(it)]
    starts = [it.container.started_at for it in up if it.container and it.container.started_at]
    known = [it.usage.memory_bytes for it in up if it.usage]
    metrics = host.metrics if host else None
    queues = look.queues if look is not None and looked else {}
    return OnDemandSnapshot(
        stack=stack,
        state=state,
        why=why,
        remedy=remedy,
        stale=host is not None and not host.live,
        age_s=now_boot_s - host.seen_boot_s if host and host.seen_boot_s is not None else None,
        uptime_s=max(0.0, (at - min(starts)).total_seconds()) if starts else None,
        memory_bytes=sum(known) if known else (0 if not up and host and host.containers is not None else None),
        host_memory_bytes=metrics.memory_total_bytes if metrics else None,
        host_available_bytes=metrics.memory_available_bytes if metrics else None,
        services=tuple(_service(it, at) for it in own),
        beside=tuple(_neighbour(it, queues.get(it.id), at, asked=looked) for it in others(stack, fleet)),
        idle=_idle(look.idles.get(stack.name) if look is not None and looked else None, look, now_boot_s),
        owner=owner,
        looked=looked,
        notes=tuple(_notes(stack, host, up, looked=looked)),
    )


def _host_time(host: HostSnapshot | None, now: datetime) -> datetime:
    skew = host.metrics.clock_skew_s if host and host.metrics else None
    return now + timedelta(seconds=skew) if skew and abs(skew) < 10**9 else now


def _acting(stack: OnDemandStack, owner: str, status: StackStatus | None, acting: str) -> tuple[str, str]:
    """What is being done to the stack (`start`, `stop` or nothing), and by whom, in words."""
    found = _OWNER.match(owner or (status.owner if status is not None and status.busy else ""))
    if found and found["stack"] in (stack.name, stack.id):
        what = "start" if found["what"] in _BRINGS else "stop" if found["what"] in _TAKES else ""
        return what, f"{found['what']} by {found['by']}"
    return acting, "by this cockpit" if acting else ""


def _state(
    stack: OnDemandStack,
    host: HostSnapshot | None,
    own: Sequence[Service],
    status: StackStatus | None,
    acting: str,
    who: str,
) -> tuple[State, str, str]:
    """The state, why it is so, and what to do."""
    if host is None or host.containers is None:
        error = host.link.error if host else ""
        return State.UNKNOWN, error or "nothing was heard of its host yet", host.link.remedy if host else ""
    services = [it for it in own if it.service not in stack.one_shots]
    up, bad = [it for it in services if runs(it)], [it for it in own if it.health in _BAD]
    if acting == "stop":
        return State.STOPPING, who, ""
    if acting == "start":
        return State.STARTING, f"{who}, {len(up)} of {len(services)} up", ""
    if status is not None and status.interrupted:
        return State.FAILING, f"a deploy was interrupted on its way to {status.pending}", f"vpai-tui revert {stack.id}"
    if not up and not bad:
        return State.STOPPED, "", ""
    if bad or len(up) < len(services):
        return State.FAILING, _failing(bad, [it for it in services if it not in up]), "S stops it, U starts what is off"
    if any(it.health is Health.STARTING for it in up):
        return (
            State.STARTING,
            f"waiting for the health of {_names(it for it in up if it.health is Health.STARTING)}",
            "",
        )
    return State.HEALTHY, "", ""


def _failing(bad: Sequence[Service], off: Sequence[Service]) -> str:
    words = []
    for it in bad:
        container = it.container
        ended = container is not None and container.state in ("exited", "dead")
        killed = " for want of memory" if container is not None and container.oom_killed else ""
        code = f" (exit {container.exit_code})" if ended and container and container.exit_code is not None else ""
        again = f", restarted {container.restarts} times" if container is not None and container.restarts else ""
        words.append(f"{it.service} {'ended' if ended else 'is ' + it.health.value}{code}{killed}{again}")
    rest = [it for it in off if it not in bad]
    if rest:
        words.append(f"{_names(rest)} {'does' if len(rest) == 1 else 'do'} not run")
    return "; ".join(words)


def _names(services: Iterable[Service]) -> str:
    return ", ".join(it.service for it in services)


def _service(service: Service, at: datetime) -> ServiceState:
    memory = service.usage.memory_bytes if service.usage and runs(service) else None
    container = service.container
    note = f"↻ {container.restarts}" if container is not None and container.restarts else ""
    return ServiceState(service.service, service.health, memory, _up_s(service, at), note)


def _neighbour(service: Service, queue: Queue | None, at: datetime, *, asked: bool) -> Neighbour:
    if queue is None and kind_of(service) is not None:
        queue = Queue(error="" if not asked else "it was not asked", note="" if asked else "not asked yet")
    memory = service.usage.memory_bytes if service.usage else None
    return Neighbour(service.id, service.service, service.health, memory, _up_s(service, at), queue)


def _up_s(service: Service, at: datetime) -> float | None:
    container = service.container
    if not runs(service) or container is None or container.started_at is None:
        return None
    return max(0.0, (at - container.started_at).total_seconds())


def _idle(idle: Idle | None, look: Look | None, now_boot_s: float) -> Idle | None:
    """With what is left by now: a little has passed since it was asked."""
    if idle is None or look is None or not idle.watching or idle.left_s is None:
        return idle
    return replace(idle, left_s=max(0.0, idle.left_s - max(0.0, now_boot_s - look.at_boot_s)))


def _notes(stack: OnDemandStack, host: HostSnapshot | None, up: Sequence[Service], *, looked: bool) -> list[str]:
    notes = []
    if stack.url is None:
        notes.append("url: no service of it has a subdomain, or fleet.yaml has no domain")
    if host is not None and host.metrics is None:
        notes.append("memory: the host has told no figures yet")
    silent = [it.service for it in up if it.usage is None]
    if silent:
        notes.append(f"memory: not known of {', '.join(silent)}")
    if not looked:
        notes.append("idle stop, queues: not asked yet")
    return notes


def idle_words(idle: Idle | None) -> tuple[str, str]:
    """How an idle stop stands, in words: what is so, and what to know of it."""
    if idle is None:
        return "none", ""
    after = f"after {idle.minutes} min without network bytes"
    match idle.state:
        case IdleState.WATCHING:
            left = f"{duration(idle.left_s)} left" if idle.left_s is not None else ""
            return f"{after}, {left}" if left else after, idle.why or f"set by {idle.by}"
        case IdleState.STOPPED:
            return f"it stopped it at {idle.told}", f"{idle.why}; set by {idle.by}"
        case IdleState.ENDED:
            return f"over: {idle.why}", f"it was {after}, set by {idle.by}"
        case IdleState.REBOOTED:
            return "gone: its host was started anew", f"it was {after}, set by {idle.by}"
    return "gone: its process was ended", f"it was {after}, set by {idle.by}"
