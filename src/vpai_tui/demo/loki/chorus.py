"""The lines of the demo's fleet as Loki has them: a function of the clock and of what the engines know.

Every container that a stack runs speaks while it runs; a start, a stop and a crash leave their lines, and so does what
misses a service that is down. Lines are made minute by minute, when they are asked for, and six hours of them are kept.
"""

from __future__ import annotations

import math
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from vpai_tui.demo.engine.life import CRASH_RUN_S
from vpai_tui.demo.engine.store import Doc, Engine, EngineError, fraction
from vpai_tui.demo.loki.levels import detected
from vpai_tui.demo.loki.model import Arrived, Entry, Key, Labels, Match, S, key_of, with_service_name
from vpai_tui.demo.loki.speech import Kind, Moment, Said
from vpai_tui.demo.loki.voices import access, kind_of, refused
from vpai_tui.demo.registry import behaviour_of

KEPT_S = 6 * 3600
_MINUTES_KEPT = 4000  # of lines in memory, over all services
_LATE_S = 20.0  # how late a late line is
_LATE_SHARE = 0.002  # of lines that come late on a good day
_SETTLED_S = _LATE_S + 3  # what is older has come
_COMPOSE = "com.docker.compose."
_STACK = re.compile(r"/deploy/stacks/([^/,]+)/releases/")
# What a service misses when another of the host is down, and where it looks for it.
_NEEDS = {"n8n": {"postgresql": 5432, "redis": 6379}, "litellm": {"postgresql": 5432, "redis": 6379}}
_NEEDS |= {"openclaw": {"litellm": 4000}, "kaneo-api": {"postgresql": 5432}}
_NEEDS |= {"sure-web": {"postgresql": 5432, "redis": 6379}, "sure-worker": {"postgresql": 5432, "redis": 6379}}
_NEEDS["caddy"] = {"n8n": 5678, "litellm": 4000, "qdrant": 6333, "openclaw": 18789, "grafana": 3000, "sure-web": 3000}
_NAMES = {
    "n8n": "mayi",
    "litellm": "llm",
    "qdrant": "qd",
    "openclaw": "javisi",
    "grafana": "tala",
    "sure-web": "nzimbu",
}


@dataclass(slots=True)
class Life:
    """What the engine's events tell of a service: spans in which it was down, when it was stopped and started, and
    from when to when bits that crash stood in its place."""

    down: list[tuple[float, float]] = field(default_factory=list)
    stops: list[float] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    crashed: list[tuple[float, float, str]] = field(default_factory=list)  # with their image


@dataclass(slots=True)
class Singer:
    """A container that writes lines."""

    host: str
    labels: Labels
    kind: Kind
    container: Doc
    life: Life

    @property
    def levels(self) -> tuple[str, ...]:
        """Those of its lines; more where something happened to it, or to what it needs."""
        usual = self.kind.levels
        fell = any(began > 0 for began, _ in self.life.down)  # what was not there at first is no trouble
        calm = not fell and self.service not in _NEEDS and self.container["behaviour"] in ("", "flap")
        return usual if calm else tuple(dict.fromkeys((*usual, "error", "")))

    def plain(self, text: str) -> Said:
        """A line of no consequence."""
        return Said("info" if "info" in self.levels else "", text)

    @property
    def service(self) -> str:
        return self.labels["service"]

    def key(self, level: str) -> Key:
        return key_of(with_service_name({**self.labels, "level": level} if level else self.labels))

    def silent(self, seconds: float) -> bool:
        return any(begin <= seconds < end for begin, end in self.life.down)


