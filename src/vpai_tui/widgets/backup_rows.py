"""Backups as rows and lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vpai_tui.clock import duration
from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.widgets import paint
from vpai_tui.widgets.backups_look import BackupsLook
from vpai_tui.widgets.check_rows import standing
from vpai_tui.widgets.dialogs import wrap
from vpai_tui.widgets.paint import Line, Span, size
from vpai_tui.widgets.safe_table import Column, Row, widest

if TYPE_CHECKING:
    from vpai_tui.upkeep.backups.findings import Row as Backup
    from vpai_tui.upkeep.backups.model import HostBackups
    from vpai_tui.upkeep.backups.record import Run, Step
    from vpai_tui.upkeep.backups.session import Event

_ORDER = (Standing.ERROR, Standing.WARN, Standing.UNKNOWN, Standing.OK)


def hosts_of(look: BackupsLook) -> list[HostBackups]:
    """The hosts that answered."""
    from vpai_tui.upkeep.backups.model import HostBackups

    return [it for it in look.found or () if isinstance(it, HostBackups)]


def backup_columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    """Columns wide enough for these rows; standing, host and what it is never leave."""
    return (
        Column("standing", "", 9),
        Column("host", "host", max(4, min(10, widest(rows, "host")))),
        Column("kind", "kind", max(4, min(14, widest(rows, "kind")))),
        Column("subject", "what", max(4, min(22, widest(rows, "subject")))),
        Column("age", "age", 6, right=True),
        Column("newest", "newest", 8, right=True),
        Column("copies", "copies", 6, right=True, drop=4),
        Column("all", "all", 8, right=True, drop=3),
        Column("restored", "restored", 8, right=True, drop=2),
        Column("why", "", least=10, drop=1),
    )


def pick_backups(look: BackupsLook, scope: str | None, needle: str) -> list[Backup]:
    """The rows of `scope` that hold every word of `needle`, the worst first."""
    from vpai_tui.upkeep.backups.findings import rows

    words = needle.lower().split()
    kept = [
        row
        for host in hosts_of(look)
        for row in rows(host)
        if scope in (None, row.host)
        and all(word in f"{row.standing} {row.host} {row.kind} {row.subject} {row.why}".lower() for word in words)
    ]
    return sorted(kept, key=lambda it: _ORDER.index(it.standing))


def backup_rows(backups: Sequence[Backup]) -> list[Row]:
    """One row each, as given; keys are their places."""
    return [
        Row(
            str(at),
            {
                "standing": standing(it.standing),
                "host": (it.host, ""),
                "kind": (it.kind, "dim"),
                "subject": (it.subject, "name"),
                "age": (duration(it.age_s), "" if it.standing is Standing.OK else "warn"),
                "newest": (size(it.newest.size_bytes) if it.newest else "–", ""),
                "copies": (str(it.copies), "dim"),
                "all": (size(it.total_bytes), "dim"),
                "restored": (duration(it.restored_age_s), "dim") if it.restorable else ("", ""),
                "why": (it.why, "error" if it.standing is Standing.ERROR else "dim"),
            },
        )
        for at, it in enumerate(backups)
    ]


def backup_head(look: BackupsLook, now_boot_s: float, width: int) -> list[Line]:
    """How the last run went, what is amiss, how old this is; what runs now."""
    if look.found is None:
        why = f" {paint.DOWN} {look.error}" if look.error and not look.asking else " … asking the hosts"
        return [((why, "error" if look.error and not look.asking else "busy"),)]
    rows: list[Line] = [paint.clip(line, width) for line in _runs(look)]
    age, old = duration(now_boot_s - look.taken_boot_s), look.stale(now_boot_s)
    spans: list[Span] = [(f" STALE {age}", "warn") if old else (f" asked {age} ago", "dim")]
    if look.error:
        spans.append((f"   {paint.DOWN} {look.error}", "error"))
    if look.asking:
        spans.append((", asking again", "busy"))
    rows.append(paint.clip(tuple(spans), width))
    return rows


def _runs(look: BackupsLook) -> Iterator[Line]:
    if look.doing:
        yield ((f" {paint.BUSY} {look.doing}: ", "busy"), (last_told(look.events), ""))
    for host in hosts_of(look):
        if host.running is not None and not look.doing:
            yield (
                (f" {paint.BUSY} {host.host}: a backup is under way, by {host.running.by}", "busy"),
                (f"   {host.running.starting}", "dim"),
            )
        elif host.backs_up:
            yield _last(host)
    for gone in (it for it in look.found or () if it not in hosts_of(look)):
        yield ((f" {paint.STALE} {gone.host} did not answer", "warn"), (f": {getattr(gone, 'reason', '')}", "dim"))


def _last(host: HostBackups) -> Line:
    run = host.run
    if run is None:
        return ((f" {paint.DOWN} {host.host}: no backup has run", "error"),)
    failed = sum(step.failed for step in run.steps)
    how: Span = (
        (f"{paint.DOWN} {failed} of {len(run.steps)} steps failed", "error")
        if failed
        else (f"{paint.OK} all {len(run.steps)} steps", "ok")
    )
    beat = run.heartbeat.state if run.heartbeat else "not told"
    return (
        (f" {host.host} ", "strong"),
        how,
        (f"  heartbeat {beat}", "ok" if beat == "sent" else "error"),
        (f"   {run.ended_at[:16].replace('T', ' ')} UTC by {run.by}", "dim"),
    )


def last_told(events: Sequence[Event]) -> str:
    """The newest event in a few words."""
    from vpai_tui.upkeep.backups.session import JobBegun, LinkWaited, StepBegun, StepEnded

    for event in reversed(events):
        match event:
            case StepBegun():
                return event.step
            case StepEnded():
                return f"{event.step.kind}/{event.step.subject} {event.step.result}"
            case LinkWaited():
                return "the link is lost; the host goes on"
            case JobBegun():
                return "begun"
    return "asking the host"


def backup_line(row: Backup | None, width: int) -> list[Line]:
    """The row under the cursor, whole."""
    if row is None:
        return []
    lines: list[Line] = [
        ((f" {row.kind} {row.subject}  ", "strong"), standing(row.standing), (f"  {row.host}, of {row.stack}", "dim"))
    ]
    if row.newest is not None:
        kept = f" {row.newest.path}   {size(row.newest.size_bytes)}, {duration(row.age_s)} old; {row.copies} kept"
        lines.append(paint.clip(((kept, ""),), width))
    lines += [
        ((f" {piece}", "error" if row.standing is Standing.ERROR else "dim"),) for piece in wrap(row.why, width - 2)[:2]
    ]
    return lines


def backup_pane(host: HostBackups | None, findings: Sequence[Finding], width: int) -> list[Line]:
    """What is amiss on a host, then its last run step by step, restore tests, clean-up and Zerobyte."""
    if host is None:
        return []
    lines: list[Line] = []
    for it in (it for it in findings if it.standing is not Standing.OK):
        lines.append((standing(it.standing), (f"  {it.check} {it.subject}".rstrip(), "strong")))
        lines += [((f"   {piece}", ""),) for piece in wrap(it.detail, max(20, width - 4))]
        lines += [((f"   → {it.remedy}", "dim"),)] if it.remedy else []
    run = host.running or host.run
    if run is not None:
        lines += [(), *_run_lines(run)]
    if host.restores:
        lines += [(), (("restore tests", "strong"),)]
        for name, test in sorted(host.restores.items()):
            how: Span = (f"{paint.OK} ok", "ok") if test.ok else (f"{paint.DOWN} failed", "error")
            told = f"{test.tables} tables, {test.rows} rows in {test.seconds}s" if test.ok else test.reason
            lines.append(((f"  {name:<16} ", ""), how, (f"  {test.at[:16].replace('T', ' ')}  {told}", "dim")))
    if host.cleanup is not None:
        told = f"{host.cleanup.removed} removed, {size(host.cleanup.removed_bytes)}"
        lines += [(), (("clean-up  ", "strong"), (f"{host.cleanup.at[:16].replace('T', ' ')}  {told}", "dim"))]
    if host.jobs:
        lines += [(), (("Zerobyte", "strong"),)]
        lines += [
            ((f"  {job.name:<18} {job.status or 'never run'}", ""), (f"  {job.error}", "dim")) for job in host.jobs
        ]
    return lines


def _run_lines(run: Run) -> Iterator[Line]:
    ended = run.ended_at[11:16] or "now"
    yield (
        ("the last run  " if run.ended_at else "under way  ", "strong"),
        (f"{run.began_at[11:16]} – {ended} UTC by {run.by}", "dim"),
    )
    for step in run.steps:
        yield _step_line(step)
    if run.starting:
        yield ((f"  {paint.BUSY} {run.starting}", "busy"),)
    if run.heartbeat is not None:
        good = run.heartbeat.state == "sent"
        yield (
            (f"  {paint.OK if good else paint.DOWN} heartbeat {run.heartbeat.state}", "ok" if good else "error"),
            (f"  {run.heartbeat.reason}", "dim"),
        )


def _step_line(step: Step) -> Line:
    glyph: Span = {"ok": (f"  {paint.OK} ", "ok"), "none": ("  · ", "dim")}.get(
        step.result, (f"  {paint.DOWN} ", "error")
    )
    told = f"{size(step.size_bytes)} in {step.seconds}s  {step.artefact}" if step.artefact else step.reason
    return (
        glyph,
        (f"{step.kind}/{step.subject}  ", ""),
        (step.reason if step.failed else told, "error" if step.failed else "dim"),
    )
