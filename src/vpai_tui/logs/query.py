"""The cockpit's words into LogQL: selectors and filters, quoted as its grammar wants it; and times and spans."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from vpai_tui.errors import UsageError
from vpai_tui.logs.model import LATEST_NS, SECOND_NS, Level
from vpai_tui.text import clean_line

_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$])")
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SPAN = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(ms|s|m|h|d|w)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SELECTOR = re.compile(r'\{(?:"(?:\\.|[^"\\])*+"|`[^`]*+`|[^"`}])*+\}', re.DOTALL)
_CLOCK = re.compile(r"(\d\d?):(\d\d)(?::(\d\d))?\Z")


def quoted(text: str) -> str:
    """A string of LogQL. Backquotes where they fit (nothing is escaped inside), else double quotes."""
    if "`" not in text and "\n" not in text and "\r" not in text and text.isprintable() and "\\" in text:
        return f"`{text}`"
    out = []
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif char.isprintable():
            out.append(char)
        else:
            out.append(_escaped(char))
    return f'"{"".join(out)}"'


def _escaped(char: str) -> str:
    code = ord(char)
    known = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char)
    return known or (f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


def literal(text: str) -> str:
    """`text` as a regular expression of RE2 that means just it."""
    return _SPECIAL.sub(r"\\\1", text)


def matcher(label: str, values: Sequence[str]) -> str:
    """`label="value"`, or one that fits any of the values. UsageError when `label` is none."""
    if _LABEL.match(label) is None:
        raise UsageError(f"{clean_line(label, 40)!r} is no label")
    if len(values) == 1:
        return f"{label}={quoted(values[0])}"
    return f"{label}=~{quoted('|'.join(literal(it) for it in values))}"


def selector(wanted: Mapping[str, Sequence[str]]) -> str:
    """`{a="x", b=~"y|z"}`."""
    return "{" + ", ".join(matcher(label, values) for label, values in wanted.items()) + "}"


def everything(label: str) -> str:
    """All streams that have `label`: Loki refuses a selector that an empty value fits."""
    if _LABEL.match(label) is None:
        raise UsageError(f"{clean_line(label, 40)!r} is no label")
    return f'{{{label}=~".+"}}'


def containing(query: str, pattern: str, *, inverted: bool = False, plain: bool = False) -> str:
    """`query` with a filter that Loki applies: lines that fit (or do not fit) a regular expression, or hold a text."""
    operator = {(False, False): "|~", (True, False): "!~", (False, True): "|=", (True, True): "!="}[inverted, plain]
    return _and(query, f"{operator} {quoted(pattern)}")


def with_label(query: str, label: str, value: str, *, excluded: bool = False) -> str:
    """`query` with a filter on a label, a structured or a parsed field, after its selector."""
    if _LABEL.match(label) is None:
        raise UsageError(f"{clean_line(label, 40)!r} is no label")
    return _and(query, f"| {label}{'!=' if excluded else '='}{quoted(value)}")


def _and(query: str, stage: str) -> str:
    """One more stage: on a line of its own where a comment might take it in."""
    return f"{query}\n{stage}" if "#" in query else f"{query} {stage}"


def selector_of(query: str) -> str:
    """The stream selector that a query begins with: what index/stats and series take."""
    found = _SELECTOR.search(query)
    return found[0] if found else query


def is_logql(text: str) -> bool:
    """Whether it is a query and not the name of something."""
    return "{" in text


def least_level(word: str) -> Level:
    """The level from which on lines are wanted. UsageError for a word that is none."""
    from vpai_tui.logs.levels import named

    found = named(word)
    if not found:
        known = ", ".join(level.word for level in Level if level)
        raise UsageError(f"{clean_line(word, 40)!r} is no level", remedy=f"one of {known}")
    return found


# ── times ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def span_s(text: str) -> float:
    """`90s`, `15m`, `1h30m`, `2d`. UsageError otherwise."""
    parts = _SPAN.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UsageError(
            f"{clean_line(text, 40)!r} is no span of time", remedy="a number and s, m, h, d or w: 15m, 1h30m"
        )
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


class Now(Protocol):
    """Whatever knows what time it is."""

    def now(self) -> datetime: ...


def time_ns(text: str, clock: Now) -> int:
    """A moment: a span before now (`1h`), `now`, `14:05` (the last there was), RFC 3339 or its beginning in local
    time, seconds, milliseconds or nanoseconds since 1970.

    Raises:
        UsageError: it is none, or no time that Loki knows.
    """
    now = clock.now()
    found = _moment(text.strip(), now)
    if found is None:
        raise UsageError(
            f"{clean_line(text, 40)!r} is no time", remedy="1h (before now), 14:05, 2026-11-28T14:05, or RFC 3339"
        )
    if not 0 <= found <= LATEST_NS:
        raise UsageError(f"{clean_line(text, 40)} is no time that Loki knows", remedy="a time from 1970 to 2262")
    return found


def _moment(text: str, now: datetime) -> int | None:
    now_ns = _ns_of(now)
    if text == "now":
        return now_ns
    if text.isascii() and text.isdigit():
        return _since_1970(text[:20])  # more digits are no time either
    if clock := _CLOCK.match(text):
        return _last(int(clock[1]), int(clock[2]), int(clock[3] or 0), now)
    try:
        return now_ns - int(span_s(text.removeprefix("-")) * SECOND_NS)
    except UsageError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return _ns_of(at if at.tzinfo else at.astimezone())


def _since_1970(text: str) -> int:
    """By its length: Loki itself takes 13 digits for nanoseconds, of 1970."""
    return int(text) * (
        SECOND_NS if len(text) <= 10 else 1_000_000 if len(text) <= 13 else 1_000 if len(text) <= 16 else 1
    )


def _last(hour: int, minute: int, second: int, now: datetime) -> int | None:
    if hour > 23 or minute > 59 or second > 59:
        return None
    local = now.astimezone()
    at = local.replace(hour=hour, minute=minute, second=second, microsecond=0)
    return _ns_of(at if at <= local else at - timedelta(days=1))


def _ns_of(at: datetime) -> int:
    whole = at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (whole.days * 86400 + whole.seconds) * SECOND_NS + whole.microseconds * 1000
