"""The server's command line, with the manners of `-o json`: null for no list, exit 0 for a delete that failed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from vpai_tui.demo.headscale import config, rest, shapes, things
from vpai_tui.demo.headscale.state import Fail, S, World

_SPAN = re.compile(r"(\d+)(ms|[smhdwy])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000, "ms": 0.001}
_SHORT = {"-o": "--output", "-i": "--identifier", "-u": "--user", "-k": "--key", "-e": "--expiration", "-p": "--prefix"}
_SHORT |= {"-c": "--config", "-t": "--tags", "-r": "--routes", "-n": "--name"}
_BARE = ("--force", "--reusable", "--ephemeral", "--disable", "-d")
_COLOUR = "\x1b[36m"


class Said(NamedTuple):
    """Exit status, stdout, stderr."""

    status: int
    out: str = ""
    err: str = ""


class Words:
    """Command words and options of one call."""

    def __init__(self, argv: list[str]) -> None:
        self.words: list[str] = []
        self.options: dict[str, str] = {}
        at = 0
        while at < len(argv):
            word = argv[at]
            at += 1
            name, equals, value = word.partition("=")
            name = _SHORT.get(name, name)
            if not word.startswith("-"):
                self.words.append(word)
            elif equals:
                self.options[name] = value
            elif name in _BARE:
                self.options[name] = "true"
            else:
                self.options[name] = argv[at] if at < len(argv) else ""
                at += 1
        self.machine = "json" in argv  # an exact word: only that switches the update check off

    @property
    def json(self) -> bool:
        return self.options.get("--output", "") in ("json", "json-line")

    @property
    def third(self) -> str:
        """What stands behind the two words of a command."""
        return self.words[2] if len(self.words) > 2 else ""

    def number(self, name: str) -> int:
        text = self.options.get(name, "0")
        return int(text) if text.isdigit() else 0

    def list(self, name: str) -> list[str]:
        return [it for it in self.options.get(name, "").split(",") if it]


def span_ns(text: str) -> int:
    """`90d` in nanoseconds."""
    return int(sum(float(number) * _SECONDS[unit] for number, unit in _SPAN.findall(text)) * S)


def run(world: World, argv: list[str], read: config.Read) -> Said:
    """`headscale ARGV…`; `read` gives files of the container."""
    words = Words(argv)
    name = " ".join(words.words[:2])
    if words.words[:1] == ["version"]:
        return _version(world, words)
    if words.words[:1] == ["configtest"]:
        return _configtest(words, read)
    call = _CALLS.get(name)
    if call is None:
        return Said(1, "", f'Error: unknown command "{name}" for "headscale"\n')
    try:
        return call(world, words)
    except Fail as error:
        if not words.json:
            return Said(1, "", f"{_COLOUR}{error.message}\n")
        codes = {2: "Unknown", 3: "InvalidArgument", 5: "NotFound", 13: "Internal"}
        told = f"rpc error: code = {codes.get(error.code, 'Unknown')} desc = {error.message}"
        return Said(1, "", _document({"error": told}))


def _document(value: Any) -> str:
    return json.dumps(value, indent="\t", ensure_ascii=False) + "\n"


def _show(words: Words, value: Any, text: str = "") -> Said:
    if words.json:
        return Said(0, _document(shapes.for_cli(value)))
    return Said(0, f"{_COLOUR}{text}\x1b[0m\n")


def _rows(words: Words, rows: list[Any]) -> Said:
    """A bare list; an empty one is null."""
    if words.json and not rows:
        return Said(0, "null\n")
    return _show(words, rows, "ID | Name")


def _version(world: World, words: Words) -> Said:
    if not world.since(27):
        if words.options:
            return Said(1, "", "Error: unknown shorthand flag: 'o' in -o\n")
        return Said(0, f"{world.doc['version']}\n")
    version, commit, built = rest.build_of(world)
    if words.json:
        go = {"version": "go1.26.8", "os": "linux", "arch": "amd64"}
        return Said(0, _document({"version": version, "commit": commit, "buildTime": built, "go": go, "dirty": False}))
    return Said(0, f"headscale version {version}\ncommit: {commit}\nbuild time: {built}\n\n")


def _configtest(words: Words, read: config.Read) -> Said:
    path = words.options.get("--config", "/etc/headscale/config.yaml")
    content = read(path)
    if content is None:
        return Said(
            1,
            "",
            f'FTL Error initializing error="loading configuration: fatal error reading config file: open {path}"\n',
        )
    try:
        config.load(content)
    except config.Bad as error:
        return Said(1, "", f'FTL cmd/headscale/cli/configtest.go:19 > Error initializing error="{error}"\n')
    return Said(0, "", "INF Opening database database=sqlite3 path=/var/lib/headscale/db.sqlite\n")


def _users(world: World, words: Words) -> Said:
    return _rows(words, [shapes.user(it) for it in world.doc["users"]])


def _create_user(world: World, words: Words) -> Said:
    return _show(words, shapes.user(things.create_user(world, words.third)), "User created")


def _destroy_user(world: World, words: Words) -> Said:
    id_ = words.number("--identifier")
    world.user(id_)
    if "--force" not in words.options:
        return Said(0, "\x1b[0;33mDo you want to remove the user?\n")
    things.delete_user(world, id_)
    return _show(words, {}, "User destroyed")


def _nodes(world: World, words: Words) -> Said:
    nodes = world.doc["nodes"]
    if name := words.options.get("--user"):
        user = world.user_called(name)
        nodes = [it for it in nodes if it["user"] == user["id"]]
    return _rows(words, [shapes.node(world, it, listed=True) for it in sorted(nodes, key=lambda it: int(it["id"]))])


def _of_node(do: Callable[[World, int, Words], Any]) -> Callable[[World, Words], Said]:
    def call(world: World, words: Words) -> Said:
        node = do(world, words.number("--identifier"), words)
        return _show(words, shapes.node(world, node, listed=False), "Node changed")

    return call


def _delete_node(world: World, words: Words) -> Said:
    id_ = words.number("--identifier")
    things.need_node(world, id_, *((404, 5, "node not found") if world.since(27) else ()))
    if "--force" not in words.options:
        if not world.since(27):
            return Said(0, "\x1b[0;33mDo you want to remove the node?\n")
        return Said(0, _document({"Result": "Node not deleted"}), "Do you want to remove the node? [y/n] ")
    if world.doc["locked"]:
        return Said(0, "null\n")  # it prints before it looks at the error
    things.delete(world, id_)
    return _show(words, {}, "Node deleted")


def _register(world: World, words: Words) -> Said:
    node = things.register(world, words.options.get("--user", ""), words.options.get("--key", ""))
    return _show(words, shapes.node(world, node, listed=False), "Node registered")


def _keys(world: World, words: Words) -> Said:
    if world.since(28) and "--user" in words.options:
        return Said(1, "", "Error: unknown shorthand flag: 'u' in -u\n")
    user = None if world.since(28) else words.number("--user")
    return _rows(words, [shapes.key(world, it) for it in things.keys_of(world, user)])


def _create_key(world: World, words: Words) -> Said:
    made = things.create_key(
        world,
        words.number("--user"),
        reusable="--reusable" in words.options,
        ephemeral="--ephemeral" in words.options,
        expiration=world.now + span_ns(words.options.get("--expiration", "1h")),
        tags=words.list("--tags"),
    )
    return _show(words, shapes.key(world, made, whole=True), made["key"])


def _api_keys(world: World, words: Words) -> Said:
    return _rows(words, [shapes.api_key(world, it) for it in world.doc["apis"]])


def _create_api_key(world: World, words: Words) -> Said:
    made = things.create_api_key(world, world.now + span_ns(words.options.get("--expiration", "90d")))
    return Said(0, _document(made) if words.json else f"{made}\n")


def _delete_api_key(world: World, words: Words) -> Said:
    world.doc["apis"].remove(things.api_key(world, words.options.get("--prefix", "")))
    return _show(words, {}, "Key deleted")


def _expire_api_key(world: World, words: Words) -> Said:
    things.api_key(world, words.options.get("--prefix", ""))["expiration"] = world.now
    return _show(words, {}, "Key expired")


def _debug_node(world: World, words: Words) -> Said:
    world.user_called(words.options.get("--user", ""))
    things.check_registration_id(world, words.options.get("--key", ""))
    routes = words.list("--route") or words.list("--routes")
    made = things.wait_for(world, words.options.get("--key", ""), words.options.get("--name", ""), routes)
    return _show(words, shapes.node(world, made, listed=False), "Node created")


_CALLS: dict[str, Callable[[World, Words], Said]] = {
    "users list": _users,
    "users create": _create_user,
    "users destroy": _destroy_user,
    "users rename": lambda world, words: _show(
        words, shapes.user(things.rename_user(world, words.number("--identifier"), words.options.get("--routes", "")))
    ),
    "nodes list": _nodes,
    "nodes delete": _delete_node,
    "nodes register": _register,
    "nodes rename": _of_node(lambda world, id_, words: things.rename(world, id_, words.third)),
    "nodes expire": _of_node(lambda world, id_, _words: things.expire(world, id_, None)),
    "nodes tag": _of_node(lambda world, id_, words: things.set_tags(world, id_, words.list("--tags"))),
    "nodes approve-routes": _of_node(lambda world, id_, words: things.approve(world, id_, words.list("--routes"))),
    "nodes move": _of_node(lambda world, id_, words: things.move(world, id_, words.number("--user"))),
    "preauthkeys list": _keys,
    "preauthkeys create": _create_key,
    "apikeys list": _api_keys,
    "apikeys create": _create_api_key,
    "apikeys delete": _delete_api_key,
    "apikeys expire": _expire_api_key,
    "debug create-node": _debug_node,
}
