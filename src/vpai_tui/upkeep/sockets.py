"""What listens on a host against what its stacks publish, and where sshd is bound. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vpai_tui.config import Host
from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.fleet.compose import services_of
from vpai_tui.fleet.model import Container
from vpai_tui.fleet.stacks import Stack
from vpai_tui.upkeep.hostlook import Address, HostLook

PORTS, SSHD = "open-ports", "sshd-listen"
# tailscaled; DHCP's clients for both families
_USUAL = (("udp", 41641), ("udp", 68), ("udp", 546))
_OWN = ("tailscaled",)  # its ports on the VPN's address change
_VPN4, _VPN6 = ipaddress.ip_network("100.64.0.0/10"), ipaddress.ip_network("fd7a:115c:a1e0::/48")
_BRIDGES = re.compile(r"(?:docker|br-|veth|virbr|lxc|lxd|podman|cni)")
_REACH = {"internal": "for inside only", "vpn": "for the VPN", "public": "public"}


@dataclass(frozen=True, slots=True)
class Open:
    """One port that can be reached from beyond the host. `reach`: all, network, vpn; `meant`: what a stack says."""

    protocol: str
    port: int
    reach: str
    who: str  # a process or a container
    declared: bool
    meant: str = ""  # of `access`: public, vpn, internal; empty where nothing says it
    service: str = ""  # stack/service

    @property
    def name(self) -> str:
        return f"{self.port}/{self.protocol}"


def reach_of(address: Address | None, look: HostLook) -> str:
    """all, network (one of a card), vpn, or nothing: loopback, link-local, a bridge of containers."""
    if address is None:
        return "all"
    if address.is_loopback or address.is_link_local or address.is_multicast:
        return ""
    if on_vpn(address):
        return "vpn"
    bridges = {known for card, known in look.addresses if _BRIDGES.match(card)}
    return "" if address in bridges else "network"


def on_vpn(address: Address) -> bool:
    return address in (_VPN4 if address.version == 4 else _VPN6)


def open_ports(
    look: HostLook, host: Host, stacks: Sequence[Stack], containers: Sequence[Container]
) -> tuple[Open, ...]:
    """Every open port once, the widest reach of each; what always listens and what fleet.yaml allows is left out."""
    found: dict[tuple[str, int], Open] = {}
    for port in (*_published(look, stacks, containers), *_listening(look, stacks, containers)):
        if _allowed(port, host, look):
            continue
        key = (port.protocol, port.port)
        if key not in found or _RANK.index(port.reach) < _RANK.index(found[key].reach):
            found[key] = port
    return tuple(found[key] for key in sorted(found, key=lambda key: (key[1], key[0])))


_RANK = ("all", "network", "vpn")


def _allowed(port: Open, host: Host, look: HostLook) -> bool:
    ssh = {host.ssh.port, *(number for _, number in look.sshd)}
    if (port.protocol == "tcp" and port.port in ssh) or (port.protocol, port.port) in _USUAL:
        return True
    for word in host.listens:
        ports, _, protocol = word.partition("/")
        first, _, last = ports.partition("-")
        if protocol == port.protocol and int(first) <= port.port <= int(last or first):
            return True
    return False


def _published(look: HostLook, stacks: Sequence[Stack], containers: Sequence[Container]) -> Iterator[Open]:
    """What the engine publishes: it goes past the firewall, and `ss` need not show it."""
    for container in containers:
        for port in container.ports:
            if container.state != "running" or not port.host_port:
                continue
            wild = port.host_ip in ("", "0.0.0.0", "::")  # noqa: S104
            address = None if wild else _address(port.host_ip)
            reach = "all" if wild else reach_of(address, look) if address is not None else ""
            if reach:
                stack = _stack_of(container, stacks)
                meant = _access(stack, container.service or "", (port.host_port, port.container_port)) if stack else ""
                yield Open(
                    port.protocol,
                    port.host_port,
                    reach,
                    f"container {container.name}",
                    stack is not None,
                    meant,
                    f"{stack.id}/{container.service}" if stack else "",
                )


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _listening(look: HostLook, stacks: Sequence[Stack], containers: Sequence[Container]) -> Iterator[Open]:
    """What `ss` shows beside that; services on the host's own network are known by their `access`."""
    engine = {(port.protocol, port.host_port) for it in containers if it.state == "running" for port in it.ports}
    own = dict(_on_host_network(stacks))
    for socket in look.sockets:
        reach = reach_of(socket.address, look)
        if not reach or socket.process in _OWN or (socket.protocol, socket.port) in engine:
            continue
        meant, service = own.get(socket.port, ("", "")) if socket.protocol == "tcp" else ("", "")
        who = socket.process or "a process that is not told"
        yield Open(socket.protocol, socket.port, reach, who, bool(service), meant, service)


