"""One host that the contract holds for: the same handle for a simulated one and a real one."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from vpai_tui import demo
from vpai_tui.deploy.builds import tar_of
from vpai_tui.deploy.host import Place, runner_script, script
from vpai_tui.remote.connection import Completed, Connection, connect
from vpai_tui.remote.docker import Docker


def _of_runner(name: str) -> str:
    """A function of the runner, as it is there."""
    text = runner_script().decode()
    whole = re.search(rf"(?m)^{name}\(\) \{{.*\}}(?: #.*)?$", text) or re.search(rf"(?ms)^{name}\(\) \{{.*?^\}}$", text)
    assert whole is not None, name
    return whole[0] + "\n"


WEB = "contract/web:1"
OTHER = "contract/web:2"
BROKEN = "contract/web:1-broken"  # ends at once with a status that is not 0
UNHEALTHY = "contract/web:1-unhealthy"
SHA = re.compile(r"[0-9a-f]{64}")
GONE = "contract/missing:1"  # in no registry

TWO = f"""
services:
  web:
    image: {WEB}
    env_file: [./web.env]
    environment: {{GREETING: "${{GREETING:-hello}} $$x"}}
    volumes: ["./page:/www/page:ro"]
    depends_on: [base]
  base: {{image: {WEB}}}
"""
# What the scripts of deploy/ do, in functions of one name: `dc` is their compose, `piped` their hashes, `id_of` a
# service's container, `say` a fact for the test; `dk`, `gate` and `networks` are the runner's own.
_PRELUDE = r"""
cd "$ROOT" && . ./common.sh
dc() { compose_in "$ROOT/compose" "$@"; }
up() { dc up -d $ND --no-build --pull never "$@"; }
piped() {
  dc config --format json >"$ROOT/resolved.json" || return
  $DOCKER compose -p "$PROJECT" --project-directory "$ROOT" -f - config --hash "${1:-*}" <"$ROOT/resolved.json"
}
id_of() {
  $DOCKER ps -aq --no-trunc --filter "label=$LABEL.project=$PROJECT" --filter "label=$LABEL.service=$1" \
    --filter "label=$LABEL.oneoff=False" | head -n 1
}
field() { $DOCKER inspect -f "$2" "$1"; }
say() { printf '%s\t%s\n' "$1" "$2"; }
""" + "".join(_of_runner(name) for name in ("dk", "gate", "networks"))


class Bits(Protocol):
    """The registry of a host."""

    async def publish(self, reference: str, version: str = "1") -> None:
        """Have `reference` there, or let it stand for other bits."""
        ...


@dataclass
class ContractHost:
    """A host that is reached, with its engine; `root` is a folder on it that is the tests' own."""

    kind: str  # demo, lab
    connection: Connection
    docker: Docker
    root: str
    bits: Bits
    no_deps: str = ""  # the option as the runner gives it: only to a Compose that is new enough
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def project(self, compose: str, **more: str) -> Project:
        """A project of its own, with one file for `compose` and one for each of `more`, laid over it in turn."""
        name = f"contract{next(self._numbers)}"
        return Project(self, Place(f"{self.root}/{name}", "web", name, "docker"), {"compose": compose, **more})

    async def until(self, name: str, template: str, *wanted: str, timeout_s: float = 20) -> str:
        """Asks what `template` shows of a container until it is one of `wanted`; the answer."""
        seen = ""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    done = await self.run("docker", "inspect", "-f", template, name)
                    seen = done.text.strip()
                    if seen in wanted:
                        return seen
                    await asyncio.sleep(0.25)
        except TimeoutError:
            raise AssertionError(f"{name} is {seen!r} after {timeout_s} s, not one of {wanted}") from None

    async def run(self, *argv: str, status: int | None = 0, stdin: bytes = b"") -> Completed:
        """A command as root; `status` None takes any."""
        done = await self.connection.run(argv, root=True, check=False, stdin=stdin, timeout_s=60)
        assert status is None or done.exit_status == status, (argv, done)
        return done


