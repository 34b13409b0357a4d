"""A container's files on its host, and what its command line names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vpai_tui.text import clean


@dataclass(frozen=True, slots=True)
class Mount:
    """One bind mount of a container: the host's path, and the container's."""

    source: str
    destination: str


def binds(mounts: Iterable[Mapping[str, Any]] | None) -> tuple[Mount, ...]:
    """The bind mounts among `Mounts` of `docker container inspect`. KeyError, TypeError where those are strange."""
    return tuple(
        Mount(clean(it["Source"]).rstrip("/"), clean(it["Destination"]).rstrip("/"))
        for it in mounts or ()
        if it.get("Type", "bind") == "bind" and it.get("Source")
    )


def on_host(mounts: Iterable[Mount], inside: str) -> str | None:
    """Where a path of the container lies on the host; None when no bind mount holds it."""
    mount = _mount_of(mounts, inside)
    return None if mount is None else mount.source + inside[len(mount.destination) :]


def single_file(mounts: Iterable[Mount], inside: str) -> bool:
    """Whether the path is mounted by itself: such a mount keeps the old inode until the container restarts."""
    mount = _mount_of(mounts, inside)
    return mount is not None and mount.destination == inside


def argument(words: Sequence[str], *options: str) -> str | None:
    """What one of `options` has behind it on a command line, as `--option VALUE` or `--option=VALUE`."""
    for index, word in enumerate(words):
        if word in options and index + 1 < len(words):
            return words[index + 1]
        option, given, value = word.partition("=")
        if given and option.startswith("--") and option in options:
            return value
    return None


def _mount_of(mounts: Iterable[Mount], inside: str) -> Mount | None:
    fitting = [it for it in mounts if inside == it.destination or inside.startswith(it.destination + "/")]
    return max(fitting, key=lambda it: len(it.destination), default=None)
