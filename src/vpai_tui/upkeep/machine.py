"""A host beside Docker: its units, programs, guards, bans and open ports; a restart of a unit, a ban lifted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vpai_tui.clock import rfc3339
from vpai_tui.errors import LinkLost, OperatorError, PreflightRefused, UsageError
from vpai_tui.fleet.history import Entry, who
from vpai_tui.fleet.operation import Event, Finished, Journaled, Outcome
from vpai_tui.fleet.stacks import Stack
from vpai_tui.redact import redact
from vpai_tui.remote.job import Patience
from vpai_tui.text import clean, last_lines, number
from vpai_tui.upkeep import hostlook
from vpai_tui.upkeep.hostchecks import units_of, words
from vpai_tui.upkeep.hostlook import Ban, HostLook, address_of
from vpai_tui.upkeep.sockets import Open, open_ports

if TYPE_CHECKING:
    from vpai_tui.remote.connection import Connection
    from vpai_tui.upkeep.surface import Surface

SETTLE_S = 30  # a unit is given so long to be up again
RECONNECT_WITHIN_S = 180.0
# What the way to the host, or all that runs on it, stands on: its name is typed.
GRAVE = ("tailscaled", "ssh", "sshd", "networking", "systemd-networkd", "NetworkManager", "systemd-resolved", "docker",
         "containerd", "headscale", "caddy")  # fmt: skip

# The unit in $1. Its start is systemd's own doing from the first line on, whatever becomes of this.
_RESTART = f"""
before=$(systemctl show -p ActiveEnterTimestamp --timestamp=unix --value -- "$1" 2>/dev/null)
systemctl restart --no-block -- "$1" || exit 1
echo asked
n=0
while [ "$n" -lt {SETTLE_S * 2} ]; do
  sleep 0.5; n=$((n + 1))
  state=$(systemctl show -p ActiveState --value -- "$1" 2>/dev/null)
  case $state in
    active)
      now=$(systemctl show -p ActiveEnterTimestamp --timestamp=unix --value -- "$1" 2>/dev/null)
      [ "$now" = "$before" ] || {{ echo active; exit 0; }} ;;
    failed) echo failed; exit 0 ;;
  esac
done
echo "$state"
"""
# The address in $1; then a jail each, or crowdsec.
_UNBAN = """
address=$1; shift
for where do
  case $where in
    crowdsec) timeout -k 2 20 cscli decisions delete --ip "$address" </dev/null || exit 1 ;;
    *) timeout -k 2 20 fail2ban-client set "$where" unbanip "$address" </dev/null || exit 1 ;;
  esac
done
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """What was seen of one host."""

    host: str
    at_s: float  # since the epoch
    look: HostLook
    units: tuple[str, ...]  # those that its stacks name
    programs: tuple[str, ...]
    ports: tuple[Open, ...]


@dataclass(frozen=True, slots=True)
class Restart:
    """A restart of one unit. `word` is typed where the way to the host hangs on it."""

    host: str
    unit: str
    state: str
    word: str | None
    disturbs: str


@dataclass(frozen=True, slots=True)
class Unban:
    """A ban to be lifted, wherever it is."""

    host: str
    address: str
    bans: tuple[Ban, ...]

    @property
    def places(self) -> list[str]:
        return [ban.by.removeprefix("fail2ban ") for ban in self.bans]

    @property
    def way_back(self) -> str:
        """What bans it again, on the host."""
        return "; ".join(
            f"cscli decisions add --ip {self.address}"
            if place == "crowdsec"
            else f"fail2ban-client set {place} banip {self.address}"
            for place in self.places
        )


