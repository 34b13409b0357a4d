"""A VPN that never changes by itself: five nodes, eight records, and what may be wrong with them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from vpai_tui.fleet.model import Alert, Severity
from vpai_tui.vpn.dns.changes import Edit, Staged
from vpai_tui.vpn.dns.lint import Problem
from vpai_tui.vpn.dns.settings import Settings
from vpai_tui.vpn.model import Mark, Node, Record, Route, Server, User
from vpai_tui.vpn.view import DnsView, NodeView, RecordView, VpnSnapshot

from .fake_fleet import NOW

AT = "2026-02-26T23:04:00Z"
OPS = User(1, "mobuone")
GUEST = User(2, "guest")
CANNOT = (
    ("set_expiry", "before 0.27.1 setting a date expires the node at once"),
    ("never_expire", "before 0.29 switching the expiry off expires the node at once"),
    ("delete_key", "possible from 0.28 on; expire the key instead"),
    ("key_without_user", "possible from 0.28 on"),
)
SETTINGS = Settings(
    server_url="https://singa.example",
    base_domain="tail.example",
    magic_dns=True,
    override_local_dns=True,
    nameservers=("1.1.1.1", "9.9.9.9"),
    split=(),
    prefixes=("100.64.0.0/10",),
    derp_hosts=(),
    port=8080,
    tls=False,
    records_path="",
    both=False,
)
NOTHING = Staged()


def make_node(number: int, name: str, address: str, **more: object) -> Node:
    facts: dict[str, object] = {
        "user": OPS,
        "online": True,
        "expires_at": NOW + timedelta(days=160),
        "last_seen": NOW,
        "tags": (),
        "routes": (),
    } | more
    return Node(
        id=number,
        name=name,
        hostname=name,
        addresses=(address, f"fd7a:115c:a1e0::{number:x}"),
        created_at=NOW - timedelta(days=200),
        register_method="cli",
        **facts,  # type: ignore[arg-type]
    )


def _route(prefix: str, *, approved: bool = True) -> Route:
    return Route(prefix, True, approved, approved)


SESE = make_node(
    1, "sese", "100.64.0.14", expires_at=NOW + timedelta(days=9), routes=(_route("172.20.0.0/16", approved=False),)
)
SELF = make_node(2, "ewutelo", "100.64.0.7")
SEKO = make_node(
    3,
    "seko",
    "100.64.0.2",
    expires_at=None,
    tags=("tag:hub",),
    routes=(_route("0.0.0.0/0", approved=False), _route("::/0", approved=False)),
)
PI = make_node(4, "workstation-pi", "100.64.0.1", tags=("tag:studio",), routes=(_route("192.168.1.0/24"),))
PHONE = make_node(
    5,
    "old-phone",
    "100.64.0.9",
    user=GUEST,
    online=False,
    expires_at=NOW - timedelta(days=3),
    last_seen=NOW - timedelta(days=41),
)
TABLET = make_node(6, "tablet", "100.64.0.11", user=GUEST, online=False, last_seen=NOW - timedelta(days=3, hours=2))
RECORDS = (
    Record("singa.example", "A", "87.106.30.160"),
    Record("mayi.example", "A", "100.64.0.14"),
    Record("llm.example", "A", "100.64.0.14"),
    Record("qd.example", "A", "100.64.0.14"),
    Record("studio.example", "A", "100.64.0.1"),
    Record("couch.example", "A", "87.106.30.160"),
    Record("old.example", "A", "100.64.0.9"),
    Record("ghost.example", "A", "100.64.0.99"),
)
_BEHIND = {"100.64.0.14": "sese", "100.64.0.1": "workstation-pi", "100.64.0.9": "old-phone", "87.106.30.160": "seko"}
_WRONG = {
    "old.example": (Problem(Severity.WARN, "the key of old-phone has expired"),),
    "ghost.example": (
        Problem(Severity.WARN, "no node has this address; after a restart Headscale may give it to another machine"),
    ),
}


def node_views() -> tuple[NodeView, ...]:
    marks = {2: (Mark.SELF,), 3: (Mark.HUB,), 4: (Mark.ROUTER,)}
    views = []
    for node in (SESE, SELF, SEKO, PI, PHONE, TABLET):
        mine = tuple(it for it in RECORDS if it.value in node.addresses)
        needs = tuple(f"record {it.name} → {it.value}" for it in mine)
        if node is SESE:
            needs += ("the fleet's host sese is reached at 100.64.0.14", "stack sese/apps", "stack sese/infra")
        views.append(NodeView(node, marks.get(node.id, ()), mine, needs, node.expired(NOW)))
    return tuple(views)


def record_views(staged: Staged = NOTHING) -> tuple[RecordView, ...]:
    gone = {edit.old: "change" if edit.new else "remove" for edit in staged.edits if edit.old}
    new = [edit.new for edit in staged.edits if edit.new]
    old = [_record(it, in_file=True, staged=gone.get(it, "")) for it in RECORDS]
    return (*old, *(_record(it, in_file=False, staged="add") for it in new))


def _record(record: Record, *, in_file: bool, staged: str) -> RecordView:
    node, wrong = _BEHIND.get(record.value), _WRONG.get(record.name, ())
    return RecordView(record, in_file, in_file, None, node, wrong, staged)


STAGED = Staged(
    "abc",
    (
        (Edit(None, Record("draw.example", "A", "100.64.0.1")),),
        (Edit(RECORDS[7], None),),
        (Edit(RECORDS[3], Record("qd.example", "A", "100.64.0.1")),),
    ),
)


def make_dns(staged: Staged = NOTHING, **more: object) -> DnsView:
    view = DnsView(
        source="config",
        path="/opt/headscale/config/config.yaml",
        loaded=True,
        records=record_views(staged),
        problems=(),
        staged=staged,
        conflicts=(),
        drift="",
        settings=SETTINGS,
    )
    return replace(view, **more)  # type: ignore[arg-type]


ALERTS = (
    Alert(
        Severity.WARN,
        "seko",
        "sese",
        "the key of node sese expires in 9 days",
        "log it in again there: tailscale up --force-reauth",
        "seko",
    ),
)


def make_snapshot(**more: object) -> VpnSnapshot:
    found = VpnSnapshot(
        at=NOW,
        host="seko",
        server=Server("0.26.0", "https://singa.example", "0.26", CANNOT),
        nodes=node_views(),
        users=(OPS, GUEST),
        dns=make_dns(),
        alerts=ALERTS,
        notes=(),
    )
    return replace(found, **more)  # type: ignore[arg-type]


def down() -> VpnSnapshot:
    """Headscale does not run; its file is there all the same."""
    dns = make_dns(loaded=False)
    return make_snapshot(
        server=None,
        nodes=(),
        users=(),
        alerts=(),
        error="seko: headscale: the container headscale is exited",
        remedy="l on its row of the fleet shows its last lines; vpai-tui start seko/headscale/headscale",
        dns=replace(dns, records=tuple(replace(it, loaded=False) for it in dns.records)),
    )


def quiet() -> VpnSnapshot:
    """Nothing needs anybody: what the cockpits of other tests see."""
    return make_snapshot(alerts=())


def poisoned(text: str) -> VpnSnapshot:
    """A VPN in which every name, value and sentence is `text`."""
    node = replace(SESE, name=text, hostname=text, user=User(9, text), tags=(text,), routes=(_route(text),))
    node = replace(node, addresses=(text,), register_method=text)
    record = Record(text, text, text)
    view = NodeView(node, tuple(Mark), (record,), (text, f"record {text}"), False)
    wrong = (Problem(Severity.ERROR, text),)
    staged = Staged(text, ((Edit(record, Record(text, text, text + "x")),),))
    dns = make_dns(
        staged,
        path=text,
        records=(RecordView(record, True, None, None, text, wrong, "change"),),
        problems=wrong,
        conflicts=(text,),
        drift=text,
        interrupted=text,
        settings=replace(SETTINGS, override_local_dns=False, split=((text, (text,)),), nameservers=(text,)),
    )
    alert = Alert(Severity.WARN, "seko", text, text, text, "seko")
    server = Server(text, text, text, (("move", text),))
    return make_snapshot(server=server, nodes=(view,), users=(node.user,), dns=dns, alerts=(alert,), notes=(text,))
