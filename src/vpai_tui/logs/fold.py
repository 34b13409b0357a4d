"""Lines that belong together: tracebacks, stack traces, PostgreSQL's details; each with the line before it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from vpai_tui.logs.model import SECOND_NS, Labels, Level, Line
from vpai_tui.text import clean

NEAR_NS = 2 * SECOND_NS  # what belongs together is written at once
MOST = 500  # lines of one group
MANY = 1024  # streams whose last line is kept before those that nothing can join any more are forgotten

_LOOK = 400  # bytes of a line that tell what it is
_ANSI = re.compile(rb"\x1b\[[0-9;:]*[A-Za-z]")
_DETAIL = re.compile(r"(?:^|\s|\])(DETAIL|HINT|STATEMENT|CONTEXT|QUERY|LOCATION):  ")
_INSIDE = re.compile(
    r"[ \t]+\S"  # indented
    r"|Traceback \(most recent call last\)"
    r"|(?:The above exception was the direct cause|During handling of the above exception)"
    r"|Caused by: |\.\.\. \d+ more"
    r"|goroutine \d+ \[|\S+\(.*\)$|created by "
    r"|[)\]}]+[,;]?$"  # the end of what was printed over several lines
)
_RAISED = re.compile(r"(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt|Warning)(?::\s|$)")
_OPENS = re.compile(r"Traceback \(most recent call last\)|^panic: |^fatal error: ")


@dataclass(slots=True)
class Group:
    """A line and what belongs to it. Its level is the worst of them."""

    lines: list[Line] = field(default_factory=list)

    @property
    def head(self) -> Line:
        return self.lines[0]

    @property
    def level(self) -> Level:
        return max(line.level for line in self.lines)

    def fitting(self, least: Level) -> list[Line]:
        """Its lines that are `least` or worse: one that says no level is as bad as the worst before it."""
        worst, found = Level.UNKNOWN, []
        for line in self.lines:
            worst = max(worst, line.level)
            if (line.level or worst) >= least:
                found.append(line)
        return found


class Folder:
    """Says of one line after the other, in order of time, whether it goes with the last one of its stream."""

    def __init__(self) -> None:
        self._last: dict[Labels, _Open] = {}
        self._tidy_at = MANY

    def joins(self, line: Line) -> bool:
        """Whether `line` belongs to the group that its stream's line before it began or joined."""
        text = clean(_ANSI.sub(b"", line.raw[:_LOOK]))
        last = self._last.get(line.labels)
        if last is not None and last.takes(line, text):
            return True
        if last is None and len(self._last) >= self._tidy_at:
            self._forget(line.ns - NEAR_NS)
        self._last[line.labels] = _Open(line.ns, bool(_OPENS.search(text)), line.level)
        return False

    def _forget(self, before_ns: int) -> None:
        """Streams that fell silent: no line that comes from here on is near enough to join their last one."""
        self._last = {labels: last for labels, last in self._last.items() if last.ns >= before_ns}
        self._tidy_at = max(MANY, 2 * len(self._last))

    def level(self, line: Line) -> Level:
        """The level of the group that took `line` last: what it inherits when it has none itself."""
        last = self._last.get(line.labels)
        return line.level or (last.level if last is not None else Level.UNKNOWN)


@dataclass(slots=True)
class _Open:
    ns: int
    trace: bool
    level: Level
    count: int = 1

    def takes(self, line: Line, text: str) -> bool:
        if line.ns - self.ns > NEAR_NS or self.count >= MOST:
            return False
        opens = bool(_OPENS.match(text))
        if not (self._inside(text) or (opens and self.level >= Level.ERROR)):
            return False
        self.ns, self.count = line.ns, self.count + 1
        self.trace = (self.trace or opens) and not _RAISED.match(text)
        self.level = max(self.level, line.level)
        return True

    def _inside(self, text: str) -> bool:
        if _DETAIL.search(text):
            return True
        if self.trace and (_RAISED.match(text) or not text.strip()):
            return True
        found = _INSIDE.match(text)
        if found is None:
            return False
        return self.trace or text[:1] in " \t" or text.startswith(("Caused by", "...", "The above", "During"))


def begins(line: Line) -> bool:
    """Whether a line begins a group whatever came before it."""
    text = clean(_ANSI.sub(b"", line.raw[:_LOOK]))
    return bool(text.strip()) and not (
        _DETAIL.search(text) or _INSIDE.match(text) or _RAISED.match(text) or _OPENS.match(text)
    )


def groups(lines: Iterable[Line]) -> Sequence[Group]:
    """All groups of lines that are in order of time; streams may be mixed, groups stand where they begin."""
    folder, found = Folder(), []
    open_: dict[Labels, Group] = {}
    for line in lines:
        if folder.joins(line):
            open_[line.labels].lines.append(line)
        else:
            group = open_[line.labels] = Group([line])
            found.append(group)
    return found
