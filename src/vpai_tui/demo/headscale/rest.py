"""The server's HTTP side: grpc-gateway's manners, and plain text for who may not come in."""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from vpai_tui.demo.headscale import policy, shapes, things
from vpai_tui.demo.headscale.state import ZERO, Doc, Fail, S, World

BUILD = {
    "0.27": ("v0.27.1", "f658a8eacd4d86edb65424b64d21e4d5d2a2ed82", "2025-11-11T19:32:29Z"),
    "0.28": ("v0.28.0", "3b4b9a4436bfcb1bb9a9ec0f0a1b3b9f0b0e4e3c", "2026-02-04T20:00:00Z"),
    "0.29": ("v0.29.2", "8eea89488c642f3d5f617fab5493d5f51f6f4ad0", "2026-07-01T14:47:39Z"),
}


def build_of(world: World) -> tuple[str, str, str]:
    """Version, commit and date as the server tells them; a version that nobody recorded has neither of the latter."""
    text = str(world.doc["version"])
    return BUILD.get(text[:4], (f"v{text}", "unknown", "unknown"))


_BLANK = (
    b'<!DOCTYPE html><html lang="en"><head><meta charset="UTF-8"><link href="/favicon.ico" rel="icon"></head>'
    b"<body></body></html>"
)


class Answer(NamedTuple):
    """Status, content type and body."""

    status: int
    kind: str
    body: bytes


class Call:
    """One request under /api/v1, taken apart."""

    def __init__(self, world: World, query: dict[str, str], body: Doc) -> None:
        self.world, self.query, self.body = world, query, body

    def number(self, name: str, value: Any) -> int:
        """A uint64 of the body, as text or number."""
        if isinstance(value, bool) or not str(value).isdigit():
            raise Fail(400, 3, f'proto: invalid value for uint64 field {name}: "{value}"')
        return int(value)

    def field(self, name: str, default: Any) -> Any:
        """A field in either spelling; others are not looked at."""
        snake = "".join(f"_{char.lower()}" if char.isupper() else char for char in name)
        found = self.body.get(name, self.body.get(snake))
        return default if found is None else found

    def moment(self, name: str, absent: int) -> int:
        found = self.field(name, None)
        if found is None:
            return absent
        moment = shapes.nanos(found) if isinstance(found, str) else None
        if moment is None:
            raise Fail(400, 3, f'proto: invalid google.protobuf.Timestamp value "{found}"')
        return moment


def _json(status: int, body: Any) -> Answer:
    return Answer(status, "application/json", json.dumps(body, ensure_ascii=False).encode())


def _fail(error: Fail) -> Answer:
    return _json(error.status, {"code": error.code, "message": error.message, "details": []})


def answer(world: World, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
    """What the server says; `headers` have lower case names."""
    parts = urlsplit(target)
    if not parts.path.startswith("/api/"):
        return _outside(world, parts.path)
    if refused := _may_not(world, headers.get("authorization", "")):
        return refused
    try:
        return _json(
            200, _routed(world, method, parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), body)
        )
    except Fail as error:
        return _fail(error)


def _outside(world: World, path: str) -> Answer:
    if path == "/health":
        return Answer(200, "application/health+json; charset=utf-8", b'{"status":"pass"}')
    if path == "/version" and world.since(27):
        version, commit, built = build_of(world)
        go = {"version": "go1.26.8", "os": "linux", "arch": "amd64"}
        return _json(200, {"version": version, "commit": commit, "buildTime": built, "go": go, "dirty": False})
    if world.series == (0, 28):
        return Answer(200, "text/html; charset=utf-8", _BLANK)
    return Answer(404, "text/plain; charset=utf-8", b"404 page not found\n" if world.since(29) else b"")


def _may_not(world: World, given: str) -> Answer | None:
    """None for a good key. 0.26 has one more way to say no: 500."""
    no = Answer(401, "text/plain; charset=utf-8", b"Unauthorized")
    if not given.startswith("Bearer ") or not given.removeprefix("Bearer "):
        return no
    token = given.removeprefix("Bearer ")
    wrong = no if world.since(27) else no._replace(status=500)
    if token.startswith("hskey-api-"):
        prefix, secret = token.removeprefix("hskey-api-")[:12], token.removeprefix("hskey-api-")[13:]
    else:
        prefix, _, secret = token.partition(".")
    known = next((it for it in world.doc["apis"] if it["prefix"] == prefix), None)
    if known is None or known["secret"] != secret:
        return wrong
    return no if known["expiration"] <= world.now else None


def _routed(world: World, method: str, path: str, query: dict[str, str], body: bytes) -> Any:
    steps = path.removeprefix("/api/").split("/")
    steps = [unquote(step) for step in steps]
    if steps[0] != "v1" or any("/" in step for step in steps):
        raise Fail(404, 5, "Not Found")
    fitting = [(verb, call) for verb, shape, since, until, call in ROUTES
               if world.series >= (0, since) and world.series < (0, until) and _fits(shape, steps[1:])]  # fmt: skip
    if not fitting:
        raise Fail(404, 5, "Not Found")
    chosen = next((call for verb, call in fitting if verb == method), None)
    if chosen is None:
        raise Fail(501, 12, "Method Not Allowed")
    try:
        parsed = json.loads(body) if body else {}
    except ValueError:
        raise Fail(400, 3, "unexpected EOF") from None
    return chosen(Call(world, query, parsed if isinstance(parsed, dict) else {}), *steps[1:])


