"""What a look at a host's backups means: findings for the checks of `upkeep.table`, and one row per thing.

Pure. Where it cannot be told, the finding is unknown and says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vpai_tui.clock import duration
from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.upkeep.backups.look import at_of
from vpai_tui.upkeep.backups.model import DAY_S, Copy, HostBackups, Job, Kept
from vpai_tui.upkeep.backups.record import Step
from vpai_tui.upkeep.disk.model import size

CHECKS = ("pg-dump", "pg-coverage", "backup-steps", "backup-growth", "restore-test", "heartbeat")
RUN_MAX_AGE_S = 26 * 3600.0
RESTORE_MAX_AGE_S = 30 * DAY_S
JOB_LATE_S = 2 * 3600.0  # one may have to wait for another
_GRACE_S = 2 * DAY_S  # beyond the retention
_NOISE_BYTES = 10 << 20  # a directory below that may double
OK, WARN, ERROR, UNKNOWN = Standing.OK, Standing.WARN, Standing.ERROR, Standing.UNKNOWN
_RANK = {OK: 0, UNKNOWN: 1, WARN: 2, ERROR: 3}


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that is, or should be, backed up."""

    host: str
    stack: str
    kind: str  # the folder: pg_dump, redis, …
    subject: str  # a database, a collection, …
    newest: Copy | None
    age_s: float | None
    copies: int
    total_bytes: int
    standing: Standing
    why: str  # empty when all is well
    restored_age_s: float | None = None  # of the last restore test that succeeded
    restorable: bool = False  # a restore test is possible


def rows(found: HostBackups) -> tuple[Row, ...]:
    """Per `fresh` entry: each database or other subject; one row without a copy where there is none at all."""
    made: list[Row] = []
    for kept in found.kept:
        own = list(_dump_rows(found, kept) if kept is found.dumps else _rows(found, kept))
        made += own or [_row(found, kept, "", [])]
    return tuple(made)


def _dump_rows(found: HostBackups, kept: Kept) -> Iterator[Row]:
    groups = kept.by_subject()
    if found.databases is None:
        yield from (_row(found, kept, name, copies, restorable=True) for name, copies in groups.items())
        return
    for database in found.databases:
        copies = groups.pop(database.file_name, [])
        yield _row(found, kept, database.name, copies, restorable=bool(copies))
    for name, copies in groups.items():
        yield _row(found, kept, name, copies, gone=True)


def _rows(found: HostBackups, kept: Kept) -> Iterator[Row]:
    timed = kept.folder.startswith("backups/")
    groups = kept.by_subject() if timed else ({"": list(kept.copies)} if kept.copies else {})
    yield from (_row(found, kept, name, copies) for name, copies in groups.items())


def _row(
    found: HostBackups,
    kept: Kept,
    subject: str,
    copies: list[Copy],
    *,
    restorable: bool = False,
    gone: bool = False,
) -> Row:
    newest = copies[0] if copies else None
    age = found.age_s(newest.at_s) if newest else None
    standing, why = _judged(found, kept, newest, subject)
    if gone:
        standing, why = OK, "the server has no such database any more: its last dump is kept"
    test = found.restores.get(subject)
    at = at_of(test.at) if test is not None and test.ok else None
    return Row(
        found.host,
        kept.stack,
        kept.kind,
        subject,
        newest,
        age,
        len(copies),
        sum(it.size_bytes for it in copies),
        standing,
        why,
        found.age_s(at) if at is not None else None,
        restorable,
    )


def _judged(found: HostBackups, kept: Kept, newest: Copy | None, subject: str) -> tuple[Standing, str]:
    entry = kept.entry
    step = _step(found, kept, subject)
    if newest is None:
        if step is not None and step.result == "none":
            return OK, step.reason
        return ERROR, _told(step) or f"nothing matches {entry.glob}"
    age = found.age_s(newest.at_s)
    if newest.size_bytes < entry.min_size_bytes:
        return ERROR, f"{newest.size_bytes} bytes, less than {entry.min_size_bytes}"
    if age > entry.max_age_s:
        if step is not None and step.result == "none":
            return OK, step.reason
        return ERROR, _told(step) or f"{duration(age)} old, more than {duration(entry.max_age_s)}"
    if step is not None and step.failed:
        return ERROR, _told(step)
    return OK, ""


def _step(found: HostBackups, kept: Kept, subject: str) -> Step | None:
    """The last run's word on this subject, else on its kind as a whole."""
    kind = kept.kind
    steps = [it for it in found.run.steps if it.kind == kind] if found.run else []
    own = next(
        (it for it in steps if it.subject == subject or (it.artefact and Copy(it.artefact, 0, 0).of == subject)), None
    )
    return own or (
        steps[0] if len(steps) == 1 else next((it for it in steps if not subject and it.result != "ok"), None)
    )


def _told(step: Step | None) -> str:
    return f"failed: {step.reason}" if step is not None and step.failed else ""


# ── findings ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def findings(found: HostBackups) -> tuple[Finding, ...]:
    """All of them, of one host."""
    return (
        *_dumps(found),
        *_coverage(found),
        *_steps(found),
        *_growth(found),
        *_restores(found),
        *_snapshots(found),
        *_heartbeat(found),
    )