class Chorus:
    """All containers of the hosts below `folder`, as a source of entries."""

    def __init__(self, folder: Path, hosts: Sequence[str], seed: int) -> None:
        self._engines = {host: Engine(folder / host) for host in hosts}
        self._seed = seed
        self._lock = threading.Lock()  # requests are answered in threads
        self._singers: dict[str, tuple[tuple[int, int], list[Singer]]] = {}
        self._minutes: OrderedDict[tuple[str, str, int], list[tuple[str, Entry]]] = OrderedDict()

    # ── as a source ──────────────────────────────────────────────────────────────────────────────────────────────

    def streams(self, now: int) -> Iterable[Key]:
        return [singer.key(level) for singer in self._all() for level in singer.levels]

    def select(self, match: Match, start: int, end: int, now: int) -> Iterable[tuple[Key, list[Entry]]]:
        found: dict[Key, list[Entry]] = {}
        for singer, key, entry in self._between(match, max(start, now - KEPT_S * S), min(end, now + 1)):
            if entry.ts < now - _SETTLED_S * S or self.arrival(singer.host, entry) <= now:
                found.setdefault(key, []).append(entry)
        return found.items()

    def arrivals(self, match: Match, after: int, until: int) -> list[Arrived]:
        low = after - int(_SETTLED_S * S)
        found = [
            Arrived(at, key, entry)
            for singer, key, entry in self._between(match, low, until)
            if after < (at := self.arrival(singer.host, entry)) <= until
        ]
        return sorted(found, key=lambda it: (it.at, it.entry.ts))

    def arrival(self, host: str, entry: Entry) -> int:
        """When an entry reaches Loki: its host's shipper sends once a second, and rarely a line waits longer."""
        phase = fraction(f"ships {host}")
        seconds = entry.ts / S
        sent = math.floor(seconds - phase) + 1 + phase + 0.06
        late = _LATE_S if fraction(f"late {entry.ts}") < _LATE_SHARE else 0.0
        return int((sent + late) * S)

    def own(self, container: Doc, start: int, end: int) -> list[tuple[str, Entry]]:
        """What a container itself has of its lines in [start, end), each with its level."""
        everybody = list(self._all())
        mine = next((it for it in everybody if it.container["id"] == container["id"]), None)
        if mine is None:
            return []
        return [item for item in self._lines(mine, everybody, start, end) if start <= item[1].ts < end]

    # ── who there is ─────────────────────────────────────────────────────────────────────────────────────────────

    def _all(self) -> Iterator[Singer]:
        for host, engine in self._engines.items():
            try:
                stamp = engine.stamp()
                known = self._singers.get(host)
                if known is None or known[0] != stamp:
                    known = self._singers[host] = (stamp, list(_singers(host, engine.read())))
            except (OSError, EngineError):
                continue
            yield from known[1]

    # ── what they say ────────────────────────────────────────────────────────────────────────────────────────────

    def _between(self, match: Match, start: int, end: int) -> Iterator[tuple[Singer, Key, Entry]]:
        """The entries in [start, end) of the streams that match, each stream's in time order."""
        everybody = list(self._all())
        for singer in everybody:
            keys = {level: singer.key(level) for level in singer.levels}
            keys = {level: key for level, key in keys.items() if match(dict(key))}
            if not keys or start >= end:
                continue
            for level, entry in self._lines(singer, everybody, start, end):
                if start <= entry.ts < end and level in keys:
                    yield singer, keys[level], entry

    def _lines(self, singer: Singer, everybody: list[Singer], start: int, end: int) -> Iterator[tuple[str, Entry]]:
        usual = (
            item
            for minute in range(start // S // 60, end // S // 60 + 1)
            for item in self._minute(singer, minute)
            if not singer.silent(item[1].ts / S)
        )
        special = [
            (said.level, _entry(singer, at, said))
            for at, said in self._events(singer, everybody, start / S - 1, end / S + 1)
        ]
        return iter(sorted([*usual, *special], key=lambda it: it[1].ts)) if special else usual

    def _minute(self, singer: Singer, minute: int) -> list[tuple[str, Entry]]:
        """What it says in a minute in which it runs."""
        wanted = (singer.host, singer.service, minute)
        with self._lock:
            known = self._minutes.get(wanted)
            if known is not None:
                self._minutes.move_to_end(wanted)
                return known
        dice = Random(f"{self._seed} {' '.join(map(str, wanted))}")  # noqa: S311 (a demo's lines)
        found: list[tuple[str, Entry]] = []
        trouble = singer.host == "sese" and self.trouble(minute)
        for place in sorted(dice.random() for _ in range(round(singer.kind.a_minute * (0.5 + dice.random())))):
            seconds = minute * 60 + place * 59.99  # all that is said at once is of this minute
            for number, said in enumerate(singer.kind.voice(Moment(seconds, dice, trouble))):
                found.append((said.level, _entry(singer, seconds + number * 0.000_2, said)))
        found.sort(key=lambda it: it[1].ts)
        with self._lock:
            self._minutes[wanted] = found
            if len(self._minutes) > _MINUTES_KEPT:
                self._minutes.popitem(last=False)
        return found

    def trouble(self, minute: int) -> bool:
        """Whether the database of Sese-AI lets nobody in: three minutes of most hours."""
        hour, place = divmod(minute, 60)
        begins = int(fraction(f"{self._seed} trouble at {hour}") * 56)
        return fraction(f"{self._seed} trouble {hour}") < 0.9 and begins <= place < begins + 3

    # ── what happens to them ─────────────────────────────────────────────────────────────────────────────────────

    def _events(
        self, singer: Singer, everybody: list[Singer], start: float, end: float
    ) -> Iterator[tuple[float, Said]]:
        """Lines around starts and stops, of it and of what it needs."""
        behaviour = singer.container["behaviour"]
        for began in singer.life.starts:
            if start - 5 <= began <= end and behaviour != "crash":
                yield from _banner(singer, began)
        for stopped in singer.life.stops:
            if start <= stopped <= end:
                yield stopped - 0.02, singer.plain("received SIGTERM, shutting down")
        for began, ended, image in singer.life.crashed:
            yield from _crashes(singer, image, began, ended, start, end)
        if behaviour == "unhealthy":
            yield from _complaints(singer, start, end, "a service it needs", 5432)
        needs = _NEEDS.get(singer.service, {})
        for other in everybody:
            if other.host == singer.host and other.service in needs:
                for stopped, back in other.life.down:
                    low, high = max(start, stopped + 0.4, 0.0), min(end, back + 1.5)
                    yield from _complaints(singer, low, high, other.service, needs[other.service])


def _entry(singer: Singer, seconds: float, said: Said) -> Entry:
    labels = {**singer.labels, "level": said.level} if said.level else singer.labels
    return Entry(int(seconds * S), said.text, (("detected_level", detected(said.text, labels, {})),))


def _banner(singer: Singer, began: float) -> Iterator[tuple[float, Said]]:
    image = singer.container["image"]
    for number, text in enumerate((f"starting {image}", "configuration loaded", "ready to serve")):
        yield began + 0.05 + 0.6 * number, singer.plain(text)


def _crashes(
    singer: Singer, image: str, began: float, last: float, start: float, end: float
) -> Iterator[tuple[float, Said]]:
    """Of a process that ends at once and is started again, with pauses that grow to a minute."""
    wait = 0.1
    told = 'level=error msg="cannot load configuration" error="unknown directive \\"respond_to\\" at line 14"'
    while began <= min(end, last):
        if began >= start - 1:
            yield began, singer.plain(f"starting {image}")
            yield began + 0.2, Said("error", told)
            yield began + 0.3, Said("", "panic: exit status 1")
        began, wait = began + CRASH_RUN_S + wait, min(wait * 2, 60.0)


def _complaints(singer: Singer, start: float, end: float, needed: str, port: int) -> Iterator[tuple[float, Said]]:
    """Every second and a half of a span, at moments that do not depend on where it is cut."""
    for number in range(math.ceil(start / 1.5), math.ceil(end / 1.5)):
        seconds = number * 1.5
        dice = Random(f"{singer.service} misses {needed} at {number}")  # noqa: S311 (a demo's lines)
        if singer.silent(seconds):
            continue
        at = Moment(seconds, dice)
        lines = refused(at, singer.service, needed, port)
        if singer.service == "caddy":
            lines = [*lines, access(at, 502, _NAMES.get(needed, ""))]
        for place, said in enumerate(lines):
            yield seconds + place * 0.000_2, said


def _singers(host: str, state: Doc) -> Iterator[Singer]:
    for container in state["containers"].values():
        labels = container["labels"]
        service = labels.get(f"{_COMPOSE}service")
        if service is None or container["started"] is None or container["behaviour"] == "oneshot":
            continue
        stack = _STACK.search(labels.get(f"{_COMPOSE}project.config_files", ""))
        known = {"host": host, "stack": stack[1] if stack else labels[f"{_COMPOSE}project"]}
        known |= {"service": service, "container": container["name"]}
        yield Singer(host, known, kind_of(container["image"]), container, _life(state, container))


def _life(state: Doc, container: Doc) -> Life:
    names = f"{_COMPOSE}project", f"{_COMPOSE}service"
    who = [container["labels"].get(name) for name in names]
    events = [
        (event["at"], event["action"], str(event["attributes"].get("image", "")))
        for event in state["events"]
        if event["type"] == "container" and [event["attributes"].get(name) for name in names] == who
    ]
    found = Life()
    since: float | None = None
    crashing: tuple[float, str] | None = None
    for place, (at, action, image) in enumerate(sorted(events)):
        if crashing is not None and action in ("die", "destroy", "start"):
            found.crashed.append((crashing[0], at, crashing[1]))
            found.down.append((crashing[0], at))
            crashing = None
        if action == "die" and since is None:
            since = at
            found.stops.append(at)
        elif action == "create" and place == 0:
            since = 0.0  # the first of its kind
        elif action == "start":
            if behaviour_of(image) == "crash" and image != container["image"]:
                crashing = (at, image)
            else:
                found.starts.append(at)
            if since is not None:
                found.down.append((since, at))
            since = None
    if container["behaviour"] == "crash":
        stopped = container["stopped"] or math.inf
        found.crashed.append((float(container["started"] or 0), stopped, container["image"]))
        since = container["started"] if since is None else since
    if since is not None:
        found.down.append((since, math.inf))
    return found
