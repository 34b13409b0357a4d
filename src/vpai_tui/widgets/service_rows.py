"""Services and alerts as rows: which columns, in which order, under which filter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from vpai_tui.clock import duration
from vpai_tui.fleet.model import Alert, FleetSnapshot, Health, Service, Severity, Sync
from vpai_tui.widgets import paint
from vpai_tui.widgets.safe_table import Column, Row, widest
from vpai_tui.widgets.upkeep_look import UpkeepLook

SORTS = ("fleet", "health", "service", "cpu", "mem", "restarts", "age", "image")
_HEALTH_RANK = {
    value: rank
    for rank, value in enumerate(
        (Health.DOWN, Health.DEGRADED, Health.UNKNOWN, Health.STARTING, Health.STOPPED, Health.RUNNING, Health.HEALTHY)
    )
}
_UNCLAIMED = "–"


def alert_columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    """Columns wide enough for these alerts; the message takes what is left."""
    return (
        Column("glyph", "", 1),
        Column("host", "", max(2, min(10, widest(rows, "host")))),
        Column("subject", "", max(4, min(22, widest(rows, "subject")))),
        Column("message", "", least=max(24, min(60, widest(rows, "message")))),
        Column("remedy", "", max(4, min(34, widest(rows, "remedy"))), drop=1),
    )


def news_rows(look: UpkeepLook, scope: str | None) -> list[Row]:
    """What has happened since the last look, below what is wrong now; keys as those of alerts."""
    since = look.morning.since if look.morning is not None else None
    if since is None or since.at is None:
        return []
    when = since.at[5:16].replace("T", " ")
    return [
        Row(
            f"news{at}:{it.target}",
            {
                "glyph": (paint.NEWS, "accent"),
                "host": (it.host, "strong"),
                "subject": (it.subject, ""),
                "message": (it.text, ""),
                "remedy": (f"since {when} UTC", "dim"),
            },
        )
        for at, it in enumerate(since.news)
        if scope is None or it.host == scope
    ]


def service_columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    """Columns wide enough for what these rows hold; host, service and health never leave."""

    def fitted(name: str, title: str, least: int, most: int) -> int:
        return max(least, len(title), min(most, widest(rows, name)))

    return (
        Column("host", "host", fitted("host", "host", 4, 10)),
        Column("stack", "stack", fitted("stack", "stack", 5, 12), drop=3),
        Column("service", "service", fitted("service", "service", 10, 22)),
        Column("health", "health", fitted("health", "health", 9, 11)),
        Column("sync", "sync", fitted("sync", "sync", 9, 14), drop=2),
        Column("image", "image", least=8, drop=6),
        Column("cpu", "cpu", 5, drop=5, right=True),
        Column("mem", "mem", 5, drop=4, right=True),
        Column("restarts", "rst", 3, drop=7, right=True),
        Column("age", "age", 6, drop=8, right=True),
        Column("ports", "ports", fitted("ports", "ports", 5, 22), drop=9),
    )


Moved = Callable[[Service], bool]


def service_rows(services: Sequence[Service], now: datetime, moved: Moved) -> list[Row]:
    """One row per service; `moved` tells whether its tag stands for another image upstream by now."""
    return ServiceRows().rows(services, now, moved)


class ServiceRows:
    """Makes rows again and again: of a service that is the very same object its row is too, until its age reads
    otherwise."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Service, bool, datetime, Row]] = {}

    def rows(self, services: Sequence[Service], now: datetime, moved: Moved) -> list[Row]:
        """As the function `service_rows`."""
        kept, self._kept = self._kept, {}
        found = []
        for service in services:
            update, known = moved(service), kept.get(service.id)
            if known is None or known[0] is not service or known[1] is not update or now >= known[2]:
                known = (service, update, _until(service, now), _row(service, now, update))
            self._kept[service.id] = known
            found.append(known[3])
        return found


def _until(service: Service, now: datetime) -> datetime:
    """When the age of a service will read otherwise."""
    seconds = age_s(service, now)
    if seconds is None:
        return now + timedelta(days=1)
    step = 1 if seconds < 60 else 60 if seconds < 86400 else 3600
    return now + timedelta(seconds=step - max(0.0, seconds) % step)


