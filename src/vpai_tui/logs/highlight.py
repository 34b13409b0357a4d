"""Highlight rules: the operator's own, in `highlights.yaml` beside the kept queries: a name, a pattern, a style.

    slow: {pattern: 'duration=\\d{4,}', style: warn}
    mine: 'user=ann'

A rule that is wrong costs only itself: the others are drawn, and what is wrong with it is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vpai_tui.errors import UsageError
from vpai_tui.logs.kept import read_mapping, user_file, write_mapping
from vpai_tui.logs.pattern import Found, over_text
from vpai_tui.text import clean_line

FILE = "highlights.yaml"
MOST = 50
STYLES = ("accent", "ok", "warn", "error", "busy", "strong", "chip")  # words of the theme; the first where none is told
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}\Z")
_TAKEN = ("list", "remove")  # words of the command
_LONGEST = 1000
_EXPECTED = "a mapping of names to patterns, or to {pattern: …, style: …},"


@dataclass(frozen=True, slots=True)
class Rule:
    """What fits `pattern` is drawn in `style`. `found` is the pattern, compiled."""

    name: str
    pattern: str
    style: str
    found: Found


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a file in its order, where the earlier one wins; and what is wrong with the others."""

    rules: tuple[Rule, ...] = ()
    problems: tuple[str, ...] = ()


def rule(name: str, pattern: str, style: str = "") -> Rule:
    """A rule; small letters find large ones too, as in a filter. UsageError for a pattern or a style that is none."""
    if not pattern or len(pattern) > _LONGEST:
        raise UsageError(f"a pattern has 1 to {_LONGEST} characters")
    style = style or STYLES[0]
    if style not in STYLES:
        raise UsageError(f"{clean_line(style, 40)!r} is no style", remedy=f"one of {', '.join(STYLES)}")
    return Rule(name, pattern, style, over_text(pattern))


def told(words: str) -> Rule:
    """`NAME [STYLE] PATTERN`, as it is typed. UsageError where that is not what it is."""
    name, _, rest = words.strip().partition(" ")
    style, _, pattern = rest.strip().partition(" ")
    if style not in STYLES or not pattern.strip():
        style, pattern = "", rest
    if not name or not pattern.strip():
        raise UsageError("highlight NAME [STYLE] PATTERN", remedy=f"STYLE is one of {', '.join(STYLES)}")
    if _NAME.match(name) is None or name in _TAKEN:
        raise UsageError(f"{clean_line(name, 40)!r} is no name", remedy="letters, digits and _ . -, at most 40")
    return rule(name, pattern.strip(), style)


class Highlights:
    """The file. It is read anew each time: two cockpits may have it open."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Rules:
        """The rules there are; none where there is no file.

        Raises:
            UsageError: the file as a whole is none of rules.
        """
        good: list[Rule] = []
        problems: list[str] = []
        for raw_name, body in read_mapping(self.path, _EXPECTED).items():
            name = clean_line(raw_name, 40)
            if len(good) >= MOST:
                problems.append(f"{self.path}: only {MOST} rules are read")
                break
            try:
                good.append(self._one(name, body))
            except UsageError as error:
                remedy = f"; {error.remedy}" if error.remedy else ""
                problems.append(f"{self.path}: {name}: {error}{remedy}")
        return Rules(tuple(good), tuple(problems))

    def _one(self, name: str, body: object) -> Rule:
        if isinstance(body, str):
            return rule(name, body)
        if not isinstance(body, dict) or not all(isinstance(it, str) for pair in body.items() for it in pair):
            raise UsageError("a pattern, or {pattern: …, style: …} is expected", remedy="quote both")
        strange = sorted(clean_line(key, 40) for key in body if key not in ("pattern", "style"))
        if strange or "pattern" not in body:
            raise UsageError(f"{strange[0]} is no key of a rule" if strange else "it has no pattern")
        return rule(name, body["pattern"], body.get("style", ""))

    def add(self, made: Rule) -> None:
        """Keeps a rule behind the others, or in place of the one of its name.

        Raises:
            UsageError: there are too many already, or the file is none of rules: nothing of it is written over.
            OperatorError: the file cannot be written.
        """
        known = self._raw()
        if made.name not in known and len(known) >= MOST:
            raise UsageError(f"there are {MOST} rules already", remedy="highlight remove NAME")
        self._write({**known, made.name: {"pattern": made.pattern, "style": made.style}})

    def remove(self, name: str) -> bool:
        """Whether there was one of that name, right or wrong."""
        known = self._raw()
        names = [it for it in known if clean_line(it, 40) == name]
        for it in names:
            del known[it]
        if names:
            self._write(known)
        return bool(names)

    def _raw(self) -> dict[str, Any]:
        """As the file has them: a rule that is wrong is kept as it is."""
        return read_mapping(self.path, _EXPECTED)

    def _write(self, rules: Mapping[str, Any]) -> None:
        write_mapping(self.path, rules, "rules", sort=False)


def highlights() -> Highlights:
    """The user's own."""
    return Highlights(user_file(FILE))


def owners(text: str, rules: Sequence[Rule]) -> bytearray | None:
    """For each character the number of the rule it is drawn by, counted from one; 0: by none. None: nothing fits."""
    marked: bytearray | None = None
    for number, it in enumerate(rules, 1):
        for found in it.found.finditer(text):
            start, end = found.span()
            if end == start:
                continue
            if marked is None:
                marked = bytearray(len(text))
            for at in range(start, end):
                marked[at] = marked[at] or number
    return marked
