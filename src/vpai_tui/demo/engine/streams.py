"""What goes on and on: events, logs and stats of the simulated engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from vpai_tui.demo.engine import containers, logs
from vpai_tui.demo.engine.life import Life, life
from vpai_tui.demo.engine.store import Doc, Engine
from vpai_tui.demo.engine.views import stamp

POLL_S = 0.2

# Waits that many seconds; false when whoever listens has gone.
Pause = Callable[[float], bool]


def sleep(seconds: float) -> bool:
    """The `Pause` of who has nobody to watch."""
    time.sleep(seconds)
    return True


def events(
    engine: Engine,
    filters: dict[str, list[str]],
    *,
    since: float | None,
    until: float | None,
    pause: Pause = sleep,
) -> Iterator[Doc]:
    """Events as the API tells them: those that were stored, and those that follow from the clock alone."""
    state, stamp_ = engine.read(), engine.stamp()
    seen_seq = state["seq"]
    if since is not None:
        yield from (_shown(event) for event in state["events"] if event["at"] >= since and _wanted(event, filters))
    lives = {id_: life(c, engine.now()) for id_, c in state["containers"].items()}
    while until is None or engine.now() < until:
        if not pause(POLL_S):
            return
        fresh = engine.stamp()
        if fresh != stamp_:
            state, stamp_ = engine.read(), fresh
        now = engine.now()
        stored = [event for event in state["events"] if event["seq"] > seen_seq]
        seen_seq = max((event["seq"] for event in stored), default=seen_seq)
        told = {event["id"] for event in stored if event["action"] in ("start", "stop", "die")}
        derived, lives = _derived(state, lives, told, now)
        yield from (_shown(event) for event in (*stored, *derived) if _wanted(event, filters))


def _derived(state: Doc, before: dict[str, Life], told: set[str], now: float) -> tuple[list[Doc], dict[str, Life]]:
    """What happened to containers by themselves since `before`."""
    found: list[Doc] = []
    after: dict[str, Life] = {}
    for id_, container in state["containers"].items():
        new = after[id_] = life(container, now)
        old = before.get(id_)
        if old is not None and id_ not in told:
            found += [_event(container, now, action, extra) for action, extra in _changes(old, new)]
        health = old.health if old is not None and id_ not in told else None
        if new.health != health and new.health in ("healthy", "unhealthy"):
            found.append(_event(container, now, f"health_status: {new.health}", {}))
    return found, after


def _changes(old: Life, new: Life) -> Iterator[tuple[str, dict[str, str]]]:
    again = new.restarts > old.restarts
    if old.status == "running" and (again or new.status in ("restarting", "exited")):
        yield "die", {"exitCode": str(new.exit_code or int(again))}
    if again:
        yield "start", {}
        if new.status == "restarting":
            yield "die", {"exitCode": str(new.exit_code)}


def _event(container: Doc, now: float, action: str, extra: dict[str, str]) -> Doc:
    attributes = {**containers.attributes(container), **extra}
    return {"seq": 0, "at": now, "type": "container", "action": action, "id": container["id"], "attributes": attributes}


def _wanted(event: Doc, filters: dict[str, list[str]]) -> bool:
    labels = event["attributes"]
    for kind, values in filters.items():
        if kind == "type" and event["type"] not in values:
            return False
        if kind == "event" and not any(event["action"] == v or event["action"].startswith(v + ":") for v in values):
            return False
        if kind == "container" and not any(v in (event["id"], event["id"][:12], labels.get("name")) for v in values):
            return False
        if kind == "label":
            pairs = [value.partition("=") for value in values]
            if not all(key in labels and (not equals or labels[key] == value) for key, equals, value in pairs):
                return False
    return True


def _shown(event: Doc) -> Doc:
    container = {"status": event["action"], "id": event["id"], "from": event["attributes"].get("image", "")}
    return {
        **(container if event["type"] in ("container", "image") else {}),
        "Type": event["type"],
        "Action": event["action"],
        "Actor": {"ID": event["id"], "Attributes": event["attributes"]},
        "scope": "local",
        "time": int(event["at"]),
        "timeNano": int(event["at"] * 1_000_000_000),
    }


def follow_logs(
    engine: Engine,
    name: str,
    *,
    tail: int | None,
    since: float,
    timestamps: bool,
    follow: bool,
    pause: Pause = sleep,
) -> Iterator[tuple[str, str]]:
    """The lines of a container, each with its stream; with `follow`, also those still to come while it runs."""
    from vpai_tui.demo.loki.chorus import Chorus

    state = engine.read()
    container = containers.need(state, name)
    chorus = Chorus(engine.home.parent, (engine.home.name,), state["seed"])
    now = engine.now()
    yield from logs.rendered(container, now, chorus, tail=tail, since=since, timestamps=timestamps)
    while follow:
        if not pause(POLL_S):
            return
        found = containers.find(engine.read(), container["id"])
        if found is None:
            return
        later = engine.now()
        yield from logs.rendered(found, later, chorus, tail=None, since=now, timestamps=timestamps)
        now = later
        if not life(found, later).running:
            return


def stats(engine: Engine, name: str, before: Doc | None) -> Doc:
    """One document of `GET /containers/{id}/stats`; `before` is the one that came before, if any."""
    from vpai_tui.demo.proc import cpu_seconds, memory_of

    state, now = engine.read(), engine.now()
    container = containers.need(state, name)
    running = life(container, now).status == "running"
    cpus = 4
    used = int(cpu_seconds(container, now) * 1e9) if running else 0
    limit = container["limits"].get("memory") or 8 << 30
    memory = memory_of(container, now)
    cpu = {
        "cpu_usage": {"total_usage": used, "usage_in_kernelmode": used // 4, "usage_in_usermode": used * 3 // 4},
        "system_cpu_usage": int((now - state["booted"]) * cpus * 1e9),
        "online_cpus": cpus,
        "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
    }
    empty = {"cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0}}
    traffic = int(max(0.0, now - container["created"]) * 900) if running else 0
    return {
        "id": container["id"],
        "name": "/" + container["name"],
        "read": stamp(now),
        "preread": before["read"] if before else stamp(0.0),
        "num_procs": 0,
        "pids_stats": {"current": 9 if running else 0},
        "cpu_stats": cpu if running else empty,
        "precpu_stats": before["cpu_stats"] if before else empty,
        "memory_stats": {"usage": memory, "limit": limit, "stats": {"inactive_file": memory // 10}} if running else {},
        "networks": {"eth0": {"rx_bytes": traffic, "tx_bytes": traffic // 3}} if running else {},
        "blkio_stats": {"io_service_bytes_recursive": None},
        "storage_stats": {},
    }
