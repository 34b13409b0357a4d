"""You: whether this laptop itself stands in the VPN, asks the VPN's DNS, and how long its key is good.

Read from `tailscale status --json` of the laptop (its fields: BackendState, Self.Online, Self.DNSName, Self.KeyExpiry),
and from what the laptop's own resolver answers.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.fleet.containers import moment
from vpai_tui.text import clean_line
from vpai_tui.upkeep.examiner import Source

if TYPE_CHECKING:
    from vpai_tui.fleet.stacks import Stack
    from vpai_tui.upkeep.surface import Surface

CHECK = "laptop"
KEY_WARN_S = 7 * 86400.0
KEY_ERROR_S = 86400.0
_WITHIN_S = 4.0
_VPN = ipaddress.ip_network("100.64.0.0/10")

Probe = Callable[[], Awaitable["Laptop"]]


@dataclass(frozen=True, slots=True)
class Laptop:
    """What is known of this laptop. What is None cannot be known, for `why`."""

    vpn: bool | None
    state: str = ""  # tailscale's own word where it is not up: Stopped, NeedsLogin, …
    names: tuple[tuple[str, bool], ...] = ()  # each name, and whether it leads into the VPN
    key_expires_at: datetime | None = None  # None with `vpn` up: the key does not end
    why: str = ""


def names_of(domain: str | None, stacks: Iterable[Stack]) -> tuple[str, ...]:
    """One name of the fleet that the VPN's DNS alone leads into the VPN; none where no stack has one."""
    reached = (it for stack in stacks for it in stack.spec.access if it.reach == "vpn" and it.subdomain)
    return tuple(f"{it.subdomain}.{domain}" for it in [*reached][:1]) if domain else ()


def probe(names: Sequence[str]) -> Probe:
    """Asks this laptop; `names` should lead into the VPN, and so should its own."""

    async def ask() -> Laptop:
        try:
            async with asyncio.timeout(_WITHIN_S):
                found, own = read_status(await _status())
                if found.vpn is not True:
                    return found
                asked = [(name, await _leads(name)) for name in (*([own] if own else []), *names)]
        except TimeoutError:
            return Laptop(None, why=f"tailscale gave no answer within {_WITHIN_S:.0f} s")
        except OSError as error:
            word = "tailscale is not installed here" if isinstance(error, FileNotFoundError) else str(error.strerror)
            return Laptop(None, why=word)
        return Laptop(True, found.state, tuple(asked), found.key_expires_at)

    return ask


async def _status() -> bytes:
    process = await asyncio.create_subprocess_exec(
        "tailscale",
        "status",
        "--json",
        "--peers=false",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        return (await process.communicate())[0]
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _leads(name: str) -> bool:
    """Whether this laptop's resolver leads `name` into the VPN."""
    try:
        answers = await asyncio.get_running_loop().getaddrinfo(name, None, family=socket.AF_INET)
    except OSError:
        return False
    return any(ipaddress.ip_address(answer[4][0]) in _VPN for answer in answers)


class _Self(msgspec.Struct, frozen=True):
    Online: bool = False
    DNSName: str = ""
    KeyExpiry: str | None = None


class _Status(msgspec.Struct, frozen=True):
    BackendState: str = ""
    Self: _Self | None = None


def read_status(content: bytes) -> tuple[Laptop, str]:
    """What `tailscale status --json` says, and the laptop's own name in the VPN (without the dot at its end)."""
    try:
        status = msgspec.json.decode(content, type=_Status)
    except (msgspec.DecodeError, RecursionError):
        return Laptop(None, why="tailscale's answer cannot be read"), ""
    state = clean_line(status.BackendState, 40)
    me = status.Self
    if state != "Running" or me is None:
        return Laptop(False, state or "no state"), ""
    name = clean_line(me.DNSName, 253).rstrip(".")
    return Laptop(me.Online, "" if me.Online else "offline", (), moment(me.KeyExpiry or "")), name


def laptop_source(surface: Surface) -> Source:
    """The check of this laptop, as a source like the others."""

    async def ask() -> Sequence[Finding]:
        return [finding(await surface.laptop(), surface.clock.now())]

    return Source("this laptop", (CHECK,), "", ask)


def word_of(laptop: Laptop, now: datetime) -> tuple[Standing, str]:
    """How it stands, in one or two words: the worst first."""
    if laptop.vpn is None:
        return Standing.UNKNOWN, "vpn ?"
    if not laptop.vpn:
        return Standing.ERROR, "no vpn"
    left_s = None if laptop.key_expires_at is None else (laptop.key_expires_at - now).total_seconds()
    if left_s is not None and left_s < KEY_ERROR_S:
        return Standing.ERROR, "key ended" if left_s <= 0 else f"key {left_s / 3600:.0f}h"
    if any(not good for _, good in laptop.names):
        return Standing.ERROR, "no dns"
    if left_s is not None and left_s < KEY_WARN_S:
        return Standing.WARN, f"key {left_s / 86400:.0f}d"
    return Standing.OK, "vpn"


def finding(laptop: Laptop, now: datetime) -> Finding:
    """The check of this laptop."""
    standing, word = word_of(laptop, now)
    if standing is Standing.UNKNOWN:
        return Finding(CHECK, "", "you", standing, laptop.why)
    if not laptop.vpn:
        detail, remedy = f"this laptop is not in the VPN: {laptop.state}", "tailscale up"
    elif word.startswith("key"):
        detail = f"this laptop's key ends {laptop.key_expires_at:%Y-%m-%d %H:%M} UTC"
        remedy = "tailscale up --force-reauth, while another way to the hub is open"
    elif word == "no dns":
        wrong = ", ".join(name for name, good in laptop.names if not good)
        detail = f"this laptop's resolver does not lead {wrong} into the VPN"
        remedy = "tailscale set --accept-dns=true; dns.override_local_dns in Headscale's configuration"
    else:
        ends = f", key until {laptop.key_expires_at:%Y-%m-%d}" if laptop.key_expires_at else ", its key does not end"
        detail, remedy = f"in the VPN, names by its DNS{ends}", ""
    return Finding(CHECK, "", "you", standing, detail, remedy)
