"""What is asked where: the host that carries Headscale, two reads at once, and a key that was not accepted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from fleet_things import stack

from vpai_tui.clock import SystemClock
from vpai_tui.config import Fleet, Host, Ssh
from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.vpn.credential import Credential
from vpai_tui.vpn.hub import hub_host, hub_of
from vpai_tui.vpn.session import _nodes_and_users


def fleet(*hubs: str) -> Fleet:
    hosts = {
        name: Host(addresses=(f"127.0.0.{at}",), ssh=Ssh(user="me"), hub=name in hubs)
        for at, name in enumerate(("sese", "seko", "pi"), 1)
    }
    return Fleet(hosts=hosts)


@pytest.mark.parametrize(
    ("hubs", "carrying", "host"),
    [
        (("seko",), ("pi",), "pi"),  # the service stands above the mark
        (("seko",), ("pi", "seko"), "seko"),
        ((), ("pi",), "pi"),
        (("seko",), (), "seko"),
        ((), (), None),
    ],
)
def test_the_hub_is_where_the_service_is_else_where_it_is_marked(
    hubs: Sequence[str], carrying: Sequence[str], host: str | None
) -> None:
    known = fleet(*hubs)
    assert hub_host(known, carrying) == host
    stacks = [stack("apps", host="sese"), *(stack("vpn", "headscale", host=name) for name in carrying)]
    if host is None:
        with pytest.raises(UsageError, match="no VPN hub"):
            hub_of(known, stacks)
        return
    found, which = hub_of(known, stacks)
    assert (found, which.id if which else None) == (host, f"{host}/vpn" if carrying else None)


class Way:
    """A container that mints one key after the other and remembers which were deleted."""

    host = "seko"

    def __init__(self) -> None:
        self.made = 0
        self.deleted: list[str] = []

    async def command(self, *words: str) -> SimpleNamespace:
        if words[:2] == ("apikeys", "delete"):
            self.deleted.append(words[3])
            return SimpleNamespace(exit_status=0, text="")
        self.made += 1
        return SimpleNamespace(exit_status=0, text=json.dumps(f"k{self.made}.secret"))


async def test_of_two_requests_with_one_refused_key_the_later_leaves_the_new_key_alone() -> None:
    way = Way()
    credential = Credential(way, SystemClock())  # type: ignore[arg-type]
    first = await credential.get()
    credential.forget(first)
    second = await credential.get()
    credential.forget(first)  # the other request hears only now that it was not accepted
    assert await credential.get() == second
    assert (way.made, way.deleted) == (2, ["k1"])


class Server:
    """Answers nodes and users only when both were asked; with `fails` it refuses the nodes."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.let_go = False
        self._both = asyncio.Barrier(2)

    async def nodes(self) -> tuple[str, ...]:
        if self.fails:
            raise OperatorError("no nodes", host="seko")
        await self._both.wait()
        return ("node",)

    async def users(self) -> tuple[str, ...]:
        try:
            await self._both.wait()
        except asyncio.CancelledError:
            self.let_go = True
            raise
        return ("user",)


async def test_nodes_and_users_are_asked_at_the_same_time() -> None:
    assert await asyncio.wait_for(_nodes_and_users(Server()), 10) == (("node",), ("user",))  # type: ignore[arg-type]


async def test_when_one_fails_the_other_is_let_go_and_the_failure_is_its_own() -> None:
    server = Server(fails=True)
    with pytest.raises(OperatorError, match="no nodes"):
        await asyncio.wait_for(_nodes_and_users(server), 10)  # type: ignore[arg-type]
    assert server.let_go
