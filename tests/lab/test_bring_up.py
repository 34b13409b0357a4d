"""From blank hosts to a running VPAI: docs/bring-up.md is typed line by line, the shipped stacks run unmodified."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import stand_ins
from bring_up_walk import DOCUMENT, JOINING, SHIPPED, TOP, Walk, concerns
from deploy_kit import Laptop
from lab_host import LabHost
from lab_registry import Registry

from bring_up_steps import Step, steps
from vpai_tui.fleet.stacks import load_stacks

pytestmark = pytest.mark.lab
# Lines that the lab cannot type, and why. Each has to be in the document.
NOT_TYPED = {
    "apt-get install -y git": "the lab's hosts have no way out, and their image has no git",
}


def typed(host: str, *, moved: bool) -> Iterator[Step]:
    """The lines for one host; those which need a second one have a test of their own below.

    `moved`: with what is typed where Headscale gave out other addresses than the document's.
    """
    found = steps()
    assert not set(NOT_TYPED) - {step.line for step in found}
    deployed = set()
    for step in found:
        again = step.line in deployed
        deployed |= {step.line} if step.words[:1] == ["deploy"] else set()
        if concerns(step, host) and step.line not in NOT_TYPED and (moved or not (again or "/.env" in step.line)):
            yield step


@contextmanager
def walked(walk: Walk) -> Iterator[None]:
    walk.prepare()
    try:
        yield
    finally:
        walk.restore()


def group(host: str, *marks: pytest.MarkDecorator, id: str = "", moved: bool = False) -> Any:
    return pytest.param(host, moved, marks=[*marks, pytest.mark.xdist_group(f"lab-{host}")], id=id or host)


@pytest.mark.parametrize(
    ("name", "moved"),
    [
        group("sese", pytest.mark.soak, moved=True),  # nine services a minute
        group("seko", pytest.mark.soak, id="seko-moved", moved=True),
        group("seko"),
        group("pi", moved=True),
    ],
)
async def test_a_blank_host_runs_all_of_it(
    name: str, moved: bool, request: pytest.FixtureRequest, registry: Registry, tmp_path: Path
) -> None:
    host: LabHost = request.getfixturevalue(name)
    walk = Walk({name: host}, tmp_path, JOINING if moved else DOCUMENT)
    host.lab.forget_images(name, "headscale/headscale")  # it knows where an earlier test listened
    with walked(walk), walk.hub.served(host.lab, registry) if name == "seko" else nullcontext():
        for step in typed(name, moved=moved):
            if step.words[:1] == ["env"] and step.words[-1] == "check":
                token_by_hand(host)
            if step.words[:2] == ["opencut", "stop"]:
                await taken_down(walk, step, host)
                continue
            await walk.take(step)
            if step.line.startswith("cd "):
                images(registry, host)
        await stands(walk.laptop(), host)
        if name == "seko":
            seko_listens_in_the_vpn(host, walk.vpn[name])


async def test_the_push_token_goes_from_host_to_host(hosts: dict[str, LabHost], tmp_path: Path) -> None:
    walk = Walk(hosts, tmp_path)
    found = steps()
    begin = next(step.block for step in found if step.line.startswith("token"))
    files = {"sese": "caddy/caddy.env", "seko": "alloy/alloy.env", "pi": "alloy/alloy.env"}
    makers = [["env", stack, "init", "--yes"] for stack in ("sese/edge", "seko/services", "pi/monitoring")]
    for step in found:
        if step.line.startswith(("vpai-tui init", "cd ")) or step.words in makers:
            await walk.take(step)
    for _ in range(2):  # done again, it is the same
        await walk.type("\n".join(step.line for step in found if step.block == begin))
        values = set()
        for name, file in files.items():
            path = f"{hosts[name].root}/configs/{file}"
            assert hosts[name].sh(f"stat -c '%U %a' {path}").strip() == "root 600"
            values.add(hosts[name].sh(f"grep ^PUSH_TOKEN= {path}"))
        assert len(values) == 1 and "PUSH_TOKEN=\n" not in values, len(values)


def token_by_hand(host: LabHost) -> None:
    """What the other test has walked."""
    host.sh(
        f"cd {host.root}/configs; for it in alloy/*.env; do sed -i 's/^PUSH_TOKEN=.*/PUSH_TOKEN=of-sese/' $it; done"
    )


def images(registry: Registry, host: LabHost) -> None:
    """Of the whole fleet: the walks of other hosts may push at the same moment, and push the same."""
    stacks = [stack for stack in load_stacks(TOP / "stacks", SHIPPED) if stack.id != "seko/headscale"]
    stand_ins.push(registry, stacks)
    for image, tag in stand_ins.built_elsewhere([stack for stack in stacks if stack.host == host.name]):
        host.sh(f"docker pull -q {image} && docker tag {image} {tag}")


async def told(laptop: Laptop, *words: str) -> Any:
    code, out, err = await laptop.run_cli(*words, "--json")
    assert code == 0, f"{words}: {code}\n{out[-3000:]}\n{err[-2000:]}"
    return json.loads(out)


async def settled(laptop: Laptop) -> Any:
    """The status once Docker has asked every service how it is: a restart for new records was a moment ago."""
    end = time.monotonic() + 60
    while True:
        status = await told(laptop, "status")
        if time.monotonic() > end or not any(it["health"] == "starting" for it in status["services"]):
            return status
        await asyncio.sleep(1)


async def stands(laptop: Laptop, host: LabHost) -> None:
    """Every service is there and well, and nothing is left to deploy."""
    stacks = laptop.world.stacks
    status = await settled(laptop)
    wrong = [it for it in status["services"] if it["health"] not in ("healthy", "running", "stopped")]
    assert not wrong, wrong
    wanted = {f"{stack.id}/{it}" for stack in stacks for it in (*stack.services, *stack.off)}
    assert wanted == {f"{it['host']}/{it['stack']}/{it['service']}" for it in status["services"] if it["stack"]}
    for stack in stacks:
        if stack.services and not stack.spec.on_demand:
            await nothing_left(laptop, stack.id)


async def nothing_left(laptop: Laptop, stack: str) -> None:
    code, out, _ = await laptop.run_cli("plan", stack, "--exit-code")
    assert code == 0, out


async def taken_down(walk: Walk, step: Step, host: LabHost) -> None:
    """A stack on demand, which was whole: nothing is left but its data."""
    await nothing_left(walk.laptop(), "pi/opencut")
    before = host.sh("docker volume ls -q").split()
    await walk.take(step)
    assert host.sh("docker ps -q --filter label=com.docker.compose.project=opencut") == ""
    assert host.sh("docker volume ls -q").split() == before


def seko_listens_in_the_vpn(host: LabHost, address: str) -> None:
    """At the address that it got, and what the host mounts later is seen by what backs it up."""
    listening = host.sh("ss -Hltn | awk '{print $4}'")
    for port in (5984, 4096, 3001):
        assert f"{address}:{port}" in listening.split()
    host.sh("mkdir -p /mnt/vpai/sese; mount -t tmpfs none /mnt/vpai/sese; touch /mnt/vpai/sese/seen")
    assert host.sh("docker exec services-zerobyte-1 ls /mnt/vpai/sese").strip() == "seen"
