"""The server in its simulated container: started with it, configured by the files that are mounted into it."""

from __future__ import annotations

from pathlib import Path

from vpai_tui.demo.engine import containers
from vpai_tui.demo.engine.store import Doc, Engine
from vpai_tui.demo.headscale import cli, config, rest
from vpai_tui.demo.headscale.state import Store, World, fresh

CONFIG = "/etc/headscale/config.yaml"
FAULT = "fault"  # a file beside the state: while it is there, no other configuration than the last good one starts


def is_headscale(container: Doc) -> bool:
    return str(container["image"]).rpartition(":")[0].endswith("headscale/headscale")


def store_of(engine: Engine) -> Store:
    return Store(engine.home / "headscale" / "state.json", engine.now)


def reader(container: Doc) -> config.Read:
    """Files of the container, through its bind mounts."""

    def read(path: str) -> bytes | None:
        for mount in sorted(container["mounts"], key=lambda it: -len(str(it["target"]))):
            target = str(mount["target"]).rstrip("/")
            if mount["type"] == "bind" and (path == target or path.startswith(target + "/")):
                found = Path(str(mount["source"]) + path[len(target) :])
                return found.read_bytes() if found.is_file() else None
        return None

    return read


def boot(engine: Engine, container: Doc) -> None:
    """Notice that the container was started: read the configuration, or become a container that cannot start."""
    store = store_of(engine)
    stamp = f"{container['id']} {container['started']}"
    if not store.path.exists():
        store.write(fresh(str(container["image"]).rpartition(":")[2]))
    if store.read().doc["booted"] == stamp:
        return
    bad = ""
    with store.change() as world:
        content = reader(container)(CONFIG) or b""
        try:
            loaded = config.start(content, reader(container), lenient=not world.since(27))
            if store.path.with_name(FAULT).exists() and loaded != world.doc["loaded"]:
                raise config.Bad("opening database: disk I/O error")
            world.restart(stamp, loaded, loaded["policy_mode"])
        except config.Bad as error:
            bad = str(error)
            world.doc["booted"] = stamp
    with engine.change() as state:
        known = containers.find(state, container["id"])
        if known is not None and (bad or known["behaviour"] == "crash"):
            known["behaviour"] = "crash" if bad else ""


def command(engine: Engine, container: Doc, argv: list[str]) -> tuple[int, str, str]:
    """`docker exec … headscale ARGV`."""
    with store_of(engine).change() as world:
        return tuple(cli.run(_current(world, container), argv, reader(container)))  # type: ignore[return-value]


def request(
    engine: Engine, container: Doc, method: str, target: str, headers: dict[str, str], body: bytes
) -> rest.Answer:
    """One HTTP exchange."""
    with store_of(engine).change() as world:
        return rest.answer(_current(world, container), method, target, headers, body)


def _current(world: World, container: Doc) -> World:
    """With the records of a watched file as it is now: bad JSON and an empty file change nothing."""
    path = world.doc["loaded"].get("path")
    if path:
        try:
            found = config.file_records(reader(container)(path), path)
        except config.Bad:
            return world
        world.doc["loaded"]["records"] = [[str(it.get(name, "")) for name in ("name", "type", "value")] for it in found]
    return world
