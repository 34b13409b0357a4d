"""A simulated host as it was before vpai-tui: the same services, from Compose files and under names of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from vpai_tui.demo import seed
from vpai_tui.demo.engine import compose_up, containers, images
from vpai_tui.demo.engine.compose_load import Project, Source, load
from vpai_tui.demo.engine.store import Doc, Engine
from vpai_tui.demo.registry import Registry, parse

PROJECT = "javisi"  # as VPAI's real hosts call it
_STAMP = "foreign"


def make(folder: Path, host: str, root: Path, stacks: tuple[str, ...]) -> None:
    """Turn `host` into such a one, once: releases of ours are gone, each container has another name and project."""
    home = folder / host
    if (home / _STAMP).exists():
        return
    shutil.rmtree(root / "deploy", ignore_errors=True)
    (folder / "laptop" / "config" / "adopted" / f"{host}.yaml").unlink(missing_ok=True)
    engine = Engine(home)
    with engine.change() as state:
        now = engine.now()
        for container in list(state["containers"].values()):
            containers.remove(state, now, container, force=True)
        for name in [name for name, network in state["networks"].items() if network["labels"]]:
            containers.remove_network(state, now, name)
        for stack in stacks:
            if stack.startswith(f"{host}/"):
                project = _written(folder / "laptop" / "stacks" / stack, root, stack)
                _stack(state, project, Registry(folder, state["seed"]), now)
        _hand_run(state, now)
    (home / _STAMP).touch()


def _written(source: Path, root: Path, stack: str) -> Project:
    """The Compose file that the host has of its own: ours with names as somebody else gave them."""
    body: Doc = yaml.safe_load((source / "compose.yaml").read_text())
    for name, service in body["services"].items():
        service.pop("build", None)
        service["container_name"] = f"{PROJECT}_{name}"
    for part in ("networks", "volumes"):
        for key, definition in (body.get(part) or {}).items():
            body[part][key] = {**(definition or {}), "name": f"{PROJECT}_{key.replace('-', '_')}"}
    file = root / f"docker-compose-{stack.partition('/')[2]}.yml"
    file.write_text(yaml.safe_dump(body, sort_keys=False))
    return load(Source([str(file)], root, PROJECT))


def _stack(state: Doc, project: Project, registry: Registry, now: float) -> None:
    seed.networks(state, project, now)
    for place, name in enumerate(compose_up.selection(project, (), dependencies=True)):
        service = project.services[name]
        if images.find(state, service["image"]) is None:
            ref = parse(service["image"])
            images.store(state, ref, registry.resolve(ref), now - 90000)
        made = compose_up.create(state, now - 86400 + 3 * place, project, name, service, service["container_name"])
        containers.start(state, now - 86390 + 3 * place, made)


def _hand_run(state: Doc, now: float) -> None:
    """One that `docker run` made, of whatever image is there: nobody's service."""
    image = next((tag for known in state["images"].values() for tag in known["tags"]), None)
    if image is not None:
        made = containers.create(state, now - 7200, "someones_test", image)
        containers.start(state, now - 7199, made)
