"""What `probe.sh` tells of a host, as types. Records are TSV lines; unknown ones are an error, never skipped."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.model import Hold
from vpai_tui.text import clean, clean_line

_DEPTH = 64  # of what Compose prints; a file people write has a tenth


@dataclass(frozen=True, slots=True)
class RunningContainer:
    """A container of the stack's project and services."""

    id: str
    name: str
    state: str
    service: str
    config_hash: str
    image_id: str
    compose_version: str
    files_label: str
    image: str = ""  # as `docker ps` calls it: a reference, or an id when its tag names other bits by now


@dataclass(frozen=True, slots=True)
class LocalImage:
    """An image the host has. `digests` are those of the registries it came from, as `repository@sha256:…`."""

    id: str
    platform: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """A mount: `source` is a volume's name or a path of the host."""

    source: str
    target: str
    volume: bool
    writable: bool = True


@dataclass(frozen=True, slots=True)
class Published:
    """A port of the host. `address` is empty for every one."""

    address: str
    port: str  # a number, or a range as `8000-8010`
    protocol: str


@dataclass(frozen=True, slots=True)
class Occupant:
    """A container of the host, ours or not, and what it holds of the host."""

    id: str
    name: str
    state: str
    project: str
    service: str
    config_files: str  # what Compose made it from
    ports: tuple[Published, ...]
    mounts: tuple[Held, ...]
    image: str = ""  # the reference it was made from


@dataclass(slots=True)
class HostFacts:
    """One answer of the probe."""

    current: str | None = None
    pending: str | None = None
    busy: bool = False
    owner: str = ""
    hold: Hold | None = None
    compose: str = ""
    fingerprint: str = ""
    containers: list[RunningContainer] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)
    plain_hashes: dict[str, str] = field(default_factory=dict)
    was_hashes: dict[str, str] = field(default_factory=dict)  # of the files that what runs before us was made from
    refs: dict[str, str] = field(default_factory=dict)  # service → image reference
    unset: list[str] = field(default_factory=list)  # variables of the compose files that have no value
    netns: dict[str, str] = field(default_factory=dict)  # service → the service whose network it shares
    images: list[LocalImage] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)  # path → sha256, `missing` or `dir`
    envs: dict[str, str] = field(default_factory=dict)  # absolute path → `missing` or `mode owner`
    env_keys: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # path → [(+ - ~, KEY)]
    env_lacks: list[tuple[str, str, str]] = field(default_factory=list)  # (path, required KEY, missing or empty)
    lives: dict[str, bytes] = field(default_factory=dict)
    bundle_lives: dict[str, bytes] = field(default_factory=dict)  # live files of the release rolled back to
    prior_lives: dict[str, bytes] = field(default_factory=dict)  # live files before an interrupted deploy
    missing_networks: list[str] = field(default_factory=list)
    dumps: dict[str, tuple[str, float, int]] = field(default_factory=dict)  # service → newest: path, age, bytes
    binds: dict[str, str] = field(default_factory=dict)
    occupants: list[Occupant] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)  # service → container_name
    published: dict[str, list[Published]] = field(default_factory=dict)  # by service, as wanted
    mounts: dict[str, list[Held]] = field(default_factory=dict)  # by service, as wanted; volumes by their key
    volumes: dict[str, str] = field(default_factory=dict)  # key → name
    free_kib: int | None = None
    structure: dict[str, Any] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(
        default_factory=dict
    )  # base.* of the current release, bundle.* of the one rolled back to
    errors: dict[str, str] = field(default_factory=dict)  # stage → what the host said
    releases: list[tuple[str, str, bytes, bytes]] = field(default_factory=list)  # id, status, manifest, images.lock
    dumps_then: dict[str, bytes] = field(default_factory=dict)  # release → rows as `dump_rows` has them
    have: set[str] = field(default_factory=set)  # image ids on the host
    out: str = ""
    status: str = ""

    def base_json(self) -> dict[str, Any]:
        """The structure the current release was made from, or {}."""
        return _json(self.blobs.get("base.structure.json", b""))

    def project_of(self, which: str) -> str:
        """The project of the `base` release, or of that rolled back to (`bundle`); empty where none is told."""
        adopted = clean(self.blobs.get(f"{which}.project", b"")).strip()
        return adopted or manifest(self.blobs.get(f"{which}.manifest", b"")).get("project", "")


