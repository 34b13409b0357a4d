"""The proxy in its simulated container, with Redis and PostgreSQL beside it."""

from __future__ import annotations

import ast
import fcntl
import json
import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from vpai_tui.demo.engine import containers
from vpai_tui.demo.engine.life import life
from vpai_tui.demo.engine.store import Doc, Engine
from vpai_tui.demo.headscale.box import reader
from vpai_tui.demo.litellm import config, redis, rest, sql
from vpai_tui.demo.litellm.hook import kind_of
from vpai_tui.demo.litellm.world import World, fresh

Said = tuple[int, str, str]  # exit status, stdout, stderr

_START_S = 2.0  # between the start of the container and the first answer


def command(engine: Engine, kind: str, argv: Sequence[str]) -> Said | None:
    """`docker exec` in the proxy (`litellm`), `redis` or `postgres`; None: it is none of this module's business."""
    words = _unwrapped(argv)
    if words is None or _proxy(engine) is None:
        return None
    return {"litellm": _python, "redis": _redis_cli, "postgres": _psql}[kind](engine, words)


def _unwrapped(argv: Sequence[str]) -> list[str] | None:
    """The command's words, without the shell that this client wraps around it. None: there is no such command."""
    if len(argv) > 3 and argv[0] == "sh" and argv[1] == "-c" and argv[2].endswith('exec redis-cli "$@"'):
        return ["redis-cli", *argv[4:]]
    if len(argv) == 5 and argv[0] == "sh" and argv[1] == "-c" and argv[2].startswith("exec psql "):
        return ["psql", "-c", argv[4]]
    if len(argv) == 3 and argv[0] == "sh" and argv[1] == "-c" and argv[2].startswith(("redis-cli ", "psql ")):
        return shlex.split(argv[2])
    return list(argv) if argv else None


def _python(engine: Engine, words: list[str]) -> Said | None:
    """`budget/ask.py`, known by what it prints in the end."""
    if words[:2] != ["python3", "-c"] or len(words) != 4 or "x-litellm-" not in words[2]:
        return None
    try:
        requests = json.loads(words[3])["requests"]
    except (ValueError, KeyError, TypeError) as error:
        return 1, "", f"Traceback (most recent call last):\n{type(error).__name__}: {error}\n"
    with change(engine) as world:
        return 0, json.dumps(rest.ask(world, requests)) + "\n", ""


def _redis_cli(engine: Engine, words: list[str]) -> Said | None:
    if words[0] != "redis-cli":
        return None
    with change(engine) as world:
        return 0, redis.run(world, words[1:]), ""


def _psql(engine: Engine, words: list[str]) -> Said | None:
    if words[0] != "psql" or "-c" not in words:
        return None
    query = words[words.index("-c") + 1] if words[-1] != "-c" else ""
    with change(engine) as world:
        return sql.run(world, query)


# ── the state ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _proxy(engine: Engine) -> Doc | None:
    found = (it for it in engine.read()["containers"].values() if kind_of(it) == "litellm")
    return next(found, None)


@contextmanager
def _locked(engine: Engine) -> Iterator[Doc]:
    path = engine.home / "litellm" / "state.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name("lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        doc = json.loads(path.read_bytes()) if path.exists() else fresh()
        yield doc
        new = path.with_name(f"state.{os.getpid()}.new")
        new.write_text(json.dumps(doc, separators=(",", ":")))
        new.replace(path)


@contextmanager
def change(engine: Engine) -> Iterator[World]:
    """The proxy as it is now, under the lock; what changes is kept."""
    with _locked(engine) as doc:
        world = _world(engine, doc)
        world.advance()
        yield world


def _world(engine: Engine, doc: Doc) -> World:
    now, known = engine.now(), engine.read()["containers"].values()
    proxy = next(it for it in known if kind_of(it) == "litellm")
    seen, down = life(proxy, now), doc["scene"]["down"]
    listens = seen.started_at + _START_S
    answers = seen.status == "running" and listens <= now and not down
    return World(
        doc,
        now,
        dict(entry.partition("=")[::2] for entry in proxy["env"]),
        listens_since=listens if answers else None,
        silent_since=down or seen.finished_at or seen.started_at,
        database=any(kind_of(it) == "postgres" and life(it, now).status == "running" for it in known),
    )


def boot(engine: Engine) -> None:
    """Notice that the proxy was started: it reads its configuration, or goes down again where something is broken."""
    proxy = _proxy(engine)
    if proxy is None or proxy["started"] is None:
        return
    stamp = f"{proxy['id']} {proxy['started']}"
    with _locked(engine) as doc:
        if doc["booted"] == stamp:
            return
        loaded = _loaded(proxy)
        doc.update(booted=stamp, loaded=loaded or doc["loaded"], past={})
        doc["version"] = str(proxy["image"]).rpartition(":")[2].removeprefix("v").partition("-")[0]
    if (loaded is None) != (proxy["behaviour"] == "crash"):
        with engine.change() as state:
            known = containers.find(state, proxy["id"])
            if known is not None:
                known["behaviour"] = "crash" if loaded is None else ""


def _loaded(proxy: Doc) -> Doc | None:
    """Its configuration, with the callbacks that it names; None: it cannot start with that."""
    read = reader(proxy)
    words = [str(it) for it in proxy["cmd"]]
    path = words[words.index("--config") + 1] if "--config" in words[:-1] else "/app/config.yaml"
    content = read(path)
    if content is None:
        return {**fresh()["loaded"]}  # the image's own, without models
    try:
        loaded = config.start(content)
        for name in loaded["callbacks"]:
            if "." in name:
                ast.parse(read(f"{path.rpartition('/')[0]}/{name.partition('.')[0]}.py") or b"(")
    except (ValueError, SyntaxError):
        return None
    return loaded
