"""What the server does, the same for REST and command line: users, keys, nodes, by version."""

from __future__ import annotations

import ipaddress
import re

from vpai_tui.demo.headscale.shapes import EXIT
from vpai_tui.demo.headscale.state import ZERO, Doc, Fail, World

_CACHE = "node not found in registration cache"


# ── users ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _check_user_name(world: World, name: str) -> None:
    if world.since(27):
        return
    if len(name) < 2:
        raise Fail(500, 2, "username must be at least 2 characters long")
    if name[0].isdigit():
        raise Fail(500, 2, "username cannot start with a number")
    if name.count("@") > 1:
        raise Fail(500, 2, "username cannot contain more than one '@'")
    for char in name:
        if not (char.isalnum() or char in "-._@"):
            raise Fail(500, 2, f"username contains invalid character: '{char}'")


_UNIQUE = "constraint failed: UNIQUE constraint failed: users.name (2067)"


def create_user(world: World, name: str, display: str = "", email: str = "", picture: str = "") -> Doc:
    _check_user_name(world, name)
    if any(it["name"] == name for it in world.doc["users"]):
        if not world.since(27):
            raise Fail(500, 2, f"creating user: {_UNIQUE}")
        raise Fail(500, 13, f"{'creating' if world.since(29) else 'failed to create'} user: creating user: {_UNIQUE}")
    made = {"id": world.next_id("user"), "name": name, "displayName": display, "email": email}
    made |= {"profilePicUrl": picture, "createdAt": world.now}
    world.doc["users"].append(made)
    return made


def rename_user(world: World, id_: int, name: str) -> Doc:
    user = world.user(id_)
    _check_user_name(world, name)
    if any(it["name"] == name and it is not user for it in world.doc["users"]):
        raise Fail(500, 2, f"{'updating user: ' if world.since(27) else ''}{_UNIQUE}")
    user["name"] = name
    return user


def delete_user(world: World, id_: int) -> None:
    user = world.user(id_)
    if any(it["user"] == id_ and not (world.since(29) and it["tags"]) for it in world.doc["nodes"]):
        raise Fail(500, 2, "user not empty: node(s) found")
    world.doc["users"].remove(user)
    everybody = world.series == (0, 28)  # its bug: the keys of all users go
    world.doc["keys"] = [] if everybody else [it for it in world.doc["keys"] if it["user"] != id_]


# ── pre-auth keys ────────────────────────────────────────────────────────────────────────────────────────────────────


def _check_tag(tag: str, status: int, code: int) -> None:
    if not tag.startswith("tag:"):
        raise Fail(status, code, "tag must start with the string 'tag:'")
    if tag != tag.lower():
        raise Fail(status, code, "tag should be lowercase")
    if " " in tag:
        raise Fail(status, code, "tag should not contains space")


def create_key(world: World, user: int, *, reusable: bool, ephemeral: bool, expiration: int, tags: list[str]) -> Doc:
    for tag in tags:
        _check_tag(tag, 400, 3)
    if user == 0 and world.since(28):
        if not tags:
            raise Fail(500, 2, "auth-key must be either tagged or owned by user")
    else:
        world.user(user)
    secret = f"hskey-auth-{world.random(12)}-{world.random(64)}" if world.since(28) else world.hex(48)
    made = {"id": world.next_id("key"), "user": user, "key": secret, "reusable": reusable, "ephemeral": ephemeral}
    made |= {"used": False, "expiration": expiration, "createdAt": world.now, "aclTags": list(dict.fromkeys(tags))}
    world.doc["keys"].append(made)
    return made


def keys_of(world: World, user: int | None) -> list[Doc]:
    """Of one user to 0.27 (who must be there); of everybody later, whoever is asked for."""
    if world.since(28):
        return list(world.doc["keys"])
    world.user(user or 0)
    return [it for it in world.doc["keys"] if it["user"] == user]


def expire_key(world: World, user: int, secret: str, id_: int) -> None:
    if world.since(28):
        found = next((it for it in world.doc["keys"] if it["id"] == id_), None)
        if found is not None:
            found["expiration"] = world.now
        return
    found = next((it for it in world.doc["keys"] if it["key"] == secret), None)
    if found is None:
        raise Fail(500, 2, "AuthKey not found")
    if found["user"] != user:
        raise Fail(500, 2, "preauth key does not belong to user")
    found["expiration"] = world.now


def delete_key(world: World, id_: int) -> None:
    world.doc["keys"] = [it for it in world.doc["keys"] if it["id"] != id_]


