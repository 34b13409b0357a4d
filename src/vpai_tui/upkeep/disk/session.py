"""The disks of the fleet's hosts: looked at, a plan made, the plan carried out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from vpai_tui.clock import rfc3339
from vpai_tui.errors import LockHeld, OperatorError, UsageError
from vpai_tui.fleet.history import Entry, who
from vpai_tui.fleet.model import Disk
from vpai_tui.fleet.operation import Event, Finished, Outcome
from vpai_tui.redact import redact
from vpai_tui.text import clean_line
from vpai_tui.upkeep.disk.model import ContainerDisk, Rest, Usage
from vpai_tui.upkeep.disk.need import judged
from vpai_tui.upkeep.disk.plan import OLDER_THAN_S, Prune, plan_prune
from vpai_tui.upkeep.disk.read import Account, Told, read_account, read_look, script
from vpai_tui.upkeep.disk.run import Run
from vpai_tui.upkeep.disk.trend import Forecast, forecasts

if TYPE_CHECKING:
    from vpai_tui.upkeep.surface import Surface

MEASURE_S = 20  # for each part of the rest of the disk
_LOOK_WITHIN_S = 150.0


class Disks:
    """One per command or cockpit; made cheap, nothing is asked before the first look."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface

    async def look(self, host: str, *, deep: bool = True) -> Usage:
        """What fills the disks of `host`; `deep` measures what no engine accounts for too, for a minute at most.

        Raises:
            OperatorError: the host cannot be asked. That its engine cannot is a note.
        """
        surface = self._surface
        connection = await surface.connection(host)
        place = connection.host
        argv = ["sh", "-s", "--", place.root.rstrip("/"), place.docker, str(MEASURE_S), *(["deep"] if deep else [])]
        done = await connection.run(
            argv, root=True, stdin=script(), timeout_s=_LOOK_WITHIN_S, label=f"look at the disks of {host}"
        )
        told = read_look(done.stdout, host)
        notes = [redact(error) for error in told.errors]
        account = None
        if not told.errors:
            try:
                account = read_account(await surface.docker(host).call("df"))
            except OperatorError as error:
                notes.append(f"what the engine accounts for is not known: {redact(clean_line(error.message, 200))}")
        return self._usage(host, told, account, notes, deep=deep)

    def _usage(self, host: str, told: Told, account: Account | None, notes: list[str], *, deep: bool) -> Usage:
        stacks = [stack for stack in self._surface.stacks if stack.host == host]
        known = account or Account(None, (), (), (), {})
        disk = told.on.get("docker")
        containers = tuple(
            ContainerDisk(
                id=it.id,
                name=it.name,
                image_id=it.image_id,
                state=it.state,
                keeper=it.keeper,
                layer_bytes=known.layers.get(it.id),
                log_bytes=told.logs.get(it.id, 0),
                log_driver=it.log_driver,
                rotates=it.rotates,
            )
            for it in told.containers
        )
        return Usage(
            host=host,
            at_s=self._surface.clock.now().timestamp(),
            disks=tuple(told.disks),
            docker_disk=disk,
            docker_root=told.docker_root,
            driver=told.driver,
            images=judged(known.images, told, stacks),
            layers_bytes=known.layers_bytes,
            cache=tuple(sorted(known.cache, key=lambda it: -it.size_bytes)),
            volumes=tuple(sorted(known.volumes, key=lambda it: -(it.size_bytes or 0))),
            containers=containers,
            own=tuple(told.own),
            places=tuple(sorted(told.sizes.get("place", {}).items())),
            apt_bytes=sum(told.sizes.get("apt", {}).values()),
            rest=_rest(told, account, disk) if deep and account is not None else None,
            complete=account is not None and {"containers", "releases"} <= told.listed,
            notes=tuple(notes),
        )

    async def forecasts(self, host: str, disks: Sequence[Disk]) -> dict[str, Forecast]:
        """When each of these disks will be full, by its mount; never raises for what cannot be known."""
        return await forecasts(self._surface, host, disks)

    # ── freeing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def plan(self, usage: Usage, *, older_than_s: float = OLDER_THAN_S) -> Prune:
        """What could go of what was seen. UsageError on a read-only cockpit."""
        self._may_change()
        return plan_prune(usage, older_than_s=older_than_s)

    async def prune(self, prune: Prune, *, typed: str = "") -> AsyncIterator[Event]:
        """Carries a plan out; the last event is `Finished`, and a line of the journal tells it.

        Raises:
            UsageError: read-only, or the word of the plan was not typed.
            LockHeld: something runs on the host; nothing was changed.
        """
        self._may_change()
        if prune.word is not None and typed != prune.word:
            raise UsageError(f"type {prune.word} to free its disk: some of it cannot be fetched again")
        surface, host, by = self._surface, prune.host, who()
        if prune.empty:
            yield Finished(rfc3339(surface.clock.now()), Outcome.UNCHANGED, "", "there is nothing to free")
            return
        connection = await surface.connection(host)
        run = Run(connection, prune, by, surface.clock, lambda: surface.connection(host))
        result, detail = "unknown", ""
        try:
            async with aclosing(run.events()) as events:  # type: ignore[type-var]
                async for event in events:
                    if isinstance(event, Finished):
                        result, detail = event.outcome.value, event.reason
                        if event.code == LockHeld.exit_code:
                            remedy = "try again when it ended"
                            raise LockHeld(
                                f"something runs on the host: {event.reason}", host=host, step="disk", remedy=remedy
                            )
                    yield event
        finally:
            at = rfc3339(surface.clock.now())
            surface.history.append(Entry(at, by, host, "disk prune", host, result, detail))

    def _may_change(self) -> None:
        if self._surface.read_only:
            raise UsageError("this cockpit is read-only", remedy="open it without --read-only")


def _rest(told: Told, account: Account, disk: Disk | None) -> Rest | None:
    if disk is None:
        return None
    images = account.layers_bytes or 0
    volumes = sum(volume.size_bytes or 0 for volume in account.volumes)
    cache = sum(entry.size_bytes for entry in account.cache if not entry.shared)
    accounted = images + volumes + cache + sum(account.layers.values()) + sum(told.logs.values())
    others = told.sizes.get("other", {})
    lacking = max(0, told.wanted - told.elsewhere - len(others))
    containerd = told.sizes.get("containerd", {})
    in_containerd = told.driver not in ("overlay2", "fuse-overlayfs", "btrfs", "zfs", "vfs", "aufs", "devicemapper")
    return Rest(
        disk=disk,
        accounted_bytes=accounted,
        others_bytes=sum(others.values()),
        unmeasured=(f"{lacking} of {told.wanted} places",) if lacking else (),
        containerd_bytes=next(iter(containerd.values()), None),
        containerd_images=in_containerd,
    )
