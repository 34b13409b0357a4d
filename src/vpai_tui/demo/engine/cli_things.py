"""The `docker` commands for images, networks and volumes."""

from __future__ import annotations

import os
import time
from pathlib import Path

from vpai_tui.demo.engine import containers, images, views
from vpai_tui.demo.engine.arguments import CliError, parse
from vpai_tui.demo.engine.cli_common import FORMAT, Command, each, filters_of, formatted, print_each
from vpai_tui.demo.engine.store import Engine, EngineError


def _images(engine: Engine, argv: list[str]) -> int:
    names = {
        **FORMAT,
        "-a": "all",
        "-q": "quiet",
        "--quiet": "quiet",
        "--no-trunc": "no-trunc",
        "--digests": "digests",
    }
    names |= {"-f": "filter=", "--filter": "filter=", "--all": "all"}
    parsed = parse(argv, names)
    rows = []
    for image in engine.read()["images"].values():
        shown = image["id"] if parsed.has("no-trunc") else image["id"][7:19]
        for tagged in image["tags"] or ["<none>:<none>"]:
            repo, _, tag = tagged.rpartition(":")
            row = {"ID": shown, "Repository": repo, "Tag": tag, "Size": f"{image['size'] / 1e6:.0f}MB"}
            digest = next((d.partition("@")[2] for d in image["digests"] if d.startswith(repo + "@")), "<none>")
            rows.append({**row, "Digest": digest, "CreatedAt": views.stamp(image["created"])})
    default = "{{.Repository}}   {{.Tag}}   {{.ID}}   {{.Size}}"
    formatted("{{.ID}}" if parsed.has("quiet") else parsed.one("format", default), rows)
    return 0


def _tag(engine: Engine, argv: list[str]) -> int:
    if len(argv) != 2:
        raise CliError("docker: 'docker tag' requires 2 arguments", 1)
    with engine.change() as state:
        images.tag(state, engine.now(), argv[0], argv[1])
    return 0


def _rmi(engine: Engine, argv: list[str]) -> int:
    parsed = parse(argv, {"-f": "force", "--force": "force", "--no-prune": "no-prune"})

    def one(name: str) -> None:
        with engine.change() as state:
            print("\n".join(images.remove(state, engine.now(), name, force=parsed.has("force"))))

    status = each(parsed.rest, one)
    from vpai_tui.demo.proc import renew_disks

    renew_disks(engine)
    return status


def _pull(engine: Engine, argv: list[str]) -> int:
    parsed = parse(argv, {"-q": "quiet", "--quiet": "quiet", "--platform": "platform="})
    for message, pause_s in images.pull(engine, parsed.rest[0]):
        if not parsed.has("quiet") and message["status"] not in ("Downloading", "Extracting"):
            print((f"{message['id']}: " if "id" in message else "") + message["status"], flush=True)
        time.sleep(pause_s)
    print(parsed.rest[0])
    return 0


def _network_ls(engine: Engine, argv: list[str]) -> int:
    names = {"-q": "quiet", "--quiet": "quiet", "--no-trunc": "no-trunc", "-f": "filter=", "--filter": "filter="}
    parsed = parse(argv, {**names, "--format": "format="})
    filters = filters_of(parsed)
    rows = [
        {"ID": network["id"] if parsed.has("no-trunc") else network["id"][:12], "Name": network["name"]}
        | {"Driver": network["driver"], "Scope": "local"}
        for network in engine.read()["networks"].values()
        if views.matches_network(network, filters)
    ]
    shown = "{{.ID}}" if parsed.has("quiet") else parsed.one("format", "{{.ID}}   {{.Name}}   {{.Driver}}")
    formatted(shown, rows)
    return 0


def _network_create(engine: Engine, argv: list[str]) -> int:
    names = {"-d": "driver=", "--driver": "driver=", "--internal": "internal", "--label": "label="}
    parsed = parse(argv, {**names, "--subnet": "subnet="})
    pairs = (text.partition("=") for text in parsed.all("label"))
    spec = {
        "driver": parsed.one("driver"),
        "internal": parsed.has("internal"),
        "subnet": parsed.one("subnet"),
        "labels": {key: value for key, _, value in pairs},
    }
    with engine.change() as state:
        print(containers.add_network(state, engine.now(), parsed.rest[0], spec)["id"])
    return 0


