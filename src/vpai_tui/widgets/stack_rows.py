"""Stacks and releases as rows."""

from __future__ import annotations

from collections.abc import Sequence

from vpai_tui.clock import duration
from vpai_tui.fleet.model import FleetSnapshot, HostSnapshot, StackStatus
from vpai_tui.fleet.operation import Release
from vpai_tui.widgets import paint
from vpai_tui.widgets.operations import Operation, Operations
from vpai_tui.widgets.paint import Line, Span
from vpai_tui.widgets.safe_table import Column, Row, widest

STACK_SORTS = ("fleet", "health", "sync", "stack")


def stack_columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    """Columns wide enough for what these rows hold."""
    return (
        Column("host", "host", max(4, min(10, widest(rows, "host")))),
        Column("stack", "stack", max(5, min(16, widest(rows, "stack")))),
        Column("sync", "sync", max(9, min(14, widest(rows, "sync")))),
        Column("health", "health", max(9, min(11, widest(rows, "health")))),
        Column("services", "ok", 5, drop=3, right=True),
        Column("release", "release", max(7, min(20, widest(rows, "release"))), drop=2),
        Column("title", "", max(5, min(40, widest(rows, "title"))), drop=4),
        Column("badge", "", least=max(14, min(28, widest(rows, "badge")))),
    )


def stack_rows(snapshot: FleetSnapshot, stacks: Sequence[StackStatus], operations: Operations, now: float) -> list[Row]:
    """One row per stack."""
    hosts = {host.name: host for host in snapshot.hosts}
    return [_stack_row(stack, hosts.get(stack.host), operations.of(stack.id), now) for stack in stacks]


def _stack_row(stack: StackStatus, host: HostSnapshot | None, operation: Operation | None, now: float) -> Row:
    live = host is not None and host.live
    whole = stack.services_ok == stack.services
    return Row(
        stack.id,
        {
            "host": (stack.host, ""),
            "stack": (stack.stack, "strong"),
            "sync": paint.sync(stack.sync, stale=not live),
            "health": paint.health(stack.health, stale=not live) if stack.services else (f"{paint.OFF} off", "dim"),
            "services": (
                f"{stack.services_ok}/{stack.services}" if stack.services else "–",
                "dim" if whole else "warn",
            ),
            "release": (stack.current or "–", "" if stack.current else "dim"),
            "badge": badge(stack, operation, now, held=host is not None and host.hold is not None),
            "title": (stack.title, "dim"),
        },
        dim=not live,
    )


def badge(stack: StackStatus, operation: Operation | None, now_boot_s: float, *, held: bool = False) -> Span:
    """What a stack is in the middle of, if anything."""
    if operation is not None and operation.running:
        return (f"… {operation.kind} {duration(operation.elapsed_s(now_boot_s))}", "busy")
    if stack.busy:
        return (f"… busy {stack.owner}".rstrip(), "busy")
    if stack.interrupted and stack.revert_failed:
        return (f"{paint.DOWN} revert failed {stack.pending}", "error")
    if stack.interrupted:
        return (f"▲ interrupted {stack.pending}", "error")
    if held:
        return (f"{paint.OFF} held", "warn")
    if stack.off:
        return (f"off: {', '.join(stack.off)}", "dim")
    return ("on demand", "dim") if stack.on_demand else ("", "")


def pick_stacks(snapshot: FleetSnapshot, scope: str | None, needle: str, order: str) -> list[StackStatus]:
    """The stacks of `scope` that hold every word of `needle`, in `order`."""
    words = needle.lower().split()
    kept = [
        stack
        for stack in snapshot.stacks
        if (scope is None or stack.host == scope)
        and all(word in f"{stack.id} {stack.title} {stack.sync.value} {stack.health.value}".lower() for word in words)
    ]
    match order:
        case "health":
            return sorted(kept, key=lambda stack: stack.services_ok / stack.services if stack.services else 1.0)
        case "sync":
            return sorted(kept, key=lambda stack: stack.sync.value)
        case "stack":
            return sorted(kept, key=lambda stack: stack.stack)
    return kept


