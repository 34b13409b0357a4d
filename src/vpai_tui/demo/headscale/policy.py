"""The policy: stored in database mode, erased by an empty text, refused where there is no file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpai_tui.demo.headscale import shapes
from vpai_tui.demo.headscale.state import Doc, Fail

if TYPE_CHECKING:
    from vpai_tui.demo.headscale.rest import Call


def get(call: Call, *_: str) -> Doc:
    doc = call.world.doc
    if doc["policy_mode"] != "database":
        raise Fail(500, 2, 'reading policy from path "": open : no such file or directory')
    if doc["policy"] is None:
        raise Fail(500, 2, "loading ACL from database: acl policy not found")
    return {"policy": doc["policy"], "updatedAt": shapes.stamp(doc.get("policy_at", call.world.now))}


def put(call: Call, *_: str) -> Doc:
    doc = call.world.doc
    if doc["policy_mode"] != "database":
        raise Fail(500, 2, "update is disabled for modes other than 'database'")
    doc["policy"], doc["policy_at"] = call.field("policy", ""), call.world.now
    return {"policy": doc["policy"], "updatedAt": shapes.stamp(call.world.now)}