def _network_rm(engine: Engine, argv: list[str]) -> int:
    def one(name: str) -> None:
        with engine.change() as state:
            containers.remove_network(state, engine.now(), name)
        print(name)

    return each(parse(argv, {"-f": "force", "--force": "force"}).rest, one)


def _network_inspect(engine: Engine, argv: list[str]) -> int:
    parsed = parse(argv, FORMAT)
    state = engine.read()
    shown, missing = [], []
    for name in parsed.rest:
        try:
            shown.append(views.inspect_network(state, containers.need_network(state, name)))
        except EngineError as error:
            missing.append(error.message)
    return print_each(parsed.one("format"), shown, shown, missing, "network")


def _volume(action: str) -> Command:
    def run(engine: Engine, argv: list[str]) -> int:
        parsed = parse(argv, {**FORMAT, "-q": "quiet", "--filter": "filter="})
        volumes = engine.read()["volumes"]
        if action == "ls":
            rows = [{"Driver": "local", "Name": name} for name in volumes]
            formatted("{{.Name}}" if parsed.has("quiet") else parsed.one("format", "{{.Driver}}   {{.Name}}"), rows)
            return 0
        if action == "rm":
            return each(parsed.rest, lambda name: _remove_volume(engine, name))
        shown = [views.inspect_volume(name, volumes[name]) for name in parsed.rest if name in volumes]
        missing = [f"get {name}: no such volume" for name in parsed.rest if name not in volumes]
        return print_each(parsed.one("format"), shown, shown, missing, "volume")

    return run


def _remove_volume(engine: Engine, name: str) -> None:
    with engine.change() as state:
        if name not in state["volumes"]:
            raise EngineError(404, f"get {name}: no such volume")
        users = [c["id"] for c in state["containers"].values() if name in [m["source"] for m in c["mounts"]]]
        if users:
            raise EngineError(409, f"remove {name}: volume is in use - [{', '.join(users)}]")
        del state["volumes"][name]
    print(name)


def _build(engine: Engine, argv: list[str]) -> int:
    names = {"-t": "tag=", "--tag": "tag=", "-f": "file=", "--file": "file=", "--build-arg": "arg=", "-q": "quiet"}
    names |= {
        "--label": "label=",
        "--target": "target=",
        "--progress": "progress=",
        "--pull": "pull",
        "--quiet": "quiet",
    }
    parsed = parse(argv, {**names, "--no-cache": "no-cache", "--platform": "platform=", "--network": "network="})
    context = Path(parsed.rest[0])
    if not context.is_dir():
        raise CliError(f'unable to prepare context: path "{context}" not found', 1)
    recipe = os.path.relpath(parsed.one("file") or context / "Dockerfile", context)
    tags = parsed.all("tag") or ["built:latest"]
    image_id = images.build_to_end(engine, context, recipe, tags[0], [*parsed.all("arg"), parsed.one("target")])
    for extra in tags[1:]:
        with engine.change() as state:
            images.tag(state, engine.now(), image_id, extra)
    if parsed.has("quiet"):
        print(image_id)
    return 0


def _image_inspect(engine: Engine, argv: list[str]) -> int:
    parsed = parse(argv, FORMAT)
    state = engine.read()
    found, missing = [], []
    for name in parsed.rest:
        try:
            found.append(views.inspect_image(state, images.need(state, name)))
        except EngineError as error:
            missing.append(error.message)
    return print_each(parsed.one("format"), found, found, missing, "image")


COMMANDS: dict[str, Command] = {
    "images": _images,
    "image inspect": _image_inspect,
    "image ls": _images,
    "image rm": _rmi,
    "image pull": _pull,
    "image tag": _tag,
    "tag": _tag,
    "rmi": _rmi,
    "pull": _pull,
    "build": _build,
    "network ls": _network_ls,
    "network inspect": _network_inspect,
    "network create": _network_create,
    "network rm": _network_rm,
    "volume ls": _volume("ls"),
    "volume inspect": _volume("inspect"),
    "volume rm": _volume("rm"),
}
