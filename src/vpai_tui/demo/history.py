"""The past of a simulated host: the releases each stack has had, in the layout the deploy's runner keeps.

They are made by the deploy's own functions, so that what the demo shows is what a real deploy would have left.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from vpai_tui.clock import rfc3339
from vpai_tui.demo.engine import containers, images
from vpai_tui.demo.engine.compose_load import Project, Source, load
from vpai_tui.demo.engine.store import Doc, hex_of
from vpai_tui.demo.engine.views import COMPOSE_VERSION
from vpai_tui.demo.registry import Registry, parse
from vpai_tui.deploy.bundle import Bundle, read_bundle
from vpai_tui.deploy.compare import ImageTarget
from vpai_tui.deploy.host import Place
from vpai_tui.deploy.plan import Prepared
from vpai_tui.deploy.release import upload
from vpai_tui.fleet.operation import Plan
from vpai_tui.fleet.stacks import Stack, load_stack

_NUMBER = re.compile(r"\d+")
_BY = "mobuone@laptop"
_COMPOSE = "00-compose.yaml"  # the stack's own file in a bundle


@dataclass(frozen=True, slots=True)
class Moment:
    """A clock that stands: when a release of the past was made."""

    seconds: float

    def boot_s(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)


@dataclass(frozen=True, slots=True)
class Past:
    """One release that was made, and what Compose made of its files."""

    id: str
    stack: Stack
    bundle: Bundle
    project: Project


def older(text: str, service: str, steps: int) -> str:
    """A compose.yaml in which the image of `service` is `steps` versions older."""
    block = re.compile(rf"(?ms)^(  {re.escape(service)}:\n.*?^    image: \S+?:)(\S+)$")

    def lowered(match: re.Match[str]) -> str:
        return match[1] + lower_tag(match[2], steps)

    return block.sub(lowered, text, count=1)


def lower_tag(tag: str, steps: int) -> str:
    """`2.7.3` two steps older is `2.7.1`, `0.26.0` one step older `0.25.0`; what has no number stays."""
    version = tag.split("-")[0]
    found = [match for match in _NUMBER.finditer(version) if int(match[0]) >= steps]
    if not found or not steps:
        return tag
    match = found[-1]
    return tag[: match.start()] + str(int(match[0]) - steps) + tag[match.end() :]


def read(stacks: Path, stack_id: str, root: Path) -> tuple[Stack, Bundle]:
    """A stack as the laptop has it, and what a deploy of it would send to a host whose files install below `root`."""
    stack = load_stack(stacks, stack_id)
    return stack, read_bundle(stack, str(root))


def make(
    state: Doc, registry: Registry, stack: Stack, newest: Bundle, root: Path, steps: Mapping[str, int], at: float
) -> Past:
    """Make one release of `stack` below `root` as it was deployed at `at`, and have its images on the host.

    `newest` is what the laptop has now, `steps` how many versions older the image of a service was then.
    """
    text = newest.compose[_COMPOSE].decode()
    for service, count in steps.items():
        text = older(text, service, count)
    bundle = replace(newest, compose={**newest.compose, _COMPOSE: text.encode()})
    release = f"{Moment(at).now():%Y%m%dT%H%M%S}-{hex_of(f'{stack.id} {at}')[:4]}"
    place = Place(str(root), stack.name, stack.project, "docker")
    target = Path(place.home) / "releases" / release
    files = []
    for name, content in bundle.compose.items():
        path = target / "compose" / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_bytes(content)
        files.append(str(path))
    where = Source(files, root, stack.project, (), {})
    for path_ in (*bundle.envs, *bundle.optional_envs):
        if not Path(path_).exists():
            _empty(Path(path_))
    project = load(where)
    targets = {name: _image(state, registry, bundle, name, project, at) for name in bundle.services}
    structure = load(where, interpolate=False, environment=False).document(escape=False)
    plan = Plan(stack.id, "deploy", None, release, "", ())
    prepared = Prepared(plan, place, bundle, targets, (), (), structure, 0, compose_version=COMPOSE_VERSION)
    _extract(upload(prepared, targets, Moment(at), _BY), target)
    _ended(target, at, _BY)
    for wanted in targets.values():
        _keep(state, stack.name, wanted, at)
    return Past(release, stack, bundle, project)


def _empty(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)


def _extract(tar: bytes, target: Path) -> None:
    # File by file: `extractall` warns without a filter, and Python 3.11 has filters only from its fourth release on.
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is not None:
                path = target / member.name
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                path.write_bytes(content.read())
                path.chmod(member.mode)


def _image(state: Doc, registry: Registry, bundle: Bundle, name: str, project: Project, at: float) -> ImageTarget:
    ref = str({**project.services, **project.inactive}[name]["image"])
    build = next((item for item in bundle.builds if item.service == name), None)
    known = images.find(state, ref)
    manifest = registry.resolve(parse(ref))
    if build is not None:
        manifest = manifest._replace(image_id="sha256:" + hex_of(f"built {build.tag}"))
    image = known or images.store(state, parse(ref), manifest, at)
    if build is not None and build.tag not in image["tags"]:
        image.update(built=True, digests=[])
        image["tags"].append(build.tag)
    digest = image["digests"][0] if image["digests"] else None
    return ImageTarget(name, ref, str(image["id"]), digest, build is not None)


def _keep(state: Doc, stack: str, target: ImageTarget, at: float) -> None:
    """The tag and the never-started container that hold a release's image against every prune."""
    short = str(target.id).removeprefix("sha256:")[:12]
    name = f"vpai-keep-{stack}-{target.service}-{short}"
    if containers.find(state, name) is not None:
        return
    ref = f"vpai.keep/{stack}-{target.service}:{short}"
    images.tag(state, at, str(target.id), ref)
    labels = {"vpai.keep": "1", "vpai.stack": stack}
    containers.create(state, at + 30, name, ref, labels=labels, cmd=["true"], network_mode="none")


