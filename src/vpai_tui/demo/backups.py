"""The nightly backups of the demo: copies and records as the stack's scripts leave them, and situations to look at.

What the server has stands in `DIR/<host>/databases`, one name a line; copies are plain files below the host's root:
take one away, cut it, make it old, and the cockpit sees that.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vpai_tui.demo.engine.store import Doc, Engine, fraction
from vpai_tui.demo.hosts import PROFILES

Said = tuple[int, str, str]
_DAY_S = 86400.0
_STEP_S = 0.12
_NIGHTS = 3
_DATABASES = ("kaneo", "litellm", "n8n", "palais", "postgres", "sure")
_BYTES = {
    "kaneo": 412_000,
    "litellm": 38_400_000,
    "n8n": 9_100_000,
    "palais": 1_300_000,
    "postgres": 1083,
    "sure": 5_200_000,
}
_OTHERS = (
    ("redis", "redis", "dump", ".rdb", 2_300_000),
    ("qdrant", "content_index", "content_index", ".snapshot", 71_000_000),
    ("qdrant", "palais_memory", "palais_memory", ".snapshot", 12_000_000),
    ("qdrant", "semantic_cache", "semantic_cache", ".snapshot", 33_000_000),
    ("n8n", "workflows", "workflows", ".json", 640_000),
    ("grafana", "dashboards", "dashboards", ".tar.gz", 88_000),
    ("openclaw", "workspace", "workspace", ".tar.gz", 7_400_000),
)
_TABLES = {
    "kaneo": (14, 318),
    "litellm": (37, 214_905),
    "n8n": (41, 18_220),
    "palais": (19, 2_044),
    "postgres": (0, 0),
    "sure": (68, 40_117),
}
_LONG_AGO = "kaneo"  # whose last restore test is nearly a month old


@dataclass(frozen=True, slots=True)
class _Step:
    kind: str
    subject: str
    stem: str  # of the file's name; empty: a look without a file
    suffix: str = ""
    size: int = 0


def _stamp(at: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))


def _time(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def databases(home: Path) -> list[str]:
    """What the simulated server has."""
    try:
        return [line for line in (home / "databases").read_text().splitlines() if line]
    except OSError:
        return list(_DATABASES)


def _steps(home: Path) -> Iterator[_Step]:
    for name in databases(home):
        yield _Step("pg_dump", name, name, ".dump", _BYTES.get(name, 24_000))
    for kind, subject, stem, suffix, size in _OTHERS:
        yield _Step(kind, subject, stem, suffix, size)
    yield _Step("n8n", "encryption key", "")


def _root(home: Path) -> Path:
    return home / PROFILES[home.name].root.lstrip("/")


def seed(home: Path, now: float) -> None:
    """Three nights, their records, and restore tests of most databases; where the vault is kept, its copy."""
    root = _root(home)
    if home.name == "sese":
        last = now - (now - 2 * 3600 + 300) % _DAY_S  # 01:55 UTC is 02:55 in winter
        for night in reversed(range(_NIGHTS)):  # the last one's record is what stays
            _night(home, root / "backups", last - night * _DAY_S)
        _cleanup(root / "backups/status", last + 3900)
        for name, (tables, rows) in _TABLES.items():
            days = 27 if name == _LONG_AGO else 8
            at = last - days * _DAY_S
            _restored(root / "backups/status", name, at + 40_000, tables, rows, _stamp(at))
    if home.name == "seko":
        note = root / "data/obsidian-vault/Infrastructure/ARCHITECTURE.md"
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text("# Architecture\n")
        at = now - (now - 3600) % _DAY_S
        os.utime(note, (at, at))


def _night(home: Path, backups: Path, at: float, *, redis: bool = True, beat: str = "sent") -> None:
    lines, after = [_line(at, "begun", _stamp(at), "schedule", "-")], at
    for step in _steps(home):
        after += 1
        if step.kind == "redis" and not redis:
            lines.append(
                _line(after, "step", "redis/redis", "failed", 1, 0, "", "Could not connect to Redis at 127.0.0.1:6379")
            )
            continue
        lines.append(_copy(backups, step, at, after))
    reason = "" if beat == "sent" else "HEARTBEAT_URL is not set" if beat == "missing" else "steps that failed: 1"
    lines += [
        _line(after, "heartbeat", "-", beat, reason),
        _line(after, "finished", _stamp(at), "ok" if redis else "failed", 0 if redis else 1),
    ]
    _write(backups / "status/last-run", lines)
    _write(backups / "status/journal", lines)


def _copy(backups: Path, step: _Step, at: float, after: float) -> str:
    """Makes one copy (sparse: its size counts, not its content) and tells the line of it."""
    if not step.stem:
        return _line(after, "step", f"{step.kind}/{step.subject}", "ok", 0, 0, "", "set")
    size = int(step.size * (1 + 0.02 * fraction(f"{step.stem} {_stamp(at)}")))
    path = backups / step.kind / f"{step.stem}-{_stamp(at)}{step.suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"PGDMP" if step.kind == "pg_dump" else b"DEMO!")
    os.truncate(path, size)
    os.utime(path, (after, after))
    return _line(after, "step", f"{step.kind}/{step.subject}", "ok", 1 + size // 20_000_000, size, path.name, "")


def _line(at: float, *cells: object) -> str:
    return "\t".join([_time(at), *map(str, cells)]) + "\n"


def _write(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines))


def _cleanup(status: Path, at: float) -> None:
    lines = [_line(at, "begun", _stamp(at), "schedule"), _line(at, "removed", "-", 13, 178_000_000)]
    _write(status / "cleanup", [*lines, _line(at, "finished", "-", "ok", 0)])


def _restored(status: Path, name: str, at: float, tables: int, rows: int, stamp: str) -> None:
    begun = _line(at, "begun", _stamp(at), "mobuone@laptop", "-", name)
    ended = _line(at + 7, "finished", name, "ok", tables, rows, 7, f"{name}-{stamp}.dump", "")
    _write(status / "restore" / name, [begun, ended])


# ── commands in its containers ───────────────────────────────────────────────────────────────────────────────────────


def command(engine: Engine, container: Doc, argv: Sequence[str]) -> Said | None:
    """Exit status, stdout and stderr; None: it is for others to answer."""
    service = container["labels"].get("com.docker.compose.service", "")
    if service == "postgresql" and argv[:1] == ["psql"] and "FROM pg_database" in argv[-1]:
        return 0, "".join(f"{name}\t{name}\n" for name in databases(engine.home)), ""
    if service == "zerobyte" and argv[:1] == ["bun"]:
        return 0, "".join("\t".join(row) + "\n" for row in _schedules(engine.now())), ""
    if service == "backups" and argv[:1] == ["sh"] and len(argv) > 2:
        job = {"pre-backup.sh": _backup, "restore-test.sh": _restore}.get(argv[1].rpartition("/")[2])
        if job is not None:
            if os.fork() == 0:
                _detached(engine, job, argv[2:])
            return 0, "", ""
    return None


def _schedules(now: float) -> Iterator[tuple[str, ...]]:
    last = int(1000 * (now - (now - 2 * 3600) % _DAY_S))
    for name in ("vpai-postgres", "vpai-redis", "vpai-qdrant", "vpai-n8n", "vpai-configs"):
        yield name, name, "vpai-backups", "1", str(last), "success", "", str(last + 86_400_000), "mounted"


def _detached(engine: Engine, job: object, argv: Sequence[str]) -> None:
    """The job in a process of its own that holds nothing of who asked; it never returns."""
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(null, descriptor)
        status = _root(engine.home) / "backups/status"
        status.mkdir(parents=True, exist_ok=True)
        with (status / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if callable(job):
                job(engine, status, argv)
    finally:
        os._exit(0)


class _Journal:
    """Lines that are told one after the other, and kept at the end."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self._engine, self._path, self.lines = engine, path, list[str]()
        path.write_text("")

    def tell(self, *cells: object, keep: bool = True) -> None:
        line = _line(self._engine.now(), *cells)
        self.lines += [line] if keep else []
        with self._path.open("a") as out:
            out.write(line)