@dataclass
class Project:
    """A Compose project on a host, laid out as a release is."""

    host: ContractHost
    place: Place
    sources: dict[str, str]

    @property
    def name(self) -> str:
        return self.place.project

    def container(self, service: str) -> str:
        """The name Compose gives the container of a service."""
        return f"{self.name}-{service}-1"

    async def prepare(self, **more: str) -> Project:
        """Put its files on the host; `more` are further ones, `_` in a name for its dot."""
        names = {f"compose/{n:02d}-{name}.yaml": text for n, (name, text) in enumerate(self.sources.items())}
        beside = {name.replace("_", "."): text for name, text in more.items()}
        await self.write({**names, **beside, "common.sh": script("common.sh").decode()})
        return self

    async def write(self, texts: Mapping[str, str]) -> None:
        """Put texts below the project's folder, by path."""
        tar = tar_of((name, text.encode(), "600") for name, text in texts.items())
        put = 'mkdir -p "$0" && exec tar -xf - -C "$0"'
        await self.host.run("sh", "-c", put, self.place.root, stdin=tar)

    async def sh(self, text: str, *, status: int | None = 0) -> Completed:
        """Run a script as those of deploy/ run: their environment, their functions."""
        command = f"{self.place.environment()} ND={self.host.no_deps} sh -c {_quoted(_PRELUDE + text)}"
        return await self.host.run("sh", "-c", command, status=status)

    async def facts(self, text: str) -> dict[str, str]:
        """What a script says: `say NAME VALUE`."""
        done = await self.sh(text)
        rows = [line.split("\t", 1) for line in done.stdout.decode().splitlines() if "\t" in line]
        return {row[0]: row[1] for row in rows}

    async def inspect(self, service: str) -> dict[str, Any]:
        """The container of a service, as the command shows it."""
        done = await self.host.run("docker", "inspect", self.container(service))
        (found,) = json.loads(done.stdout)
        return dict(found)


async def two(host: ContractHost, **more: str) -> Project:
    """`web`, which has an env file and a bind mount and needs `base`; both up."""
    project = host.project(TWO, **more)
    await project.prepare(web_env="SECRET=one$$two\n", page="first\n")
    await project.sh("up web base")
    return project


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


@dataclass
class _DemoBits:
    fleet: demo.DemoFleet
    known: dict[str, str] = field(default_factory=dict)

    async def publish(self, reference: str, version: str = "1") -> None:
        """Every reference exists there; another version is the tag moved."""
        if self.known.setdefault(reference, version) != version:
            self.known[reference] = version
            self.fleet.registry.move(reference)


@dataclass
class _LabBits:
    registry: Any

    async def publish(self, reference: str, version: str = "1") -> None:
        kind = next((kind for kind in ("unhealthy", "broken") if kind in reference), "web")
        kind = "crash" if kind == "broken" else kind
        await asyncio.to_thread(self.registry.push, reference, version, kind=kind, megabytes=(1,))


@asynccontextmanager
async def demo_host(folder: Path, name: str = "sese") -> AsyncIterator[ContractHost]:
    """A host of a demo fleet in `folder`."""
    async with demo.start(folder) as fleet:
        connection = await connect(name, fleet.fleet.hosts[name])
        async with _held("demo", connection, f"{fleet.root(name)}/contract", _DemoBits(fleet)) as host:
            yield host


@asynccontextmanager
async def lab_host(fleet: Mapping[str, Any], registry: Any, name: str = "sese") -> AsyncIterator[ContractHost]:
    """A host of the lab, whose fleet.yaml is `fleet`."""
    import msgspec

    from vpai_tui import config

    wanted = msgspec.convert(fleet["hosts"][name], config.Host)
    connection = await connect(name, wanted)
    async with _held("lab", connection, f"{wanted.root}/contract", _LabBits(registry)) as host:
        yield host


@asynccontextmanager
async def _held(kind: str, connection: Connection, root: str, bits: Bits) -> AsyncIterator[ContractHost]:
    docker = Docker(connection)
    host = ContractHost(kind, connection, docker, root, bits)
    try:
        version = (await host.run("docker", "compose", "version", "--short")).text.strip().lstrip("v")
        numbers = [int(part) for part in version.split("-")[0].split(".")]
        host.no_deps = "--no-deps" if numbers >= [2, 29, 3] else ""
        yield host
    finally:
        await docker.close()
        await connection.close()
