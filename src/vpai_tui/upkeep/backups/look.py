"""One question to a host: what is backed up there, how fresh, and what is not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files as package_files
from types import MappingProxyType

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.compose import services_of
from vpai_tui.fleet.stacks import Stack
from vpai_tui.fleet.stackspec import Fresh
from vpai_tui.redact import redact
from vpai_tui.remote.connection import Connection
from vpai_tui.text import clean, clean_line, number
from vpai_tui.upkeep.backups.model import Copy, Database, HostBackups, Job, Kept
from vpai_tui.upkeep.backups.record import RestoreTest, read_cleanup, read_restore, read_run

BACKUPS = "backups"  # the service that makes them
ENV_FILE = "configs/backups/backups.env"
_ZEROBYTE = "zerobyte"
_WITHIN_S = 60.0
_MOST_TIME = 1 << 40

# As postgresql.sh of the stack has both; a test holds them together.
SAFE_NAME = """CASE WHEN datname ~ '^[A-Za-z0-9_][A-Za-z0-9_.-]*$' AND length(datname) < 64 THEN datname
  ELSE regexp_replace(left(datname, 40), '[^A-Za-z0-9_]', '_', 'g') || '_' || left(md5(datname), 8) END"""
THROWN_AWAY = r"^vpai_restore_test_[0-9]{8}T[0-9]{6}Z_[0-9a-f]{8}$"
_SQL = f"""SELECT {SAFE_NAME}, translate(datname, E'\\t\\n\\r', '   ')
 FROM pg_database WHERE NOT datistemplate AND datname !~ '{THROWN_AWAY}' ORDER BY datname"""  # noqa: S608
# Zerobyte 0.16 keeps its state in SQLite, and its image has bun.
_JS = """const { Database } = require("bun:sqlite");
const db = new Database(process.env.DATABASE_URL || "/var/lib/zerobyte/data/ironmount.db", { readonly: true });
const rows = db.query(`SELECT s.name, v.name AS volume, r.name AS repository, s.enabled, s.last_backup_at,
  s.last_backup_status, s.last_backup_error, s.next_backup_at, v.status FROM backup_schedules_table s
  LEFT JOIN volumes_table v ON v.id = s.volume_id
  LEFT JOIN repositories_table r ON r.id = s.repository_id ORDER BY s.name`).values();
for (const row of rows) console.log(row.map((it) => String(it ?? "").replace(/\\s+/g, " ")).join("\\t"));"""


@dataclass(frozen=True, slots=True)
class Place:
    """What the stacks of one host say of its backups."""

    host: str
    entries: tuple[tuple[str, Fresh], ...]  # stack and entry
    stack: str = ""  # that has the service `backups`
    postgresql: str = ""  # the service whose dumps there are
    zerobyte: str = ""
    keep_days: float | None = None


def places(stacks: Sequence[Stack]) -> tuple[Place, ...]:
    """The hosts on which something is to be looked at, in the fleet's order."""
    found: dict[str, list[Stack]] = {}
    for stack in stacks:
        found.setdefault(stack.host, []).append(stack)
    made = (_place(host, own) for host, own in found.items())
    return tuple(it for it in made if it.entries or it.stack or it.zerobyte)


def _place(host: str, own: Sequence[Stack]) -> Place:
    entries = tuple((stack.id, entry) for stack in own for entry in stack.spec.fresh)
    maker = next((stack for stack in own if BACKUPS in stack.services), None)
    dumped = [entry.dump_of for _, entry in entries if entry.dump_of and entry.glob.endswith(".dump")]
    zerobyte = any(_ZEROBYTE in stack.services for stack in own)
    return Place(
        host,
        entries,
        maker.id if maker else "",
        next((it for it in dumped if it), ""),
        _ZEROBYTE if zerobyte else "",
        _keep_days(maker),
    )


def _keep_days(stack: Stack | None) -> float | None:
    environment = services_of(stack.compose)[BACKUPS].get("environment") if stack else None
    told = environment.get("KEEP_DAYS") if isinstance(environment, dict) else None
    return float(found) if (found := number(str(told), 1, 3650)) is not None else None


async def look(connection: Connection, place: Place, boot_s: float) -> HostBackups:
    """Asks once. OperatorError: the host cannot be asked, or the answer is cut."""
    root = connection.host.root.rstrip("/")
    script = package_files("vpai_tui.upkeep.backups").joinpath("look.sh").read_bytes()
    words = [ENV_FILE if place.stack else "-", place.postgresql or "-", place.zerobyte or "-"]
    argv = ["env", f"SQL={_SQL}", f"JS={_JS}", "sh", "-s", "--", root, connection.host.docker, *words]
    argv += [entry.glob for _, entry in place.entries]
    done = await connection.run(argv, root=True, stdin=script, timeout_s=_WITHIN_S, label="look at backups")
    return read_look(done.stdout, place, boot_s)


@dataclass(slots=True)
class _Heard:
    """The records of an answer, by kind."""

    now: float | None = None
    counts: dict[int, int] = field(default_factory=dict)
    copies: dict[int, list[Copy]] = field(default_factory=dict)
    lines: dict[str, list[bytes]] = field(default_factory=dict)
    restores: dict[str, RestoreTest] = field(default_factory=dict)
    locked: bool = False
    heartbeat: bool | None = None
    databases: list[Database] | None = None
    databases_error: str = ""
    jobs: list[Job] | None = None
    jobs_error: str = ""


