"""The figures of a simulated host, as the kernel would show them below `/proc` and `/sys`.

Every figure is a function of the host, the seed and the clock, so that two cockpits on one demo see the same.
"""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

from vpai_tui.demo import creative, machine
from vpai_tui.demo.engine import usage
from vpai_tui.demo.engine.life import life
from vpai_tui.demo.engine.store import Doc, Engine, fraction, hex_of
from vpai_tui.demo.hosts import PROFILES, HostProfile

_TICKS = 100  # per second and CPU
_STEP_S = 5.0  # noise holds this long
_SCOPES = "fs/cgroup/system.slice"


def _wave(key: str, now: float, period_s: float) -> float:
    """Between -1 and 1, slowly; another phase for every key."""
    return math.sin(2 * math.pi * (now / period_s + fraction(key)))


def _noise(key: str, now: float) -> float:
    """Between 0 and 1, another value every few seconds."""
    return fraction(f"{key} {int(now // _STEP_S)}")


def load_of(profile: HostProfile, seed: int, now: float) -> float:
    """The load of the last minute."""
    key = f"{profile.name} {seed}"
    level = 1 + 0.35 * _wave(key, now, 420) + 0.15 * _wave(key + "b", now, 97) + 0.3 * (_noise(key, now) - 0.5)
    return max(0.01, profile.load * level)


def write(home: Path, profile: HostProfile, seed: int, now: float) -> None:
    """Write `proc/` and `sys/` of one host as they stand at `now` (seconds since the epoch)."""
    state = Engine(home).read()
    booted = state["booted"]
    loads = [load_of(profile, seed, now), load_of(profile, seed, now - 90), load_of(profile, seed, now - 400)]
    memories = {c["id"]: memory_of(c, now) for c in state["containers"].values()}
    files = {
        "proc/uptime": f"{now - booted:.2f} {(now - booted) * profile.cpus * 0.7:.2f}\n",
        "proc/loadavg": f"{loads[0]:.2f} {loads[1]:.2f} {loads[2]:.2f} 2/{300 + len(memories) * 9} 41233\n",
        "proc/stat": _stat(profile, seed, now, booted),
        "proc/meminfo": _meminfo(profile, seed, now, sum(memories.values())),
        "proc/cpuinfo": "".join(f"processor\t: {n}\n\n" for n in range(profile.cpus)),
        **_disks(home, profile, state),
        "proc/sys/kernel/random/boot_id": f"{hex_of(f'boot {profile.name} {booted}')[:32]}\n",
        "proc/net/fib_trie": f"           |-- {profile.vpn}\n              /32 host LOCAL\n",
    }
    if profile.hot:
        celsius = 52 + 9 * min(1.5, loads[0] / profile.cpus * 2) + 1.5 * _noise("heat", now)
        files["sys/class/thermal/thermal_zone0/temp"] = f"{int(celsius * 1000)}\n"
        files["sys/class/thermal/thermal_zone0/type"] = "cpu-thermal\n"
    for container in state["containers"].values():
        if life(container, now).status == "running":
            files |= _scope(container, memories[container["id"]], now)
            files.update([creative.network(container, now)])
    _put(home, files)


def _stat(profile: HostProfile, seed: int, now: float, booted: float) -> str:
    up = now - booted
    busy = min(0.95, profile.load / profile.cpus)
    # The integral of a rate that swings around `busy`: it never runs backwards.
    swing = 0.5 * busy * 60 / (2 * math.pi) * (1 - math.cos(2 * math.pi * (now / 60 + fraction(profile.name))))
    used = (busy * up + swing) * _TICKS
    rows = []
    for name, share in [("cpu ", float(profile.cpus)), *((f"cpu{n}", 1.0) for n in range(profile.cpus))]:
        user, system = int(used * share * 0.7), int(used * share * 0.25)
        waiting = int(used * share * 0.05)
        idle = int(up * _TICKS * share) - user - system - waiting
        rows.append(f"{name} {user} 0 {system} {idle} {waiting} 0 0 0 0 0\n")
    return "".join(rows) + f"btime {int(booted)}\nprocesses 41233\n"


def memory_of(container: Doc, now: float) -> int:
    """Bytes a container uses; 0 when it does not run."""
    if life(container, now).status != "running":
        return 0
    if (situation := creative.held(container)) is not None:
        return situation
    key = container["id"]
    roof = container["limits"].get("memory") or 160_000_000
    share = 0.25 + 0.3 * fraction("memory " + container["image"])
    return int(roof * share * (1 + 0.06 * _wave(key, now, 300) + 0.02 * (_noise(key, now) - 0.5)))


