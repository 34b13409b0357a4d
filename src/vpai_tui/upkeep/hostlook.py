"""The machine beside its engine in one look: sockets, addresses, sshd, units, guards, env files. Read strictly."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files as package_files
from typing import TYPE_CHECKING, Any

from vpai_tui.errors import OperatorError
from vpai_tui.redact import redact
from vpai_tui.text import clean, clean_line, number

if TYPE_CHECKING:
    from vpai_tui.remote.connection import Connection

WITHIN_S = 90.0
_ROWS = 20_000
_MOST = 1 << 60
_BANS = 2000  # of one jail
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Socket:
    """One that listens. `address` is None where it is any address; `process` may be empty."""

    protocol: str
    address: Address | None
    port: int
    process: str


@dataclass(frozen=True, slots=True)
class Unit:
    """A systemd unit as systemd has it."""

    name: str
    load: str  # loaded, not-found, masked, …
    active: str  # active, inactive, failed, activating, …
    sub: str
    enabled: str  # enabled, disabled, static, "" where there is no file
    since_s: float | None  # since the epoch
    memory_bytes: int | None
    restarts: int

    @property
    def installed(self) -> bool:
        return self.load != "not-found"

    @property
    def runs(self) -> bool:
        """Up, or coming up; one that ends again and again waits as `auto-restart` most of the time, and is not."""
        return self.active in ("active", "activating", "reloading") and self.sub != "auto-restart"


@dataclass(frozen=True, slots=True)
class Ban:
    """An address, or a range of them, that a guard keeps out. `by` is `fail2ban JAIL` or `crowdsec`."""

    address: str
    by: str
    why: str = ""
    left: str = ""

    def covers(self, address: Address) -> bool:
        """Whether it is a range that has this address in it."""
        return "/" in self.address and address in ipaddress.ip_network(self.address, strict=False)


@dataclass(frozen=True, slots=True)
class Guard:
    """One guard of a host. `state`: up, down, absent."""

    name: str
    state: str
    detail: str = ""


@dataclass(slots=True)
class HostLook:
    """What was told. `listed` names what was asked with success, `missing` what is not there, `errors` what failed."""

    sockets: list[Socket] = field(default_factory=list)
    addresses: list[tuple[str, Address]] = field(default_factory=list)  # card, address
    sshd: list[tuple[Address | None, int]] = field(default_factory=list)  # where sshd listens by its configuration
    units: list[Unit] = field(default_factory=list)
    guards: list[Guard] = field(default_factory=list)
    bans: list[Ban] = field(default_factory=list)
    images: dict[str, str] = field(default_factory=dict)  # tag → image id
    envs: dict[str, tuple[float, str]] = field(default_factory=dict)  # path → changed at, same|other|unknown
    programs: dict[str, str] = field(default_factory=dict)  # name → what `--version` says
    kills: list[str] = field(default_factory=list)  # the kernel's lines of the last day
    oom_kills: int | None = None  # since the start
    uptime_s: int | None = None
    listed: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    errors: dict[str, str] = field(default_factory=dict)


def script() -> bytes:
    """The sh script of a look."""
    return package_files(__package__).joinpath("hostlook.sh").read_bytes()


async def look(connection: Connection, words: Iterable[str] = ()) -> HostLook:
    """Asks a host; `words` as the script takes them.

    Raises:
        OperatorError: it cannot be asked, or the answer is cut.
    """
    place = connection.host
    argv = ["sh", "-s", "--", place.root.rstrip("/"), place.docker, *words]
    done = await connection.run(
        argv, root=True, stdin=script(), timeout_s=WITHIN_S, label=f"look at {connection.name} beside Docker"
    )
    return read(done.stdout, connection.name)


def read(raw: bytes, host: str) -> HostLook:
    """The script's output. OperatorError where it is cut."""
    rows = [clean(line).split("\t") for line in raw.split(b"\n") if line.strip()]
    if not rows or rows[-1] != ["end"]:
        raise OperatorError("the answer is cut", host=host, step="look", output=clean_line(raw[-200:]))
    found, block, ufw = HostLook(), dict[str, str](), list[str]()
    for kind, *cells in rows[:_ROWS]:
        cells = [cell if kind == "crowdsec" else clean_line(cell, 20_000 if kind == "jail" else 600) for cell in cells]
        if kind == "unit" and cells:
            key, _, value = cells[0].partition("=")
            block[key] = value
        elif kind == "unit-end":
            found.units += _unit(block)
            block = {}
        elif kind == "ufw":
            ufw.append(cells[0] if cells else "")
        elif (reader := _READERS.get(kind)) is not None and cells:
            reader(found, cells)
    if ufw:
        found.guards.append(_ufw(ufw))
    return found


# ── records ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def address_of(text: str) -> Address | None:
    """An address as `ss`, `ip` and sshd write it, zone and brackets left out; None for none."""
    try:
        found = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _local(text: str) -> tuple[bool, Address | None, int] | None:
    """Of `0.0.0.0:22`: whether it is any address, the address, the port."""
    host, _, tail = text.rpartition(":")
    port = number(tail, most=65535)
    if port is None or not host:
        return None
    if host in ("*", "0.0.0.0", "[::]", "::"):  # noqa: S104 - read, not bound
        return True, None, port
    found = address_of(host)
    return None if found is None else (False, found, port)