class Machines:
    """One per command or cockpit; nothing is asked before the first look."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface

    async def look(self, host: str) -> Machine:
        """OperatorError: the host cannot be asked."""
        surface = self._surface
        stacks = self._stacks(host)
        programs = tuple(dict.fromkeys(name for stack in stacks for name in stack.spec.programs))
        seen = surface.snapshot().host(host)
        units = tuple(units_of(stacks))
        asked = [word for word in words(stacks, ()) if word.startswith("unit:")]
        found = await hostlook.look(await surface.connection(host), [*asked, *(f"program:{name}" for name in programs)])
        ports = open_ports(found, surface.fleet.hosts[host], stacks, seen.containers or ())
        return Machine(host, surface.clock.now().timestamp(), found, units, programs, ports)

    def _stacks(self, host: str) -> list[Stack]:
        return [stack for stack in self._surface.stacks if stack.host == host]

    # ── units ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def plan_restart(self, machine: Machine, name: str) -> Restart:
        """What a restart of one of the host's units means.

        Raises:
            UsageError: read-only, or no stack of the host names it.
            PreflightRefused: it is not there.
        """
        self._may_change()
        known = {unit.name: unit for unit in machine.look.units}
        full = name if name in machine.units else f"{name}.service"
        if full not in machine.units:
            remedy = f"known: {', '.join(machine.units) or 'none'}; `units` of stack.yaml names them"
            raise UsageError(f'no stack of {machine.host} names the unit "{name}"', remedy=remedy)
        if "systemd" not in machine.look.listed:
            raise PreflightRefused("there is no systemd on it", host=machine.host, step="units")
        unit = known.get(full)
        if unit is None or not unit.installed:
            raise PreflightRefused(f"{full} is not installed", host=machine.host, step="units")
        grave = full.rpartition(".")[0].partition("@")[0] in GRAVE
        disturbs = "the way to this host, and what runs there" if grave else "what uses it, for a moment"
        return Restart(machine.host, full, f"{unit.active} ({unit.sub})", full if grave else None, disturbs)

    async def restart(self, plan: Restart, *, typed: str = "") -> AsyncIterator[Event]:
        """Restarts a unit and sees that it comes back; the last event is `Finished`, and the journal has a line."""
        self._may_change()
        if plan.word is not None and typed != plan.word:
            raise UsageError(f"type {plan.word} to restart it")
        result, detail = "unknown", ""
        try:
            async with aclosing(self._restart(plan)) as events:  # type: ignore[type-var]
                async for event in events:
                    if isinstance(event, Finished):
                        result, detail = event.outcome.value, event.reason
                    yield event
        finally:
            self._record(plan.host, "unit restart", plan.unit, result, detail)

    async def _restart(self, plan: Restart) -> AsyncIterator[Event]:
        connection, asked_at, asked = await self._surface.connection(plan.host), self._surface.clock.now(), False
        try:
            argv = ["sh", "-c", _RESTART, "sh", plan.unit]
            state = ""
            async with connection.stream(argv, root=True, label=f"restart {plan.unit}") as lines:
                async for raw in lines:
                    state = clean(raw).strip()
                    if state == "asked":
                        asked = True
                        yield Journaled(self._now(), "asked", f"systemd restarts {plan.unit}")
                stderr = lines.stderr
            if not asked:
                said = redact(last_lines(stderr, 1)) or "no reason told"
                yield Finished(self._now(), Outcome.FAILED, "", f"systemd refused: {said}")
            else:
                yield self._ended(plan, state)
        except LinkLost:
            yield Journaled(self._now(), "link_lost", "the link was lost; the host goes on")
            yield await self._found_again(plan, asked_at.timestamp())

    def _ended(self, plan: Restart, state: str) -> Finished:
        if state == "active":
            return Finished(self._now(), Outcome.COMMITTED, "", f"{plan.unit} runs again")
        reason = f"{plan.unit} is {state or 'not told'}: journalctl -u {plan.unit} on {plan.host}"
        return Finished(self._now(), Outcome.FAILED, "", reason)

    async def _found_again(self, plan: Restart, asked_s: float) -> Finished:
        patience = Patience(RECONNECT_WITHIN_S)
        while True:
            try:
                connection = await self._surface.connection(plan.host)
                return self._ended(plan, await self._state(connection, plan.unit, asked_s))
            except OperatorError as error:
                if not await patience.pause():
                    reason = f"{error.message}; systemd goes on by itself: vpai-tui units {plan.host}"
                    return Finished(self._now(), Outcome.UNKNOWN, "", reason)

    async def _state(self, connection: Connection, unit: str, asked_s: float) -> str:
        """Its state; one that is up since before it was asked to restart has not been restarted."""
        argv = ["systemctl", "show", "-p", "ActiveState,ActiveEnterTimestamp", "--timestamp=unix", "--", unit]
        done = await connection.run(argv, root=True, label=f"state of {unit}")
        found = dict(line.split("=", 1) for line in clean(done.stdout).splitlines() if "=" in line)
        since = number(found.get("ActiveEnterTimestamp", "").lstrip("@"), most=1 << 40)
        if found.get("ActiveState") == "active" and since is not None and since < asked_s - 60:
            return "not restarted: it is up since before"
        return found.get("ActiveState", "")

    # ── guards ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def plan_unban(self, machine: Machine, address: str) -> Unban:
        """The bans of one address. UsageError: read-only, no address, or nobody keeps it out."""
        self._may_change()
        known = address_of(address)
        if known is None:
            raise UsageError("that is no IP address", remedy="vpai-tui guard lists what is kept out")
        bans = tuple(ban for ban in machine.look.bans if ban.address == str(known))
        if not bans and (wide := next((ban for ban in machine.look.bans if ban.covers(known)), None)):
            remedy = f"lift all of it there: cscli decisions delete --range {wide.address}"
            raise UsageError(f"{known} is kept out of {machine.host} by a ban of {wide.address}", remedy=remedy)
        if not bans:
            remedy = f"vpai-tui guard {machine.host} lists what is"
            raise UsageError(f"{known} is not kept out of {machine.host}", remedy=remedy)
        return Unban(machine.host, str(known), bans)

    async def unban(self, plan: Unban) -> None:
        """Lifts it everywhere and looks that it is gone; recorded, also when it fails.

        Raises:
            OperatorError: a guard refused, or keeps it out again at once.
        """
        self._may_change()
        result = "failed"
        try:
            connection = await self._surface.connection(plan.host)
            argv = ["sh", "-c", _UNBAN, "sh", plan.address, *plan.places]
            await connection.run(argv, root=True, timeout_s=60, label=f"unban {plan.address}")
            left = [ban.by for ban in (await hostlook.look(connection)).bans if ban.address == plan.address]
            if left:
                raise OperatorError(
                    f"{plan.address} is still kept out by {', '.join(left)}",
                    host=plan.host,
                    step="guard",
                    remedy="look at what it does: its jail bans it again",
                )
            result = "done"
        except OperatorError as error:
            result = f"failed: {error.message}"
            raise
        finally:
            self._record(plan.host, "unban", plan.address, result, ", ".join(ban.by for ban in plan.bans))

    def _record(self, host: str, what: str, subject: str, result: str, detail: str) -> None:
        surface = self._surface
        surface.history.append(Entry(self._now(), who(), host, what, subject, result, detail))

    def _may_change(self) -> None:
        if self._surface.read_only:
            raise UsageError("this cockpit is read-only", remedy="open it without --read-only")

    def _now(self) -> str:
        return rfc3339(self._surface.clock.now())
