"""A structured line as its message and its fields: JSON objects and logfmt; all other text is message alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from vpai_tui.text import clean

MESSAGE = ("msg", "message", "event", "@m", "text", "log", "error", "err")
_TIME = ("ts", "time", "timestamp", "@timestamp", "t", "@t", "datetime", "asctime")
_LEVEL = ("level", "lvl", "severity", "loglevel", "log_level", "levelname", "@l")
MOST = 200  # fields of one line
DEEPEST = 4
# Only where a word begins, and nothing given back: `a=a=a=…"` must not be looked through once from each of its letters.
PAIR = re.compile(r"(?<!\S)([A-Za-z_@][\w.@/-]{0,60})=(\"(?:\\.|[^\"\\])*+\"|[^\s\"]*+)(?=\s|$)")
_ANSI = re.compile(r"\x1b\[[0-9;:]*[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Folded:
    """`message` is what a person reads first; `fields` everything else, nested names joined by dots."""

    message: str
    fields: Mapping[str, str] = field(default_factory=dict)
    kind: str = "text"  # json, logfmt, text


def folded(raw: bytes) -> Folded:
    """What a line holds. All of it is cleaned; the order of the fields is the line's."""
    start = raw.lstrip()[:1]
    if start == b"{":
        found = _json(raw)
        if found is not None:
            return found
    text = clean(_ANSI.sub("", raw.decode("utf-8", "replace")))
    return _logfmt(text) or Folded(text)


def _json(raw: bytes) -> Folded | None:
    try:
        whole = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(whole, dict):
        return None
    pairs = dict(_flat(whole))
    message = _taken(pairs, MESSAGE)
    if message is None:
        return Folded(clean(raw), pairs, "json")
    return Folded(message, pairs, "json")


def _flat(value: Mapping[str, Any], prefix: str = "", depth: int = 1) -> Iterator[tuple[str, str]]:
    """At most MOST of the leaves."""
    count = 0
    for key, inner in value.items():
        name = clean(f"{prefix}{key}")
        if isinstance(inner, dict) and inner and depth < DEEPEST:
            found = list(_flat(inner, f"{name}.", depth + 1))
        else:
            found = [(name, _word(inner))]
        for pair in found:
            if count >= MOST:
                return
            count += 1
            yield pair


def _word(value: Any) -> str:
    if isinstance(value, str):
        return clean(value)
    return clean(msgspec.json.encode(value))


def _taken(pairs: dict[str, str], names: tuple[str, ...]) -> str | None:
    """The first of `names` that there is, taken out."""
    for name in names:
        if pairs.get(name):
            return pairs.pop(name)
    return None


def _logfmt(text: str) -> Folded | None:
    """None when it is no logfmt: at least two pairs, and hardly anything between them."""
    found = list(PAIR.finditer(text))
    if len(found) < 2:
        return None
    rest = PAIR.sub("", text).split()
    if sum(map(len, rest)) > len(text) // 3:
        return None
    pairs = {it[1]: _unquoted(it[2]) for it in found[:MOST]}
    if not any(name in pairs for name in (*MESSAGE, *_LEVEL, *_TIME)) and len(pairs) < 4:
        return None
    message = _taken(pairs, MESSAGE)
    return Folded(message or " ".join(rest) or text, pairs, "logfmt")


def _unquoted(value: str) -> str:
    if value[:1] != '"':
        return value
    try:
        told = msgspec.json.decode(value.encode())
    except (msgspec.DecodeError, UnicodeDecodeError):
        return value.strip('"')
    return clean(told) if isinstance(told, str) else value
