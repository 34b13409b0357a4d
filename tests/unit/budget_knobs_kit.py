"""A host with the demo's LiteLLM, Redis and database in memory, for the tests of the knobs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from budget_host import Link
from fleet_things import stack

from vpai_tui import config
from vpai_tui.budget import apply
from vpai_tui.budget.change import Change
from vpai_tui.budget.places import Place, Places
from vpai_tui.budget.reading import Ground, Reader
from vpai_tui.budget.session import Budget, Surface
from vpai_tui.budget.transport import Answer, Request, answers_of
from vpai_tui.demo.litellm import config as demo_config
from vpai_tui.demo.litellm import redis, rest, sql
from vpai_tui.demo.litellm.world import PREFIX, World, fresh
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.history import History
from vpai_tui.fleet.operation import Event, Finished, Journaled

SHIPPED = Path(__file__).parents[2] / "stacks/sese/apps/configs/litellm/litellm_config.yaml"
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()
ENV = {"ECO_FREE_ALIASES": "qwen3-coder,deepseek-v3-free,deepseek-r1-free"}
# A restart loads the file; `bad` in it keeps the proxy from coming back.
ENGINE = """#!/bin/sh
case "$*" in
  restart*) echo r >>{root}/restarts; cp {file} {root}/loaded ;;
  *readiness*) grep -q bad {root}/loaded || echo '[{{"status": 200}}]' ;;
esac
"""


class Host:
    """LiteLLM, Redis and the database as the demo plays them, with the file below a folder; time goes on with each
    question. `redis_says`, `rest_says`: what is answered instead of the truth, or raised."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = root / "configs/litellm_config.yaml"
        self.file.parent.mkdir(parents=True)
        self.file.write_bytes(SHIPPED.read_bytes())
        (root / "loaded").write_bytes(SHIPPED.read_bytes())
        (root / "engine").write_text(ENGINE.format(root=root, file=self.file))
        (root / "engine").chmod(0o755)
        self.link: Any = Link(root)
        self.now = NOON
        self.doc = fresh()
        self.read = b""
        self.load()
        self.version = "1.81.3"
        self.listens = True
        self.environ = dict(ENV)
        self.redis_says: Any = None
        self.asked: list[str] = []
        place = Place("c" * 64, "vpai-litellm-1", "ghcr.io/berriai/litellm:v1.81.3", "running", "vpai", "litellm")
        self.places = Places("sese", "sese/apps", "sese/apps/litellm", place, place, place, config=str(self.file))

    host = "sese"

    def load(self) -> None:
        """What the last start of the proxy read."""
        content = (self.root / "loaded").read_bytes()
        if content != self.read:
            self.read, self.doc["loaded"] = content, demo_config.start(content)

    def world(self) -> World:
        self.now += 1
        self.doc["version"] = self.version
        since = NOON - 86400 if self.listens else None
        world = World(self.doc, self.now, self.environ, listens_since=since, silent_since=NOON - 60)
        world.advance()
        return world

    async def litellm(self, requests: Sequence[Request], *, timeout_s: float = 5.0) -> list[Answer]:
        self.load()
        self.asked += [it.path for it in requests]
        found = rest.ask(self.world(), [[it.method, it.path, it.body] for it in requests])
        return answers_of(json.dumps(found), len(requests), "sese")

    async def redis(self, script: str, *args: str) -> Any:
        if isinstance(self.redis_says, Exception):
            raise self.redis_says
        if callable(self.redis_says):
            self.redis_says(script, args)
        found = json.loads(redis.run(self.world(), ["EVAL", script, "0", *args]))
        if script == apply.READ_LUA:  # lives of other keys than the heartbeat are not among what the demo plays
            _, ends = self.doc["keys"].get(f"{PREFIX}mode", ("", None))
            found["mode_ttl_ms"] = -1 if ends is None else int((ends - self.now) * 1000)
        elif found["done"] and args[2]:
            self.doc["keys"][args[0]][1] = self.now + int(args[3]) / 1000 if args[3] else None
        return found

    async def sql(self, query: str) -> Any:
        status, printed, _ = sql.run(self.world(), query) or (1, "", "")
        if status:
            raise OperatorError("no database", host="sese")
        return json.loads(printed.removeprefix("SET\n"))

    def key(self, name: str) -> str:
        return self.world().key(name)

    def put(self, name: str, value: str, life_s: float | None = None) -> None:
        self.doc["keys"][PREFIX + name] = [value, None if life_s is None else self.now + life_s]

    def life_s(self, name: str) -> float | None:
        """What a key has still to live; None: it stays."""
        ends = self.doc["keys"][PREFIX + name][1]
        return None if ends is None else ends - self.now

    @property
    def filed(self) -> list[str]:
        """The lines of the file that differ from the one that is shipped."""
        pairs = zip(self.file.read_text().splitlines(), SHIPPED.read_text().splitlines(), strict=True)
        return [new.strip() for new, old in pairs if new != old]

    def scene(self, name: str) -> None:
        self.doc["scene"][name] = self.now

    def without_callback(self) -> None:
        """An older stack: the file names no callback of ours."""
        text = self.file.read_text().replace("eco_mode.instance, budget_alerts.instance, ", "")
        self.file.write_text(text)
        (self.root / "loaded").write_text(text)

    # a clock
    def boot_s(self) -> float:
        return self.now


class Stopped:
    """A wall clock that is the host's."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def boot_s(self) -> float:
        return self._host.now

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._host.now, UTC)


def host_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host that every `Budget` made here reads."""
    found = Host(tmp_path / "root")

    async def ground(_: Reader) -> Ground:
        return Ground(found.link, found.places, found)

    monkeypatch.setattr(Reader, "ground", ground)
    monkeypatch.setattr(apply, "_PROOF_PAUSE_S", 0.0)
    return found


def budget_of(host: Host, *, read_only: bool = False) -> Budget:
    fleet = config.Fleet(hosts={"sese": host.link.host})

    async def connection(_: str) -> Any:
        return host.link

    history = History(host.root.parent / "laptop/history.jsonl")
    stacks = [stack("apps", "n8n", "litellm")]
    return Budget(
        Surface(fleet, stacks, connection, connection, Stopped(host), history, host.root.parent / "laptop", read_only)
    )


async def done(budget: Budget, change: Change, *, typed: str = "") -> tuple[list[str], Finished]:
    """What happened, and the end."""
    events: list[Event] = [event async for event in budget.apply(change, typed=typed)]
    assert isinstance(events[-1], Finished)
    return [it.what if isinstance(it, Journaled) else it.name for it in events], events[-1]


def journal(host: Host) -> list[tuple[str, str, str]]:
    entries, bad = History(host.root.parent / "laptop/history.jsonl").read()
    assert not bad
    return [(it.what, it.result, it.detail) for it in entries]
