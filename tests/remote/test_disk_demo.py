"""`disk` on the demo fleet: what fills it, what nobody needs, and that freed."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vpai_tui import cli
from vpai_tui.clock import SystemClock
from vpai_tui.demo.engine.store import Engine
from vpai_tui.demo.fleet import build

pytestmark = pytest.mark.xdist_group("upkeep-demo")  # one demo for all of them

Run = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def demo_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("disk")
    return build(folder, seed=7, clock=SystemClock(), reset=False)


@pytest.fixture
def run(demo_dir: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("disk", "pi")` → exit code and the JSON that was printed (a list where lines were)."""

    def call(*words: str) -> tuple[int, Any]:
        code = cli.main([*words, "--demo-dir", str(demo_dir), "--json"])
        out = capsys.readouterr().out
        return code, json.loads(out) if out.startswith("{\n") else [json.loads(line) for line in out.splitlines()]

    return call


def test_what_fills_it(run: Run) -> None:
    code, found = run("disk", "sese")
    assert code == 0
    assert list(found) == [
        "schema", "host", "at", "disks", "docker_root", "parts", "images", "volumes", "logs", "notes",
    ]  # fmt: skip
    assert list(found["disks"][0]) == ["mount", "size_bytes", "used_bytes", "available_bytes", "used_percent", "full"]
    full = found["disks"][0]["full"]
    assert (full["source"], full["why"]) == ("victoriametrics", None)
    assert full["per_day_bytes"] > 0
    parts = {it["id"]: it["size_bytes"] for it in found["parts"]}
    assert set(parts) >= {
        "images-used",
        "images-nobody",
        "cache",
        "written",
        "logs",
        "volumes",
        "own",
        "others",
        "nobody",
    }
    assert 0 <= parts["nobody"] < 2 << 30
    assert {it["need"] for it in found["images"]} >= {"container", "release", "nobody"}
    assert found["notes"] == []


def test_a_prune_frees_what_nobody_needs(run: Run, demo_dir: Path) -> None:
    engine = Engine(demo_dir / "sese")
    before = engine.read()
    code, lines = run("disk", "sese", "--prune", "--yes")
    assert (code, [it["event"] for it in lines[:2]]) == (0, ["planned", "runner_started"])
    assert list(lines[0]) == [
        "schema", "event", "host", "older_than_s", "free_bytes", "confirm", "removes", "keeps", "notes",
    ]  # fmt: skip
    gone = {it["image"] for it in lines[0]["removes"] if it["image"]}
    after = engine.read()
    assert len(gone) == 3
    assert set(before["images"]) - set(after["images"]) == gone
    assert after["volumes"] == before["volumes"]
    assert after["containers"].keys() == before["containers"].keys()
    assert len(after["cache"]) < len(before["cache"])
    assert (lines[-1]["event"], lines[-1]["outcome"]) == ("finished", "committed")
    freed = next(it for it in lines if it["event"] == "freed")
    assert freed["after_bytes"] - freed["before_bytes"] > 1_000_000_000
    assert [it["what"] for it in run("history", "--local")[1]["entries"]] == ["disk prune"]
    code, lines = run("disk", "sese", "--prune")
    assert (code, lines[-1]["outcome"]) == (0, "unchanged")


def test_it_is_asked_first_and_refused_under_read_only(run: Run, demo_dir: Path) -> None:
    images = set(Engine(demo_dir / "pi").read()["images"])
    assert run("disk", "pi", "--prune")[0] == 2
    assert run("--read-only", "disk", "pi", "--prune", "--yes")[0] == 2
    assert run("disk", "nowhere")[0] == 2
    assert run("--read-only", "disk", "pi")[0] == 0
    assert set(Engine(demo_dir / "pi").read()["images"]) == images


def test_a_deploy_in_flight_keeps_it_away(run: Run, demo_dir: Path) -> None:
    deploy = demo_dir / "pi/opt/workstation/deploy"
    images = set(Engine(demo_dir / "pi").read()["images"])
    with (deploy / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (deploy / "owner").write_text("pid=1 apply creative by ann since then\n")
        code, lines = run("disk", "pi", "--prune", "--yes")
    assert (code, lines[-1]["error"]["kind"]) == (75, "LockHeld")
    assert "apply creative by ann" in lines[-1]["error"]["message"]
    assert set(Engine(demo_dir / "pi").read()["images"]) == images


async def test_a_link_that_breaks_meanwhile_ends_nothing(tmp_path: Path) -> None:
    from argparse import Namespace

    from vpai_tui.fleet.operation import Finished, Journaled, Outcome
    from vpai_tui.fleet.watch import FleetWatch
    from vpai_tui.upkeep.disk.run import Freed, Removed
    from vpai_tui.upkeep.disk.session import Disks
    from vpai_tui.world import open_world

    async with open_world(Namespace(demo=True, demo_dir=str(tmp_path), demo_reset=False, config=None)) as world:
        watch = FleetWatch(world.fleet, world.stacks, clock=world.clock)
        await watch.start()
        try:
            await watch.settled()
            assert world.demo is not None
            disks = Disks(world.upkeep(watch))
            prune = disks.plan(await disks.look("seko", deep=False))
            told = []
            async for event in disks.prune(prune):
                told.append(event)
                if isinstance(event, Removed) and not any(
                    isinstance(it, Journaled) and it.what == "cut" for it in told
                ):
                    told.append(Journaled(event.at, "cut"))
                    await world.demo.cut("seko")
                    await world.demo.heal("seko")
        finally:
            await watch.stop()
    assert "link_lost" in [it.what for it in told if isinstance(it, Journaled)]
    removed = [it.subject for it in told if isinstance(it, Removed)]
    assert len(removed) == len(set(removed)) == len(prune.items), removed
    assert any(isinstance(it, Freed) for it in told)
    last = told[-1]
    assert isinstance(last, Finished)
    assert last.outcome is Outcome.COMMITTED
