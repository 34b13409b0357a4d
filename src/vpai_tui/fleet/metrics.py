"""The metrics channel of a host: its script, and a parser that turns the script's lines into samples.

The parser takes anything: a line it does not understand is passed over, a value that is not there stays `None`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from importlib import resources
from math import isfinite

from vpai_tui.fleet.model import DeployState, Disk, Hold, Metrics, Usage
from vpai_tui.text import clean_line

INTERVAL_S = 5
_LINE_LIMIT = 4096
_ROWS_LIMIT = 512  # of one kind in one sample; a host has tens
_NO_DISK = ("/etc/", "/run", "/dev", "/proc", "/sys", "/snap", "/boot/efi", "/var/lib/docker/overlay2")
_CPU_SENSORS = ("cpu", "soc", "x86_pkg", "k10temp", "acpitz")


def script() -> bytes:
    """The POSIX sh script that a host runs; arguments: interval in seconds, the host's root."""
    return resources.files(__package__).joinpath("metrics.sh").read_bytes()


@dataclass(frozen=True, slots=True)
class Sample:
    """One whole sample. `metrics` is None when the host did not tell load, memory or uptime."""

    metrics: Metrics | None
    usage: dict[str, Usage]  # by container id
    deploys: tuple[DeployState, ...]
    hold: Hold | None = None


@dataclass(slots=True)
class _Block:
    """The raw figures of the sample that is being read."""

    load: tuple[float, float, float] | None = None
    cpu: tuple[int, int] | None = None  # idle and total ticks
    uptime_s: float | None = None
    memory: dict[str, int] = field(default_factory=dict)  # bytes
    temperatures: list[tuple[str, float]] = field(default_factory=list)
    groups: dict[str, tuple[int, float]] = field(default_factory=dict)  # id → memory bytes, CPU seconds
    stacks: list[tuple[str, str | None, str | None]] = field(default_factory=list)  # name, current, pending
    locked: bool = False
    owner: str = ""
    hold: Hold | None = None
    failed: dict[str, str] = field(default_factory=dict)  # stack → directory of the release whose revert failed


class MetricsParser:
    """Lines in, samples out; keeps what it needs from one sample to the next."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._block = _Block()
        self._cpus = 0
        self._skew_s: float | None = None
        self._disks: tuple[Disk, ...] = ()
        self._table: list[tuple[str, Disk]] | None = None  # rows of the df output that is being read
        self._before: _Block | None = None

    def feed(self, raw: bytes, *, at_boot_s: float, now: datetime, rtt_s: float | None = None) -> Sample | None:
        """Take one line that came at `at_boot_s` (wall clock `now`); a sample when the line ends one."""
        line = clean_line(raw[:_LINE_LIMIT], limit=_LINE_LIMIT)
        if self._table is not None:
            self._disk_row(line)
            return None
        key, _, rest = line.partition(" ")
        if key == "end":
            return self._finish(at_boot_s)
        try:
            self._take(key, rest.strip(), now, rtt_s or 0.0)
        except (ValueError, OverflowError):
            return None  # not a number where one belongs: as good as not sent
        return None

    def _take(self, key: str, rest: str, now: datetime, rtt_s: float) -> None:
        match key:
            case "df":
                self._table = []
            case "date":
                self._skew_s = _number(rest) + rtt_s / 2 - now.timestamp()
            case "cpus":
                self._cpus = min(_count(rest), 4096)
            case "temp" | "mem" | "load" | "uptime" | "cpu":
                self._machine(key, rest.split())
            case "cg" | "stack" | "failed":
                self._listed(key, rest)
            case "lock":
                self._block.locked = rest == "busy"
            case "owner":
                self._block.owner = rest
            case "hold":
                self._block.hold = Hold.read(rest)

    def _machine(self, key: str, words: list[str]) -> None:
        block = self._block
        if key == "load" and len(words) >= 3:
            block.load = (_number(words[0]), _number(words[1]), _number(words[2]))
        elif key == "uptime" and words:
            block.uptime_s = _number(words[0])
        elif key == "mem" and len(words) == 2:
            block.memory[words[0].rstrip(":")] = _count(words[1]) * 1024
        elif key == "temp" and words and len(block.temperatures) < _ROWS_LIMIT:
            block.temperatures.append((" ".join(words[1:]), _number(words[0]) / 1000))
        elif key == "cpu" and len(words) >= 4:
            ticks = [_count(word) for word in words[:8]]  # guest time is part of user time already
            block.cpu = (sum(ticks[3:5]), sum(ticks))

    def _listed(self, key: str, rest: str) -> None:
        if key == "cg" and len(self._block.groups) < _ROWS_LIMIT:
            container, memory, cpu, unit = rest.split()
            used = max(0, int(memory[:20]))
            self._block.groups[container] = (used, _count(cpu) / (1e9 if unit == "ns" else 1e6))
        elif key == "stack" and len(self._block.stacks) < _ROWS_LIMIT:
            current, pending, name = rest.split(" ", 2)
            self._block.stacks.append((name, _link(current), _link(pending)))
        elif key == "failed" and len(self._block.failed) < _ROWS_LIMIT:
            name, directory = rest.split(" ", 1)
            self._block.failed[name] = directory

    def _disk_row(self, line: str) -> None:
        """A row of `df -P -k`: device, blocks, used, available, share, mount."""
        table = self._table if self._table is not None else []
        if line in ("df-end", "end"):
            self._disks, self._table = _distinct(table), None
            return
        words = line.split(None, 5)
        if len(words) != 6 or len(table) >= _ROWS_LIMIT:
            return
        device, mount = words[0], words[5]
        try:
            size, used, available = (_count(word) * 1024 for word in words[1:4])
        except (ValueError, OverflowError):
            return
        real = "/" in device and not device.startswith("/dev/loop") and not mount.startswith(_NO_DISK)
        if size and (real or mount == "/"):
            table.append((device, Disk(mount, size, used, available)))

    def _finish(self, at_boot_s: float) -> Sample:
        block, before = self._block, self._before
        metrics = self._metrics(block, before, at_boot_s)
        sample = Sample(metrics, _usage(block, before), self._deploys(block), block.hold)
        self._before, self._block = block, _Block()
        return sample

    def _metrics(self, block: _Block, before: _Block | None, at_boot_s: float) -> Metrics | None:
        memory = block.memory
        if block.load is None or block.uptime_s is None or not {"MemTotal", "MemAvailable"} <= memory.keys():
            return None
        swap = memory.get("SwapTotal", 0)
        return Metrics(
            at_boot_s=at_boot_s,
            load1=block.load[0],
            load5=block.load[1],
            load15=block.load[2],
            cpus=self._cpus,
            cpu_percent=_cpu_percent(block, before),
            memory_total_bytes=memory["MemTotal"],
            memory_available_bytes=memory["MemAvailable"],
            swap_total_bytes=swap,
            swap_used_bytes=max(0, swap - memory.get("SwapFree", swap)),
            disks=self._disks,
            uptime_s=block.uptime_s,
            clock_skew_s=self._skew_s,
            temperature_c=_temperature(block.temperatures),
        )

    def _deploys(self, block: _Block) -> tuple[DeployState, ...]:
        pending = [name for name, _, waiting in block.stacks if waiting is not None]
        return tuple(
            DeployState(
                stack=f"{self._host}/{name}",
                current=current,
                pending=waiting,
                busy=waiting is not None and block.locked and _holds(name, pending, block.owner),
                owner=block.owner if block.locked else "",
                revert_failed=block.failed.get(name, ""),
            )
            for name, current, waiting in block.stacks
        )


def _holds(stack: str, pending: list[str], owner: str) -> bool:
    """Whether the lock's holder works on `stack`: one lock per host, and an interrupted stack may lie beside it."""
    return len(pending) == 1 or stack in owner.replace("=", " ").replace("/", " ").split()


