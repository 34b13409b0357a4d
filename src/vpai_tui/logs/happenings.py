"""What else happened while lines were written: starts, deaths and deploys, as marks for the logs' timeline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from vpai_tui.fleet.containers import ContainerEvent
from vpai_tui.fleet.history import Entry
from vpai_tui.logs.model import SECOND_NS
from vpai_tui.text import clean_line

_SHOWN = {
    "start": "started",
    "restart": "restarted",
    "die": "ended",
    "kill": "was signalled",
    "oom": "ran out of memory",
    "destroy": "was removed",
    "health_status: unhealthy": "became unhealthy",
    "health_status: healthy": "became healthy",
}
_BAD = ("oom", "health_status: unhealthy")
_GOOD_RESULTS = ("committed", "unchanged", "done", "ok", "recorded")


@dataclass(frozen=True, slots=True)
class Happening:
    """One mark: when, where, what of, and in words. `bad`: something went wrong."""

    ns: int
    host: str
    subject: str  # a service, a stack, or a container's name
    text: str
    bad: bool = False


def of_containers(host: str, events: Iterable[ContainerEvent], services: Mapping[str, str]) -> list[Happening]:
    """The marks of a host's container events; `services` gives the service's id for a container's."""
    found = []
    for event in events:
        word = _SHOWN.get(event.action)
        if word is None or event.at is None:
            continue
        failed = event.action == "die" and event.detail not in ("", "exit 0", "exit 143")
        text = f"{word} ({event.detail})" if event.detail else word
        subject = services.get(event.container, event.name)
        found.append(Happening(_ns(event.at), host, subject, text, failed or event.action in _BAD))
    return found


def of_journal(entries: Iterable[Entry]) -> list[Happening]:
    """The marks of what operators did: deploys, rollbacks, restarts and their results. What has no time has none."""
    found = []
    for entry in entries:
        try:
            at = datetime.fromisoformat(entry.at)
        except ValueError:
            continue
        text = f"{entry.what} by {entry.by}: {entry.result}"
        bad = entry.result.split(":")[0] not in _GOOD_RESULTS
        found.append(Happening(_ns(at), entry.host, entry.subject, text, bad))
    return found


def failure(at: str, subject: str, text: str) -> Happening | None:
    """The mark of something that failed at `at` (RFC 3339, whole seconds: all lines of that second lie before it)."""
    try:
        ns = _ns(datetime.fromisoformat(at)) + SECOND_NS - 1
    except (ValueError, OverflowError):
        return None
    return Happening(ns, subject.partition("/")[0], subject, clean_line(text, 300), bad=True) if ns > 0 else None


def timeline(*several: Sequence[Happening], from_ns: int, to_ns: int) -> list[Happening]:
    """All of them in the order of their time, those of `[from_ns, to_ns)` alone, each once."""
    inside = {it for marks in several for it in marks if from_ns <= it.ns < to_ns}
    return sorted(inside, key=lambda it: (it.ns, it.host, it.subject, it.text))


def _ns(at: datetime) -> int:
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000_000) * (SECOND_NS // 1_000_000)
