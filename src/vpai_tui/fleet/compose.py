"""What of a compose.yaml we read ourselves: services, their order, binds and env files.

Rendering (variables, defaults, hashes) is Compose's work, on the host. What is read here is only what must be known
before anything is sent; a value with a variable in it is left for the host to judge.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from vpai_tui.strict import Document, KeyPath, Problem, found

_NAME = re.compile(r"^[a-zA-Z0-9][a-zA-Z0-9._-]*\Z")
_UNSENDABLE = "expected a path without a line break or a control, and none that is too long"


@dataclass(frozen=True, slots=True)
class Bind:
    """A directory or file of the host that a service sees.

    `source` is absolute, or relative to the host's root without a leading `./`; None when it has a variable in it.
    """

    source: str | None
    target: str
    read_only: bool = False
    raw: str = ""  # as it stands in the file

    @property
    def relative(self) -> bool:
        return self.source is not None and not self.source.startswith("/")


@dataclass(frozen=True, slots=True)
class EnvFile:
    """An env file that lies on the host: `path` absolute, or relative to the host's root without a leading `./`."""

    service: str
    path: str
    required: bool = True


def services_of(compose: object) -> dict[str, dict[str, Any]]:
    """The services of a parsed compose file that are mappings, by name, in file order."""
    services = compose.get("services") if isinstance(compose, dict) else None
    if not isinstance(services, dict):
        return {}
    return {name: body for name, body in services.items() if isinstance(name, str) and isinstance(body, dict)}


def dependencies(body: Mapping[str, Any]) -> tuple[str, ...]:
    """The services one service waits for, in either spelling of `depends_on`."""
    raw = body.get("depends_on") or ()
    return tuple(name for name in raw if isinstance(name, str)) if isinstance(raw, dict | list) else ()


