"""The `docker` command of a simulated host: the part of it an operator's scripts use."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from vpai_tui.demo.engine import containers, images, usage, views
from vpai_tui.demo.engine.arguments import CliError, parse
from vpai_tui.demo.engine.cli_common import FORMAT, Command, each, filters_of, formatted, print_each
from vpai_tui.demo.engine.cli_things import COMMANDS as THINGS
from vpai_tui.demo.engine.life import life
from vpai_tui.demo.engine.store import Doc, Engine, EngineError, emit, hex_of
from vpai_tui.demo.engine.templates import TemplateError, to_json


def main(home: str, argv: list[str]) -> int:
    """Run one `docker` command line on the host whose folder is `home`; its exit status."""
    engine = Engine(Path(home))
    try:
        status = _run(engine, argv)
        sys.stdout.flush()
    except EngineError as error:
        sys.stderr.write(f"Error response from daemon: {error.message}\n")
        return 1
    except TemplateError as error:
        sys.stderr.write(f"template parsing error: {error}\n")
        return 1
    except CliError as error:
        sys.stderr.write(f"{error}\n")
        return error.status
    except BrokenPipeError:
        # Whoever read has gone: end as a process killed by SIGPIPE would, without Python's own complaint.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        return 141
    return status


def _run(engine: Engine, argv: list[str]) -> int:
    top = parse(argv, {"-H": "host=", "--host": "host=", "-v": "version", "--version": "version"}, interspersed=False)
    if top.has("version"):
        print(f"Docker version {views.SERVER_VERSION}, build e180ab8")
        return 0
    if not top.rest:
        raise CliError("Usage:  docker [OPTIONS] COMMAND", 1)
    word, rest = top.rest[0], top.rest[1:]
    if word == "compose":
        from vpai_tui.demo.engine.cli_compose import main as compose

        return compose(engine, rest)
    if word in _GROUPS:
        inner = rest[0] if rest else ""
        found = COMMANDS.get(f"{word} {inner}") or (COMMANDS.get(inner) if word == "container" else None)
        if found is None:
            raise CliError(f"docker: unknown command: docker {word} {inner}", 1)
        return found(engine, rest[1:])
    if word not in COMMANDS:
        raise CliError(f"docker: unknown command: docker {word}\n\nRun 'docker --help' for more information", 1)
    return COMMANDS[word](engine, rest)


_GROUPS = ("builder", "container", "context", "image", "network", "volume", "system")


def _version(engine: Engine, argv: list[str]) -> int:
    known = views.version(engine.read()["arch"])
    server = {**known, "APIVersion": known["ApiVersion"]}
    client = {"Version": views.SERVER_VERSION, "ApiVersion": views.API_VERSION, "APIVersion": views.API_VERSION}
    form = parse(argv, FORMAT).one("format")
    if form == "json":
        print(to_json({"Client": client, "Server": known}))
    elif form:
        formatted(form, [{"Client": client, "Server": server}])
    else:
        print(f"Client: Docker Engine - Community\n Version:           {views.SERVER_VERSION}\n")
        print(f"Server: Docker Engine - Community\n Engine:\n  Version:          {views.SERVER_VERSION}")
    return 0


def _context(engine: Engine, argv: list[str]) -> int:
    """The default context: the socket that a machine with an engine has."""
    host = {"Host": "unix:///var/run/docker.sock", "SkipTLSVerify": False}
    formatted(parse(argv, FORMAT).one("format", "json"), [{"Name": "default", "Endpoints": {"docker": host}}])
    return 0


def _info(engine: Engine, argv: list[str]) -> int:
    from vpai_tui.demo.engine.api import info

    form = parse(argv, FORMAT).one("format", "json")
    formatted(form, [info(engine)])
    return 0


def _ps(engine: Engine, argv: list[str]) -> int:
    names = {"-a": "all", "--all": "all", "-q": "quiet", "--quiet": "quiet", "--no-trunc": "no-trunc", "-n": "last="}
    names |= {"-f": "filter=", "--filter": "filter=", "--format": "format=", "-l": "latest", "-s": "size"}
    parsed = parse(argv, names)
    state, now = engine.read(), engine.now()
    filters = filters_of(parsed)
    everyone = parsed.has("all") or "status" in filters
    rows = []
    for container in sorted(state["containers"].values(), key=lambda c: -c["created"]):
        seen = life(container, now)
        if (everyone or seen.running) and views.matches(container, seen, filters):
            rows.append(views.ps_row(state, container, now, truncate=not parsed.has("no-trunc")))
    if parsed.has("quiet"):
        formatted("{{.ID}}", rows)
    elif parsed.one("format"):
        formatted(parsed.one("format").removeprefix("table "), rows)
    else:
        print("CONTAINER ID   IMAGE   STATUS   NAMES")
        formatted("{{.ID}}   {{.Image}}   {{.Status}}   {{.Names}}", rows)
    return 0


def _inspect(engine: Engine, argv: list[str]) -> int:
    parsed = parse(argv, {**FORMAT, "--type": "type=", "-s": "size", "--size": "size"})
    state, now = engine.read(), engine.now()
    documents: list[Doc] = []
    shown: list[Doc] = []
    missing: list[str] = []
    for name in parsed.rest:
        container = containers.find(state, name) if parsed.one("type", "container") == "container" else None
        if container is not None:
            documents.append(views.inspect(state, container, now))
            shown.append(views.for_json(documents[-1]))
            continue
        image = images.find(state, name) if parsed.one("type", "image") == "image" else None
        if image is None:
            missing.append(name)
            continue
        documents.append(views.inspect_image(state, image))
        shown.append(documents[-1])
    return print_each(parsed.one("format"), documents, shown, missing, "object")


def _create(engine: Engine, argv: list[str]) -> int:
    names = {"--name": "name=", "--network": "network=", "--label": "label=", "-l": "label=", "--pull": "pull="}
    parsed = parse(argv, {**names, "-e": "env=", "--env": "env=", "--restart": "restart="}, interspersed=False)
    image, *command = parsed.rest
    name = parsed.one("name") or f"calm_{hex_of(str(time.time_ns()))[:6]}"
    labels = {text.partition("=")[0]: text.partition("=")[2] for text in parsed.all("label")}
    mode = parsed.one("network", "bridge")
    with engine.change() as state:
        if images.find(state, image) is None:
            sys.stderr.write(f"Unable to find image '{image}' locally\n")
        made = containers.create(
            state,
            engine.now(),
            name,
            image,
            labels=labels,
            cmd=command,
            env=parsed.all("env"),
            restart=parsed.one("restart", "no"),
            network_mode=mode,
            networks={} if mode == "none" else {mode: {}},
        )
    print(made["id"])
    return 0


def _rm(engine: Engine, argv: list[str]) -> int:
    parsed = parse(argv, {"-f": "force", "--force": "force", "-v": "volumes", "--volumes": "volumes"})

    def one(name: str) -> None:
        with engine.change() as state:
            found = containers.find(state, name)
            if found is None and parsed.has("force"):
                return
            containers.remove(state, engine.now(), containers.need(state, name), force=parsed.has("force"))
        print(name)

    return each(parsed.rest, one)


def _rename(engine: Engine, argv: list[str]) -> int:
    with engine.change() as state:
        containers.rename(state, engine.now(), containers.need(state, argv[0]), argv[1])
    return 0


def _action(action: str) -> Command:
    def run(engine: Engine, argv: list[str]) -> int:
        names = {
            "-t": "timeout=",
            "--timeout": "timeout=",
            "--time": "timeout=",
            "-s": "signal=",
            "--signal": "signal=",
        }

        def one(name: str) -> None:
            act_on(engine, name, action)
            print(name)

        return each(parse(argv, names).rest, one)

    return run


def act_on(engine: Engine, name: str, action: str) -> None:
    """`start`, `stop`, `restart` or `kill` one container, taking the time that takes."""
    from vpai_tui.demo.engine.compose_up import act

    containers.need(engine.read(), name)
    time.sleep(0.1 if action in ("start", "kill") else 0.2)
    with engine.change() as state:
        found = containers.need(state, name)
        act(state, engine.now(), found, "stop" if action == "kill" else action)
        if action == "restart":
            emit(state, engine.now(), "container", "restart", found["id"], containers.attributes(found))
        elif action == "kill":
            found["exit_code"] = 137


def _logs(engine: Engine, argv: list[str]) -> int:
    names = {"-n": "tail=", "--tail": "tail=", "-f": "follow", "--follow": "follow", "--since": "since="}
    parsed = parse(argv, {**names, "-t": "timestamps", "--timestamps": "timestamps", "--until": "until="})
    from vpai_tui.demo.engine.streams import follow_logs

    tail = parsed.one("tail", "all")
    for stream, text in follow_logs(
        engine,
        parsed.rest[0],
        tail=None if tail == "all" else int(tail),
        since=0.0,
        timestamps=parsed.has("timestamps"),
        follow=parsed.has("follow"),
    ):
        if stream:
            out = sys.stderr if stream == "stderr" else sys.stdout
            out.write(text + "\n")
            out.flush()
    return 0


def _exec(engine: Engine, argv: list[str]) -> int:
    names = {"-i": "interactive", "-t": "tty", "-u": "user=", "--user": "user=", "-e": "env=", "--env": "env="}
    names |= {"--interactive": "interactive", "--tty": "tty", "-w": "workdir=", "--workdir": "workdir=", "-d": "detach"}
    names["--detach-keys"] = "detach-keys="
    parsed = parse(argv, names, interspersed=False)
    from vpai_tui.demo.engine.inside import run

    os.environ.update({key: value for key, _, value in (it.partition("=") for it in parsed.all("env"))})
    name, *command = parsed.rest
    return run(engine, name, command, terminal=parsed.has("tty"))


def _dial(engine: Engine, argv: list[str]) -> int:
    from vpai_tui.demo.engine.http import serve

    serve(engine)
    return 0


def _events(engine: Engine, argv: list[str]) -> int:
    parsed = parse(argv, {**FORMAT, "-f": "filter=", "--filter": "filter=", "--since": "since=", "--until": "until="})
    from vpai_tui.demo.engine.streams import events

    for event in events(engine, filters_of(parsed), since=None, until=None):
        if event is not None:
            print(to_json(event), flush=True)
    return 0


COMMANDS: dict[str, Command] = {
    **THINGS,
    "version": _version,
    "context inspect": _context,
    "info": _info,
    "ps": _ps,
    "ls": _ps,
    "inspect": _inspect,
    "create": _create,
    "rm": _rm,
    "rename": _rename,
    "start": _action("start"),
    "stop": _action("stop"),
    "restart": _action("restart"),
    "kill": _action("kill"),
    "logs": _logs,
    "exec": _exec,
    "events": _events,
    "system dial-stdio": _dial,
    "system info": _info,
    "builder prune": usage.prune_cache,
}
