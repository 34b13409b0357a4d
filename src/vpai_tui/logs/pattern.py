"""Regular expressions of the cockpit's own filters: RE2, as Loki has them, so that no line can make one stand still.

Python's own would: `(a+)+$` on a line of forty letters takes longer than anybody waits, and holds the whole cockpit
meanwhile. RE2 takes time in proportion to the text, whatever was typed. What it has not (backreferences, looking ahead
or behind) Loki has not either; the same filter may be given to Loki as it stands.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Protocol

from vpai_tui.errors import UsageError

AT_ONCE = 256 * 1024  # bytes that are searched between two looks at the clock
_MEMORY = 4 * 1024 * 1024  # bytes of one compiled expression
_WORDS = re.compile(r"[A-Za-z0-9 _:/=,;<>@#%&!\"'~-]+")
_FEW = 8  # lines that are searched one by one


class Match(Protocol):
    """Where an expression fits."""

    def span(self) -> tuple[int, int]: ...

    def start(self) -> int: ...

    def end(self) -> int: ...

    def __getitem__(self, group: int) -> str: ...


class Found(Protocol):
    """An expression over text, as it is drawn."""

    def finditer(self, text: str) -> Iterator[Match]: ...


class Pattern:
    """One expression over lines as they came. Small letters only: case does not matter. UsageError when it is none."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._one = _compiled(text)
        # Many lines are searched as one text, where `^` and `$` mean each line's; not if it says what they mean.
        apart = any(sign in text for sign in ("(?", r"\A", r"\z", r"\C", r"\Q"))
        self._many = None if apart else _compiled(f"(?m){text}", like=text)
        # Words alone are found at once by Python's own, which nothing in them can make stand still.
        flags = re.IGNORECASE if text == text.lower() else 0
        self._words = re.compile(text.encode(), flags).search if _WORDS.fullmatch(text) else None

    def search(self, line: bytes) -> bool:
        """Whether it fits a line."""
        return (self._words or self._one.search)(line) is not None

    def fitting(self, lines: Sequence[bytes], rest: Callable[[], None] = lambda: None) -> list[int]:
        """The places of the lines that it fits. `rest` is called now and then, and may raise to give up."""
        if words := self._words:
            return [place for place, line in enumerate(lines) if words(line)]
        found: list[int] = []
        first = size = 0
        for place, line in enumerate(lines):
            size += len(line) + 1
            if size >= AT_ONCE:
                found += self._group(lines, first, place + 1)
                first, size = place + 1, 0
                rest()
        return found + self._group(lines, first, len(lines))

    def _group(self, lines: Sequence[bytes], first: int, end: int) -> list[int]:
        if self._many is None or end - first < _FEW:
            return [place for place in range(first, end) if self.search(lines[place])]
        group = lines[first:end]
        text = b"\n".join(group)
        starts = list(accumulate((len(line) + 1 for line in group), initial=0))
        found, at = [], 0
        while at < len(group) and (match := self._many.search(text, starts[at])) is not None:
            begin, stop = match.span()
            at = bisect_right(starts, begin) - 1
            # No line before this one fits. A match that runs on, or over a break inside the line, may be none.
            whole = stop < starts[at + 1] and b"\n" not in group[at]
            if whole or self.search(group[at]):
                found.append(first + at)
            at += 1
            if len(found) > _FEW and at < 2 * len(found):  # nearly every line fits: one by one is quicker
                return found + [first + place for place in range(at, len(group)) if self.search(group[place])]
        return found


def over_text(text: str) -> Found:
    """The same over text, to mark where it fits. UsageError when it is none."""
    found: Found = _compiled(text)
    return found


def _compiled(text: str, like: str = "") -> Any:
    import re2  # a library of C++: only who filters waits for it

    options = re2.Options()
    options.log_errors = False  # it would write on the screen
    options.max_mem = _MEMORY
    options.case_sensitive = (like or text) != (like or text).lower()
    try:
        return re2.compile(text.encode("utf-8", "surrogatepass"), options)
    except re2.error as error:
        raise UsageError(f"{like or text!r} is no regular expression: {_told(error)}") from error


def _told(error: Exception) -> str:
    words = error.args[0] if error.args else error
    words = words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
    return (
        f"{words}; RE2, as Loki has them, knows none"
        if "perl operator" in words or "escape sequence" in words
        else words
    )
