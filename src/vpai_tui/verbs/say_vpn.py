"""What is said of the VPN. Text from hosts is cleaned already; a key is never in here but in `new_key`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from vpai_tui.clock import duration, rfc3339
from vpai_tui.fleet.model import Severity
from vpai_tui.verbs.say import document, table
from vpai_tui.vpn.dns.changes import Diff, Edit, Staged
from vpai_tui.vpn.dns.lint import Problem
from vpai_tui.vpn.guard import Verdict
from vpai_tui.vpn.model import Node, PreAuthKey, Record, User
from vpai_tui.vpn.nodes import NewKey
from vpai_tui.vpn.view import NodeView, RecordView, VpnSnapshot

_MARKS = {Severity.ERROR: "✖", Severity.WARN: "▲", Severity.INFO: "·"}
_THREE = {True: "yes", False: "no", None: "?"}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


# ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def node_json(view: NodeView) -> dict[str, Any]:
    """One line of the `nodes list` document."""
    return {
        **_node(view.node),
        "expired": view.expired,
        "marks": [mark.value for mark in view.marks],
        "records": [record.name for record in view.records],
    }


def _node(node: Node) -> dict[str, Any]:
    return {
        "id": node.id,
        "name": node.name,
        "hostname": node.hostname,
        "user": node.user.name if node.user else None,
        "addresses": list(node.addresses),
        "online": node.online,
        "expires_at": _time(node.expires_at),
        "last_seen": _time(node.last_seen),
        "tags": list(node.tags),
        "routes": [
            {"prefix": it.prefix, "advertised": it.advertised, "approved": it.approved, "served": it.served}
            for it in node.routes
        ],
    }


def nodes(found: VpnSnapshot, *, as_json: bool) -> None:
    """All machines, and what needs looking after."""
    if as_json:
        server = found.server
        document(
            {
                "server": {
                    "version": server.version if server else None,
                    "url": server.url if server else None,
                    "cannot": dict(server.cannot) if server else {},
                },
                "nodes": [node_json(it) for it in found.nodes],
                "notes": list(found.notes),
            }
        )
        return
    head = ("", "ID", "NAME", "USER", "ADDRESS", "SEEN", "EXPIRES", "TAGS", "ROUTES", "RECORDS", "")
    table(head, [_node_row(it, found.at) for it in found.nodes])
    for alert in found.alerts:
        print(f"{_MARKS[alert.severity]} {alert.message}  → {alert.remedy}")


def _node_row(view: NodeView, now: datetime) -> tuple[str, ...]:
    node = view.node
    mark = "✖" if view.expired else "✔" if node.online else "◌"
    seen = "online" if node.online else _ago(node.last_seen, now)
    if view.expired:
        seen = "logged out" if node.logged_out else "expired"
    ends = "never" if node.expires_at is None else node.expires_at.strftime("%Y-%m-%d")
    pending = sum(1 for it in node.routes if it.pending)
    served = sum(1 for it in node.routes if it.served)
    routes = " ".join(
        part for part in (f"{served} served" if served else "", f"{pending} pending" if pending else "") if part
    )
    user = node.user.name if node.user else "–"
    tags = " ".join(tag.removeprefix("tag:") for tag in node.tags) or "–"
    address = node.addresses[0] if node.addresses else "–"
    marks = " ".join(it.value for it in view.marks)
    return mark, f"#{node.id}", node.name, user, address, seen, ends, tags, routes or "–", str(len(view.records)), marks


def _ago(moment: datetime | None, now: datetime) -> str:
    return "never" if moment is None else f"{duration((now - moment).total_seconds())} ago"


def verdict(found: Verdict, *, as_json: bool) -> None:
    """What depends on the nodes, before anything is asked. JSON is printed once, at the end."""
    if as_json:
        return
    for line in found.warnings:
        print(f"▲ {line}")
    for line in found.dependants:
        print(f"  needed by {line}")


def changed(action: str, found: Sequence[Node], *, as_json: bool) -> None:
    """The nodes as a fresh look shows them after a change; of a deletion as they were."""
    if as_json:
        document({"action": action, "nodes": [_node(it) for it in found]})
        return
    for node in found:
        print(f"✔ {action}: #{node.id} {node.name}")


def routes(node: Node, *, as_json: bool) -> None:
    if as_json:
        document({"name": node.name, "routes": _node(node)["routes"]})
        return
    yes = {True: "yes", False: "–"}
    rows = [(it.prefix, yes[it.advertised], yes[it.approved], yes[it.served]) for it in node.routes]
    table(("PREFIX", "ADVERTISED", "APPROVED", "SERVED"), rows)


# ── users and keys ───────────────────────────────────────────────────────────────────────────────────────────────────


def users(found: Sequence[User], *, as_json: bool) -> None:
    if as_json:
        document({"users": [{"id": it.id, "name": it.name, "created_at": _time(it.created_at)} for it in found]})
        return
    table(("ID", "NAME", "SINCE"), [(f"#{it.id}", it.name, (_time(it.created_at) or "–")[:10]) for it in found])


def _key(key: PreAuthKey, now: datetime) -> dict[str, Any]:
    return {
        "id": key.id,
        "user": key.user.name if key.user else None,
        "key": key.shown,
        "reusable": key.reusable,
        "ephemeral": key.ephemeral,
        "used": key.used,
        "usable": key.usable(now),
        "expires_at": _time(key.expires_at),
        "tags": list(key.tags),
    }


def keys(found: Sequence[PreAuthKey], now: datetime, *, as_json: bool) -> None:
    """All keys, masked."""
    if as_json:
        document({"keys": [_key(it, now) for it in found]})
        return
    rows = []
    for it in found:
        kind = " ".join(word for word, on in (("reusable", it.reusable), ("ephemeral", it.ephemeral)) if on)
        mark = "✔" if it.usable(now) else "✖"
        user = it.user.name if it.user else "–"
        rows.append((mark, f"#{it.id}", user, it.shown, kind or "once", _time(it.expires_at) or "–", " ".join(it.tags)))
    table(("", "ID", "USER", "KEY", "KIND", "EXPIRES", "TAGS"), rows)


def new_key(made: NewKey, now: datetime, *, shown: bool, as_json: bool) -> None:
    """A new key: the only place where one is printed, and only when that was asked for."""
    line = made.line if shown else made.masked
    if as_json:
        document({**_key(made.key, now), "line": line})
        return
    print(f"✔ key #{made.key.id}, until {_time(made.key.expires_at)}. On the new machine:")
    print(f"  {line}")


# ── split DNS ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _record(record: Record) -> dict[str, str]:
    return {"name": record.name, "type": record.type, "value": record.value}


def _problem(problem: Problem) -> dict[str, str]:
    return {"severity": problem.severity.value, "message": problem.message}


def _edit(edit: Edit) -> dict[str, Any]:
    return {
        "kind": edit.kind,
        "old": _record(edit.old) if edit.old else None,
        "new": _record(edit.new) if edit.new else None,
    }


def _row(view: RecordView) -> dict[str, Any]:
    return {
        **_record(view.record),
        "in_file": view.in_file,
        "loaded": view.loaded,
        "resolves": view.resolves,
        "node": view.node,
        "problems": [_problem(it) for it in view.problems],
        "staged": view.staged or None,
    }


def records(found: VpnSnapshot, *, as_json: bool) -> None:
    """The records with their states; what is staged stands among them."""
    dns = found.dns
    notes = [*found.notes, *([found.error] if found.error else [])]
    if as_json:
        body: dict[str, Any] = {"source": None, "loaded": None, "records": [], "problems": [], "drift": None}
        if dns is not None:
            body = {"source": dns.source, "loaded": dns.loaded, "records": [_row(it) for it in dns.records]}
            body |= {"problems": [_problem(it) for it in dns.problems], "drift": dns.drift or None}
            body |= {"interrupted": dns.interrupted}
        document({**body, "notes": notes})
        return
    if dns is not None:
        signs = {"": " ", "add": "+", "remove": "-", "change": "~"}
        rows = [
            (signs[it.staged], it.record.name, it.record.type or "–", it.record.value, it.node or "–",
             _THREE[it.in_file], _THREE[it.loaded], _THREE[it.resolves])
            for it in dns.records
        ]  # fmt: skip
        table(("", "NAME", "TYPE", "VALUE", "NODE", "FILE", "LOADED", "RESOLVES"), rows)
    _troubles(found)
    for note in notes:
        print(f"· {note}")


def _troubles(found: VpnSnapshot) -> None:
    dns = found.dns
    if dns is None:
        return
    for row in dns.records:
        for problem in row.problems:
            print(f"{_MARKS[problem.severity]} {row.record}: {problem.message}")
    for problem in dns.problems:
        print(f"{_MARKS[problem.severity]} {problem.message}")
    for conflict in dns.conflicts:
        print(f"✖ {conflict}")
    if dns.drift:
        print(f"▲ {dns.drift}")
    if dns.interrupted:
        print(f"✖ the apply {dns.interrupted} was interrupted: the next `dns apply` takes it back first")


def check(found: VpnSnapshot, *, as_json: bool) -> None:
    """The same without the records that are right."""
    if as_json:
        records(found, as_json=True)
        return
    _troubles(found)
    for note in found.notes:
        print(f"· {note}")
    if found.dns is not None and not any(it.problems for it in found.dns.records) and not found.dns.problems:
        print("✔ nothing is wrong with the records")


def staged(found: Staged, *, as_json: bool) -> None:
    """What is staged after a step."""
    if as_json:
        document({"staged": [_edit(it) for it in found.edits], "warnings": list(found.warnings)})
        return
    for edit in found.edits:
        print(f"  {edit}")
    for warning in found.warnings:
        print(f"▲ {warning}")
    print(f"{len(found.edits)} staged; vpai-tui dns diff, dns apply" if found.edits else "nothing is staged")


def diff(found: Diff, conflicts: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        document(
            {
                "added": [_record(it) for it in found.added],
                "removed": [_record(it) for it in found.removed],
                "changed": [{"old": _record(old), "new": _record(new)} for old, new in found.changed],
                "yaml_diff": found.yaml,
                "restart_needed": found.restart_needed,
                "conflicts": list(conflicts),
                "warnings": list(found.warnings),
            }
        )
        return
    for record in found.added:
        print(f"+ {record}")
    for record in found.removed:
        print(f"- {record}")
    for old, new in found.changed:
        print(f"~ {old} → {new.value}")
    for line in found.yaml.splitlines():
        print(f"    {line}")
    for conflict in conflicts:
        print(f"✖ {conflict}")
    if found.empty:
        print("nothing to change")
    elif found.restart_needed:
        print("one restart of Headscale: control and relay are away for a second")
    for warning in found.warnings:
        print(f"▲ {warning}")


def export(text: str, found: Sequence[Record], *, as_json: bool) -> None:
    if as_json:
        document({"records": [_record(it) for it in found]})
    else:
        print(text, end="")
