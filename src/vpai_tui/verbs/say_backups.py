"""What is said of backups."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from vpai_tui.clock import duration, rfc3339
from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.upkeep.backups.findings import Row, findings, rows
from vpai_tui.upkeep.backups.model import HostBackups, Job, Kept
from vpai_tui.upkeep.backups.record import Heartbeat, RestoreTest, Run, Step
from vpai_tui.upkeep.backups.session import (
    Event,
    HeartbeatTold,
    JobBegun,
    JobEnded,
    LinkWaited,
    StepBegun,
    StepEnded,
    Unreached,
)
from vpai_tui.upkeep.disk.model import size
from vpai_tui.verbs.say import document, table

__all__ = ["HostBackups", "before_restore", "before_run", "event", "listing"]
_WORD = {Standing.OK: "✔ ok", Standing.WARN: "▲ warn", Standing.ERROR: "✖ error", Standing.UNKNOWN: "◌ unknown"}


def listing(found: Sequence[HostBackups | Unreached], *, as_json: bool) -> None:
    if as_json:
        document(listing_json(found))
        return
    known = [it for it in found if isinstance(it, HostBackups)]
    table(
        ("", "HOST", "WHAT", "AGE", "NEWEST", "COPIES", "ALL", "RESTORED", ""),
        [_row(row) for it in known for row in rows(it)],
    )
    for it in known:
        _told(it)
    for gone in (it for it in found if isinstance(it, Unreached)):
        print(f"✖ {gone.host} did not answer: {gone.reason}" + (f"\n→ {gone.remedy}" if gone.remedy else ""))


def _row(row: Row) -> tuple[str, ...]:
    return (
        _WORD[row.standing],
        row.host,
        f"{row.kind} {row.subject}".strip(),
        duration(row.age_s),
        size(row.newest.size_bytes) if row.newest else "–",
        str(row.copies),
        size(row.total_bytes),
        duration(row.restored_age_s) if row.restorable else "",
        row.why,
    )


def _told(found: HostBackups) -> None:
    print(f"\n{found.host}: {last_run(found)}")
    shown = [it for it in findings(found) if it.bad or it.standing is Standing.UNKNOWN]
    for it in shown:
        print(f"{_WORD[it.standing]}  {it.check}{f' {it.subject}' if it.subject else ''}: {it.detail}")
        if it.remedy:
            print(f"   → {it.remedy}")
    if not shown:
        print("✔ nothing is amiss")


def last_run(found: HostBackups) -> str:
    """How the last run ended, in one line."""
    if found.running is not None:
        return f"a backup is under way since {found.running.began_at}, by {found.running.by}"
    if not found.backs_up:
        return "no stack makes backups here"
    if found.run is None:
        return "no backup has run"
    failed = sum(step.failed for step in found.run.steps)
    how = (
        f"{failed} of {len(found.run.steps)} steps failed" if failed else f"all {len(found.run.steps)} steps succeeded"
    )
    beat = f"; heartbeat {found.run.heartbeat.state}" if found.run.heartbeat else ""
    return f"the last backup ended at {found.run.ended_at} ({found.run.by}): {how}{beat}"


def before_run(found: HostBackups) -> None:
    print(f"{found.host}: {last_run(found)}")
    print("It copies every database and application again, beside the copies that are there; nothing is stopped.")


def before_restore(found: HostBackups, database: str) -> None:
    test = found.restores.get(database)
    print(f"the last restore test of {database}: {f'{test.result}, at {test.at}' if test else 'never'}")
    print("A database is made for it on the same server and dropped again; no other one is written to.")


def event(told: Event, *, as_json: bool) -> None:
    """One line of a run."""
    if as_json:
        print(json.dumps({"schema": 1, **event_json(told)}, ensure_ascii=False), flush=True)
        return
    if (text := _event_line(told)) is not None:
        print(text, flush=True)


def _event_line(told: Event) -> str | None:
    match told:
        case JobBegun():
            return f"… {told.what} of {told.subject} has begun"
        case StepEnded(step=step):
            glyph = {"ok": "✔", "none": "·"}.get(step.result, "✖")
            detail = f"{size(step.size_bytes)} in {duration(step.seconds)}" if step.artefact else step.reason
            return f"{glyph} {step.kind}/{step.subject}  {step.reason if step.failed else detail}"
        case HeartbeatTold(heartbeat=beat):
            why = f": {beat.reason}" if beat.reason else ""
            return f"{'✔' if beat.state == 'sent' else '✖'} heartbeat {beat.state}{why}"
        case LinkWaited():
            return f"◌ {told.reason}; the host goes on, asking again"
        case JobEnded(test=test):
            counted = f": {test.tables} tables, {test.rows} rows, from {test.dump}" if test and test.ok else ""
            return f"✔ done{counted}" if told.ok else f"✖ {told.reason or 'failed'}"
    return None


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def listing_json(found: Sequence[HostBackups | Unreached]) -> dict[str, Any]:
    known = [it for it in found if isinstance(it, HostBackups)]
    gone = [it for it in found if isinstance(it, Unreached)]
    return {
        "hosts": [_host_json(it) for it in known],
        "backups": [_row_json(row) for it in known for row in rows(it)],
        "findings": [_finding_json(finding) for it in known for finding in findings(it)],
        "notes": [f"{it.host}: {it.reason}" for it in gone],
    }


def _at(seconds: float | None) -> str | None:
    return rfc3339(datetime.fromtimestamp(seconds, UTC)) if seconds is not None else None


def _host_json(found: HostBackups) -> dict[str, Any]:
    return {
        "host": found.host,
        "at": _at(found.now_s),
        "last_run": _run_json(found.run),
        "running": _run_json(found.running),
        "interrupted": _run_json(found.interrupted),
        "heartbeat_configured": found.heartbeat_set,
        "databases": [it.name for it in found.databases] if found.databases is not None else None,
        "restore_tests": [_test_json(it) for it in found.restores.values()],
        "folders": [_kept_json(found, it) for it in found.kept],
        "zerobyte": [_job_json(it) for it in found.jobs] if found.jobs is not None else None,
        "notes": [note for note in (found.databases_error, found.jobs_error) if note],
    }


def _kept_json(found: HostBackups, kept: Kept) -> dict[str, Any]:
    return {
        "stack": kept.stack,
        "glob": kept.entry.glob,
        "files": kept.count,
        "total_bytes": kept.total_bytes,
        "last_day_bytes": kept.bytes_of_day(found.now_s, 0),
        "day_before_bytes": kept.bytes_of_day(found.now_s, 1),
    }


def _job_json(job: Job) -> dict[str, Any]:
    return {
        "name": job.name,
        "volume": job.volume,
        "repository": job.repository,
        "enabled": job.enabled,
        "last_at": _at(job.last_at_s),
        "status": job.status or None,
        "error": job.error or None,
        "next_at": _at(job.next_at_s),
        "volume_status": job.volume_status or None,
    }


def _run_json(run: Run | None) -> dict[str, Any] | None:
    if run is None:
        return None
    return {
        "id": run.id,
        "by": run.by,
        "began_at": run.began_at,
        "ended_at": run.ended_at or None,
        "ok": run.ok if run.ended_at else None,
        "steps": [_step_json(step) for step in run.steps],
        "heartbeat": _beat_json(run.heartbeat) if run.heartbeat else None,
    }


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "kind": step.kind,
        "subject": step.subject,
        "result": step.result,
        "seconds": step.seconds,
        "size_bytes": step.size_bytes,
        "artefact": step.artefact or None,
        "reason": step.reason or None,
    }


def _beat_json(beat: Heartbeat) -> dict[str, Any]:
    return {"state": beat.state, "reason": beat.reason or None}


def _test_json(test: RestoreTest) -> dict[str, Any]:
    return {
        "database": test.database,
        "at": test.at,
        "result": test.result,
        "tables": test.tables,
        "rows": test.rows,
        "seconds": test.seconds,
        "dump": test.dump or None,
        "reason": test.reason or None,
    }


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "host": row.host,
        "stack": row.stack,
        "kind": row.kind,
        "subject": row.subject or None,
        "standing": row.standing.value,
        "newest": row.newest.name if row.newest else None,
        "age_s": round(row.age_s, 1) if row.age_s is not None else None,
        "size_bytes": row.newest.size_bytes if row.newest else None,
        "copies": row.copies,
        "total_bytes": row.total_bytes,
        "restored_age_s": round(row.restored_age_s, 1) if row.restored_age_s is not None else None,
        "why": row.why or None,
    }


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "host": finding.host,
        "subject": finding.subject or None,
        "standing": finding.standing.value,
        "detail": finding.detail,
        "remedy": finding.remedy or None,
    }


def event_json(told: Event) -> dict[str, Any]:
    match told:
        case JobBegun():
            return {"event": "begun", "at": told.at, "what": told.what, "subject": told.subject}
        case StepBegun():
            return {"event": "step_begun", "at": told.at, "step": told.step}
        case StepEnded():
            return {"event": "step_ended", "at": told.at, **_step_json(told.step)}
        case HeartbeatTold():
            return {"event": "heartbeat", "at": told.at, **_beat_json(told.heartbeat)}
        case LinkWaited():
            return {"event": "link_lost", "at": told.at, "reason": told.reason}
        case JobEnded():
            test = _test_json(told.test) if told.test else None
            return {
                "event": "finished",
                "at": told.at,
                "ok": told.ok,
                "reason": told.reason or None,
                "restore_test": test,
            }
