"""`adopted/<host>.yaml` beside fleet.yaml: under which names a host ran our services before us, and goes on to.

The file is the operator's: `vpai-tui adopt HOST` writes it, anybody may edit it. A stack named there deploys onto what
runs: under that Compose project, into those containers, networks, volumes and directories.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from vpai_tui import config
from vpai_tui.fleet.compose import default_name, mount_of, services_of
from vpai_tui.fleet.stackspec import ProjectName, ServiceName
from vpai_tui.strict import ConfigError, Document, Problem, build, read_yaml

FOLDER = "adopted"

StackName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$", description="a stack's name without its host")]
EngineName = Annotated[
    str, Meta(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$", description="a name of letters, digits, _ . and -")
]
Target = Annotated[
    str, Meta(pattern=r"^/[^\x00-\x1f\x7f:$]+$", description="an absolute path in the container, without : and $")
]
MountSource = Annotated[
    str,
    Meta(
        pattern=r"^(?:/[^\x00-\x1f\x7f:$]+|[a-zA-Z0-9][a-zA-Z0-9_.-]*)$",
        description="an absolute path on the host without : and $, or a volume's name",
    ),
]


class AdoptedStack(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One stack: what its names in compose.yaml are called on this host."""

    project: ProjectName  # Compose project
    containers: dict[ServiceName, EngineName] = {}  # service → container
    networks: dict[EngineName, EngineName] = {}  # key in compose.yaml → network that is there
    volumes: dict[EngineName, EngineName] = {}  # key in compose.yaml → volume that is there
    mounts: dict[ServiceName, dict[Target, MountSource]] = {}  # per service: target → where its data is


class Adopted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One host. `root` takes the place of the host's in fleet.yaml."""

    root: config.AbsolutePath
    stacks: dict[StackName, AdoptedStack] = {}


@dataclass(frozen=True, slots=True)
class AdoptedFile:
    """One file as it was read; `document` has the lines, for errors that show later."""

    document: Document
    spec: Adopted


def folder_of(config_path: Path) -> Path:
    """Where the files of a fleet.yaml are."""
    return config_path.parent / FOLDER


def load_adopted(folder: Path, fleet: config.Fleet) -> dict[str, AdoptedFile]:
    """Every `<host>.yaml` of `folder`, by host; none where there is no folder.

    Raises:
        ConfigError: with everything that is wrong in them.
    """
    found: dict[str, AdoptedFile] = {}
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.yaml")):
        document, wrong = read_yaml(path)
        spec, misshapen = (None, []) if wrong else build(Adopted, document)
        wrong += misshapen
        if path.stem not in fleet.hosts:
            wrong.append(Problem(path, "", f"expected the name of a host of fleet.yaml ({', '.join(fleet.hosts)})"))
        elif spec is not None:
            wrong += _check(path.stem, spec, document, fleet)
        if spec is not None and not wrong:
            found[path.stem] = AdoptedFile(document, spec)
        problems += wrong
    if problems:
        raise ConfigError(problems)
    return found


def _check(host: str, spec: Adopted, document: Document, fleet: config.Fleet) -> Iterator[Problem]:
    if config.unclean_root(spec.root):
        message = f'expected an absolute path without "..", "//" or a slash at the end, found "{spec.root}"'
        yield document.problem(("root",), message)
    own = [stack.partition("/")[2] for stack in fleet.stacks if stack.startswith(f"{host}/")]
    for name in spec.stacks:
        if name not in own:
            yield document.problem(("stacks", name), f"expected a stack of {host} ({', '.join(own)})")


def with_roots(fleet: config.Fleet, adopted: Mapping[str, AdoptedFile]) -> config.Fleet:
    """The fleet, in which an adopted host has the root that it was found with."""
    hosts = {
        name: msgspec.structs.replace(host, root=adopted[name].spec.root) if name in adopted else host
        for name, host in fleet.hosts.items()
    }
    return msgspec.structs.replace(fleet, hosts=hosts)


