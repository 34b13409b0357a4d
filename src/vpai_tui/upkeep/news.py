"""What has happened since the last look: one line each, and where it leads. Pure functions of two looks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from vpai_tui.clock import rfc3339
from vpai_tui.fleet.checks import Finding
from vpai_tui.fleet.containers import ContainerEvent
from vpai_tui.fleet.history import Entry
from vpai_tui.fleet.model import FleetSnapshot, Service, Severity, StackStatus, Sync
from vpai_tui.upkeep.examiner import Report
from vpai_tui.upkeep.lastlook import LastLook, ServiceSeen, booted_at, key_of, seen

_BACKUPS = ("pg-dump", "pg-coverage", "backup-steps", "backup-growth", "restore-test", "heartbeat")
_BOOT_SLACK_S = 120.0  # two readings of the same start differ by a clock that was set
_KILLED = "was killed for want of memory"
_SPENT_USD = 0.005  # below half a cent nothing was spent


@dataclass(frozen=True, slots=True)
class News:
    """One thing that happened. `target` is where it is looked at: a host, a stack or service id, `budget:`."""

    kind: str  # restart, killed, reboot, replaced, deploy, drift, update, spend, backup
    severity: Severity
    host: str
    subject: str
    text: str
    target: str


@dataclass(frozen=True, slots=True)
class Now:
    """The other side of the comparison. What is None could not be learnt."""

    at: datetime
    snapshot: FleetSnapshot
    events: Sequence[ContainerEvent] = ()  # of the engines, oldest first
    told: Sequence[Entry] | None = None  # the hosts' journals and this laptop's, oldest first
    findings: Sequence[Finding] | None = None
    moved: Mapping[str, str] | None = None  # service id → image, where the tag has moved
    spend_usd: Mapping[str, float] | None = None  # by day
    me: str = ""  # `user@laptop`


@dataclass(frozen=True, slots=True)
class Since:
    """What has happened since `at` (RFC 3339 UTC; None at the first look of all), and what could not be learnt."""

    at: str | None
    news: tuple[News, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Morning:
    """One look."""

    report: Report
    since: Since


def news(then: LastLook, now: Now) -> tuple[News, ...]:
    """Worst first; of one severity: hosts, services, changes by others, drift, updates, backups, spend."""
    found = [
        *_hosts(then, now),
        *(it for service in now.snapshot.services for it in _service(then, now, service)),
        *_deploys(then, now),
        *(it for stack in now.snapshot.stacks for it in _drift(then, stack)),
        *_updates(then, now),
        *_backups(then, now.findings or ()),
        *_spend(then, now),
    ]
    rank = (Severity.ERROR, Severity.WARN, Severity.INFO)
    return tuple(sorted(found, key=lambda it: rank.index(it.severity)))


def _hosts(then: LastLook, now: Now) -> Iterator[News]:
    for name, at in booted_at(now.snapshot, now.at).items():
        before = _moment(then.booted.get(name, ""))
        if before is not None and (at - before).total_seconds() > _BOOT_SLACK_S:
            yield News("reboot", Severity.WARN, name, name, f"was started anew at {rfc3339(at)}", name)


def _service(then: LastLook, now: Now, service: Service) -> Iterator[News]:
    before, after = then.services.get(service.id), seen(service)
    if before is None or after is None or service.stale:
        return
    inside = _killed_inside(then, now, after.container)
    if (after.killed and not (before.killed and before.container == after.container)) or inside:
        text = f"a process in it was killed for want of memory at {inside}" if inside and not after.killed else _KILLED
        yield News("killed", Severity.ERROR, service.host, service.service, text, service.id)
    if before.container != after.container:
        if not _deployed(then, now, f"{service.host}/{service.stack}"):
            text = _replaced(before, after)
            yield News("replaced", Severity.WARN, service.host, service.service, text, service.id)
    elif (count := (after.restarts or 0) - (before.restarts or 0)) > 0:
        text = f"restarted {count} times" if count > 1 else "restarted once"
        yield News("restart", Severity.WARN, service.host, service.service, text, service.id)
    elif _later(after.started_at, before.started_at):
        text = f"was started again at {after.started_at}"
        yield News("restart", Severity.INFO, service.host, service.service, text, service.id)


def _killed_inside(then: LastLook, now: Now, container: str) -> str:
    """When the engine last told of memory that ran out in it since then (RFC 3339 UTC), as far back as it told."""
    times = [rfc3339(it.at) for it in now.events if it.action == "oom" and it.container == container and it.at]
    return max((at for at in times if at > then.at), default="")


def _later(after: str, before: str) -> bool:
    first, second = _moment(before), _moment(after)
    return first is not None and second is not None and (second - first).total_seconds() > 1


def _replaced(before: ServiceSeen, after: ServiceSeen) -> str:
    image = "" if before.image == after.image else f", {before.image} → {after.image}"
    return f"has another container, by no deploy of its stack{image}"


def _deployed(then: LastLook, now: Now, stack: str) -> bool:
    """Whether a deploy tells why; True too where the journals could not be read: nothing is claimed then."""
    changed = next((it.current for it in now.snapshot.stacks if it.id == stack), None)
    before = then.stacks.get(stack)
    return now.told is None or (before is not None and before.release != changed)


def _deploys(then: LastLook, now: Now) -> Iterator[News]:
    """What others did; what was done from here one knows."""
    for line in now.told or ():
        if line.at > then.at and line.by != now.me and line.by:
            good = line.result in ("done", "committed", "unchanged", "adopted")
            severity = Severity.INFO if good else Severity.WARN
            detail = line.result.partition(":")[0].replace("_", " ")
            text = f"{line.what} by {line.by} at {line.at[:16].replace('T', ' ')}: {detail}"
            yield News("deploy", severity, line.host, line.subject, text, line.subject or line.host)


def _drift(then: LastLook, stack: StackStatus) -> Iterator[News]:
    before = then.stacks.get(stack.id)
    if before is not None and before.sync == Sync.IN_SYNC.value and stack.sync is Sync.DRIFTED and not stack.busy:
        yield News("drift", Severity.WARN, stack.host, stack.id, "has drifted from its files", stack.id)


def _updates(then: LastLook, now: Now) -> Iterator[News]:
    for service_id, image in sorted((now.moved or {}).items()):
        if image not in then.moved:
            host, _, name = service_id.partition("/")
            text = f"{image} stands for a newer image upstream"
            yield News("update", Severity.INFO, host, name.rpartition("/")[2], text, service_id)


def _backups(then: LastLook, findings: Iterable[Finding]) -> Iterator[News]:
    for it in findings:
        if it.bad and it.check in _BACKUPS and key_of(it) not in then.bad:
            yield News("backup", Severity.ERROR, it.host, it.subject or it.check, it.detail, it.target or it.host)


def _spend(then: LastLook, now: Now) -> Iterator[News]:
    """Dollars since then: of the days that both know the difference, of new days all."""
    if not now.spend_usd or not then.spend_usd:
        return
    first = min(then.spend_usd)
    spent = sum(usd - then.spend_usd.get(day, 0.0) for day, usd in now.spend_usd.items() if day >= first)
    if spent >= _SPENT_USD:
        yield News("spend", Severity.INFO, "", "AI budget", f"${spent:.2f} spent", "budget:")


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


_KINDS = (
    ("killed", "OOM kill", "OOM kills"),
    ("backup", "failed backup", "failed backups"),
    ("reboot", "reboot", "reboots"),
    ("restart", "restart", "restarts"),
    ("replaced", "replaced container", "replaced containers"),
    ("deploy", "change by others", "changes by others"),
    ("drift", "drift", "drifts"),
    ("update", "image update", "image updates"),
)


def headline(found: Sequence[News]) -> str:
    """`2 restarts · 1 change by others · $3.10 spent`: how many of which kind; empty where there is nothing."""
    parts = []
    for kind, one, more in _KINDS:
        if count := sum(1 for it in found if it.kind == kind):
            parts.append(f"{count} {one if count == 1 else more}")
    return " · ".join([*parts, *(it.text for it in found if it.kind == "spend")])
