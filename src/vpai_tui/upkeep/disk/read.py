"""The answers of a host and of its engine, read strictly: what has another shape than expected is passed over."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files as package_files
from typing import Any

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.model import Disk
from vpai_tui.text import clean, clean_line, number
from vpai_tui.upkeep.disk.model import CacheEntry, Image, Own, Volume

ROWS = 20_000  # of one kind; a host has some hundreds
_NO_DISK = ("/etc/", "/run", "/dev", "/proc", "/sys", "/snap", "/boot/efi", "/var/lib/docker/", "/var/lib/containers/")
_MOST = 1 << 60


def script() -> bytes:
    """The sh script of a look."""
    return package_files(__package__).joinpath("look.sh").read_bytes()


@dataclass(frozen=True, slots=True)
class Lock:
    """An image that a release names. `status` is how the release ended; `mark` current, pending or nothing."""

    stack: str
    release: str
    status: str
    mark: str
    service: str
    image_id: str

    @property
    def binding(self) -> bool:
        """Whether it may be gone back to, runs or is under way; one that was reverted or refused is none of these."""
        return bool(self.mark) or self.status not in ("reverted", "revert_failed", "refused")


@dataclass(frozen=True, slots=True)
class Seen:
    """A container as `inspect` tells it."""

    id: str
    name: str
    image_id: str
    state: str
    keeper: bool
    log_driver: str
    rotates: bool


@dataclass(slots=True)
class Told:
    """The records of look.sh."""

    disks: list[Disk] = field(default_factory=list)
    docker_root: str = ""
    driver: str = ""
    on: dict[str, Disk] = field(default_factory=dict)  # name → the filesystem a directory lies on
    containers: list[Seen] = field(default_factory=list)
    tagged_s: dict[str, float] = field(default_factory=dict)  # image id → tagged last
    came_s: dict[str, float] = field(default_factory=dict)  # image id → came to this host
    logs: dict[str, int] = field(default_factory=dict)  # container id → bytes
    locks: list[Lock] = field(default_factory=list)
    own: list[Own] = field(default_factory=list)
    sizes: dict[str, dict[str, int]] = field(default_factory=dict)  # kind → path → bytes
    wanted: int = 0
    elsewhere: int = 0
    listed: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)


def read_look(raw: bytes, host: str) -> Told:
    """The script's output.

    Raises:
        OperatorError: it is cut.
    """
    rows = [clean(line).split("\t") for line in raw.split(b"\n") if line.strip()]
    if not rows or rows[-1] != ["end"]:
        raise OperatorError("the answer is cut", host=host, step="disk", output=clean_line(raw[-200:]))
    told, devices = Told(), set[str]()
    for kind, *cells in rows[:ROWS]:
        reader = _READERS.get(kind)
        if reader is not None:
            reader(told, [clean_line(cell, 600) for cell in cells])
        elif kind == "fs" and len(cells) == 5 and (disk := _disk(cells)) is not None:
            device = clean_line(cells[0], 300)
            if device not in devices and _real(device, disk.mount):
                devices.add(device)
                told.disks.append(disk)
        elif kind in ("place", "apt", "containerd", "other") and len(cells) == 2:
            count = number(cells[1], most=_MOST >> 10)
            if count is not None:
                told.sizes.setdefault(kind, {})[clean_line(cells[0], 300)] = count << 10
    told.disks.sort(key=lambda disk: disk.mount)
    return told


def _real(device: str, mount: str) -> bool:
    """As the metrics channel judges it."""
    known = "/" in device and not device.startswith("/dev/loop") and not mount.startswith(_NO_DISK)
    return known or mount == "/"


def _disk(cells: Sequence[str]) -> Disk | None:
    """Device, KiB, used, available, mount."""
    counts = [number(cell, most=_MOST >> 10) for cell in cells[1:4]]
    whole, used, free = [None if count is None else count << 10 for count in counts]
    if not whole or used is None or free is None:
        return None
    return Disk(clean_line(cells[4], 300), whole, used, free)


def _engine(told: Told, cells: list[str]) -> None:
    if len(cells) == 2 and cells[0].startswith("/"):
        told.docker_root, told.driver = cells


def _on(told: Told, cells: list[str]) -> None:
    if len(cells) == 7 and (disk := _disk(cells[2:])) is not None:
        told.on[cells[0]] = disk


def _container(told: Told, cells: list[str]) -> None:
    if len(cells) != 8 or not cells[2].startswith("sha256:"):
        return
    driver = cells[5] or "?"
    rotates = driver == "local" or driver not in ("json-file", "local") or bool(_object(cells[6]).get("max-size"))
    told.containers.append(
        Seen(cells[0], cells[1].lstrip("/"), cells[2], cells[3], _value(cells[4]) == "1", driver, rotates)
    )


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _object(text: str) -> Mapping[str, Any]:
    found = _value(text)
    return found if isinstance(found, dict) else {}


def _image(told: Told, cells: list[str]) -> None:
    if len(cells) == 2 and (at := seconds(_value(cells[1]))) is not None:
        told.tagged_s[cells[0]] = at


def _came(told: Told, cells: list[str]) -> None:
    if len(cells) == 2 and (at := number(cells[1], most=1 << 40)) is not None:
        told.came_s[cells[0]] = float(at)


def _log(told: Told, cells: list[str]) -> None:
    if len(cells) == 2 and (count := number(cells[1], most=_MOST >> 10)) is not None:
        told.logs[cells[0]] = told.logs.get(cells[0], 0) + (count << 10)


def _lock(told: Told, cells: list[str]) -> None:
    if len(cells) == 7:
        stack, release, status, mark, service, _, image_id = cells
        told.locks.append(Lock(stack, release, status.split(" ")[0], mark.strip("-"), service, image_id))


def _own(told: Told, cells: list[str]) -> None:
    if len(cells) == 3 and (count := number(cells[1], most=_MOST >> 10)) is not None:
        told.own.append(Own(cells[0], count << 10, number(cells[2]) or 0))


def _wanted(told: Told, cells: list[str]) -> None:
    told.wanted = number(cells[0]) or 0 if cells else 0


def _elsewhere(told: Told, _cells: list[str]) -> None:
    told.elsewhere += 1


def _listed(told: Told, cells: list[str]) -> None:
    told.listed.update(cells)


def _error(told: Told, cells: list[str]) -> None:
    told.errors.append(": ".join(cells))


_READERS = {
    "engine": _engine,
    "on": _on,
    "container": _container,
    "image": _image,
    "came": _came,
    "log": _log,
    "lock": _lock,
    "own": _own,
    "wanted": _wanted,
    "elsewhere": _elsewhere,
    "listed": _listed,
    "error": _error,
}


def seconds(text: object) -> float | None:
    """Seconds since the epoch of an RFC 3339 time; None for none, and for Go's zero time."""
    if not isinstance(text, str):
        return None
    head, dot, tail = text.partition(".")
    digits = len(tail) - len(tail.lstrip("0123456789"))
    exact = f"{head}.{tail[:digits][:6]}{tail[digits:]}" if dot and digits else text
    try:
        at = datetime.fromisoformat(exact.replace("Z", "+00:00"))
        return at.timestamp() if at.year > 1970 and at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


