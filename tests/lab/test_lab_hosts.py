"""The lab is what it says it is: real hosts, sese's sshd, no way out, a registry, a link that can be slow or cut."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable

import pytest
from lab_host import LabHost
from lab_machines import Lab, LabError
from lab_registry import Registry

pytestmark = pytest.mark.lab

QUICK = ("-o", "ConnectTimeout=2")


def test_three_hosts_with_an_engine_each(hosts: dict[str, LabHost]) -> None:
    engines = set()
    for host in hosts.values():
        done = host.ssh("hostname; id -un; sudo -n docker info -f '{{.ID}}'; sudo -n docker compose version --short")
        name, user, engine, compose = done.stdout.split()
        assert (name, user) == (host.name, "mobuone"), done.stderr
        assert tuple(int(n) for n in compose.lstrip("v").split("-")[0].split(".")[:2]) >= (2, 21)
        engines.add(engine)
    assert len(engines) == 3


def test_sese_allows_sessions_only(sese: LabHost, seko: LabHost) -> None:
    forwarded = sese.ssh(options=("-W", "127.0.0.1:804", "-o", "LogLevel=INFO"))
    assert forwarded.returncode != 0
    assert "administratively prohibited" in forwarded.stderr
    assert seko.ssh(options=("-W", "127.0.0.1:22", "-o", "ConnectTimeout=5")).stdout.startswith("SSH-2.0-")


def test_hosts_reach_the_lab_and_nothing_else(pi: LabHost) -> None:
    assert "default" not in pi.sh("ip route")
    with pytest.raises(LabError, match="Network is unreachable"):
        pi.sh("exec bash -c ': </dev/tcp/192.0.2.1/443'")
    assert pi.sh("getent ahostsv4 ghcr.io").split()[0] == pi.lab.registry


def test_pull_by_digest_and_a_tag_that_moves(pi: LabHost, registry: Registry) -> None:
    first = registry.push("docker.io/lab/moving:stable", "1")
    assert registry.digest("docker.io/lab/moving:stable") == first
    pi.sh(f"docker pull -q docker.io/lab/moving@{first}")
    second = registry.push("docker.io/lab/moving:stable", "2")
    assert second != first
    pi.sh("docker pull -q lab/moving:stable")
    shown = json.loads(pi.sh("docker image inspect lab/moving:stable"))
    assert shown[0]["RepoDigests"] == [f"lab/moving@{second}"]
    registry.move_tag("docker.io/lab/moving:stable", first)
    assert registry.digest("docker.io/lab/moving:stable") == first


def test_a_deleted_image_cannot_be_pulled(pi: LabHost, registry: Registry) -> None:
    digest = registry.push("ghcr.io/lab/gone:1")
    registry.delete("ghcr.io/lab/gone:1")
    assert registry.digest("ghcr.io/lab/gone:1") is None
    pi.lab.forget_images("pi", "ghcr.io/lab/gone")
    for reference in ("ghcr.io/lab/gone:1", f"ghcr.io/lab/gone@{digest}"):
        with pytest.raises(LabError, match="manifest unknown"):
            pi.sh(f"docker pull -q {reference}")


def test_images_serve_crash_and_fail_their_healthcheck(pi: LabHost, registry: Registry) -> None:
    for kind in ("web", "crash", "unhealthy"):
        registry.push(f"docker.n8n.io/lab/{kind}:1", "1.2.3", kind=kind)
        pi.sh(f"docker run -d --name {kind} docker.n8n.io/lab/{kind}:1")
    assert pi.sh("docker wait crash").strip() == "3"
    pi.sh("for i in $(seq 50); do docker exec web wget -q -O- 127.0.0.1:8080 && exit; sleep 0.2; done; exit 1")
    pi.sh("for i in $(seq 50); do docker ps | grep -q '(unhealthy)' && exit; sleep 0.2; done; docker ps; exit 1")
    pi.sh("docker stop -t 30 web")
    assert pi.sh("docker inspect -f '{{.State.ExitCode}}' web").strip() == "0"  # it obeyed, it was not killed


def test_a_cut_host_is_silent_and_still_has_its_registry(seko: LabHost, registry: Registry) -> None:
    registry.push("lab/behind-the-cut:1")
    seko.cut()
    done = seko.ssh("true", options=QUICK)
    assert done.returncode == 255
    assert "timed out" in done.stderr
    seko.sh("docker pull -q lab/behind-the-cut:1")
    seko.heal()
    assert seko.ssh("true").returncode == 0


def test_the_far_address_takes_the_round_trip(pi: LabHost, rtt: Callable[[float], None]) -> None:
    def connect_s() -> float:
        started = time.monotonic()
        with socket.create_connection((pi.lab.far(pi.machine), pi.machine.port), timeout=10):
            return time.monotonic() - started

    rtt(50)
    assert connect_s() >= 0.05
    assert pi.ssh("hostname", far=True).stdout == "pi\n"
    rtt(0)
    assert min(connect_s() for _ in range(3)) < 0.05


def test_a_changed_host_key_is_refused_until_the_old_one_is_back(pi: LabHost) -> None:
    pi.lab.new_host_key("pi")
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in pi.ssh("true", options=("-o", "LogLevel=INFO")).stderr
    pi.lab.old_host_key("pi")
    assert pi.ssh("true").returncode == 0


def test_a_host_comes_back_from_a_crash_with_its_containers(pi: LabHost, registry: Registry) -> None:
    registry.push("lab/survivor:1")
    pi.sh("docker run -d --restart always --name survivor lab/survivor:1")
    pi.lab.crash("pi")
    assert pi.ssh("true", options=QUICK).returncode == 255
    pi.lab.boot("pi")
    pi.sh("for i in $(seq 50); do docker ps | grep -q survivor && exit; sleep 0.2; done; exit 1")
    assert pi.ssh("true").returncode == 0


def test_clean_leaves_an_empty_host(pi: LabHost, registry: Registry, lab: Lab) -> None:
    registry.push("lab/litter:1")
    pi.sh(
        f"docker network create litter; docker run -d --network litter -v litter:/srv lab/litter:1; date >{pi.root}/x"
    )
    lab.clean("pi")
    assert pi.sh(f"docker ps -aq; docker volume ls -q; docker network ls -q --filter type=custom; ls {pi.root}") == ""
