"""When a disk will be full, by how its room went: as VictoriaMetrics has it, else as this laptop noted it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.model import Disk, FleetSnapshot

if TYPE_CHECKING:
    from vpai_tui.upkeep.surface import Surface

DAY_S = 86400.0
LEAST_POINTS = 12
LEAST_SPAN_S = DAY_S
BACK_S = 14 * DAY_S
_STEP_S = 2 * 3600.0
_EVERY_S = 3600.0  # this laptop notes one sample of a mount so often
_KEPT = 24 * 14  # samples of a mount
_MOUNTS = 400
_FILE_MOST = 16 << 20
_MOST_DAYS = 365.0  # farther away it is a guess
_FLAT_SHARE = 0.005  # of the disk, over the whole time: less is no trend
_PAIRS = 160  # points that are compared with each other

Samples = tuple[tuple[float, float], ...]  # seconds since the epoch, available bytes


@dataclass(frozen=True, slots=True)
class Forecast:
    """`full_at_s` is seconds since the epoch; None: not known, and `why` says why. `per_day_bytes` < 0: it empties."""

    full_at_s: float | None
    per_day_bytes: float | None
    why: str
    source: str = ""  # victoriametrics, laptop; empty: no samples at all

    @property
    def day(self) -> str:
        """The date, in UTC; empty where it is not known."""
        return datetime.fromtimestamp(self.full_at_s, UTC).strftime("%Y-%m-%d") if self.full_at_s is not None else ""


def forecast(samples: Iterable[tuple[float, float]], size_bytes: int, now_s: float, source: str = "") -> Forecast:
    """A line through the middle of all slopes (Theil-Sen), which a single clean-up or a bad sample does not turn."""
    points = sorted((at, room) for at, room in samples if now_s - BACK_S <= at <= now_s + 3600 and room >= 0)
    span = points[-1][0] - points[0][0] if points else 0.0
    if len(points) < LEAST_POINTS or span < LEAST_SPAN_S:
        return Forecast(None, None, f"too short: {len(points)} samples over {span / 3600:.0f} h", source)
    some = points[:: max(1, len(points) // _PAIRS)]
    slopes = [
        (later[1] - early[1]) / (later[0] - early[0])
        for at, early in enumerate(some)
        for later in some[at + 1 :]
        if later[0] > early[0]
    ]
    slope = median(slopes)  # bytes of room a second
    if abs(slope) * span < _FLAT_SHARE * size_bytes:
        return Forecast(None, -slope * DAY_S, "it does not fill by any trend", source)
    if slope > 0:
        return Forecast(None, -slope * DAY_S, "it gets emptier", source)
    left_s = points[-1][1] / -slope
    if left_s > _MOST_DAYS * DAY_S:
        return Forecast(None, -slope * DAY_S, "not within a year", source)
    return Forecast(points[-1][0] + left_s, -slope * DAY_S, "", source)


class SampleFile:
    """What this laptop has noted: one file, bounded, replaced as a whole."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "disk-samples.json"

    def read(self) -> dict[str, list[tuple[float, float]]]:
        """By `host mount`; what cannot be read is none."""
        try:
            if self.path.stat().st_size > _FILE_MOST:
                return {}
            raw = json.loads(self.path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        rows = raw.get("samples") if isinstance(raw, dict) else None
        return {str(key): _pairs(value) for key, value in rows.items()} if isinstance(rows, dict) else {}

    def note(self, snapshot: FleetSnapshot, now_s: float) -> None:
        """One more sample of every mount that is due. That it cannot be written is no error: there is less to go by."""
        known, more = self.read(), False
        for host in snapshot.hosts:
            for disk in host.metrics.disks if host.live and host.metrics is not None else ():
                key = f"{host.name} {disk.mount}"
                before = [pair for pair in known.get(key, ()) if pair[0] <= now_s]  # a clock that jumped back
                if before and now_s - before[-1][0] < _EVERY_S:
                    continue
                known[key], more = [*before, (now_s, float(room_of(disk)))][-_KEPT:], True
        if more:
            kept = dict(sorted(known.items(), key=lambda item: -item[1][-1][0] if item[1] else 0.0)[:_MOUNTS])
            self._write(kept)

    def _write(self, samples: Mapping[str, Sequence[tuple[float, float]]]) -> None:
        fresh = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh.write_text(json.dumps({"schema": 1, "samples": samples}))
            fresh.replace(self.path)
        except OSError:
            fresh.unlink(missing_ok=True)


def _pairs(value: object) -> list[tuple[float, float]]:
    found = []
    for item in value[-_KEPT:] if isinstance(value, list) else ():
        if isinstance(item, list) and len(item) == 2 and all(type(it) in (int, float) for it in item):
            found.append((float(item[0]), float(item[1])))
    return found


def room_of(disk: Disk) -> int:
    """What an ordinary process may still write."""
    return disk.size_bytes - disk.used_bytes if disk.available_bytes is None else disk.available_bytes


async def forecasts(surface: Surface, host: str, disks: Sequence[Disk]) -> dict[str, Forecast]:
    """By mount: from VictoriaMetrics where it has samples enough, else from this laptop's own."""
    now_s = surface.clock.now().timestamp()
    past, missing = await _past(surface, host, now_s)
    own = SampleFile(surface.folder).read()
    found = {}
    for disk in disks:
        known = forecast(past.get(disk.mount, ()), disk.size_bytes, now_s, "victoriametrics")
        if known.per_day_bytes is None:
            mine = forecast(own.get(f"{host} {disk.mount}", ()), disk.size_bytes, now_s, "laptop")
            better = mine.per_day_bytes is not None or not past.get(disk.mount)
            known = mine if better else known
            if known.per_day_bytes is None and missing:
                known = Forecast(None, None, f"{known.why}; {missing}", known.source)
        found[disk.mount] = known
    return found


async def _past(surface: Surface, host: str, now_s: float) -> tuple[dict[str, Samples], str]:
    """Room by mount over the last days, and why there is none."""
    from vpai_tui.fleet.trend import Trends, quoted

    trends = Trends(surface.stacks, surface.connection, lambda it: surface.docker(it.name), surface.clock)
    query = f'min by (mountpoint) (node_filesystem_avail_bytes{{host={quoted(host)},fstype!~"tmpfs|overlay|squashfs"}})'
    try:
        rows = await trends.series(query, now_s - BACK_S, now_s, _STEP_S)
    except OperatorError as error:
        return {}, f"VictoriaMetrics cannot be asked: {error.message}"
    return {row.labels.get("mountpoint", ""): tuple(row.points) for row in rows}, ""