def _socket(found: HostLook, cells: list[str]) -> None:
    if len(cells) == 3 and cells[0] in ("tcp", "udp") and (local := _local(cells[1])) is not None:
        found.sockets.append(Socket(cells[0], local[1], local[2], cells[2][:60]))


def _address(found: HostLook, cells: list[str]) -> None:
    if len(cells) == 2 and (known := address_of(cells[1])) is not None:
        found.addresses.append((cells[0][:60], known))


def _sshd(found: HostLook, cells: list[str]) -> None:
    if len(cells) == 2 and cells[0] == "listenaddress" and (local := _local(cells[1])) is not None:
        found.sshd.append((local[1], local[2]))


def _unit(block: Mapping[str, str]) -> list[Unit]:
    name = block.get("Id", "")
    if not name:
        return []
    at, memory = block.get("ActiveEnterTimestamp", "").lstrip("@"), number(block.get("MemoryCurrent", ""), most=_MOST)
    since = number(at, most=1 << 40)
    return [
        Unit(
            name[:120],
            block.get("LoadState", "")[:40],
            block.get("ActiveState", "")[:40],
            block.get("SubState", "")[:40],
            block.get("UnitFileState", "")[:40],
            float(since) if since else None,
            memory,
            number(block.get("NRestarts", "")) or 0,
        )
    ]


def _ufw(lines: list[str]) -> Guard:
    status = next((line.partition(":")[2].strip() for line in lines if line.startswith("Status:")), "")
    default = next((line.partition(":")[2].strip() for line in lines if line.startswith("Default:")), "")
    if status == "active":
        rules = sum(bool(re.search(r"\b(?:ALLOW|DENY|LIMIT|REJECT)\b", line)) for line in lines)
        return Guard("ufw", "up", f"{rules} rules; {default}" if default else f"{rules} rules")
    return Guard("ufw", "down", f"status: {status or 'not told'}")


def _down(found: HostLook, cells: list[str]) -> None:
    found.guards.append(Guard(cells[0], "down", redact(cells[1]) if len(cells) > 1 else ""))


def _none(found: HostLook, cells: list[str]) -> None:
    found.missing.add(cells[0])
    if cells[0] in ("ufw", "fail2ban", "crowdsec"):
        found.guards.append(Guard(cells[0], "absent", "not installed"))


def _up(found: HostLook, cells: list[str]) -> None:
    found.guards.append(Guard(cells[0], "up"))


def _jail(found: HostLook, cells: list[str]) -> None:
    if len(cells) == 2:
        known = [str(it) for word in cells[1].split()[:_BANS] if (it := address_of(word)) is not None]
        found.bans += [Ban(address, f"fail2ban {cells[0]}") for address in known]


def _crowdsec(found: HostLook, cells: list[str]) -> None:
    """`cscli decisions list -o json`: a list of alerts with their decisions, or null."""
    try:
        raw = json.loads(cells[0])
    except (ValueError, RecursionError):
        found.guards.append(Guard("crowdsec", "down", "what cscli says is no JSON"))
        return
    alerts = raw if isinstance(raw, list) else []
    for alert in alerts[:_BANS]:
        decisions = alert.get("decisions") if isinstance(alert, dict) else None
        for it in decisions[:_BANS] if isinstance(decisions, list) else ():
            if isinstance(it, dict) and isinstance(it.get("value"), str):
                word = clean_line(it["value"], 80)
                known = address_of(word) is not None or _network(word)
                if known and len(found.bans) < 4 * _BANS:
                    found.bans.append(Ban(word, "crowdsec", _word(it.get("scenario")), _word(it.get("duration"))))
    found.guards.append(Guard("crowdsec", "up"))


def _network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _word(value: Any) -> str:
    return clean_line(value, 80) if isinstance(value, str) else ""


def _image(found: HostLook, cells: list[str]) -> None:
    try:
        tags = json.loads(cells[1]) if len(cells) == 2 else None
    except (ValueError, RecursionError):
        tags = None
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, str):
            found.images[clean_line(tag, 400)] = cells[0]


def _env(found: HostLook, cells: list[str]) -> None:
    if len(cells) == 3 and (at := number(cells[1], most=1 << 40)) is not None:
        found.envs[cells[0]] = (float(at), cells[2])


def _program(found: HostLook, cells: list[str]) -> None:
    found.programs[cells[0]] = redact(cells[1])[:120] if len(cells) > 1 else ""


def _oom(found: HostLook, cells: list[str]) -> None:
    found.oom_kills = number(cells[0], most=_MOST)


def _uptime(found: HostLook, cells: list[str]) -> None:
    found.uptime_s = number(cells[0], most=1 << 40)


def _kill(found: HostLook, cells: list[str]) -> None:
    found.kills.append(redact(cells[0])[:200])


def _listed(found: HostLook, cells: list[str]) -> None:
    found.listed.add(cells[0])


def _error(found: HostLook, cells: list[str]) -> None:
    found.errors[cells[0]] = redact(cells[1]) if len(cells) > 1 else "no reason told"


_READERS = {
    "socket": _socket,
    "address": _address,
    "sshd": _sshd,
    "down": _down,
    "none": _none,
    "up": _up,
    "jail": _jail,
    "crowdsec": _crowdsec,
    "image": _image,
    "env": _env,
    "program": _program,
    "oom": _oom,
    "uptime": _uptime,
    "kill": _kill,
    "listed": _listed,
    "error": _error,
}
