"""What a deploy sends: a stack's folder as files, labels and lists the host's scripts read without a parser."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

import yaml

from vpai_tui.deploy.builds import Build, builds_of
from vpai_tui.deploy.live import without_live_keys
from vpai_tui.deploy.told import ToldFile, digests_of, told_of
from vpai_tui.fleet import sources
from vpai_tui.fleet.compose import services_of
from vpai_tui.fleet.stacks import SPEC_FILE, Stack
from vpai_tui.text import clean

FILES_LABEL = "vpai.files"
LABELS_FILE = "10-files.yaml"  # of Bundle.compose


@dataclass(frozen=True, slots=True)
class ShippedFile:
    """One file that is installed below the host's root. `on_change`: recreate, restart, reload or none.

    `identity` is the hash of what counts as a change: live keys are the host's own and left out of it. `content` is
    None where the host has the file already (in the release that is rolled back to).
    """

    path: str
    mode: str
    on_change: str
    sha256: str
    identity: str
    content: bytes | None = None
    reload: str = ""
    live_keys: tuple[str, ...] = ()

    def with_content(self, content: bytes) -> ShippedFile:
        """The same file with other bytes (the host's live values in it)."""
        return replace(self, content=content, sha256=hashlib.sha256(content).hexdigest())


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything of one stack that a plan compares and a deploy ships. Files' paths are relative to the host's root."""

    stack: str
    name: str
    project: str
    services: tuple[str, ...]
    compose: Mapping[str, bytes]  # file name → content, in the order Compose reads them
    files: tuple[ShippedFile, ...]
    envs: tuple[str, ...]  # absolute; must exist
    optional_envs: tuple[str, ...]
    env_of: Mapping[str, tuple[str, ...]]  # by service
    binds: tuple[str, ...]  # absolute sources that are not shipped
    networks: tuple[str, ...]  # external ones: must exist
    env_keys: tuple[tuple[str, str], ...] = ()  # (key, absolute path) that must have a value where the file exists
    builds: tuple[Build, ...] = ()
    files_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # service → shipped paths it mounts
    labels: Mapping[str, str] = field(default_factory=dict)  # service → hash of the files whose change recreates it
    one_shots: tuple[str, ...] = ()
    data: tuple[str, ...] = ()  # services that hold data
    spec: bytes | None = None  # stack.yaml; None: the laptop has none, or the release is the host's
    dumps: tuple[str, ...] = ()  # where dumps of them are found, each `service min_bytes glob`
    source: str | None = None  # the release on the host that the files come from; None: from the laptop
    off: tuple[str, ...] = ()  # services that wait for the operator's own source

    @property
    def lives(self) -> tuple[str, ...]:
        return tuple(item.path for item in self.files if item.live_keys)


def read_bundle(stack: Stack, root: str) -> Bundle:
    """The bundle of `stack` for a host whose files install below `root` (absolute)."""
    files = tuple(_shipped(stack)) if stack.services else ()  # all off: nobody would read them
    by_file = {item.path: stack.services_of_file(item.path) for item in files}
    files_of = {name: tuple(item for item in files if name in by_file[item.path]) for name in stack.services}
    labels = {name: _files_hash(items) for name, items in files_of.items() if any(_counts(item) for item in items)}
    compose = {"00-compose.yaml": stack.compose_path.read_bytes()}
    if given := sources.override(stack.spec.source):
        compose["04-source.yaml"] = given
    if stack.override:
        compose["05-adopted.yaml"] = stack.override
    if labels:
        compose[LABELS_FILE] = files_override(labels)
    env_of: dict[str, list[str]] = {}
    for env in stack.env_uses:
        env_of.setdefault(env.service, []).append(below(root, env.path))
    return Bundle(
        stack=stack.id,
        name=stack.name,
        project=stack.project,
        services=stack.services,
        compose=compose,
        files=files,
        envs=tuple(sorted({below(root, env.path) for env in stack.env_uses if env.required})),
        optional_envs=tuple(sorted({below(root, env.path) for env in stack.env_uses if not env.required})),
        env_of={name: tuple(paths) for name, paths in env_of.items()},
        binds=_unshipped_binds(stack, root, set(by_file)),
        networks=_external_networks(stack.compose),
        builds=tuple(builds_of(stack)),
        files_of={name: tuple(item.path for item in items) for name, items in files_of.items() if items},
        labels=labels,
        one_shots=tuple(stack.spec.one_shots),
        data=tuple(stack.spec.data),
        dumps=tuple(f"{it.dump_of} {it.min_size_bytes} {it.glob}" for it in stack.spec.fresh if it.dump_of),
        spec=spec.read_bytes() if (spec := stack.dir / SPEC_FILE).is_file() else None,
        off=stack.off,
    )


def below(root: str, path: str) -> str:
    """`path` as an absolute one: as it is, or below the host's root."""
    return path if path.startswith("/") else str(PurePosixPath(root) / path)


def files_override(labels: Mapping[str, str]) -> bytes:
    """A compose file that gives each service the hash of the files it mounts, so that a change recreates it."""
    services = {name: {"labels": {FILES_LABEL: value}} for name, value in sorted(labels.items())}
    return yaml.safe_dump({"services": services}, sort_keys=True).encode()


def describe(bundle: Bundle) -> bytes:
    """What a later rollback to this release must know of it: everything but contents, as JSON."""
    files = [{key: value for key, value in asdict(item).items() if key != "content"} for item in bundle.files]
    names = ("files_of", "env_of", "labels", "one_shots", "data")
    kept = {"files": files, **{name: getattr(bundle, name) for name in names}}
    return json.dumps(kept, sort_keys=True).encode()


def bundle_on_host(stack: Stack, release: str, lists: Mapping[str, bytes], lives: Mapping[str, bytes]) -> Bundle:
    """The bundle of a release the host keeps; `lists` are its flat files, `lives` its live files' contents.

    What was live then and what is live for the laptop now are both: the host's values win.
    """
    told = told_of(lists.get("bundle.json"))

    def items(name: str) -> tuple[str, ...]:
        return tuple(clean(lists.get(name, b"")).split("\n")[:-1])

    contents = digests_of(lists.get("files.sha256", b""))
    known = [_known(raw, stack) for raw in told.files]
    files = [_as_kept(item, *contents[item.path], lives.get(item.path)) for item in known if item.path in contents]
    adopted = "kind=adopted" in items("manifest")  # what ran before us has no label of ours
    return Bundle(
        stack=stack.id,
        name=stack.name,
        project=stack.project,
        services=items("services"),
        compose={},
        files=tuple(files),
        envs=items("envs"),
        optional_envs=items("envs.optional"),
        env_of=told.env_of,
        binds=(),
        networks=items("networks"),
        files_of=told.files_of,
        labels={} if adopted else told.labels,
        one_shots=stack.spec.one_shots if told.one_shots is None else told.one_shots,
        data=told.data,
        dumps=items("dumps"),
        source=release,
    )


def data_of(description: bytes | None) -> tuple[str, ...]:
    """The services that hold data, of what `describe` wrote."""
    return told_of(description).data


def _known(raw: ToldFile, stack: Stack) -> ShippedFile:
    now = next((item.keys for item in stack.spec.live if item.file == raw.path), ())
    return ShippedFile(
        path=raw.path,
        mode=raw.mode,
        on_change=raw.on_change,
        sha256=raw.sha256,
        identity=raw.identity,
        reload=raw.reload,
        live_keys=tuple(dict.fromkeys((*raw.live_keys, *now))),
    )


def _as_kept(item: ShippedFile, digest: str, mode: str, live: bytes | None) -> ShippedFile:
    """`item` as a release on the host has it: an adopted one keeps the host's files, not those it was described by."""
    identity = digest
    if live is not None and item.live_keys:
        identity = hashlib.sha256(without_live_keys(live, item.live_keys)).hexdigest()
    return replace(item, sha256=digest, mode=mode, identity=identity, content=live)


def _shipped(stack: Stack) -> Iterable[ShippedFile]:
    live = {item.file: tuple(item.keys) for item in stack.spec.live}
    for relative, path, rule in stack.shipped():
        content, keys = path.read_bytes(), live.get(relative, ())
        yield ShippedFile(
            path=relative,
            mode="755" if path.stat().st_mode & 0o100 else "644",
            on_change="reload" if rule.reload else rule.on_change,
            sha256=hashlib.sha256(content).hexdigest(),
            identity=hashlib.sha256(without_live_keys(content, keys) if keys else content).hexdigest(),
            content=content,
            reload=rule.reload or "",
            live_keys=keys,
        )


def _counts(item: ShippedFile) -> bool:
    return item.on_change == "recreate"


def _files_hash(items: Iterable[ShippedFile]) -> str:
    """Over path, mode and content of the files whose change recreates; `vpai.files` carries it."""
    lines = [f"{item.path} {item.mode} {item.identity}" for item in items if _counts(item)]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:32]


def _unshipped_binds(stack: Stack, root: str, shipped: set[str]) -> tuple[str, ...]:
    """Absolute sources that must be on the host already; those with variables only the host could tell."""
    found = set()
    for binds in stack.binds.values():
        for bind in binds:
            source = bind.source
            if source is None or any(path == source or path.startswith(f"{source}/") for path in shipped):
                continue
            found.add(below(root, source))
    return tuple(sorted(found))


def _external_networks(compose: Mapping[str, Any]) -> tuple[str, ...]:
    networks = compose.get("networks") or {}
    used = {name for body in services_of(compose).values() for name in body.get("networks") or ()}
    names = [
        str(net.get("name") or key)
        for key, net in networks.items()
        if key in used and isinstance(net, dict) and net.get("external")
    ]
    return tuple(sorted(name for name in names if "$" not in name))
