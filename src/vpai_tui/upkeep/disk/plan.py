"""What may be freed: images that nobody needs, build cache that nobody used, packages apt has kept. No volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vpai_tui.upkeep.disk.model import CacheEntry, Image, Need, Usage, size

OLDER_THAN_S = 7 * 86400.0
ARRIVING_S = 3600.0  # a deploy fetches images before it says what for
_APT_LEAST = 1 << 20
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to be removed. Layers shared with other images free something only when the last of those goes."""

    kind: str  # image, cache, apt
    subject: str  # what people call it
    least_bytes: int  # what it frees at least
    most_bytes: int  # and at most
    why: str
    image: Image | None = None
    lost: bool = False  # nobody else is known to have it

    @property
    def frees(self) -> str:
        return frees(self.least_bytes, self.most_bytes)


@dataclass(frozen=True, slots=True)
class Kept:
    """What stays though it is large or old, and for whom."""

    subject: str
    size_bytes: int
    why: str


@dataclass(frozen=True, slots=True)
class Prune:
    """A plan for one host. `word` is typed where something cannot be fetched again."""

    host: str
    items: tuple[Item, ...]
    kept: tuple[Kept, ...]
    older_than_s: float
    free_bytes: int | None  # before, on Docker's filesystem
    word: str | None
    notes: tuple[str, ...] = ()
    cap_bytes: int | None = None  # all images together free no more: what stays keeps its layers

    @property
    def empty(self) -> bool:
        return not self.items

    @property
    def least_bytes(self) -> int:
        return sum(item.least_bytes for item in self.items)

    @property
    def most_bytes(self) -> int:
        """Layers that two of the images share are counted for each, as far as what stays leaves room for them."""
        images = sum(item.most_bytes for item in self.items if item.image is not None)
        others = sum(item.most_bytes for item in self.items if item.image is None)
        return others + (images if self.cap_bytes is None else min(images, self.cap_bytes))

    @property
    def images(self) -> tuple[Image, ...]:
        return tuple(item.image for item in self.items if item.image is not None)

    @property
    def cache(self) -> bool:
        return any(item.kind == "cache" for item in self.items)

    @property
    def apt(self) -> bool:
        return any(item.kind == "apt" for item in self.items)


def plan_prune(usage: Usage, *, older_than_s: float = OLDER_THAN_S) -> Prune:
    """What could go of `usage`. Nothing where it is not known in full who needs what."""
    free = usage.docker_disk.available_bytes if usage.docker_disk is not None else None
    notes = list(usage.notes)
    if not usage.complete:
        notes.append("not all containers and releases could be listed, so no image is touched")
        return Prune(usage.host, (), (), older_than_s, free, None, tuple(notes))
    going = [image for image in usage.images if _free(image, usage.at_s, older_than_s)]
    cap = _cap(usage, going)
    images = [_item(image, usage.at_s, cap) for image in going]
    items = [*images, *_cache(usage, older_than_s), *_apt(usage)]
    lost = any(item.lost and item.image is not None and not item.image.dangling for item in items)
    kept = [*_kept(usage.images, usage.at_s, older_than_s), *_volumes(usage)]
    word = usage.host if lost else None
    if lost:
        notes.append("the nameless steps of what was built here go with it, unless something else is built on them")
    return Prune(usage.host, tuple(items), tuple(kept), older_than_s, free, word, tuple(notes), cap)


def _cap(usage: Usage, going: Sequence[Image]) -> int | None:
    """All layers, less those of the largest image that stays: no removal of images frees more than that."""
    if usage.layers_bytes is None:
        return None
    gone = {image.id for image in going}
    stays = max((image.size_bytes for image in usage.images if image.id not in gone), default=0)
    return max(sum(image.unique_bytes or 0 for image in going), usage.layers_bytes - stays)


def frees(least: int, most: int) -> str:
    """`1.2 GiB`, or `900 MiB, up to 1.2 GiB` where layers are shared."""
    if size(least) == size(most):
        return size(most)
    return f"{size(least)}, up to {size(most)}" if least else f"up to {size(most)}"


