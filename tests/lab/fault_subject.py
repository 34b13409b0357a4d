"""A stack that faults happen to: its versions, what a host that runs one has to look like, and what it looks like."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy_kit import CHECK, WEB, Laptop, compose, laptop, push, service
from lab_host import LabHost
from lab_registry import Registry

_STUBBORN = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]  # its recreate takes a second: time to strike
_LOOK = Path(__file__).with_name("look.sh")
_MARKER = "written once, kept for ever"


@dataclass(frozen=True)
class Version:
    """One state of the stack: `image` is 0 or 1, another one in each version, as is everything else."""

    number: int
    image: int

    def next(self, number: int) -> Version:
        return Version(number, 1 - self.image)


@dataclass(frozen=True)
class Seen:
    """A host as it is; `containers` maps a name to image id, state and version."""

    current: str
    pending: str
    free: bool
    containers: dict[str, tuple[str, str, str]]
    file: str
    budget: str
    marker: str
    status: str  # of the current release
    litter: tuple[str, ...]
    torn: tuple[str, ...]  # journals with a line that cannot be read


class Subject:
    """The stack `web` on one host: `front` (image, file and environment change), `back` (data, never changes) and
    `extraN`, another service in every version: each deploy creates one and removes one."""

    def __init__(self, host: LabHost, registry: Registry, folder: Path, *, stack: str = "web") -> None:
        self.host, self.stack, self.folder = host, stack, folder
        self.reference = f"ghcr.io/lab/faults-{host.name}-{stack}:stable"
        self.file, self.live = f"configs/{stack}/site.conf", f"configs/{stack}/budget.yaml"
        self._registry = registry
        self._count = 1
        self.version = Version(1, 0)
        self.budget = 10  # edited on the host, never from here
        built = [registry.build(self.reference, str(n), megabytes=(1,)) for n in (0, 1)]
        self._digests = [registry.push(self.reference, str(n), megabytes=(1,)) for n in (0, 1)]
        self.images = [json.loads(image.manifest)["config"]["digest"] for image in built]
        push(registry, WEB)
        plain = json.loads(registry.build(WEB, "1", megabytes=(1,)).manifest)
        self._plain: str = plain["config"]["digest"]

    @property
    def id(self) -> str:
        return f"{self.host.name}/{self.stack}"

    @property
    def home(self) -> str:
        return f"{self.host.root}/deploy/stacks/{self.stack}"

    def coming(self) -> Version:
        """A version that was never there."""
        self._count += 1
        return self.version.next(self._count)

    @asynccontextmanager
    async def laptop(self, name: str = "laptop") -> AsyncIterator[Laptop]:
        async with laptop(self.host, self.folder / name, [self.id]) as me:
            yield me

    def write(self, me: Laptop, version: Version, *, confirmed: bool = False, gated: bool = False) -> None:
        """The stack of `version` on a laptop, and its image under the tag.

        `gated`: `front` becomes healthy when there is a file `gate/go` on the host.
        """
        self._registry.move_tag(self.reference, self._digests[version.image])
        v = {"V": str(version.number)}
        front = service(
            self.reference, environment=v, entrypoint=_STUBBORN, volumes=[f"./configs/{self.stack}:/etc/front:ro"]
        )
        services: dict[str, Any] = {
            "front": front,
            "back": service(volumes=["data:/data"]),
            f"extra{version.number}": service(),
        }
        if gated:
            front["healthcheck"] = {**CHECK, "test": ["CMD-SHELL", "test -e /etc/gate/go"]}
            front["volumes"] = [*front["volumes"], "./gate:/etc/gate:ro"]
        spec: dict[str, Any] = {
            "files": [{"path": self.file}, {"path": self.live}],
            "live": [{"file": self.live, "keys": ["budget"]}],
            "confirm": "none",
        }
        if confirmed:
            spec |= {"confirm": "reconnect", "confirm_timeout_s": 4}
        me.write(
            self.id,
            compose(services, volumes={"data": {}}),
            spec,
            {self.file: _content(version), self.live: "budget: 10\n"},
        )

    async def start(self) -> None:
        """Version 1 runs, and its data volume has a marker in it."""
        async with self.laptop() as me:
            self.write(me, self.version)
            await me.committed(self.stack)
        self.host.sh(f"printf '{_MARKER}' >/var/lib/docker/volumes/{self.stack}_data/_data/marker")

    def look(self) -> Seen:
        script = f"export ROOT={self.host.root} STACK={self.stack} CONFIGS=configs/{self.stack}\n{_LOOK.read_text()}"
        told = json.loads(self.host.sh(script))
        rows = [row.split("\t") for row in told["containers"]]
        return Seen(
            told["current"].removeprefix("releases/"),
            told["pending"].removeprefix("releases/"),
            told["free"] == "yes",
            {name.lstrip("/"): (image, state, env) for name, image, state, env in rows},
            told["file"],
            told["budget"],
            told["marker"],
            told["status"],
            tuple(told["litter"]),
            tuple(told["torn"]),
        )

    def right(self, seen: Seen, version: Version) -> list[str]:
        """What of a host at rest is not as `version` has to be; empty when all is."""
        wanted = {
            f"{self.stack}-front-1": (self.images[version.image], "running", str(version.number)),
            f"{self.stack}-back-1": (self._plain, "running", "-"),
            f"{self.stack}-extra{version.number}-1": (self._plain, "running", "-"),
        }
        facts = {
            f"containers are {seen.containers}, not {wanted}": seen.containers == wanted,
            "the shipped file is not the release's": seen.file
            == hashlib.sha256(_content(version).encode()).hexdigest(),
            f"the live value is {seen.budget!r}, not {self.budget}": seen.budget == f"budget: {self.budget}",
            f"the data volume holds {seen.marker!r}": seen.marker == _MARKER,
            f"{seen.pending} is pending": not seen.pending,
            "the lock is held": seen.free,
            f"the current release says {seen.status!r}": seen.status.startswith("ok "),
            f"left behind: {seen.litter}": not seen.litter,
            f"journals that cannot be read: {seen.torn}": not seen.torn,
        }
        return [problem for problem, fine in facts.items() if not fine]


def _content(version: Version) -> str:
    return f"# version {version.number}\n" * 20


@contextmanager
def small_disk(host: LabHost, megabytes: int = 160) -> Iterator[None]:
    """Everything below the host's root lies on a filesystem of its own that can be filled."""
    host.sh(f"mount -t tmpfs -o size={megabytes}m tmpfs {host.root}")
    try:
        yield
    finally:
        host.lab.clean(host.name)