def _backup(engine: Engine, status: Path, argv: Sequence[str]) -> None:
    at, journal = engine.now(), _Journal(engine, status / "journal")
    journal.tell("begun", _stamp(at), argv[0], os.environ.get("TOKEN", "-"))
    for step in _steps(engine.home):
        journal.tell("starting", f"{step.kind}/{step.subject}", "-", keep=False)
        time.sleep(_STEP_S)
        cells = _copy(status.parent, step, at, engine.now()).rstrip("\n").split("\t")
        journal.tell(*cells[1:])
    journal.tell("heartbeat", "-", "sent", "")
    journal.tell("finished", _stamp(at), "ok", 0)
    _write(status / "last-run", journal.lines)


def _restore(engine: Engine, status: Path, argv: Sequence[str]) -> None:
    name, by = argv[0], argv[1] if len(argv) > 1 else "somebody"
    journal = _Journal(engine, status / "journal-restore")
    journal.tell("begun", _stamp(engine.now()), by, os.environ.get("TOKEN", "-"), name)
    dumps = sorted((status.parent / "pg_dump").glob(f"{name}-????????T??????Z.dump"))
    if not dumps:
        journal.tell("finished", name, "failed", 0, 0, 0, "", "there is no dump of it")
    else:
        newest = dumps[-1]
        journal.tell("reading", newest.name, newest.stat().st_size)
        time.sleep(_STEP_S)
        with newest.open("rb") as file:
            damaged = file.read(5) != b"PGDMP"
        if damaged:
            why = "the dump is damaged: pg_restore cannot list the dump"
            journal.tell("finished", name, "failed", 0, 0, 0, newest.name, why)
        else:
            journal.tell("restoring", f"vpai_restore_test_{_stamp(engine.now())}_0badcafe", "-")
            time.sleep(2 * _STEP_S)
            journal.tell("finished", name, "ok", *_TABLES.get(name, (0, 0)), 3, newest.name, "")
    _write(status / "restore" / name, journal.lines)


