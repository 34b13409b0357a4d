"""The VPN at one moment: what the screen draws and the command line prints. Immutable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from vpai_tui.errors import UsageError
from vpai_tui.fleet.model import Alert
from vpai_tui.vpn.model import Mark, Node, Record, Server, User

if TYPE_CHECKING:  # these read YAML: slow, and the screen is drawn before anything is read
    from vpai_tui.vpn.dns.changes import Staged
    from vpai_tui.vpn.dns.lint import Problem
    from vpai_tui.vpn.dns.settings import Settings


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node and what is known by looking around. `dependants` are words: records, fleet hosts, stacks, routes."""

    node: Node
    marks: tuple[Mark, ...]
    records: tuple[Record, ...]
    dependants: tuple[str, ...]
    expired: bool


@dataclass(frozen=True, slots=True)
class RecordView:
    """A record of the file or of what is staged. None: not known, the reason is in the snapshot's notes;
    `resolves` also when nobody was asked.

    `staged`: "", add, remove, or change (of a changed one both the old and the new are listed, the new as `add`).
    """

    record: Record
    in_file: bool
    loaded: bool | None
    resolves: bool | None
    node: str | None  # the node behind the address, else the fleet's host
    problems: tuple[Problem, ...]
    staged: str = ""


@dataclass(frozen=True, slots=True)
class DnsView:
    """The records. `source`: where they live; `loaded`: whether Headscale runs with the file as it is."""

    source: str  # config or path
    path: str  # on the host
    loaded: bool | None
    records: tuple[RecordView, ...]
    problems: tuple[Problem, ...]  # of the settings, not of single records
    staged: Staged
    conflicts: tuple[str, ...]  # staged edits that do not fit the file any more
    drift: str  # what another writer did; "" when nobody did
    settings: Settings
    interrupted: str | None = None  # an apply that was killed; the next apply or settle() takes it back


@dataclass(frozen=True, slots=True)
class VpnSnapshot:
    """Everything. `server` and `nodes` are empty while Headscale is down: `error` says why; `dns` is there still."""

    at: datetime
    host: str
    server: Server | None
    nodes: tuple[NodeView, ...]
    users: tuple[User, ...]
    dns: DnsView | None
    alerts: tuple[Alert, ...]
    notes: tuple[str, ...]
    error: str = ""
    remedy: str = ""

    def find(self, text: str) -> NodeView:
        """The node of this name, host name, address or `#id`. UsageError when none or several are."""
        having = [it for it in self.nodes if text in (it.node.name, *it.node.addresses, f"#{it.node.id}")]
        fitting = having or [it for it in self.nodes if it.node.hostname == text]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            known = ", ".join(f"#{it.node.id} {it.node.name}" for it in fitting)
            raise UsageError(f'"{text}" may be {known}', remedy="give the #id")
        import difflib

        near = difflib.get_close_matches(text, [it.node.name for it in self.nodes], n=1)
        raise UsageError(f'no node "{text}"', remedy=f'did you mean "{near[0]}"?' if near else "vpai-tui nodes list")


def matching(
    nodes: Sequence[NodeView], now: datetime, *, offline_days: float | None = None, expired: bool = False
) -> tuple[NodeView, ...]:
    """The nodes a bulk action means: offline for more than that many days, or expired; both: either of them."""
    found = []
    for it in nodes:
        days = it.node.offline_days(now)
        if (expired and it.expired) or (offline_days is not None and days is not None and days > offline_days):
            found.append(it)
    return tuple(found)
