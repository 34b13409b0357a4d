"""A disk freed on a real engine: exactly what nobody needs goes, no volume, and the way back stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from deploy_kit import compose, current, environment, image_id, laptop, push, running, service
from lab_host import LabHost
from lab_registry import Registry

from vpai_tui.fleet.operation import Outcome

pytestmark = pytest.mark.lab

MOVING = "ghcr.io/lab/disk-moving:stable"
TRIED = "ghcr.io/lab/disk-tried:1"
DEMAND = "ghcr.io/lab/disk-demand:1"
STOPPED = "ghcr.io/lab/disk-stopped:1"


def images(host: LabHost) -> set[str]:
    return set(host.sh("docker image ls -aq --no-trunc").split())


def id_of(host: LabHost, ref: str) -> str:
    return host.sh(f"docker image inspect -f '{{{{.Id}}}}' {ref}").strip()


async def test_exactly_what_nobody_needs_goes_and_rollback_still_works(
    pi: LabHost, registry: Registry, tmp_path: Path
) -> None:
    push(registry, TRIED, DEMAND, STOPPED)
    pi.sh("docker image prune -af")  # what earlier tests left is nobody's either
    async with laptop(pi, tmp_path, ("pi/web", "pi/studio")) as me:
        me.write("pi/studio", compose({"cut": service(DEMAND)}), {"on_demand": True})
        first = []
        for number in "12":  # the tag moves on: what the first release needs has no name of its own any more
            registry.push(MOVING, number, kind="web", megabytes=(2,))
            me.write("pi/web", compose({"web": service(MOVING, environment={"V": number})}))
            await me.committed("pi/web")
            first.append(image_id(pi, "web-web-1"))
        assert first[0] != first[1]
        pi.sh(
            f"for i in {TRIED} {DEMAND} {STOPPED}; do docker pull -q $i; done; "
            f"docker create --name kept -v used:/d {STOPPED} true; docker volume create lonely; "
            "mkdir -p /tmp/ctx; printf 'FROM scratch\\nCOPY a /a\\n' >/tmp/ctx/Dockerfile; "
            "for n in 1 2; do head -c 3000000 /dev/urandom >/tmp/ctx/a; "
            "DOCKER_BUILDKIT=0 docker build -q -t made:1 /tmp/ctx; done"
        )
        made, tried = id_of(pi, "made:1"), id_of(pi, TRIED)
        dangling = set(pi.sh("docker image ls -q --no-trunc --filter dangling=true").split())
        pi.sh(  # all of it came weeks ago; and containerd has content that no lease of the engine's knows
            "cd $(docker info -f '{{.DockerRootDir}}')/image/*/imagedb; "
            "find content -type f -exec touch -d '20 days ago' {} +; "
            "find metadata -name lastUpdated -exec sh -c 'printf 2026-01-01T00:00:00Z >\"$1\"' x {} \\; ; "
            "mkdir -p /var/lib/containerd/content; head -c 30000000 /dev/urandom >/var/lib/containerd/content/blob"
        )
        kept = images(pi) - {tried, made} - dangling
        volumes, up = pi.sh("docker volume ls -q"), running(pi)

        code, out, err = await me.run_cli("disk", "pi", "--json")
        look = json.loads(out)
        assert (code, err) == (0, "")
        need = {it["id"]: it["need"] for it in look["images"]}
        assert (need[first[0]], need[first[1]], need[id_of(pi, DEMAND)]) == ("release", "container", "on_demand")
        assert (need[id_of(pi, STOPPED)], need[tried], need[made]) == ("container", "nobody", "nobody")
        assert dangling and {need[it] for it in dangling} == {"nobody"}
        assert {it["name"]: it["users"] for it in look["volumes"]}["lonely"] == 0
        part = next(it for it in look["parts"] if it["id"] == "containerd")
        assert (part["size_bytes"] >= 30_000_000, "does not see" in part["detail"]) == (True, True)

        assert (await me.run_cli("--read-only", "disk", "pi", "--prune", "--yes"))[0] == 2
        code, out, err = await me.run_cli("disk", "pi", "--prune", "--yes")
        assert (code, "--confirm pi" in err) == (2, True)  # made:1 cannot be fetched again
        assert {tried, made, *dangling} <= images(pi)
        code, out, err = await me.run_cli("disk", "pi", "--prune", "--json", "--confirm", "pi")
        events = [json.loads(line) for line in out.splitlines()]
        assert (code, events[-1]["outcome"]) == (0, "committed"), (out, err)
        assert {it["subject"] for it in events if it["event"] == "removed"} >= {TRIED, "made:1"}
        assert images(pi) == kept
        assert (pi.sh("docker volume ls -q"), running(pi)) == (volumes, up)
        freed = next(it for it in events if it["event"] == "freed")
        assert freed["before_bytes"] > 0 and freed["after_bytes"] > 0

        pi.sh("rm -rf /var/lib/containerd/content")
        end = await me.rollback(stack="pi/web")
        assert end.outcome is Outcome.COMMITTED
        assert (environment(pi, "web-web-1")["V"], image_id(pi, "web-web-1")) == ("1", first[0])
        assert current(pi)
        history = (await me.run_cli("history", "--local", "--json"))[1]
        assert '"what": "disk prune"' in history