def check_names(file: AdoptedFile, name: str, compose: Mapping[str, Any]) -> Iterator[Problem]:
    """Services, networks and volumes that the file names and the stack's compose.yaml does not have."""
    stack = file.spec.stacks[name]
    services = services_of(compose)
    for part, named, known in (
        ("containers", stack.containers, services),
        ("mounts", stack.mounts, services),
        ("networks", stack.networks, compose.get("networks") or {}),
        ("volumes", stack.volumes, compose.get("volumes") or {}),
    ):
        for key in named:
            if key not in known:
                message = f"expected one of {', '.join(known) or 'none'} (of the stack's compose.yaml)"
                yield file.document.problem(("stacks", name, part, key), message)
    for service, targets in stack.mounts.items():
        for target in targets:
            if service in services and mount_of(services[service], target) is None:
                message = f"{service} mounts nothing at {target} in the stack's compose.yaml"
                yield file.document.problem(("stacks", name, "mounts", service, target), message)


# ── laid over a compose file ─────────────────────────────────────────────────────────────────────────────────────────


def effective(compose: Mapping[str, Any], stack: AdoptedStack) -> dict[str, Any]:
    """The parsed `compose` as it is on the host: what Compose makes of it together with `override`."""
    services = services_of(compose)
    laid = _services(services, stack)
    merged: dict[str, Any] = dict(compose)
    merged["services"] = {name: _merged(body, laid.get(name, {})) for name, body in services.items()}
    for part, named in (("networks", stack.networks), ("volumes", _volumes(services, stack))):
        if compose.get(part) or named:
            merged[part] = {**(compose.get(part) or {}), **{key: _external(name) for key, name in named.items()}}
    return merged


def override(compose: Mapping[str, Any], stack: AdoptedStack) -> bytes:
    """A compose file to be read after `compose`: names, external networks and volumes, and where data is.

    A network that `compose` defines is taken as it is on the host, so its definition is taken back by `!reset`:
    Compose refuses an external one that has any.
    """
    import yaml

    services = services_of(compose)
    body: dict[str, Any] = {"services": _services(services, stack)}
    for part, named in (("networks", stack.networks), ("volumes", _volumes(services, stack))):
        if named:
            own = compose.get(part) or {}
            body[part] = {key: {**_reset(own.get(key)), **_external(name)} for key, name in named.items()}

    class Dumper(yaml.SafeDumper):
        pass

    Dumper.add_representer(_Reset, lambda dumper, _: dumper.represent_scalar("!reset", "null"))
    written = yaml.dump({part: content for part, content in body.items() if content}, Dumper=Dumper, sort_keys=True)
    return str(written).encode()


class _Reset:
    """Takes a value of an earlier compose file back."""


def _reset(definition: object) -> dict[str, _Reset]:
    keys = definition if isinstance(definition, dict) else {}
    return {key: _Reset() for key in keys if key not in ("name", "external") and not str(key).startswith("x-")}


def _external(name: str) -> dict[str, Any]:
    return {"name": name, "external": True}


def _services(services: Mapping[str, Mapping[str, Any]], stack: AdoptedStack) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, body in services.items():
        entry: dict[str, Any] = {}
        container = stack.containers.get(name)
        if container and container != body.get("container_name", default_name(stack.project, name)):
            entry["container_name"] = container
        mounts = []
        for target, source in stack.mounts.get(name, {}).items():
            own = mount_of(body, target)
            mounts.append(f"{source}:{target}" + (":ro" if own is not None and own.read_only else ""))
        if mounts:
            entry["volumes"] = mounts
        if entry:
            found[name] = entry
    return found


def _volumes(services: Mapping[str, Any], stack: AdoptedStack) -> dict[str, str]:
    """By key: those of compose.yaml, and each volume that a service mounts by its own name."""
    own = {
        source: source
        for service in services
        for source in stack.mounts.get(service, {}).values()
        if not source.startswith("/")
    }
    return {**own, **stack.volumes}


def _merged(body: Mapping[str, Any], laid: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**body, **{key: value for key, value in laid.items() if key != "volumes"}}
    replaced = {mount.partition(":")[2].removesuffix(":ro"): mount for mount in laid.get("volumes", ())}
    if replaced:
        kept = [entry for entry in body.get("volumes") or () if not _covered(entry, replaced)]
        merged["volumes"] = [*kept, *replaced.values()]
    return merged


def _covered(entry: object, targets: Mapping[str, str]) -> bool:
    return any(mount_of({"volumes": [entry]}, target) is not None for target in targets)
