"""The logs on the demo fleet, as an operator types it: past, live over a tail that loses lines, Loki down, pipes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from vpai_tui import cli
from vpai_tui.demo import DemoFleet
from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.model import (
    Backfilled,
    Cause,
    Disconnected,
    Event,
    Gap,
    LinesCame,
    Proof,
    Reconnected,
    TailOpened,
    Uncounted,
    Window,
)
from vpai_tui.logs.pace import Pace
from vpai_tui.world import open_world

pytestmark = pytest.mark.xdist_group("logs-demo")  # one demo for all of them

Run = Callable[..., tuple[int, list[dict[str, Any]], str]]
KEYS = {"schema", "ts", "ts_ns", "host", "stack", "service", "level", "line", "labels", "fields", "mark"}


@pytest.fixture(scope="module")
def demo_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture
def run(demo_dir: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("caddy", "--since", "5m")` → exit code, the rows that were printed, and stderr."""

    def call(*words: str) -> tuple[int, list[dict[str, Any]], str]:
        code = cli.main(["logs", *words, "--demo-dir", str(demo_dir), "--json"])
        told = capsys.readouterr()
        return code, [json.loads(line) for line in told.out.split("\n") if line], told.err

    return call


def faults(demo_dir: Path, **values: Any) -> None:
    path = demo_dir / "loki" / "faults.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


def test_lines_of_a_service_are_json_and_proven(run: Run) -> None:
    code, rows, told = run("caddy", "--since", "10m", "--until", "1m")
    assert code == 0
    assert rows and all(set(row) == KEYS for row in rows)
    assert {(row["host"], row["stack"], row["service"]) for row in rows} == {("sese", "edge", "caddy")}
    stamps = [int(row["ts_ns"]) for row in rows]
    assert stamps == sorted(stamps)
    assert f"{len(rows):,} of {len(rows):,} lines proven" in told


def test_levels_filters_and_limits(run: Run) -> None:
    _, every, _ = run("litellm", "--since", "20m", "--until", "1m")
    code, bad, told = run("litellm", "--since", "20m", "--until", "1m", "--level", "warn")
    assert code == 0 and "of them printed" in told
    assert 0 < len(bad) < len(every)
    assert {"info", "debug"}.isdisjoint(row["level"] for row in bad)
    _, some, told = run("litellm", "--since", "20m", "--until", "1m", "--grep", "200 OK|POST")
    assert some and all("200 OK" in row["line"] or "POST" in row["line"] for row in some)
    assert f"{len(some):,} of {len(some):,} lines proven" in told
    _, few, told = run("litellm", "--since", "20m", "--until", "1m", "--limit", "3")
    assert len(few) == 3 and re.search(r"the newest 3 of \d+ lines", told)
    _, worst, told = run("litellm", "--since", "20m", "--until", "1m", "--level", "warn", "--limit", "2")
    assert 2 <= len(worst) < len(bad) and worst == bad[-len(worst) :]  # a traceback is one, and printed whole
    proven = re.search(r"([\d,]+) of ([\d,]+) lines proven up to \S+; \d+ of them printed", told)
    assert proven is not None and proven[1] == proven[2] and "the newest 2 of warn or worse; read back to" in told


def test_a_stack_a_host_and_everything(run: Run) -> None:
    _, rows, _ = run("sese/apps", "--since", "5m", "--until", "1m")
    assert {(row["host"], row["stack"]) for row in rows} == {("sese", "apps")}
    assert {row["service"] for row in rows} > {"n8n", "litellm", "openclaw", "sure-web"}
    _, rows, _ = run("seko", "--since", "5m", "--until", "1m")
    assert {row["host"] for row in rows} == {"seko"}
    _, rows, _ = run("all", "--since", "3m", "--until", "1m")
    assert {row["host"] for row in rows} == {"sese", "seko"} or len({row["host"] for row in rows}) == 3


def test_a_wrong_query_has_a_caret(run: Run) -> None:
    code, rows, _ = run('{container="x"')
    assert code == 1
    assert rows[0]["error"]["output"].split("\n")[1].index("^") == 14
    assert run("nobody")[0] == 2
    assert run("caddy", "--since", "soon")[0] == 2
    assert run("caddy", "-f", "--until", "1m")[0] == 2
    assert run("caddy", "--since", "1m", "--until", "1h")[0] == 2


