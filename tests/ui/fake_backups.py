"""Backups as the screens see them: two hosts that answer, each situation a small change of the healthy one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.stackspec import Fresh
from vpai_tui.upkeep.backups.model import Copy, Database, HostBackups, Job, Kept
from vpai_tui.upkeep.backups.record import Cleanup, Heartbeat, RestoreTest, Run, Step
from vpai_tui.upkeep.backups.session import Event, HeartbeatTold, JobBegun, JobEnded, StepBegun, StepEnded, Unreached

NOW_S = 1_772_100_000.0  # 2026-02-26T10:00:00Z
_AT = NOW_S - 8.08 * 3600
_DAY_S = 86400.0
_DAY = 93600.0
_SIZES = {"kaneo": 412_000, "litellm": 38_400_000, "n8n": 9_100_000, "palais": 1_300_000, "sure": 5_200_000}


def kept(folder: str, suffix: str, sizes: dict[str, int], stack: str = "sese/backups", dump_of: str = "") -> Kept:
    copies = [
        Copy(f"backups/{folder}/{name}-2026022{6 - night}T015500Z{suffix}", _AT - night * _DAY_S, count - night * 900)
        for night in range(3)
        for name, count in sizes.items()
    ]
    entry = Fresh(glob=f"backups/{folder}/*{suffix}", max_age_s=_DAY, dump_of=dump_of or None)
    return Kept(stack, entry, tuple(copies), len(copies))


def step(kind: str, subject: str, size: int, suffix: str = ".dump") -> Step:
    return Step(kind, subject, "ok", 1 + size // 9_000_000, size, f"{subject}-20260226T015500Z{suffix}", "")


def healthy() -> HostBackups:
    steps = [step("pg_dump", name, size) for name, size in _SIZES.items()]
    steps += [
        Step("redis", "redis", "ok", 1, 2_300_000, "dump-20260226T015500Z.rdb", ""),
        step("qdrant", "content_index", 71_000_000, ".snapshot"),
        step("n8n", "workflows", 640_000, ".json"),
        Step("n8n", "encryption key", "ok", 0, 0, "", "set"),
        step("grafana", "dashboards", 88_000, ".tar.gz"),
        Step("openclaw", "workspace", "none", 0, 0, "", "no workspace yet"),
    ]
    run = Run(
        "20260226T015500Z",
        "schedule",
        "2026-02-26T01:55:00Z",
        "2026-02-26T01:55:41Z",
        tuple(steps),
        Heartbeat("sent", ""),
    )
    tests = {
        name: RestoreTest(
            name, "2026-02-18T09:14:00Z", "ok", 14 + at, 318 * (at + 1), 7, f"{name}-20260218T015500Z.dump", ""
        )
        for at, name in enumerate(_SIZES)
    }
    return HostBackups(
        "sese",
        0.0,
        NOW_S,
        (
            kept("pg_dump", ".dump", _SIZES, "sese/infra", "postgresql"),
            kept("redis", ".rdb", {"dump": 2_300_000}, "sese/infra", "redis"),
            kept("qdrant", ".snapshot", {"content_index": 71_000_000}, "sese/infra", "qdrant"),
            kept("n8n", ".json", {"workflows": 640_000}),
            kept("grafana", ".tar.gz", {"dashboards": 88_000}),
        ),
        "sese/backups",
        "sese/backups/backups",
        run=run,
        cleanup=Cleanup("2026-02-26T03:00:01Z", 13, 178_000_000, ()),
        restores=tests,
        databases=tuple(Database(name, name) for name in _SIZES),
        heartbeat_set=True,
        keep_days=3,
    )


def trouble() -> HostBackups:
    """Redis failed, a database has no dump, one was never restored, no heartbeat."""
    found = healthy()
    assert found.run is not None
    failed = Step(
        "redis", "redis", "failed", 1, 0, "", "Could not connect to Redis at 127.0.0.1:6379: Connection refused"
    )
    steps = tuple(failed if it.kind == "redis" else it for it in found.run.steps)
    run = replace(found.run, steps=steps, heartbeat=Heartbeat("withheld", "steps that failed: 1"))
    databases = (*(found.databases or ()), Database("twenty", "twenty"))
    restores = {name: test for name, test in found.restores.items() if name != "kaneo"}
    old = tuple(
        replace(it, copies=tuple(replace(copy, at_s=copy.at_s - _DAY_S) for copy in it.copies))
        if "redis" in it.folder
        else it
        for it in found.kept
    )
    return replace(found, run=run, databases=databases, restores=restores, kept=old)


def seko() -> HostBackups:
    note = Copy("data/obsidian-vault/n8n/index.md", NOW_S - 9 * 3600, 4_000)
    entry = Fresh(glob="data/obsidian-vault/*/*.md", max_age_s=_DAY)
    jobs = (
        Job("vpai-postgres", "vpai-postgres", "vpai-backups", True, NOW_S - 7 * 3600, "success", ""),
        Job("vpai-redis", "vpai-redis", "vpai-backups", True, NOW_S - 7 * 3600, "success", ""),
    )
    return HostBackups("seko", 0.0, NOW_S, (Kept("seko/services", entry, (note,), 1),), "", jobs=jobs)


class FakeBackups:
    """`told` is what a look finds, or the error it ends with; `events` what a job tells."""

    def __init__(self) -> None:
        self.told: tuple[HostBackups | Unreached, ...] | OperatorError = (seko(), healthy())
        self.asked: list[tuple[str, ...]] = []
        self.refusal: OperatorError | None = None
        self.held = asyncio.Event()
        self.held.set()

    async def look_all(self) -> tuple[HostBackups | Unreached, ...]:
        self.asked.append(("look",))
        if isinstance(self.told, OperatorError):
            raise self.told
        return self.told

    async def refuse_unfit(self, database: str | None = None) -> HostBackups:
        self.asked.append(("unfit", database or ""))
        if self.refusal is not None:
            raise self.refusal
        return healthy()

    async def run(self) -> AsyncIterator[Event]:
        self.asked.append(("run",))
        yield JobBegun("2026-02-26T10:00:01Z", "backup", "sese/backups")
        yield StepEnded("2026-02-26T10:00:02Z", step("pg_dump", "kaneo", 412_000))
        yield StepBegun("2026-02-26T10:00:02Z", "pg_dump/litellm")
        await self.held.wait()
        yield HeartbeatTold("2026-02-26T10:00:09Z", Heartbeat("sent", ""))
        yield JobEnded("2026-02-26T10:00:09Z", True, "")

    async def restore_test(self, database: str) -> AsyncIterator[Event]:
        self.asked.append(("restore", database))
        yield JobBegun("2026-02-26T10:00:01Z", "restore test", database)
        yield JobEnded("2026-02-26T10:00:09Z", False, "the dump is damaged: pg_restore cannot list the dump")
