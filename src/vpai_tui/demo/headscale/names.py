"""The VPN's resolver, as every Tailscale client has one at 100.100.100.100: DNS messages in, DNS messages out."""

from __future__ import annotations

import ipaddress
import struct

from vpai_tui.demo.headscale.state import Doc

ADDRESS = "100.100.100.100"
_TYPES = {1: 4, 28: 6}
TTL = 600


def addresses(doc: Doc, name: str, family: int) -> list[str]:
    """What a client answers: a node's own, else the first record's of that family. Record names are not lower-cased."""
    loaded = doc["loaded"]
    found = []
    for node in doc["nodes"]:
        if name == f"{node['givenName']}.{loaded['base_domain']}":
            found += node["ipAddresses"]
    found += [
        value for given, kind, value in loaded["records"] if given.rstrip(".") == name and kind in ("", "A", "AAAA")
    ]
    return [it for it in found if _family(it) == family][:1]


def _family(text: str) -> int:
    try:
        return ipaddress.ip_address(text).version
    except ValueError:
        return 0


def answer(doc: Doc, query: bytes) -> bytes:
    """The answer to one question."""
    labels, at = [], 12
    while size := query[at]:
        labels.append(query[at + 1 : at + 1 + size].decode("ascii", errors="replace").lower())
        at += 1 + size
    kind = struct.unpack(">H", query[at + 1 : at + 3])[0]
    asked = query[12 : at + 5]
    found = addresses(doc, ".".join(labels), _TYPES.get(kind, 0))
    body = b""
    for text in found:
        data = ipaddress.ip_address(text).packed
        body += struct.pack(">HHHIH", 0xC00C, kind, 1, TTL, len(data)) + data
    return query[:2] + struct.pack(">HHHHH", 0x8180, 1, len(found), 0, 0) + asked + body