# ── API keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def create_api_key(world: World, expiration: int) -> str:
    size, secret = (12, world.random(64)) if world.since(28) else (7, world.random(32))
    prefix = world.random(size)
    made = {"id": world.next_id("api"), "prefix": prefix, "secret": secret, "expiration": expiration}
    world.doc["apis"].append({**made, "createdAt": world.now})
    return f"hskey-api-{prefix}-{secret}" if world.since(28) else f"{prefix}.{secret}"


def api_key(world: World, prefix: str) -> Doc:
    """The key of this prefix, which from 0.28 on may be masked."""
    if world.since(28) and prefix.startswith("hskey-api-"):
        prefix = prefix.removeprefix("hskey-api-").removesuffix("-***")
    found: Doc | None = next((it for it in world.doc["apis"] if it["prefix"] == prefix), None)
    if found is None:
        raise Fail(500, 2, "record not found")
    return found


# ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def need_node(world: World, id_: int, status: int = 500, code: int = 2, message: str = "") -> Doc:
    """The node, or how this version says that there is none."""
    found = world.node(id_)
    if found is None:
        if not world.since(27):
            raise Fail(status, code, "record not found")
        store = f"node {'not found' if not world.since(28) else 'no longer exists'} in NodeStore: {id_}"
        raise Fail(status, code, message or store)
    return found


def check_registration_id(world: World, text: str) -> None:
    if world.since(29):
        if not text.startswith("hskey-authreq-"):
            raise Fail(500, 2, 'auth ID has invalid prefix: expected prefix "hskey-authreq-"')
    elif len(text) != 24:
        raise Fail(500, 2, "registration ID must be 24 characters long")


def wait_for(world: World, id_: str, name: str, routes: list[str]) -> Doc:
    """A machine that waits to be let in, as `debug/node` makes one."""
    for route in routes:
        if "/" not in route:
            raise Fail(500, 2, f"netip.ParsePrefix({_quoted(route)}): no '/'")
    zeros = "0" * 64
    made: Doc = {
        "id": 0,
        "machineKey": f"mkey:{world.hex(64)}",
        "nodeKey": f"nodekey:{world.hex(64)}",
        "discoKey": f"discokey:{zeros}",
        "ipAddresses": [],
        "name": name,
        "user": 0,
        "lastSeen": ZERO,
        "expiry": ZERO,
        "createdAt": ZERO,
        "registerMethod": "REGISTER_METHOD_UNSPECIFIED",
        "tags": [],
        "givenName": "",
        "online": False,
        "approvedRoutes": [],
        "availableRoutes": routes,
    }
    world.doc["pending"][id_] = made
    return made


def _quoted(text: str) -> str:
    return '"' + text + '"'


def register(world: World, user_name: str, id_: str) -> Doc:
    """Lets a waiting machine in."""
    check_registration_id(world, id_)
    try:
        user = world.user_called(user_name)
    except Fail:
        raise Fail(500, 2, "looking up user: user not found") from None
    node: Doc | None = world.doc["pending"].pop(id_, None)
    if node is None:
        raise Fail(500, 2, _CACHE)
    node.update(id=world.next_id("node"), user=user["id"], createdAt=world.now, registerMethod="REGISTER_METHOD_CLI")
    node.update(ipAddresses=world.next_address(), givenName=_given(world, node["name"]))
    if world.since(27):
        node["lastSeen"] = world.now
    if world.since(29):
        node["availableRoutes"] = []
    world.doc["nodes"].append(node)
    return node


def _given(world: World, hostname: str) -> str:
    """The MagicDNS label of a new node: made to fit, and made to differ."""
    name = hostname.lower()
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name):
        if world.since(29):
            name = re.sub(r"[^a-z0-9]+", "-", name).strip("-")
        elif world.since(27):
            name = f"invalid-{world.hex(8)}"
        else:
            name = re.sub(r"[^a-z0-9.-]", "", name)
    taken = {it["givenName"] for it in world.doc["nodes"]}
    if name not in taken:
        return name
    if world.since(29):
        return next(made for number in range(1, 999) if (made := f"{name}-{number}") not in taken)
    return f"{name}-{world.hex(8)}"


def rename(world: World, id_: int, name: str) -> Doc:
    node = need_node(world, id_)
    _check_node_name(world, name)
    for other in world.doc["nodes"]:
        if other["givenName"] == name and (other is not node or not world.since(27)):
            raise Fail(500, 2, f"{'node ' if world.since(28) else ''}name is not unique: {name}")
    if id_ != 0:
        node["givenName"] = name
    return node


