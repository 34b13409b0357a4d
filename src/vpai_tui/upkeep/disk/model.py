"""What lies on a host's disks and who needs it. Sizes are bytes; None is what could not be learnt."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from vpai_tui.fleet.model import Disk

GIB = 1 << 30


class Need(StrEnum):
    """Who needs an image, the strongest first."""

    CONTAINER = "container"  # of any state
    RELEASE = "release"  # one that can be gone back to, runs or is under way; a keeper of ours holds its bits
    KEEPER = "keeper"  # a tag of ours that holds bits whose own tag has moved on
    ON_DEMAND = "on_demand"  # a stack on demand, which may be stopped
    STACK = "stack"  # named by a stack of this host that is not deployed
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Image:
    """One image. `unique_bytes` are those that no other image shares: what its removal frees at least."""

    id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    size_bytes: int
    unique_bytes: int | None
    created_s: float  # since the epoch: when it was built
    here_s: float | None  # since the epoch: when it came to this host, or was tagged last
    need: Need = Need.NOBODY
    by: tuple[str, ...] = ()  # the containers, stacks or tags that need it

    @property
    def name(self) -> str:
        """A tag, else the repository its digest names, else the beginning of its id."""
        if self.tags:
            return self.tags[0]
        repo = self.digests[0].partition("@")[0] if self.digests else ""
        short = self.id.removeprefix("sha256:")[:12]
        return f"{repo}@{short}" if repo else f"<none> {short}"

    @property
    def dangling(self) -> bool:
        return not self.tags

    @property
    def pullable(self) -> bool:
        """Whether a registry is known to have had it; what was built here can only be built again."""
        return bool(self.digests)


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One record of the build cache."""

    id: str
    kind: str
    size_bytes: int
    used_s: float | None  # since the epoch: used last
    in_use: bool
    shared: bool  # with an image: removing it may free less


@dataclass(frozen=True, slots=True)
class Volume:
    """One volume; nothing here ever removes one. `users`: containers that mount it, None where unknown."""

    name: str
    size_bytes: int | None
    users: int | None


@dataclass(frozen=True, slots=True)
class ContainerDisk:
    """What one container has written: its layer and its log."""

    id: str
    name: str
    image_id: str
    state: str
    keeper: bool
    layer_bytes: int | None
    log_bytes: int
    log_driver: str
    rotates: bool  # its log has an end


@dataclass(frozen=True, slots=True)
class Own:
    """A part of our own release directory."""

    name: str
    size_bytes: int
    releases: int


@dataclass(frozen=True, slots=True)
class Rest:
    """All that no engine accounts for on Docker's filesystem, measured for a limited time."""

    disk: Disk
    accounted_bytes: int  # by the engine, its containers' logs included
    others_bytes: int  # in places of a known owner
    unmeasured: tuple[str, ...]  # places for which there was no time
    containerd_bytes: int | None  # containerd's own directory; None: none there, or no time
    containerd_images: bool  # the engine keeps its images in containerd: its directory is accounted for

    @property
    def nobody_bytes(self) -> int | None:
        """Used bytes that nobody accounts for; None where something could not be measured."""
        if self.unmeasured:
            return None
        return max(0, self.disk.used_bytes - self.accounted_bytes - self.others_bytes)


@dataclass(frozen=True, slots=True)
class Usage:
    """One look at the disks of a host. `notes` say what could not be learnt, and why."""

    host: str
    at_s: float  # since the epoch
    disks: tuple[Disk, ...]
    docker_disk: Disk | None = None  # the filesystem of Docker's directory
    docker_root: str = ""
    driver: str = ""
    images: tuple[Image, ...] = ()  # the largest first
    layers_bytes: int | None = None  # all layers of all images, each once
    cache: tuple[CacheEntry, ...] = ()
    volumes: tuple[Volume, ...] = ()
    containers: tuple[ContainerDisk, ...] = ()
    own: tuple[Own, ...] = ()
    places: tuple[tuple[str, int], ...] = ()  # journald
    apt_bytes: int = 0
    rest: Rest | None = None  # only of a deep look
    complete: bool = False  # containers and releases were listed in full: nothing may be removed otherwise
    notes: tuple[str, ...] = field(default=())

    def images_of(self, *needs: Need) -> tuple[Image, ...]:
        return tuple(image for image in self.images if image.need in needs)

    @property
    def logs_bytes(self) -> int:
        return sum(item.log_bytes for item in self.containers)

    @property
    def layer_bytes(self) -> int:
        """What containers wrote into their own layers."""
        return sum(item.layer_bytes or 0 for item in self.containers)

    @property
    def cache_bytes(self) -> int:
        return sum(entry.size_bytes for entry in self.cache)

    @property
    def volumes_bytes(self) -> int:
        return sum(volume.size_bytes or 0 for volume in self.volumes)


def size(count: float | None) -> str:
    """`12.4 GiB`, `830 MiB`, `4 KiB`; `–` for what is not known."""
    if count is None:
        return "–"
    for unit, name in ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if abs(count) >= unit:
            value = count / unit
            return f"{value:.1f} {name}" if value < 100 and name in ("GiB", "TiB") else f"{value:.0f} {name}"
    return f"{count:.0f} B"
