"""What a service wants of its host, ports and mounts, against what a container holds of it. Pure."""

from __future__ import annotations

import posixpath
from dataclasses import replace

from vpai_tui.deploy.facts import Held, HostFacts, Occupant, Published

_EVERY_V4, _EVERY_V6 = "0.0.0.0", "::"  # noqa: S104 (addresses to compare, not to bind)
# Written to by several containers on purpose, and nobody's data.
_SHARED = ("/dev", "/proc", "/run", "/sys", "/tmp", "/var/run")  # noqa: S108 (paths to compare)
LIVE = ("running", "restarting", "paused")


def said(held: Held) -> str:
    """A mount's source in words."""
    return f"volume {held.source}" if held.volume else held.source


def shared_data(service: str, other: Occupant, facts: HostFacts) -> list[Held]:
    """What a service is to write to, and a container can write to as well."""
    data = {item.source for item in other.mounts if item.writable and not is_shared(item)}
    wanted = (resolved(mount, facts) for mount in facts.mounts.get(service, ()))
    return [held for held in wanted if held.writable and held.source in data and not is_shared(held)]


def address(port: Published) -> str:
    """A port as `127.0.0.1:80`, or alone where every address is meant."""
    return f"{port.address}:{port.port}" if port.address else port.port


def is_shared(held: Held) -> bool:
    """Whether several containers write there on purpose, and it is nobody's data."""
    return not held.volume and (held.source == "/" or any(f"{held.source}/".startswith(f"{path}/") for path in _SHARED))


def resolved(mount: Held, facts: HostFacts) -> Held:
    """A wanted mount with its volume's name in place of its key, its path without detours."""
    source = facts.volumes.get(mount.source, mount.source) if mount.volume else posixpath.normpath(mount.source)
    return replace(mount, source=source)


def same_port(one: Published, other: Published) -> bool:
    """Whether both want one port of one address: `0.0.0.0` is every IPv4 one, `::` every IPv6 one, none is all."""
    return one.protocol == other.protocol and _ranges_meet(one.port, other.port) and _meet(one.address, other.address)


def _meet(one: str, other: str) -> bool:
    if not one or not other or one == other:
        return True
    if (":" in one) != (":" in other):
        return False
    return bool({one, other} & {_EVERY_V4, _EVERY_V6})


def _ranges_meet(one: str, other: str) -> bool:
    (first, last), (begin, end) = _range(one), _range(other)
    return first <= end and begin <= last


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last or first)
