"""Where Headscale runs: the host, its container, and the places of its configuration there."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vpai_tui.config import Fleet
from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.box import Mount, argument, binds, on_host, single_file
from vpai_tui.fleet.stacks import Stack
from vpai_tui.remote.connection import Connection
from vpai_tui.text import clean, clean_line
from vpai_tui.vpn.model import Whereabouts
from vpai_tui.vpn.reading import moment

SERVICE = "headscale"
_INSIDE = "/etc/headscale/config.yaml"
# Who is connected from where, and the addresses this machine has itself.
_ADDRESSES = r"""
printf 'peer %s\n' "${SSH_CONNECTION%% *}"
awk '/\|--/ { a = $2 } /host LOCAL/ { print "own", a }' "${VPAI_PROC:-/proc}/net/fib_trie" 2>/dev/null | sort -u
"""


@dataclass(frozen=True, slots=True)
class Hub:
    """Headscale's container as it stands. `config` is config.yaml's path on the host, None when no mount shows it."""

    host: str
    stack: str | None  # host/stack
    container: str  # its id
    name: str
    running: bool
    started_at: datetime | None
    inside: str  # config.yaml's path in the container
    mounts: tuple[Mount, ...] = ()
    env: tuple[str, ...] = ()  # names of HEADSCALE_… variables

    @property
    def config(self) -> str | None:
        return self.on_host(self.inside)

    def on_host(self, inside: str) -> str | None:
        """Where a path of the container lies on the host; None when no bind mount holds it."""
        return on_host(self.mounts, inside)

    def single_file(self, inside: str) -> bool:
        """Whether the path is mounted by itself: such a mount keeps the old inode until the container restarts."""
        return single_file(self.mounts, inside)


def hub_of(fleet: Fleet, stacks: Sequence[Stack]) -> tuple[str, Stack | None]:
    """The host that carries Headscale, and the stack whose service it is.

    Raises:
        UsageError: the fleet names none.
    """
    having = [stack for stack in stacks if SERVICE in stack.services]
    host = hub_host(fleet, [stack.host for stack in having])
    if host is None:
        raise UsageError(
            "the fleet has no VPN hub", remedy=f"set hub: true on a host, or give a stack a service {SERVICE}"
        )
    return host, next((stack for stack in having if stack.host == host), None)


def hub_host(fleet: Fleet, carrying: Iterable[str]) -> str | None:
    """Of the hosts `carrying` a service headscale one with `hub: true` first; without any that one; else None."""
    marked = next((name for name, host in fleet.hosts.items() if host.hub), None)
    return min(carrying, key=lambda name: not fleet.hosts[name].hub, default=marked)


async def find_hub(connection: Connection, stack: Stack | None) -> Hub:
    """Looks the container up by its Compose labels, else by its name.

    Raises:
        OperatorError: there is no such container, or Docker's answer is strange.
    """
    docker = shlex.split(connection.host.docker)
    filters = ["--filter", f"name=^/?{SERVICE}$"]
    if stack is not None:
        label = "label=com.docker.compose"
        filters = ["--filter", f"{label}.project={stack.project}", "--filter", f"{label}.service={SERVICE}"]
    listed = await connection.run([*docker, "ps", "-a", "-q", "--no-trunc", *filters], root=True)
    ids = listed.text.split()
    if not ids:
        raise OperatorError(
            "there is no Headscale container",
            host=connection.name,
            remedy=f"deploy it: vpai-tui deploy {stack.id}" if stack else "start it",
        )
    seen = await connection.run([*docker, "container", "inspect", ids[0]], root=True, label="inspect headscale")
    try:
        return _hub(json.loads(seen.stdout)[0], connection.name, stack)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise OperatorError("Docker's answer of the Headscale container is strange", host=connection.name) from error


def _hub(raw: dict[str, Any], host: str, stack: Stack | None) -> Hub:
    state, config = raw["State"], raw["Config"]
    names = [clean_line(entry.partition("=")[0]) for entry in config.get("Env") or ()]
    return Hub(
        host=host,
        stack=stack.id if stack else None,
        container=clean(raw["Id"]),
        name=clean_line(raw["Name"]).lstrip("/"),
        running=bool(state["Running"]),
        started_at=moment(state.get("StartedAt", "")),
        inside=argument([*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())], "-c", "--config") or _INSIDE,
        mounts=binds(raw.get("Mounts")),
        env=tuple(name for name in names if name.startswith("HEADSCALE_")),
    )


async def whereabouts(connection: Connection) -> Whereabouts:
    """Asks the host who is connected and which addresses it has; the laptop's own are read here."""
    done = await connection.run(["sh", "-c", _ADDRESSES], check=False, label="addresses of the hub")
    lines = [line.split() for line in done.text.splitlines()]
    peer = next((words[1] for words in lines if words[0] == "peer" and len(words) > 1), "")
    own = frozenset(words[1] for words in lines if words[0] == "own" and len(words) > 1)
    return Whereabouts(peer.removeprefix("::ffff:"), own, _of_this_machine())


def _of_this_machine() -> frozenset[str]:
    try:
        with open("/proc/net/fib_trie", encoding="ascii") as trie:  # noqa: PTH123 (a kernel file, no path to build)
            lines = trie.read().splitlines()
    except OSError:
        return frozenset()  # macOS: the connection's peer alone tells
    found, address = set(), ""
    for line in lines:
        words = line.split()
        if words[:1] == ["|--"]:
            address = words[1]
        elif "LOCAL" in words and address:
            found.add(address)
    return frozenset(found)
