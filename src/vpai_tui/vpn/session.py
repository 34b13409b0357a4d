"""The VPN as one thing: `Vpn` reads everything, `Vpn.nodes` and `Vpn.dns` change it, each through its guards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vpai_tui.clock import Clock, rfc3339
from vpai_tui.config import Fleet
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.history import Entry, History, who
from vpai_tui.fleet.model import Alert
from vpai_tui.fleet.stacks import Stack
from vpai_tui.remote.connection import Connection
from vpai_tui.vpn import guard, reading
from vpai_tui.vpn.client import Headscale
from vpai_tui.vpn.dns.desk import Dns
from vpai_tui.vpn.guard import Estate
from vpai_tui.vpn.hub import Hub, find_hub, hub_of
from vpai_tui.vpn.link import Config, Link
from vpai_tui.vpn.model import Node, Record, Server, User, Whereabouts
from vpai_tui.vpn.nodes import Nodes
from vpai_tui.vpn.transport import in_container, printed
from vpai_tui.vpn.view import DnsView, NodeView, VpnSnapshot


@dataclass(frozen=True)
class Surface:
    """What the VPN stands on. `connection` hands out the live connection of a host, `fresh` makes a new one.

    `addresses` are the fleet's hosts as the world knows them (the demo's own are all on loopback).
    """

    fleet: Fleet
    stacks: Sequence[Stack]
    connection: Callable[[str], Awaitable[Connection]]
    fresh: Callable[[str], Awaitable[Connection]]
    clock: Clock
    history: History
    folder: Path  # the laptop's own state
    addresses: Mapping[str, Sequence[str]]
    read_only: bool = False  # every change is refused


class Vpn:
    """One per command or cockpit; `close` deletes the API key. Made cheap: nothing is asked before the first read."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self.host, self._stack = hub_of(surface.fleet, surface.stacks)
        self._link = Link(self.host, self._stack, surface.connection, surface.clock, read_only=surface.read_only)
        self.dns = Dns(surface, self._link, self.record)
        self.nodes = Nodes(self)

    async def close(self) -> None:
        """Deletes the API key on the server; call it also after a failure."""
        await self._link.close()

    async def snapshot(self, *, resolve: bool = False) -> VpnSnapshot:
        """Everything that can be learnt now; `resolve` also asks a resolver inside the VPN for each record.

        A Headscale that does not answer is told in `error`, and the records are there all the same.

        Raises:
            OperatorError: the host cannot be reached.
        """
        notes: list[str] = []
        error = remedy = ""
        server: Server | None = None
        nodes: tuple[Node, ...] = ()
        users: tuple[User, ...] = ()
        await self._surface.connection(self.host)  # without it nothing is known, and the error is its own
        config: Config | None = None
        try:
            config = await self._link.config()
            live = await self._link.live(config)
            nodes, users = await _nodes_and_users(live.client)
            version = live.client.version
            server = Server(version.text, "", version.label, version.cannot())
        except OperatorError as failure:
            error, remedy = str(failure), failure.remedy
        dns = await self._dns(config, None if error else nodes, notes, resolve=resolve)
        if server is not None and dns is not None:
            server = Server(server.version, dns.settings.server_url, server.series, server.cannot)
        estate = await self.estate(nodes, dns)
        return VpnSnapshot(
            at=self._surface.clock.now(),
            host=self.host,
            server=server,
            nodes=tuple(self._view(node, estate) for node in nodes),
            users=users,
            dns=dns,
            alerts=guard.alerts(nodes, estate, self.host),
            notes=tuple(notes),
            error=error,
            remedy=remedy,
        )

    async def expiring(self) -> tuple[Alert, ...]:
        """A snapshot's alerts alone, judged by the same. One command in the container, no API key."""
        connection = await self._surface.connection(self.host)
        hub = await find_hub(connection, self._stack)
        done = await in_container(connection, hub, "nodes", "list", "-o", "json")
        found = reading.load(printed(done, "nodes list", self.host), "nodes list")
        nodes = reading.rows(found, "nodes", reading.node)
        estate = self._estate(nodes, await self._records(hub), Whereabouts())
        return guard.alerts(nodes, estate, self.host)

    async def _records(self, hub: Hub) -> tuple[Record, ...]:
        """The records; none where they cannot be read, as in a snapshot."""
        try:
            return (await self.dns.read(await self._link.config(hub))).records
        except OperatorError:
            return ()

    async def _dns(
        self, config: Config | None, nodes: Sequence[Node] | None, notes: list[str], *, resolve: bool
    ) -> DnsView | None:
        try:
            return await self.dns.view(nodes, notes, resolve=resolve, config=config)
        except OperatorError as failure:
            notes.append(f"the records cannot be read: {failure}")
            return None

    async def estate(self, nodes: Sequence[Node], dns: DnsView | None) -> Estate:
        """What depends on nodes."""
        where = (await self._link.live()).where if nodes else Whereabouts()
        return self._estate(nodes, tuple(it.record for it in dns.records if it.in_file) if dns else (), where)

    def _estate(self, nodes: Sequence[Node], records: Sequence[Record], where: Whereabouts) -> Estate:
        stacks: dict[str, list[str]] = {}
        for stack in self._surface.stacks:
            stacks.setdefault(stack.host, []).append(stack.id)
        return Estate(nodes, records, self._surface.addresses, stacks, where, self._surface.clock.now())

    def _view(self, node: Node, estate: Estate) -> NodeView:
        records, dependants = estate.records_of(node), estate.dependants(node)
        return NodeView(node, estate.marks(node), records, dependants, node.expired(estate.now))

    @property
    def link(self) -> Link:
        return self._link

    @property
    def clock(self) -> Clock:
        return self._surface.clock

    async def look(self) -> tuple[VpnSnapshot, Estate]:
        """A fresh read to judge an action by. OperatorError when Headscale does not answer."""
        found = await self.snapshot()
        if found.server is None:
            raise OperatorError(found.error, host=self.host, step="headscale", remedy=found.remedy)
        return found, await self.estate(tuple(it.node for it in found.nodes), found.dns)

    def record(self, what: str, subject: str, result: str, detail: str = "") -> None:
        """One line of the laptop's journal."""
        at = rfc3339(self._surface.clock.now())
        self._surface.history.append(Entry(at, who(), self.host, what, subject, result, detail))


async def _nodes_and_users(client: Headscale) -> tuple[tuple[Node, ...], tuple[User, ...]]:
    """Asked at the same time; when one fails the other is let go of, and the failure is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            nodes, users = group.create_task(client.nodes()), group.create_task(client.users())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return nodes.result(), users.result()
