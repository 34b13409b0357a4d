"""What of the VPN fails in silence: names that lead elsewhere, hosts that left it, a control plane that is gone."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from vpai_tui.clock import Clock, duration
from vpai_tui.config import Fleet
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.fleet.endpoints import Endpoint, Look, Questioner
from vpai_tui.fleet.stacks import Stack
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.resolve import QUAD_100, ask
from vpai_tui.vpn import reading
from vpai_tui.vpn.hub import SERVICE, find_hub, hub_of, whereabouts
from vpai_tui.vpn.model import Node
from vpai_tui.vpn.transport import in_container, printed

NAMES, NODES, CONTROL = "vpn-names", "node-seen", "control-plane"
# What Headscale gives out where nobody says otherwise, which is what every Tailscale client takes.
_VPN = (ipaddress.ip_network("100.64.0.0/10"), ipaddress.ip_network("fd7a:115c:a1e0::/48"))


class VpnChecks:
    """Made cheap: nothing is asked before the first question."""

    def __init__(
        self,
        fleet: Fleet,
        stacks: Sequence[Stack],
        connection: Callable[[str], Awaitable[Connection]],
        questioner: Callable[[], Questioner],
        clock: Clock,
    ) -> None:
        self._fleet = fleet
        self._stacks = stacks
        self._connection = connection
        self._questioner = questioner
        self._clock = clock

    async def names(self) -> list[Finding]:
        """`vpn-names`: every subdomain that leads into the VPN, asked of its own resolver on a host, in one exchange.

        Raises:
            OperatorError: no host is connected, or its resolver cannot be asked.
        """
        questioner = self._questioner()
        wanted = names_of(questioner.endpoints)
        connection = await questioner.asking()
        answers = await ask(connection, [(name, "A") for name in wanted])
        found = {name: answers.get((name, "A"), ()) for name in wanted}
        return list(judged_names(wanted, found, questioner.addresses, connection.name))

    async def nodes(self) -> list[Finding]:
        """`node-seen`: Headscale's own sight of each host of the fleet. One command in its container.

        Raises:
            OperatorError: the hub or its Headscale does not answer. UsageError: the fleet has none.
        """
        host, stack = hub_of(self._fleet, self._stacks)
        connection = await self._connection(host)
        hub = await find_hub(connection, stack)
        done = await in_container(connection, hub, "nodes", "list", "-o", "json")
        nodes = reading.rows(reading.load(printed(done, "nodes list", host), "nodes list"), "nodes", reading.node)
        own = {host: (await whereabouts(connection)).hub}
        known = {name: {*given, *own.get(name, ())} for name, given in self._questioner().addresses.items()}
        return [judged_node(name, nodes, known[name], self._clock.now()) for name in known]

    async def control_plane(self) -> list[Finding]:
        """`control-plane`: Headscale's /health by its public name, from another host than the hub.

        Raises:
            OperatorError: no host is connected.
        """
        questioner = self._questioner()
        endpoint = next(
            (it for it in questioner.endpoints if it.access.service == SERVICE and it.name is not None), None
        )
        if endpoint is None:
            raise OperatorError("no stack gives Headscale a subdomain", remedy="name it in its stack.yaml: access")
        return [judged_control(endpoint, await questioner.look(endpoint, path="/health"))]


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def names_of(endpoints: Iterable[Endpoint]) -> dict[str, Endpoint]:
    """The names that only the VPN knows; a public one is public DNS's."""
    found: dict[str, Endpoint] = {}
    for it in endpoints:
        if it.name is not None and it.access.reach == "vpn":
            found.setdefault(it.name, it)
    return found


def in_vpn(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in _VPN)


def judged_names(
    wanted: Mapping[str, Endpoint],
    found: Mapping[str, Sequence[str]],
    addresses: Mapping[str, Sequence[str]],
    asker: str,
) -> Iterator[Finding]:
    """One for each name that is wrong or cannot be judged, and one of each host for those that are right."""
    right: dict[str, int] = {}
    owners = {address: host for host, known in addresses.items() for address in known}
    for name, endpoint in wanted.items():
        own = [it for it in addresses.get(endpoint.host, ()) if in_vpn(it)]
        told = found.get(name, ())
        leads = ", ".join(f"{it} ({owners[it]})" if it in owners else it for it in told)
        if not told:
            remedy = f"vpai-tui dns add {name} A {own[0] if own else 'ADDRESS'}"
            yield _name(endpoint, name, Standing.ERROR, "the VPN knows no such name", remedy)
        elif not own:
            why = f"leads to {leads}; fleet.yaml has no VPN address of {endpoint.host} to compare with"
            yield _name(endpoint, name, Standing.UNKNOWN, why)
        elif set(told) - set(own):
            remedy = f"vpai-tui dns add {name} A {own[0]}; vpai-tui dns check"
            yield _name(endpoint, name, Standing.ERROR, f"leads to {leads}, not to {own[0]} ({endpoint.host})", remedy)
        else:
            right[endpoint.host] = right.get(endpoint.host, 0) + 1
    for host, count in right.items():
        detail = f"{count} name{'s' if count > 1 else ''} lead here by {QUAD_100} of {asker}"
        yield Finding(NAMES, host, "", Standing.OK, detail if count > 1 else detail.replace(" lead ", " leads "))


def _name(endpoint: Endpoint, name: str, standing: Standing, detail: str, remedy: str = "") -> Finding:
    return Finding(NAMES, endpoint.host, name, standing, detail, remedy, endpoint.service)


# ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def judged_node(host: str, nodes: Sequence[Node], addresses: Iterable[str], now: datetime) -> Finding:
    """How Headscale sees the node of a host, which is found by its addresses."""
    known = set(addresses)
    node = next((it for it in nodes if known & set(it.addresses)), None)
    if node is None and (own := sorted(it for it in known if in_vpn(it))):
        detail = f"Headscale has no node with its address {own[0]}: it was deleted, or never joined"
        return Finding(NODES, host, "", Standing.ERROR, detail, "log it in: tailscale up --login-server", host)
    if node is None:
        return Finding(NODES, host, "", Standing.UNKNOWN, "fleet.yaml has no address of it in the VPN to find it by")
    if node.expired(now):
        detail = f"the key of its node {node.name} has expired: what Headscale says of it is worth nothing"
        return Finding(NODES, host, node.name, Standing.ERROR, detail, "log it in again: tailscale up --force-reauth")
    if node.online:
        return Finding(NODES, host, node.name, Standing.OK, "Headscale has it online")
    ago = f"{duration((now - node.last_seen).total_seconds())} ago" if node.last_seen else "never"
    detail = f"Headscale has it offline; last seen {ago}"
    return Finding(NODES, host, node.name, Standing.ERROR, detail, target=host)


# ── the control plane ────────────────────────────────────────────────────────────────────────────────────────────────


def judged_control(endpoint: Endpoint, seen: Look) -> Finding:
    """A 200 over a certificate that holds; asked by the hub itself it proves nothing of the way there."""
    where = f"https://{endpoint.name}/health"
    if seen.holds and seen.status == 200:
        if seen.asker == endpoint.host:
            why = f"{where} answers the hub itself; no other host is connected that could ask"
            return Finding(CONTROL, endpoint.host, "", Standing.UNKNOWN, why)
        return Finding(CONTROL, endpoint.host, "", Standing.OK, f"{where} answers 200 to {seen.asker}")
    said = seen.problem or f"answers {seen.status}"
    detail = f"{where}, asked from {seen.asker}: {said}"
    return Finding(CONTROL, endpoint.host, "", Standing.ERROR, detail, target=endpoint.service)
