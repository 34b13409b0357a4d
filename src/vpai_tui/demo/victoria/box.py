"""The server in its simulated container, and the figures it has of the simulated fleet: sese's containers by cAdvisor,
every host by the node exporter. The same functions draw what the hosts show now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from vpai_tui.demo import proc
from vpai_tui.demo.broken import broken
from vpai_tui.demo.engine.life import life
from vpai_tui.demo.engine.store import Doc, Engine
from vpai_tui.demo.hosts import PROFILES, HostProfile
from vpai_tui.demo.victoria.api import Handler, Victoria, handler
from vpai_tui.demo.victoria.query import NAME
from vpai_tui.demo.victoria.tracks import Drawn, Match, Pushed, Track

PORT = 8428
_GROWTH = 0.004  # of a disk's size, a day
_DAY_S = 86400.0


class Drawing:
    """All tracks of the fleet, made anew for each question: containers come and go."""

    def __init__(self, folder: Path, hosts: Sequence[str], seed: int, home: str) -> None:
        self._folder, self._hosts, self._seed, self._home = folder, hosts, seed, home

    def select(self, match: Match) -> list[Track]:
        found: list[Track] = []
        for host in self._hosts:
            engine = Engine(self._folder / host)
            now, state = engine.now(), engine.read()
            containers = list(state["containers"].values())
            tracks = _machine(PROFILES[host], self._seed, state, now)
            if host == self._home:  # the others ship no figures of their containers
                nameless = broken(self._folder, "container-series")
                tracks = _all(tracks, _group(host, now) if nameless else _containers(host, containers, now))
            found += [track for track in tracks if match(track.labels)]
        return found


def _all(*parts: Iterator[Drawn]) -> Iterator[Drawn]:
    for part in parts:
        yield from part


def _group(host: str, now: float) -> Iterator[Drawn]:
    """What cAdvisor sees where it has no way to the engine: the control group of all, and no name."""
    labels = {NAME: "container_memory_working_set_bytes", "host": host, "id": "/", "job": "cadvisor"}
    yield Drawn(labels, lambda _: 5.1e9, now - 86400.0, now)


def _containers(host: str, containers: list[Doc], now: float) -> Iterator[Drawn]:
    for it in containers:
        if it["started"] is None:
            continue
        labels = {"host": host, "container": it["name"], "job": "cadvisor"}
        if service := it["labels"].get("com.docker.compose.service"):
            labels["service"] = service
        since = float(it["created"])
        until = now if it["stopped"] is None else float(it["stopped"])
        cpu = {NAME: "container_cpu_usage_seconds_total", "cpu": "total", **labels}
        yield Drawn(cpu, partial(proc.cpu_seconds, it), since, until)
        memory = {NAME: "container_memory_working_set_bytes", **labels}
        yield Drawn(memory, partial(proc.memory_of, it), since, until)


def _machine(profile: HostProfile, seed: int, state: Doc, now: float) -> Iterator[Drawn]:
    containers = [it for it in state["containers"].values() if it["started"] is not None]

    def drawn(name: str, value: Callable[[float], float], **labels: str) -> Drawn:
        return Drawn({NAME: name, "host": profile.name, "job": "node", **labels}, value, now_s=now)

    def available(at: float) -> float:
        used = sum(proc.memory_of(it, at) for it in containers if it["started"] <= at)
        return proc.available_bytes(profile, seed, at, used)

    yield drawn("node_load1", partial(proc.load_of, profile, seed))
    yield drawn("node_load5", lambda at: proc.load_of(profile, seed, at - 90))
    yield drawn("node_memory_MemTotal_bytes", lambda _: float(profile.memory_bytes))
    yield drawn("node_memory_MemAvailable_bytes", available)
    disk = {"mountpoint": "/", "fstype": "ext4", "device": "/dev/sda1"}
    size = profile.disk_bytes
    left = size - proc.disk_used_bytes(profile, state)
    yield drawn("node_filesystem_size_bytes", lambda _: float(size), **disk)
    yield drawn("node_filesystem_avail_bytes", lambda at: left + size * _GROWTH * (now - at) / _DAY_S, **disk)


class Box:
    """The demo's VictoriaMetrics, for all hosts; one for each process that serves the demo."""

    def __init__(self, folder: Path, hosts: Sequence[str], seed: int) -> None:
        self._folder, self._hosts, self._seed = folder, hosts, seed
        self._pushed = Pushed()

    def listener(self, engine: Engine, host: str, port: int) -> Handler | None:
        """Who answers at this address of an engine's network; None: nobody."""
        found = _running(engine) if port == PORT else None
        if found is None or host not in {it.get("ip") for it in found["networks"].values()}:
            return None
        drawing = Drawing(self._folder, self._hosts, self._seed, engine.home.name)
        return handler(Victoria(drawing, self._pushed, engine.now))


def _running(engine: Engine) -> Doc | None:
    everyone: dict[str, Doc] = engine.read()["containers"]
    now = engine.now()
    return next((it for it in everyone.values() if _is(it) and life(it, now).status == "running"), None)


def _is(container: Doc) -> bool:
    return str(container["image"]).partition("@")[0].rpartition(":")[0].rpartition("/")[2] == "victoria-metrics"