def _usage(block: _Block, before: _Block | None) -> dict[str, Usage]:
    elapsed = (block.uptime_s or 0.0) - (before.uptime_s or 0.0) if before else 0.0
    known = before.groups if before else {}
    usage = {}
    for container, (memory, cpu_s) in block.groups.items():
        percent = None
        if container in known and elapsed > 0 and cpu_s >= known[container][1]:
            percent = 100 * (cpu_s - known[container][1]) / elapsed
        usage[container] = Usage(memory, percent)
    return usage


def _cpu_percent(block: _Block, before: _Block | None) -> float | None:
    """The busy share of all CPUs since the sample before."""
    if block.cpu is None or before is None or before.cpu is None:
        return None
    idle, total = block.cpu[0] - before.cpu[0], block.cpu[1] - before.cpu[1]
    return min(100.0, max(0.0, 100 * (total - idle) / total)) if total > 0 else None


def _temperature(sensors: list[tuple[str, float]]) -> float | None:
    """The processor's sensor where one names itself so, else the warmest; impossible readings are left out."""
    real = [(kind.lower(), degrees) for kind, degrees in sensors if -40 < degrees < 150]
    named = [degrees for kind, degrees in real if kind.startswith(_CPU_SENSORS)]
    return max(named or [degrees for _, degrees in real], default=None)


def _distinct(rows: list[tuple[str, Disk]]) -> tuple[Disk, ...]:
    """One row per filesystem, the one mounted highest; the root first.

    The same figures under another device are the same filesystem too: an overlay on it, a subvolume.
    """
    best: dict[str, Disk] = {}
    for device, disk in sorted(rows, key=lambda row: len(row[1].mount)):
        figures = (disk.size_bytes, disk.used_bytes, disk.available_bytes)
        if all(figures != (known.size_bytes, known.used_bytes, known.available_bytes) for known in best.values()):
            best.setdefault(device, disk)
    return tuple(sorted(best.values(), key=lambda disk: disk.mount))


def _number(word: str) -> float:
    value = float(word)
    if not isfinite(value):
        raise ValueError(word)
    return value


def _count(word: str) -> int:
    """A non-negative whole number of at most 20 digits."""
    value = int(word[:21])
    if value < 0 or value >= 10**20:
        raise ValueError(word)
    return value


def _link(word: str) -> str | None:
    return None if word == "-" else word
