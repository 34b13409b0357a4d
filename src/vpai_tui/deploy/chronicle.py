"""Who did what on the hosts, from any laptop: what they keep of it, merged with the journal of this one."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from vpai_tui.deploy.facts import manifest, tsv
from vpai_tui.deploy.host import script
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.history import Entry, History
from vpai_tui.redact import redact
from vpai_tui.remote.connection import Connection
from vpai_tui.text import clean_line

_LAPTOP_LINES = 5000
_RELEASE = re.compile(r"\d{8}T\d{6}-[0-9a-z]{2,8}\b")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,80}\Z")
_OUTCOMES = {"ok": "committed"}
_KINDS = {"deploy": "deploy", "rollback": "rollback", "adopted": "adopt", "start": "start", "stop": "stop"}
_OF_HOSTS = ("deploy", "rollback", "resume", "revert", "start", "stop")  # what a host keeps under the same id
_SAME_HOLD_S = 3600  # two clocks that differ by more than this tell two holds


@dataclass(frozen=True, slots=True)
class Told(Entry):
    """A line of the history. `release`: the one it is about; `source`: whose record it is, `host` or `laptop`.

    `failed`, `failed_at`: the service that failed first, and when; empty where none did, or nobody knows.
    """

    release: str = ""
    source: str = "laptop"
    failed: str = ""
    failed_at: str = ""


@dataclass(frozen=True, slots=True)
class Chronicle:
    """`lines` oldest first; `unreadable` lines of the laptop's journal; the hosts that did not answer, and why."""

    lines: tuple[Told, ...]
    unreadable: int = 0
    unreached: tuple[tuple[str, str], ...] = ()


async def chronicle(
    connections: Callable[[str], Awaitable[Connection]], hosts: Sequence[str], history: History
) -> Chronicle:
    """The history of `hosts`. One that does not answer is named, and what this laptop did there is told."""

    async def ask(host: str) -> list[Told] | str:
        try:
            return await _ask(await connections(host))
        except OperatorError as error:
            return error.message

    answers = await asyncio.gather(*(ask(host) for host in hosts))
    found = [line for answer in answers if not isinstance(answer, str) for line in answer]
    own, bad = await asyncio.to_thread(history.read, _LAPTOP_LINES)
    unreached = tuple((host, answer) for host, answer in zip(hosts, answers, strict=True) if isinstance(answer, str))
    told = await asyncio.to_thread(merged, [line for line in own if line.host in hosts], found)
    return Chronicle(told, bad, unreached)


async def _ask(connection: Connection) -> list[Told]:
    argv = ["sh", "-s", "--", connection.host.root.rstrip("/")]
    done = await connection.run(argv, root=True, stdin=script("chronicle.sh"), timeout_s=60, label="history")
    return read_lines(done.stdout, connection.name)


def local(history: History, host: str | None, limit: int) -> Chronicle:
    """The journal of this laptop alone."""
    own, bad = history.read(_LAPTOP_LINES)
    return Chronicle(merged([line for line in own if host in (None, line.host)], ())[-limit:], bad)


def merged(laptop: Sequence[Entry], hosts: Sequence[Told]) -> tuple[Told, ...]:
    """All lines, oldest first. What both tell is told once, as the host has it: the laptop may have lost sight."""
    told = {_key(line) for line in hosts}
    holds = [line for line in hosts if line.what.endswith("hold")]
    own = [_own(entry) for entry in laptop]
    kept = [line for line in own if not (line.release and _key(line) in told) and not _same_hold(line, holds)]
    return tuple(sorted([*hosts, *kept], key=lambda line: line.at))


def _own(entry: Entry) -> Told:
    release = _RELEASE.match(entry.detail) if entry.what in _OF_HOSTS else None
    return Told(**{**asdict(entry), "at": _time(entry.at)}, release=release[0] if release else "")


def _key(line: Told) -> tuple[str, str, str, str]:
    """A release is made once, and may be settled by several."""
    return line.subject, line.release, line.what, line.by if line.what in ("resume", "revert") else ""


def _same_hold(line: Told, holds: Sequence[Told]) -> bool:
    if line.result != "done":
        return False
    same = (item for item in holds if (item.host, item.what, item.by, item.detail) == _hold_key(line))
    return any(abs(_seconds(item.at) - _seconds(line.at)) < _SAME_HOLD_S for item in same)


def _hold_key(line: Told) -> tuple[str, str, str, str]:
    return line.host, line.what, line.by, line.detail


