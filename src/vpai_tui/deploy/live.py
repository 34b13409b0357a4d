"""Values edited on the host (`live` keys): carried over by every deploy, left out of every comparison."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent

from vpai_tui.errors import PreflightRefused
from vpai_tui.redact import redact
from vpai_tui.text import clean_line

_ABSENT = object()
_FILE_LIMIT = 256 * 1024  # characters
_DEPTH = 64  # of a file people edit; a tenth is usual
_PLAINLY_DEEP = re.compile(rf"[\[{{](?:\s*[\[{{]){{{_DEPTH}}}")  # seen at once, where the parser looks far ahead
_NODES_LIMIT = 200_000  # values of one file with every alias written out
_INDENTED_LIST = re.compile(rb"(?m)^( *)[^\s#-].*:[ \t]*(?:#.*)?\n\1 +- ")


def _yaml() -> YAML:
    parser = YAML()
    parser.preserve_quotes = True
    parser.width = 4096
    return parser


def _load(content: bytes, what: str) -> Any:
    with _refusing(what):
        text = content.decode()
        if problem := _beyond_measure(text):
            raise _refusal(what, problem)
        return _yaml().load(text)


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Turns what the parser raises into PreflightRefused. Beside its own errors it lets out those of conversions."""
    try:
        yield
    except (YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError, AssertionError) as error:
        raise _refusal(what, _why(error)) from None  # the parser's own words quote the file, which may hold secrets


def _refusal(what: str, why: str) -> PreflightRefused:
    remedy = "mend the file; its live keys cannot be kept otherwise"
    return PreflightRefused(f"{what} is not readable YAML: {why}", remedy=remedy)


def _beyond_measure(text: str) -> str:
    """Why the file must not be built as data: too long, too deep, or too large with its aliases written out."""
    if len(text) > _FILE_LIMIT:
        return f"it is larger than {_FILE_LIMIT >> 10} KiB"
    if _PLAINLY_DEEP.search(text):
        return f"it is nested more than {_DEPTH} deep"
    sizes: dict[str, int] = {}  # of what an anchor stands for
    open_: list[tuple[str | None, int]] = []
    size = 0
    for event in _yaml().parse(text):
        if isinstance(event, CollectionStartEvent):
            open_.append((event.anchor, size))
            sizes[event.anchor or ""] = _NODES_LIMIT  # until it is counted: whoever meets it inside of itself
        elif isinstance(event, CollectionEndEvent):
            anchor, before = open_.pop()
            sizes[anchor or ""] = size - before
        elif isinstance(event, ScalarEvent):
            size += 1
            sizes[event.anchor or ""] = 1
        elif isinstance(event, AliasEvent):
            size += sizes.get(event.anchor, 0) + 1
        if len(open_) > _DEPTH:
            return f"it is nested more than {_DEPTH} deep"
        if size > _NODES_LIMIT:
            return "an alias stands inside of itself, or aliases multiply beyond measure"
    return ""


def _why(error: Exception) -> str:
    """What is wrong and where, without a piece of the file."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is no UTF-8"
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        known = "a character that YAML does not allow"
        return f"it holds {known if isinstance(error, YAMLError) else 'a number, a date or a tag that is none'}"
    problem = str(error.problem or "").partition(" with value ")[0]  # a double key is told with both values
    at = error.problem_mark
    return redact(clean_line(f"{problem} at line {at.line + 1}, column {at.column + 1}"))


def _dump(data: Any, like: bytes = b"") -> bytes:
    """`data` as YAML; lists are indented as they are in `like`."""
    parser, buffer = _yaml(), io.BytesIO()
    if _INDENTED_LIST.search(like):
        parser.indent(mapping=2, sequence=4, offset=2)
    with _refusing("what would be written"):
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