def _age(image: Image, now_s: float) -> float:
    return now_s - (image.here_s if image.here_s is not None else image.created_s)


def _free(image: Image, now_s: float, older_than_s: float) -> bool:
    """Nobody's, here for an hour at least, and (with a name) for as long as is asked."""
    if image.need is not Need.NOBODY:
        return False
    return _age(image, now_s) >= (ARRIVING_S if image.dangling else max(ARRIVING_S, older_than_s))


def _item(image: Image, now_s: float, cap: int | None) -> Item:
    age = f"here for {_days(_age(image, now_s))}"
    why = f"no name, {age}" if image.dangling else f"nobody needs it, {age}"
    again = "" if image.pullable else "; built here, no registry is known to have it"
    least = image.unique_bytes or 0
    most = image.size_bytes if cap is None else max(least, min(image.size_bytes, cap))
    return Item("image", image.name, least, most, why + again, image, lost=not image.pullable)


def _days(seconds: float) -> str:
    days = int(seconds // 86400)
    return f"{days} days" if days > 1 else f"{int(seconds // 3600)} h"


def old_cache(cache: Sequence[CacheEntry], now_s: float, older_than_s: float) -> list[CacheEntry]:
    """The records that nothing uses, and nothing has used for so long."""
    return [it for it in cache if not it.in_use and it.used_s is not None and now_s - it.used_s >= older_than_s]


def _cache(usage: Usage, older_than_s: float) -> list[Item]:
    old = old_cache(usage.cache, usage.at_s, older_than_s)
    if not old:
        return []
    whole, own = sum(it.size_bytes for it in old), sum(it.size_bytes for it in old if not it.shared)
    why = f"{len(old)} of {len(usage.cache)} records, unused for {_days(older_than_s)}"
    return [Item("cache", "build cache", own, whole, why)]


def _apt(usage: Usage) -> list[Item]:
    if usage.apt_bytes < _APT_LEAST:
        return []
    return [
        Item(
            "apt", "apt's packages", usage.apt_bytes, usage.apt_bytes, "installed long since; fetched again when wanted"
        )
    ]


_FOR = {
    Need.CONTAINER: "container",
    Need.RELEASE: "release",
    Need.KEEPER: "kept as",
    Need.ON_DEMAND: "on demand:",
    Need.STACK: "named by",
}


def _kept(images: Sequence[Image], now_s: float, older_than_s: float) -> list[Kept]:
    found = []
    for image in images:
        if image.need is not Need.NOBODY:
            more = f" and {len(image.by) - _SHOWN} more" if len(image.by) > _SHOWN else ""
            why = f"{_FOR[image.need]} {', '.join(image.by[:_SHOWN])}{more}"
        elif not _free(image, now_s, older_than_s):
            why = f"nobody needs it, but it is here for only {_days(_age(image, now_s))}"
        else:
            continue
        found.append(Kept(image.name, image.size_bytes, why))
    return found


def _volumes(usage: Usage) -> list[Kept]:
    unused = [volume for volume in usage.volumes if volume.users == 0]
    if not unused:
        return []
    whole = sum(volume.size_bytes or 0 for volume in unused)
    return [Kept(f"{len(unused)} unused volumes", whole, "volumes are never removed: by hand, one by one")]


def told(prune: Prune) -> str:
    """One line: `900 MiB, up to 3.2 GiB, from 4 images and the build cache`."""
    count = len(prune.images)
    parts = [f"{count} image{'s' if count != 1 else ''}"] if count else []
    parts += ["the build cache"] if prune.cache else []
    parts += ["apt's packages"] if prune.apt else []
    if not parts:
        return "nothing to free"
    words = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    least, most = prune.least_bytes, prune.most_bytes
    return f"{frees(least, most)}{',' if size(least) != size(most) else ''} from {words}"
