"""From blank hosts to a running VPAI: the shipped stacks, unmodified, in the order of docs/bring-up.md."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import stand_ins
import yaml
from deploy_kit import Laptop
from lab_host import LabHost
from lab_registry import Registry

from vpai_tui.clock import SystemClock
from vpai_tui.config import load_fleet
from vpai_tui.fleet.history import History
from vpai_tui.fleet.stacks import Stack, load_stacks
from vpai_tui.world import World

pytestmark = pytest.mark.lab
TOP = Path(__file__).parents[2]
VPN = {"sese": "100.64.0.14", "seko": "100.64.0.5", "pi": "100.64.0.1"}


def operator(folder: Path, host: LabHost) -> Laptop:
    """A laptop with the files that are shipped, for one host; only its address is the lab's."""
    shutil.copytree(TOP / "stacks", folder / "stacks")
    path = folder / "config/fleet.yaml"
    path.parent.mkdir()
    own = [stack for stack in load_fleet(TOP / "config/fleet.yaml").stacks if stack.startswith(f"{host.name}/")]
    written = yaml.safe_load(host.lab.fleet_yaml(host.lab.near, own))
    written["hosts"] = {host.name: written["hosts"][host.name]}  # the others are other tests'
    path.write_text(yaml.safe_dump(written))
    fleet = load_fleet(path)
    return Laptop(
        folder, World(fleet, load_stacks(folder / "stacks", fleet), SystemClock(), History(folder / "h"), path)
    )


async def told(laptop: Laptop, *words: str, code: int = 0) -> Any:
    """What a command says as JSON: its document, or its events."""
    found, out, err = await laptop.run_cli(*words, "--json")
    assert found == code, f"{words}: {found}\n{out[-3000:]}\n{err[-2000:]}"
    return [json.loads(line) for line in out.splitlines()] if words[0] in ("deploy", "opencut") else json.loads(out)


async def filled(laptop: Laptop, host: LabHost, stack: str) -> None:
    """The env files: what can be generated is, on the host; the operator gives the rest."""
    for item in (await told(laptop, "env", stack, "init", "--yes"))["fill_in"]:
        path, key = shlex.quote(item["path"]), item["key"]
        host.sh(f"sed -i '/^{key}=/d' {path}; printf '%s\\n' '{key}=given-by-hand' >>{path}")


async def brought_up(laptop: Laptop, host: LabHost, stack: Stack) -> None:
    await filled(laptop, host, stack.id)
    events = await told(laptop, "deploy", stack.id, "--yes", "--confirm", stack.id)
    assert events[-1]["outcome"] == "committed", events[-1]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("sese", marks=[pytest.mark.soak, pytest.mark.xdist_group("lab-sese")]),  # nine services a minute
        pytest.param("seko", marks=pytest.mark.xdist_group("lab-seko")),
        pytest.param("pi", marks=pytest.mark.xdist_group("lab-pi")),
    ],
)
async def test_a_blank_host_runs_all_of_it(
    name: str, request: pytest.FixtureRequest, registry: Registry, tmp_path: Path
) -> None:
    host: LabHost = request.getfixturevalue(name)
    # What Tailscale would give it; and mounts are shared, as systemd has them.
    host.sh(f"ip address replace {VPN[name]}/32 dev lo; mount --make-rshared /; install -d /mnt/vpai")
    laptop = operator(tmp_path, host)
    stacks = laptop.world.stacks
    stand_ins.push(registry, stacks)
    for image, tag in stand_ins.built_elsewhere(stacks):
        host.sh(f"docker pull -q {image} && docker tag {image} {tag}")
    for stack in stacks:
        if stack.services:
            await brought_up(laptop, host, stack)
    status = await told(laptop, "status")
    wrong = [it for it in status["services"] if it["health"] not in ("healthy", "running", "stopped")]
    assert not wrong, wrong
    wanted = {f"{stack.id}/{it}" for stack in stacks for it in (*stack.services, *stack.off)}
    assert wanted == {f"{it['host']}/{it['stack']}/{it['service']}" for it in status["services"] if it["stack"]}
    for stack in stacks:
        if stack.services:
            code, out, _ = await laptop.run_cli("plan", stack.id, "--exit-code")
            assert code == 0, out
    if name == "pi":
        await taken_down(laptop, host)


async def taken_down(laptop: Laptop, host: LabHost) -> None:
    """Nothing of a stack on demand is left but its data."""
    before = host.sh("docker volume ls -q").split()
    await told(laptop, "opencut", "stop", "--yes")
    assert host.sh("docker ps -q --filter label=com.docker.compose.project=opencut") == ""
    assert host.sh("docker volume ls -q").split() == before
