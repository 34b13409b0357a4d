"""Which stacks run on demand, and what the laptop's files say of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from vpai_tui.errors import UsageError
from vpai_tui.fleet.compose import services_of
from vpai_tui.fleet.stacks import Stack, find_stack
from vpai_tui.ondemand.model import OnDemandStack

_SIZE = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,6}))? *([bkmgt]?)i?b?\Z", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def on_demand(stacks: Sequence[Stack], domain: str | None) -> tuple[OnDemandStack, ...]:
    """The stacks with `on_demand: true`, in the fleet's order."""
    return tuple(read(stack, domain) for stack in stacks if stack.spec.on_demand)


def find(stacks: Sequence[Stack], domain: str | None, wanted: str) -> OnDemandStack:
    """The stack that `wanted` names, in full or short.

    Raises:
        UsageError: there is none, several, or it is not on demand.
    """
    found = find_stack(stacks, wanted)
    if not found.spec.on_demand:
        known = ", ".join(stack.id for stack in stacks if stack.spec.on_demand) or "none"
        remedy = f"on demand: {known}; others: vpai-tui deploy {found.id}, or start and stop of a service"
        raise UsageError(f"{found.id} is not on demand", remedy=remedy)
    return read(found, domain)


def read(stack: Stack, domain: str | None) -> OnDemandStack:
    """What is wanted here of a stack's files."""
    services = services_of(stack.compose)
    reached = [access for access in stack.spec.access if access.service in stack.services]
    named = next((access for access in reached if access.subdomain), None)
    front = tuple(dict.fromkeys(access.service for access in reached)) or stack.services
    return OnDemandStack(
        id=stack.id,
        host=stack.host,
        name=stack.name,
        title=stack.title,
        project=stack.project,
        services=stack.services,
        one_shots=tuple(stack.spec.one_shots),
        url=f"https://{named.subdomain}.{domain}" if named and domain else None,
        limits=MappingProxyType({name: limit_of(services.get(name, {})) for name in stack.services}),
        front=front,
        on_host_network=tuple(name for name in front if services.get(name, {}).get("network_mode") == "host"),
        data=tuple(stack.spec.data),
    )


def limit_of(service: Mapping[str, Any]) -> int | None:
    """The most memory a service may take, in bytes; None without a limit, or with one that only the host can tell."""
    deploy = service.get("deploy")
    resources = deploy.get("resources") if isinstance(deploy, dict) else None
    limits = resources.get("limits") if isinstance(resources, dict) else None
    told = limits.get("memory") if isinstance(limits, dict) else None
    return size_of(service.get("mem_limit") if told is None else told)


def size_of(told: object) -> int | None:
    """`1024M`, `1.5g`, `1048576` of a compose file in bytes; None for anything else, and for 0, which is no limit."""
    if isinstance(told, bool) or not isinstance(told, int | str):
        return None
    found = _SIZE.match(str(told).strip())
    if found is None:
        return None
    whole = float(f"{found[1]}.{found[2] or 0}") * _UNITS[found[3].lower()]
    return int(whole) or None
