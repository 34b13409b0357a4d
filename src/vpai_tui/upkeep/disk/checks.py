"""`disk-unaccounted`: what lies on Docker's disk and in nobody's account. Measured seldom, and kept meanwhile."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vpai_tui.clock import duration
from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.text import clean_line
from vpai_tui.upkeep.disk.model import GIB, Usage, size
from vpai_tui.upkeep.disk.session import Disks
from vpai_tui.upkeep.disk.trend import SampleFile
from vpai_tui.upkeep.examiner import Source

if TYPE_CHECKING:
    from vpai_tui.upkeep.surface import Surface

CHECK = "disk-unaccounted"
WARN_BYTES = 10 * GIB
WARN_SHARE = 0.2  # of the disk
MOVED_BYTES = 2 * GIB  # used more or less than when it was measured: measured again
KEPT_S = 6 * 3600.0  # measuring reads every directory of a host: not at each look
_WITHIN_S = 160.0
_FILE_MOST = 1 << 20


def disk_sources(surface: Surface) -> list[Source]:
    """One source per host; what was measured in the last hours is not measured again."""
    return [_source(surface, host) for host in surface.fleet.hosts]


def _source(surface: Surface, host: str) -> Source:
    async def ask() -> Sequence[Finding]:
        now_s = surface.clock.now().timestamp()
        SampleFile(surface.folder).note(surface.snapshot(), now_s)
        kept, used = _Kept(surface.folder), _used(surface, host)
        known = kept.read(host)
        if known is None or not 0 <= now_s - known.at_s < KEPT_S or abs(used - known.used_bytes) > MOVED_BYTES:
            found = judge(await Disks(surface).look(host))
            if found.standing is Standing.OK:  # what is bad is looked at again each time: it may be mended by now
                kept.write(host, Measured(now_s, used, found.detail))
            return [found]
        said = f"{known.detail} (measured {duration(now_s - known.at_s)} ago)"
        return [Finding(CHECK, host, "", Standing.OK, said)]

    return Source(f"what fills {host}'s disk", (CHECK,), host, ask, within_s=_WITHIN_S)


def _used(surface: Surface, host: str) -> int:
    """What is taken on all disks of a host, as it is watched."""
    metrics = surface.snapshot().host(host).metrics
    return sum(disk.used_bytes for disk in metrics.disks) if metrics is not None else 0


@dataclass(frozen=True, slots=True)
class Measured:
    """A good finding, when it was made and how much was taken then."""

    at_s: float
    used_bytes: int
    detail: str


@dataclass(frozen=True, slots=True)
class _Kept:
    """The good findings of the last hours, by host; whatever cannot be read is none."""

    folder: Path

    @property
    def _path(self) -> Path:
        return self.folder / "disk-measured.json"

    def _all(self) -> dict[str, list[object]]:
        try:
            if self._path.stat().st_size > _FILE_MOST:
                return {}
            raw = json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return {str(key): value for key, value in raw.items() if isinstance(value, list)} if type(raw) is dict else {}

    def read(self, host: str) -> Measured | None:
        match self._all().get(host):
            case [int() | float() as at, int(used), str(detail)]:
                return Measured(float(at), used, clean_line(detail, 300))
        return None

    def write(self, host: str, found: Measured) -> None:
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh.write_text(json.dumps({**self._all(), host: [found.at_s, found.used_bytes, found.detail]}))
            fresh.replace(self._path)
        except OSError:
            fresh.unlink(missing_ok=True)  # it is measured again, that is all


def judge(usage: Usage) -> Finding:
    """The finding of one look."""
    host, rest = usage.host, usage.rest
    remedy = f"vpai-tui disk {host}; files that are deleted and still open: lsof +L1"
    if rest is None:
        why = "; ".join(usage.notes) or "Docker's directory is not told"
        return Finding(CHECK, host, "", Standing.UNKNOWN, why)
    limit = min(WARN_BYTES, int(rest.disk.size_bytes * WARN_SHARE))
    unseen = rest.containerd_bytes if rest.containerd_bytes is not None and not rest.containerd_images else 0
    if unseen > limit:
        said = f"containerd holds {size(unseen)} that the engine does not account for, more than {size(limit)}"
        remedy = f"vpai-tui disk {host}; on {host}: ctr -n moby leases ls, and ctr -n moby content ls"
        return Finding(CHECK, host, "containerd", Standing.WARN, said, remedy, f"disk:{host}")
    if rest.nobody_bytes is None:
        return Finding(CHECK, host, "", Standing.UNKNOWN, f"there was no time to measure {', '.join(rest.unmeasured)}")
    said = (
        f"{size(rest.nobody_bytes)} of {size(rest.disk.used_bytes)} used have no owner: the engine accounts for "
        f"{size(rest.accounted_bytes)}, all else for {size(rest.others_bytes)}"
    )
    if rest.nobody_bytes > limit:
        return Finding(CHECK, host, "", Standing.WARN, f"{said}; more than {size(limit)}", remedy, f"disk:{host}")
    return Finding(CHECK, host, "", Standing.OK, said)
