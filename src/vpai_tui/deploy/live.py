"""Values edited on the host (`live` keys): carried over by every deploy, left out of every comparison."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from vpai_tui.errors import PreflightRefused
from vpai_tui.redact import redact
from vpai_tui.text import clean_line

_ABSENT = object()
_INDENTED_LIST = re.compile(rb"(?m)^( *)[^\s#-].*:[ \t]*(?:#.*)?\n\1 +- ")


def _yaml() -> YAML:
    parser = YAML()
    parser.preserve_quotes = True
    parser.width = 4096
    return parser


def _load(content: bytes, what: str) -> Any:
    try:
        return _yaml().load(content.decode())
    except (YAMLError, UnicodeDecodeError) as error:
        raise PreflightRefused(
            f"{what} is not readable YAML: {_why(error)}",
            remedy="mend the file; its live keys cannot be kept otherwise",
        ) from None  # the parser's own words quote the file, which may hold secrets


def _why(error: Exception) -> str:
    """What is wrong and where, without a piece of the file."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is no UTF-8"
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return "it holds a character that YAML does not allow"
    problem = str(error.problem or "").partition(" with value ")[0]  # a double key is told with both values
    at = error.problem_mark
    return redact(clean_line(f"{problem} at line {at.line + 1}, column {at.column + 1}"))


def _dump(data: Any, like: bytes = b"") -> bytes:
    """`data` as YAML; lists are indented as they are in `like`."""
    parser, buffer = _yaml(), io.BytesIO()
    if _INDENTED_LIST.search(like):
        parser.indent(mapping=2, sequence=4, offset=2)
    parser.dump(data, buffer)
    return buffer.getvalue()


def _find(data: Any, key: str) -> tuple[Any, str]:
    """The mapping that holds the last part of a dotted key, and that part; (None, …) when the way there is missing."""
    *way, last = key.split(".")
    for part in way:
        data = data.get(part) if isinstance(data, dict) else None
    return (data if isinstance(data, dict) else None), last


def _make(data: Any, key: str, what: str) -> Any:
    """The mapping that shall hold the last part of a dotted key; mappings that are missing on the way are made."""
    *way, _ = key.split(".")
    for part in way:
        if isinstance(data, dict) and data.get(part) is None:
            data[part] = CommentedMap()
        data = data.get(part) if isinstance(data, dict) else None
    if not isinstance(data, dict):
        raise PreflightRefused(
            f"{what}: what holds {key} is no mapping there, so the host's live value has no place",
            remedy="mend the file, or take the key out of the stack's live keys",
        )
    return data


def _take_out(data: Any, parts: list[str]) -> None:
    """Without that key, and without mappings that are empty then: they may be there only to hold live values."""
    if not isinstance(data, dict) or parts[0] not in data:
        return
    if parts[1:]:
        _take_out(data[parts[0]], parts[1:])
    if not parts[1:] or data[parts[0]] is None or data[parts[0]] == {}:
        del data[parts[0]]


def without_live_keys(content: bytes, keys: Iterable[str]) -> bytes:
    """`content` with the dotted `keys` taken out; what is left is what a change is measured on."""
    data = _load(content, "the shipped file")
    for key in keys:
        _take_out(data, key.split("."))
    return _dump(data or None)


def carry_over(shipped: bytes, present: bytes, keys: Iterable[str], path: str) -> tuple[bytes, tuple[str, ...]]:
    """`shipped` with the values that `present` (the host's file) has at `keys`, and the keys that differed.

    A key the host's file does not have keeps the shipped value. Comments and order of `shipped` stay.

    Raises:
        PreflightRefused: one of the two is not YAML, or the shipped one has no place for a live value.
    """
    ours, theirs = _load(shipped, path), _load(present, f"{path} on the host")
    ours = CommentedMap() if ours is None else ours
    kept = []
    for key in keys:
        source, last = _find(theirs, key)
        value = source.get(last, _ABSENT) if source is not None else _ABSENT
        target, _ = _find(ours, key)
        if value is _ABSENT or (target is not None and target.get(last, _ABSENT) == value):
            continue
        _make(ours, key, path)[last] = value
        kept.append(key)
    return (_dump(ours, shipped), tuple(kept)) if kept else (shipped, ())
