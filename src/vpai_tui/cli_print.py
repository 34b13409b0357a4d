"""What the verbs print: one JSON document (docs/json.md), or lines for people. Text from hosts is cleaned already."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vpai_tui.clock import duration
from vpai_tui.fleet.history import Entry
from vpai_tui.fleet.model import Alert, FleetSnapshot, Health, HostSnapshot, HostState, Service, Severity, Sync
from vpai_tui.fleet.operation import (
    BuildLine,
    Cause,
    Effect,
    Event,
    Finished,
    Journaled,
    LayerPulled,
    Outcome,
    Plan,
    Release,
    StepFailed,
)

if TYPE_CHECKING:
    from vpai_tui.fleet.doctor import CheckResult
    from vpai_tui.widgets.backend import Section

_MARKS = {Severity.ERROR: "✖", Severity.WARN: "▲", Severity.INFO: "·"}
_EFFECTS = {
    Effect.CREATE: "+",
    Effect.RECREATE: "~",
    Effect.RESTART: "↻",
    Effect.RELOAD: "↺",
    Effect.REMOVE: "-",
    Effect.NONE: " ",
}
_HEALTH = {Health.HEALTHY: "✔", Health.RUNNING: "✔", Health.STARTING: "…", Health.STOPPED: "·", Health.UNKNOWN: "◌"}
_HOST = {HostState.READY: "✔", HostState.CONNECTING: "…", HostState.DEGRADED: "▲"}


def document(body: dict[str, Any]) -> None:
    """One JSON document on stdout."""
    print(json.dumps({"schema": 1, **body}, ensure_ascii=False, indent=2))


# ── status ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def status_json(snapshot: FleetSnapshot) -> dict[str, Any]:
    """The `status` document."""
    now = snapshot.at_boot_s
    return {
        "hosts": [_host_json(host, now) for host in snapshot.hosts],
        "stacks": [
            {
                "stack": item.id,
                "sync": item.sync,
                "health": item.health,
                "release": item.current,
                "pending": item.pending,
            }
            for item in snapshot.stacks
        ],
        "services": [_service_json(item, snapshot) for item in snapshot.services],
        "alerts": [
            {
                "severity": it.severity,
                "host": it.host,
                "subject": it.subject,
                "message": it.message,
                "remedy": it.remedy,
            }
            for it in snapshot.alerts
        ],
        "notes": [f"{host.name}: {host.link.error}" for host in snapshot.hosts if host.link.error]
        + [f"{stack.id}: {stack.note}" for stack in snapshot.stacks if stack.note],
    }


def _host_json(host: HostSnapshot, now: float) -> dict[str, Any]:
    seen, sample = host.seen_boot_s, host.metrics
    return {
        "name": host.name,
        "state": host.link.state,
        "address": host.link.address,
        "error": host.link.error or None,
        "age_s": None if seen is None else round(max(0.0, now - seen), 1),
        "load": None if sample is None else [sample.load1, sample.load5, sample.load15],
        "memory": None
        if sample is None
        else {"total_bytes": sample.memory_total_bytes, "available_bytes": sample.memory_available_bytes},
        "disks": None
        if sample is None
        else [{"mount": it.mount, "size_bytes": it.size_bytes, "used_bytes": it.used_bytes} for it in sample.disks],
        "docker": host.docker.version if host.docker else None,
        "compose": host.docker.compose if host.docker else None,
    }


def _service_json(item: Service, snapshot: FleetSnapshot) -> dict[str, Any]:
    container, host = item.container, snapshot.host(item.host)
    at = host.containers_at_boot_s
    return {
        "host": item.host,
        "stack": item.stack,
        "service": item.service,
        "sync": item.sync,
        "health": item.health,
        "image": item.image,
        "restarts": container.restarts if container else None,
        "ports": [str(port) for port in container.ports] if container else [],
        "age_s": None if at is None else round(max(0.0, snapshot.at_boot_s - at), 1),
    }


def status(snapshot: FleetSnapshot) -> None:
    """Hosts, what needs attention, services."""
    for host in snapshot.hosts:
        sample, mark = host.metrics, _HOST.get(host.link.state, "✖")
        load = f"load {sample.load1:.2f}" if sample else ""
        memory = f"mem {_used_percent(sample.memory_total_bytes, sample.memory_available_bytes)}%" if sample else ""
        engine = (
            f"docker {host.docker.version} compose {host.docker.compose}" if host.docker and host.docker.version else ""
        )
        words = (
            f"{mark} {host.name:<6} {host.link.state:<10}",
            host.link.address or "",
            load,
            memory,
            engine,
            host.link.error,
        )
        print("  ".join(word for word in words if word))
    for stack in snapshot.stacks:
        if stack.note:
            print(f"◌ {stack.id}: {stack.note}")
    for alert in snapshot.alerts:
        _alert(alert)
    rows = [_service_row(item) for item in snapshot.services]
    table(("", "SERVICE", "SYNC", "HEALTH", "IMAGE", "RESTARTS"), rows)


def _used_percent(total: int, available: int) -> int:
    return round(100 * (total - available) / total) if total else 0


def _alert(alert: Alert) -> None:
    print(
        f"{_MARKS[alert.severity]} {alert.host} {alert.subject}: {alert.message}"
        + (f"  → {alert.remedy}" if alert.remedy else "")
    )


def _service_row(item: Service) -> tuple[str, ...]:
    restarts = item.container.restarts if item.container else None
    sync = item.sync if item.sync is not Sync.IN_SYNC else "in sync"
    mark = "◌" if item.stale else _HEALTH.get(item.health, "✖")
    return (mark, item.id, str(sync), str(item.health), item.image or "–", "–" if restarts is None else str(restarts))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns without borders."""
    widths = [max(len(row[index]) for row in [head, *rows]) for index in range(len(head))]
    for row in [head, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


# ── plans, events, releases ──────────────────────────────────────────────────────────────────────────────────────────


def plan_json(plan: Plan) -> dict[str, Any]:
    """One plan, as the `plan` document has it."""
    return {
        "stack": plan.stack,
        "base": plan.base,
        "release": plan.release,
        "changes": [
            {
                "service": it.service,
                "effect": it.effect,
                "causes": [{"kind": cause.kind, "detail": cause.detail} for cause in it.causes],
            }
            for it in plan.changes
        ],
        "installs": list(plan.installs),
        "kept": list(plan.kept),
        "notes": list(plan.notes),
        "summary": plan.summary,
    }


def plans(found: Sequence[Plan], *, as_json: bool) -> None:
    """One plan is one document; several are `{plans: […]}`."""
    if as_json:
        document(plan_json(found[0]) if len(found) == 1 else {"plans": [plan_json(plan) for plan in found]})
        return
    for plan in found:
        _plan(plan)


def _plan(plan: Plan) -> None:
    way = f"roll back to {plan.rollback_to}" if plan.rollback_to else "deploy"
    print(f"{plan.stack}: {way}, {plan.summary}   (base {plan.base or 'none'})")
    for change in plan.changes:
        if change.effect is Effect.NONE:
            continue
        pause = f"  up to {duration(change.interruption_s)} away" if change.interruption_s else ""
        print(f"  {_EFFECTS[change.effect]} {change.service:<16} {change.effect}{pause}")
        for cause in change.causes:
            print(f"      {cause.kind}: {cause.detail}")
            _diff(cause)
    for path in plan.installs:
        print(f"  » {path}")
    for kept in plan.kept:
        print(f"  = {kept} kept as it is on the host")
    if plan.adopts:
        print("  · what runs now is recorded as r0 first: the way back")
    for note in plan.notes:
        print(f"  ! {note}")


def _diff(cause: Cause) -> None:
    if not cause.before or not cause.after:
        return
    import difflib

    for line in list(difflib.unified_diff(cause.before.splitlines(), cause.after.splitlines(), lineterm="", n=1))[2:]:
        if not line.startswith("@@"):
            print(f"        {line}")


class EventPrinter:
    """An operation's events: one JSON line each, or lines for people (of layers only every image's end)."""

    def __init__(self, *, as_json: bool) -> None:
        self._json = as_json

    def planned(self, plan: Plan) -> None:
        """The plan, ahead of its events (people have read it already)."""
        if self._json:
            self._line({"event": "planned", **plan_json(plan)})

    def event(self, event: Event) -> None:
        if self._json:
            self._line(event.to_json())
        elif not isinstance(event, LayerPulled | BuildLine):
            self._told(event)

    def _line(self, body: dict[str, Any]) -> None:
        print(json.dumps({"schema": 1, **body}, ensure_ascii=False), flush=True)

    def _told(self, event: Event) -> None:
        facts = {
            key: value
            for key, value in event.to_json().items()
            if key not in ("event", "at", "output", "code") and value
        }
        words = " ".join(str(value) for value in facts.values())
        good = not isinstance(event, StepFailed)
        mark = "✔" if good else "✖"
        if isinstance(event, Finished):
            mark = "✔" if event.outcome in (Outcome.COMMITTED, Outcome.UNCHANGED) else "✖"
            words = f"{event.outcome.value} {event.release}" + (f": {event.reason}" if event.reason else "")
        what = (
            "" if isinstance(event, Journaled) else event.name.replace("_", " ") + " "
        )  # a journal line says it itself
        print(f"{event.at[11:19]} {mark} {what}{words}".rstrip(), flush=True)
        for line in getattr(event, "output", "").splitlines():
            print(f"           {line}", flush=True)


def releases(stack: str, found: Sequence[Release], *, as_json: bool) -> None:
    """Newest first; ● can be gone back to, ○ not (with the reason)."""
    if as_json:
        current = next((item.id for item in found if item.current), None)
        rows = [_release_json(item) for item in found]
        document({"stack": stack, "current": current, "releases": rows})
        return
    lines = [
        ("▶" if it.current else "●" if it.restorable else "○", it.id, it.at, it.by, it.outcome, it.reason)
        for it in found
    ]
    table(("", "RELEASE", "AT", "BY", "OUTCOME", ""), lines)


def _release_json(item: Release) -> dict[str, Any]:
    keys = ("id", "at", "by", "outcome", "restorable", "reason", "rollback_of")
    return {key: getattr(item, key) for key in keys} | {"images": dict(item.images)}


# ── the rest ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_json(result: CheckResult) -> dict[str, Any]:
    """One line of the `doctor` document."""
    return {name: getattr(result, name) for name in ("host", "check", "ok", "detail", "remedy")}


def check(result: CheckResult) -> None:
    """One line, and the remedy below it."""
    mark = "▲" if result.ok is None else "✔" if result.ok else "✖"
    print(f"{mark} {result.host:<8} {result.check:<14} {result.detail}", flush=True)
    if result.remedy and result.ok is not True:
        print(f"    → {result.remedy}", flush=True)


def description(found: Sequence[Section]) -> None:
    """Titled pairs."""
    for section in found:
        print(section.title)
        for name, value in section.items:
            print(f"  {name:<18} {value}".rstrip())


def history(entries: Sequence[Entry], bad: int, *, as_json: bool) -> None:
    """Oldest first."""
    if as_json:
        names = ("at", "by", "host", "what", "subject", "result", "detail")
        document({"entries": [{name: getattr(it, name) for name in names} for it in entries], "unreadable": bad})
        return
    table(
        ("AT", "BY", "HOST", "WHAT", "SUBJECT", "RESULT", ""),
        [(e.at, e.by, e.host, e.what, e.subject, e.result, e.detail) for e in entries],
    )
    if bad:
        print(f"{bad} lines could not be read", file=sys.stderr)
