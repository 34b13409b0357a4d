"""Every source of findings that a fleet has: the one place where checks of all features come together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vpai_tui.upkeep.backups.session import Backups
from vpai_tui.upkeep.certificates import certificate_source
from vpai_tui.upkeep.channels import channel_source
from vpai_tui.upkeep.disk.checks import disk_sources
from vpai_tui.upkeep.examiner import Examiner, Source
from vpai_tui.upkeep.hostchecks import host_sources
from vpai_tui.upkeep.laptop import laptop_source
from vpai_tui.upkeep.probes import probe_sources
from vpai_tui.upkeep.rules import rules_source
from vpai_tui.upkeep.seen import seen_source
from vpai_tui.upkeep.series import series_source
from vpai_tui.upkeep.told import told_source
from vpai_tui.upkeep.watcher import watcher_source

if TYPE_CHECKING:
    from vpai_tui.fleet.checks import Finding
    from vpai_tui.upkeep.surface import Surface


def sources(surface: Surface) -> list[Source]:
    """In no order that matters: they are asked at the same time."""
    return [
        seen_source(surface),
        laptop_source(surface),
        told_source(surface),
        watcher_source(surface),
        series_source(surface),
        rules_source(surface),
        *budget_sources(surface),
        *log_sources(surface),
        channel_source(surface),
        *probe_sources(surface),
        *vpn_sources(surface),
        certificate_source(surface),
        *Backups(surface).sources(),
        *host_sources(surface),
        *disk_sources(surface),
    ]


def budget_sources(surface: Surface) -> list[Source]:
    """Hidden spend, the cap in force, and whether it acts; none where no stack has LiteLLM."""
    from vpai_tui.budget.checks import CHECKS, BudgetChecks
    from vpai_tui.budget.reading import Reader
    from vpai_tui.errors import UsageError

    try:
        reader = Reader(surface.fleet, surface.stacks, surface.connection, surface.clock)
    except UsageError:
        return []
    return [Source("the budget", CHECKS, reader.host, BudgetChecks(reader, surface.clock).ask, within_s=45.0)]


def log_sources(surface: Surface) -> list[Source]:
    """What LiteLLM's log says of used-up credit; none where no stack has LiteLLM."""
    from vpai_tui.budget.places import host_of
    from vpai_tui.errors import UsageError
    from vpai_tui.logs.checks import CREDIT, credit
    from vpai_tui.logs.session import Logs
    from vpai_tui.logs.session import Surface as LogSurface

    try:
        host, stack, service = host_of(surface.fleet, surface.stacks)
    except UsageError:
        return []

    async def ask() -> Sequence[Finding]:
        engine = lambda connection: surface.docker(connection.name)  # noqa: E731
        logs = Logs(LogSurface(surface.fleet, surface.stacks, surface.connection, engine, surface.clock))
        try:
            return await credit(logs, f"{stack.id}/{service}")
        finally:
            await logs.close()

    return [Source("LiteLLM's log", (CREDIT,), host, ask, within_s=45.0)]


def vpn_sources(surface: Surface) -> list[Source]:
    """Names, nodes and the control plane, each asked by itself: the hub may be gone and the names be right."""
    from vpai_tui.vpn.checks import CONTROL, NAMES, NODES, VpnChecks

    vpn = VpnChecks(surface.fleet, surface.stacks, surface.connection, surface.questioner, surface.clock)
    hub = next((name for name, host in surface.fleet.hosts.items() if host.hub), "")
    return [
        Source("the VPN's resolver", (NAMES,), "", vpn.names),
        Source("Headscale's nodes", (NODES,), hub, vpn.nodes),
        Source("Headscale by its name", (CONTROL,), "", vpn.control_plane),
    ]


def examiner(surface: Surface) -> Examiner:
    """Checks a watched fleet."""
    return Examiner(sources(surface), surface.clock)