def _check_node_name(world: World, name: str) -> None:
    told = (_name_29 if world.since(29) else _name_27 if world.since(27) else _name_26)(name)
    if told:
        raise Fail(500, 2, f"renaming node: {told}")


def _name_26(name: str) -> str:
    if len(name) < 2:
        return "name must be at least 2 characters long"
    if len(name) > 63:
        return f"DNS segment must not be over 63 chars. {name} doesn't comply with this rule: invalid user name"
    if name != name.lower():
        return f"DNS segment should be lowercase. {name} doesn't comply with this rule: invalid user name"
    if not re.fullmatch(r"[a-z0-9.-]+", name):
        rule = "DNS segment should only be composed of lowercase ASCII letters numbers, hyphen and dots."
        return f"{rule} {name} doesn't comply with these rules: invalid user name"
    return ""


def _name_27(name: str) -> str:
    if len(name) < 2:
        return f'hostname "{name}" is too short, must be at least 2 characters'
    if len(name) > 63:
        return f'hostname "{name}" is too long, must not exceed 63 characters'
    if name != name.lower():
        return f'hostname "{name}" must be lowercase (try "{name.lower()}")'
    if name.startswith("-") or name.endswith("-"):
        return f'hostname "{name}" cannot start or end with a hyphen'
    if not re.fullmatch(r"[a-z0-9.-]+", name):
        rule = "only lowercase letters, numbers, hyphens and dots are allowed"
        return f'hostname "{name}" contains invalid characters, {rule}'
    return ""


def _name_29(name: str) -> str:
    start = f'"{name}" is not a valid DNS label: '
    if not name:
        return f"{start}empty DNS label"
    if len(name) > 63:
        return f'{start}"{name}" is too long, max length is 63 bytes'
    if not name[0].isalnum():
        return f"{start}{start}must start with a letter or number"
    if not name[-1].isalnum():
        return f"{start}{start}must end with a letter or number"
    bad = next((char for char in name if not (char.isascii() and (char.isalnum() or char == "-"))), "")
    return f"{start}{start}contains invalid character '{bad}'" if bad else ""


def expire(world: World, id_: int, moment: int | None, *, never: bool = False) -> Doc:
    """Now (`moment` None), then, or never; what this version does not understand expires it now."""
    node = need_node(world, id_)
    if never and world.since(29):
        node["expiry"] = None
    elif id_ != 0:
        node["expiry"] = moment if moment is not None and world.since(27) else world.now
    return node


def delete(world: World, id_: int) -> None:
    world.doc["nodes"].remove(need_node(world, id_, *((404, 5, "node not found") if world.since(27) else ())))


def set_tags(world: World, id_: int, tags: list[str]) -> Doc:
    if world.since(28) and not tags:
        raise Fail(400, 3, "cannot remove all tags from a node - tagged nodes must have at least one tag")
    for tag in tags:
        _check_tag(tag, 500, 2)
    missing = (404, 5, "node not found") if world.since(28) else (400, 3)
    node = need_node(world, id_, *missing)
    owned = re.findall(r'"(tag:[a-z0-9-]+)"\s*:', world.doc["policy"] or "")
    if world.since(28) and (not all(tag in owned for tag in tags) or len(set(tags)) < len(tags)):
        raise Fail(400, 3, f"requested tags [{' '.join(tags)}] are invalid or not permitted")
    if id_ != 0:
        node["tags"] = list(tags) if world.since(27) else sorted(set(tags))
    return node


def approve(world: World, id_: int, routes: list[str]) -> Doc:
    wanted = []
    for route in routes:
        if "/" not in route:
            raise Fail(500, 2, f"parsing route: netip.ParsePrefix({_quoted(route)}): no '/'")
        try:
            ipaddress.ip_network(route, strict=False)
        except ValueError:
            raise Fail(500, 2, f"parsing route: netip.ParsePrefix({_quoted(route)}): unable to parse IP") from None
        wanted += list(EXIT) if route in EXIT else [route]
    node = need_node(world, id_, 400, 3)
    if id_ != 0:
        node["approvedRoutes"] = sorted(set(wanted), key=lambda it: (":" in it, _by_number(it)))
    return node


def _by_number(prefix: str) -> tuple[int, int]:
    network = ipaddress.ip_network(prefix, strict=False)
    return int(ipaddress.ip_address(prefix.partition("/")[0])), network.prefixlen


def move(world: World, id_: int, user: int) -> Doc:
    node = need_node(world, id_, 500, 2, f"node not found: {id_}")
    try:
        world.user(user)
    except Fail:
        raise Fail(500, 2, "user not found: user not found" if world.since(27) else "user not found") from None
    node["user"] = user
    return node