def _dumps(found: HostBackups) -> Iterator[Finding]:
    kept = found.dumps
    if kept is None:
        return
    target = f"{kept.stack}/{kept.entry.dump_of}"
    if kept.newest is None:
        yield Finding(
            "pg-dump", found.host, "", ERROR, f"no dump at all: nothing matches {kept.entry.glob}", target=target
        )
        return
    for row in _dump_rows(found, kept):
        if row.newest is None or "no such database" in row.why:
            continue
        steps = found.run.steps if found.run else ()
        proved = any(it.artefact == row.newest.name and not it.failed for it in steps)
        how = "read by pg_restore to its end" if proved else "not of the last run: whether it can be read is not known"
        detail = row.why or f"{duration(row.age_s)} old, {size(row.newest.size_bytes)}, {how}"
        yield Finding("pg-dump", found.host, row.subject, row.standing, detail, target=target)


def _coverage(found: HostBackups) -> Iterator[Finding]:
    kept = found.dumps
    if kept is None:
        return
    target = f"{kept.stack}/{kept.entry.dump_of}"
    if found.databases is None:
        why = f"the server was not asked: {found.databases_error or 'it is not here'}"
        yield Finding("pg-coverage", found.host, "", UNKNOWN, why, target=target)
        return
    groups = kept.by_subject()
    missing = [it.name for it in found.databases if it.file_name not in groups]
    for name in missing:
        yield Finding("pg-coverage", found.host, name, ERROR, "no dump covers this database", target=target)
    if not found.databases:
        yield Finding("pg-coverage", found.host, "", ERROR, "the server names no database", target=target)
    elif not missing:
        yield Finding(
            "pg-coverage", found.host, "", OK, f"all {len(found.databases)} databases have a dump", target=target
        )


def _steps(found: HostBackups) -> Iterator[Finding]:
    def make(subject: str, standing: Standing, detail: str) -> Finding:
        return Finding("backup-steps", found.host, subject, standing, detail, target=found.service or found.host)

    for kept in found.kept:
        if found.backs_up and kept.folder.startswith("backups/"):
            yield from (make(*it) for it in _lacking(found, kept))
            continue
        standing, why = _judged(found, kept, kept.newest, "")  # what no service of ours makes is seen by its age alone
        old = f"{duration(found.age_s(kept.newest.at_s))} old" if kept.newest else ""
        yield make(kept.entry.glob, standing, why or old)
    yield from (make(name, standing, detail) for name, standing, detail in _jobs(found))
    if not found.backs_up:
        return
    yield from (make(name, standing, detail) for name, standing, detail in _last_run(found))


def _lacking(found: HostBackups, kept: Kept) -> Iterator[tuple[str, Standing, str]]:
    """Copies that are not there, too old or too small although the last run says nothing bad of them; dumps of
    databases have a check of their own, and a run that is too old says so for all."""
    ended = at_of(found.run.ended_at) if found.run else None
    if kept is found.dumps or ended is None or found.age_s(ended) > RUN_MAX_AGE_S:
        return
    for row in list(_rows(found, kept)) or [_row(found, kept, "", [])]:
        step = _step(found, kept, row.subject)
        if row.standing is not OK and not (step is not None and step.failed):
            yield f"{kept.kind}/{row.subject}".rstrip("/"), row.standing, row.why


def _last_run(found: HostBackups) -> Iterator[tuple[str, Standing, str]]:
    if found.interrupted is not None:
        yield ("the run", ERROR, f"began at {found.interrupted.began_at} and was ended in the middle")
    run = found.run
    if run is None:
        yield ("the run", ERROR, "it has never run")
        return
    at = at_of(run.ended_at)
    age = found.age_s(at) if at is not None else None
    if age is None or age > RUN_MAX_AGE_S:
        yield ("the run", ERROR, f"the last one ended {duration(age)} ago, more than {duration(RUN_MAX_AGE_S)}")
    for step in run.steps:
        if step.failed:
            yield (f"{step.kind}/{step.subject}", ERROR, step.reason or "no reason told")
    if run.ok and age is not None and age <= RUN_MAX_AGE_S:
        yield ("", OK, f"all {len(run.steps)} steps succeeded {duration(age)} ago")


def _jobs(found: HostBackups) -> Iterator[tuple[str, Standing, str]]:
    if found.jobs_error:
        yield "Zerobyte", UNKNOWN, f"its schedules could not be read: {found.jobs_error}"
        return
    if found.jobs is None:
        return
    if not found.jobs:
        yield "Zerobyte", ERROR, "it has no schedule: nothing leaves the host"
    for job in found.jobs:
        yield f"Zerobyte {job.name}", *_job(found, job)