def _on_host_network(stacks: Sequence[Stack]) -> Iterator[tuple[int, tuple[str, str]]]:
    for stack in stacks:
        bodies = services_of(stack.compose)
        for access in stack.spec.access:
            if bodies.get(access.service, {}).get("network_mode") == "host":
                yield access.port, (access.reach, f"{stack.id}/{access.service}")


def _stack_of(container: Container, stacks: Sequence[Stack]) -> Stack | None:
    return next(
        (it for it in stacks if it.project == container.project and container.service in (*it.services, *it.off)), None
    )


def _access(stack: Stack, service: str, ports: tuple[int, int]) -> str:
    """What the stack says of one of its ports; empty where it says nothing of it."""
    return next((it.reach for it in stack.spec.access if it.service == service and it.port in ports), "")


def port_findings(host: str, ports: Sequence[Open]) -> Iterator[Finding]:
    """`open-ports`: one finding per port that should not be so, else one that all is as declared."""
    bad = [finding for port in ports if (finding := _judged(host, port)) is not None]
    yield from bad
    if not bad:
        public = ", ".join(port.name for port in ports if port.reach == "all") or "none but what always is"
        yield Finding(PORTS, host, "", Standing.OK, f"open to all: {public}; all as declared")


def _judged(host: str, port: Open) -> Finding | None:
    where = {"all": "open to all", "network": "open to its network", "vpn": "on the VPN's address"}[port.reach]
    target = port.service or f"guard:{host}"
    if not port.declared:
        standing = Standing.WARN if port.reach == "vpn" else Standing.ERROR
        remedy = f"bind {port.who} to 127.0.0.1, or allow {port.name} in hosts.{host}.listens of fleet.yaml"
        detail = f"{where} by {port.who}, and nothing declares it"
        return Finding(PORTS, host, port.name, standing, detail, remedy, target)
    if port.reach == "all" and not port.meant:
        detail = f"{where} by {port.who}, and no `access` of its stack says that it may be"
        remedy = f"bind it to 127.0.0.1 in compose.yaml, or allow {port.name} in hosts.{host}.listens of fleet.yaml"
        return Finding(PORTS, host, port.name, Standing.ERROR, detail, remedy, target)
    wider = {"internal": ("all", "network", "vpn"), "vpn": ("all", "network")}.get(port.meant, ())
    if port.reach not in wider:
        return None
    standing = Standing.WARN if port.reach == "vpn" else Standing.ERROR
    detail = f"{where} by {port.who}, and its stack says it is {_REACH[port.meant]}"
    remedy = "bind it to 127.0.0.1 or the VPN's address in compose.yaml, or correct `access` in stack.yaml"
    return Finding(PORTS, host, port.name, standing, detail, remedy, target)


def sshd_findings(host: str, look: HostLook) -> Iterator[Finding]:
    """`sshd-listen`: where sshd would listen after its next start."""
    if "sshd" in look.errors:
        yield Finding(SSHD, host, "", Standing.ERROR, f"sshd -T: {look.errors['sshd']}", "correct its configuration")
        return
    if not look.sshd:
        why = "there is no sshd to ask" if "sshd" in look.missing else "sshd -T tells no address"
        yield Finding(SSHD, host, "", Standing.UNKNOWN, why)
        return
    bound = [address for address, _ in look.sshd if address is not None]
    ports = ", ".join(sorted({str(port) for _, port in look.sshd}))
    if len(bound) < len(look.sshd):
        yield Finding(SSHD, host, "", Standing.OK, f"every address, port {ports}")
        return
    if not look.addresses:
        yield Finding(SSHD, host, "", Standing.UNKNOWN, "the addresses of its interfaces are not told")
        return
    here = {address for _, address in look.addresses}
    gone = [address for address in bound if address not in here]
    for address in gone:
        detail = f"ListenAddress {address} is on no interface: the next start of sshd fails"
        yield Finding(SSHD, host, str(address), Standing.ERROR, detail, target=host)
    left = [address for address in bound if address in here]
    if not gone and all(on_vpn(address) or address.is_loopback for address in left):
        said = ", ".join(str(address) for address in left)
        yield Finding(SSHD, host, "", Standing.WARN, f"only {said}: with the VPN gone there is no way in", target=host)
    elif not gone:
        yield Finding(SSHD, host, "", Standing.OK, f"{', '.join(str(it) for it in left)}, port {ports}")
