"""Values edited on the host (`live` keys): carried over by every deploy, left out of every comparison."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from vpai_tui.errors import PreflightRefused

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
            f"{what} is not readable YAML: {error}", remedy="mend the file; its live keys cannot be kept otherwise"
        ) from error


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


def without_live_keys(content: bytes, keys: Iterable[str]) -> bytes:
    """`content` with the dotted `keys` taken out; what is left is what a change is measured on."""
    data = _load(content, "the shipped file")
    for key in keys:
        holder, last = _find(data, key)
        if holder is not None:
            holder.pop(last, None)
    return _dump(data)


def carry_over(shipped: bytes, present: bytes, keys: Iterable[str], path: str) -> tuple[bytes, tuple[str, ...]]:
    """`shipped` with the values that `present` (the host's file) has at `keys`, and the keys that differed.

    A key the host's file does not have keeps the shipped value. Comments and order of `shipped` stay.

    Raises:
        PreflightRefused: one of the two is not YAML.
    """
    ours, theirs = _load(shipped, path), _load(present, f"{path} on the host")
    kept = []
    for key in keys:
        source, last = _find(theirs, key)
        target, _ = _find(ours, key)
        value = source.get(last, _ABSENT) if source is not None else _ABSENT
        if value is _ABSENT or target is None or target.get(last, _ABSENT) == value:
            continue
        target[last] = value
        kept.append(key)
    return (_dump(ours, shipped), tuple(kept)) if kept else (shipped, ())