# ── situations ───────────────────────────────────────────────────────────────────────────────────────────────────────


def play(engine: Engine, word: str) -> bool:
    """Have a situation; whether there is one of that name."""
    if word not in WORDS:
        return False
    home, backups = engine.home, _root(engine.home) / "backups"
    now = engine.now()
    (home / "databases").unlink(missing_ok=True)
    for path in [it for it in backups.rglob("*") if it.is_file() and it.name != "lock"]:
        path.unlink()
    seed(home, now)
    if word in _SCENES:
        _SCENES[word](home, backups, now)
    return True


def _last(now: float) -> float:
    return now - (now - 2 * 3600 + 300) % _DAY_S


def _failed(home: Path, backups: Path, now: float) -> None:
    for path in (backups / "redis").glob(f"*{_stamp(_last(now))}*"):
        path.unlink()
    _night(home, backups, _last(now), redis=False, beat="withheld")


def _silent(home: Path, backups: Path, now: float) -> None:
    _night(home, backups, _last(now), beat="missing")


def _uncovered(home: Path, backups: Path, now: float) -> None:
    (home / "databases").write_text("".join(f"{name}\n" for name in (*_DATABASES, "twenty")))


def _empty(home: Path, backups: Path, now: float) -> None:
    os.truncate(max((backups / "pg_dump").glob("n8n-*")), 0)


def _grown(home: Path, backups: Path, now: float) -> None:
    """Archives that nobody could remove."""
    for day in range(4, 40):
        path = backups / "openclaw" / f"workspace-{_stamp(now - day * _DAY_S)}.tar.gz"
        path.touch()
        os.truncate(path, 143_000_000)
        os.utime(path, (now - day * _DAY_S,) * 2)


def _unrestored(home: Path, backups: Path, now: float) -> None:
    at, why = now - _DAY_S, "the dump does not restore: relation already exists"
    begun = _line(at, "begun", _stamp(at), "mobuone@laptop", "-", "n8n")
    _write(backups / "status/restore/n8n", [begun, _line(at, "finished", "n8n", "failed", 0, 0, 4, "", why)])


def _stale(home: Path, backups: Path, now: float) -> None:
    old, new = _time(_last(now))[:10], _time(_last(now) - 4 * _DAY_S)[:10]
    for path in [it for it in backups.rglob("*") if it.is_file()]:
        at = path.stat().st_mtime - 4 * _DAY_S
        os.utime(path, (at, at))
    path = backups / "status/last-run"
    path.write_text(path.read_text().replace(old, new))


def _interrupted(home: Path, backups: Path, now: float) -> None:
    begun = _line(now - 5000, "begun", _stamp(now - 5000), "schedule", "-")
    _write(backups / "status/journal", [begun, _line(now - 4990, "starting", "pg_dump/litellm", "-")])


_SCENES: dict[str, Callable[[Path, Path, float], None]] = {
    "failed": _failed,
    "silent": _silent,
    "uncovered": _uncovered,
    "empty": _empty,
    "grown": _grown,
    "unrestored": _unrestored,
    "stale": _stale,
    "interrupted": _interrupted,
}
WORDS = ("usual", *_SCENES)