def release_columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    """Columns wide enough for these releases."""
    return (
        Column("mark", "", 1),
        Column("id", "release", max(8, min(22, widest(rows, "id")))),
        Column("at", "when", 16, drop=1),
        Column("by", "by", max(4, min(16, widest(rows, "by"))), drop=3),
        Column("commit", "commit", max(7, widest(rows, "commit")), drop=4),
        Column("outcome", "outcome", max(9, widest(rows, "outcome"))),
        Column("note", "", least=max(12, min(28, widest(rows, "note")))),
    )


def release_rows(releases: Sequence[Release]) -> list[Row]:
    """Newest first, as given. `●` can be restored, `○` cannot, and then says why."""
    return [_release_row(release) for release in releases]


def _release_row(release: Release) -> Row:
    return Row(
        release.id,
        {
            "mark": (("◐", "warn") if release.data_newer else ("●", "ok")) if release.restorable else ("○", "dim"),
            "id": (release.id, "strong" if release.current else ""),
            "at": (release.at[:16].replace("T", " "), "dim"),
            "by": (release.by, "dim"),
            "commit": _commit(release),
            "outcome": _outcome(release),
            "note": _note(release),
        },
    )


def _commit(release: Release) -> Span:
    if not release.commit:
        return ("–", "dim")
    return (f"{release.commit[:7]} dirty", "warn") if release.dirty else (release.commit[:7], "dim")


def _outcome(release: Release) -> Span:
    match release.outcome:
        case "ok":
            return ("✔ ok", "ok")
        case "adopted":
            return ("✔ adopted", "ok")
        case "pending":
            return ("… pending", "busy")
        case "reverted":
            return ("▲ reverted", "warn")
    return (f"✖ {release.outcome.replace('_', ' ')}", "error")


def _note(release: Release) -> Span:
    parts = ["◀ current"] if release.current else []
    parts += [f"rollback of {release.rollback_of}"] if release.rollback_of else []
    parts += [release.reason] if release.reason and not release.restorable and not release.current else []
    if release.restorable and release.data_newer:
        names = ", ".join(path.rpartition("/")[2] for _, path in release.dumps)
        parts.append(f"data newer; dump: {names or 'none'}")
    return (" · ".join(parts), "accent" if release.current else "dim")


def release_head(stack: StackStatus | None, count: int, *, newer: bool = False) -> Line:
    """The row above a stack's releases; `newer`: some of them are older than the stack's data."""
    if stack is None:
        return ((" no stack here", "dim"),)
    half: Line = (("◐", "warn"), (" restorable, data newer  ", "dim")) if newer else ()
    return (
        (" releases of ", "dim"),
        (stack.id, "strong"),
        (f"  {count}   " if count else "  ", "dim"),
        ("●", "ok"),
        (" restorable  ", "dim"),
        *half,
        ("○ not", "dim"),
    )


def hold_lines(host: HostSnapshot) -> list[Line]:
    """That deploys on a host are frozen, by whom and why; empty when they are not."""
    if host.hold is None:
        return []
    return [((f" {paint.OFF} held ", "warn"), (host.hold.told, ""))]


def _failed_lines(stack: StackStatus) -> list[Line]:
    return [
        (
            (f" {paint.DOWN} the revert failed: ", "error"),
            (f"neither {stack.pending} nor {stack.current or 'what ran before'} is whole", "strong"),
        ),
        (("   why: ", "dim"), (f"{stack.revert_failed}/failure.log", ""), (f" on {stack.host}", "dim")),
        (
            ("   enter", "key"),
            (" once that is mended: revert tries again, resume goes on to ", ""),
            (stack.pending or "", "strong"),
        ),
    ]


def settle_lines(stack: StackStatus) -> list[Line]:
    """What to do about an interrupted deploy; empty when there is none."""
    if not stack.interrupted:
        return []
    if stack.revert_failed:
        return _failed_lines(stack)
    return [
        ((" ▲ interrupted: ", "error"), (f"{stack.id} stopped on its way to {stack.pending}", "strong")),
        (
            ("   enter", "key"),
            (" settles it: resume goes on, revert goes back to ", ""),
            (stack.current or "nothing", "strong"),
        ),
    ]
