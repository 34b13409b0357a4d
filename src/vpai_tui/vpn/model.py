"""What Headscale knows, in one form for every version and for both JSON shapes (REST camelCase, CLI snake_case)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

EXPIRY_ALERT = timedelta(days=14)  # a key that ends within it is told


class Mark(StrEnum):
    """What a node is to the operator and to the VPN."""

    SELF = "self"  # the operator is connected through it
    HUB = "hub"  # the machine that carries Headscale
    ROUTER = "router"  # routes a subnet
    EXIT = "exit"  # is an exit node


@dataclass(frozen=True, slots=True)
class User:
    """A user of Headscale. `id` is 0 where the server named none."""

    id: int
    name: str
    display_name: str = ""
    email: str = ""
    provider: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One route of a node. `served`: clients are sent through this node; approved but not served means another is."""

    prefix: str
    advertised: bool
    approved: bool
    served: bool

    @property
    def pending(self) -> bool:
        """Advertised by the node and not approved yet."""
        return self.advertised and not self.approved

    @property
    def exit(self) -> bool:
        """Part of an exit node."""
        return self.prefix in ("0.0.0.0/0", "::/0")


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the VPN. Times are UTC; None: never, or not told. `name` is the MagicDNS label."""

    id: int
    name: str
    hostname: str
    user: User | None
    addresses: tuple[str, ...]
    online: bool
    expires_at: datetime | None
    last_seen: datetime | None
    created_at: datetime | None
    tags: tuple[str, ...]
    routes: tuple[Route, ...]
    register_method: str = ""  # cli, auth_key, oidc
    logged_out: bool = False

    def expired(self, now: datetime) -> bool:
        """Whether its key has expired; stands above `online`, which stays true then."""
        return self.expires_at is not None and self.expires_at <= now

    def offline_days(self, now: datetime) -> float | None:
        """Days since it was last seen; None while it is online and when it never was seen."""
        if self.online or self.last_seen is None:
            return None
        return max(0.0, (now - self.last_seen).total_seconds() / 86400)

    def route(self, prefix: str) -> Route | None:
        """Its route of that prefix."""
        return next((route for route in self.routes if route.prefix == prefix), None)

    @property
    def approved(self) -> tuple[str, ...]:
        """The approved prefixes, advertised or not."""
        return tuple(route.prefix for route in self.routes if route.approved)


@dataclass(frozen=True, slots=True)
class PreAuthKey:
    """A key that enrols machines. The key itself is never in here: `shown` is a mask, `secret` stays out of repr."""

    id: int
    user: User | None
    reusable: bool
    ephemeral: bool
    used: bool
    expires_at: datetime | None
    created_at: datetime | None
    tags: tuple[str, ...]
    shown: str = "•••"
    secret: str = field(default="", repr=False)  # only of a key just made, and where expiring needs it (to 0.27)

    def usable(self, now: datetime) -> bool:
        """Whether a machine could still enrol with it. Without an expiry it is expired."""
        alive = self.expires_at is not None and self.expires_at > now
        return alive and (self.reusable or not self.used)


@dataclass(frozen=True, slots=True)
class Server:
    """The control plane. `version` is as it says itself, `series` what the client speaks to it, `url` for clients."""

    version: str
    url: str
    series: str  # 0.26 … 0.29
    cannot: tuple[tuple[str, str], ...] = ()  # (capability, why): what this server cannot do


@dataclass(frozen=True, slots=True)
class Record:
    """One extra DNS record. A name's case is kept: one with an upper case letter is dead."""

    name: str
    type: str
    value: str

    def __str__(self) -> str:
        return f"{self.name} {self.type} {self.value}"


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Addresses by which nodes are recognised: of the operator's way to the hub, and of the hub itself."""

    peer: str = ""
    hub: frozenset[str] = frozenset()
    laptop: frozenset[str] = frozenset()

    @property
    def mine(self) -> frozenset[str]:
        return self.laptop | {self.peer} - {""}


def same_address(one: str, other: str) -> bool:
    """Whether two texts are the same IP address."""
    try:
        return ipaddress.ip_address(one) == ipaddress.ip_address(other)
    except ValueError:
        return one == other
