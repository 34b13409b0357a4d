"""The newest lines that are bad enough: read back page by page until there are as many as were asked for.

Levels are judged here, so Loki cannot choose: all lines of what is read come over, and only those that fit are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from vpai_tui.errors import OperatorError
from vpai_tui.logs.fold import MOST, NEAR_NS, begins, groups
from vpai_tui.logs.levels import judge
from vpai_tui.logs.model import SECOND_NS, Entry, Labels, Level, Line
from vpai_tui.logs.pages import pages
from vpai_tui.logs.past import Asked

_SETTLE_NS = 5 * SECOND_NS  # younger lines may still be on their way: they are shown, and nothing is claimed of them
_TRIES = 2
_PAGE = 2000  # lines: often the first page has enough


@dataclass(frozen=True, slots=True)
class Picked:
    """`lines` that are bad enough, oldest first, with what was folded into them.

    All lines from `from_ns` on were read, `counted` of them before `counted_to_ns`, where Loki has `expected` (None:
    it did not count; `reason` says why). `complete`: there are no older ones in the span asked for.
    """

    lines: tuple[Line, ...]
    read: int
    from_ns: int
    counted_to_ns: int
    counted: int
    expected: int | None
    complete: bool
    reason: str = ""


@dataclass
class _Back:
    """What was found on the way back."""

    least: Level
    found: list[list[Line]] = field(default_factory=list)  # by the line that they were folded into, oldest first
    open: list[Line] = field(default_factory=list)  # it may belong to lines that are older than what was read

    def take(self, older: Iterable[Line], from_ns: int, *, last: bool) -> None:
        """Lines before all that were taken so far. `last`: there are no older ones."""
        lines = [*older, *self.open]
        self.open = [] if last else _undecided(lines, from_ns)
        held = {id(line) for line in self.open}
        judged = groups(line for line in lines if id(line) not in held)
        bad = [fitting for group in judged if (fitting := group.fitting(self.least))]
        self.found = sorted([*bad, *self.found], key=lambda it: it[0].ns)

    def enough(self, wanted: int) -> bool:
        """Whether nothing that is read from here on can be among the newest `wanted`."""
        edge = max((line.ns for line in self.open), default=0)
        return sum(it[0].ns > edge for it in self.found) >= wanted

    def newest(self, wanted: int) -> tuple[Line, ...]:
        return tuple(sorted((line for it in self.found[-wanted:] for line in it), key=lambda line: line.ns))


def _undecided(lines: list[Line], from_ns: int) -> list[Line]:
    """The first lines of each stream that a line before `from_ns` may have begun."""
    decided: set[Labels] = set()
    last: dict[Labels, tuple[int, int]] = {}  # when the one before was written, and how many there were
    found = []
    for line in lines:
        if line.labels in decided:
            continue
        before_ns, count = last.get(line.labels, (from_ns, 0))
        if begins(line) or line.ns - before_ns > NEAR_NS or count >= MOST:
            decided.add(line.labels)
            continue
        last[line.labels] = (line.ns, count + 1)
        found.append(line)
    return found


async def pick(loki: Asked, query: str, from_ns: int, to_ns: int, wanted: int, least: Level) -> Picked:
    """The newest `wanted` lines of `[from_ns, to_ns)` that are `least` or worse, and the count of all that was read.

    What was folded into a line goes with it and is not counted as one. Raises LokiError when the query is wrong,
    OperatorError when Loki cannot be reached.
    """
    counted_to = min(to_ns, loki.now_ns() - _SETTLE_NS)
    found = await _once(loki, query, (from_ns, to_ns, counted_to), wanted, least)
    for _ in range(_TRIES):
        if found.expected is None or found.counted >= found.expected:
            break
        found = await _once(loki, query, (from_ns, to_ns, counted_to), wanted, least)  # a line came meanwhile
    return found


async def _once(loki: Asked, query: str, span: tuple[int, int, int], wanted: int, least: Level) -> Picked:
    from_ns, to_ns, counted_to = span
    back, read, counted, edge, whole, complete = _Back(least), 0, 0, to_ns, True, True
    async for page in pages(loki, query, from_ns, to_ns, forward=False, limit=_PAGE):
        read += len(page.entries)
        counted += sum(entry.ns < counted_to for entry in page.entries)
        edge = min(edge, page.entries[0].ns)
        whole = whole and page.overflow_ns is None
        back.take(map(_line, page.entries), edge, last=False)
        if back.enough(wanted):
            complete = False
            break
    else:
        edge = from_ns
        back.take((), from_ns, last=True)
    expected, reason = None, "all of it is too young"
    try:
        expected = await loki.count(query, edge, counted_to) if edge < counted_to else None
    except OperatorError as error:
        reason = str(error)
    if expected is not None and not whole:
        expected = max(expected, counted + 1)  # one nanosecond has more than Loki gives
    complete = complete and len(back.found) <= wanted
    return Picked(back.newest(wanted), read, edge, counted_to, counted, expected, complete, reason)


def among(lines: Sequence[Line], wanted: int, least: Level, *, whole: bool, reason: str) -> Picked | None:
    """The same of lines that nobody counts; None when older ones are needed. `whole`: there are none."""
    back = _Back(least)
    from_ns = lines[0].ns if lines else 0
    back.take(lines, from_ns, last=whole)
    if not whole and not back.enough(wanted):
        return None
    complete = whole and len(back.found) <= wanted
    return Picked(back.newest(wanted), len(lines), from_ns, from_ns, 0, None, complete, reason)


def _line(entry: Entry) -> Line:
    level, theirs = judge(entry.line, entry.labels, entry.meta)
    return Line(entry.ns, entry.labels, entry.line, level, loki_level=theirs, meta=entry.meta)
