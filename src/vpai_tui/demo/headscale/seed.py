"""The VPN of the demo as it is at first: the fleet's machines, the operator's PC, an old phone, a laptop that waits."""

from __future__ import annotations

from typing import Any

from vpai_tui.demo.engine.store import Engine, hex_of
from vpai_tui.demo.headscale.state import Doc, S, World, fresh

_DAY = 86400 * S
WAITING = "VPAIDEMOWAITING0LAPTOP24"  # its registration id
# name, hostname, end of its address, online, days since seen, days to expiry (None: never), tags, routes, approved
_NODES: tuple[tuple[str, str, int, bool, float, float | None, list[str], list[str], list[str]], ...] = (
    ("workstation-pi", "workstation-pi", 1, True, 3, None, ["tag:server"], ["192.168.1.0/24"], ["192.168.1.0/24"]),
    ("ewutelo", "DESKTOP-EWUTELO", 2, True, 1, 140, [], [], []),
    ("seko", "seko-vpn", 5, True, 40, None, ["tag:server"], ["0.0.0.0/0", "::/0"], []),
    ("old-phone", "pixel-6", 9, False, 97, -31, [], [], []),
    ("sese", "sese-ai", 14, True, 12, 9, ["tag:server"], ["172.20.0.0/16"], []),
)


def build(engine: Engine, version: str, booted: str, loaded: Doc, now: float) -> Doc:
    """The first state; the same for one seed and moment."""
    doc = fresh(version)
    numbers = {"key": 0}

    def random(size: int) -> str:
        numbers["key"] += 1
        return hex_of(f"headscale {numbers['key']}")[:size]

    world = World(doc, int(now * S), random)
    from vpai_tui.demo.headscale import things

    world.now -= 200 * _DAY
    owner = things.create_user(world, "mobuone")
    things.create_user(world, "famille")
    world.now += 200 * _DAY
    for name, hostname, last, online, seen, ends, tags, routes, approved in _NODES:
        node = _node(world, owner["id"], name, hostname, last)
        node.update(online=online, tags=tags, availableRoutes=routes, approvedRoutes=approved)
        node["lastSeen"] = world.now - int(seen * _DAY)
        node["expiry"] = None if ends is None else world.now + int(ends * _DAY)
        doc["nodes"].append(node)
    doc["address"] = 14
    things.create_key(world, owner["id"], reusable=True, ephemeral=False, expiration=world.now + 20 * _DAY, tags=[])
    waiting = things.wait_for(world, WAITING, "new-laptop", [])
    world.restart(booted, loaded, "database")
    doc["pending"] = {WAITING: waiting}
    doc["address"] = 14
    return doc


def _node(world: World, owner: int, name: str, hostname: str, last: int) -> dict[str, Any]:
    from vpai_tui.demo.headscale import things

    node = things.wait_for(world, "x", hostname, [])
    world.doc["pending"].clear()
    keys = {
        kind: f"{kind.removesuffix('Key').lower()}key:{hex_of(f'{name} {kind}')}" for kind in ("nodeKey", "discoKey")
    }
    node.update(
        id=world.next_id("node"),
        user=owner,
        givenName=name,
        machineKey=f"mkey:{hex_of(name)}",
        createdAt=world.now - 150 * _DAY,
        registerMethod="REGISTER_METHOD_CLI",
        ipAddresses=[f"100.64.0.{last}", f"fd7a:115c:a1e0::{last:x}"],
        **keys,
    )
    return node
