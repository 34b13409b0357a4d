"""Pushed entries: kept in the demo's folder, in the order in which they came."""

from __future__ import annotations

import bisect
import fcntl
import json
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from vpai_tui.demo.loki.model import Arrived, Entry, Key, Match, Source


class Pushed:
    """What was pushed. With `path` it is a file there, which other cockpits on the same demo read and write too."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.RLock()  # requests are answered in threads
        self._read_to = 0
        self._arrived: list[Arrived] = []
        self._streams: dict[Key, list[Entry]] = {}
        self._known: dict[Key, set[tuple[int, str]]] = {}
        self._last: dict[Key, Entry] = {}
        self._told_to = 0  # arrivals were asked for up to here: what is taken in now comes later than that

    def push(self, batch: Sequence[tuple[Key, Entry]], now: int) -> None:
        """Take entries in. One that equals its stream's last line is passed over, as an ingester does."""
        if self._path is None:
            with self._lock:
                self._take([Arrived(now, stream, entry) for stream, entry in batch])
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps([now, stream, *entry]) + "\n" for stream, entry in batch]
        with self._path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write("".join(lines))
        self._refresh()

    def _refresh(self) -> None:
        """Read what was added to the file since."""
        if self._path is None or not self._path.exists():
            return
        with self._lock, self._path.open("rb") as file:
            self._read_on(file)

    def _read_on(self, file: BinaryIO) -> None:
        file.seek(self._read_to)
        data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read_to += len(whole)
        new = []
        for line in whole.split(b"\n")[:-1]:
            at, stream, ts, text, meta = json.loads(line)
            entry = Entry(ts, text, tuple((name, value) for name, value in meta))
            new.append(Arrived(at, tuple((name, value) for name, value in stream), entry))
        self._take(new)

    def _take(self, new: list[Arrived]) -> None:
        for item in new:
            last = self._last.get(item.stream)
            entry = item.entry
            if last is not None and last.ts == entry.ts and last.line == entry.line:
                continue
            self._last[item.stream] = entry
            self._arrived.append(item._replace(at=max(item.at, self._told_to + 1)))
            known = self._known.setdefault(item.stream, set())
            if (entry.ts, entry.line) not in known:  # same stream, time and line is stored once, the first stays
                known.add((entry.ts, entry.line))
                bisect.insort(self._streams.setdefault(item.stream, []), entry, key=lambda it: it.ts)

    def streams(self, now: int) -> Iterable[Key]:
        self._refresh()
        return list(self._streams)

    def select(self, match: Match, start: int, end: int, now: int) -> Iterable[tuple[Key, list[Entry]]]:
        self._refresh()
        with self._lock:
            return [
                (stream, found)
                for stream, entries in self._streams.items()
                if match(dict(stream)) and (found := _between(entries, start, end))
            ]

    def arrivals(self, match: Match, after: int, until: int) -> list[Arrived]:
        self._refresh()
        with self._lock:
            self._told_to = max(self._told_to, until)
            low = bisect.bisect_right(self._arrived, after, key=lambda it: it.at)
            high = bisect.bisect_right(self._arrived, until, key=lambda it: it.at)
            return [item for item in self._arrived[low:high] if match(dict(item.stream))]


def _between(entries: list[Entry], start: int, end: int) -> list[Entry]:
    low = bisect.bisect_left(entries, start, key=lambda it: it.ts)
    return entries[low : bisect.bisect_left(entries, end, key=lambda it: it.ts)]


class Together:
    """Several sources as one; each has streams of its own."""

    def __init__(self, *sources: Source) -> None:
        self._sources = sources

    def streams(self, now: int) -> Iterable[Key]:
        return [stream for source in self._sources for stream in source.streams(now)]

    def select(self, match: Match, start: int, end: int, now: int) -> Iterable[tuple[Key, list[Entry]]]:
        for source in self._sources:
            yield from source.select(match, start, end, now)

    def arrivals(self, match: Match, after: int, until: int) -> list[Arrived]:
        found = [item for source in self._sources for item in source.arrivals(match, after, until)]
        return sorted(found, key=lambda it: it.at)
