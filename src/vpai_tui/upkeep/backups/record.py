"""What the scripts of sese/backups leave behind: one line per fact, `time TAB event TAB subject TAB field…`.

The journal of a run that goes on has the same lines, and `starting` before each step; it ends with `finished`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vpai_tui.redact import redact
from vpai_tui.text import clean, clean_line, number

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")
_MOST_BYTES = 1 << 60
OK, FAILED, NONE = "ok", "failed", "none"  # results of a step; `none`: there was nothing to save


@dataclass(frozen=True, slots=True)
class Step:
    """One copy, or one look. `artefact` is the file's name in the folder `kind`, empty where there is none."""

    kind: str
    subject: str
    result: str
    seconds: int
    size_bytes: int
    artefact: str
    reason: str

    @property
    def failed(self) -> bool:
        return self.result == FAILED


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What became of it: `sent`, `missing` (no address), `withheld` (steps failed), `failed`."""

    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Run:
    """One run of pre-backup.sh. Times are RFC 3339 UTC by the host's clock; `ended_at` empty while it has not ended."""

    id: str
    by: str
    began_at: str
    ended_at: str
    steps: tuple[Step, ...]
    heartbeat: Heartbeat | None
    starting: str = ""  # the step under way

    @property
    def ok(self) -> bool:
        return bool(self.ended_at) and not any(step.failed for step in self.steps)


@dataclass(frozen=True, slots=True)
class RestoreTest:
    """The last one of a database."""

    database: str
    at: str
    result: str  # ok or failed
    tables: int
    rows: int
    seconds: int
    dump: str  # the file that was restored; empty where there was none
    reason: str

    @property
    def ok(self) -> bool:
        return self.result == OK


@dataclass(frozen=True, slots=True)
class Cleanup:
    """The last one. `stuck`: what could not be removed, and why."""

    at: str
    removed: int
    removed_bytes: int
    stuck: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One fact."""

    at: str
    event: str
    subject: str
    fields: tuple[str, ...]

    def text(self, index: int) -> str:
        return self.fields[index] if index < len(self.fields) else ""

    def count(self, index: int) -> int:
        return number(self.text(index), 0, _MOST_BYTES) or 0


def read_line(raw: bytes) -> Line | None:
    """A line; None for one that is cut or no line of these scripts."""
    parts = [redact(clean_line(part, 400)) for part in clean(raw).split("\t")]
    if len(parts) < 3 or not _TIME.match(parts[0]):
        return None
    return Line(parts[0], parts[1], "" if parts[2] == "-" else parts[2], tuple(parts[3:]))


def lines_of(raw: bytes) -> Iterator[Line]:
    for part in raw.split(b"\n"):
        if (line := read_line(part)) is not None:
            yield line


def step_of(line: Line) -> Step:
    """A `step` line."""
    kind, _, subject = line.subject.partition("/")
    result = line.text(0) if line.text(0) in (OK, NONE) else FAILED
    return Step(kind, subject, result, line.count(1), line.count(2), line.text(3), line.text(4))


def read_run(raw: bytes) -> Run | None:
    """status/last-run, or the journal; None where no run begins in it."""
    begun: Line | None = None
    steps: list[Step] = []
    heartbeat, ended, starting = None, "", ""
    for line in lines_of(raw):
        match line.event:
            case "begun":
                begun = line
            case "starting":
                starting = line.subject
            case "step":
                steps.append(step_of(line))
            case "heartbeat":
                heartbeat, starting = Heartbeat(line.text(0), line.text(1)), ""
            case "finished":
                ended, starting = line.at, ""
    if begun is None:
        return None
    return Run(begun.subject, begun.text(0) or "somebody", begun.at, ended, tuple(steps), heartbeat, starting)


def read_restore(raw: bytes) -> RestoreTest | None:
    """A file of status/restore; None where no result is in it."""
    for line in lines_of(raw):
        if line.event == "finished":
            return restore_of(line)
    return None


def restore_of(line: Line) -> RestoreTest:
    """The `finished` line of a restore test."""
    result = OK if line.text(0) == OK else FAILED
    return RestoreTest(
        line.subject, line.at, result, line.count(1), line.count(2), line.count(3), line.text(4), line.text(5)
    )


def read_cleanup(raw: bytes) -> Cleanup | None:
    """status/cleanup; None where no end is in it."""
    stuck: list[tuple[str, str]] = []
    removed, removed_bytes = 0, 0
    for line in lines_of(raw):
        if line.event == "stuck":
            stuck.append((line.subject, line.text(0)))
        elif line.event == "removed":
            removed, removed_bytes = line.count(0), line.count(1)
        elif line.event == "finished":
            return Cleanup(line.at, removed, removed_bytes, tuple(stuck))
    return None
