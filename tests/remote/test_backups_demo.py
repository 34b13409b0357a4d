"""Backups on the demo fleet, as an operator types it: the list, a backup now, a restore test, a cut link."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import import_module
from typing import Any

import pytest
import pytest_asyncio

from vpai_tui.cli import _complain
from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.watch import FleetWatch
from vpai_tui.upkeep.backups.session import Backups, JobEnded, LinkWaited, StepEnded
from vpai_tui.verbs.arguments import changes, parse
from vpai_tui.world import World, open_world

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("backups-demo")]

Run = Callable[..., Awaitable[tuple[int, Any]]]
DATABASES = ["kaneo", "litellm", "n8n", "palais", "postgres", "sure"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One demo for all of them."""
    args = parse(["backups", "--demo-dir", str(tmp_path_factory.mktemp("backups"))])
    async with open_world(args) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def run(world: World, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Run]:
    """`await run("backups")` → exit code and the JSON that was printed (a list where lines were)."""

    async def call(*words: str, as_json: bool = True) -> tuple[int, Any]:
        args = parse([*words, "--json"] if as_json else list(words))
        try:
            code = await import_module("vpai_tui.verbs.backups").VERBS["backups"](world, args)
        except OperatorError as error:
            code = error.exit_code
            _complain(error, code, as_json=as_json)
        out = capsys.readouterr().out
        if not as_json:
            return code, out
        return code, json.loads(out) if out.startswith("{\n") else [json.loads(line) for line in out.splitlines()]

    yield call
    assert world.demo is not None
    world.demo.backups("usual")


async def test_the_list_of_a_healthy_fleet(run: Run) -> None:
    code, told = await run("backups")
    assert code == 0, [it for it in told["findings"] if it["standing"] == "error"]
    assert set(told) == {"schema", "hosts", "backups", "findings", "notes"}
    sese = next(it for it in told["hosts"] if it["host"] == "sese")
    assert set(sese) == {
        *("host", "at", "last_run", "running", "interrupted", "heartbeat_configured", "databases", "restore_tests"),
        *("folders", "zerobyte", "notes"),
    }
    assert (sese["databases"], sese["heartbeat_configured"], sese["zerobyte"]) == (DATABASES, True, None)
    assert sese["last_run"]["ok"] is True
    assert set(sese["last_run"]["steps"][0]) == {
        *("kind", "subject", "result", "seconds", "size_bytes", "artefact", "reason"),
    }
    seko = next(it for it in told["hosts"] if it["host"] == "seko")
    assert {job["name"] for job in seko["zerobyte"]} >= {"vpai-postgres", "vpai-redis"}
    row = next(it for it in told["backups"] if it["subject"] == "n8n")
    assert set(row) == {
        *("host", "stack", "kind", "subject", "standing", "newest", "age_s", "size_bytes", "copies", "total_bytes"),
        *("restored_age_s", "why"),
    }
    assert (row["kind"], row["standing"], row["copies"]) == ("pg_dump", "ok", 3)
    assert {it["check"] for it in told["findings"]} == {
        *("pg-dump", "pg-coverage", "backup-steps", "backup-growth", "restore-test", "heartbeat"),
    }
    code, text = await run("backups", as_json=False)
    assert code == 0
    assert "✔ ok  sese  pg_dump n8n" in text
    assert "heartbeat sent" in text


@pytest.mark.parametrize(
    ("scene", "line"),
    [
        ("uncovered", "✖ error  sese  pg_dump twenty"),
        ("stale", "backup-steps the run: the last one ended 4d"),
        ("interrupted", "and was ended in the middle"),
    ],
)
async def test_what_is_red_is_said_and_ends_with_one(run: Run, world: World, scene: str, line: str) -> None:
    assert world.demo is not None
    world.demo.backups(scene)
    code, text = await run("backups", as_json=False)
    assert code == 1
    assert line in text


async def test_a_backup_now(run: Run, world: World) -> None:
    code, error = await run("backups", "run")
    assert (code, error[0]["error"]["message"]) == (2, "nobody can be asked here")
    code, events = await run("backups", "run", "--yes")
    assert code == 0
    assert [it["event"] for it in events if it["event"] not in ("step_begun", "step_ended")] == [
        "begun",
        "heartbeat",
        "finished",
    ]
    assert [it["subject"] for it in events if it["event"] == "step_ended"][:6] == DATABASES
    assert all(set(it) >= {"schema", "event", "at"} for it in events)
    found, _ = world.history.read()
    assert (found[-1].what, found[-1].subject, found[-1].result) == ("backup", "sese/backups", "done")
    _, told = await run("backups")
    assert next(it for it in told["backups"] if it["subject"] == "n8n")["copies"] == 4


async def test_a_restore_test_and_one_of_a_damaged_dump(run: Run, world: World) -> None:
    code, events = await run("backups", "restore-test", "sure", "--yes")
    assert code == 0
    test = events[-1]["restore_test"]
    assert (test["database"], test["result"], test["tables"], test["rows"]) == ("sure", "ok", 68, 40117)
    code, error = await run("backups", "restore-test", "nothing", "--yes")
    assert (code, error[0]["error"]["remedy"]) == (78, f"known: {', '.join(DATABASES)}")
    assert world.demo is not None
    newest = max((world.demo.root("sese") / "backups/pg_dump").glob("n8n-*"))
    newest.write_bytes(b"PG")
    code, events = await run("backups", "restore-test", "n8n", "--yes")
    assert code == 1
    assert "the dump is damaged" in events[-1]["reason"]
    found, _ = world.history.read()
    assert found[-1].result.startswith("failed: the dump is damaged")


async def test_a_run_goes_on_while_the_link_is_cut(world: World) -> None:
    assert world.demo is not None
    watch = FleetWatch(world.fleet, world.stacks, clock=world.clock)
    await watch.start()
    try:
        await watch.settled()
        backups, events = Backups(world.upkeep(watch)), []

        async def connection(host: str) -> Any:
            return await watch.connected(host, 30.0)

        object.__setattr__(backups._surface, "connection", connection)
        async for event in backups.run():
            events.append(event)
            if isinstance(event, StepEnded) and sum(isinstance(it, StepEnded) for it in events) == 2:
                await world.demo.cut("sese")
                asyncio.get_running_loop().call_later(0.5, lambda: asyncio.ensure_future(world.demo.heal("sese")))  # type: ignore[union-attr]
        assert any(isinstance(it, LinkWaited) for it in events)
        assert isinstance(events[-1], JobEnded)
        assert events[-1].ok
        steps = [it.step.subject for it in events if isinstance(it, StepEnded)]
        assert len(steps) == len(set(steps)) == 14, "none twice, none missing"
    finally:
        await watch.stop()


async def test_what_does_not_run_or_may_not_be_changed(run: Run, world: World) -> None:
    assert not changes(parse(["backups"]))
    assert changes(parse(["backups", "run"]))
    watch = FleetWatch(world.fleet, world.stacks, clock=world.clock)
    backups = Backups(world.upkeep(watch, read_only=True))
    for call in (backups.refuse_unfit(), anext(backups.run()), anext(backups.restore_test("n8n"))):
        with pytest.raises(UsageError, match="read-only"):
            await call
