"""What a container is doing at a moment: a pure function of its stored facts and the clock."""

from __future__ import annotations

from typing import NamedTuple

from vpai_tui.demo.engine.store import Doc, fraction

CRASH_RUN_S = 0.4  # how long a crash-looping process lives
_BACKOFF_CAP_S = 60.0
_UNHEALTHY_AFTER_S = 2.5
FLAP_PERIOD_S = 60.0  # a flapping service is unhealthy for the first part of each period
FLAP_BAD_S = 25.0


class Life(NamedTuple):
    """The derived state; times are seconds since the epoch, 0.0 where Docker shows its zero time."""

    status: str
    health: str | None
    exit_code: int
    restarts: int
    started_at: float
    finished_at: float

    @property
    def running(self) -> bool:
        return self.status in ("running", "paused", "restarting")


def life(container: Doc, now: float) -> Life:
    """The state of `container` at `now`."""
    started, stopped = container["started"], container["stopped"]
    base = container["restarts"]
    if started is None:
        return Life("created", None, 0, base, 0.0, 0.0)
    behaviour = container["behaviour"]
    end = stopped if stopped is not None else now
    elapsed = max(0.0, end - started)
    if behaviour == "oneshot":
        seen = _oneshot(container, elapsed, started)
    elif behaviour == "crash":
        seen = _crash(container, elapsed, started)
    else:
        seen = Life("running", _health(container, elapsed, now), 0, base, started, container["finished"])
    if stopped is not None:
        code = seen.exit_code if seen.status == "exited" else container["exit_code"]
        return Life("exited", None, code, seen.restarts, seen.started_at, stopped)
    return seen


def pid_of(container: Doc) -> int:
    """The process that its engine tells of it."""
    return 1000 + int(container["id"][:4], 16)


def restarting_policy(container: Doc) -> bool:
    """Whether the engine starts it again when its process ends by itself."""
    return str(container["restart"]).split(":")[0] in ("always", "unless-stopped", "on-failure")


def _oneshot(container: Doc, elapsed: float, started: float) -> Life:
    duration = 0.4 + 0.5 * fraction("oneshot " + container["image_id"])
    if elapsed < duration:
        return Life("running", None, 0, container["restarts"], started, container["finished"])
    return Life("exited", None, 0, container["restarts"], started, started + duration)


def _crash(container: Doc, elapsed: float, started: float) -> Life:
    base = container["restarts"]
    if not restarting_policy(container):
        if elapsed < CRASH_RUN_S:
            return Life("running", _starting(container), 0, base, started, container["finished"])
        return Life("exited", None, container["crash_code"], base, started, started + CRASH_RUN_S)
    count, at, wait = 0, 0.0, 0.1
    while at + CRASH_RUN_S + wait <= elapsed:
        if wait >= _BACKOFF_CAP_S:
            rounds = int((elapsed - at) // (CRASH_RUN_S + wait))
            count, at = count + rounds, at + rounds * (CRASH_RUN_S + wait)
            break
        count, at, wait = count + 1, at + CRASH_RUN_S + wait, min(wait * 2, _BACKOFF_CAP_S)
    begun = started + at
    if elapsed - at < CRASH_RUN_S:
        return Life("running", _starting(container), 0, base + count, begun, begun - wait / 2 if count else 0.0)
    return Life("restarting", None, container["crash_code"], base + count, begun, begun + CRASH_RUN_S)


def _starting(container: Doc) -> str | None:
    return "starting" if container["healthcheck"] else None


def _health(container: Doc, elapsed: float, now: float) -> str | None:
    if not container["healthcheck"]:
        return None
    if container["behaviour"] == "unhealthy":
        return "starting" if elapsed < _UNHEALTHY_AFTER_S else "unhealthy"
    if elapsed < container["healthy_after"]:
        return "starting"
    if container["behaviour"] == "flap" and (now - container["flaps_from"]) % FLAP_PERIOD_S < FLAP_BAD_S:
        return "unhealthy"
    return "healthy"
