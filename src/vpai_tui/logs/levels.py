"""How bad a line is, by what it says itself: better than Loki's own guess, and fast (it is asked of every line).

In this order: a JSON line's level (names, aliases, pino's and bunyan's numbers), logfmt's, then the styles of syslog,
klog, Redis, PostgreSQL, Python, Go, Caddy, nginx, Node; last the earliest level word that stands as a level does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from vpai_tui.logs.model import Labels, Level

_WORDS = {
    Level.TRACE: "trace trc verbose silly finest",
    Level.DEBUG: "debug dbug dbg debug1 debug2 debug3 debug4 debug5 fine",
    Level.INFO: "info information informational inf notice log success",
    Level.WARN: "warn warning wrn",
    Level.ERROR: "error err eror severe",
    Level.CRITICAL: "critical crit fatal ftl panic dpanic alert emerg emergency",
}
_BY_WORD = {word.encode(): level for level, words in _WORDS.items() for word in words.split()}
_SYSLOG = (*[Level.CRITICAL] * 3, Level.ERROR, Level.WARN, Level.INFO, Level.INFO, Level.DEBUG)
_LOOK = 400  # bytes of a line in which a level may stand
_HEAD = 160  # and a bare word

_ANSI = re.compile(rb"\x1b\[[0-9;:]*[A-Za-z]")
_LOGFMT = re.compile(
    rb"(?:^|[\s,;])(?:level|lvl|severity|log_?level|levelname|@l)=\"?([A-Za-z]+|\d{1,2})(?![\w.])", re.IGNORECASE
)
_JSON_CUT = re.compile(
    rb"\"(?:level|lvl|severity|log_?level|levelname|@l)\"\s*:\s*\"?([A-Za-z]+|\d{1,2})(?![\w.])", re.IGNORECASE
)
_PRIORITY = re.compile(rb"<(\d{1,3})>")
_KLOG = re.compile(rb"([IWEF])\d{4} \d\d:\d\d:\d\d")
_REDIS = re.compile(rb"\d+:[XCSM] \d\d \w{3} \d{4} [\d:.]+ ([.*#-]) ")
_POSTGRES = re.compile(
    rb"(?:^|[\s\]])(DEBUG[1-5]?|INFO|NOTICE|WARNING|ERROR|LOG|FATAL|PANIC|STATEMENT|DETAIL|HINT|CONTEXT|QUERY|LOCATION)"
    rb":  "
)
_START = (  # how a line begins that is bad without a level word
    (b"Traceback (most recent call last)", Level.ERROR),
    (b"panic: ", Level.CRITICAL),
    (b"fatal error: ", Level.CRITICAL),
    ("⨯ ".encode(), Level.ERROR),
    ("✖ ".encode(), Level.ERROR),
    ("⚠ ".encode(), Level.WARN),
    ("⚠️".encode(), Level.WARN),
    (b"npm ERR!", Level.ERROR),
    (b"npm WARN", Level.WARN),
    (b"npm warn", Level.WARN),
)
_RAISED = re.compile(rb"(?:[A-Za-z_]\w*\.)*[A-Z]\w*(Error|Exception|Warning)(?::\s|$)")
_BARE = sorted((word for word in _BY_WORD if word not in (b"log", b"success")), key=lambda word: -len(word))
_NAMES = b"|".join(_BARE)
_UPPER = _NAMES.upper()
_WORD = re.compile(
    # INFO as a word of its own: `2026-… INFO msg`, `ERROR:root:msg`, `INFO:     msg`, `| ERROR |`
    rb"(?:^|[\s\[(<|\"'=:/])(" + _UPPER + rb")(?=[\s\]):>|,;.!\"'/-]|$)"
    # [error], (warn), <info>, |debug| in any case
    rb"|[\[(<|]\s*((?i:" + _NAMES + rb"))\s*[\])>|]"
    # error: msg, Warning: msg, info - msg at the start, after digits of a time at most
    rb"|^[^A-Za-z]{0,40}((?i:" + _NAMES + rb"))(?::(?=\s|$)|\s+[-|]\s)"
)
_NUMBERS = ((60, Level.CRITICAL), (50, Level.ERROR), (40, Level.WARN), (30, Level.INFO), (20, Level.DEBUG))


class _Leveled(msgspec.Struct, gc=False):
    """The keys of a JSON line that may hold its level; msgspec skips all others without making objects of them."""

    level: Any = None
    severity: Any = None
    lvl: Any = None
    loglevel: Any = None
    log_level: Any = None
    levelname: Any = None
    Level: Any = None
    LEVEL: Any = None
    Severity: Any = None
    log: Any = None
    at_l: Any = msgspec.field(name="@l", default=None)
    dotted: Any = msgspec.field(name="log.level", default=None)
    text: Any = msgspec.field(name="severity_text", default=None)


_json = msgspec.json.Decoder(_Leveled).decode
_KEYS = tuple(name for name in _Leveled.__struct_fields__ if name != "log")


def level_of(line: bytes) -> Level:
    """What the line itself says; UNKNOWN when it says nothing."""
    start = line.lstrip() if line[:1].isspace() else line
    if start[:1] == b"{":
        found = _of_json(start)
        return _logfmt(start) if found is None else found
    text = start[:_LOOK]
    if b"\x1b" in text:
        text = _ANSI.sub(b"", text).lstrip()
    if b"=" in text and (found := _logfmt(text)):
        return found
    return _of_text(text)


def _of_json(line: bytes) -> Level | None:
    """None when the line only looks like JSON."""
    try:
        found = _json(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # the last: nested as only malice nests
        cut = _JSON_CUT.search(line[:2048])
        return named(cut[1]) if cut else None
    for name in _KEYS:
        value = getattr(found, name)
        if value is not None and (level := _of_value(value)):
            return level
    inner = found.log.get("level") if isinstance(found.log, dict) else None
    return _of_value(inner)


def _of_value(value: object) -> Level:
    if isinstance(value, str):
        return named(value.encode("utf-8", "replace"))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _numbered(int(value))
    if isinstance(value, dict):  # winston's {"level": {"name": …}}
        return _of_value(value.get("name"))
    return Level.UNKNOWN


def _numbered(value: int) -> Level:
    """pino and bunyan: 10 trace to 60 fatal; below ten it is syslog's severity."""
    if 0 <= value <= 7:
        return _SYSLOG[value]
    return next((level for least, level in _NUMBERS if value >= least), Level.TRACE if value == 10 else Level.UNKNOWN)


