"""One Headscale: a key minted at the start and deleted at the end, lists read whole, every write proved by a read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote

from vpai_tui.clock import Clock, rfc3339
from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.redact import redact
from vpai_tui.vpn import reading
from vpai_tui.vpn.credential import Credential
from vpai_tui.vpn.model import Node, PreAuthKey, User
from vpai_tui.vpn.transport import (
    READ_TIMEOUT_S,
    WRITE_TIMEOUT_S,
    NoAnswer,
    Refused,
    Unauthorized,
    Way,
    answer_of,
    printed,
    target,
)
from vpai_tui.vpn.versions import Can, Version, parse_version

T = TypeVar("T")

_PROOF_S = (0.0, 0.3, 0.7, 1.5, 3.0)  # a write shows at once on 0.26, within seconds later on


class NotShown(OperatorError):
    """Headscale answered a write with success, or not at all, and a fresh read does not show it."""


class Headscale:
    """Reads and writes of one server. No guard asks here: `vpn.session` does. All times are UTC."""

    def __init__(self, way: Way, version: Version, clock: Clock, *, read_only: bool = False) -> None:
        self.version = version
        self._read_only = read_only
        self._way = way
        self._clock = clock
        self._credential = Credential(way, clock)

    async def close(self) -> None:
        """Deletes the API key, also after a failure; on a dead link it ends by itself within two hours."""
        try:
            await self._credential.drop()
        finally:
            await self._way.close()

    # ── exchanges ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        what: str,
    ) -> Any:
        """One exchange under /api/v1. A key that is not accepted is made anew once: nothing was done yet then."""
        content = None if body is None else json.dumps(body).encode()
        timeout_s = READ_TIMEOUT_S if method == "GET" else WRITE_TIMEOUT_S
        url = target(f"/api/v1/{path}", query)
        for last in (False, True):
            key = await self._credential.get()
            found = await self._way.request(method, url, key=key, body=content, timeout_s=timeout_s)
            try:
                return answer_of(found, what, self._way.host)
            except Unauthorized:
                if last:
                    raise
                self._credential.forget(key)
        raise AssertionError("the loop returns or raises")

    async def _write(
        self,
        method: str,
        path: str,
        shows: Callable[[T], bool],
        read: Callable[[], Any],
        *,
        what: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> T:
        """A write, and a fresh read that must show it. The answer of the write itself is stale and not looked at.

        Raises:
            UsageError: this server is read-only for us.
            NotShown: the read does not show it. Refused: Headscale said no.
        """
        self.need(Can.WRITE)
        failure: OperatorError | None = None
        try:
            await self._ask(method, path, query=query, body=body, what=what)
        except Refused as error:
            if not error.undecided:
                raise
            failure = error
        except NoAnswer as error:
            failure = error
        for pause_s in _PROOF_S:
            await asyncio.sleep(pause_s)
            found: T = await read()
            if shows(found):
                return found
        if failure is not None:
            raise failure
        raise NotShown(
            f"{what} was answered with success, but a fresh look does not show it",
            host=self._way.host,
            remedy="look again in a moment; `docker logs` of headscale may tell why",
        )

    def need(self, what: Can) -> None:
        """UsageError with the reason when this server cannot do it."""
        if self._read_only:
            raise UsageError("this cockpit is read-only", remedy="open it without --read-only")
        if why := self.version.why_not(Can.WRITE) or self.version.why_not(what):
            raise UsageError(why, host=self._way.host)

    # ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def nodes(self) -> tuple[Node, ...]:
        """All nodes. The list alone is true: single nodes lack what is served, answers to writes are stale."""
        found = await self._ask("GET", "node", what="nodes")
        return reading.rows(found, "nodes", reading.node)

    async def rename(self, node: Node, name: str) -> tuple[Node, ...]:
        """Gives the node another MagicDNS label. The same name again is refused by 0.26: nothing is asked then."""
        if node.name == name:
            return await self.nodes()
        path = f"node/{_id(node)}/rename/{quote(name, safe='')}"
        return await self._node_write(path, node, lambda it: it.name == name, f"rename of {node.name}")

    async def expire(self, node: Node) -> tuple[Node, ...]:
        """Expires the node's key now: it must log in again."""
        before, now = node.expires_at, self._clock.now() + timedelta(hours=1)  # the server's clock may be ahead

        def expired(it: Node) -> bool:
            return it.expires_at is not None and (it.expires_at != before or before <= now) and it.expires_at <= now

        return await self._node_write(f"node/{_id(node)}/expire", node, expired, f"expiry of {node.name}")

    async def set_expiry(self, node: Node, moment: datetime | None) -> tuple[Node, ...]:
        """Lets the key expire at `moment`, or never (None). Where a server does not know how, it would expire now."""
        self.need(Can.NEVER_EXPIRE if moment is None else Can.SET_EXPIRY)
        path = f"node/{_id(node)}/expire"
        if moment is None:
            return await self._node_write(
                path, node, lambda it: it.expires_at is None, f"expiry of {node.name}", query={"disableExpiry": "true"}
            )
        text = rfc3339(moment)
        return await self._node_write(
            path,
            node,
            lambda it: it.expires_at is not None and rfc3339(it.expires_at) == text,
            f"expiry of {node.name}",
            query={"expiry": text},
            body={"expiry": text},
        )

    async def delete(self, node: Node) -> tuple[Node, ...]:
        """Removes the node. There is no way back: it joins again as another node, with another address."""
        gone = _id(node)
        return await self._write(
            "DELETE",
            f"node/{gone}",
            lambda nodes: all(it.id != gone for it in nodes),
            self.nodes,
            what=f"deletion of {node.name}",
        )

    async def set_tags(self, node: Node, tags: Sequence[str]) -> tuple[Node, ...]:
        """Replaces the node's tags."""
        if not tags:
            self.need(Can.CLEAR_TAGS)
        wanted = sorted(set(tags))
        return await self._node_write(
            f"node/{_id(node)}/tags", node, lambda it: set(wanted) <= set(it.tags), f"tags of {node.name}",
            body={"tags": wanted},
        )  # fmt: skip

    async def approve(self, node: Node, prefixes: Sequence[str]) -> tuple[Node, ...]:
        """Replaces the node's approved routes. Headscale adds the other exit route to one by itself."""
        wanted = sorted(set(prefixes))
        return await self._node_write(
            f"node/{_id(node)}/approve_routes", node, lambda it: set(it.approved) == set(wanted),
            f"routes of {node.name}", body={"routes": wanted},
        )  # fmt: skip

    async def move(self, node: Node, user: User) -> tuple[Node, ...]:
        """Gives the node to another user (before 0.28)."""
        self.need(Can.MOVE)
        return await self._node_write(
            f"node/{_id(node)}/user", node, lambda it: it.user is not None and it.user.id == user.id,
            f"move of {node.name}", body={"user": str(user.id)},
        )  # fmt: skip

    async def register(self, user: User, registration_id: str) -> tuple[Node, ...]:
        """Lets in the machine that waits with this id; an id lives 15 minutes, and not over a restart."""
        before = {node.id: node for node in await self.nodes()}

        def arrived(nodes: tuple[Node, ...]) -> bool:
            return any(before.get(node.id) != node for node in nodes)

        if self.version.long_registration_ids:
            body = {"user": user.name, "authId": registration_id}
            return await self._write("POST", "auth/register", arrived, self.nodes, what="registration", body=body)
        query = {"user": user.name, "key": registration_id}
        return await self._write("POST", "node/register", arrived, self.nodes, what="registration", query=query)

    async def _node_write(
        self,
        path: str,
        node: Node,
        shows: Callable[[Node], bool],
        what: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> tuple[Node, ...]:
        return await self._write(
            "POST",
            path,
            lambda nodes: any(it.id == node.id and shows(it) for it in nodes),
            self.nodes,
            what=what,
            query=query,
            body=body,
        )

    # ── users ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def users(self) -> tuple[User, ...]:
        return reading.rows(await self._ask("GET", "user", what="users"), "users", reading.user)

    async def create_user(self, name: str) -> tuple[User, ...]:
        return await self._write(
            "POST",
            "user",
            lambda users: any(it.name == name for it in users),
            self.users,
            what=f"user {name}",
            body={"name": name},
        )

    async def rename_user(self, user: User, name: str) -> tuple[User, ...]:
        return await self._write(
            "POST",
            f"user/{_id(user)}/rename/{quote(name, safe='')}",
            lambda users: any(it.id == user.id and it.name == name for it in users),
            self.users,
            what=f"rename of user {user.name}",
        )

    async def delete_user(self, user: User) -> tuple[User, ...]:
        """Removes a user without nodes. Not on 0.28.0, which would delete everybody's pre-auth keys."""
        self.need(Can.DELETE_USER)
        gone = _id(user)
        return await self._write(
            "DELETE",
            f"user/{gone}",
            lambda users: all(it.id != gone for it in users),
            self.users,
            what=f"deletion of user {user.name}",
        )

    # ── pre-auth keys ────────────────────────────────────────────────────────────────────────────────────────────

    async def keys(self) -> tuple[PreAuthKey, ...]:
        """All pre-auth keys, newest last; before 0.28 asked user by user."""
        queries: list[dict[str, str]] = [{}]
        if not self.version.keys_by_id:
            queries = [{"user": str(user.id)} for user in await self.users()]
        found: dict[int, PreAuthKey] = {}
        for query in queries:
            raw = await self._ask("GET", "preauthkey", query=query, what="pre-auth keys")
            found |= {key.id: key for key in reading.rows(raw, "preAuthKeys", reading.pre_auth_key)}
        return tuple(found[id_] for id_ in sorted(found))

    async def create_key(
        self,
        user: User | None,
        expires_at: datetime,
        *,
        reusable: bool = False,
        ephemeral: bool = False,
        tags: Sequence[str] = (),
    ) -> PreAuthKey:
        """A new key, with its `secret`: the only time it can be had. Without `expires_at` it would be expired."""
        if user is None:
            self.need(Can.KEY_WITHOUT_USER)
        self.need(Can.WRITE)
        body: dict[str, Any] = {"reusable": reusable, "ephemeral": ephemeral, "expiration": rfc3339(expires_at)}
        body |= {"aclTags": list(tags)} | ({"user": str(_id(user))} if user else {})
        raw = await self._ask("POST", "preauthkey", body=body, what="pre-auth key")
        made = reading.pre_auth_key(raw.get("preAuthKey") or {})
        if not made.secret:
            raise NotShown("Headscale made no pre-auth key", host=self._way.host)
        listed = next((key for key in await self.keys() if key.id == made.id), None)
        if listed is None:
            raise NotShown("the new pre-auth key is not in the list", host=self._way.host)
        return replace(listed, secret=made.secret, shown=made.shown)

    async def expire_key(self, key: PreAuthKey) -> tuple[PreAuthKey, ...]:
        """Ends a key: nobody can enrol with it any more."""
        body = {"id": str(key.id)}
        if not self.version.keys_by_id:
            body = {"user": str(key.user.id if key.user else 0), "key": key.secret}
        soon = self._clock.now() + timedelta(hours=1)

        def ended(keys: tuple[PreAuthKey, ...]) -> bool:
            return all(it.id != key.id or it.expires_at is None or it.expires_at <= soon for it in keys)

        return await self._write("POST", "preauthkey/expire", ended, self.keys, what=f"key {key.id}", body=body)

    async def delete_key(self, key: PreAuthKey) -> tuple[PreAuthKey, ...]:
        self.need(Can.DELETE_KEY)
        return await self._write(
            "DELETE",
            "preauthkey",
            lambda keys: all(it.id != key.id for it in keys),
            self.keys,
            what=f"key {key.id}",
            query={"id": str(key.id)},
        )


def _id(thing: Node | User) -> int:
    """An id that may be sent: 0 means "the first node" to 0.26."""
    if thing.id < 1:
        raise OperatorError(f"{thing.name} has no id; nothing was asked", remedy="look at the list again")
    return thing.id


async def find_version(way: Way) -> Version:
    """The version as the command tells it; a build without one is asked over HTTP, where 404 means 0.26 or older."""
    text = printed(await way.command("version"), "version", way.host)
    if (known := parse_version(text)) is not None:
        return known
    response = await way.request("GET", "/version", key="", body=None, timeout_s=READ_TIMEOUT_S)
    if response.status_code == 404:
        return Version("0.26", (0, 26, 0))
    found = parse_version(redact(response.text)) if response.status_code == 200 else None
    if found is None:
        raise reading.Strange("Headscale does not tell its version", host=way.host)
    return found


@asynccontextmanager
async def headscale(way: Way, clock: Clock) -> AsyncIterator[Headscale]:
    """The server behind `way`, its API key deleted at the end, also on failure."""
    client = Headscale(way, await find_version(way), clock)
    try:
        yield client
    finally:
        await client.close()
