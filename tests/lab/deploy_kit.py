"""A laptop with stacks, the lab's hosts, and the deployer between them, for the tests of deploys."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from lab_host import LabHost
from lab_registry import Registry

from vpai_tui.clock import SystemClock
from vpai_tui.config import load_fleet
from vpai_tui.fleet.history import History
from vpai_tui.fleet.operation import Change, Effect, Event, Finished, Outcome, Plan, Verified
from vpai_tui.fleet.stacks import load_stacks
from vpai_tui.remote.channel import ByteStream
from vpai_tui.world import World

WEB = "ghcr.io/lab/deploy-web:1"
CRASH = "ghcr.io/lab/deploy-crash:1"
_Event = TypeVar("_Event", bound=Event)

# Quick to be judged: the lab's engine knows start_interval.
CHECK = {"test": ["CMD", "true"], "interval": "1s", "timeout": "2s", "start_period": "20s", "start_interval": "200ms"}
SICK = {"test": ["CMD-SHELL", "echo no route to db; exit 1"], "interval": "300ms", "timeout": "1s", "retries": 1}


def service(image: str = WEB, **keys: Any) -> dict[str, Any]:
    """A service that is healthy at once and stops at once; a key given as None is left out."""
    body = {"image": image, "restart": "unless-stopped", "stop_grace_period": "1s", "healthcheck": CHECK} | keys
    return {name: value for name, value in body.items() if value is not None}


def compose(services: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A compose file; one service `web` unless told otherwise."""
    return {"services": dict(services or {"web": service()})} | more


