"""What may lock the operator out, decided before anything is asked of Headscale."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from vpai_tui.fleet.model import Alert, Severity
from vpai_tui.vpn.model import EXPIRY_ALERT, Mark, Node, Record, Whereabouts, same_address


class Action(StrEnum):
    """What can be done to nodes."""

    RENAME = "rename"
    EXPIRE = "expire"
    DELETE = "delete"
    TAG = "tag"
    ROUTES = "routes"
    MOVE = "move"


MANY = 3  # of more nodes at once their number is typed in place of each name
HARD = (Action.EXPIRE, Action.DELETE)  # the node is cut off


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an action on nodes needs. `refused` is a sentence, overridden by `force` alone; `words` are to be typed."""

    action: Action
    nodes: tuple[str, ...]
    refused: str = ""
    words: tuple[str, ...] = ()
    dependants: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estate:
    """What depends on nodes: records, fleet hosts by address, and the stacks of each host."""

    nodes: Sequence[Node]
    records: Sequence[Record]
    hosts: Mapping[str, Sequence[str]]  # fleet host → its addresses
    stacks: Mapping[str, Sequence[str]]  # fleet host → its stacks
    where: Whereabouts = field(default_factory=Whereabouts)
    now: datetime = datetime.min

    def marks(self, node: Node) -> tuple[Mark, ...]:
        """Self, hub, router, exit: those that hold."""
        served = [route for route in node.routes if route.approved and route.advertised]
        found = {
            Mark.SELF: any(address in self.where.mine for address in node.addresses),
            Mark.HUB: any(address in self.where.hub for address in node.addresses),
            Mark.ROUTER: any(not route.exit for route in served),
            Mark.EXIT: any(route.exit for route in served),
        }
        return tuple(mark for mark, holds in found.items() if holds)

    def records_of(self, node: Node) -> tuple[Record, ...]:
        """The records that point at the node."""
        return tuple(it for it in self.records if any(same_address(it.value, own) for own in node.addresses))

    def hosts_of(self, node: Node) -> tuple[str, ...]:
        """The fleet hosts that are reached through the node."""
        return tuple(name for name, known in self.hosts.items() if set(known) & set(node.addresses))

    def dependants(self, node: Node) -> tuple[str, ...]:
        """What would miss the node, in words."""
        found = [f"record {it.name} → {it.value}" for it in self.records_of(node)]
        for host in self.hosts_of(node):
            found.append(
                f"the fleet's host {host} is reached at {', '.join(set(self.hosts[host]) & set(node.addresses))}"
            )
            found += [f"stack {stack}" for stack in self.stacks.get(host, ())]
        found += [
            f"route {route.prefix}" for route in node.routes if route.served or (route.approved and route.advertised)
        ]
        return tuple(found)


def judge(action: Action, nodes: Sequence[Node], estate: Estate, *, force: bool = False) -> Verdict:
    """What `action` on these nodes needs. Renaming, tagging and moving are reversible: warnings, no typed word."""
    refused = [why for node in nodes for why in _refused(action, node, estate)] if not force else []
    dependants = [f"{node.name}: {what}" for node in nodes for what in estate.dependants(node)]
    words = tuple(node.name for node in nodes) if action in HARD else ()
    if len(words) > MANY:
        words = (f"{len(words)} nodes",)
    warnings = [what for node in nodes for what in _warnings(action, node, estate)]
    return Verdict(
        action,
        tuple(node.name for node in nodes),
        "; ".join(refused),
        words,
        tuple(dependants) if action in HARD or action is Action.ROUTES else (),
        tuple(warnings),
    )


def _refused(action: Action, node: Node, estate: Estate) -> Iterator[str]:
    marks = estate.marks(node)
    if action not in HARD:
        return
    if Mark.SELF in marks:
        yield f"{node.name} is the machine you are connected through"
    if Mark.HUB in marks:
        yield f"{node.name} is the VPN hub itself"


def _warnings(action: Action, node: Node, estate: Estate) -> Iterator[str]:
    if action is Action.DELETE:
        yield f"{node.name} comes back only by joining again: with another id and another address"
        if records := estate.records_of(node):
            count = "1 record" if len(records) == 1 else f"{len(records)} records"
            yield f"{count} would point at {node.addresses[0]}, which another machine may get"
    if action is Action.EXPIRE:
        yield f"{node.name} must log in again"
    if action is Action.RENAME and estate.hosts_of(node):
        yield f"{node.name} is a host of the fleet; its MagicDNS name changes for everybody"


def judge_routes(node: Node, wanted: Sequence[str], estate: Estate) -> Verdict:
    """The same for a new set of approved routes: what falls away and what is opened."""
    before, after = set(node.approved), set(wanted)
    warnings = [f"{prefix} is not approved any more" for prefix in sorted(before - after)]
    for prefix in sorted(after - before):
        known = node.route(prefix)
        if known is None or not known.advertised:
            warnings.append(f"{node.name} does not advertise {prefix}: nothing changes until it does")
        if prefix in ("0.0.0.0/0", "::/0"):
            warnings.append(
                "an exit node: clients that choose it send all their traffic there; both families go together"
            )
        warnings += [f"{prefix} covers {what}" for what in _covered(prefix, estate)]
    lost = [f"{node.name}: route {prefix}" for prefix in sorted(before - after) if _served(node, prefix)]
    words = (node.name,) if lost or any(" covers " in it for it in warnings) else ()
    return Verdict(Action.ROUTES, (node.name,), "", words, tuple(lost), tuple(warnings))


def _served(node: Node, prefix: str) -> bool:
    route = node.route(prefix)
    return route is not None and (route.served or route.advertised)


def _covered(prefix: str, estate: Estate) -> Iterator[str]:
    """Fleet addresses inside a route: the way to them would change."""
    try:
        network = ipaddress.ip_network(prefix)
    except ValueError:
        return
    if network.prefixlen == 0:
        return
    for host, known in estate.hosts.items():
        for address in known:
            try:
                if ipaddress.ip_address(address) in network:
                    yield f"{address}, by which {host} is reached"
            except ValueError:
                continue  # a name


def alerts(nodes: Sequence[Node], estate: Estate, hub: str) -> tuple[Alert, ...]:
    """Keys that expire within 14 days or have expired: a machine that was forgotten is one that cannot be reached."""
    found = []
    for node in nodes:
        if node.expires_at is None or node.logged_out:
            continue
        left = node.expires_at - estate.now
        if left > EXPIRY_ALERT:
            continue
        needed = bool(estate.hosts_of(node) or estate.records_of(node))
        if left <= timedelta(0):
            severity = Severity.ERROR if needed else Severity.INFO
            message = f"the key of node {node.name} has expired"
        else:
            severity = Severity.ERROR if needed and left < timedelta(days=3) else Severity.WARN
            message = f"the key of node {node.name} expires in {max(0, left.days)} days"
        remedy = "log it in again there: tailscale up --force-reauth"
        found.append(Alert(severity, hub, node.name, message, remedy, hub))
    return tuple(found)
