"""`make bench`: the figures of docs/performance.md, as ratios against what the operator would use instead.

Needs the lab (root, Docker). Nothing is asserted: a figure that is not reached is printed as such.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "lab"))
sys.path.insert(0, str(HERE))

import deploys  # noqa: E402
import isolation  # noqa: E402
import lab_wan  # noqa: E402
from lab_machines import Lab  # noqa: E402
from lab_registry import Registry  # noqa: E402
from terminal import Terminal  # noqa: E402

from vpai_tui.config import load_fleet  # noqa: E402

COCKPIT = str(Path(sys.executable).with_name("vpai-tui"))
NAMES = ("sese", "seko", "pi")
COMMAND = "sudo docker ps --format json"


def row(measure: str, ours: float, theirs: float, reach: float, unit: str = "s") -> None:
    """One line of the table."""
    ratio = ours / theirs
    verdict = "reached" if ratio <= reach else "NOT reached"
    print(f"{measure:<58} {ours:8.3f} {unit} {theirs:8.3f} {unit} {ratio:6.2f}×  ≤ {reach:.2f}×  {verdict}", flush=True)


def plain(measure: str, value: float, reach: float, unit: str) -> None:
    """One line without something to compare with."""
    verdict = "reached" if value <= reach else "NOT reached"
    print(f"{measure:<58} {value:8.3f} {unit:<24} ≤ {reach:g} {unit}  {verdict}", flush=True)


def medians(count: int, *timers: Callable[[], float]) -> list[float]:
    """Each timer `count` times, in turns, so that a busy moment hits all of them; the medians."""
    samples: list[list[float]] = [[] for _ in timers]
    for _ in range(count):
        for found, timer in zip(samples, timers, strict=True):
            found.append(timer())
    return [statistics.median(found) for found in samples]


def until(argv: list[str], *texts: str) -> float:
    """Seconds from the start of a program to a screen with `texts` on it."""
    with Terminal(argv) as terminal:
        return terminal.wait_for(*texts)


def first_frame(count: int, config: Path, demo: Path) -> None:
    """To the strip with three names and a state word."""
    bare = [sys.executable, str(HERE / "bare_app.py")]
    ours = [COCKPIT, "--config", str(config)]
    simulated = [COCKPIT, "--demo-dir", str(demo)]
    until(simulated, *NAMES)  # builds the demo's state once
    theirs, real, demoed = medians(
        count,
        lambda: until(bare, *NAMES, "connecting"),
        lambda: until(ours, *NAMES, "connecting"),
        lambda: until(simulated, *NAMES, "connecting"),
    )
    row("start → first frame, against a bare Textual table", real, theirs, 1.4)
    row("the same under --demo", demoed, theirs, 1.4)


def cold_services(count: int, lab: Lab, config: Path, rtt_ms: int) -> None:
    """To the services of three hosts on screen."""
    fleet = load_fleet(config)

    def three_ssh() -> float:
        started = time.perf_counter()
        argv = [[*_ssh(lab, config, name), COMMAND] for name in fleet.hosts]
        running = [subprocess.Popen(it, stdout=subprocess.DEVNULL) for it in argv]
        for process in running:
            if process.wait():
                raise RuntimeError("ssh failed")
        return time.perf_counter() - started

    services = tuple(f"bench-{name}" for name in NAMES)
    theirs, ours = medians(count, three_ssh, lambda: until([COCKPIT, "--config", str(config)], *services))
    row(f"start → services of 3 hosts, cold, RTT {rtt_ms}; 3× ssh docker ps", ours, theirs, 1.5)


def _ssh(lab: Lab, config: Path, name: str) -> list[str]:
    host = load_fleet(config).hosts[name]
    options = ["-o", f"UserKnownHostsFile={lab.known_hosts}", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"]
    return [
        "ssh",
        "-F",
        "none",
        "-i",
        str(lab.key),
        "-p",
        str(host.ssh.port),
        *options,
        f"{host.ssh.user}@{host.addresses[0]}",
    ]


def death_seen(count: int, lab: Lab, config: Path, rtt_ms: int) -> None:
    """From the end of `docker kill` on the host to the word on screen."""
    found = []
    with Terminal([COCKPIT, "--config", str(config)]) as terminal:
        terminal.wait_for("bench-pi")
        terminal.rest(5)
        for _ in range(count):
            terminal.forget()
            lab.root_shell("pi", "docker kill bench-pi >/dev/null")
            killed = time.perf_counter() - terminal.started
            found.append(terminal.wait_for("down") - killed)
            lab.root_shell("pi", "docker start bench-pi >/dev/null")
            terminal.rest(3)
    plain(f"container dies → on screen, RTT {rtt_ms}", statistics.median(found), rtt_ms / 1000 + 0.3, "s")


def stacks(count: int, lab: Lab, config: Path, rtt_ms: int, folder: Path) -> None:
    """Plan of nothing and deploy of one changed service, against Compose itself."""
    host = load_fleet(config).hosts[deploys.HOST]
    turns = iter(range(1, 1000))
    with deploys.ControlMaster(lab, host, folder) as ssh:

        async def measure() -> tuple[list[float], list[float], list[float], list[float]]:
            plans, waits, ours, theirs = [], [], [], []
            async with deploys.cockpit(config, folder) as cockpit:
                await cockpit.deploy(next(turns))
                ssh.timed(deploys.compose_up(0))
                for _ in range(count):
                    await asyncio.sleep(1)
                    plans.append(await cockpit.plan())
                    waits.append(await asyncio.to_thread(ssh.timed, deploys.compose_up(0)))
                for _ in range(count):
                    ours.append(await cockpit.deploy(next(turns)))
                    await asyncio.sleep(2)
                    theirs.append(await asyncio.to_thread(ssh.timed, deploys.compose_up(next(turns))))
                ssh.timed("sudo docker rm -f benchplain-web-1")
            return plans, waits, ours, theirs

        plans, waits, ours, theirs = (statistics.median(it) for it in asyncio.run(measure()))
    row(f"plan of nothing, warm, RTT {rtt_ms}; compose up --wait by ssh", plans, waits, 0.8)
    row(f"deploy of one changed service, to its commit, RTT {rtt_ms}", ours, theirs, 1.3)


def idle(config: Path, seconds: float) -> None:
    """What an open cockpit costs."""
    with Terminal([COCKPIT, "--config", str(config)]) as terminal:
        terminal.wait_for("bench-pi")
        terminal.rest(8)
        before = terminal.cpu_s()
        terminal.rest(seconds)
        plain("idle: processor", 100 * (terminal.cpu_s() - before) / seconds, 2, "%")
        plain("idle: memory", terminal.rss_mib(), 120, "MiB")


@contextmanager
def furnished(lab: Lab) -> Iterator[None]:
    """Three hosts with one container each."""
    lab.up()
    lab_wan.start(lab)
    registry = Registry(lab)
    registry.push(deploys.IMAGE)
    for name in NAMES:
        lab.clean(name)
        lab.root_shell(name, f"docker pull -q {deploys.IMAGE} && docker run -d --name bench-{name} {deploys.IMAGE}")
    try:
        yield
    finally:
        lab_wan.stop(lab)
        for name in NAMES:
            lab.clean(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=7, help="runs of each figure; the median counts")
    parser.add_argument("--idle-s", type=float, default=30)
    args = parser.parse_args()
    lab = Lab()
    with furnished(lab), tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        deploys.write_stack(folder / "stacks", 0)
        near, far = folder / "near" / "config" / "fleet.yaml", folder / "far" / "config" / "fleet.yaml"
        for path, address in ((near, lab.near), (far, lab.far)):
            path.parent.mkdir(parents=True)
            path.write_text(lab.fleet_yaml(address))
        print(f"{'measure':<58} {'ours':>10} {'theirs':>10} {'ratio':>7}", flush=True)
        first_frame(args.count, near, folder / "demo")
        lab_wan.set_delay(lab, 50)
        cold_services(args.count, lab, far, 50)
        death_seen(args.count, lab, far, 50)
        for rtt, path in ((0, near), (50, far)):
            stacks(args.count, lab, path, rtt, folder / "stacks")
        lab_wan.set_delay(lab, 0)
        idle(near, args.idle_s)
        isolation.measure(lab, COCKPIT, near)


if __name__ == "__main__":
    main()
