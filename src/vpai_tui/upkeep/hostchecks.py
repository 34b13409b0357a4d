"""Checks of the machine itself: one script per host answers sockets, sshd, units, guards, old code and kills."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vpai_tui.clock import duration
from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.fleet.model import Container, HostSnapshot
from vpai_tui.fleet.stacks import Stack
from vpai_tui.upkeep import hostlook
from vpai_tui.upkeep.disk.need import normal
from vpai_tui.upkeep.examiner import Source
from vpai_tui.upkeep.hostlook import HostLook
from vpai_tui.upkeep.sockets import PORTS, SSHD, open_ports, port_findings, sshd_findings

if TYPE_CHECKING:
    from vpai_tui.upkeep.surface import Surface

STALE, SEEN, UNITS, GUARD = "stale-code", "node-seen", "units", "guard"
CHECKS = (PORTS, SSHD, STALE, SEEN, UNITS, GUARD)
_DAY_S = 86400
_LATER_S = 1.0  # a file written while its container was made


def host_sources(surface: Surface) -> list[Source]:
    """One source per host."""
    return [_source(surface, host) for host in surface.fleet.hosts]


def _source(surface: Surface, host: str) -> Source:
    async def ask() -> Sequence[Finding]:
        stacks = [stack for stack in surface.stacks if stack.host == host]
        seen = surface.snapshot().host(host)
        look = await hostlook.look(await surface.connection(host), words(stacks, seen.containers or ()))
        return list(findings(surface, host, stacks, seen, look))

    return Source(f"{host} itself", CHECKS, host, ask, within_s=hostlook.WITHIN_S)


def words(stacks: Sequence[Stack], containers: Sequence[Container]) -> list[str]:
    """What the script is to look at besides."""
    units = [f"unit:{unit}" for unit in units_of(stacks)]
    envs = [f"env:{path}" for stack in stacks for path in stack.env_files if "$" not in path]
    refs = [f"ref:{it.image}" for it in ours(stacks, containers) if _tagged(it.image)]
    return [*dict.fromkeys(units), *dict.fromkeys(envs), *dict.fromkeys(refs)]


def units_of(stacks: Sequence[Stack]) -> list[str]:
    """The units that the stacks of one host name, each once."""
    return list(dict.fromkeys(unit for stack in stacks for unit in stack.spec.units))


def ours(stacks: Sequence[Stack], containers: Sequence[Container]) -> list[Container]:
    """The running containers that are services of a stack."""
    known = {(stack.project, service) for stack in stacks for service in stack.services}
    return [it for it in containers if it.state == "running" and (it.project, it.service) in known]


def _tagged(image: str) -> bool:
    return bool(image) and "@" not in image and not image.startswith(("sha256:", "-")) and " " not in image


def findings(
    surface: Surface, host: str, stacks: Sequence[Stack], seen: HostSnapshot, look: HostLook
) -> Iterator[Finding]:
    """All of one host. Pure but for the fleet it is given."""
    if seen.containers is None:
        yield Finding(PORTS, host, "", Standing.UNKNOWN, "what its containers publish is not known")
    elif "sockets" not in look.listed:
        why = look.errors.get("ss") or "there is no `ss` on it"
        yield Finding(PORTS, host, "", Standing.UNKNOWN, f"what listens is not known: {why}", "install iproute2 there")
    else:
        yield from port_findings(host, open_ports(look, surface.fleet.hosts[host], stacks, seen.containers))
    yield from sshd_findings(host, look)
    yield from stale(host, stacks, seen.containers, look)
    yield from killed(host, look)
    yield from unit_findings(host, stacks, look)
    yield from guard_findings(host, look)


def stale(
    host: str, stacks: Sequence[Stack], containers: Sequence[Container] | None, look: HostLook
) -> Iterator[Finding]:
    """`stale-code`: an env file that changed after its container was made, a tag that stands for another image by now.

    A file whose content is that of the release that runs was only written again.
    """
    if containers is None:
        yield Finding(STALE, host, "", Standing.UNKNOWN, "its containers are not known")
        return
    bad = []
    for stack in stacks:
        for it in ours([stack], containers):
            why = _older(stack, it, look)
            if why:
                target = f"{stack.id}/{it.service}"
                bad.append(Finding(STALE, host, it.name, Standing.WARN, why, f"see: vpai-tui plan {stack.id}", target))
    yield from bad
    running = ours(stacks, containers)
    tagged = any(_tagged(it.image) for it in running)
    if tagged and not look.images:
        why = "what the tags of its images stand for is not told: `docker image inspect` says nothing"
        yield Finding(STALE, host, "images", Standing.UNKNOWN, why)
    elif not bad:
        told = f"{len(running)} containers are as new as their env files and images"
        yield Finding(STALE, host, "", Standing.OK, told)


def _older(stack: Stack, container: Container, look: HostLook) -> str:
    """Why a container is older than what it is made of, or nothing."""
    made = container.created_at.timestamp() if container.created_at is not None else None
    for use in stack.env_uses:
        changed, same = look.envs.get(use.path, (0.0, ""))
        if use.service == container.service and made is not None and changed > made + _LATER_S and same != "same":
            return f"{use.path} was changed {duration(changed - made)} after the container was made"
    now = look.images.get(normal(container.image), "") if _tagged(container.image) else ""
    if now and container.image_id and now != container.image_id:
        short = [it.removeprefix("sha256:")[:12] for it in (container.image_id, now)]
        return f"{container.image} stands for {short[1]} by now, and {short[0]} runs"
    return ""


def killed(host: str, look: HostLook) -> Iterator[Finding]:
    """`node-seen`, the half that the host tells: kills for want of memory in the last day."""
    if look.kills:
        said = f"{len(look.kills)} killed for want of memory in the last day; the last: {look.kills[-1]}"
        yield Finding(
            SEEN, host, "memory", Standing.WARN, said, f"vpai-tui status; see what takes memory on {host}", host
        )
    elif "kernel" in look.listed or look.oom_kills == 0:
        since = "in the last day" if "kernel" in look.listed else "since its start"
        yield Finding(SEEN, host, "memory", Standing.OK, f"nothing was killed for want of memory {since}")
    elif look.oom_kills is not None and look.uptime_s is not None and look.uptime_s < _DAY_S:
        said = f"{look.oom_kills} killed for want of memory since its start {duration(look.uptime_s)} ago"
        yield Finding(SEEN, host, "memory", Standing.WARN, said, f"see what takes memory on {host}", host)
    else:
        why = "the kernel's log cannot be read there"
        more = f"; {look.oom_kills} were killed since its start" if look.oom_kills is not None else ""
        yield Finding(SEEN, host, "memory", Standing.UNKNOWN, f"kills for want of memory: {why}{more}")


def unit_findings(host: str, stacks: Sequence[Stack], look: HostLook) -> Iterator[Finding]:
    """`units`: each unit that a stack names runs."""
    wanted = units_of(stacks)
    if not wanted:
        yield Finding(UNITS, host, "", Standing.OK, "no stack of it names a unit")
        return
    if "systemd" not in look.listed:
        yield Finding(UNITS, host, "", Standing.UNKNOWN, "there is no systemd on it")
        return
    known = {unit.name: unit for unit in look.units}
    bad = []
    for name in wanted:
        unit = known.get(name)
        restart = f"vpai-tui units {host} restart {name}"
        if unit is None:
            bad.append(Finding(UNITS, host, name, Standing.UNKNOWN, "systemd says nothing of it"))
        elif not unit.installed:
            remedy = "install it, or take it out of `units` in stack.yaml"
            bad.append(Finding(UNITS, host, name, Standing.WARN, "there is no such unit", remedy, host))
        elif not unit.runs:
            bad.append(
                Finding(UNITS, host, name, Standing.ERROR, f"{unit.active} ({unit.sub})", restart, f"guard:{host}")
            )
    yield from bad
    if not bad:
        yield Finding(UNITS, host, "", Standing.OK, f"{len(wanted)} run: {', '.join(wanted)}")


_TITLES = {"ufw": "UFW", "fail2ban": "Fail2ban", "crowdsec": "CrowdSec"}
_MEND = {
    "ufw": "ufw enable, after a look at its rules: sshd's port must be among them",
    "fail2ban": "systemctl restart fail2ban; journalctl -u fail2ban",
    "crowdsec": "systemctl restart crowdsec; journalctl -u crowdsec",
}


def guard_findings(host: str, look: HostLook) -> Iterator[Finding]:
    """`guard`: what is installed of UFW, Fail2ban and CrowdSec works."""
    there = [guard for guard in look.guards if guard.state != "absent"]
    if not there:
        yield Finding(GUARD, host, "", Standing.UNKNOWN, "none of UFW, Fail2ban, CrowdSec is installed there")
        return
    down = [guard for guard in there if guard.state == "down"]
    for guard in down:
        standing = Standing.WARN if guard.name == "crowdsec" else Standing.ERROR
        title = _TITLES.get(guard.name, guard.name)
        yield Finding(GUARD, host, title, standing, f"down: {guard.detail}", _MEND.get(guard.name, ""), f"guard:{host}")
    if not down:
        names = ", ".join(_TITLES.get(guard.name, guard.name) for guard in there)
        count = len({ban.address for ban in look.bans})
        yield Finding(GUARD, host, "", Standing.OK, f"{names} up; {count} addresses are kept out")