def start_order(services: Mapping[str, Mapping[str, Any]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The services with each after what it depends on (file order otherwise), and those caught in a cycle."""
    place = {name: at for at, name in enumerate(services)}
    wants = {name: {other for other in dependencies(body) if other in services} for name, body in services.items()}
    waiting: dict[str, list[str]] = {name: [] for name in services}
    for name, others in wants.items():
        for other in others:
            waiting[other].append(name)
    ready = [place[name] for name in services if not wants[name]]  # a heap: the first of the file comes first
    names, done = list(services), []
    while ready:
        name = names[heapq.heappop(ready)]
        done.append(name)
        for other in waiting[name]:
            wants[other].discard(name)
            if not wants[other]:
                heapq.heappush(ready, place[other])
    settled = set(done)
    return tuple(done), tuple(name for name in services if name not in settled)


def binds_of(body: Mapping[str, Any]) -> tuple[Bind, ...]:
    """The bind mounts of one service, short (`src:dst:ro`) and long spelling; named volumes are left out."""
    return tuple(bind for _, bind in _binds(body))


def _binds(body: Mapping[str, Any]) -> Iterator[tuple[int, Bind]]:
    volumes = body.get("volumes")
    for index, entry in enumerate(volumes if isinstance(volumes, list) else ()):
        bind = _bind(entry)
        if bind is not None:
            yield index, bind


def _bind(entry: object) -> Bind | None:
    if isinstance(entry, dict):
        source, target = entry.get("source"), entry.get("target")
        if entry.get("type") != "bind" or not isinstance(source, str):
            return None
        return Bind(_place(source), str(target), bool(entry.get("read_only")), source)
    if not isinstance(entry, str) or ":" not in entry:
        return None
    source, _, rest = _split_variable(entry)
    if not source.startswith((".", "/", "~", "$")):
        return None
    target, _, options = rest.partition(":")
    return Bind(_place(source), target, "ro" in options.split(","), source)


@dataclass(frozen=True, slots=True)
class Mount:
    """A bind or a named volume of a service: `source` as it stands in the file (a path, or the volume's key)."""

    source: str
    target: str
    volume: bool
    read_only: bool = False


def mounts_of(body: Mapping[str, Any]) -> tuple[Mount, ...]:
    """The binds and named volumes of one service, in either spelling; anonymous volumes and tmpfs are left out."""
    volumes = body.get("volumes")
    found = (_mount(entry) for entry in (volumes if isinstance(volumes, list) else ()))
    return tuple(mount for mount in found if mount is not None)


def mount_of(body: Mapping[str, Any], target: str) -> Mount | None:
    """What a service mounts at `target`."""
    return next((mount for mount in mounts_of(body) if mount.target == target), None)


def default_name(project: str, service: str) -> str:
    """The container that Compose makes of a service without `container_name`."""
    return f"{project}-{service}-1"


def _mount(entry: object) -> Mount | None:
    bind = _bind(entry)
    if bind is not None:
        return Mount(bind.raw, bind.target, volume=False, read_only=bind.read_only)
    if isinstance(entry, dict):
        source, target = entry.get("source"), entry.get("target")
        if entry.get("type") != "volume" or not isinstance(source, str) or not isinstance(target, str):
            return None
        return Mount(source, target, volume=True, read_only=bool(entry.get("read_only")))
    if not isinstance(entry, str) or ":" not in entry:
        return None
    source, _, rest = _split_variable(entry)
    target, _, options = rest.partition(":")
    return Mount(source, target, volume=True, read_only="ro" in options.split(","))


def _split_variable(entry: str) -> tuple[str, str, str]:
    """`entry` at its first colon that is not inside `${…}`."""
    depth = 0
    for index, char in enumerate(entry):
        depth += (char == "{") - (char == "}")
        if char == ":" and depth <= 0:
            return entry[:index], ":", entry[index + 1 :]
    return entry, "", ""


def _place(source: str) -> str | None:
    """`source` as the host's root sees it; None with a variable in it."""
    if "$" in source:
        return None
    return str(PurePosixPath(source))


def env_files_of(service: str, body: Mapping[str, Any]) -> tuple[EnvFile, ...]:
    """The env files of one service, in any of the spellings of `env_file`."""
    raw = body.get("env_file")
    files: list[EnvFile] = []
    for entry in raw if isinstance(raw, list) else [raw]:
        if isinstance(entry, str):
            files.append(EnvFile(service, str(PurePosixPath(entry))))
        elif isinstance(entry, dict) and isinstance(entry.get("path"), str):
            files.append(EnvFile(service, str(PurePosixPath(entry["path"])), entry.get("required") is not False))
    return tuple(files)


# ── checking ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_compose(document: Document, project: str) -> list[Problem]:
    """What makes this compose file unfit, as far as it can be told without Compose itself."""
    raw = document.value
    if not isinstance(raw, dict):
        return [document.problem((), f"expected a mapping with services, found {found(raw)}")]
    services = raw.get("services")
    if not isinstance(services, dict) or not services:
        return [document.problem(("services",), f"expected at least one service, found {found(services)}")]
    problems: list[Problem] = []
    if raw.get("name", project) != project:
        problems.append(
            document.problem(("name",), f'expected "{project}" (project of stack.yaml), found {found(raw["name"])}')
        )
    if "include" in raw:
        problems.append(document.problem(("include",), "one compose.yaml per stack: included files would not be sent"))
    for name, body in services.items():
        if isinstance(name, str):
            problems += _check_service(name, body, services, document)
        else:
            problems.append(document.problem(("services", str(name)), f"expected a name, found {found(name)}"))
    problems += _check_section("networks", raw, document) + _check_section("volumes", raw, document)
    _, cycle = start_order(services_of(raw))
    if cycle:
        problems.append(
            document.problem(("services", cycle[0], "depends_on"), f"a circle of services: {', '.join(cycle)}")
        )
    return problems


def _check_section(key: str, raw: Mapping[Any, Any], document: Document) -> list[Problem]:
    """The file's `networks` or `volumes`: by name, each a mapping or nothing."""
    section = raw.get(key)
    if section is None:
        return []
    if not isinstance(section, dict):
        return [document.problem((key,), f"expected a mapping, found {found(section)}")]
    problems = []
    for name, body in section.items():
        named = body.get("name", name) if isinstance(body, dict) else name
        if body is not None and not isinstance(body, dict):
            problems.append(document.problem((key, str(name)), f"expected a mapping, found {found(body)}"))
        if not isinstance(named, str) or not named.isprintable():
            problems.append(document.problem((key, str(name)), "expected a name without a line break or a control"))
    return problems


def _check_build(path: KeyPath, body: Mapping[str, Any], document: Document) -> list[Problem]:
    """What of a `build` would be read here has the shape it is read as."""
    build, where = body.get("build"), (*path, "build")
    if "build" not in body:
        return []
    if not isinstance(build, dict):
        build = {"context": build}
    problems = [
        document.problem(where, f"expected one line of text as {key}, found {found(build[key])}")
        for key in ("context", "dockerfile", "target")
        if key in build and not (isinstance(build[key], str) and build[key].isprintable())
    ]
    arguments = build.get("args")
    if arguments is not None and not isinstance(arguments, dict | list):
        problems.append(document.problem(where, f"expected a mapping or a list as args, found {found(arguments)}"))
    return problems


def _check_service(name: str, body: object, services: Mapping[Any, Any], document: Document) -> list[Problem]:
    path: KeyPath = ("services", name)
    problems: list[Problem] = []
    if not _NAME.match(name):
        problems.append(
            document.problem(path, "expected a name of letters, digits, -, _ and ., beginning with neither")
        )
    if not isinstance(body, dict):
        return [*problems, document.problem(path, f"expected a mapping, found {found(body)}")]
    if not ({"image", "build", "extends"} & set(body)):
        problems.append(document.problem(path, "expected image or build, found neither"))
    image = body.get("image", "?")
    if not (isinstance(image, str) and image.strip() and image.isprintable()):
        problems.append(
            document.problem((*path, "image"), f"expected an image reference, found {found(body['image'])}")
        )
    extends = body.get("extends")
    if isinstance(extends, dict) and "file" in extends:
        problems.append(document.problem((*path, "extends"), "one compose.yaml per stack: that file would not be sent"))
    container = body.get("container_name")
    if container is not None and not (isinstance(container, str) and _NAME.match(container)):
        message = f"expected a name of letters, digits, -, _ and ., found {found(container)}"
        problems.append(document.problem((*path, "container_name"), message))
    for wanted in dependencies(body):
        if wanted not in services:
            problems.append(document.problem((*path, "depends_on"), f'no service "{wanted}" in this file'))
    problems += _check_build(path, body, document)
    return problems + _check_places(path, name, body, document)


def _check_places(path: KeyPath, name: str, body: Mapping[str, Any], document: Document) -> list[Problem]:
    problems: list[Problem] = []
    for index, bind in _binds(body):
        if bind.source is not None and _outside(bind.source):
            message = f'expected a path below the host\'s root (./…) or an absolute one, found "{bind.raw}"'
            problems.append(document.problem((*path, "volumes", index), message))
    for env_file in env_files_of(name, body):
        if "$" not in env_file.path and _outside(env_file.path):
            message = f'expected a path below the host\'s root (./…) or an absolute one, found "{env_file.path}"'
            problems.append(document.problem((*path, "env_file"), message))
    places = [((*path, "volumes", index), bind.raw) for index, bind in _binds(body)]
    places += [((*path, "env_file"), env_file.path) for env_file in env_files_of(name, body)]
    problems += [document.problem(where, _UNSENDABLE) for where, place in places if not _sendable(place)]
    return problems


def _sendable(place: str) -> bool:
    """Whether a path can be a line of the host's lists, and a path at all."""
    return place.isprintable() and len(place) < 4096 and all(len(part.encode()) < 256 for part in place.split("/"))


def _outside(place: str) -> bool:
    return ".." in PurePosixPath(place).parts or place.startswith("~")
