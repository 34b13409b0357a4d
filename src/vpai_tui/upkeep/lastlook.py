"""What the operator saw at the last look, kept on the laptop: what has happened since is told against it."""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from vpai_tui.clock import rfc3339
from vpai_tui.fleet.checks import Finding
from vpai_tui.fleet.model import FleetSnapshot, Service
from vpai_tui.text import clean_line

_READ_LIMIT = 4 << 20  # bytes; a thousand services are a tenth of it


class ServiceSeen(msgspec.Struct, frozen=True):
    """One service that had a container. `started_at` is RFC 3339 UTC, "" where it never ran."""

    container: str
    image: str
    started_at: str = ""
    restarts: int | None = None
    killed: bool = False  # for want of memory


class StackSeen(msgspec.Struct, frozen=True):
    """One stack's release and whether what ran was what its files say."""

    release: str | None = None
    sync: str = ""


class LastLook(msgspec.Struct, frozen=True):
    """One look. Hosts that were gone keep what was known of them at the look before."""

    at: str  # RFC 3339 UTC
    services: dict[str, ServiceSeen] = {}  # by id
    stacks: dict[str, StackSeen] = {}
    booted: dict[str, str] = {}  # by host: RFC 3339 UTC
    moved: tuple[str, ...] = ()  # images whose tag stands for another one upstream
    bad: tuple[str, ...] = ()  # `check host subject`
    spend_usd: dict[str, float] = {}  # by day


def seen(service: Service) -> ServiceSeen | None:
    """What is remembered of a service; None of one without a container."""
    container = service.container
    if container is None:
        return None
    started = rfc3339(container.started_at) if container.started_at else ""
    return ServiceSeen(container.id, container.image, started, container.restarts, bool(container.oom_killed))


def key_of(finding: Finding) -> str:
    return f"{finding.check} {finding.host} {finding.subject}"


def booted_at(snapshot: FleetSnapshot, now: datetime) -> dict[str, datetime]:
    """When each host that tells its uptime was started; its metrics are as old as they are."""
    found = {}
    for host in snapshot.hosts:
        if host.live and host.metrics is not None:
            up_s = host.metrics.uptime_s + max(0.0, snapshot.at_boot_s - host.metrics.at_boot_s)
            try:
                found[host.name] = now - timedelta(seconds=up_s)
            except OverflowError:  # an uptime of more than all of time
                continue
    return found


def look_at(
    snapshot: FleetSnapshot,
    now: datetime,
    before: LastLook | None,
    *,
    findings: tuple[Finding, ...] | None = None,
    moved: Set[str] | None = None,
    spend_usd: Mapping[str, float] | None = None,
) -> LastLook:
    """The look of this moment. What is None was not learnt now, and stays as it was."""
    live = {host.name for host in snapshot.hosts if host.live and host.containers is not None}
    known = [(service.id, seen(service)) for service in snapshot.services if service.host in live]
    past = before or LastLook(rfc3339(now))
    return LastLook(
        at=rfc3339(now),
        services={
            **{name: it for name, it in past.services.items() if name.partition("/")[0] not in live},
            **{name: it for name, it in known if it is not None},
        },
        stacks={
            **{name: it for name, it in past.stacks.items() if name.partition("/")[0] not in live},
            **{it.id: StackSeen(it.current, it.sync.value) for it in snapshot.stacks if it.host in live},
        },
        booted={**past.booted, **{name: rfc3339(at) for name, at in booted_at(snapshot, now).items()}},
        moved=past.moved if moved is None else tuple(sorted(moved)),
        bad=past.bad if findings is None else tuple(sorted({key_of(it) for it in findings if it.bad})),
        spend_usd=past.spend_usd if spend_usd is None else dict(spend_usd),
    )


class LookFile:
    """`last-look.json` in the laptop's own folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "last-look.json"

    def load(self) -> tuple[LastLook | None, str]:
        """The last look, and why there is none although there is a file."""
        try:
            with self.path.open("rb") as file:
                content = file.read(_READ_LIMIT)
            return msgspec.json.decode(content, type=LastLook), ""
        except FileNotFoundError:
            return None, ""
        except (OSError, msgspec.DecodeError, RecursionError) as error:
            return None, f"{self.path} cannot be read, so nothing is compared: {clean_line(str(error), 200)}"

    def save(self, look: LastLook) -> str:
        """Why it could not be kept, or an empty text. The file is whole or the one before."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            new = self.path.with_suffix(".new")
            new.write_bytes(msgspec.json.encode(look))
            new.replace(self.path)
        except OSError as error:
            return f"{self.path} could not be written: {clean_line(error.strerror or str(error))}"
        return ""