def _fits(shape: str, steps: list[str]) -> bool:
    wanted = shape.split("/")
    return len(wanted) == len(steps) and all(part in ("{}", step) for part, step in zip(wanted, steps, strict=True))


def _id(name: str, text: str) -> int:
    if not text.isdigit():
        reason = f'strconv.ParseUint: parsing "{text}": invalid syntax'
        raise Fail(400, 3, f"type mismatch, parameter: {name}, error: {reason}")
    return int(text)


def _query_id(text: str, name: str) -> int:
    if not text.isdigit():
        raise Fail(400, 3, f'parsing field "{name}": strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)


# ── users ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _users(call: Call, *_: str) -> Doc:
    users = call.world.doc["users"]
    id_ = _query_id(call.query["id"], "id") if "id" in call.query else None
    if call.query.get("name"):
        users = [it for it in users if it["name"] == call.query["name"]]
    elif call.query.get("email"):
        users = [it for it in users if it["email"] == call.query["email"]]
    elif id_ is not None:
        users = [it for it in users if it["id"] == id_]
    return {"users": [shapes.user(it) for it in users]}


def _create_user(call: Call, *_: str) -> Doc:
    texts = [call.field(name, "") for name in ("name", "displayName", "email", "pictureUrl")]
    return {"user": shapes.user(things.create_user(call.world, *texts))}


def _rename_user(call: Call, _user: str, id_: str, _rename: str, name: str) -> Doc:
    return {"user": shapes.user(things.rename_user(call.world, _id("old_id", id_), name))}


def _delete_user(call: Call, _user: str, id_: str) -> Doc:
    things.delete_user(call.world, _id("id", id_))
    return {}


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _keys(call: Call, *_: str) -> Doc:
    user = None
    if not call.world.since(28):
        user = _query_id(call.query["user"], "user") if "user" in call.query else 0
    return {"preAuthKeys": [shapes.key(call.world, it) for it in things.keys_of(call.world, user)]}


def _create_key(call: Call, *_: str) -> Doc:
    made = things.create_key(
        call.world,
        call.number("user", call.field("user", 0)),
        reusable=bool(call.field("reusable", False)),
        ephemeral=bool(call.field("ephemeral", False)),
        expiration=call.moment("expiration", ZERO),
        tags=list(call.field("aclTags", [])),
    )
    return {"preAuthKey": shapes.key(call.world, made, whole=True)}


def _expire_key(call: Call, *_: str) -> Doc:
    new = call.world.since(28)  # the old style's fields are unknown there, and unknown fields are not looked at
    user, secret = (0, "") if new else (call.number("user", call.field("user", 0)), call.field("key", ""))
    things.expire_key(call.world, user, secret, call.number("id", call.field("id", 0)))
    return {}


def _delete_key(call: Call, *_: str) -> Doc:
    things.delete_key(call.world, _query_id(call.query.get("id", "0"), "id"))
    return {}


def _api_keys(call: Call, *_: str) -> Doc:
    return {"apiKeys": [shapes.api_key(call.world, it) for it in call.world.doc["apis"]]}


def _create_api_key(call: Call, *_: str) -> Doc:
    return {"apiKey": things.create_api_key(call.world, call.moment("expiration", ZERO))}


def _expire_api_key(call: Call, *_: str) -> Doc:
    prefix, id_ = call.field("prefix", ""), call.field("id", None)
    if call.world.since(28) and not prefix:
        if id_ is None:
            raise Fail(400, 3, "must provide id or prefix")
        prefix = next((it["prefix"] for it in call.world.doc["apis"] if str(it["id"]) == str(id_)), "")
    things.api_key(call.world, prefix)["expiration"] = call.world.now
    return {}


def _delete_api_key(call: Call, _apikey: str, prefix: str) -> Doc:
    if "id" in call.query and call.world.since(28):
        raise Fail(400, 3, "provide either id or prefix, not both")
    call.world.doc["apis"].remove(things.api_key(call.world, prefix))
    return {}


# ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _nodes(call: Call, *_: str) -> Doc:
    nodes = call.world.doc["nodes"]
    if name := call.query.get("user"):
        user = call.world.user_called(name)
        nodes = [it for it in nodes if it["user"] == user["id"] and not (call.world.since(28) and it["tags"])]
    return {"nodes": [shapes.node(call.world, it, listed=True) for it in sorted(nodes, key=lambda it: int(it["id"]))]}


def _one(call: Call, node: Doc, *, approved: bool = False) -> Doc:
    return {"node": shapes.node(call.world, node, listed=False, approved=approved)}


def _node(call: Call, _node: str, id_: str) -> Doc:
    gone = (404, 5, "node not found") if call.world.since(27) else ()
    return _one(call, things.need_node(call.world, _id("node_id", id_), *gone))


def _register(call: Call, *_: str) -> Doc:
    return _one(call, things.register(call.world, call.query.get("user", ""), call.query.get("key", "")))


def _auth_register(call: Call, *_: str) -> Doc:
    return _one(call, things.register(call.world, call.field("user", ""), call.field("authId", "")))


def _auth(call: Call, _auth: str, what: str) -> Doc:
    id_ = call.field("authId", "")
    if id_ not in call.world.doc["pending"]:
        raise Fail(404, 5, f"no pending auth session for auth_id {id_}")
    del what  # approve and reject leave the waiting machine where it is
    return {}


def _debug_node(call: Call, *_: str) -> Doc:
    owner = call.world.user_called(call.field("user", ""))
    things.check_registration_id(call.world, call.field("key", ""))
    made = things.wait_for(call.world, call.field("key", ""), call.field("name", ""), list(call.field("routes", [])))
    return _one(call, {**made, "user": owner["id"]})


def _delete_node(call: Call, _node: str, id_: str) -> Doc:
    things.delete(call.world, _id("node_id", id_))
    return {}


def _rename_node(call: Call, _node: str, id_: str, _rename: str, name: str) -> Doc:
    return _one(call, things.rename(call.world, _id("node_id", id_), name))


def _expire_node(call: Call, _node: str, id_: str, _expire: str) -> Doc:
    moment, never = None, call.query.get("disableExpiry", call.query.get("disable_expiry")) == "true"
    if (text := call.query.get("expiry")) and call.world.since(27):
        moment = shapes.nanos(text)
        if moment is None:
            layout = "2006-01-02T15:04:05.999999999Z07:00"
            reason = f'parsing time "{text}" as "{layout}": cannot parse "{text}" as "2006"'
            raise Fail(400, 3, f'parsing field "expiry": {reason}')
    if never and moment is not None and call.world.since(29):
        raise Fail(400, 3, "cannot set both disable_expiry and expiry")
    return _one(call, things.expire(call.world, _id("node_id", id_), moment, never=never))


def _tag_node(call: Call, _node: str, id_: str, _tags: str) -> Doc:
    return _one(call, things.set_tags(call.world, _id("node_id", id_), list(call.field("tags", []))))


def _approve(call: Call, _node: str, id_: str, _approve: str) -> Doc:
    node = things.approve(call.world, _id("node_id", id_), list(call.field("routes", [])))
    return _one(call, node, approved=True)


def _move(call: Call, _node: str, id_: str, _user: str) -> Doc:
    return _one(call, things.move(call.world, _id("node_id", id_), call.number("user", call.field("user", 0))))


def _backfill(call: Call, *_: str) -> Doc:
    if call.query.get("confirmed") != "true":
        raise Fail(500, 2, "not confirmed, aborting")
    return {"changes": []}


def _health(call: Call, *_: str) -> Doc:
    return {"databaseConnectivity": True}


ROUTES: tuple[tuple[str, str, int, int, Any], ...] = (
    ("GET", "user", 0, 99, _users),
    ("POST", "user", 0, 99, _create_user),
    ("POST", "user/{}/rename/{}", 0, 99, _rename_user),
    ("DELETE", "user/{}", 0, 99, _delete_user),
    ("GET", "preauthkey", 0, 99, _keys),
    ("POST", "preauthkey", 0, 99, _create_key),
    ("POST", "preauthkey/expire", 0, 99, _expire_key),
    ("DELETE", "preauthkey", 28, 99, _delete_key),
    ("GET", "apikey", 0, 99, _api_keys),
    ("POST", "apikey", 0, 99, _create_api_key),
    ("POST", "apikey/expire", 0, 99, _expire_api_key),
    ("DELETE", "apikey/{}", 0, 99, _delete_api_key),
    ("GET", "node", 0, 99, _nodes),
    ("POST", "node/register", 0, 99, _register),
    ("POST", "node/backfillips", 0, 99, _backfill),
    ("GET", "node/{}", 0, 99, _node),
    ("DELETE", "node/{}", 0, 99, _delete_node),
    ("POST", "node/{}/rename/{}", 0, 99, _rename_node),
    ("POST", "node/{}/expire", 0, 99, _expire_node),
    ("POST", "node/{}/tags", 0, 99, _tag_node),
    ("POST", "node/{}/approve_routes", 0, 99, _approve),
    ("POST", "node/{}/user", 0, 28, _move),
    ("POST", "debug/node", 0, 99, _debug_node),
    ("POST", "auth/register", 29, 99, _auth_register),
    ("POST", "auth/approve", 29, 99, _auth),
    ("POST", "auth/reject", 29, 99, _auth),
    ("GET", "health", 27, 99, _health),
    ("GET", "policy", 0, 99, policy.get),
    ("PUT", "policy", 0, 99, policy.put),
)

__all__ = ["Answer", "S", "answer"]