# ── the engine's own account ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Account:
    """`GET /system/df`."""

    layers_bytes: int | None
    images: tuple[Image, ...]
    cache: tuple[CacheEntry, ...]
    volumes: tuple[Volume, ...]
    layers: Mapping[str, int]  # container id → what it wrote


def read_account(raw: object) -> Account:
    """The engine's answer; entries of another shape are left out."""
    found: Mapping[str, Any] = raw if isinstance(raw, dict) else {}
    images = [image for item in _items(found, "Images") if (image := _listed_image(item)) is not None]
    cache = [entry for item in _items(found, "BuildCache") if (entry := _cache(item)) is not None]
    volumes = [volume for item in _items(found, "Volumes") if (volume := _volume(item)) is not None]
    layers = {
        str(item.get("Id")): written
        for item in _items(found, "Containers")
        if (written := _bytes(item.get("SizeRw"))) is not None
    }
    return Account(_bytes(found.get("LayersSize")), tuple(images), tuple(cache), tuple(volumes), layers)


def _items(found: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    value = found.get(key)
    return [item for item in value[:ROWS] if isinstance(item, dict)] if isinstance(value, list) else []


def _bytes(value: object) -> int | None:
    known = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST
    return int(value) if known and isinstance(value, int) else None


def _names(value: object) -> tuple[str, ...]:
    found = [clean_line(it, 400) for it in value if isinstance(it, str)] if isinstance(value, list) else []
    return tuple(sorted(it for it in found if it and "<none>" not in it))


def _listed_image(item: Mapping[str, Any]) -> Image | None:
    image_id, whole = item.get("Id"), _bytes(item.get("Size"))
    if not isinstance(image_id, str) or not image_id.startswith("sha256:") or whole is None:
        return None
    shared, created = _bytes(item.get("SharedSize")), item.get("Created")
    return Image(
        id=clean_line(image_id, 100),
        tags=_names(item.get("RepoTags")),
        digests=_names(item.get("RepoDigests")),
        size_bytes=whole,
        unique_bytes=None if shared is None else max(0, whole - shared),
        created_s=float(created) if isinstance(created, int) and 0 < created < 1 << 40 else 0.0,
        here_s=None,
    )


def _cache(item: Mapping[str, Any]) -> CacheEntry | None:
    entry, whole = item.get("ID"), _bytes(item.get("Size"))
    if not isinstance(entry, str) or whole is None:
        return None
    used = seconds(item.get("LastUsedAt")) or seconds(item.get("CreatedAt"))
    kind = clean_line(str(item.get("Type") or "?"), 40)
    return CacheEntry(clean_line(entry, 100), kind, whole, used, item.get("InUse") is True, item.get("Shared") is True)


def _volume(item: Mapping[str, Any]) -> Volume | None:
    name, usage = item.get("Name"), item.get("UsageData")
    if not isinstance(name, str):
        return None
    told: Mapping[str, Any] = usage if isinstance(usage, dict) else {}
    return Volume(clean_line(name, 200), _bytes(told.get("Size")), _bytes(told.get("RefCount")))
