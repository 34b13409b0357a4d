"""How the server's things look: REST (camelCase, all there) and the command line (snake_case, zeros left out)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from vpai_tui.demo.headscale.state import ZERO, Doc, S, World

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES = ("createdAt", "expiry", "lastSeen", "expiration")
_METHODS = {"REGISTER_METHOD_UNSPECIFIED": 0, "REGISTER_METHOD_AUTH_KEY": 1}
_METHODS |= {"REGISTER_METHOD_CLI": 2, "REGISTER_METHOD_OIDC": 3}
_NANOS = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
EXIT = ("0.0.0.0/0", "::/0")


def stamp(nanos: int | None) -> str | None:
    """RFC 3339 with as many groups of three digits as Go writes."""
    if nanos is None:
        return None
    seconds, rest = divmod(nanos, S)
    text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    text = text if len(text) == 19 else text.rjust(19, "0")
    if rest == 0:
        return f"{text}Z"
    digits = f"{rest:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{text}.{digits}Z"


def nanos(text: str) -> int | None:
    """The moment a client sent; None when it is none."""
    found = _NANOS.fullmatch(text)
    if found is None:
        return None
    zone = "+00:00" if found[3] == "Z" else found[3]
    seconds = (datetime.fromisoformat(found[1] + zone) - _EPOCH) // timedelta(seconds=1)
    return seconds * S + int((found[2] or "0").ljust(9, "0"))


def user(doc: Doc) -> Doc:
    return {
        "id": str(doc["id"]),
        "name": doc["name"],
        "createdAt": stamp(doc["createdAt"]),
        "displayName": doc["displayName"],
        "email": doc["email"],
        "providerId": "",
        "provider": doc.get("provider", ""),
        "profilePicUrl": doc["profilePicUrl"],
    }


def key(world: World, doc: Doc, *, whole: bool = False) -> Doc:
    """A pre-auth key: whole in every answer up to 0.27, later only when it is made."""
    owner = next((it for it in world.doc["users"] if it["id"] == doc["user"]), None)
    shown = doc["key"]
    if world.since(28) and not whole:
        shown = f"hskey-auth-{shown.removeprefix('hskey-auth-')[:12]}-***"
    return {
        "user": user(owner) if owner else None,
        "id": str(doc["id"]),
        "key": shown,
        "reusable": doc["reusable"],
        "ephemeral": doc["ephemeral"],
        "used": doc["used"],
        "expiration": stamp(doc["expiration"]),
        "createdAt": stamp(doc["createdAt"]),
        "aclTags": list(doc["aclTags"]),
    }


def api_key(world: World, doc: Doc) -> Doc:
    prefix = f"hskey-api-{doc['prefix']}-***" if world.since(28) else doc["prefix"]
    times = {"expiration": stamp(doc["expiration"]), "createdAt": stamp(doc["createdAt"]), "lastSeen": None}
    return {"id": str(doc["id"]), "prefix": prefix, **times}


def node(world: World, doc: Doc, *, listed: bool, approved: bool = False) -> Doc:
    """One node. Only the list knows all that is live; `approved`: the answer to a change of its routes."""
    owner = next((it for it in world.doc["users"] if it["id"] == doc["user"]), None)
    live = listed or world.since(27)
    shown = {
        "id": str(doc["id"]),
        "machineKey": doc["machineKey"],
        "nodeKey": doc["nodeKey"],
        "discoKey": doc["discoKey"],
        "ipAddresses": list(doc["ipAddresses"]),
        "name": doc["name"],
        "user": user(owner) if owner else None,
        "lastSeen": stamp(doc["lastSeen"]),
        "expiry": stamp(doc["expiry"]),
        "preAuthKey": _enrolled_by(world, doc),
        "createdAt": stamp(doc["createdAt"]),
        "registerMethod": doc["registerMethod"],
        "givenName": doc["givenName"],
        "online": bool(doc["online"]) and live,
        "approvedRoutes": list(doc["approvedRoutes"]),
        "availableRoutes": list(doc["availableRoutes"]),
        "subnetRoutes": _told_served(world, doc, listed=listed) if live or approved else [],
    }
    if world.since(28):
        if doc["tags"]:
            shown["user"] = {**user({**_TAGGED, "createdAt": ZERO}), "createdAt": None}
        return {**shown, "tags": list(doc["tags"])}
    return {
        **shown,
        "forcedTags": list(doc["tags"]),
        "invalidTags": [],
        "validTags": list(doc["tags"]) if listed else [],
    }


def _told_served(world: World, doc: Doc, *, listed: bool) -> list[str]:
    return [it for it in served(world, doc) if listed or it not in EXIT]


_TAGGED = {
    "id": 2147455555,
    "name": "tagged-devices",
    "displayName": "Tagged Devices",
    "email": "",
    "profilePicUrl": "",
}


def _enrolled_by(world: World, doc: Doc) -> Doc | None:
    found = next((it for it in world.doc["keys"] if it["id"] == doc.get("preAuthKey")), None)
    return key(world, found) if found else None


def served(world: World, doc: Doc) -> list[str]:
    """Approved and advertised, of a subnet only where this node is the first that offers it; exit routes always."""
    found = []
    for prefix in doc["availableRoutes"]:
        if prefix not in doc["approvedRoutes"]:
            continue
        others = [it for it in world.doc["nodes"] if prefix in it["availableRoutes"] and prefix in it["approvedRoutes"]]
        if prefix in EXIT or others[0]["id"] == doc["id"]:
            found.append(prefix)
    return sorted(found, key=lambda prefix: (prefix in EXIT, prefix))


def for_cli(value: Any, name: str = "") -> Any:
    """A REST document as the command line prints it."""
    if isinstance(value, dict):
        found = {}
        for camel, item in value.items():
            text = for_cli(item, camel)
            if text not in (None, "", [], False, 0) or text == {}:
                found[re.sub(r"([A-Z])", lambda it: "_" + it[1].lower(), camel)] = text
        return found
    if isinstance(value, list):
        return [for_cli(item) for item in value]
    if name == "id":
        return int(value)
    if name == "registerMethod":
        return _METHODS[value]
    if name in _TIMES and isinstance(value, str):
        moment = nanos(value)
        seconds, rest = divmod(ZERO if moment is None else moment, S)
        return {"seconds": seconds} | ({"nanos": rest} if rest else {})
    return value
