"""Lines and what happens to them, for people (lines on stdout, all else on stderr) or as JSON (docs/json.md)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import UTC
from typing import Any

from vpai_tui.clock import duration
from vpai_tui.logs.fold import Folder
from vpai_tui.logs.model import (
    SECOND_NS,
    Disconnected,
    Event,
    Fallback,
    Gap,
    Level,
    Line,
    LinesCame,
    Mark,
    Polling,
    Proof,
    Reconnected,
    Uncounted,
    Window,
    moment,
    rfc3339_ns,
)
from vpai_tui.logs.past import Price
from vpai_tui.logs.pick import Picked
from vpai_tui.logs.save import Masker, SourceOf, document
from vpai_tui.redact import redact
from vpai_tui.text import clean_line

_WORDS = {Level.UNKNOWN: "–", Level.CRITICAL: "crit"}
_MARKS = {Mark.NONE: "", Mark.RECOVERED: "+ ", Mark.LATE: "~ "}


class Printer:
    """Prints what comes. `least`: only lines that bad or worse; what belongs to such a line goes with it."""

    def __init__(self, source_of: SourceOf, *, as_json: bool, utc: bool, least: Level) -> None:
        self._source_of = source_of
        self._json = as_json
        self._utc = utc
        self._least = least
        self._folder = Folder()
        self._masker = Masker()
        self._width = 0
        self.proof = Proof()
        self.printed = 0
        self.read = 0

    def event(self, event: Event) -> None:
        """One thing that happened while following."""
        if isinstance(event, LinesCame):
            self.lines(event.lines)
        elif isinstance(event, Window):
            self.proof.add(event)
            if self._json:
                self._row({"event": "window", **_span(event), "expected": event.expected, "proven": event.proven})
        elif isinstance(event, Gap):
            self.proof.give_up(event)
            self._gap(event)
        else:
            _aside(event)
        sys.stdout.flush()

    def lines(self, lines: Iterable[Line]) -> None:
        folder, least = self._folder, self._least
        for line in lines:
            self.read += 1
            if least:
                folder.joins(line)
                if folder.level(line) < least:
                    continue
            self._put(line)

    def picked(self, found: Picked) -> None:
        """Lines that were chosen among all that were read."""
        self.read += found.read
        for line in found.lines:
            self._put(line)

    def _put(self, line: Line) -> None:
        self.printed += 1
        if self._json:
            print(json.dumps(document(line, self._source_of(line.labels), self._masker), ensure_ascii=False))
        else:
            self._print(line)

    def _print(self, line: Line) -> None:
        at = line.at if self._utc else line.at.astimezone()
        name = self._source_of(line.labels).name
        self._width = max(self._width, min(len(name), 24))
        level = _WORDS.get(line.level, line.level.word)
        text = self._masker.text(line).replace("\n", "\n    ").replace("\t", "    ")
        stamp = f"{at:%Y-%m-%d %H:%M:%S}.{line.ns % SECOND_NS // 1_000_000:03d}"
        print(f"{stamp}  {name:{self._width}}  {level:5}  {_MARKS[line.mark]}{text}")

    def _gap(self, gap: Gap) -> None:
        if self._json:
            cause = f"{gap.cause.value}: {gap.detail}" if gap.detail else gap.cause.value
            self._row({"event": "gap", **_span(gap), "cause": cause, "missing": gap.missing})
            return
        length = duration((gap.to_ns - gap.from_ns) / SECOND_NS)
        missing = f", {gap.missing} missing" if gap.missing else ""
        _tell(f"gap of {length} ({gap.cause.value}{missing})")

    def _row(self, body: dict[str, Any]) -> None:
        print(json.dumps({"schema": 1, **body}, ensure_ascii=False))

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def closing(self, *, following: bool) -> None:
        """What was proven, on stderr."""
        proof = self.proof
        shown = "" if self.printed == self.read else f"; {self.printed:,} of them printed"
        if proof.to_ns is None:
            _tell(f"{self.read:,} lines{shown}; nothing was counted yet, so nothing is proven")
            return
        at = moment(proof.to_ns)
        to = f"{at.astimezone(UTC if self._utc else None):%H:%M:%S}"
        fetched = f", {proof.recovered:,} of them recovered" if proof.recovered and following else ""
        _tell(f"{proof.proven:,} of {proof.expected:,} lines proven up to {to}{fetched}{shown}")
        if proof.given_up:
            _tell(f"not counted: {proof.given_up:,} stretches, of which more lines came than are kept")
        for window in proof.incomplete():
            _tell(f"{window.expected - window.proven:,} missing after {rfc3339_ns(window.from_ns)}")


def _span(event: Window | Gap) -> dict[str, str]:
    return {"from": rfc3339_ns(event.from_ns), "to": rfc3339_ns(event.to_ns)}


def _aside(event: Event) -> None:
    """What is no line of the log."""
    if isinstance(event, Fallback):
        fallback(event.container, event.reason)
    elif isinstance(event, Disconnected):
        _tell(f"{event.cause.value}: {event.detail or 'no reason given'}; again in {event.retry_in_s:.1f} s")
    elif isinstance(event, Reconnected) and event.away_s:
        _tell(f"back after {duration(event.away_s)}")
    elif isinstance(event, Polling):
        _tell(f"{event.cause.value}: asking every {event.every_s:g} s instead")
    elif isinstance(event, Uncounted):
        _tell(f"not counted for now: {event.reason}")


def fallback(container: str, reason: str) -> None:
    """Says that the lines come from a container itself."""
    _tell(f"{reason}; these lines are {container}'s own log, which nobody counts")


def cut(count: int, expected: int | None) -> None:
    """Says that there are more lines than were asked for."""
    of = f" of {expected:,}" if expected is not None else ""
    _tell(f"the newest {count:,}{of} lines; --limit N reads more")


def picked_cut(limit: int, level: str, from_ns: int, *, utc: bool) -> None:
    """Says that there may be older lines that bad."""
    at = moment(from_ns).astimezone(UTC if utc else None)
    _tell(f"the newest {limit:,} of {level} or worse; read back to {at:%Y-%m-%d %H:%M:%S}, --limit N reads more")


def price(it: Price) -> None:
    """Says what a wide query may have to read; silent where that is little."""
    if it.dear:
        young = ", and what is in its memory" if it.young else ""
        _tell(f"Loki may have to read {it.bytes / 1e6:,.0f} MB ({it.entries:,} lines){young}; ctrl+c ends it")


def skewed(ahead_s: float) -> None:
    """Says that this machine's clock is not Loki's."""
    way = "ahead of" if ahead_s > 0 else "behind"
    _tell(f"this machine's clock is {duration(abs(ahead_s))} {way} Loki's; times are Loki's")


def _tell(text: str) -> None:
    print(f"— {clean_line(redact(text), 500)}", file=sys.stderr, flush=True)
