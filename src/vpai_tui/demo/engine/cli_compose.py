"""The `docker compose` command of a simulated host."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from vpai_tui.demo.engine import compose_up, containers, views
from vpai_tui.demo.engine.arguments import CliError, Parsed, parse
from vpai_tui.demo.engine.cli_common import formatted
from vpai_tui.demo.engine.compose_env import ComposeError
from vpai_tui.demo.engine.compose_load import Project, Source, config_hash, load
from vpai_tui.demo.engine.inside import answer
from vpai_tui.demo.engine.life import life
from vpai_tui.demo.engine.store import Doc, Engine, EngineError, hex_of
from vpai_tui.demo.engine.templates import to_json

_GLOBAL = {
    "-f": "file=",
    "--file": "file=",
    "-p": "project=",
    "--project-name": "project=",
    "--project-directory": "directory=",
    "--profile": "profile=",
    "--ansi": "ansi=",
    "--progress": "progress=",
    "--env-file": "env-file=",
    "--compatibility": "compatibility",
    "--dry-run": "dry-run",
}
_DEFAULT_FILES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_UP = {
    "-d": "detach",
    "--detach": "detach",
    "--no-deps": "no-deps",
    "--no-build": "no-build",
    "--build": "build",
    "--pull": "pull=",
    "--force-recreate": "force",
    "--no-start": "no-start",
    "-y": "yes",
    "--quiet-pull": "quiet-pull",
    "--no-recreate": "no-recreate",
    "-t": "timeout=",
    "--timeout": "timeout=",
}


def main(engine: Engine, argv: list[str]) -> int:
    """Run one `docker compose` command line; its exit status. Failures are said on stderr as Compose says them."""
    try:
        top = parse(argv, _GLOBAL, interspersed=False)
        if not top.rest:
            raise CliError("Usage:  docker compose [OPTIONS] COMMAND", 1)
        word, rest = top.rest[0], top.rest[1:]
        if word == "version":
            return _version(rest)
        if word not in _COMMANDS:
            raise CliError(f'unknown docker command: "compose {word}"', 1)
        return _COMMANDS[word](engine, top, rest)
    except ComposeError as error:
        sys.stderr.write(f"{error}\n")
    except EngineError as error:
        sys.stderr.write(f"Error response from daemon: {error.message}\n")
    return 1


def _version(argv: list[str]) -> int:
    parsed = parse(argv, {"--short": "short", "-f": "format=", "--format": "format="})
    if parsed.has("short"):
        print(views.COMPOSE_VERSION)
    elif parsed.one("format") == "json":
        print(to_json({"version": "v" + views.COMPOSE_VERSION}))
    else:
        print(f"Docker Compose version v{views.COMPOSE_VERSION}")
    return 0


def _source(top: Parsed) -> Source:
    files = top.all("file")
    directory = top.one("directory")
    if not files:
        base = Path(directory or ".")
        files = [str(base / name) for name in _DEFAULT_FILES if (base / name).exists()][:1]
        if not files:
            raise ComposeError("no configuration file provided: not found")
    if not directory:
        directory = "." if files[0] == "-" else str(Path(files[0]).parent)
    stdin = sys.stdin.read() if "-" in files else ""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("COMPOSE_")}
    where = Path(os.path.abspath(directory))  # noqa: PTH100 (not resolved: links stay as the caller wrote them)
    return Source(files, where, top.one("project"), top.all("profile"), environ, stdin)


def _config(engine: Engine, top: Parsed, argv: list[str]) -> int:
    names = {"-q": "quiet", "--quiet": "quiet", "--format": "format=", "--no-interpolate": "no-interpolate"}
    names |= {"--hash": "hash=", "--services": "services", "--images": "images", "--no-normalize": "no-normalize"}
    parsed = parse(argv, {**names, "--no-consistency": "no-consistency", "--volumes": "volumes"})
    raw = parsed.has("no-interpolate")
    hashing = bool(parsed.one("hash"))
    # `--hash` looks at the files without their env_file: real Compose then finds another hash than its own label.
    project = load(_source(top), interpolate=not raw, environment=not raw and not hashing)
    wanted = [name for name in parsed.rest if name]
    for name in wanted:
        if name not in project.services:
            raise ComposeError(f"no such service: {name}")
    if parsed.has("quiet"):
        return 0
    if hashing:
        return _hashes(project, parsed.one("hash"))
    if parsed.has("services") or parsed.has("images") or parsed.has("volumes"):
        key = next(key for key in ("services", "images", "volumes") if parsed.has(key))
        images = [str(service["image"]) for service in project.services.values()]
        print("\n".join({"services": list(project.services), "images": images, "volumes": list(project.volumes)}[key]))
        return 0
    document = project.document(escape=not raw)
    if wanted:
        document["services"] = {name: document["services"][name] for name in wanted}
    _print(document, parsed.one("format", "yaml"))
    return 0


def _print(document: Doc, form: str) -> None:
    if form == "json":
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return
    import yaml

    sys.stdout.write(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


def _hashes(project: Project, wanted: str) -> int:
    names = list(project.services) if wanted == "*" else wanted.split(",")
    for name in names:
        if name not in project.services:
            raise ComposeError(f"no such service: {name}")
        print(f"{name} {config_hash(project.services[name])}")
    return 0


def _up(engine: Engine, top: Parsed, argv: list[str]) -> int:
    parsed = parse(argv, _UP)
    project = load(_source(top))
    up = compose_up.Up(
        engine,
        project,
        pull=parsed.one("pull", "missing"),
        build=not parsed.has("no-build"),
        force=parsed.has("force"),
        deps=not parsed.has("no-deps"),
    )
    up.run(parsed.rest, start=not parsed.has("no-start"))
    return 0


def _create(engine: Engine, top: Parsed, argv: list[str]) -> int:
    return _up(engine, top, [*argv, "--no-start"])


def _rm(engine: Engine, top: Parsed, argv: list[str]) -> int:
    names = {"-s": "stop", "--stop": "stop", "-f": "force", "--force": "force", "-v": "volumes"}
    parsed = parse(argv, names)
    project = load(_source(top), environment=False)
    compose_up.each(engine, project.name, _named(project, parsed), "rm", stop=parsed.has("stop"))
    return 0


def _run(engine: Engine, top: Parsed, argv: list[str]) -> int:
    """A one-off container: made, asked at once what `docker exec` would be, and removed."""
    names = {"--rm": "rm", "--no-deps": "no-deps", "-T": "no-tty", "-l": "label=", "--label": "label="}
    names |= {"-e": "env=", "--env": "env=", "--entrypoint": "entrypoint=", "--name": "name="}
    parsed = parse(argv, names, interspersed=False)
    project = load(_source(top))
    name, *command = parsed.rest
    service = project.services.get(name)
    if service is None:
        raise ComposeError(f"no such service: {name}")
    title = parsed.one("name") or f"{project.name}-{name}-run-{hex_of(f'{name} {engine.now()}')[:12]}"
    body = {**service, "ports": [], "restart": "no"}
    entrypoint = [parsed.one("entrypoint")] if parsed.one("entrypoint") else service.get("entrypoint") or []
    with engine.change() as state:
        made = compose_up.create(state, engine.now(), project, name, body, title)
        made["labels"] |= {compose_up.LABEL + "oneoff": "True"}
        made["labels"] |= {text.partition("=")[0]: text.partition("=")[2] for text in parsed.all("label")}
        made["env"] += parsed.all("env")
        containers.start(state, engine.now(), made)
    try:
        status, out, error = answer(engine, made, [*entrypoint, *command])
    finally:
        if parsed.has("rm"):
            with engine.change() as state:
                containers.remove(state, engine.now(), containers.need(state, made["id"]), force=True)
    sys.stdout.write(out)
    sys.stderr.write(error)
    return status


def _named(project: Project, parsed: Parsed) -> list[str]:
    known = {**project.services, **project.inactive}
    for name in parsed.rest:
        if name not in known:
            raise ComposeError(f"no such service: {name}")
    return parsed.rest or list(project.services)


def _action(action: str) -> Callable[[Engine, Parsed, list[str]], int]:
    def run(engine: Engine, top: Parsed, argv: list[str]) -> int:
        parsed = parse(argv, {"-t": "timeout=", "--timeout": "timeout=", "--no-deps": "no-deps"})
        project = load(_source(top), environment=False)
        compose_up.each(engine, project.name, _named(project, parsed), action)
        return 0

    return run


def _down(engine: Engine, top: Parsed, argv: list[str]) -> int:
    project = load(_source(top), environment=False)
    compose_up.each(engine, project.name, reversed([*project.services, *project.inactive]), "rm", stop=True)
    with engine.change() as state:
        for spec in project.networks.values():
            used = any(spec["name"] in container["networks"] for container in state["containers"].values())
            if not spec.get("external") and not used and state["networks"].pop(spec["name"], None):
                compose_up.say("Network", spec["name"], "Removing")
                compose_up.say("Network", spec["name"], "Removed")
    return 0


def _ps(engine: Engine, top: Parsed, argv: list[str]) -> int:
    names = {
        "-a": "all",
        "--all": "all",
        "-q": "quiet",
        "--quiet": "quiet",
        "--format": "format=",
        "--orphans": "orphans",
    }
    parsed = parse(argv, {**names, "--no-trunc": "no-trunc"})
    project = top.one("project") or load(_source(top), environment=False).name
    state, now = engine.read(), engine.now()
    rows = []
    for container in state["containers"].values():
        labels = container["labels"]
        service = labels.get(compose_up.LABEL + "service", "")
        seen = life(container, now)
        mine = labels.get(compose_up.LABEL + "project") == project and (not parsed.rest or service in parsed.rest)
        if mine and (seen.running or parsed.has("all")):
            row = views.ps_row(state, container, now, truncate=not parsed.has("no-trunc"))
            more = {"Name": row["Names"], "Service": service, "Project": project, "Health": seen.health or ""}
            rows.append({**row, **more, "ExitCode": seen.exit_code, "Publishers": _publishers(container)})
    default = "{{.Name}}   {{.Image}}   {{.Service}}   {{.Status}}"
    formatted("{{.ID}}" if parsed.has("quiet") else parsed.one("format", default), rows)
    return 0


def _publishers(container: Doc) -> list[Doc]:
    return [
        {
            "URL": port["host_ip"] or "0.0.0.0",  # noqa: S104
            "TargetPort": port["container_port"],
            "PublishedPort": port["host_port"],
            "Protocol": port["protocol"],
        }
        for port in container["ports"]
    ]


_COMMANDS: dict[str, Callable[[Engine, Parsed, list[str]], int]] = {
    "config": _config,
    "up": _up,
    "create": _create,
    "rm": _rm,
    "run": _run,
    "ps": _ps,
    "stop": _action("stop"),
    "start": _action("start"),
    "restart": _action("restart"),
    "down": _down,
}