@dataclass
class Laptop:
    """One operator's machine: `folder/config/fleet.yaml`, `folder/stacks/`, and a `World` over both."""

    folder: Path
    world: World
    events: list[Event] = field(default_factory=list)  # of the last operation

    def write(
        self,
        stack: str,
        content: Mapping[str, Any] | str,
        spec: Mapping[str, Any] | None = None,
        files: Mapping[str, str] | None = None,
    ) -> None:
        """(Re)write one stack; `content` is its compose file, `files` what it ships."""
        home = self.folder / "stacks" / stack
        home.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else yaml.safe_dump(dict(content), sort_keys=False)
        (home / "compose.yaml").write_text(text)
        settings: dict[str, Any] = {"health_timeout_s": 20, **(spec or {})}
        (home / "stack.yaml").write_text(yaml.safe_dump(settings))
        for path, body in (files or {}).items():
            (home / path).parent.mkdir(parents=True, exist_ok=True)
            (home / path).write_text(body)
        self.world.reread()

    async def plan(self, stack: str = "web") -> Plan:
        return await self.world.deployer().plan(stack)

    async def deploy(self, stack: str = "web") -> Finished:
        """Plan and apply; `events` has what was told."""
        deployer = self.world.deployer()
        return await self.follow(deployer.apply(await deployer.plan(stack)))

    async def rollback(self, to: str | None = None, stack: str = "web") -> Finished:
        deployer = self.world.deployer()
        return await self.follow(deployer.apply(await deployer.plan_rollback(stack, to)))

    async def settle(self, how: str, stack: str = "web") -> Finished:
        return await self.follow(self.world.deployer().settle(stack, how))

    async def follow(self, events: AsyncIterator[Event]) -> Finished:
        self.events = [event async for event in events]
        assert isinstance(self.events[-1], Finished)
        return self.events[-1]

    async def committed(self, stack: str = "web") -> str:
        """Deploys and insists; the release's id."""
        end = await self.deploy(stack)
        assert end.outcome is Outcome.COMMITTED, f"{end} {self.events}"
        assert [event.detail for event in self.told(Verified)] == [""], self.events
        return end.release

    def told(self, kind: type[_Event]) -> list[_Event]:
        return [event for event in self.events if isinstance(event, kind)]

    def cli(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "vpai_tui", "--config", str(self.folder / "config/fleet.yaml"), *words]

    async def run_cli(self, *words: str) -> tuple[int, str, str]:
        """The command line as a process: exit code, stdout, stderr."""
        process = await asyncio.create_subprocess_exec(
            *self.cli(*words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(os.environ),
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def laptop(host: LabHost, folder: Path, stacks: Sequence[str] = ()) -> AsyncIterator[Laptop]:
    """A laptop whose fleet is the lab and whose stacks are `stacks` (or HOST/web), one service `web` at first."""
    stacks = stacks or (f"{host.name}/web",)
    config = folder / "config/fleet.yaml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(host.lab.fleet_yaml(host.lab.near, stacks))
    for stack in stacks:
        (folder / "stacks" / stack).mkdir(parents=True, exist_ok=True)
        (folder / "stacks" / stack / "compose.yaml").write_text(yaml.safe_dump(compose()))
        (folder / "stacks" / stack / "stack.yaml").write_text("health_timeout_s: 20\n")
    fleet = load_fleet(config)
    history = History(folder / "history.jsonl")
    world = World(fleet, load_stacks(folder / "stacks", fleet), SystemClock(), history, config_path=config)
    try:
        yield Laptop(folder, world)
    finally:
        await world.close()


# ── what the host says ───────────────────────────────────────────────────────────────────────────────────────────────


def running(host: LabHost) -> dict[str, str]:
    """Containers that are no keepers: name → image id and state."""
    out = host.sh(
        "docker ps -aq --no-trunc | xargs -r docker inspect -f "
        "'{{.Name}} {{.Image}} {{.State.Status}} {{index .Config.Labels \"vpai.keep\"}}'"
    )
    rows = [line.split(" ") for line in out.splitlines()]
    return {row[0].lstrip("/"): f"{row[1]} {row[2]}" for row in rows if row[3] != "1"}


def container_id(host: LabHost, name: str) -> str:
    return host.sh(f"docker inspect -f '{{{{.Id}}}}' {name}").strip()


def image_id(host: LabHost, name: str) -> str:
    """Of a container."""
    return host.sh(f"docker inspect -f '{{{{.Image}}}}' {name}").strip()


def environment(host: LabHost, name: str) -> dict[str, str]:
    pairs = json.loads(host.sh(f"docker inspect -f '{{{{json .Config.Env}}}}' {name}"))
    return dict(pair.split("=", 1) for pair in pairs)


def home(host: LabHost, stack: str = "web", root: str = "") -> str:
    """The stack's folder on the host, below its root or another one."""
    return f"{root or host.root}/deploy/stacks/{stack}"


def current(host: LabHost, stack: str = "web", root: str = "") -> str:
    return host.sh(f"readlink {home(host, stack, root)}/current || true").strip().removeprefix("releases/")


def pending(host: LabHost, stack: str = "web") -> str:
    return host.sh(f"readlink {home(host, stack)}/pending || true").strip().removeprefix("releases/")


async def until(host: LabHost, condition: str, timeout_s: float = 20) -> None:
    """Until a shell condition holds on the host, asked past its sshd and its link."""
    loops = int(timeout_s * 5)
    script = f"for i in $(seq {loops}); do if {condition}; then exit 0; fi; sleep 0.2; done; exit 1"
    await asyncio.to_thread(host.sh, script)


def effects(plan: Plan) -> dict[str, Effect]:
    return {change.service: change.effect for change in plan.changes}


def change_of(plan: Plan, name: str = "web") -> Change:
    return next(change for change in plan.changes if change.service == name)


def causes(plan: Plan, name: str = "web") -> dict[str, str]:
    """Kind → detail."""
    return {cause.kind: cause.detail for cause in change_of(plan, name).causes}


def push(registry: Registry, *references: str) -> None:
    for reference in references:
        registry.push(reference, "1", kind="crash" if "crash" in reference else "web", megabytes=(1,))


@asynccontextmanager
async def wire() -> AsyncIterator[bytearray]:
    """Everything any channel of this process receives, standard error included."""
    heard = bytearray()
    read, start = ByteStream.read, ByteStream.__init__

    async def listening(self: ByteStream, *args: Any) -> bytes:
        chunk = await read(self, *args)
        heard.extend(chunk)
        return chunk

    streams: list[ByteStream] = []

    def noted(self: ByteStream, *args: Any, **keys: Any) -> None:
        start(self, *args, **keys)
        streams.append(self)

    ByteStream.read, ByteStream.__init__ = listening, noted  # type: ignore[method-assign,assignment]
    try:
        yield heard
    finally:
        ByteStream.read, ByteStream.__init__ = read, start  # type: ignore[method-assign]
        for stream in streams:
            heard.extend(stream.stderr)


def whole(folder: Path) -> Iterable[bytes]:
    """Every file below a folder."""
    return (path.read_bytes() for path in folder.rglob("*") if path.is_file())
