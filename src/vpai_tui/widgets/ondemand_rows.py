"""A stack on demand as rows: its services, then what works beside it on the same host."""

from __future__ import annotations

from vpai_tui.clock import duration
from vpai_tui.ondemand.model import Neighbour, OnDemandSnapshot, Queue, ServiceState, State
from vpai_tui.widgets import paint
from vpai_tui.widgets.backend import Section
from vpai_tui.widgets.paint import Span
from vpai_tui.widgets.safe_table import Column, Row

COLUMNS = (
    Column("service", "SERVICE", 26),
    Column("health", "HEALTH", 12),
    Column("memory", "MEMORY", 7, right=True),
    Column("up", "UP", 6, drop=1, right=True),
    Column("note", "", least=12),
)
BESIDE = "beside:"  # key of the row between the two
_STATES: dict[State, tuple[str, str]] = {
    State.STOPPED: (paint.OFF, "dim"),
    State.STARTING: (paint.BUSY, "busy"),
    State.HEALTHY: (paint.OK, "ok"),
    State.FAILING: (paint.WARN, "warn"),
    State.STOPPING: (paint.BUSY, "busy"),
    State.UNKNOWN: (paint.STALE, "stale"),
}


def state_span(found: OnDemandSnapshot) -> Span:
    """Glyph and word of a state; a stale one keeps its word."""
    glyph, role = _STATES[found.state]
    return (f"{paint.STALE} {found.state.value}", "stale") if found.stale else (f"{glyph} {found.state.value}", role)


def rows_of(found: OnDemandSnapshot) -> list[Row]:
    """Its services in start-up order, then the others, the largest first."""
    rows = [_own(it, found) for it in found.services]
    if found.beside:
        rows.append(Row(BESIDE, {"service": (f"beside it on {found.stack.host}", "head")}))
    return rows + [_other(it, found) for it in found.beside]


def _own(it: ServiceState, found: OnDemandSnapshot) -> Row:
    cells = {
        "service": (it.service, "name"),
        "health": paint.health(it.health, stale=found.stale),
        "memory": (paint.size(it.memory_bytes), ""),
        "up": (duration(it.up_s), "dim"),
        "note": (it.note, "warn"),
    }
    return Row(f"{found.stack.id}/{it.service}", cells, dim=found.stale)


def _other(it: Neighbour, found: OnDemandSnapshot) -> Row:
    where, _, name = it.id.rpartition("/")
    stack = where.partition("/")[2]
    cells = {
        "service": (f"{stack}/{name}" if stack else name, "name"),
        "health": paint.health(it.health, stale=found.stale),
        "memory": (paint.size(it.memory_bytes), ""),
        "up": (duration(it.up_s), "dim"),
        "note": queue_span(it.queue),
    }
    return Row(it.id, cells, dim=found.stale)


def queue_span(queue: Queue | None) -> Span:
    """`1 running 42%, 2 pending`, `◌ no answer`."""
    if queue is None:
        return ("", "")
    if queue.error:
        return (f"{paint.STALE} {queue.error}", "stale")
    return (queue_words(queue), "busy" if queue.active else "dim")


def queue_words(queue: Queue) -> str:
    parts = []
    if queue.running is not None:
        progress = f" {queue.progress:.0%}" if queue.running and queue.progress is not None else ""
        parts.append(f"{queue.running} running{progress}" if queue.active else "idle")
    if queue.pending:
        parts.append(f"{queue.pending} pending")
    if queue.note:
        parts.append(queue.note)
    return ", ".join(parts)


def row_section(key: str, found: OnDemandSnapshot) -> Section | None:
    """All that is known of the row under the cursor."""
    own = next((it for it in found.services if f"{found.stack.id}/{it.service}" == key), None)
    if own is not None:
        limit = found.stack.limits.get(own.service)
        items = [
            ("health", paint.health(own.health, stale=found.stale)[0]),
            (
                "memory",
                f"{paint.size(own.memory_bytes)} of at most {paint.size(limit)}" if limit else "no limit is set",
            ),
            ("up", duration(own.up_s)),
            ("kind", "holds data" if own.service in found.stack.data else "no data of its own"),
        ]
        return Section(own.service, tuple(items))
    other = next((it for it in found.beside if it.id == key), None)
    if other is None:
        return None
    items = [
        ("service", other.id),
        ("health", paint.health(other.health, stale=found.stale)[0]),
        ("memory", paint.size(other.memory_bytes)),
        ("up", duration(other.up_s)),
    ]
    if other.queue is not None:
        items += [("queue", queue_span(other.queue)[0]), ("job", other.queue.job or "–")]
    return Section(other.service, tuple(items))
