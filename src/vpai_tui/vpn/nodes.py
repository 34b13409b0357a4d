"""Nodes, users and keys: every change is judged on a fresh look, done, proved by another, and journaled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from vpai_tui.errors import OperatorError, PreflightRefused, UsageError
from vpai_tui.vpn import words
from vpai_tui.vpn.guard import Action, Estate, Verdict, judge, judge_routes
from vpai_tui.vpn.model import Node, PreAuthKey, User
from vpai_tui.vpn.versions import Can
from vpai_tui.vpn.view import NodeView, VpnSnapshot

if TYPE_CHECKING:
    from vpai_tui.vpn.client import Headscale
    from vpai_tui.vpn.session import Vpn

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A pre-auth key just made. `line` is what the new machine types; `masked` the same without the key."""

    key: PreAuthKey
    line: str
    masked: str


class Nodes:
    """What can be done to nodes, users and keys. `typed` are the words the operator typed (`Verdict.words`)."""

    def __init__(self, vpn: Vpn) -> None:
        self._vpn = vpn

    async def judge(self, actions: Sequence[Action], ids: Sequence[int], *, force: bool = False) -> tuple[Verdict, ...]:
        """What each action would need and what depends on the nodes, by one look. For the dialog before it."""
        found, estate = await self._vpn.look()
        nodes = [_node(found, id_).node for id_ in ids]
        return tuple(judge(action, nodes, estate, force=force) for action in actions)

    async def judge_routes(self, id_: int, approve: Sequence[str], reject: Sequence[str]) -> Verdict:
        """The same for routes."""
        found, estate = await self._vpn.look()
        node = _node(found, id_).node
        return judge_routes(node, _wanted(node, approve, reject), estate)

    async def rename(self, id_: int, name: str) -> Node:
        """Another MagicDNS name."""
        words.node_name(name)
        found, client, node = await self._at(id_)
        if any(it.node.name == name and it.node.id != id_ for it in found.nodes):
            raise UsageError(f"another node is called {name}", remedy="choose another name")
        return await self._done("nodes rename", f"{node.name} → {name}", self._one(client.rename(node, name), id_))

    async def expire(self, ids: Sequence[int], *, typed: Sequence[str] = (), force: bool = False) -> tuple[Node, ...]:
        """Expires the keys of these nodes now: each must log in again."""
        return await self._hard(Action.EXPIRE, ids, typed, lambda client, node: client.expire(node), force=force)

    async def delete(self, ids: Sequence[int], *, typed: Sequence[str] = (), force: bool = False) -> tuple[Node, ...]:
        """Removes these nodes; what is left of the list comes back."""
        return await self._hard(Action.DELETE, ids, typed, lambda client, node: client.delete(node), force=force)

    async def set_expiry(self, id_: int, moment: datetime | None) -> Node:
        """Another end of its key; None: never. Refused where the server would expire it at once instead."""
        _, client, node = await self._at(id_)
        if moment is not None and moment <= self._vpn.clock.now():
            raise UsageError("that moment is past", remedy="expire the node, or give a later one")
        until = "never" if moment is None else f"{moment:%Y-%m-%d}"
        return await self._done("nodes expiry", f"{node.name} {until}", self._one(client.set_expiry(node, moment), id_))

    async def tag(self, id_: int, add: Sequence[str] = (), remove: Sequence[str] = ()) -> Node:
        """Tags added and taken away, on what the server has now (its own call replaces all)."""
        plus, minus = {words.tag(it) for it in add}, {words.tag(it) for it in remove}
        _, client, node = await self._at(id_)
        wanted = sorted((set(node.tags) | plus) - minus)
        if set(wanted) == set(node.tags):
            return node
        said = ", ".join(wanted) or "none"
        return await self._done("nodes tag", f"{node.name}: {said}", self._one(client.set_tags(node, wanted), id_))

    async def routes(
        self, id_: int, approve: Sequence[str] = (), reject: Sequence[str] = (), *, typed: Sequence[str] = ()
    ) -> Node:
        """Routes approved and rejected, on a fresh read: the server's own call replaces the whole list."""
        found, estate = await self._vpn.look()
        node = _node(found, id_).node
        wanted = _wanted(node, approve, reject)
        if set(wanted) == set(node.approved):
            return node
        _need(judge_routes(node, wanted, estate), typed)
        client = (await self._vpn.link.live()).client
        said = ", ".join(wanted) or "none"
        return await self._done("nodes routes", f"{node.name}: {said}", self._one(client.approve(node, wanted), id_))

    async def move(self, id_: int, user: str) -> Node:
        """To another user; not possible from 0.28 on."""
        found, client, node = await self._at(id_)
        client.need(Can.MOVE)
        owner = find_user(found.users, user)
        return await self._done("nodes move", f"{node.name} → {owner.name}", self._one(client.move(node, owner), id_))

    async def register(self, pasted: str, user: str) -> Node:
        """Lets in the machine whose `tailscale up` printed the pasted URL."""
        found, _ = await self._vpn.look()
        client = (await self._vpn.link.live()).client
        id_ = words.registration_id(pasted, client.version)
        owner = find_user(found.users, user)
        before = {it.node.id: it.node for it in found.nodes}

        async def go() -> Node:
            nodes = await client.register(owner, id_)
            return max((it for it in nodes if before.get(it.id) != it), key=lambda it: it.id)

        return await self._done("nodes register", owner.name, go())

    # ── users ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def create_user(self, name: str) -> User:
        words.user_name(name)
        client = (await self._vpn.link.live()).client
        if any(it.name == name for it in await client.users()):
            raise UsageError(f"there is a user {name} already")

        async def go() -> User:
            return find_user(await client.create_user(name), name)

        return await self._done("users create", name, go())

    async def rename_user(self, user: str, name: str) -> User:
        words.user_name(name)
        client = (await self._vpn.link.live()).client
        known = find_user(await client.users(), user)
        if known.provider == "oidc":
            raise UsageError(f"{known.name} comes from OIDC: it is renamed there")

        async def go() -> User:
            return find_user(await client.rename_user(known, name), name)

        return await self._done("users rename", f"{known.name} → {name}", go())

    async def delete_user(self, user: str, *, typed: Sequence[str] = ()) -> None:
        """Removes a user that has no node; its name is typed."""
        found, _ = await self._vpn.look()
        client = (await self._vpn.link.live()).client
        known = find_user(found.users, user)
        client.need(Can.DELETE_USER)
        having = [it.node.name for it in found.nodes if it.node.user is not None and it.node.user.id == known.id]
        if having:
            raise UsageError(f"{known.name} still has nodes: {', '.join(having)}", remedy="move or delete them first")
        if known.name not in typed:
            raise UsageError(f"type {known.name} to delete the user", remedy=f"--confirm {known.name}")
        await self._done("users delete", known.name, client.delete_user(known))

    # ── pre-auth keys ────────────────────────────────────────────────────────────────────────────────────────────

    async def keys(self) -> tuple[PreAuthKey, ...]:
        """All keys, masked: `secret` is for expiring only and never shown."""
        return await (await self._vpn.link.live()).client.keys()

    async def create_key(
        self,
        user: str | None,
        *,
        life: timedelta = timedelta(hours=1),
        reusable: bool = False,
        ephemeral: bool = False,
        tags: Sequence[str] = (),
    ) -> NewKey:
        """A key and the `tailscale up` line for it. Without a user it needs tags, and 0.28."""
        known_tags = tuple(words.tag(it) for it in tags)
        found, _ = await self._vpn.look()
        client = (await self._vpn.link.live()).client
        owner = find_user(found.users, user) if user else None
        if owner is None and not known_tags:
            raise UsageError("a key needs a user or tags", remedy="--user NAME")
        ends = self._vpn.clock.now() + life

        async def go() -> NewKey:
            key = await client.create_key(owner, ends, reusable=reusable, ephemeral=ephemeral, tags=known_tags)
            start = f"tailscale up --login-server {found.server.url if found.server else ''} --auth-key"
            return NewKey(key, f"{start} {key.secret}", f"{start} {key.shown}")

        return await self._done("keys create", owner.name if owner else ", ".join(known_tags), go())

    async def expire_key(self, id_: int) -> None:
        client = (await self._vpn.link.live()).client
        await self._done("keys expire", f"#{id_}", client.expire_key(_key(await client.keys(), id_)))

    async def delete_key(self, id_: int) -> None:
        """From 0.28 on."""
        client = (await self._vpn.link.live()).client
        client.need(Can.DELETE_KEY)
        await self._done("keys delete", f"#{id_}", client.delete_key(_key(await client.keys(), id_)))

    # ── how ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _at(self, id_: int) -> tuple[VpnSnapshot, Headscale, Node]:
        found, _ = await self._vpn.look()
        return found, (await self._vpn.link.live()).client, _node(found, id_).node

    async def _hard(
        self,
        action: Action,
        ids: Sequence[int],
        typed: Sequence[str],
        do: Callable[[Headscale, Node], Awaitable[tuple[Node, ...]]],
        *,
        force: bool,
    ) -> tuple[Node, ...]:
        found, estate = await self._vpn.look()
        chosen = [_node(found, id_).node for id_ in ids]
        _need(judge(action, chosen, estate, force=force), typed)
        client = (await self._vpn.link.live()).client
        left = estate.nodes
        for node in chosen:
            left = await self._done(f"nodes {action.value}", node.name, do(client, node))
        return tuple(left)

    async def _one(self, nodes: Awaitable[tuple[Node, ...]], id_: int) -> Node:
        return next(node for node in await nodes if node.id == id_)

    async def _done(self, what: str, subject: str, work: Awaitable[T]) -> T:
        result = "failed"
        try:
            found = await work
            result = "done"
        except OperatorError as error:
            result = f"failed: {error.message}"
            raise
        finally:
            self._vpn.record(what, subject, result)
        return found


