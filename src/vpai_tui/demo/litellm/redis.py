"""Redis beside the proxy: the two scripts of this client, and what a person types."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Callable, Sequence
from typing import Any

from vpai_tui.demo.litellm.world import HEARTBEAT_S, PREFIX, World

# Lines that only one of the scripts has; the scripts themselves are in budget/counters.py.
_READS = "out.hook_ttl_ms"
_SETS = "local done = was == expected"


def run(world: World, argv: Sequence[str]) -> str:
    """What `redis-cli ARGV` prints."""
    words = list(argv)
    while words and words[0].startswith("-"):
        takes = words[0] in ("-n", "-h", "-p", "-a", "--user", "--pass")
        del words[: 2 if takes else 1]
    if not words:
        return "PONG\n"
    call = _CALLS.get(words[0].upper())
    if call is None:
        return f"(error) ERR unknown command '{words[0]}'\n\n"
    try:
        return call(world, words[1:]) + "\n"
    except IndexError:
        return f"(error) ERR wrong number of arguments for '{words[0].lower()}' command\n\n"


def _eval(world: World, words: list[str]) -> str:
    script, arguments = words[0], words[2:]
    if _READS in script:
        return _json(_read(world, arguments[0], arguments[1:]))
    if _SETS in script:
        return _json(_compare_and_set(world, *arguments[:3]))
    return "(error) ERR Error compiling script: the simulated Redis knows two scripts only"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _read(world: World, prefix: str, days: list[str]) -> dict[str, Any]:
    def known(names: list[str]) -> dict[str, Any]:
        return {name: value for name in names if (value := world.redis(prefix + name)) is not None}

    out = known(["mode", "cap", "hook", "auto"])
    out["hook_ttl_ms"] = int(_left(world, f"{prefix}hook") * 1000) if "hook" in out else -2
    out["now"] = f"{world.now:.6f}"
    # An empty table of Lua is an empty object here.
    out["spend"] = {name.partition(":")[2]: value for name, value in known([f"spend:{it}" for it in days]).items()}
    out["by"] = {name.partition(":")[2]: value for name, value in known([f"by:{it}" for it in days]).items()}
    return out


def _left(world: World, name: str) -> float:
    """Seconds a key has still to live; -1: it stays, -2: it is not there."""
    value = world.redis(name)
    if value is None:
        return -2
    if name == f"{PREFIX}hook" and name not in world.doc["keys"]:
        return float(HEARTBEAT_S - (world.now - json.loads(value)["seen"]))
    _, ends = world.doc["keys"].get(name, ("", None))
    return -1 if ends is None else float(ends - world.now)


def _compare_and_set(world: World, key: str, expected: str, new: str) -> dict[str, Any]:
    was = world.redis(key) or ""
    if was != expected:
        return {"done": False, "was": was}
    if new:
        _put(world, key, new)
    else:
        _drop(world, key)
    return {"done": True, "was": was}


def _put(world: World, key: str, value: str, ends: float | None = None) -> None:
    world.doc["keys"][key] = [value, ends]
    world.settle()


def _drop(world: World, key: str) -> bool:
    """What the callback writes comes back by itself."""
    there = world.redis(key) is not None
    world.doc["keys"].pop(key, None)
    world.settle()
    return there


def _get(world: World, words: list[str]) -> str:
    found = world.redis(words[0]) or ""
    if isinstance(found, dict):
        return "(error) WRONGTYPE Operation against a key holding the wrong kind of value\n"
    return str(found)


def _set(world: World, words: list[str]) -> str:
    key, value, *options = words
    ends = None
    if len(options) > 1 and options[0].upper() == "EX" and options[1].isdigit():
        ends = world.now + int(options[1])
    elif options:
        return "(error) ERR syntax error\n"
    _put(world, key, value, ends)
    return "OK"


def _hgetall(world: World, words: list[str]) -> str:
    found = world.redis(words[0]) or {}
    if not isinstance(found, dict):
        return "(error) WRONGTYPE Operation against a key holding the wrong kind of value\n"
    return "\n".join(part for pair in found.items() for part in pair)


_CALLS: dict[str, Callable[[World, list[str]], str]] = {
    "PING": lambda world, words: "PONG",
    "EVAL": _eval,
    "GET": _get,
    "SET": _set,
    "DEL": lambda world, words: str(sum(_drop(world, name) for name in words)),
    "EXISTS": lambda world, words: str(sum(world.redis(name) is not None for name in words)),
    "TTL": lambda world, words: str(round(_left(world, words[0]))),
    "KEYS": lambda world, words: "\n".join(fnmatch.filter(world.names, words[0])),
    "HGETALL": _hgetall,
}
