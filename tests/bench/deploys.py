"""Plans and deploys of one small stack, timed beside `docker compose up -d --wait` through an ssh ControlMaster."""

from __future__ import annotations

import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from lab_machines import Lab

from vpai_tui.clock import SystemClock
from vpai_tui.config import Host, load_fleet
from vpai_tui.deploy.deployer import Deployer
from vpai_tui.fleet.history import History
from vpai_tui.fleet.operation import Finished, Journaled, Outcome
from vpai_tui.fleet.stacks import load_stack
from vpai_tui.remote.connection import Connection, connect
from vpai_tui.remote.docker import Docker

HOST = "sese"
IMAGE = "lab/bench:1"
_COMPOSE = """services:
  web:
    image: {image}
    stop_grace_period: 1s
    environment: {{TURN: "{turn}"}}
    healthcheck: {{test: ["CMD", "wget", "-qO-", "http://127.0.0.1:8080/"], interval: 1s, retries: 3}}
"""


def write_stack(folder: Path, turn: int) -> None:
    """The stack `sese/bench` with another value in its environment."""
    home = folder / HOST / "bench"
    home.mkdir(parents=True, exist_ok=True)
    (home / "compose.yaml").write_text(_COMPOSE.format(image=IMAGE, turn=turn))
    (home / "stack.yaml").write_text("title: Bench\n")


class ControlMaster:
    """One open ssh connection that commands go through, as a careful operator has it."""

    def __init__(self, lab: Lab, host: Host, folder: Path) -> None:
        control = f"{folder}/cm"
        self._ssh = ["ssh", "-F", "none", "-i", str(lab.key), "-p", str(host.ssh.port), "-o", f"ControlPath={control}"]
        self._ssh += [
            "-o",
            f"UserKnownHostsFile={lab.known_hosts}",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "LogLevel=ERROR",
        ]
        self._target = f"{host.ssh.user}@{host.addresses[0]}"

    def __enter__(self) -> ControlMaster:
        subprocess.run([*self._ssh, "-o", "ControlMaster=yes", "-fN", self._target], check=True)
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run([*self._ssh, "-O", "exit", self._target], check=False, capture_output=True)

    def timed(self, command: str) -> float:
        """Seconds one command takes."""
        started = time.perf_counter()
        subprocess.run([*self._ssh, self._target, command], check=True, capture_output=True)
        return time.perf_counter() - started


def compose_up(turn: int) -> str:
    """The baseline: the same change in the same file, and Compose's own waiting."""
    text = _COMPOSE.format(image=IMAGE, turn=turn)
    return f"cat >/tmp/c.yaml <<'E'\n{text}E\nsudo docker compose -p benchplain -f /tmp/c.yaml up -d --wait"


class Cockpit:
    """A warm connection and a deployer on it."""

    def __init__(self, connection: Connection, docker: Docker, stacks: Path) -> None:
        self._connection = connection
        self._docker = docker
        self._stacks = stacks

    def _deployer(self) -> Deployer:
        async def here(_: str) -> Connection:
            return self._connection

        stack = load_stack(self._stacks, f"{HOST}/bench")
        return Deployer([stack], here, here, lambda _: self._docker, SystemClock(), History(self._stacks / "history"))

    async def plan(self) -> float:
        """Seconds of one plan, from reading the files on."""
        started = time.perf_counter()
        plan = await self._deployer().plan("bench")
        took = time.perf_counter() - started
        if not plan.empty:
            raise RuntimeError(f"not a plan of nothing: {plan.summary}")
        return took

    async def deploy(self, turn: int) -> float:
        """Seconds of plan and deploy of one changed service, up to its commit; what verifies it comes after."""
        write_stack(self._stacks, turn)
        started = time.perf_counter()
        committed = 0.0
        deployer = self._deployer()
        async for event in deployer.apply(await deployer.plan("bench")):
            if isinstance(event, Journaled) and event.what == "committed":
                committed = time.perf_counter() - started
            if isinstance(event, Finished) and event.outcome is not Outcome.COMMITTED:
                raise RuntimeError(f"{event.outcome}: {event.reason} {event.output}")
        return committed


@asynccontextmanager
async def cockpit(config: Path, stacks: Path) -> AsyncIterator[Cockpit]:
    """Connects once; the engine's client is warm."""
    fleet = load_fleet(config)
    connection = await connect(HOST, fleet.hosts[HOST])
    docker = Docker(connection)
    try:
        await docker.call("ping")
        yield Cockpit(connection, docker, stacks)
    finally:
        await docker.close()
        await connection.close()
