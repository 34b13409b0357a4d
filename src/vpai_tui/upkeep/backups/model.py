"""Backups as one host shows them. Times of files are the host's own; ages are taken against the host's clock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from vpai_tui.fleet.stackspec import Fresh
from vpai_tui.upkeep.backups.record import Cleanup, RestoreTest, Run

# `n8n` of `n8n-20260226T015500Z.dump`, and of `n8n-20260226-0255.dump`.
_TIMED = re.compile(r"(?P<of>.+?)-\d{8}[0-9TZ_-]*(?P<suffix>\.[a-z.]+)\Z")
DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Copy:
    """One file that a `fresh` entry found."""

    path: str  # below the host's root, or absolute
    at_s: float  # seconds since the epoch, by the host
    size_bytes: int

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def of(self) -> str:
        """Whose copy it is: its name without its time."""
        found = _TIMED.match(self.name)
        return found["of"] if found else self.name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Kept:
    """What one `fresh` entry of a stack finds: newest first. `count` is of all, of which `copies` may be a part."""

    stack: str
    entry: Fresh
    copies: tuple[Copy, ...]
    count: int

    @property
    def folder(self) -> str:
        return self.entry.glob.rpartition("/")[0]

    @property
    def kind(self) -> str:
        """The folder's own name: pg_dump."""
        return next((part for part in reversed(self.folder.split("/")) if "*" not in part), "")

    @property
    def newest(self) -> Copy | None:
        return self.copies[0] if self.copies else None

    @property
    def total_bytes(self) -> int:
        return sum(copy.size_bytes for copy in self.copies)

    def by_subject(self) -> dict[str, list[Copy]]:
        """The copies of each database, collection, …; newest first."""
        found: dict[str, list[Copy]] = {}
        for copy in self.copies:
            found.setdefault(copy.of, []).append(copy)
        return dict(sorted(found.items()))

    def bytes_of_day(self, now_s: float, back: int) -> int:
        """Bytes of the newest copy of each subject in the last 24 hours, or in those `back` days before: a second run
        on one day makes nothing larger."""
        begin = now_s - (back + 1) * DAY_S
        windows = ([it for it in own if begin < it.at_s <= begin + DAY_S] for own in self.by_subject().values())
        return sum(found[0].size_bytes for found in windows if found)


@dataclass(frozen=True, slots=True)
class Database:
    """One that the server has, and what its dumps are called."""

    name: str
    file_name: str


@dataclass(frozen=True, slots=True)
class Job:
    """One of Zerobyte's schedules. Times are seconds since the epoch; None: never, or not told."""

    name: str
    volume: str
    repository: str
    enabled: bool
    last_at_s: float | None
    status: str  # success, warning, error, in_progress; empty: never run
    error: str
    next_at_s: float | None = None  # in the past: it is due
    volume_status: str = ""  # mounted, unmounted, error


@dataclass(frozen=True, slots=True)
class HostBackups:
    """One look at a host."""

    host: str
    at_boot_s: float  # when it was taken, by the laptop
    now_s: float  # the host's clock then
    kept: tuple[Kept, ...]
    backs_up: str  # the stack that has the `backups` service; empty: none
    service: str = ""  # that service's id in the fleet
    run: Run | None = None  # the last one that came to its end
    running: Run | None = None  # one that is under way
    interrupted: Run | None = None  # one that began and neither ended nor goes on
    cleanup: Cleanup | None = None
    restores: Mapping[str, RestoreTest] = field(default_factory=dict)
    databases: tuple[Database, ...] | None = None  # None: the server could not be asked, or there is none here
    databases_error: str = ""
    heartbeat_set: bool | None = None
    jobs: tuple[Job, ...] | None = None  # None: Zerobyte could not be asked, or is not here
    jobs_error: str = ""
    keep_days: float | None = None

    def age_s(self, at_s: float) -> float:
        return max(0.0, self.now_s - at_s)

    @property
    def dumps(self) -> Kept | None:
        """The dumps of PostgreSQL."""
        return next((it for it in self.kept if it.entry.dump_of and it.entry.glob.endswith(".dump")), None)