def read_look(raw: bytes, place: Place, boot_s: float) -> HostBackups:
    """The answer of look.sh. Records that cannot be read are passed over.

    Raises:
        OperatorError: the answer is cut.
    """
    rows = [line.split(b"\t") for line in raw.split(b"\n") if line]
    heard = _Heard()
    if place.postgresql:
        heard.databases = []
    if place.zerobyte:
        heard.jobs = []
    for kind, *cells in rows:
        if read := _READ.get(clean(kind)):
            read(heard, cells)
    if not rows or rows[-1] != [b"end"] or heard.now is None:
        raise OperatorError("the answer is cut", host=place.host, step="look", output=clean_line(raw[-200:]))
    return _made(heard, place, boot_s)


def _made(heard: _Heard, place: Place, boot_s: float) -> HostBackups:
    kept = tuple(
        Kept(stack, entry, tuple(heard.copies.get(at, ())), heard.counts.get(at, 0))
        for at, (stack, entry) in enumerate(place.entries)
    )
    last, journal = (read_run(b"\n".join(heard.lines.get(tag, ()))) for tag in ("last-run", "journal"))
    open_run = journal if journal and not journal.ended_at and (last is None or last.id != journal.id) else None
    return HostBackups(
        place.host,
        boot_s,
        heard.now or 0.0,
        kept,
        place.stack,
        f"{place.stack}/{BACKUPS}" if place.stack else "",
        run=last,
        running=open_run if heard.locked else None,
        interrupted=open_run if not heard.locked else None,
        cleanup=read_cleanup(b"\n".join(heard.lines.get("cleanup", ()))),
        restores=MappingProxyType(heard.restores),
        databases=tuple(heard.databases) if heard.databases is not None and not heard.databases_error else None,
        databases_error=heard.databases_error,
        heartbeat_set=heard.heartbeat,
        jobs=tuple(heard.jobs) if heard.jobs is not None and not heard.jobs_error else None,
        jobs_error=heard.jobs_error,
        keep_days=place.keep_days,
    )


def _now(heard: _Heard, cells: list[bytes]) -> None:
    heard.now = float(found) if (found := _count(cells, 0)) is not None else None


def _glob(heard: _Heard, cells: list[bytes]) -> None:
    place, count = _count(cells, 0), _count(cells, 1)
    if place is not None and count is not None:
        heard.counts[place] = count


def _file(heard: _Heard, cells: list[bytes]) -> None:
    place, at, size = (_count(cells, index) for index in range(3))
    if place is not None and at is not None and size is not None and len(cells) > 3:
        heard.copies.setdefault(place, []).append(Copy(clean_line(b" ".join(cells[3:]), 300), float(at), size))


def _line(heard: _Heard, cells: list[bytes]) -> None:
    if not cells:
        return
    if cells[0] == b"restore":
        if (found := read_restore(b"\t".join(cells[1:]))) is not None:
            heard.restores[found.database] = found
        return
    heard.lines.setdefault(clean(cells[0]), []).append(b"\t".join(cells[1:]))


def _lock(heard: _Heard, cells: list[bytes]) -> None:
    heard.locked = heard.locked or cells[:1] == [b"held"]  # told before the journal and after it


def _heartbeat(heard: _Heard, cells: list[bytes]) -> None:
    heard.heartbeat = cells[:1] == [b"set"]


def _database(heard: _Heard, cells: list[bytes]) -> None:
    if heard.databases is not None and len(cells) > 1:
        heard.databases.append(Database(clean_line(cells[1], 100), clean_line(cells[0], 100)))


def _no_databases(heard: _Heard, cells: list[bytes]) -> None:
    heard.databases_error = redact(clean_line(b" ".join(cells), 200)) or "no reason told"


def _job(heard: _Heard, cells: list[bytes]) -> None:
    if heard.jobs is None or len(cells) < 7:
        return
    told = [redact(clean_line(cell, 200)) for cell in cells[:9]]
    name, volume, repository, enabled, at, status, error, due, mounted = [*told, "", ""][:9]
    last, following = (_milliseconds(it) for it in (at, due))
    heard.jobs.append(Job(name, volume, repository, enabled != "0", last, status, error, following, mounted))


def _milliseconds(text: str) -> float | None:
    found = number(text, 1, _MOST_TIME * 1000)
    return found / 1000 if found else None


def _no_jobs(heard: _Heard, cells: list[bytes]) -> None:
    heard.jobs_error = redact(clean_line(b" ".join(cells), 200)) or "no reason told"


def _count(cells: list[bytes], index: int) -> int | None:
    found = re.fullmatch(r"(\d{1,18})(?:\.\d+)?", clean(cells[index])) if index < len(cells) else None
    return int(found[1]) if found else None


_READ = {
    "now": _now,
    "glob": _glob,
    "file": _file,
    "line": _line,
    "lock": _lock,
    "heartbeat": _heartbeat,
    "database": _database,
    "no-databases": _no_databases,
    "job": _job,
    "no-jobs": _no_jobs,
}


def at_of(text: str) -> float | None:
    """Seconds since the epoch of an RFC 3339 time in UTC; None for anything else."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