def _node(found: VpnSnapshot, id_: int) -> NodeView:
    view = next((it for it in found.nodes if it.node.id == id_ >= 1), None)
    if view is None:
        raise UsageError(f"there is no node #{id_} any more", remedy="look at the list again")
    return view


def _key(keys: Sequence[PreAuthKey], id_: int) -> PreAuthKey:
    key = next((it for it in keys if it.id == id_ >= 1), None)
    if key is None:
        raise UsageError(f"there is no key #{id_}", remedy="vpai-tui keys list")
    return key


def find_user(users: Sequence[User], text: str) -> User:
    """The user of this name or `#id`. UsageError when there is none."""
    fitting = [it for it in users if it.name == text or f"#{it.id}" == text]
    if len(fitting) != 1:
        known = ", ".join(f"#{it.id} {it.name}" for it in users)
        raise UsageError(f'{"no" if not fitting else "several"} users "{text}"', remedy=f"known: {known}")
    return fitting[0]


def _wanted(node: Node, approve: Sequence[str], reject: Sequence[str]) -> tuple[str, ...]:
    plus, minus = {words.prefix(it) for it in approve}, {words.prefix(it) for it in reject}
    for chosen in (plus, minus):
        if chosen & set(words.EXIT):
            chosen |= set(words.EXIT)  # Headscale takes both families together
    return tuple(sorted((set(node.approved) | plus) - minus))


def _need(verdict: Verdict, typed: Sequence[str]) -> None:
    """Raises unless the guards let it pass."""
    if verdict.refused:
        raise PreflightRefused(verdict.refused, remedy="do it from another machine, or with --force if you must")
    missing = [word for word in verdict.words if word not in typed]
    if missing:
        raise UsageError(f"type {', '.join(missing)} to {verdict.action.value}", remedy=f"--confirm '{missing[0]}'")


__all__ = ["Action", "Estate", "NewKey", "Nodes", "Verdict", "find_user"]
