"""The routes of the simulated Engine API: what the docker SDK asks for."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

from vpai_tui.demo.engine import containers, images, inside, streams, usage, views
from vpai_tui.demo.engine.cli import act_on
from vpai_tui.demo.engine.http import Answer, Request, frame
from vpai_tui.demo.engine.life import life
from vpai_tui.demo.engine.store import Doc, Engine, EngineError, hex_of
from vpai_tui.demo.registry import Registry, parse

Handler = Callable[[Engine, Request, Answer, str], None]
_RAW = "application/vnd.docker.multiplexed-stream"


def route(engine: Engine, request: Request, answer: Answer) -> None:
    """Answer one request. EngineError is for the caller to answer with."""
    for methods, pattern, handler in _ROUTES:
        match = pattern.fullmatch(request.path)
        if match and request.method in methods:
            handler(engine, request, answer, match.groupdict().get("name") or "")
            return
    raise EngineError(404, "page not found")


def info(engine: Engine) -> Doc:
    """`GET /info`."""
    state, now = engine.read(), engine.now()
    states = [life(container, now).status for container in state["containers"].values()]
    return {
        "ID": hex_of(state["host"])[:32],
        "Containers": len(states),
        "ContainersRunning": sum(status in ("running", "restarting") for status in states),
        "ContainersPaused": 0,
        "ContainersStopped": sum(status in ("exited", "created", "dead") for status in states),
        "Images": len(state["images"]),
        "Driver": "overlay2",
        "DockerRootDir": "/var/lib/docker",
        "OperatingSystem": "Debian GNU/Linux 13 (trixie)",
        "OSType": "linux",
        "Architecture": "aarch64" if state["arch"] == "arm64" else "x86_64",
        "NCPU": 4,
        "MemTotal": 8 << 30,
        "Name": state["host"],
        "SystemTime": views.stamp(now),
        "ServerVersion": views.SERVER_VERSION,
        "Warnings": None,
    }


def _ping(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    answer.send(200, b"OK", "text/plain; charset=utf-8")


def _version(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    answer.document(views.version(engine.read()["arch"]))


def _info(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    answer.document(info(engine))


def _list(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    state, now, filters = engine.read(), engine.now(), request.filters()
    everyone = request.flag("all") or "status" in filters
    found = []
    for container in sorted(state["containers"].values(), key=lambda c: -c["created"]):
        seen = life(container, now)
        if (everyone or seen.running) and views.matches(container, seen, filters):
            found.append(views.listed(state, container, now))
    limit = int(request.query.get("limit") or -1)
    answer.document(found[:limit] if limit > 0 else found)


def _inspect(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    state = engine.read()
    answer.document(views.for_json(views.inspect(state, containers.need(state, name), engine.now())))


def _create(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    wanted = request.json()
    title = request.query.get("name") or f"calm_{hex_of(str(time.time_ns()))[:6]}"
    mode = (wanted.get("HostConfig") or {}).get("NetworkMode") or "bridge"
    policy = ((wanted.get("HostConfig") or {}).get("RestartPolicy") or {}).get("Name") or "no"
    with engine.change() as state:
        made = containers.create(
            state,
            engine.now(),
            title,
            wanted.get("Image", ""),
            labels=wanted.get("Labels") or {},
            cmd=wanted.get("Cmd") or [],
            env=wanted.get("Env") or [],
            restart=policy,
            network_mode=mode,
            networks={} if mode in ("none", "host") else {"bridge" if mode == "default" else mode: {}},
        )
    answer.document({"Id": made["id"], "Warnings": []}, 201)


def _acting(action: str) -> Handler:
    def run(engine: Engine, request: Request, answer: Answer, name: str) -> None:
        container = containers.need(engine.read(), name)
        running = life(container, engine.now()).running
        if (action == "start" and running) or (action == "stop" and not running):
            answer.empty(304)
            return
        if action == "kill" and not running:
            raise EngineError(409, f"cannot kill container: {name}: container {container['id']} is not running")
        act_on(engine, name, action)
        answer.empty()

    return run


def _remove(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    with engine.change() as state:
        containers.remove(state, engine.now(), containers.need(state, name), force=request.flag("force"))
    answer.empty()


def _rename(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    with engine.change() as state:
        containers.rename(state, engine.now(), containers.need(state, name), request.query.get("name", ""))
    answer.empty()


def _stats(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    first = streams.stats(engine, name, None)
    if request.query.get("stream", "1").lower() in ("0", "false"):
        if not request.flag("one-shot"):
            answer.pause(1.0)
            first = streams.stats(engine, name, first)
        answer.document(first)
        return
    answer.begin()
    answer.line(first)
    while answer.pause(1.0):
        try:
            first = streams.stats(engine, name, first)
        except EngineError:
            break  # the container was removed: the stream ends, as Docker's does
        answer.line(first)
    answer.end()


def _logs(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    tail = request.query.get("tail") or "all"
    wanted = {stream for stream in ("stdout", "stderr") if request.flag(stream)}
    if not wanted:
        raise EngineError(400, "you must choose at least one stream")
    found = streams.follow_logs(
        engine,
        name,
        tail=int(tail) if tail.isdigit() else None,
        since=float(request.query.get("since") or 0),
        timestamps=request.flag("timestamps"),
        follow=request.flag("follow"),
        pause=answer.pause,
    )
    containers.need(engine.read(), name)
    answer.begin(_RAW)
    for stream, text in found:
        if stream in wanted:
            answer.piece(frame(stream, text + "\n"))
    answer.end()


def _events(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    since, until = request.query.get("since"), request.query.get("until")
    answer.begin()
    for event in streams.events(
        engine,
        request.filters(),
        since=float(since) if since else None,
        until=float(until) if until else None,
        pause=answer.pause,
    ):
        answer.line(event)
    answer.end()


def _exec_create(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    container = inside.need_running(engine, name)
    exec_id = hex_of(f"exec {container['id']} {time.time_ns()}")
    with engine.change() as state:
        command = request.json().get("Cmd") or []
        state["execs"] = dict([*state["execs"].items()][-20:])
        state["execs"][exec_id] = {"container": container["id"], "cmd": command, "exit_code": None}
    answer.document({"Id": exec_id}, 201)


def _known_exec(state: Doc, name: str) -> Doc:
    if name not in state["execs"]:
        raise EngineError(404, f"No such exec instance: {name}")
    found: Doc = state["execs"][name]
    return found


def _exec_start(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    known = _known_exec(engine.read(), name)
    container = inside.need_running(engine, known["container"])
    status, out, error = inside.answer(engine, container, known["cmd"])
    with engine.change() as state:
        _known_exec(state, name)["exit_code"] = status
    if request.json().get("Detach"):
        answer.empty(200)
        return
    answer.hijack()
    for stream, text in (("stdout", out), ("stderr", error)):
        if text:
            answer.raw(frame(stream, text))


def _exec_inspect(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    known = _known_exec(engine.read(), name)
    code = known["exit_code"]
    answer.document({"ID": name, "ContainerID": known["container"], "Running": False, "ExitCode": code, "Pid": 0})


def _images(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    state = engine.read()
    answer.document([views.listed_image(state, image) for image in state["images"].values()])


def _image(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    state = engine.read()
    answer.document(views.inspect_image(state, images.need(state, name)))


def _pull(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    ref, tag = request.query.get("fromImage", ""), request.query.get("tag", "")
    if tag:
        ref += ("@" if tag.startswith("sha256:") else ":") + tag
    _streamed(images.pull(engine, ref), answer)


def _build(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    import io
    import tarfile

    files: dict[str, bytes] = {}
    recipe = request.query.get("dockerfile") or "Dockerfile"
    if not request.query.get("remote"):
        try:
            with tarfile.open(fileobj=io.BytesIO(request.body)) as archive:
                for member in archive:
                    found = archive.extractfile(member)
                    if found is not None:
                        files[member.name.removeprefix("./")] = found.read()
        except tarfile.TarError as error:
            raise EngineError(400, f"the build context is no tar: {error}") from None
    else:
        files = {
            request.query.get("dockerfile") or "Dockerfile": b"FROM scratch\n# " + request.query["remote"].encode()
        }
    recipe = request.query.get("dockerfile") or "Dockerfile"
    arguments = [request.query.get("buildargs", ""), request.query.get("target", "")]
    messages = images.build(engine, files, recipe, request.query.get("t") or "built:latest", arguments)
    _streamed(messages, answer)


def _streamed(messages: Iterator[tuple[Doc, float]], answer: Answer) -> None:
    """Messages as a streamed body; an error before the first is for the caller to answer with."""
    first, wait_s = next(messages)
    answer.begin()
    answer.line(first)
    for message, next_s in messages:
        if not answer.pause(wait_s):
            return  # the client hung up: Docker stops such work too
        answer.line(message)
        wait_s = next_s
    answer.end()


def _tag(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    target = f"{request.query.get('repo', '')}:{request.query.get('tag') or 'latest'}"
    with engine.change() as state:
        images.tag(state, engine.now(), name, target)
    answer.empty(201)


def _rmi(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    with engine.change() as state:
        lines = images.remove(state, engine.now(), name, force=request.flag("force"))
    answer.document([{word: what} for word, _, what in (line.partition(": ") for line in lines)])


def _distribution(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    found = Registry(engine.home.parent, engine.read()["seed"]).resolve(parse(name))
    kind = "application/vnd.oci.image.index.v1+json"
    platforms = [{"architecture": arch, "os": "linux"} for arch in ("amd64", "arm64")]
    descriptor = {"mediaType": kind, "digest": found.digest, "size": 1024}
    answer.document({"Descriptor": descriptor, "Platforms": platforms})


def _networks(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    state, filters = engine.read(), request.filters()
    found = [network for network in state["networks"].values() if views.matches_network(network, filters)]
    answer.document([views.inspect_network(state, network) for network in found])


def _network(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    state = engine.read()
    answer.document(views.inspect_network(state, containers.need_network(state, name)))


def _volumes(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    volumes = engine.read()["volumes"]
    answer.document({"Volumes": [views.inspect_volume(key, item) for key, item in volumes.items()], "Warnings": None})


def _df(engine: Engine, request: Request, answer: Answer, name: str) -> None:
    answer.document(usage.account(engine.read(), engine.now()))


_NAMED = "(?P<name>.+)"
_ROUTES: list[tuple[str, re.Pattern[str], Handler]] = [
    (methods, re.compile(path.replace("{}", _NAMED)), handler)
    for methods, path, handler in (
        ("GET HEAD", "/_ping", _ping),
        ("GET", "/version", _version),
        ("GET", "/info", _info),
        ("GET", "/events", _events),
        ("GET", "/system/df", _df),
        ("GET", "/containers/json", _list),
        ("POST", "/containers/create", _create),
        ("GET", "/containers/{}/json", _inspect),
        ("GET", "/containers/{}/stats", _stats),
        ("GET", "/containers/{}/logs", _logs),
        ("POST", "/containers/{}/start", _acting("start")),
        ("POST", "/containers/{}/stop", _acting("stop")),
        ("POST", "/containers/{}/restart", _acting("restart")),
        ("POST", "/containers/{}/kill", _acting("kill")),
        ("POST", "/containers/{}/rename", _rename),
        ("POST", "/containers/{}/exec", _exec_create),
        ("DELETE", "/containers/{}", _remove),
        ("POST", "/exec/{}/start", _exec_start),
        ("GET", "/exec/{}/json", _exec_inspect),
        ("GET", "/images/json", _images),
        ("POST", "/images/create", _pull),
        ("POST", "/build", _build),
        ("GET", "/images/{}/json", _image),
        ("POST", "/images/{}/tag", _tag),
        ("DELETE", "/images/{}", _rmi),
        ("GET", "/distribution/{}/json", _distribution),
        ("GET", "/networks", _networks),
        ("GET", "/networks/{}", _network),
        ("GET", "/volumes", _volumes),
    )
]