def manifest(raw: bytes) -> dict[str, str]:
    """`key=value` lines."""
    return dict(line.split("=", 1) for line in clean(raw).splitlines() if "=" in line)


def tsv(raw: bytes) -> list[list[str]]:
    """Non-empty lines, split at tabs, cleaned."""
    return [clean(line).split("\t") for line in raw.split(b"\n") if line.strip()]


def parse(raw: bytes, host: str) -> HostFacts:
    """The facts in a probe's output.

    Raises:
        OperatorError: the output is cut or not the probe's.
    """
    facts = HostFacts()
    rows = [line.split(b"\t") for line in raw.split(b"\n") if line]
    if not rows or rows[-1] != [b"end"]:
        raise OperatorError("the probe's answer is cut", host=host, output=clean_line(raw[-400:]), remedy="try again")
    for row in rows[:-1]:
        kind, *cells = [clean(cell) for cell in row]
        try:
            _take(facts, kind, cells)
        except (LookupError, ValueError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
            raise OperatorError(
                f"the probe's answer has a bad `{kind}` record", host=host, output=clean_line(b" ".join(row))
            ) from error
    return facts


def _blob(cell: str) -> bytes:
    return base64.b64decode(cell, validate=True)


def _json(raw: bytes) -> dict[str, Any]:
    """A structure as Compose prints it; what has another shape is left out: it only names what changes."""
    try:
        data = json.loads(raw) if raw else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(data, dict) or depth(data) > _DEPTH:
        return {}
    sections = {name: data[name] for name in ("services", "networks", "volumes") if isinstance(data.get(name), dict)}
    if "services" in sections:
        sections["services"] = {name: body for name, body in sections["services"].items() if isinstance(body, dict)}
    return sections


def depth(value: object) -> int:
    """How deep mappings and lists are nested in each other."""
    level, found = [value], 0
    while level := [item for item in level if isinstance(item, dict | list)]:
        level = [part for item in level for part in (item.values() if isinstance(item, dict) else item)]
        found += 1
    return found


def _current(facts: HostFacts, cells: list[str]) -> None:
    facts.current = cells[0] or None


def _pending(facts: HostFacts, cells: list[str]) -> None:
    facts.pending = cells[0] or None


def _lock(facts: HostFacts, cells: list[str]) -> None:
    facts.busy, facts.owner = cells[0] == "held", cells[1] if len(cells) > 1 else ""


def _container(facts: HostFacts, cells: list[str]) -> None:
    told = RunningContainer(*cells[:8])
    facts.containers.append(replace(told, image=cells[10]) if len(cells) > 10 else told)


def _local(facts: HostFacts, cells: list[str]) -> None:
    facts.images.append(LocalImage(cells[0], cells[1], tuple(cells[2].split()), tuple(cells[3].split())))


def _mount(facts: HostFacts, cells: list[str]) -> None:
    service, kind, source, target, mode = cells
    if kind in ("bind", "volume"):
        facts.mounts.setdefault(service, []).append(Held(source, target, kind == "volume", mode == "rw"))


def _port(facts: HostFacts, cells: list[str]) -> None:
    service, address, port, protocol = cells
    facts.published.setdefault(service, []).append(Published(address, port, protocol or "tcp"))


def _occupant(facts: HostFacts, cells: list[str]) -> None:
    told = [json.loads(cell) for cell in cells[3:]]
    project, service, files, keeper = (clean_line(str(value or "")) for value in told[:4])
    if keeper:
        return
    ports = tuple(
        Published(clean_line(str(item.get("HostIp") or "")), clean_line(str(item["HostPort"])), key.partition("/")[2])
        for key, bound in (told[4] or {}).items()
        for item in bound or ()
        if item.get("HostPort")
    )
    mounts = tuple(_held(item) for item in told[5] or () if item.get("Type") in ("bind", "volume"))
    image = clean_line(str(told[6] or ""))
    name = cells[1].removeprefix("/")
    facts.occupants.append(Occupant(cells[0], name, cells[2], project, service, files, ports, mounts, image))


def _held(item: dict[str, Any]) -> Held:
    volume = item["Type"] == "volume"
    source = item.get("Name") if volume else item.get("Source")
    return Held(
        clean_line(str(source or "")), clean_line(str(item.get("Destination") or "")), volume, bool(item.get("RW"))
    )


def _dump(facts: HostFacts, cells: list[str]) -> None:
    age_s = float(cells[1])
    if not isfinite(age_s):
        raise ValueError(cells[1])
    facts.dumps[cells[0]] = (cells[3], age_s, int(cells[2]))


_TAKERS: dict[str, Callable[[HostFacts, list[str]], object]] = {
    "current": _current,
    "pending": _pending,
    "lock": _lock,
    "local": _local,
    "hold": lambda facts, cells: setattr(facts, "hold", Hold.read("\t".join(cells))),
    "compose": lambda facts, cells: setattr(facts, "compose", cells[0].removeprefix("v")),
    "fingerprint": lambda facts, cells: setattr(facts, "fingerprint", cells[0]),
    "container": _container,
    "hash": lambda facts, cells: facts.hashes.update({cells[0]: cells[1]}),
    "plain": lambda facts, cells: facts.plain_hashes.update({cells[0]: cells[1]}),
    "was": lambda facts, cells: facts.was_hashes.update({cells[0]: cells[1]}),
    "image": lambda facts, cells: facts.refs.update({cells[0]: cells[1]}),
    "unset": lambda facts, cells: facts.unset.append(cells[0]),
    "netns": lambda facts, cells: facts.netns.update({cells[0]: cells[1]}),
    "have": lambda facts, cells: facts.have.add(cells[0]),
    "file": lambda facts, cells: facts.files.update({cells[0]: cells[1]}),
    "env": lambda facts, cells: facts.envs.update({cells[0]: cells[1]}),
    "envkey": lambda facts, cells: facts.env_keys.setdefault(cells[0], []).append((cells[1], cells[2])),
    "envlack": lambda facts, cells: facts.env_lacks.append((cells[0], cells[1], cells[2])),
    "live": lambda facts, cells: facts.lives.update({cells[0]: _blob(cells[1])}),
    "network": lambda facts, cells: facts.missing_networks.append(cells[0]),
    "bind": lambda facts, cells: facts.binds.update({cells[0]: cells[1]}),
    "dump": _dump,
    "dumps.then": lambda facts, cells: facts.dumps_then.update({cells[0]: _blob(cells[1])}),
    "occupant": _occupant,
    "mount": _mount,
    "port": _port,
    "named": lambda facts, cells: facts.named.update({cells[0]: cells[1]}),
    "volume": lambda facts, cells: facts.volumes.update({cells[0]: cells[1]}),
    "disk": lambda facts, cells: setattr(facts, "free_kib", int(cells[0])),
    "structure": lambda facts, cells: setattr(facts, "structure", _json(_blob(cells[0]))),
    "error": lambda facts, cells: facts.errors.update({cells[0]: clean(_blob(cells[1])).strip()}),
    "release": lambda facts, cells: facts.releases.append((cells[0], cells[1], _blob(cells[2]), _blob(cells[3]))),
    "out": lambda facts, cells: setattr(facts, "out", clean(_blob(cells[0]))),
    "status": lambda facts, cells: setattr(facts, "status", cells[0]),
}


def _take(facts: HostFacts, kind: str, cells: list[str]) -> None:
    if kind == "bundle.live":
        facts.bundle_lives[cells[0]] = _blob(cells[1])
    elif kind == "prior.live":
        facts.prior_lives[cells[0]] = _blob(cells[1])
    elif kind.startswith(("base.", "bundle.")):
        facts.blobs[kind] = _blob(cells[0])
    else:
        _TAKERS[kind](facts, cells)