def _logfmt(text: bytes) -> Level:
    found = _LOGFMT.search(text)
    return named(found[1]) if found else Level.UNKNOWN


def _of_text(text: bytes) -> Level:
    first = text[:1]
    if first == b"<" and (priority := _PRIORITY.match(text)):
        return _SYSLOG[int(priority[1]) & 7]
    if first in b"IWEF" and (klog := _KLOG.match(text)):
        return {b"I": Level.INFO, b"W": Level.WARN, b"E": Level.ERROR, b"F": Level.CRITICAL}[klog[1]]
    if first.isdigit() and (redis := _REDIS.match(text)):
        return {b".": Level.DEBUG, b"-": Level.DEBUG, b"*": Level.INFO, b"#": Level.WARN}[redis[1]]
    if b":  " in text and (postgres := _POSTGRES.search(text)):
        return _BY_WORD.get(postgres[1].lower(), Level.UNKNOWN)  # DETAIL and its like go with the line before
    for start, level in _START:
        if text.startswith(start):
            return level
    if raised := _RAISED.match(text):
        return Level.WARN if raised[1] == b"Warning" else Level.ERROR
    word = _WORD.search(text[:_HEAD])
    return _BY_WORD[(word[1] or word[2] or word[3]).lower()] if word else Level.UNKNOWN


def named(word: str | bytes) -> Level:
    """The level a word or a number means, aliases included; UNKNOWN for any other."""
    key = word.encode("utf-8", "replace") if isinstance(word, str) else word
    key = key.strip().lower()
    if key.isdigit() and len(key) < 4:
        return _numbered(int(key))
    return _BY_WORD.get(key, Level.UNKNOWN)


def loki_level(meta: Mapping[str, str]) -> Level | None:
    """What Loki detected when it took the line in; None where it tells nothing."""
    word = meta.get("detected_level")
    return None if word is None else named(word)


def judge(line: bytes, labels: Labels, meta: Mapping[str, str]) -> tuple[Level, Level | None]:
    """The level to show, and Loki's own: the line's word first, then a label's, then Loki's guess."""
    theirs = loki_level(meta)
    own = level_of(line)
    if own:
        return own, theirs
    told = _of_labels(labels)
    return told or theirs or Level.UNKNOWN, theirs


_told: dict[Labels, Level] = {}


def _of_labels(labels: Labels) -> Level:
    known = _told.get(labels)
    if known is None:
        found = dict(labels)
        word = next((found[name] for name in ("level", "severity", "lvl", "loglevel") if name in found), "")
        if len(_told) > 10_000:
            _told.clear()
        known = _told[labels] = named(word)
    return known