def mark_envs(root: Path, past: Past) -> None:
    """What the runner notes of env files, so that a later plan names the keys that changed: keyed hashes, no value."""
    deploy = root / "deploy"
    secret = deploy / "hmac.key"
    if not secret.exists():
        secret.touch(mode=0o600)
        secret.write_bytes(bytes.fromhex(hex_of(f"marks of {root.name}")))
    key = secret.read_bytes()
    rows = []
    for path in (*past.bundle.envs, *past.bundle.optional_envs):
        content = Path(path).read_bytes()
        rows.append(f"file {path} {hashlib.sha256(key + content).hexdigest()[:16]}")
        pairs = (line.split("=", 1) for line in content.decode().splitlines() if "=" in line and line[:1] != "#")
        for name, value in sorted((pair[0], pair[1]) for pair in pairs):
            inner = hashlib.sha256(key + value.encode()).hexdigest() + "  -"  # as `sha256sum` prints it
            rows.append(f"key {path} {name} {hashlib.sha256(key + inner.encode()).hexdigest()[:16]}")
    target = deploy / "stacks" / past.stack.name / "releases" / past.id / "env.marks"
    target.write_text("".join(f"{row}\n" for row in rows))


def _ended(target: Path, at: float, by: str) -> None:
    events = (("begin", "none", by), ("pending", "-", "-"), ("files_installed", "-", "-"), ("finished", "-", "ok 0"))
    stamps = [rfc3339(Moment(at + index).now()) for index in range(len(events))]
    lines = ["\t".join((stamp, *event)) + "\n" for stamp, event in zip(stamps, events, strict=True)]
    (target / "journal").write_text("".join(lines))
    (target / "status").write_text("ok 0 \n")
    (target / "out.log").write_text("")


def point(place: Path, past: Past) -> None:
    """Let `current` of a stack name a release."""
    link = place / "current"
    link.unlink(missing_ok=True)
    link.symlink_to(f"releases/{past.id}")


def install(past: Past, root: Path) -> None:
    """Put a release's files where the host's containers mount them."""
    for item in past.bundle.files:
        path = root / item.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(item.content or b"")
        path.chmod(int(item.mode, 8))
