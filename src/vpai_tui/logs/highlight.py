"""Highlight rules, the operator's own: a name, a pattern, a style. Where they are kept: `logs.highlights`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vpai_tui.errors import UsageError
from vpai_tui.logs.pattern import Found, over_text
from vpai_tui.text import clean_line

STYLES = ("accent", "ok", "warn", "error", "busy", "strong", "chip")  # words of the theme; the first where none is told
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}\Z")
_TAKEN = ("list", "remove")  # words of the command
_LONGEST = 1000


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