def _row(service: Service, now: datetime, moved: bool) -> Row:
    container, usage = service.container, service.usage
    restarts = container.restarts if container else None
    return Row(
        service.id,
        {
            "host": (service.host, "" if not service.stale else "stale"),
            "stack": (service.stack or _UNCLAIMED, "dim"),
            "service": (service.service, "name"),
            "health": (f"{paint.OFF} off", "dim") if service.off else paint.health(service.health, stale=service.stale),
            "sync": paint.sync(service.sync, stale=service.stale),
            "image": ("no source given", "dim") if service.off else _image(service, moved),
            "cpu": (paint.percent(usage.cpu_percent if usage else None), ""),
            "mem": (paint.size(usage.memory_bytes if usage else None), ""),
            "restarts": ("–" if restarts is None else str(restarts), "warn" if restarts else "dim"),
            "age": (duration(age_s(service, now)), "dim"),
            "ports": (", ".join(str(port) for port in container.ports) if container else "", "dim"),
        },
        dim=service.stale,
    )


def _image(service: Service, moved: bool) -> tuple[str, str]:
    tag = image_tag(service.image)
    return (f"{paint.UPDATE} {tag}", "accent") if moved else (tag, "")


def age_s(service: Service, now: datetime) -> float | None:
    """Seconds since the container started; None when it does not run."""
    started = service.container.started_at if service.container else None
    return (now - started).total_seconds() if started and service.health is not Health.STOPPED else None


def image_tag(image: str | None) -> str:
    """`redis:8.0-bookworm` → `8.0-bookworm`; a digest by its first characters."""
    if not image:
        return "–"
    name, _, digest = image.partition("@sha256:")
    tail = name.rsplit("/", 1)[-1]
    _, colon, tag = tail.partition(":")
    return tag if colon else (f"@{digest[:8]}" if digest else "latest")


def pick(
    snapshot: FleetSnapshot, scope: str | None, needle: str, order: str, now: datetime, moved: Moved
) -> list[Service]:
    """The services of `scope` that hold every word of `needle`, in `order`; by image: tags that moved first."""
    words = needle.lower().split()
    kept = [s for s in snapshot.services if (scope is None or s.host == scope) and _holds(s, words)]
    key = (lambda s: (0 if moved(s) else 1, "")) if order == "image" else _sort_key(order, now)
    return sorted(kept, key=key) if key else kept


def _holds(service: Service, words: Sequence[str]) -> bool:
    if not words:
        return True
    parts = (
        service.id,
        service.health.value,
        service.sync.value,
        service.image or "",
        service.sync.value.replace("_", " "),
    )
    text = " ".join(parts).lower()
    return all(word in text for word in words)


def _sort_key(order: str, now: datetime) -> Callable[[Service], tuple[float, str]] | None:
    """Worst, biggest and most restless first; names from a to z."""
    match order:
        case "health":
            return lambda s: (_HEALTH_RANK[s.health] - (0.5 if s.sync is Sync.DRIFTED else 0), "")
        case "service" | "host":
            return lambda s: (0, s.service if order == "service" else s.host)
        case "cpu":
            return lambda s: (-((s.usage.cpu_percent if s.usage else None) or -1.0), "")
        case "mem":
            return lambda s: (-(s.usage.memory_bytes if s.usage else -1), "")
        case "restarts":
            return lambda s: (-((s.container.restarts if s.container else None) or 0), "")
        case "age":
            return lambda s: (_or_last(age_s(s, now)), "")
    return None


def _or_last(value: float | None) -> float:
    return float("inf") if value is None else value


def alert_rows(alerts: Sequence[Alert], scope: str | None) -> list[Row]:
    """Alerts in their rank; each row's key is its place and its target."""
    return [
        Row(
            f"{at}:{alert.target or alert.host}",
            {
                "glyph": paint.severity(alert.severity),
                "host": (alert.host, "strong"),
                "subject": (alert.subject, "error" if alert.severity is Severity.ERROR else ""),
                "message": (alert.message, ""),
                "remedy": (f"→ {alert.remedy}" if alert.remedy else "", "dim"),
            },
        )
        for at, alert in enumerate(alerts)
        if scope is None or alert.host == scope
    ]
