"""What is said of stacks on demand. Text from hosts is cleaned already."""

from __future__ import annotations

import json
from typing import Any

from vpai_tui.clock import duration
from vpai_tui.fleet.operation import Effect
from vpai_tui.ondemand.fold import idle_words
from vpai_tui.ondemand.model import Idle, Neighbour, OnDemandSnapshot, Queue, Room, Start, State, Stop, queue_json
from vpai_tui.ondemand.room import gib
from vpai_tui.verbs.say import document, table

_MARKS = {
    State.STOPPED: "■",
    State.STARTING: "…",
    State.HEALTHY: "✔",
    State.FAILING: "▲",
    State.STOPPING: "…",
    State.UNKNOWN: "◌",
}


def status(found: OnDemandSnapshot, *, as_json: bool) -> None:
    """One stack, and what works beside it."""
    if as_json:
        document(status_json(found))
        return
    up = f", up {duration(found.uptime_s)}" if found.uptime_s is not None and found.state is not State.STOPPED else ""
    print(f"{_MARKS[found.state]} {found.stack.title} is {found.state.value}{up}   ({found.stack.id})")
    if found.why:
        print(f"  {found.why}" + (f"  → {found.remedy}" if found.remedy else ""))
    if found.stack.url:
        print(f"  url        {found.stack.url}")
    memory = "unknown" if found.memory_bytes is None else gib(found.memory_bytes)
    left = (
        "" if found.host_available_bytes is None else f"; {found.stack.host} has {gib(found.host_available_bytes)} left"
    )
    print(f"  memory     {memory}{left}")
    idle(found)
    if found.owner:
        print(f"  lock       {found.owner}")
    rows = [(it.service, it.health.value, _size(it.memory_bytes), duration(it.up_s), it.note) for it in found.services]
    rows += [
        (it.id, it.health.value, _size(it.memory_bytes), duration(it.up_s), queue_words(it.queue))
        for it in found.beside
    ]
    table(("  SERVICE", "HEALTH", "MEMORY", "UP", ""), [(f"  {row[0]}", *row[1:]) for row in rows])
    for note in found.notes:
        print(f"  ! {note}")


def idle(found: OnDemandSnapshot) -> None:
    """The line of the idle stop."""
    what, more = idle_words(found.idle)
    print(f"  idle stop  {what}" + (f" ({more})" if more else ""))


def status_json(found: OnDemandSnapshot) -> dict[str, Any]:
    """The document of `opencut status`."""
    stack = found.stack
    return {
        "stack": stack.id,
        "host": stack.host,
        "state": found.state.value,
        "why": found.why or None,
        "url": stack.url,
        "uptime_s": found.uptime_s,
        "memory_bytes": found.memory_bytes,
        "host_memory_bytes": found.host_memory_bytes,
        "host_available_bytes": found.host_available_bytes,
        "idle_stop_s": found.idle.minutes * 60 if found.idle is not None and found.idle.watching else None,
        "idle": idle_json(found.idle),
        "lock": found.owner or None,
        "services": [
            {"service": it.service, "health": it.health.value, "memory_bytes": it.memory_bytes, "uptime_s": it.up_s}
            for it in found.services
        ],
        "beside": [_beside_json(it) for it in found.beside],
        "notes": list(found.notes),
    }


def idle_json(found: Idle | None) -> dict[str, Any] | None:
    if found is None:
        return None
    told = {key: getattr(found, key) for key in ("minutes", "by", "at", "left_s")}
    return {"state": found.state.value, **told, "why": found.why or None}


def _beside_json(it: Neighbour) -> dict[str, Any]:
    return {
        "service": it.id,
        "health": it.health.value,
        "memory_bytes": it.memory_bytes,
        "queue": queue_json(it.queue),
    }


def queue_words(queue: Queue | None) -> str:
    """`1 running (3f2c…, 42%), 2 pending`, or why that is not known."""
    if queue is None:
        return ""
    if queue.error:
        return f"queue unknown: {queue.error}"
    parts = []
    if queue.running is not None:
        which = ", ".join(filter(None, (queue.job[:8], f"{queue.progress:.0%}" if queue.progress is not None else "")))
        parts.append(f"{queue.running} running" + (f" ({which})" if which and queue.running else ""))
    if queue.pending is not None:
        parts.append(f"{queue.pending} pending")
    if queue.note:
        parts.append(queue.note)
    return ", ".join(parts)


# ── before a start or a stop ─────────────────────────────────────────────────────────────────────────────────────────


def start(planned: Start) -> None:
    """What a start would do, the memory it may take, and what else runs there."""
    plan = planned.plan
    if planned.empty:
        print(f"{planned.stack.id}: all of it runs already")
        return
    print(f"{planned.stack.id}: start, {plan.summary}   (release {plan.base or 'none: this is its first deploy'})")
    names = [it.service for it in plan.changes if it.effect is not Effect.NONE]
    print(f"  services   {', '.join(names)}")
    print(f"  memory     {room_words(planned.room)}")
    for name, held in planned.room.holders:
        print(f"             {name} holds {_size(held)}")
    for danger in plan.dangers:
        print(f"  ✖ {danger.kind}: {danger.detail}")
    for note in planned.notes:
        print(f"  ! {note}")
    print(f"  way back   vpai-tui ondemand {planned.stack.id} stop")


def room_words(room: Room) -> str:
    """`up to 1.5G of the 9.8G that are left`."""
    if room.available_bytes is None:
        return f"up to {gib(room.wanted_bytes)}; what the host has left is not known"
    return f"up to {gib(room.wanted_bytes)} of the {gib(room.available_bytes)} that are left"


def start_json(planned: Start) -> None:
    """The first line of the stream."""
    plan, room = planned.plan, planned.room
    _line(
        {
            "event": "planned",
            "action": "start",
            "stack": planned.stack.id,
            "kind": plan.kind,
            "release": plan.release,
            "services": [it.service for it in plan.changes if it.effect is not Effect.NONE],
            "url": planned.stack.url,
            "wanted_bytes": room.wanted_bytes,
            "available_bytes": room.available_bytes,
            "beside": [{"service": name, "memory_bytes": held} for name, held in room.holders],
            "notes": list(planned.notes),
        }
    )


def stop(planned: Stop) -> None:
    """What a stop would end, and what renders."""
    if planned.empty:
        print(f"{planned.stack.id}: nothing of it is there")
        return
    frees = f", frees {gib(planned.frees_bytes)}" if planned.frees_bytes else ""
    print(f"{planned.stack.id}: stop {', '.join(planned.running)}{frees}; its data stays")
    for it in planned.renders:
        print(f"  ▲ {it.service} renders: {queue_words(it.queue)}")
    for told in planned.unknown:
        print(f"  ! whether {told.partition(':')[0]} renders is not known:{told.partition(':')[2]}")


def stop_json(planned: Stop) -> None:
    """The first line of the stream."""
    _line(
        {
            "event": "planned",
            "action": "stop",
            "stack": planned.stack.id,
            "services": list(planned.running),
            "frees_bytes": planned.frees_bytes,
            "renders": [{"service": it.id, "queue": queue_json(it.queue)} for it in planned.renders],
            "notes": list(planned.unknown),
        }
    )


def _line(body: dict[str, Any]) -> None:
    print(json.dumps({"schema": 1, **body}, ensure_ascii=False), flush=True)


def _size(count: int | None) -> str:
    return "–" if count is None else gib(count)
