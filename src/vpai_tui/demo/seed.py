"""The first state of the demo: what a fleet that has run for weeks looks like."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from vpai_tui.demo import backups, machine, yaml_text
from vpai_tui.demo.engine import compose_up, containers, usage
from vpai_tui.demo.engine.compose_load import Project
from vpai_tui.demo.engine.store import Doc, Engine, empty_state, fraction, hex_of
from vpai_tui.demo.hosts import HostProfile
from vpai_tui.demo.registry import Registry
from vpai_tui.starter import find_starter

_DAY_S = 86400.0
# How many versions older each service was, release by release; the last one runs. The laptop is ahead of it where
# that one is not empty, so that a first deploy has something to do. Stacks not named had one older service once.
_HISTORY: dict[str, tuple[dict[str, int], ...]] = {
    "sese/apps": ({"n8n": 2, "litellm": 2}, {"n8n": 2}, {"n8n": 1}),
}
_DRIFTED = ("sese/infra", "redis")  # somebody changed this one by hand
_FLAPS = ("sese/infra", "qdrant")


def laptop(folder: Path) -> None:
    """The operator's own files: a copy of `config/` and `stacks/`."""
    for name in ("config", "stacks"):
        target = folder / "laptop" / name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(find_starter() / name, target)
    _give_sources(folder / "laptop" / "stacks")


def _give_sources(stacks: Path) -> None:
    """Images in the places of what is the operator's own: the pretended one has built them all."""
    for path in sorted(stacks.glob("*/*/stack.yaml")):
        source = _yaml(path).get("source") or {}
        services = _yaml(path.with_name("compose.yaml"))["services"]
        text = path.read_text()
        for name in (it for it, given in source.items() if given is None):
            text = re.sub(rf"(?m)^(  {re.escape(name)}:)$", rf"\1 {services[name]['image']}", text, count=1)
        path.write_text(text)


def _yaml(path: Path) -> Doc:
    found: Doc = yaml_text.load(path.read_text()) or {}
    return found


def stacks_in_order(folder: Path) -> tuple[str, ...]:
    """The stacks of the laptop's fleet.yaml that have files, in start-up order."""
    document = _yaml(folder / "laptop" / "config" / "fleet.yaml")
    there = [str(stack) for stack in document.get("stacks", ())]
    return tuple(stack for stack in there if (folder / "laptop" / "stacks" / stack / "compose.yaml").is_file())


def domain(folder: Path) -> str:
    """The domain of the laptop's fleet.yaml."""
    return str(_yaml(folder / "laptop" / "config" / "fleet.yaml").get("domain") or "example.org")


def addresses(folder: Path) -> dict[str, str]:
    """The hosts of the laptop's fleet.yaml by their addresses."""
    hosts = _yaml(folder / "laptop" / "config" / "fleet.yaml").get("hosts") or {}
    return {str(address): name for name, host in hosts.items() for address in host.get("addresses", ())}


def host(folder: Path, profile: HostProfile, stacks: Sequence[str], seed: int, now: float) -> None:
    """One host: its folders, files and running containers."""
    home = folder / profile.name
    for part in ("docker", "tmp", "home/mobuone", "root", profile.root.lstrip("/")):
        (home / part).mkdir(parents=True, exist_ok=True)
    engine = Engine(home)
    state = empty_state(profile.name, profile.arch, seed, now - profile.up_days * _DAY_S)
    registry = Registry(folder, seed)
    root = home / profile.root.lstrip("/")
    for stack in stacks:
        if stack.startswith(profile.name + "/"):
            _stack(state, registry, folder / "laptop" / "stacks", root, stack, now)
    usage.seed(state, now)
    machine.seed(home, profile, state, now)
    engine.write(state)
    _headscale(engine, state, now)
    backups.seed(home, now)


def _headscale(engine: Engine, state: Doc, now: float) -> None:
    """The VPN of the host that carries it."""
    from vpai_tui.demo.headscale import box, config, seed

    for container in state["containers"].values():
        if box.is_headscale(container):
            read = box.reader(container)
            loaded = config.start(read(box.CONFIG) or b"", read)
            version = str(container["image"]).rpartition(":")[2]
            booted = f"{container['id']} {container['started']}"
            box.store_of(engine).write(seed.build(engine, version, booted, loaded, now))


def _stack(state: Doc, registry: Registry, stacks: Path, root: Path, stack: str, now: float) -> None:
    """One stack: its releases, the files of the one that runs, and its containers."""
    from vpai_tui.demo import history

    _env_files(stacks / stack, root, seed=state["seed"])
    age = _DAY_S * (2 + 5 * fraction(f"{state['seed']} age of {stack}"))
    versions = _HISTORY.get(stack) or ({_changeable(stacks / stack): 1}, {})
    known, newest = history.read(stacks, stack, root)
    for back, steps in zip(range(len(versions) - 1, -1, -1), versions, strict=True):
        at = now - age * (1 + 2.5 * back)
        past = history.make(state, registry, known, newest, root, steps, at)
    history.install(past, root)
    history.mark_envs(root, past)
    history.point(root / "deploy" / "stacks" / stack.split("/")[1], past)
    project = past.project
    networks(state, project, now)
    for path in (*(str(root / item.path) for item in past.bundle.files), *past.bundle.envs, *past.bundle.optional_envs):
        if os.path.exists(path):  # noqa: PTH110
            os.utime(path, (at, at))  # written when it was deployed, not now
    for place, name in enumerate(compose_up.selection(project, (), dependencies=True)):
        _service(state, project, stack, name, at + 5 + 3 * place, now)


def _changeable(source: Path) -> str:
    """A service of a stack that holds no data and has a version: the one an earlier release had older."""
    from vpai_tui.demo.history import lower_tag

    spec, services = _yaml(source / "stack.yaml"), _yaml(source / "compose.yaml")["services"]
    found = [
        name
        for name, service in services.items()
        if "build" not in service and lower_tag((tag := str(service["image"]).rpartition(":")[2]), 1) != tag
    ]
    unfit = {*spec.get("data", ()), *spec.get("one_shots", ())}
    return next((name for name in found if name not in unfit), found[0] if found else "")


def _env_files(source: Path, root: Path, *, seed: int) -> None:
    for path in sorted(source.rglob("*.env.example")):
        filled = (root / path.relative_to(source)).with_name(path.name.removesuffix(".example"))
        filled.parent.mkdir(parents=True, exist_ok=True)
        filled.write_text(invented(path.read_text(), seed))
        filled.chmod(0o600)


def invented(example: str, seed: int) -> str:
    """An example env file with a made-up value behind every key that has none."""
    lines = []
    for line in example.splitlines():
        key, equals, value = line.partition("=")
        if equals and not value.strip() and not line.lstrip().startswith("#"):
            line = f"{key}=demo-{hex_of(f'{seed} {key}')[:24]}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def networks(state: Doc, project: Project, now: float) -> None:
    """The networks and volumes of a project, as far as they are not there."""
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


def _service(state: Doc, project: Project, stack: str, name: str, born: float, now: float) -> None:
    service = {**project.services, **project.inactive}[name]
    if (stack, name) == _DRIFTED:
        service = {**service, "environment": {**service.get("environment", {}), "TUNED_BY_HAND": "1"}}
    title = service.get("container_name") or f"{project.name}-{name}-1"
    made = compose_up.create(state, born, project, name, service, title)
    containers.start(state, born + 1, made)
    if (stack, name) == _FLAPS:
        made.update(behaviour="flap", flaps_from=now, restarts=3)
