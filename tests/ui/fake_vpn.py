"""The VPN's feature as a test scripts it: what it answers, and what was asked of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.operation import Event, Finished, Journaled, Outcome, RunnerStarted
from vpai_tui.vpn.dns.changes import Diff, Edit, Staged
from vpai_tui.vpn.guard import Action, Verdict
from vpai_tui.vpn.model import Node, PreAuthKey, Record, User
from vpai_tui.vpn.nodes import NewKey
from vpai_tui.vpn.view import VpnSnapshot

from .fake_fleet import NOW
from .fake_mesh import AT, GUEST, OPS, RECORDS, make_dns, make_node, make_snapshot, node_views

KEYS = (
    PreAuthKey(
        1, OPS, True, False, True, NOW + timedelta(days=20), NOW - timedelta(days=70), ("tag:server",), "hs…7f2c"
    ),
    PreAuthKey(2, GUEST, False, True, False, NOW - timedelta(days=2), NOW - timedelta(days=3), (), "hs…91aa"),
)
SECRET = "a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3e4f5"
NEW_KEY = NewKey(
    PreAuthKey(3, OPS, False, False, False, NOW + timedelta(hours=1), NOW, (), "a0b1…", SECRET),
    f"tailscale up --login-server https://singa.example --auth-key {SECRET}",
    "tailscale up --login-server https://singa.example --auth-key a0b1…",
)
COMMITTED: tuple[Event, ...] = (
    RunnerStarted(AT, "20260226T230400Z-1a2b"),
    Journaled(AT, "begin", "mobuone@lap"),
    Journaled(AT, "checked", "config.yaml is the file that was read"),
    Journaled(AT, "tested", "configtest in headscale"),
    Journaled(AT, "kept", "config.yaml.20260226T230400Z"),
    Journaled(AT, "installed"),
    Journaled(AT, "restarting", "headscale"),
    Journaled(AT, "restarted"),
    Journaled(AT, "healthy", "6 nodes, as before"),
    Journaled(AT, "verified", "8 records in the file, 6 nodes answer"),
    Finished(AT, Outcome.COMMITTED, "20260226T230400Z-1a2b"),
)


class FakeVpn:
    """`Vpn`, `Vpn.nodes` and `Vpn.dns` in one; remembers what was asked of it."""

    def __init__(self, found: VpnSnapshot | OperatorError | None = None) -> None:
        self.found: VpnSnapshot | OperatorError = found or make_snapshot()
        self.asked: list[tuple[object, ...]] = []
        self.verdict: Verdict | OperatorError | None = None
        self.fails: OperatorError | None = None
        self.script: Sequence[Event] = COMMITTED
        self.gate = asyncio.Event()  # an apply goes on past its script when set
        self.hangs = False
        self.warnings: tuple[str, ...] = ()  # of what is staged next

    @property
    def nodes(self) -> FakeVpn:
        return self

    @property
    def dns(self) -> FakeVpn:
        return self

    async def snapshot(self, *, resolve: bool = False) -> VpnSnapshot:
        self.asked.append(("snapshot", resolve))
        while self.hangs:
            await asyncio.sleep(0.05)
        if isinstance(self.found, OperatorError):
            raise self.found
        dns = self.found.dns
        if not resolve or dns is None:
            return self.found
        rows = tuple(replace(it, resolves=it.record.name != "ghost.example" and it.in_file) for it in dns.records)
        return replace(self.found, dns=replace(dns, records=rows), notes=())

    def _did(self, *asked: object) -> None:
        self.asked.append(asked)
        if self.fails is not None:
            raise self.fails

    def _node(self, id_: int) -> Node:
        return next(it.node for it in node_views() if it.node.id == id_)

    # -- nodes

    async def judge(self, actions: Sequence[Action], ids: Sequence[int], *, force: bool = False) -> tuple[Verdict, ...]:
        self.asked.append(("judge", tuple(action.value for action in actions), tuple(ids)))
        if isinstance(self.verdict, OperatorError):
            raise self.verdict
        return tuple(self._judged(action, ids) for action in actions)

    def _judged(self, action: Action, ids: Sequence[int]) -> Verdict:
        nodes = [self._node(id_) for id_ in ids]
        if self.verdict is not None:
            return replace(self.verdict, action=action)
        names = tuple(node.name for node in nodes)
        hard = action in (Action.DELETE, Action.EXPIRE)
        needs = tuple(f"{v.node.name}: {d}" for v in node_views() if v.node.id in ids for d in v.dependants)
        warnings = {
            Action.DELETE: tuple(
                f"{it} comes back only by joining again: with another id and another address" for it in names
            ),
            Action.EXPIRE: tuple(f"{it} must log in again" for it in names),
        }
        words = (f"{len(names)} nodes",) if len(names) > 3 else names
        return Verdict(action, names, "", words if hard else (), needs if hard else (), warnings.get(action, ()))

    async def judge_routes(self, id_: int, approve: Sequence[str], reject: Sequence[str]) -> Verdict:
        self.asked.append(("judge_routes", id_, tuple(approve), tuple(reject)))
        return Verdict(
            Action.ROUTES, (self._node(id_).name,), "", (), (), ("an exit node: clients may send all there",)
        )

    async def rename(self, id_: int, name: str) -> Node:
        self._did("rename", id_, name)
        return replace(self._node(id_), name=name)

    async def expire(self, ids: Sequence[int], *, typed: Sequence[str] = (), force: bool = False) -> tuple[Node, ...]:
        self._did("expire", tuple(ids), tuple(typed))
        return ()

    async def delete(self, ids: Sequence[int], *, typed: Sequence[str] = (), force: bool = False) -> tuple[Node, ...]:
        self._did("delete", tuple(ids), tuple(typed))
        return ()

    async def set_expiry(self, id_: int, moment: datetime | None) -> Node:
        self._did("set_expiry", id_, moment)
        return self._node(id_)

    async def tag(self, id_: int, add: Sequence[str] = (), remove: Sequence[str] = ()) -> Node:
        self._did("tag", id_, tuple(add), tuple(remove))
        return self._node(id_)

    async def routes(
        self, id_: int, approve: Sequence[str] = (), reject: Sequence[str] = (), *, typed: Sequence[str] = ()
    ) -> Node:
        self._did("routes", id_, tuple(approve), tuple(reject), tuple(typed))
        return self._node(id_)

    async def move(self, id_: int, user: str) -> Node:
        self._did("move", id_, user)
        return self._node(id_)

    async def register(self, pasted: str, user: str) -> Node:
        self._did("register", pasted, user)
        return make_node(7, "laptop", "100.64.0.20")

    async def create_user(self, name: str) -> User:
        self._did("create_user", name)
        return User(3, name)

    async def rename_user(self, user: str, name: str) -> User:
        self._did("rename_user", user, name)
        return User(2, name)

    async def delete_user(self, user: str, *, typed: Sequence[str] = ()) -> None:
        self._did("delete_user", user, tuple(typed))

    async def keys(self) -> tuple[PreAuthKey, ...]:
        return KEYS

    async def create_key(
        self,
        user: str | None,
        *,
        life: timedelta,
        reusable: bool = False,
        ephemeral: bool = False,
        tags: Sequence[str] = (),
    ) -> NewKey:
        self._did("create_key", user, life, reusable, ephemeral, tuple(tags))
        return NEW_KEY

    async def expire_key(self, id_: int) -> None:
        self._did("expire_key", id_)

    # -- records

    @property
    def staged(self) -> Staged:
        found = self.found
        return found.dns.staged if isinstance(found, VpnSnapshot) and found.dns else Staged()

    def _stage(self, *edits: Edit) -> Staged:
        return self.stage(replace(self.staged, steps=(*self.staged.steps, edits)))

    def stage(self, staged: Staged) -> Staged:
        assert isinstance(self.found, VpnSnapshot)
        self.found = replace(self.found, dns=make_dns(staged))
        return replace(staged, warnings=self.warnings)

    async def add(self, name: str, kind: str, value: str) -> Staged:
        self._did("add", name, kind, value)
        return self._stage(Edit(None, Record(name, kind, value)))

    async def change(self, old: Record, name: str, kind: str, value: str) -> Staged:
        self._did("change", old, name, kind, value)
        return self._stage(Edit(old, Record(name, kind, value)))

    async def change_all(self, records: Sequence[Record], value: str) -> Staged:
        self._did("change_all", tuple(records), value)
        return self._stage(*(Edit(it, replace(it, value=value)) for it in records))

    async def remove_all(self, records: Sequence[Record]) -> Staged:
        self._did("remove_all", tuple(records))
        return self._stage(*(Edit(it, None) for it in records))

    async def retarget(self, old: str, new: str) -> Staged:
        self._did("retarget", old, new)
        return self._stage(*(Edit(it, replace(it, value=new)) for it in RECORDS if it.value == old))

    def undo(self) -> Staged:
        if self.staged.empty:
            raise UsageError("nothing is staged")
        return self.stage(self.staged.undone())

    def discard(self) -> None:
        self._did("discard")
        self.stage(Staged())

    async def diff(self) -> tuple[Diff, tuple[str, ...]]:
        edits = self.staged.edits
        yaml = "\n".join(
            (
                "@@ -41,6 +41,6 @@",
                "     - { name: llm.example, type: A, value: 100.64.0.14 }",
                "-    - { name: qd.example, type: A, value: 100.64.0.14 }",
                "+    - { name: qd.example, type: A, value: 100.64.0.1 }",
                "     - { name: studio.example, type: A, value: 100.64.0.1 }",
                "@@ -45,3 +45,3 @@",
                "-    - { name: ghost.example, type: A, value: 100.64.0.99 }",
                "+    - { name: draw.example, type: A, value: 100.64.0.1 }",
            )
        )
        return Diff(
            tuple(it.new for it in edits if it.old is None and it.new),
            tuple(it.old for it in edits if it.new is None and it.old),
            tuple((it.old, it.new) for it in edits if it.old and it.new),
            yaml,
            True,
            ("you come through the VPN (100.64.0.7): a link that is relayed drops with the restart",),
        ), ()

    async def apply(self) -> AsyncIterator[Event]:
        self.asked.append(("apply",))
        for event in self.script:
            yield event
        if not self.script or not isinstance(self.script[-1], Finished):
            await self.gate.wait()

    async def settle(self, id_: str) -> AsyncIterator[Event]:
        self.asked.append(("settle", id_))
        yield Finished(AT, Outcome.REVERTED, id_, "the records before are back")

    async def export(self) -> str:
        return "nodes_extra_records:\n  - {}\n"
