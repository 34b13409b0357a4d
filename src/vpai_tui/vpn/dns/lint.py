"""What is wrong with records: dead ones that Headscale passes on silently, and those that lock the operator out."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from vpai_tui.errors import UsageError
from vpai_tui.fleet.model import Severity
from vpai_tui.text import clean_line
from vpai_tui.vpn.dns.settings import Settings, path_is_watched
from vpai_tui.vpn.model import Node, Record, same_address

_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
_SEVERAL = "this name has several addresses of one family; clients answer only the first and do not take turns"
_FAMILY = {4: "A", 6: "AAAA"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, in a sentence."""

    severity: Severity
    message: str


@dataclass(frozen=True)
class Surroundings:
    """What records are judged against. `hosts`: the fleet's hosts and their addresses or names, `hub` one of them.

    `nodes` None: they are not known, so no address is called an orphan.
    """

    settings: Settings
    nodes: Sequence[Node] | None
    hosts: Mapping[str, Sequence[str]]
    hub: str
    domain: str
    now: datetime

    def node_of(self, address: str) -> Node | None:
        """The node that has this address."""
        return next(
            (node for node in self.nodes or () if any(same_address(address, it) for it in node.addresses)), None
        )

    def host_of(self, address: str) -> str | None:
        """The fleet host that is reached at this address."""
        return next(
            (name for name, known in self.hosts.items() if any(same_address(address, it) for it in known)), None
        )


def new_record(name: str, kind: str, value: str) -> Record:
    """A record as it may be staged: lower case, no dot at the end, the value in its normal form.

    Raises:
        UsageError: it could never resolve.
    """
    record = Record(name.strip().rstrip(".").lower(), kind.strip().upper(), _normal(value.strip()))
    if bad := next(iter(shape(record)), None):
        raise UsageError(
            f"{clean_line(str(record), 120)}: {bad.message}", remedy="a name, A or AAAA, and an IP address"
        )
    return record


def _normal(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        return value


def shape(record: Record) -> Iterator[Problem]:
    """What makes a record dead by itself."""
    if not _NAME.fullmatch(record.name.removesuffix(".")):
        if record.name != record.name.lower():
            yield Problem(Severity.ERROR, "the name has an upper case letter: it never resolves")
        else:
            yield Problem(Severity.ERROR, "this is no name that resolves (no wildcards, blanks or empty labels)")
    if record.type not in ("", "A", "AAAA"):
        yield Problem(
            Severity.ERROR, f"clients ignore records of type {clean_line(record.type, 20)}: only A and AAAA work"
        )
    try:
        family = _FAMILY[ipaddress.ip_address(record.value).version]
    except ValueError:
        yield Problem(Severity.ERROR, "the value is no IP address: clients ignore the record")
        return
    if record.type in ("A", "AAAA") and record.type != family:
        yield Problem(Severity.ERROR, f"the address is of family {family}, the record says {record.type}")


def lint(records: Sequence[Record], around: Surroundings) -> list[tuple[Problem, ...]]:
    """The problems of each record, in their order; errors first."""
    found = []
    for index, record in enumerate(records):
        problems = [*shape(record), *_lock_out(record, around), *_double(records, index), *_address(record, around)]
        problems += _names(record, around)
        found.append(tuple(sorted(problems, key=lambda it: list(Severity).index(it.severity), reverse=True)))
    return found


def _lock_out(record: Record, around: Surroundings) -> Iterator[Problem]:
    """Names that must keep their public address, or the VPN is asked for the way to itself."""
    name = record.name.lower().rstrip(".")
    hub = around.hosts.get(around.hub, ())
    if name == around.settings.server_host and not any(same_address(record.value, it) for it in hub):
        yield Problem(
            Severity.ERROR,
            f"{name} is the control plane itself: clients that find {record.value} there cannot join again after a cut",
        )
    elif name in around.settings.derp_hosts and not any(same_address(record.value, it) for it in hub):
        yield Problem(Severity.ERROR, f"{name} is a relay, or where their list comes from: it must keep its address")
    for host, known in around.hosts.items():
        if name in known:
            yield Problem(Severity.ERROR, f"{host} is reached over SSH by this name: a record may cut the operator off")


def _double(records: Sequence[Record], index: int) -> Iterator[Problem]:
    record = records[index]
    same = [it for it in records if it.name.lower() == record.name.lower() and it is not record]
    if any(same_address(it.value, record.value) for it in same):
        yield Problem(Severity.WARN, "stands there twice")
    elif any((":" in it.value) == (":" in record.value) for it in same):
        yield Problem(Severity.WARN, _SEVERAL)


def _address(record: Record, around: Surroundings) -> Iterator[Problem]:
    try:
        ipaddress.ip_address(record.value)
    except ValueError:
        return  # told already
    if around.nodes is None:
        return
    node = around.node_of(record.value)
    if node is not None:
        if node.expired(around.now):
            yield Problem(Severity.WARN, f"the key of {node.name} has expired")
    elif around.settings.in_vpn(record.value):
        yield Problem(
            Severity.WARN, "no node has this address; after a restart Headscale may give it to another machine"
        )
    elif around.host_of(record.value) is None:
        yield Problem(Severity.INFO, "neither a node nor a host of the fleet has this address")


def _names(record: Record, around: Surroundings) -> Iterator[Problem]:
    name, base = record.name.lower().rstrip("."), around.settings.base_domain.lower()
    if base and (name == base or name.endswith(f".{base}")):
        yield Problem(Severity.WARN, f"below {base} the names of nodes live: this adds to what they answer")
    if around.domain and name == around.domain.lower() and around.settings.in_vpn(record.value):
        yield Problem(Severity.INFO, "the domain's own name: inside the VPN its public address is not used")


def of_settings(settings: Settings) -> list[Problem]:
    """What is wrong with how records are looked up at all."""
    found = []
    if settings.both:
        found.append(
            Problem(Severity.ERROR, "extra_records and extra_records_path are both set: Headscale will not start again")
        )
    if settings.records_path and not path_is_watched(settings.records_path):
        found.append(Problem(Severity.WARN, "extra_records_path is not in its plain form: edits in place are not seen"))
    if settings.override_local_dns is None:
        found.append(Problem(Severity.ERROR, "override_local_dns is neither true nor false: it counts as false"))
    elif not settings.override_local_dns and not settings.split:
        found.append(
            Problem(
                Severity.WARN,
                "override_local_dns is false: clients ask their own resolver, so records outside the base domain may "
                "not be used; set it to true, or route the zone with nameservers.split",
            )
        )
    if settings.override_local_dns and not settings.nameservers:
        found.append(Problem(Severity.ERROR, "override_local_dns needs nameservers.global: it will not start without"))
    elif settings.nameservers and all(settings.in_vpn(it) for it in settings.nameservers):
        found.append(Problem(Severity.WARN, "every nameserver is inside the VPN: no DNS while the VPN is down"))
    for zone, servers in settings.split:
        if not servers:
            found.append(
                Problem(Severity.ERROR, f"nameservers.split of {zone} is empty: every name of it not listed is gone")
            )
    return [*found, *_base_domain(settings)]


def _base_domain(settings: Settings) -> list[Problem]:
    """Headscale tests this itself, but not when server_url has a port."""
    base, server = settings.base_domain.lower(), settings.server_host
    if base and (server == base or server.endswith(f".{base}")):
        return [Problem(Severity.ERROR, f"server_url lies below base_domain {base}: clients could not find it")]
    return []
