"""What the app shares with its screens: the last snapshot, the scope, the backend, the operations."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from vpai_tui.clock import Clock
from vpai_tui.config import Fleet
from vpai_tui.fleet.alerts import ranked
from vpai_tui.fleet.model import Alert, FleetSnapshot, HostSnapshot, HostState, Link, Service
from vpai_tui.widgets.backend import Backend
from vpai_tui.widgets.backups_look import BackupsLook
from vpai_tui.widgets.budget_look import BudgetLook
from vpai_tui.widgets.figures import Figures
from vpai_tui.widgets.log_look import LogLook
from vpai_tui.widgets.ondemand_look import StudioLook
from vpai_tui.widgets.operations import Operations
from vpai_tui.widgets.upkeep_look import UpkeepLook
from vpai_tui.widgets.vpn_look import VpnLook

_EVENTS_KEPT = 400


@dataclass(frozen=True, slots=True)
class Seen:
    """One change the cockpit saw in a service."""

    at: datetime
    service: str
    text: str
    role: str


def first_snapshot(fleet: Fleet, now_boot_s: float) -> FleetSnapshot:
    """What is shown before anything was heard: the hosts' names, connecting."""
    hosts = tuple(
        HostSnapshot(name, host.title, Link(HostState.CONNECTING, now_boot_s)) for name, host in fleet.hosts.items()
    )
    return FleetSnapshot(now_boot_s, hosts, (), (), ())


@dataclass(slots=True)
class Context:
    """Shared by reference; only the app writes to it."""

    fleet: Fleet
    clock: Clock
    read_only: bool
    operations: Operations
    snapshot: FleetSnapshot
    backend: Backend | None = None
    failure: str = ""  # why there is no backend
    busy: str = ""  # what the cockpit works on right now, in a few words
    scope: str | None = None  # a host's name; None: all
    keymap: Mapping[str, str] = field(default_factory=dict)  # the operator's keys by command id
    refreshes: int = 0  # how often the operator asked again
    heard: bool = False  # at least one snapshot came from the backend
    vpn: VpnLook = field(default_factory=VpnLook)
    budget: BudgetLook = field(default_factory=BudgetLook)
    logs: LogLook = field(default_factory=LogLook)
    studio: StudioLook = field(default_factory=StudioLook)
    backups: BackupsLook = field(default_factory=BackupsLook)
    upkeep: UpkeepLook = field(default_factory=UpkeepLook)
    figures: Figures = field(default_factory=Figures)
    seen: deque[Seen] = field(default_factory=lambda: deque(maxlen=_EVENTS_KEPT))

    @property
    def connected(self) -> bool:
        return self.backend is not None

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The fleet's alerts and those of budget, VPN and checks as they were last seen, the worst first."""
        more = (*self.budget.alerts(self.clock.boot_s()), *self.vpn.alerts, *self.upkeep.alerts)
        found = (*self.snapshot.alerts, *more)
        return ranked(found)

    def take(self, snapshot: FleetSnapshot) -> None:
        """Keep a new snapshot and note what changed in each service."""
        before = {service.id: service for service in self.snapshot.services}
        now = self.clock.now()
        for service in snapshot.services:
            if before.get(service.id) is service:  # its host has told nothing new
                continue
            for text, role in _changes(before.get(service.id), service, first=not self.heard):
                self.seen.append(Seen(now, service.id, text, role))
        self.figures.take(before, snapshot)
        self.snapshot = snapshot
        self.heard = True

    def moved(self, service: Service) -> bool:
        """Whether the tag of a service's image stands for another one upstream by now."""
        update = self.backend.updates(service) if self.backend is not None else None
        return update is not None and update.moved is True

    def service(self, service_id: str) -> Service | None:
        return next((item for item in self.snapshot.services if item.id == service_id), None)


def _changes(before: Service | None, now: Service, *, first: bool) -> list[tuple[str, str]]:
    if before is None:
        return [] if first else [("appeared", "")]
    found: list[tuple[str, str]] = []
    if before.health is not now.health:
        found.append((f"health {before.health.value} → {now.health.value}", "accent"))
    if before.sync is not now.sync:
        found.append((f"sync {before.sync.value} → {now.sync.value}", ""))
    if before.image != now.image:
        found.append((f"image {before.image or '–'} → {now.image or '–'}", ""))
    old, new = before.container, now.container
    if old and new and old.id != new.id:
        found.append((f"container {old.id[:12]} → {new.id[:12]}", ""))
    elif old and new and old.restarts is not None and new.restarts is not None and old.restarts != new.restarts:
        found.append((f"restarts {old.restarts} → {new.restarts}", "warn"))
    if before.stale is not now.stale:
        found.append(("its host went away" if now.stale else "its host is back", "warn"))
    return found