def test_where_loki_is_down_the_container_itself_is_read(run: Run, demo_dir: Path) -> None:
    faults(demo_dir, down=True)
    try:
        code, rows, told = run("caddy", "--since", "1h", "--limit", "5")
        assert code == 0
        assert rows and all(set(row) == KEYS for row in rows)
        assert "own log, which nobody counts" in told
        code, rows, _ = run("all")
        assert code == 1 and rows[0]["error"]["host"] == "sese"
    finally:
        faults(demo_dir)


def _following(demo_dir: Path, *words: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "vpai_tui", "logs", *words, "-f", "--demo-dir", str(demo_dir)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)


def test_a_lossy_tail_ends_complete_and_ctrl_c_tells_what_was_proven(demo_dir: Path) -> None:
    faults(demo_dir, lossy=0.5, duplicating=0.3)
    process = _following(demo_dir, "all", "--json", "--since", "1m")
    try:
        assert process.stdout is not None
        rows: list[dict[str, Any]] = []
        recovered: set[str] = set()
        until = time.monotonic() + 120
        while time.monotonic() < until and len(recovered) < 3:
            rows.append(json.loads(process.stdout.readline()))
            if rows[-1].get("mark") == "recovered":
                recovered.add(rows[-1]["ts_ns"])
        assert len(recovered) >= 3, "a tail that loses half of all lines lost none"
        process.send_signal(signal.SIGINT)
        rest, told = process.communicate(timeout=30)
    finally:
        process.kill()
        faults(demo_dir)
    rows += [json.loads(line) for line in rest.split("\n") if line]
    lines = [row for row in rows if "line" in row]
    keys = [(row["ts_ns"], json.dumps(row["labels"]), row["line"]) for row in lines]
    assert len(keys) == len(set(keys))  # none twice
    windows = [row for row in rows if row.get("event") == "window"]
    assert windows and all(set(row) == {"schema", "event", "from", "to", "expected", "proven"} for row in windows)
    assert "lines proven up to" in told and "recovered" in told
    assert process.returncode == 0


def test_a_reader_that_has_enough_ends_it_without_a_complaint(demo_dir: Path) -> None:
    process = _following(demo_dir, "caddy", "--since", "10m")
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=90) == 0
    assert "Error" not in process.stderr.read() and "Traceback" not in process.stderr.read()
    process.stderr.close()


async def test_a_cut_link_is_a_gap_that_is_filled(demo_dir: Path) -> None:
    args = Namespace(demo=True, demo_dir=demo_dir, demo_reset=False, demo_foreign=None, config=None, verb="logs")
    told: list[Event] = []
    proof, buffer = Proof(), Buffer()
    async with open_world(args) as world:
        assert world.demo is not None
        logs = world.logs()
        choice = await logs.choose(logs.target("all"))
        pace = Pace(window_s=2, settle_s=2.5, retry_most_s=1.0, retry_count_s=0.5)
        cut, healed = asyncio.Event(), asyncio.Event()

        async def trouble(demo: DemoFleet) -> None:
            await cut.wait()
            await demo.cut("sese")
            await asyncio.sleep(4)
            await demo.heal("sese")
            healed.set()

        troubling = asyncio.create_task(trouble(world.demo))
        gap_ns = 0
        async with asyncio.timeout(120), aclosing(logs.follow(choice, buffer, lines=50, pace=pace)) as events:
            async for event in events:
                told.append(event)
                if isinstance(event, TailOpened):
                    cut.set()
                if isinstance(event, Gap) and event.missing is None:
                    gap_ns = event.to_ns
                if isinstance(event, Window):
                    proof.add(event)
                    if healed.is_set() and gap_ns and event.to_ns > gap_ns:
                        break
        await troubling
        from_ns = next(event.from_ns for event in told if isinstance(event, Backfilled))
        counted = await logs.link.count(str(choice.query), from_ns, proof.to_ns or 0)
        await logs.close()
    assert proof.complete
    assert 0 <= counted - proof.expected <= 3  # one line in 500 of the demo's comes 20 s late, after its window
    assert any(isinstance(event, Disconnected) and event.cause is Cause.LINK for event in told)
    assert any(isinstance(event, Reconnected) for event in told)
    assert sum(isinstance(event, Uncounted) for event in told) <= 2
    lines = [line.identity for event in told if isinstance(event, LinesCame) for line in event.lines]
    assert len(lines) == len(set(lines))
