"""One suite for our Headscale (0.26 to 0.29) and, with `VPAI_HEADSCALE_BIN`, for a real one of any of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.contract.headscale_kit import BINARY, Fake, Real, TestWay, registration_id

from vpai_tui.clock import SystemClock
from vpai_tui.errors import CommandFailed, OperatorError, UsageError
from vpai_tui.vpn import reading
from vpai_tui.vpn.client import Headscale, find_version, headscale
from vpai_tui.vpn.model import Node, User
from vpai_tui.vpn.transport import Refused, printed
from vpai_tui.vpn.versions import Can

VERSIONS = ["0.26.0", "0.27.1", "0.28.0", "0.29.2", *(["real"] if BINARY else [])]
POLICY = (
    '{"tagOwners": {"tag:web": ["alice@"], "tag:db": ["alice@"]},'
    ' "acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}'
)


@pytest.fixture(params=VERSIONS)
async def way(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TestWay]:
    if request.param != "real":
        yield Fake(request.param)
        return
    assert BINARY is not None
    with Real(BINARY, tmp_path).running() as real:
        yield real
        await real.close()


@pytest.fixture
async def server(way: TestWay) -> AsyncIterator[Headscale]:
    """A client with the users alice and bob."""
    async with headscale(way, SystemClock()) as client:
        await client.create_user("alice")
        await client.create_user("bob")
        yield client


async def ask(way: TestWay, client: Headscale, method: str, path: str, **body: Any) -> Any:
    """An exchange that the client would not make by itself."""
    return await client._ask(method, path, body=body or None, what="test")


async def join(way: TestWay, client: Headscale, name: str, user: User, routes: tuple[str, ...] = ()) -> Node:
    """A machine lets itself be let in."""
    id_ = registration_id(client.version.label)
    await ask(way, client, "POST", "debug/node", user=user.name, key=id_, name=name, routes=list(routes))
    nodes = await client.register(user, id_)
    return max(nodes, key=lambda node: node.id)


async def users(client: Headscale) -> dict[str, User]:
    return {user.name: user for user in await client.users()}


async def test_the_version_is_found_and_the_key_deleted_at_the_end(way: TestWay) -> None:
    async with headscale(way, SystemClock()) as client:
        assert client.version.series in ((0, 26), (0, 27), (0, 28), (0, 29))
        assert await client.nodes() == ()
        listed = reading.load(printed(await way.command("apikeys", "list", "-o", "json"), "apikeys", "x"), "apikeys")
        assert len(listed) == 1
        assert all(listed[0][name] for name in ("id", "prefix", "expiration", "created_at")), listed
    left = reading.load(printed(await way.command("apikeys", "list", "-o", "json"), "apikeys", "x"), "apikeys")
    assert left is None or left == []


async def test_the_key_is_deleted_after_a_failure_too(way: TestWay) -> None:
    with pytest.raises(RuntimeError):
        async with headscale(way, SystemClock()) as client:
            await client.nodes()
            raise RuntimeError
    assert reading.load(printed(await way.command("apikeys", "list", "-o", "json"), "apikeys", "x"), "apikeys") in (
        None,
        [],
    )


async def test_a_key_that_is_not_accepted_is_made_anew(way: TestWay, server: Headscale) -> None:
    """0.26 says 500, the others 401; either way the next try has a new key."""
    server._credential._key = server._credential._key[:-4] + "zzzz"
    assert len(await server.users()) == 2


async def test_users(way: TestWay, server: Headscale) -> None:
    assert {user.name for user in await server.users()} == {"alice", "bob"}
    with pytest.raises(Refused):
        await server.create_user("alice")
    found = await users(server)
    await server.rename_user(found["bob"], "robert")
    with pytest.raises(Refused):
        await server.rename_user((await users(server))["robert"], "alice")
    if not server.version.why_not(Can.DELETE_USER):
        await server.delete_user((await users(server))["robert"])
        assert set(await users(server)) == {"alice"}


async def test_rename(way: TestWay, server: Headscale) -> None:
    alice = (await users(server))["alice"]
    one, two = await join(way, server, "one", alice), await join(way, server, "two", alice)
    nodes = await server.rename(one, "first")
    assert {node.name for node in nodes} == {"first", "two"}
    assert next(node for node in nodes if node.id == one.id).hostname == "one"
    await server.rename(next(node for node in nodes if node.id == one.id), "first")  # the same again is no error
    with pytest.raises(Refused):
        await server.rename(two, "first")
    with pytest.raises(Refused):
        await server.rename(two, "a b")


async def test_expire_and_never(way: TestWay, server: Headscale) -> None:
    alice = (await users(server))["alice"]
    node = await join(way, server, "one", alice)
    assert node.expires_at is None
    now = SystemClock().now()
    expired = (await server.expire(node))[0]
    assert expired.expired(now + timedelta(minutes=5))
    then = now.replace(microsecond=0) + timedelta(days=30)
    if server.version.why_not(Can.SET_EXPIRY):
        with pytest.raises(UsageError, match="expires the node at once"):
            await server.set_expiry(expired, then)
    else:
        assert (await server.set_expiry(expired, then))[0].expires_at == then
    if server.version.why_not(Can.NEVER_EXPIRE):
        with pytest.raises(UsageError, match="expires the node at once"):
            await server.set_expiry(expired, None)
    else:
        assert (await server.set_expiry(expired, None))[0].expires_at is None


async def test_delete_leaves_the_others(way: TestWay, server: Headscale) -> None:
    alice = (await users(server))["alice"]
    one, two = await join(way, server, "one", alice), await join(way, server, "two", alice)
    assert [node.id for node in await server.delete(one)] == [two.id]
    with pytest.raises(Refused):
        await server.delete(one)


async def test_no_call_is_ever_made_for_the_node_zero(way: TestWay, server: Headscale) -> None:
    alice = (await users(server))["alice"]
    node = await join(way, server, "one", alice)
    from dataclasses import replace

    for call in (server.delete, server.expire):
        with pytest.raises(OperatorError, match="has no id"):
            await call(replace(node, id=0))
    assert len(await server.nodes()) == 1


async def test_tags_replace_and_may_be_refused(way: TestWay, server: Headscale) -> None:
    alice = (await users(server))["alice"]
    await ask(way, server, "PUT", "policy", policy=POLICY)
    node = await join(way, server, "one", alice)
    tagged = (await server.set_tags(node, ["tag:web", "tag:db"]))[0]
    assert set(tagged.tags) == {"tag:web", "tag:db"}
    if server.version.why_not(Can.CLEAR_TAGS):
        assert tagged.user is None  # it belongs to nobody any more
        with pytest.raises(UsageError, match="stays tagged"):
            await server.set_tags(tagged, [])
        with pytest.raises(Refused):
            await server.set_tags(tagged, ["tag:unowned"])
    else:
        assert (await server.set_tags(tagged, []))[0].tags == ()
    with pytest.raises(Refused):
        await server.set_tags(node, ["tag:UPPER"])


async def test_routes_replace_and_exit_routes_go_together(way: TestWay, server: Headscale) -> None:
    alice = (await users(server))["alice"]
    advertised = ("10.1.0.0/24", "10.2.0.0/24", "0.0.0.0/0", "::/0")
    node = await join(way, server, "one", alice, advertised)
    one = (await server.approve(node, ["10.1.0.0/24"]))[0]
    assert one.approved == ("10.1.0.0/24",)
    both = (await server.approve(one, ["10.1.0.0/24", "0.0.0.0/0", "::/0"]))[0]
    assert set(both.approved) == {"10.1.0.0/24", "0.0.0.0/0", "::/0"}
    if server.version.series < (0, 29):  # made nodes advertise nothing from 0.29 on
        assert {route.prefix for route in both.routes if route.pending} == {"10.2.0.0/24"}
        assert {route.prefix for route in both.routes if route.served} == {"10.1.0.0/24", "0.0.0.0/0", "::/0"}
        other = await join(way, server, "two", alice, ("10.1.0.0/24",))
        second = next(node for node in await server.approve(other, ["10.1.0.0/24"]) if node.id == other.id)
        route = second.route("10.1.0.0/24")
        assert route is not None and route.approved and not route.served, "the first node serves it"
    assert (await server.approve(both, []))[0].approved == ()
    with pytest.raises(Refused):
        await server.approve(node, ["10.2.0.0"])


async def test_move(way: TestWay, server: Headscale) -> None:
    found = await users(server)
    node = await join(way, server, "one", found["alice"])
    if server.version.why_not(Can.MOVE):
        with pytest.raises(UsageError, match=r"removed in 0\.28"):
            await server.move(node, found["bob"])
        return
    owner = (await server.move(node, found["bob"]))[0].user
    assert owner is not None and owner.name == "bob"


async def test_registering_what_does_not_wait_is_refused(way: TestWay, server: Headscale) -> None:
    alice = (await users(server))["alice"]
    with pytest.raises(Refused):
        await server.register(alice, registration_id(server.version.label))
    assert await server.nodes() == ()


async def test_pre_auth_keys(way: TestWay, server: Headscale) -> None:
    found = await users(server)
    now = SystemClock().now()
    made = await server.create_key(found["alice"], now + timedelta(hours=1), reusable=True)
    assert made.usable(now) and made.reusable and not made.ephemeral
    assert len(made.secret) >= 48 and made.secret not in made.shown
    await server.create_key(found["bob"], now + timedelta(hours=1), tags=["tag:web"])
    listed = await server.keys()
    assert [key.user.name if key.user else None for key in listed][:1] == ["alice"]
    assert listed[1].tags == ("tag:web",)
    left = await server.expire_key(listed[0])
    assert not left[0].usable(now + timedelta(seconds=30)) and left[1].usable(now)
    if server.version.why_not(Can.DELETE_KEY):
        with pytest.raises(UsageError):
            await server.delete_key(listed[1])
    else:
        assert listed[1].id not in [key.id for key in await server.delete_key(listed[1])]


async def test_the_command_line_shows_what_rest_shows(way: TestWay, server: Headscale) -> None:
    alice = (await users(server))["alice"]
    await join(way, server, "one", alice, ("10.1.0.0/24",))
    told = reading.load(printed(await way.command("nodes", "list", "-o", "json"), "nodes", "x"), "nodes")
    assert reading.rows(told, "nodes", reading.node) == await server.nodes()


async def test_errors_of_the_command_line_are_its_own_words(way: TestWay) -> None:
    done = await way.command("apikeys", "delete", "-p", "ZZZZZZZ", "-o", "json")
    with pytest.raises(CommandFailed, match="record not found"):
        printed(done, "apikeys delete", "x")
    assert printed(await way.command("nodes", "list", "-o", "json"), "nodes", "x").strip() in ("null", "[]")


@pytest.mark.parametrize(
    ("derp", "starts_026", "starts_later"),
    [
        ("{paths: [GOOD]}", True, True),
        ("{paths: [], urls: []}", False, False),
        ("{paths: [GOOD], urls: [http://127.0.0.1:1/map]}", True, False),
        ("{paths: [GOOD, NONE]}", True, False),
        ("{paths: [NONE, GOOD]}", False, False),
        ("{paths: [], urls: [http://127.0.0.1:1/map]}", False, False),
    ],
)
async def test_a_start_wants_a_relay_map_of_which_a_configtest_sees_nothing(
    way: TestWay, derp: str, starts_026: bool, starts_later: bool
) -> None:
    """What `vpn/dns/relays.py` refuses an apply for. Nobody listens on port 1."""
    version = await find_version(way)
    assert await way.starts(derp) == (True, starts_026 if version.series == (0, 26) else starts_later)
