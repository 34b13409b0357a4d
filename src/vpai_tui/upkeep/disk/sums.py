"""What fills a disk, as one list: how much each kind of thing takes, how much of it could go, and what to say of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vpai_tui.upkeep.disk.model import Image, Need, Usage, Volume, size


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of thing. `id` is stable; `bytes_` is None where it could not be measured."""

    id: str
    title: str
    bytes_: int | None
    count: int | None
    detail: str = ""
    bad: bool = False  # larger than it should be


def parts(usage: Usage) -> tuple[Part, ...]:
    """In the order they are shown. Images of several needs stand under the strongest; shared layers count in each."""
    found = [
        _images("images-used", "images that containers use", usage.images_of(Need.CONTAINER)),
        _images("images-kept", "images that releases need", usage.images_of(Need.RELEASE, Need.KEEPER)),
        _images("images-named", "images that stacks name", usage.images_of(Need.ON_DEMAND, Need.STACK)),
        _images("images-nobody", "images nobody needs", usage.images_of(Need.NOBODY)),
    ]
    if usage.layers_bytes is not None:
        found.append(Part("layers", "all images, layers once", usage.layers_bytes, len(usage.images)))
    found += [_cache(usage), _layers(usage), _logs(usage), *_volumes(usage)]
    whole = sum(own.size_bytes for own in usage.own)
    releases = sum(own.releases for own in usage.own)
    found.append(Part("own", "our releases and remains", whole, releases, f"{releases} releases kept"))
    for path, count in usage.places:
        found.append(Part("journald", "journald", count, None, f"{path}; journalctl --vacuum-size=200M makes it less"))
    if usage.apt_bytes:
        found.append(Part("apt", "apt's packages", usage.apt_bytes, None, "/var/cache/apt/archives"))
    return (*found, *_rest(usage))


def _images(id_: str, title: str, images: tuple[Image, ...]) -> Part:
    names = ", ".join(image.name for image in images[:3]) + (" …" if len(images) > 3 else "")
    return Part(id_, title, sum(image.size_bytes for image in images), len(images), names)


def _cache(usage: Usage) -> Part:
    used = sum(entry.in_use for entry in usage.cache)
    return Part("cache", "build cache", usage.cache_bytes, len(usage.cache), f"{used} in use" if used else "")


def _layers(usage: Usage) -> Part:
    most = sorted(usage.containers, key=lambda it: -(it.layer_bytes or 0))[:3]
    said = ", ".join(f"{it.name} {size(it.layer_bytes)}" for it in most if it.layer_bytes)
    return Part("written", "written by containers", usage.layer_bytes, _made(usage), said)


def _logs(usage: Usage) -> Part:
    endless = [it.name for it in usage.containers if not it.rotates and not it.keeper]
    said = ", ".join(
        f"{it.name} {size(it.log_bytes)}"
        for it in sorted(usage.containers, key=lambda it: -it.log_bytes)[:3]
        if it.log_bytes
    )
    if endless:
        said = f"no end set: {', '.join(endless[:3])}{' …' if len(endless) > 3 else ''}" + (f"; {said}" if said else "")
    return Part("logs", "container logs", usage.logs_bytes, _made(usage), said, bad=bool(endless))


def _made(usage: Usage) -> int:
    """How many containers there are that were made to run."""
    return sum(not it.keeper for it in usage.containers)


def _volumes(usage: Usage) -> list[Part]:
    used = [volume for volume in usage.volumes if volume.users != 0]
    unused = [volume for volume in usage.volumes if volume.users == 0]
    found = [Part("volumes", "volumes in use", sum(it.size_bytes or 0 for it in used), len(used), _largest(used))]
    if unused:
        whole = sum(it.size_bytes or 0 for it in unused)
        said = f"{_largest(unused)}; never removed by a prune"
        found.append(Part("volumes-unused", "volumes nobody mounts", whole, len(unused), said))
    return found


def _largest(volumes: Sequence[Volume]) -> str:
    return ", ".join(f"{it.name[:40]} {size(it.size_bytes)}" for it in volumes[:3])


def _rest(usage: Usage) -> list[Part]:
    rest = usage.rest
    if rest is None:
        return []
    found = []
    if rest.containerd_bytes is not None:
        said = "the engine keeps its images there" if rest.containerd_images else "docker system df does not see it"
        found.append(Part("containerd", "containerd's directory", rest.containerd_bytes, None, said))
    found.append(Part("others", "all else of a known place", rest.others_bytes, None, "system, homes, files of stacks"))
    why = f"no time for {', '.join(rest.unmeasured)}" if rest.unmeasured else "used, and in no place looked at"
    return [*found, Part("nobody", "nobody accounts for", rest.nobody_bytes, None, why)]
