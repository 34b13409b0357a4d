"""Who needs which image. In doubt somebody does: what is not understood is never a reason to remove."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from vpai_tui.fleet.compose import services_of
from vpai_tui.fleet.stacks import Stack
from vpai_tui.upkeep.disk.model import Image, Need
from vpai_tui.upkeep.disk.read import Told

KEEP = "vpai.keep/"
_DEFAULT = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*:?-([^${}]*)\}")
_Named = tuple[str, bool, Need, str]  # reference, whether it has a variable, how it is needed, the stack


def judged(images: Iterable[Image], told: Told, stacks: Sequence[Stack]) -> tuple[Image, ...]:
    """`images` with who needs each and when it came, the largest first. `stacks` are those of this host."""
    needs: dict[str, list[tuple[Need, str]]] = {}
    for seen in told.containers:
        need = Need.RELEASE if seen.keeper else Need.CONTAINER
        needs.setdefault(seen.image_id, []).append((need, seen.name))
    for lock in told.locks:
        if lock.binding:
            needs.setdefault(lock.image_id, []).append((Need.RELEASE, f"{lock.stack} {lock.release}"))
    named = list(_named(stacks))
    found = []
    for image in images:
        claims = [*needs.get(image.id, ()), *_by_tag(image, named)]
        need = min((need for need, _ in claims), key=list(Need).index, default=Need.NOBODY)
        by = tuple(dict.fromkeys(who for kind, who in claims if kind is need))
        here = max(filter(None, (told.came_s.get(image.id), told.tagged_s.get(image.id))), default=None)
        found.append(replace(image, need=need, by=by, here_s=here))
    return tuple(sorted(found, key=lambda image: -image.size_bytes))


def _by_tag(image: Image, named: Sequence[_Named]) -> Iterator[tuple[Need, str]]:
    for tag in image.tags:
        if tag.startswith(KEEP):
            yield Need.KEEPER, tag
    mine = {*(normal(tag) for tag in image.tags), *image.digests}
    repos = {_repo(tag) for tag in mine}
    for ref, variable, need, stack in named:
        if ref in mine or (variable and _repo(ref) in repos):
            yield need, stack


def _named(stacks: Sequence[Stack]) -> Iterator[_Named]:
    """Every image that a stack's file names, services that are off too; a build is tagged by Compose's rule.

    Where a variable stands in it the host's value is not known: any tag of the repository may be meant.
    """
    for stack in stacks:
        need = Need.ON_DEMAND if stack.spec.on_demand else Need.STACK
        for service, body in services_of(stack.compose).items():
            image = body.get("image")
            if isinstance(image, str):
                yield normal(_DEFAULT.sub(r"\1", image)), "$" in image, need, stack.id
            elif "build" in body:
                yield normal(f"{stack.project}-{service}"), False, need, stack.id


def normal(ref: str) -> str:
    """A reference as `docker images` lists it: no default registry, with a tag, or with a digest alone."""
    name, at, digest = ref.partition("@")
    for prefix in ("docker.io/library/", "docker.io/", "index.docker.io/"):
        name = name.removeprefix(prefix)
    head, colon, tail = name.rpartition(":")
    bare = head if colon and "/" not in tail else name
    if at:
        return f"{bare}@{digest}"
    return name if bare != name else f"{name}:latest"


def _repo(ref: str) -> str:
    """The repository of a reference, up to its first variable."""
    name = ref.partition("$")[0].partition("@")[0]
    head, colon, tail = name.rpartition(":")
    return head if colon and "/" not in tail else name
