"""From three blank hosts to a running VPAI: the shipped stacks, unmodified, in the order of docs/bring-up.md."""

from __future__ import annotations

import asyncio
import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import stand_ins
from deploy_kit import Laptop
from lab_host import LabHost
from lab_registry import Registry

from vpai_tui.clock import SystemClock
from vpai_tui.config import load_fleet
from vpai_tui.fleet.history import History
from vpai_tui.fleet.stacks import load_stacks
from vpai_tui.world import World

pytestmark = pytest.mark.lab
TOP = Path(__file__).parents[2]
VPN = {"sese": "100.64.0.14", "seko": "100.64.0.5", "pi": "100.64.0.1"}
Hosts = dict[str, LabHost]


def operator(folder: Path, hosts: Hosts) -> Laptop:
    """A laptop with the files that are shipped; only the hosts' addresses are the lab's."""
    shutil.copytree(TOP / "stacks", folder / "stacks")
    path = folder / "config/fleet.yaml"
    path.parent.mkdir()
    lab = hosts["sese"].lab
    path.write_text(lab.fleet_yaml(lab.near, load_fleet(TOP / "config/fleet.yaml").stacks))
    fleet = load_fleet(path)
    return Laptop(
        folder, World(fleet, load_stacks(folder / "stacks", fleet), SystemClock(), History(folder / "h"), path)
    )


async def told(laptop: Laptop, *words: str, code: int = 0) -> Any:
    """What a command says as JSON: its document, or its events."""
    found, out, err = await laptop.run_cli(*words, "--json")
    assert found == code, f"{words}: {found}\n{out[-3000:]}\n{err[-2000:]}"
    return [json.loads(line) for line in out.splitlines()] if words[0] == "deploy" else json.loads(out)


async def filled(laptop: Laptop, host: LabHost, stack: str) -> None:
    """The env files: what can be generated is, on the host; the operator gives the rest."""
    for item in (await told(laptop, "env", stack, "init", "--yes"))["fill_in"]:
        path, key = shlex.quote(item["path"]), item["key"]
        host.sh(f"sed -i '/^{key}=/d' {path}; printf '%s\\n' '{key}=given-by-hand' >>{path}")


async def brought_up(laptop: Laptop, host: LabHost) -> None:
    """Every stack of one host, in the fleet's order."""
    for stack in laptop.world.stacks:
        if stack.host != host.name or not stack.services:
            continue
        await filled(laptop, host, stack.id)
        events = await told(laptop, "deploy", stack.id, "--yes", "--confirm", stack.name)
        assert events[-1]["outcome"] == "committed", events[-1]


async def test_three_blank_hosts_run_all_of_it(hosts: Hosts, registry: Registry, tmp_path: Path) -> None:
    laptop = operator(tmp_path, hosts)
    for name, address in VPN.items():  # which Tailscale would give them
        hosts[name].sh(f"ip address add {address}/32 dev lo")
    stand_ins.push(registry, laptop.world.stacks)
    for name, image, tag in stand_ins.built_elsewhere(laptop.world.stacks):
        hosts[name].sh(f"docker pull -q {image} && docker tag {image} {tag}")
    await asyncio.gather(*(brought_up(laptop, host) for host in hosts.values()))
    status = await told(laptop, "status")
    wrong = [it for it in status["services"] if it["health"] not in ("healthy", "running", "stopped")]
    assert not wrong, wrong
    everything = {
        service
        for stack in laptop.world.stacks
        for service in (f"{stack.id}/{it}" for it in (*stack.services, *stack.off))
    }
    assert everything == {f"{it['host']}/{it['stack']}/{it['service']}" for it in status["services"] if it["stack"]}
    for stack in laptop.world.stacks:
        if stack.services:
            assert (await told(laptop, "plan", stack.id))["changes"] == [], stack.id
    # one taken down: nothing of it is left but its data
    before = hosts["pi"].sh("docker volume ls -q").split()
    await told(laptop, "opencut", "stop", "--yes")
    assert hosts["pi"].sh("docker ps -q --filter label=com.docker.compose.project=opencut") == ""
    assert hosts["pi"].sh("docker volume ls -q").split() == before
