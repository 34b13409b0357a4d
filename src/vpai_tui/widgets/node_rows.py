"""Nodes of the VPN as rows and lines: which columns, in which order, under which filter, and all facts of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from vpai_tui.clock import duration
from vpai_tui.vpn.model import EXPIRY_ALERT, Mark, Node, Route
from vpai_tui.vpn.view import NodeView, VpnSnapshot
from vpai_tui.widgets import paint
from vpai_tui.widgets.backend import Section
from vpai_tui.widgets.dialogs import wrap
from vpai_tui.widgets.paint import Span
from vpai_tui.widgets.safe_table import Column, Row, widest

NODE_SORTS = ("name", "state", "expiry", "seen", "address", "user")
MARK_WORDS = {Mark.SELF: "you", Mark.HUB: "VPN hub", Mark.ROUTER: "router", Mark.EXIT: "exit node"}
_LABEL = 16  # cells before a value in the describe pane


def node_columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    """Columns wide enough for these nodes; name and state never leave."""

    def fitted(name: str, title: str, most: int) -> int:
        return max(len(title) + 1, min(most, widest(rows, name)))

    return (
        Column("name", "name", least=12),
        Column("state", "state", fitted("state", "state", 14)),
        Column("marks", "is", fitted("marks", "is", 18), drop=2),
        Column("address", "address", fitted("address", "address", 15), drop=3),
        Column("expiry", "key ends", fitted("expiry", "key ends", 9), drop=1),
        Column("routes", "routes", fitted("routes", "routes", 13), drop=4),
        Column("records", "rec", 3, drop=6, right=True),
        Column("user", "user", fitted("user", "user", 12), drop=7),
        Column("seen", "seen", fitted("seen", "seen", 10), drop=5),
        Column("tags", "tags", fitted("tags", "tags", 20), drop=8),
    )


def node_rows(nodes: Sequence[NodeView], now: datetime, *, stale: bool) -> list[Row]:
    """One row per node, keyed by its id."""
    return [_row(view, now, stale=stale) for view in nodes]


def _row(view: NodeView, now: datetime, *, stale: bool) -> Row:
    node = view.node
    return Row(
        str(node.id),
        {
            "name": (node.name, "name"),
            "state": state(view, now),
            "marks": (marks(view), "accent"),
            "address": (node.addresses[0] if node.addresses else "–", ""),
            "expiry": expiry(view, now),
            "routes": routes(node),
            "records": (str(len(view.records)) if view.records else "", ""),
            "user": (node.user.name if node.user else "–", "dim"),
            "seen": (seen(node, now), "dim"),
            "tags": (" ".join(tag.removeprefix("tag:") for tag in node.tags), "dim"),
        },
        dim=stale,
    )


def state(view: NodeView, now: datetime) -> Span:
    """Glyph and word; expired stands above online, which stays true then."""
    if view.node.logged_out:
        return (f"{paint.DOWN} logged out", "error")
    if view.expired:
        return (f"{paint.DOWN} expired", "error")
    if view.node.online:
        return (f"{paint.OK} online", "ok")
    days = view.node.offline_days(now)
    return (f"{paint.STALE} offline" + (f" {_days(days)}" if days is not None else ""), "stale")


def _days(days: float) -> str:
    return f"{days:.0f} d" if days >= 1 else duration(days * 86400)


def marks(view: NodeView) -> str:
    """`you, router`."""
    return ", ".join(MARK_WORDS[mark] for mark in view.marks)


def expiry(view: NodeView, now: datetime) -> Span:
    """When its key ends: a warning below 14 days."""
    ends = view.node.expires_at
    if ends is None:
        return ("never", "dim")
    left = ends - now
    if left <= timedelta(0):
        return ("is over", "error")
    text = f"{left.days} d" if left.days else duration(left.total_seconds())
    return (f"{paint.WARN} {text}", "warn") if left <= EXPIRY_ALERT else (text, "")


def routes(node: Node) -> Span:
    """`approved/advertised`, and whether one waits for approval."""
    if not node.routes:
        return ("", "")
    approved, advertised = len(node.approved), sum(1 for it in node.routes if it.advertised)
    pending = any(it.pending for it in node.routes)
    return (f"{paint.WARN} {approved}/{advertised} pending", "warn") if pending else (f"{approved}/{advertised}", "")


def seen(node: Node, now: datetime) -> str:
    """`now` while it is online, else how long ago."""
    if node.online:
        return "now"
    return "never" if node.last_seen is None else f"{duration((now - node.last_seen).total_seconds())} ago"


def route_words(route: Route) -> str:
    """What became of a route."""
    if route.pending:
        return f"{paint.WARN} pending: advertised, not approved"
    if route.served:
        return f"{paint.OK} approved and served"
    if route.advertised:
        return f"{paint.OK} approved, another node serves it"
    return f"{paint.STALE} approved, not advertised by the node"


def pick_nodes(nodes: Sequence[NodeView], needle: str, order: str, now: datetime) -> list[NodeView]:
    """The nodes that hold every word of `needle`, in `order`."""
    words = needle.lower().split()
    kept = [view for view in nodes if all(word in _text(view, now) for word in words)]
    return sorted(kept, key=_sort_key(order, now))


def _text(view: NodeView, now: datetime) -> str:
    node = view.node
    parts = [node.name, node.hostname, node.user.name if node.user else "", *node.addresses, *node.tags]
    parts += [state(view, now)[0], marks(view), *(it.prefix for it in node.routes), routes(node)[0]]
    return " ".join(parts).lower()


def _sort_key(order: str, now: datetime) -> Callable[[NodeView], tuple[float, str]]:
    """What needs somebody first; names from a to z."""

    def key(view: NodeView) -> tuple[float, str]:
        node = view.node
        match order:
            case "state":
                return (0 if view.expired else 2 if node.online else 1, node.name)
            case "expiry":
                return (node.expires_at.timestamp() if node.expires_at else float("inf"), node.name)
            case "seen":
                return (0 if node.online else (now - node.last_seen).total_seconds() if node.last_seen else 9e12, "")
            case "address":
                return (0, node.addresses[0] if node.addresses else "~")
            case "user":
                return (0, f"{node.user.name if node.user else '~'} {node.name}")
        return (0, node.name)

    return key


def node_sections(view: NodeView, found: VpnSnapshot, now: datetime, width: int) -> tuple[Section, ...]:
    """All that is known of a node, for the describe pane of `width` cells."""
    node, room = view.node, max(20, width - _LABEL)
    facts = [
        ("state", state(view, now)[0]),
        ("is", marks(view) or "–"),
        ("addresses", "\n".join(node.addresses) or "–"),
        ("user", node.user.name if node.user else "–"),
        ("key ends", _moment(node.expires_at, now)),
        ("last seen", "now" if node.online else _moment(node.last_seen, now)),
        ("tags", ", ".join(node.tags) or "–"),
        ("host name", node.hostname),
        ("joined", f"{_moment(node.created_at, now)}, by {node.register_method or 'unknown'}"),
        ("id", f"#{node.id}"),
    ]
    parts = [Section(node.name, tuple(facts))]
    if node.routes:
        parts.append(
            Section("routes", tuple((it.prefix, "\n".join(wrap(route_words(it), room))) for it in node.routes))
        )
    if view.records:
        parts.append(Section("records that point at it", tuple(("", str(it)) for it in view.records)))
    if view.dependants:
        rows = tuple(("", "\n".join(wrap(it, room))) for it in view.dependants if not it.startswith("record "))
        parts += [Section("depends on it", rows)] if rows else []
    return (*parts, *server_sections(found, room))


def server_sections(found: VpnSnapshot, room: int) -> tuple[Section, ...]:
    """The control plane, and what it cannot do."""
    if found.server is None:
        return ()
    rows = [("version", found.server.version), ("url", found.server.url or "–"), ("host", found.host)]
    rows += [(f"no {name.replace('_', ' ')}", "\n".join(wrap(why, room))) for name, why in found.server.cannot]
    return (Section("Headscale", tuple(rows)),)


def _moment(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "never"
    away = (moment - now).total_seconds()
    ago = f"in {duration(away)}" if away > 0 else f"{duration(-away)} ago"
    return f"{moment:%Y-%m-%d %H:%M} ({ago})"
