"""Scripted disks and machines beside Docker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_address

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.model import Disk
from vpai_tui.fleet.operation import Event, Finished, Journaled, Outcome, RunnerStarted
from vpai_tui.upkeep.disk.model import CacheEntry, ContainerDisk, Image, Need, Own, Rest, Usage, Volume
from vpai_tui.upkeep.disk.plan import Prune, plan_prune
from vpai_tui.upkeep.disk.run import Freed, Removed, Skipped
from vpai_tui.upkeep.disk.trend import DAY_S, Forecast
from vpai_tui.upkeep.hostlook import Ban, Guard, HostLook, Unit
from vpai_tui.upkeep.machine import Machine, Restart, Unban
from vpai_tui.upkeep.sockets import Open

GIB = 1 << 30
NOW = 1_772_147_040.0  # 2026-02-26T23:04:00Z
AT = "2026-02-26T23:04:00Z"
ROOT = Disk("/", 80 * GIB, 71 * GIB, 9 * GIB)


def image(
    number: int, name: str, size: float, need: Need, by: str = "", *, days: int = 30, pulled: bool = True
) -> Image:
    digest = (f"{name.partition(':')[0]}@sha256:{number:064x}",) if pulled else ()
    whole = int(size * GIB)
    return Image(f"sha256:{number:064x}", (name,) if name else (), digest, whole, int(whole * 0.8), NOW - days * DAY_S,
                 NOW - days * DAY_S, need, (by,) if by else ())  # fmt: skip


def usage(*, deep: bool = True, notes: tuple[str, ...] = ()) -> Usage:
    images = (
        image(1, "ghcr.io/berriai/litellm:v1.81.3-stable", 2.1, Need.CONTAINER, "vpai-litellm-1"),
        image(2, "docker.n8n.io/n8nio/n8n:2.7.3", 1.4, Need.CONTAINER, "vpai-n8n-1"),
        image(3, "docker.n8n.io/n8nio/n8n:2.7.2", 1.3, Need.RELEASE, "vpai-keep-apps-n8n-5cded2dcd6b0"),
        image(4, "opencut-local:v0.1.0", 0.9, Need.ON_DEMAND, "pi/opencut"),
        image(5, "ghcr.io/demo/tried-once:1", 3.2, Need.NOBODY, days=21),
        image(6, "", 1.1, Need.NOBODY, days=11, pulled=False),
    )
    cache = tuple(CacheEntry(f"c{at}", "regular", GIB // 2, NOW - at * 4 * DAY_S, False, at == 3) for at in range(6))
    return Usage(
        host="sese",
        at_s=NOW,
        disks=(ROOT, Disk("/boot", GIB, GIB // 5, GIB * 4 // 5)),
        docker_disk=ROOT,
        docker_root="/var/lib/docker",
        driver="overlay2",
        images=images,
        layers_bytes=9 * GIB,
        cache=cache,
        volumes=(Volume("vpai_postgresql", 6 * GIB, 1), Volume("old_qdrant", 2 * GIB, 0)),
        containers=(
            ContainerDisk("a", "vpai-litellm-1", images[0].id, "running", False, 40 << 20, 2 * GIB, "json-file", False),
            ContainerDisk("b", "vpai-n8n-1", images[1].id, "running", False, 8 << 20, 30 << 20, "json-file", True),
        ),
        own=(Own("stacks/apps", 900 << 10, 6),),
        places=(("/var/log/journal", 900 << 20),),
        apt_bytes=300 << 20,
        rest=Rest(ROOT, 20 * GIB, 25 * GIB, (), 22 * GIB, False) if deep else None,
        complete=True,
        notes=notes,
    )


FULL = {
    "/": Forecast(NOW + 12 * DAY_S, 0.75 * GIB, "", "victoriametrics"),
    "/boot": Forecast(None, 0.0, "it does not fill by any trend", "victoriametrics"),
}
FREED: tuple[Event, ...] = (
    RunnerStarted(AT, "20260226T230400-1a2b"),
    Journaled(AT, "begin", "mobuone@lap"),
    Removed(AT, "ghcr.io/demo/tried-once:1", ""),
    Skipped(AT, "<none> 000000000006", "a container or a release needs it by now"),
    Removed(AT, "build cache", "Total: 1.5GB"),
    Freed(AT, 9 * GIB, 14 * GIB),
    Finished(AT, Outcome.COMMITTED, "20260226T230400-1a2b", "5.0 GiB came free"),
)


class FakeDisks:
    """`problem` is raised by a look; `held` keeps one from ending; `script` is what freeing tells."""

    def __init__(self) -> None:
        self.usage = usage()
        self.problem: OperatorError | None = None
        self.held: asyncio.Event | None = None
        self.script = FREED
        self.asked: list[tuple[str, bool]] = []
        self.typed: list[str] = []
        self.read_only = False

    async def look(self, host: str, *, deep: bool = True) -> Usage:
        self.asked.append((host, deep))
        if self.held is not None:
            await self.held.wait()
        if self.problem is not None:
            raise self.problem
        return self.usage

    async def forecasts(self, _host: str, _disks: Sequence[Disk]) -> dict[str, Forecast]:
        return FULL

    def plan(self, seen: Usage) -> Prune:
        return plan_prune(seen)

    async def prune(self, _prune: Prune, *, typed: str = "") -> AsyncIterator[Event]:
        self.typed.append(typed)
        for event in self.script:
            yield event


def machine() -> Machine:
    since = NOW - 61 * DAY_S
    look = HostLook(
        units=[
            Unit("tailscaled.service", "loaded", "active", "running", "enabled", since, 19 << 20, 0),
            Unit("fail2ban.service", "loaded", "active", "running", "enabled", since, 33 << 20, 0),
            Unit("opencode.service", "loaded", "failed", "failed", "enabled", None, None, 3),
            Unit("gone.service", "not-found", "inactive", "dead", "", None, None, 0),
        ],
        guards=[
            Guard("ufw", "up", "3 rules; deny (incoming), allow (outgoing)"),
            Guard("fail2ban", "up"),
            Guard("crowdsec", "down", "cscli: no api"),
        ],
        bans=[Ban("203.0.113.7", "fail2ban sshd"), Ban("198.51.100.77", "crowdsec", "ssh-bf", "3h12m")],
        sshd=[(ip_address("137.74.114.167"), 804)],
        programs={"claude": "2.1.47 (Claude Code)"},
        listed={"systemd", "sockets"},
    )
    ports = (
        Open("tcp", 443, "all", "container vpai-caddy-1", True, "public", "sese/edge/caddy"),
        Open("tcp", 6379, "all", "redis-server", False),
    )
    units = ("tailscaled.service", "fail2ban.service", "opencode.service", "gone.service")
    return Machine("sese", NOW, look, units, ("claude", "opencode"), ports)


class FakeMachines:
    """`outcome` is how a restart ends; `problem` is raised by a look."""

    def __init__(self) -> None:
        self.machine = machine()
        self.problem: OperatorError | None = None
        self.outcome = Finished(AT, Outcome.COMMITTED, "", "opencode.service runs again")
        self.done: list[tuple[str, str, str]] = []

    async def look(self, _host: str) -> Machine:
        if self.problem is not None:
            raise self.problem
        return self.machine

    def plan_restart(self, seen: Machine, name: str) -> Restart:
        if name not in seen.units:
            raise UsageError(f'no stack of sese names the unit "{name}"')
        word = name if name == "tailscaled.service" else None
        return Restart("sese", name, "failed (failed)", word, "what uses it, for a moment")

    async def restart(self, plan: Restart, *, typed: str = "") -> AsyncIterator[Event]:
        self.done.append(("restart", plan.unit, typed))
        yield Journaled(AT, "asked", "systemd restarts it")
        yield self.outcome

    def plan_unban(self, seen: Machine, address: str) -> Unban:
        return Unban("sese", address, tuple(ban for ban in seen.look.bans if ban.address == address))

    async def unban(self, plan: Unban) -> None:
        self.done.append(("unban", plan.address, ", ".join(plan.places)))