def _seconds(at: str) -> float:
    try:
        return datetime.fromisoformat(at).timestamp()
    except (ValueError, OverflowError):
        return 0.0


# ── what a host tells ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Run:
    """One run of the runner for a release: how it was begun and how it ended."""

    what: str
    by: str
    began: str
    ended: str = ""
    result: str = ""
    reason: str = ""
    failed: str = ""
    failed_at: str = ""


@dataclass(slots=True)
class _Release:
    stack: str
    id: str
    status: str
    told: dict[str, str]
    lines: list[tuple[str, str, str]] = field(default_factory=list)  # at, event, detail


def read_lines(raw: bytes, host: str) -> list[Told]:
    """The lines in what `chronicle.sh` printed; a record that cannot be read is passed over.

    Raises:
        OperatorError: the answer is cut.
    """
    rows = tsv(raw)
    if not rows or rows[-1] != ["end"]:
        raise OperatorError("its history is cut", host=host, remedy="try again")
    busy, pending, holds = False, dict[str, str](), list[Told]()
    releases: dict[tuple[str, str], _Release] = {}
    for kind, *cells in rows[:-1]:
        match kind, cells:
            case "busy", []:
                busy = True
            case "stack", [name, waiting]:
                pending[name] = waiting
            case "release", [stack, release, status, encoded] if _NAME.match(stack) and _NAME.match(release):
                releases[stack, release] = _Release(stack, release, status, manifest(_decoded(encoded)))
            case "line", [stack, release, at, event, detail] if (stack, release) in releases:
                releases[stack, release].lines.append((at, event, detail))
            case "hold", [at, by, what, why]:
                holds.append(_hold(host, at, by, what, why))
    lines = [
        line
        for item in releases.values()
        for line in _lines_of(item, host, "running" if busy else "interrupted", pending.get(item.stack) == item.id)
    ]
    return lines + holds


def _hold(host: str, at: str, by: str, what: str, why: str) -> Told:
    verb = "release hold" if what == "released" else "hold"
    return Told(_time(at), _who(by), host, verb, host, "done", redact(clean_line(why, 400)), "", "host")


def _lines_of(item: _Release, host: str, open_word: str, pending: bool) -> list[Told]:
    """One line per run of a release."""
    runs = _runs(item)
    last = runs[-1]
    if not last.result and item.status:
        word, _, reason = [*item.status.split(" ", 2), "", ""][:3]
        last.result, last.reason = word, reason
    elif not last.result:
        last.result = open_word if pending else "unfinished"
    return [_line(item, run, host) for run in runs]


def _runs(item: _Release) -> list[_Run]:
    """The runs of a release, in order; the first is the one that made it."""
    told = item.told
    runs = [_Run(_KINDS.get(told.get("kind", ""), "deploy"), told.get("by", ""), told.get("created_at", ""))]
    for at, event, detail in item.lines:
        if event in ("resume", "revert"):
            runs[-1].result = runs[-1].result or "interrupted"
            runs.append(_Run(event, detail, at))
        elif event == "begin":
            runs[-1].began = at
        elif event == "step_failed" and not runs[-1].failed_at:
            runs[-1].failed, runs[-1].failed_at = detail, at
        elif event == "finished":
            word, _, reason = [*detail.split(" ", 2), "", ""][:3]
            runs[-1].ended, runs[-1].result, runs[-1].reason = at, word, reason
    return runs


def _line(item: _Release, run: _Run, host: str) -> Told:
    back = item.told.get("rollback_of", "")
    about = f"{item.id} to {clean_line(back, 40)}" if run.what == "rollback" and back else item.id
    return Told(
        at=_time(run.ended or run.began),
        by=_who(run.by),
        host=host,
        what=run.what,
        subject=f"{host}/{item.stack}",
        result=clean_line(_OUTCOMES.get(run.result, run.result), 20),
        detail=f"{about} {redact(clean_line(run.reason, 300))}".strip(),
        release=item.id,
        source="host",
        failed=run.failed if _NAME.match(run.failed) else "",
        failed_at=_time(run.failed_at),
    )


def _time(at: str) -> str:
    """RFC 3339 in whole seconds, so that two clocks' lines can be ordered; empty where it is no time."""
    found = _TIME.match(at)
    return f"{found[0]}Z" if found else ""


def _who(by: str) -> str:
    return clean_line(by, 80)


def _decoded(cell: str) -> bytes:
    try:
        return base64.b64decode(cell, validate=True)
    except (ValueError, binascii.Error):
        return b""
