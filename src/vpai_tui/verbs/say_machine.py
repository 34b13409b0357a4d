"""What is said of the hosts beside Docker."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from vpai_tui.clock import duration, rfc3339
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.operation import Event, Finished, Journaled, Outcome
from vpai_tui.upkeep.disk.model import size
from vpai_tui.upkeep.hostlook import Unit
from vpai_tui.upkeep.machine import Machine, Restart
from vpai_tui.verbs.say import document, table

Found = Sequence[tuple[str, Machine | OperatorError]]


def units(found: Found, *, as_json: bool) -> None:
    if as_json:
        document({"hosts": [_units_json(host, it) for host, it in found]})
        return
    rows: list[tuple[str, ...]] = []
    for host, it in found:
        if isinstance(it, OperatorError):
            rows.append((host, "–", "unknown", "", "", "", it.message))
            continue
        if "systemd" not in it.look.listed and it.units:
            rows.append((host, "–", "unknown", "", "", "", "there is no systemd on it"))
        known = {unit.name: unit for unit in it.look.units}
        rows += [_row(host, name, known.get(name), it.at_s) for name in it.units if "systemd" in it.look.listed]
        rows += [(host, name, it.look.programs.get(name) or "not found", "", "", "", "program") for name in it.programs]
    table(("HOST", "UNIT", "STATE", "SINCE", "MEMORY", "AT BOOT", ""), rows)


def _row(host: str, name: str, unit: Unit | None, now_s: float) -> tuple[str, ...]:
    if unit is None or not unit.installed:
        return (host, name, "not installed", "", "", "", "")
    since = duration(now_s - unit.since_s) if unit.since_s is not None and unit.runs else ""
    restarts = f"{unit.restarts} restarts" if unit.restarts else ""
    return (host, name, f"{unit.active} ({unit.sub})", since, size(unit.memory_bytes), unit.enabled, restarts)


def _units_json(host: str, it: Machine | OperatorError) -> dict[str, Any]:
    if isinstance(it, OperatorError):
        return {"host": host, "systemd": None, "units": [], "programs": [], "error": it.message}
    known = {unit.name: unit for unit in it.look.units}
    rows = []
    for name in it.units:
        unit = known.get(name)
        told = unit is not None and unit.installed
        rows.append(
            {
                "unit": name,
                "installed": told if unit is not None else None,
                "state": unit.active if unit is not None and told else None,
                "sub": unit.sub if unit is not None and told else None,
                "enabled": unit.enabled or None if unit is not None and told else None,
                "since": _at(unit.since_s) if unit is not None and told else None,
                "memory_bytes": unit.memory_bytes if unit is not None else None,
                "restarts": unit.restarts if unit is not None and told else None,
            }
        )
    return {
        "host": host,
        "systemd": "systemd" in it.look.listed,
        "units": rows,
        "programs": [{"name": name, "version": it.look.programs.get(name) or None} for name in it.programs],
        "error": None,
    }


def _at(seconds: float | None) -> str | None:
    return None if seconds is None else rfc3339(datetime.fromtimestamp(seconds, UTC))


def restart(plan: Restart, *, as_json: bool) -> None:
    if as_json:
        body = {"host": plan.host, "unit": plan.unit, "state": plan.state, "confirm": plan.word}
        print(json.dumps({"schema": 1, "event": "planned", **body}, ensure_ascii=False))
    else:
        print(f"restart {plan.unit} on {plan.host}, which is {plan.state}; it disturbs {plan.disturbs}")


def event(told: Event, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"schema": 1, **told.to_json()}, ensure_ascii=False), flush=True)
    elif isinstance(told, Finished):
        print(f"{'done' if told.outcome is Outcome.COMMITTED else told.outcome.value}: {told.reason}")
    elif isinstance(told, Journaled):
        print(f"  {told.detail}")


def guard(found: Found, *, as_json: bool) -> None:
    if as_json:
        document({"hosts": [_guard_json(host, it) for host, it in found]})
        return
    rows: list[tuple[str, ...]] = []
    for host, it in found:
        if isinstance(it, OperatorError):
            rows.append((host, "–", "unknown", it.message))
            continue
        rows += [(host, guard.name, guard.state, guard.detail) for guard in it.look.guards]
        rows += [
            (host, "ban", ban.address, " ".join(filter(None, (ban.by, ban.why, ban.left)))) for ban in it.look.bans
        ]
        for port in it.ports:
            said = f"{port.who}; {port.meant or 'declared'}" if port.declared else f"{port.who}; nothing declares it"
            rows.append((host, port.name, f"open to {_REACH[port.reach]}", said))
    table(("HOST", "WHAT", "STATE", ""), rows)


_REACH = {"all": "all", "network": "its network", "vpn": "the VPN"}


def _guard_json(host: str, it: Machine | OperatorError) -> dict[str, Any]:
    if isinstance(it, OperatorError):
        return {"host": host, "guards": [], "bans": [], "ports": [], "error": it.message}
    return {
        "host": host,
        "guards": [{"name": one.name, "state": one.state, "detail": one.detail} for one in it.look.guards],
        "bans": [
            {"address": b.address, "by": b.by, "why": b.why or None, "left": b.left or None} for b in it.look.bans
        ],
        "ports": [
            {
                "port": port.port,
                "protocol": port.protocol,
                "reach": port.reach,
                "who": port.who,
                "declared": port.declared,
                "meant": port.meant or None,
                "service": port.service or None,
            }
            for port in it.ports
        ],
        "error": None,
    }
