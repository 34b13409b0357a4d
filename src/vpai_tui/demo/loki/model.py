"""What the simulated Loki holds: entries, in streams that are named by their labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

S = 10**9  # a second in nanoseconds
Labels = dict[str, str]
Key = tuple[tuple[str, str], ...]  # labels sorted by name: what a stream is known by
Match = Callable[[Labels], bool]

# The labels that Loki makes a stream's `service_name` of, the first that is there.
_SERVICE_FROM = (
    "service",
    "app",
    "application",
    "app_name",
    "name",
    "app_kubernetes_io_name",
    "container",
    "container_name",
    "k8s_container_name",
    "component",
    "workload",
    "job",
    "k8s_job_name",
)


class Refused(Exception):
    """What the server answers in place of a result: an HTTP status and plain text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class Entry(NamedTuple):
    """One line: its time in nanoseconds, text, and structured metadata sorted by name."""

    ts: int
    line: str
    meta: Key


class Arrived(NamedTuple):
    """An entry as it comes in: when, in which stream."""

    at: int
    stream: Key
    entry: Entry


class Source(Protocol):
    """Where entries come from. `now` in nanoseconds: what came later is not there yet."""

    def streams(self, now: int) -> Iterable[Key]: ...

    def select(self, match: Match, start: int, end: int, now: int) -> Iterable[tuple[Key, list[Entry]]]:
        """Entries in [start, end) of the streams that match, each stream's in time order and without doubles."""
        ...

    def arrivals(self, match: Match, after: int, until: int) -> list[Arrived]:
        """What came in in (after, until], in that order, doubles included."""
        ...


def key_of(labels: Labels) -> Key:
    return tuple(sorted(labels.items()))


def quoted(text: str) -> str:
    """As Go's strconv.Quote writes it, for what occurs in labels and queries."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\x7f")


def label_string(labels: Iterable[tuple[str, str]]) -> str:
    """`{a="b", c="d"}`"""
    return "{" + ", ".join(f"{name}={quoted(value)}" for name, value in sorted(labels)) + "}"


def with_service_name(labels: Labels) -> Labels:
    """The labels of a pushed stream as they are stored."""
    if "service_name" in labels:
        return labels
    found = next((labels[name] for name in _SERVICE_FROM if labels.get(name)), "unknown_service")
    return {**labels, "service_name": found}