def _job(found: HostBackups, job: Job) -> tuple[Standing, str]:
    """A schedule by what Zerobyte's database says of its last turn, of the next one, and of where it reads."""
    age = found.age_s(job.last_at_s) if job.last_at_s is not None else None
    late = found.age_s(job.next_at_s) if job.next_at_s is not None else None
    if not job.enabled:
        return WARN, "switched off"
    if not job.volume or not job.repository:
        return ERROR, f"it has no {'repository' if job.volume else 'volume'}: nothing is taken away"
    if age is None or job.status == "":
        return ERROR, "has never run"
    if job.status == "error" or job.volume_status == "error":
        return ERROR, job.error or ("the last one failed" if job.status == "error" else f"{job.volume} cannot be read")
    if late is not None and late > JOB_LATE_S:
        return ERROR, f"was due {duration(late)} ago and has not begun; the last one was {duration(age)} ago"
    if age > (8 * DAY_S if late is not None else RUN_MAX_AGE_S):
        return ERROR, f"the last one was {duration(age)} ago"
    return WARN if job.status == "warning" else OK, job.error or f"{duration(age)} ago: {job.status}"


def _growth(found: HostBackups) -> Iterator[Finding]:
    for kept in found.kept:
        if not kept.folder.startswith("backups/"):
            continue
        standing, detail = _grown(found, kept)
        yield Finding("backup-growth", found.host, kept.folder, standing, detail, target=found.service or found.host)
    for what, why in found.cleanup.stuck if found.cleanup else ():
        yield Finding("backup-growth", found.host, what, ERROR, f"could not be removed: {why}", target=found.service)


def _grown(found: HostBackups, kept: Kept) -> tuple[Standing, str]:
    if kept.newest is None:
        return OK, "empty"
    groups = kept.by_subject().values()
    empty = next((copies[0] for copies in groups if copies[0].size_bytes == 0), None)
    if empty is not None:
        return ERROR, f"{empty.name} is empty"
    old = next((it for copies in groups for it in copies[1:] if _outlived(found, it)), None)
    if old is not None:
        return WARN, f"{old.name} is {duration(found.age_s(old.at_s))} old, kept for {found.keep_days:g} days"
    today, before = kept.bytes_of_day(found.now_s, 0), kept.bytes_of_day(found.now_s, 1)
    if before and today > 2 * before and today > _NOISE_BYTES:
        return WARN, f"the newest copies of the last day are {size(today)}, of the day before {size(before)}"
    return OK, f"{kept.count} files, {size(kept.total_bytes)}; the newest of the last day {size(today)}"


def _outlived(found: HostBackups, copy: Copy) -> bool:
    return found.keep_days is not None and found.age_s(copy.at_s) > found.keep_days * DAY_S + _GRACE_S


def _restores(found: HostBackups) -> Iterator[Finding]:
    kept = found.dumps
    if kept is None:
        return
    for row in _dump_rows(found, kept):
        if not row.restorable:
            continue
        standing, detail = _restored(found, row.subject)
        remedy = f"vpai-tui backups restore-test {row.subject}"
        yield Finding("restore-test", found.host, row.subject, standing, detail, remedy, found.service or found.host)


def _snapshots(found: HostBackups) -> Iterator[Finding]:
    """What leaves the host: nobody but Zerobyte can look into it."""
    if found.jobs is None and not found.jobs_error:
        return
    why = "how much its snapshots hold is not in its database, and the key to look into them is its own"
    remedy = "restore a file of the newest snapshot from its page now and then"
    yield Finding("restore-test", found.host, "Zerobyte", UNKNOWN, why, remedy, target=found.host)


def _restored(found: HostBackups, database: str) -> tuple[Standing, str]:
    test = found.restores.get(database)
    if test is None:
        return WARN, "a restore was never tried"
    at = at_of(test.at)
    age = found.age_s(at) if at is not None else None
    if not test.ok:
        return ERROR, f"the last one failed: {test.reason or 'no reason told'}"
    if age is None or age > RESTORE_MAX_AGE_S:
        return WARN, f"the last one was {duration(age)} ago, more than {duration(RESTORE_MAX_AGE_S)}"
    return OK, f"{duration(age)} ago: {test.tables} tables, {test.rows} rows"


def _heartbeat(found: HostBackups) -> Iterator[Finding]:
    if not found.backs_up:
        return
    beat = found.run.heartbeat if found.run else None
    at = at_of(found.run.ended_at) if found.run else None
    ago = f" {duration(found.age_s(at))} ago" if at is not None else ""
    if found.heartbeat_set is False:
        standing, detail = ERROR, "not configured: HEARTBEAT_URL is not set"
    elif beat is None:
        standing, detail = UNKNOWN, "no run yet that could have sent it"
    elif beat.state == "sent":
        standing, detail = OK, f"sent by the last run{ago}"
    elif beat.state == "missing":
        standing, detail = ERROR, f"not configured for the last run{ago}: HEARTBEAT_URL was not set then"
    else:
        standing, detail = ERROR, f"{beat.state}: {beat.reason or 'no reason told'}"
    yield Finding("heartbeat", found.host, "", standing, detail, target=found.service)


def worst(found: HostBackups) -> Standing:
    """The worst of all findings of a host."""
    return max((it.standing for it in findings(found)), key=_RANK.__getitem__, default=OK)
