"""Compose files resolved into one project, as `docker compose config` shows it, and the hash of a service."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vpai_tui.demo.engine import compose_forms as forms
from vpai_tui.demo.engine.compose_env import ComposeError, escape_tree, interpolate_tree, parse_env, read_env
from vpai_tui.demo.engine.store import Doc

# What does not count for the hash of a service (as in Compose 2.40).
_NOT_HASHED = ("build", "pull_policy", "scale", "depends_on", "profiles")
_SECTIONS = ("name", "version", "services", "networks", "volumes", "configs", "secrets")


class Source(NamedTuple):
    """What a Compose command line names: the files (`-` is `stdin`), where they belong, and how they are read."""

    files: Sequence[str]
    directory: Path
    project: str = ""
    profiles: Sequence[str] = ()
    environ: Mapping[str, str] = {}
    stdin: str = ""


class Project(NamedTuple):
    """A resolved project; `inactive` are services whose profiles are not asked for."""

    name: str
    services: dict[str, Doc]
    networks: dict[str, Doc]
    volumes: dict[str, Doc]
    others: Doc
    inactive: dict[str, Doc]
    source: Source

    def document(self, *, escape: bool) -> Doc:
        """The tree `config` prints; with `escape` it can be read again."""
        tree: Doc = {"name": self.name, "services": self.services, "networks": self.networks}
        tree |= {"volumes": self.volumes} if self.volumes else {}
        tree |= self.others
        return dict(escape_tree(tree)) if escape else tree


def load(source: Source, *, interpolate: bool = True, environment: bool = True) -> Project:
    """Read, interpolate, merge and resolve. Without `environment`, `env_file` stays as it is. ComposeError."""
    variables = _variables(source)
    missing: list[str] = []
    tree: Doc = {}
    for name in source.files:
        one = _parsed(name, source)
        if interpolate:
            one = interpolate_tree(one, variables.get, missing)
        tree = forms.without_resets(forms.merge(tree, _shaped(one, name, variables)))
    for name in dict.fromkeys(missing):
        sys.stderr.write(f'level=warning msg="The \\"{name}\\" variable is not set. Defaulting to a blank string."\n')
    project = source.project or tree.get("name") or source.directory.name.lower()
    services = {
        # Compose looks for no env file of a service that no profile asks for.
        name: _resolved(
            name, raw, source, variables, project, environment=environment and interpolate and _active(raw, source)
        )
        for name, raw in sorted(tree.get("services", {}).items())
    }
    return _assembled(project, tree, services, source)


def _variables(source: Source) -> dict[str, str]:
    try:
        found = parse_env((source.directory / ".env").read_text(errors="replace"), source.environ)
    except OSError:
        found = {}
    return {**found, **source.environ, "COMPOSE_PROJECT_NAME": source.project}


def _parsed(name: str, source: Source) -> Doc:
    if name == "-":
        text = source.stdin
    else:
        try:
            text = Path(name).read_text()
        except OSError:
            raise ComposeError(f"open {os.path.abspath(name)}: no such file or directory") from None  # noqa: PTH100
    if text.lstrip().startswith("{"):
        try:
            tree = json.loads(text)
        except ValueError as error:
            raise ComposeError(f"parsing {name}: {error}") from None
    else:
        tree = _yaml(name, text)
    if not isinstance(tree, dict):
        raise ComposeError("empty compose file" if tree is None else "top-level object must be a mapping")
    return tree


def _yaml(name: str, text: str) -> Any:
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the C one starts faster
        pass

    Loader.add_constructor("!reset", lambda _loader, _node: forms.RESET)
    try:
        return yaml.load(text, Loader=Loader)  # noqa: S506 (a safe loader)
    except yaml.YAMLError as error:
        raise ComposeError(f"yaml: {name}: {' '.join(str(error).split())}") from None


def _shaped(tree: Doc, name: str, variables: Mapping[str, str]) -> Doc:
    for key in tree:
        if key not in _SECTIONS and not str(key).startswith("x-"):
            raise ComposeError(f"validating {name}: additional properties '{key}' not allowed")
    services = tree.get("services") or {}
    if not isinstance(services, dict):
        raise ComposeError(f"validating {name}: services must be a mapping")
    shaped = {**tree, "services": {key: forms.service(key, raw, variables.get) for key, raw in services.items()}}
    for section in ("networks", "volumes"):
        if section in tree:
            shaped[section] = {key: value or {} for key, value in (tree[section] or {}).items()}
    return shaped


def _resolved(
    name: str, raw: Doc, source: Source, variables: Mapping[str, str], project: str, *, environment: bool
) -> Doc:
    service = {key: value for key, value in raw.items() if not key.startswith("x-")}
    if "image" not in service and "build" not in service:
        raise ComposeError(
            f'service "{name}" has neither an image nor a build context specified: invalid compose project'
        )
    if "build" in service:
        service["build"] = {**service["build"], "context": _absolute(source, service["build"].get("context", "."))}
        service.setdefault("image", f"{project}-{name}")
    service["volumes"] = [
        {**entry, "source": _absolute(source, entry["source"])} if entry.get("type") == "bind" else entry
        for entry in service.get("volumes", [])
    ]
    files = [{**entry, "path": _absolute(source, entry["path"])} for entry in service.get("env_file", [])]
    own = service.get("environment", {})
    if environment:
        service.pop("env_file", None)
        own = {**_from_files(files, variables), **own}
    elif files:
        service["env_file"] = files
    service["environment"] = {key: value for key, value in sorted(own.items()) if value is not None or not environment}
    if "network_mode" not in service:
        service.setdefault("networks", {"default": None})
    service.setdefault("command", None)
    service.setdefault("entrypoint", None)
    return {key: value for key, value in service.items() if value not in ({}, []) or key == "networks"}


def _from_files(files: list[Doc], variables: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in files:
        if entry["required"] or Path(entry["path"]).exists():
            found |= read_env(Path(entry["path"]), {**variables, **found})
    return found


def _absolute(source: Source, path: str) -> str:
    if path.startswith("~"):
        path = source.environ.get("HOME", "") + path[1:]
    return os.path.normpath(source.directory / path)


def _active(service: Doc, source: Source) -> bool:
    """Whether a service is in no profile, or in one that is asked for."""
    wanted, own = set(source.profiles), set(service.get("profiles") or ())
    return not own or bool(wanted & own) or "*" in wanted


def _assembled(project: str, tree: Doc, services: dict[str, Doc], source: Source) -> Project:
    declared = tree.get("networks") or {}
    used = {network for service in services.values() for network in service.get("networks") or {}}
    if "default" in used:
        declared = {"default": {}, **declared}
    for network in sorted(used - set(declared)):
        user = next(name for name, service in services.items() if network in (service.get("networks") or {}))
        raise ComposeError(f'service "{user}" refers to undefined network {network}: invalid compose project')
    volumes = tree.get("volumes") or {}
    for name, service in services.items():
        for entry in service.get("volumes", []):
            if entry["type"] == "volume" and entry.get("source") and entry["source"] not in volumes:
                what = f"undefined volume {entry['source']}"
                raise ComposeError(f'service "{name}" refers to {what}: invalid compose project')
        for needed in service.get("depends_on", {}):
            if needed not in services:
                raise ComposeError(f'service "{name}" depends on undefined service "{needed}": invalid compose project')
    active = {name: service for name, service in services.items() if _active(service, source)}
    return Project(
        project,
        active,
        {key: _named(project, key, value, "ipam") for key, value in sorted(declared.items())},
        {key: _named(project, key, value) for key, value in sorted(volumes.items())},
        {key: value for key, value in tree.items() if key in ("configs", "secrets") and value},
        {key: service for key, service in services.items() if key not in active},
        source,
    )


def _named(project: str, key: str, value: Doc, *empty: str) -> Doc:
    external = bool(value.get("external"))
    name = value.get("name") or (key if external else f"{project}_{key}")
    return {"name": name, **({} if external else {word: {} for word in empty}), **value}


def config_hash(service: Doc) -> str:
    """The hash Compose labels a container with: of the resolved service, but for what needs no recreation."""
    counted = {key: value for key, value in service.items() if key not in _NOT_HASHED}
    deploy = {key: value for key, value in (counted.pop("deploy", None) or {}).items() if key != "replicas"}
    if deploy:
        counted["deploy"] = deploy
    return hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()
