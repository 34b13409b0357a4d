"""The first state of the demo: what a fleet that has run for weeks looks like."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import yaml

import vpai_tui
from vpai_tui.demo.engine import compose_up, containers, images
from vpai_tui.demo.engine.compose_load import Project, Source, load
from vpai_tui.demo.engine.store import Doc, Engine, empty_state, fraction, hex_of
from vpai_tui.demo.hosts import HostProfile
from vpai_tui.demo.registry import Registry, parse

_DAY_S = 86400.0
# The laptop is one version ahead of the host here, so that a first deploy has something to do.
_AHEAD = ("sese/apps", "n8n")
_DRIFTED = ("sese/infra", "redis")  # somebody changed this one by hand
_FLAPS = ("sese/infra", "qdrant")
_NOT_SHIPPED = ("compose.yaml", "stack.yaml")


def starter() -> Path:
    """Where the project's own `config/` and `stacks/` are: in the wheel, or at the top of the repository."""
    package = Path(vpai_tui.__file__).parent
    packed = package / "starter"
    return packed if packed.is_dir() else package.parents[1]


def laptop(folder: Path) -> None:
    """The operator's own files: a copy of `config/` and `stacks/`."""
    for name in ("config", "stacks"):
        target = folder / "laptop" / name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(starter() / name, target)


def stacks_in_order(folder: Path) -> tuple[str, ...]:
    """The stacks of the laptop's fleet.yaml that have files, in start-up order."""
    document = yaml.safe_load((folder / "laptop" / "config" / "fleet.yaml").read_text())
    there = [str(stack) for stack in document.get("stacks", ())]
    return tuple(stack for stack in there if (folder / "laptop" / "stacks" / stack / "compose.yaml").is_file())


def host(folder: Path, profile: HostProfile, seed: int, now: float) -> None:
    """One host: its folders, files and running containers."""
    home = folder / profile.name
    for part in ("docker", "tmp", "home/mobuone", "root", profile.root.lstrip("/")):
        (home / part).mkdir(parents=True, exist_ok=True)
    engine = Engine(home)
    state = empty_state(profile.name, profile.arch, seed, now - profile.up_days * _DAY_S)
    registry = Registry(folder, seed)
    root = home / profile.root.lstrip("/")
    for stack in stacks_in_order(folder):
        if stack.startswith(profile.name + "/"):
            _stack(state, registry, folder / "laptop" / "stacks" / stack, root, stack, now)
    engine.write(state)


def _stack(state: Doc, registry: Registry, source: Path, root: Path, stack: str, now: float) -> None:
    _install(source, root, seed=state["seed"])
    spec = yaml.safe_load((source / "stack.yaml").read_text()) or {}
    text = deployed_compose(source, stack)
    history = root / "deploy" / "seed"
    history.mkdir(parents=True, exist_ok=True)
    path = history / f"{stack.replace('/', '-')}.yaml"
    path.write_text(text)
    project = load(Source([str(path)], root, str(spec.get("project") or source.name), ("*",), {}))
    _networks(state, project, now)
    born = now - _DAY_S * (2 + 9 * fraction(f"{state['seed']} age of {stack}"))
    for place, name in enumerate(compose_up.selection(project, (), dependencies=True)):
        _service(state, registry, project, stack, name, born + 3 * place)


def deployed_compose(source: Path, stack: str) -> str:
    """The compose.yaml of the version that runs on the host, which may be older than the laptop's."""
    text = (source / "compose.yaml").read_text()
    if stack != _AHEAD[0]:
        return text
    pattern = re.compile(rf"(image: \S*{_AHEAD[1]}:\S*?)(\d+)(\s)")
    return pattern.sub(lambda found: f"{found[1]}{max(0, int(found[2]) - 1)}{found[3]}", text, count=1)


def _install(source: Path, root: Path, *, seed: int) -> None:
    for path in sorted(source.rglob("*")):
        if not path.is_file() or (path.name in _NOT_SHIPPED and path.parent == source):
            continue
        target = root / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.name.endswith(".env.example"):
            filled = target.with_name(path.name.removesuffix(".example"))
            filled.write_text(invented(path.read_text(), seed))
            filled.chmod(0o600)
        else:
            shutil.copyfile(path, target)
            target.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def invented(example: str, seed: int) -> str:
    """An example env file with a made-up value behind every key that has none."""
    lines = []
    for line in example.splitlines():
        key, equals, value = line.partition("=")
        if equals and not value.strip() and not line.lstrip().startswith("#"):
            line = f"{key}=demo-{hex_of(f'{seed} {key}')[:24]}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def _networks(state: Doc, project: Project, now: float) -> None:
    for key, spec in project.networks.items():
        if spec["name"] in state["networks"]:
            continue
        pools = (spec.get("ipam") or {}).get("config") or [{}]
        labels = {compose_up.LABEL + "project": project.name, compose_up.LABEL + "network": key}
        containers.add_network(
            state, now - 90 * _DAY_S, spec["name"], {**spec, "labels": labels, "subnet": pools[0].get("subnet")}
        )
    for spec in project.volumes.values():
        state["volumes"].setdefault(spec["name"], {"created": now - 90 * _DAY_S, "labels": {}})


def _service(state: Doc, registry: Registry, project: Project, stack: str, name: str, born: float) -> None:
    service = {**project.services, **project.inactive}[name]
    provide_image(state, registry, service, born)
    if (stack, name) == _DRIFTED:
        service = {**service, "environment": {**service.get("environment", {}), "TUNED_BY_HAND": "1"}}
    title = service.get("container_name") or f"{project.name}-{name}-1"
    made = compose_up.create(state, born, project, name, service, title)
    if (stack, name) == _FLAPS:
        made["behaviour"] = "flap"
    containers.start(state, born + 1, made)


def provide_image(state: Doc, registry: Registry, service: dict[str, Any], now: float) -> str:
    """Have the image of a service on the host, pulled or built; its id."""
    ref = str(service["image"])
    known = images.find(state, ref)
    if known is not None:
        return str(known["id"])
    if "build" in service:
        manifest = registry.resolve(parse(ref))._replace(image_id="sha256:" + hex_of(f"built {ref}"))
        image = images.store(state, parse(ref), manifest, now)
        image.update(built=True, digests=[])
    else:
        image = images.store(state, parse(ref), registry.resolve(parse(ref)), now)
    return str(image["id"])
