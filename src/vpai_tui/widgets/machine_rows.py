"""A host beside Docker as rows: guards, who is kept out, open ports, units, programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vpai_tui.clock import duration
from vpai_tui.widgets import paint
from vpai_tui.widgets.dialogs import named, wrap
from vpai_tui.widgets.paint import Line, Span
from vpai_tui.widgets.safe_table import Column, Row

if TYPE_CHECKING:
    from vpai_tui.upkeep.machine import Machine, Restart, Unban
    from vpai_tui.upkeep.sockets import Open

COLUMNS = (
    Column("kind", "", 8),
    Column("name", "what", 26),
    Column("state", "state", 17),
    Column("detail", "", least=12, drop=2),
)
_GUARDS = {"ufw": "UFW", "fail2ban": "Fail2ban", "crowdsec": "CrowdSec"}
_REACH = {"all": "open to all", "network": "open to its net", "vpn": "open to the VPN"}


def machine_rows(machine: Machine) -> list[Row]:
    """In the order they are looked at; the keys begin with the kind: `ban:ADDRESS`, `unit:NAME`."""
    look = machine.look
    rows = [
        Row(f"guard:{it.name}", _cells("guard", _GUARDS.get(it.name, it.name), _guard(it.state), it.detail))
        for it in look.guards
    ]
    rows += [_port(port) for port in machine.ports]
    known = {unit.name: unit for unit in look.units}
    for name in machine.units:
        unit = known.get(name)
        if "systemd" not in look.listed or unit is None:
            state, said = (f"{paint.STALE} unknown", "stale"), "there is no systemd on it"
        elif not unit.installed:
            state, said = (f"{paint.OFF} absent", "dim"), "there is no such unit"
        else:
            state = (f"{paint.OK} {unit.active}", "ok") if unit.runs else (f"{paint.DOWN} {unit.active}", "error")
            since = f"since {duration(machine.at_s - unit.since_s)}, " if unit.since_s and unit.runs else ""
            said = f"{since}{paint.size(unit.memory_bytes)}, {unit.enabled or 'not told'} at boot"
        rows.append(Row(f"unit:{name}", _cells("unit", name, state, said)))
    for name in machine.programs:
        version = look.programs.get(name, "")
        state = (f"{paint.OK} there", "ok") if version else (f"{paint.OFF} absent", "dim")
        rows.append(Row(f"program:{name}", _cells("program", name, state, version)))
    for ban in look.bans:
        said = " ".join(filter(None, (ban.by, ban.why, ban.left)))
        rows.append(Row(f"ban:{ban.address}:{ban.by}", _cells("ban", ban.address, ("kept out", "dim"), said)))
    return rows


def _cells(kind: str, name: str, state: Span, detail: str) -> dict[str, Span]:
    return {"kind": (kind, "dim"), "name": (name, "name"), "state": state, "detail": (detail, "dim")}


def _guard(state: str) -> Span:
    return {"up": (f"{paint.OK} up", "ok"), "down": (f"{paint.DOWN} down", "error")}.get(
        state, (f"{paint.OFF} not installed", "dim")
    )


def _port(port: Open) -> Row:
    said = f"{port.who}; {port.meant or 'declared'}" if port.declared else f"{port.who}; nothing declares it"
    role = "" if port.declared else "warn"
    state = (f"{'' if port.declared else paint.WARN + ' '}{_REACH[port.reach]}", role)
    return Row(f"port:{port.name}", _cells("port", port.name, state, said))


def row_lines(row: Row | None, hint: str, width: int) -> list[Line]:
    """The whole of one row, and what a key does with it."""
    if row is None:
        return []
    text = f"{row.cells['name'][0]}: {row.cells['detail'][0]}"
    rows: list[Line] = [((f" {piece}", ""),) for piece in wrap(text, max(20, width - 2))[:3]]
    return [*rows, ((f" {hint}", "dim"),)] if hint else rows


def head_lines(machine: Machine | None, why: str) -> list[Line]:
    """How much there is of each."""
    if machine is None:
        return [((f" {paint.BUSY} asked", "busy"),)] if not why else [((f" {paint.STALE} {why}", "stale"),)]
    up = sum(it.state == "up" for it in machine.look.guards)
    there = sum(it.state != "absent" for it in machine.look.guards)
    strange = sum(not port.declared for port in machine.ports)
    kept = len({ban.address for ban in machine.look.bans})
    parts: Sequence[Span] = (
        (f" {up} of {there} guards up", "error" if up < there else ""),
        (f"   {kept} addresses kept out", "dim"),
        (f"   {len(machine.ports)} ports open", "dim"),
        (f", {strange} of nobody" if strange else "", "warn"),
    )
    rows: list[Line] = [tuple(parts)]
    rows += [((f" {paint.WARN} {name}: {said}", "warn"),) for name, said in sorted(machine.look.errors.items())]
    return rows


def restart_lines(plan: Restart) -> list[Line]:
    return [
        named("host", plan.host),
        named("unit", plan.unit),
        named("now", plan.state),
        named("disturbs", plan.disturbs),
        named("then", "it must be active again within 30 s"),
    ]


def unban_lines(plan: Unban) -> list[Line]:
    return [
        named("host", plan.host),
        named("address", plan.address),
        named("kept out by", ", ".join(ban.by for ban in plan.bans)),
        named("way back", plan.way_back),
    ]
