"""`fleet.yaml` into a typed `Fleet`; every error names file, path, what was expected and what stood there."""

from __future__ import annotations

import msgspec


class Ssh(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How to log in. Whatever `~/.ssh/config` says of the address (ProxyJump, identities) is honoured too."""

    user: str
    port: int = 22
    key: str | None = None  # path of the private key; None: agent and ssh defaults
    known_hosts: str | None = None  # default ~/.ssh/known_hosts


class Host(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One machine of the fleet."""

    title: str = ""
    addresses: tuple[str, ...]  # in the order they are tried; the first is the primary
    ssh: Ssh
    sudo: bool = True  # docker and the release directory need `sudo -n`
    root: str = "/opt/vpai"  # files of stacks install below it; releases live in <root>/deploy
    docker: str = "docker"
    hub: bool = False  # carries the VPN: deploys there are confirmed over a fresh connection and typed


class Fleet(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The fleet: hosts by name, and the stacks in their start-up order as `host/stack`."""

    hosts: dict[str, Host]
    stacks: tuple[str, ...] = ()
    domain: str | None = None