def available_bytes(profile: HostProfile, seed: int, now: float, containers_bytes: int) -> int:
    """What a host's programs could still have, where its containers hold so much."""
    total = profile.memory_bytes // 1024
    base = profile.memory_bytes * (0.14 + 0.01 * _wave(f"{profile.name} {seed} memory", now, 600))
    return (total - min(int(base + containers_bytes) // 1024, int(total * 0.97))) * 1024


def _meminfo(profile: HostProfile, seed: int, now: float, containers_bytes: int) -> str:
    total = profile.memory_bytes // 1024
    used = total - available_bytes(profile, seed, now, containers_bytes) // 1024
    swap = profile.swap_bytes // 1024
    rows = {
        "MemTotal": total,
        "MemFree": (total - used) // 3,
        "MemAvailable": total - used,
        "Buffers": total // 80,
        "Cached": (total - used) // 2,
        "SwapTotal": swap,
        "SwapFree": swap - swap // 9,
    }
    return "".join(f"{name + ':':<16}{value:>8} kB\n" for name, value in rows.items())


def disk_used_bytes(profile: HostProfile, state: Doc, extra: int = 0) -> int:
    """What is taken of `/`."""
    images: int = sum(image["size"] for image in state["images"].values())
    taken = int(profile.disk_bytes * profile.disk_used) + images + usage.cache_bytes(state) + extra
    return min(taken, int(profile.disk_bytes * 0.99))


def _disks(home: Path, profile: HostProfile, state: Doc) -> dict[str, str]:
    extra = machine.extra_bytes(home)
    return {"proc/df.k": _df(profile, state, 1024, extra), "proc/df.1": _df(profile, state, 1, extra)}


def renew_disks(engine: Engine) -> None:
    """What `df` tells after something was removed: it is asked at once by whoever removed it."""
    state = engine.read()
    for name, text in _disks(engine.home, PROFILES[state["host"]], state).items():
        path = engine.home / name
        if path.exists():
            fresh = path.with_name(f".{path.name}.{os.getpid()}")
            fresh.write_text(text)
            fresh.replace(path)


def _df(profile: HostProfile, state: Doc, unit: int, extra: int) -> str:
    size = profile.disk_bytes
    used = disk_used_bytes(profile, state, extra)
    title = "1024-blocks" if unit == 1024 else "1-blocks"
    rows = [("/dev/sda1", size, used, "/"), ("tmpfs", profile.memory_bytes // 2, 1_400_000, "/dev/shm")]  # noqa: S108
    rows += [("/dev/sda15", 130_000_000, 12_800_000, "/boot/efi")] if profile.arch == "amd64" else []
    shown = [f"Filesystem {title} Used Available Capacity Mounted on\n"]
    for device, whole, taken, mount in rows:
        percent = math.ceil(100 * taken / whole)
        shown.append(f"{device} {whole // unit} {taken // unit} {(whole - taken) // unit} {percent}% {mount}\n")
    return "".join(shown)


def cpu_seconds(container: Doc, now: float) -> float:
    """CPU time a container has used since it was created; never runs backwards."""
    age = max(0.0, now - float(container["created"]))
    rate = 0.004 + 0.06 * fraction("cpu " + container["image"]) ** 2
    period = 30 + 60 * fraction(container["id"])
    swing = rate * period / (2 * math.pi) * (1 - math.cos(2 * math.pi * now / period)) * 0.8
    return rate * age + swing


def _scope(container: Doc, memory: int, now: float) -> dict[str, str]:
    folder = f"sys/{_SCOPES}/docker-{container['id']}.scope"
    used_us = int(cpu_seconds(container, now) * 1_000_000)
    return {
        f"{folder}/memory.current": f"{memory}\n",
        f"{folder}/memory.stat": f"anon {memory * 3 // 4}\nfile {memory // 4}\ninactive_file {memory // 10}\n",
        f"{folder}/cpu.stat": f"usage_usec {used_us}\nuser_usec {used_us * 7 // 10}\nsystem_usec {used_us * 3 // 10}\n",
    }


def _put(home: Path, files: dict[str, str]) -> None:
    scopes = home / "sys" / _SCOPES
    wanted = {Path(name).parts[4] for name in files if name.startswith(f"sys/{_SCOPES}/")}
    for name, text in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        fresh.write_text(text)
        fresh.replace(path)
    processes = {Path(name).parts[1] for name in files if name.startswith("proc/")}
    for entry in (home / "proc").iterdir():
        if entry.name.isdigit() and entry.name not in processes:
            shutil.rmtree(entry, ignore_errors=True)
    if scopes.is_dir():
        for gone in [entry for entry in scopes.iterdir() if entry.name not in wanted]:
            for entry in gone.iterdir():
                entry.unlink(missing_ok=True)
            gone.rmdir()
