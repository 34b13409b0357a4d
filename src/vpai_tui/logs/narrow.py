"""A query narrowed by a field of a line: to the lines that have its value, or to those that have not.

Labels go into the selector. What a parser finds in the line goes behind `| json` or `| logfmt`, put in once. Whether
Loki's parser reads the line as we do is asked of Loki before anything is changed: `check`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.logs.fields import DEEPEST, MESSAGE, MOST, PAIR, folded
from vpai_tui.logs.model import Line
from vpai_tui.logs.query import matcher, with_label
from vpai_tui.redact import redact
from vpai_tui.text import clean, clean_line

_LONGEST = 1000  # characters of a value
_TOKEN = re.compile(r'#[^\n]*|"(?:\\.|[^"\\])*+"?|`[^`]*+`?|.', re.DOTALL)
_WORD = re.compile(r"\|\s*([a-z_]\w*)")
_FLAGS = re.compile(r"(?:\s*--[a-z-]+)*\s*")
_RESHAPES = frozenset(
    ["line_format", "label_format", "drop", "keep", "unpack"]
)  # behind them, a parser finds other things
_UNFIT = re.compile(r"[^A-Za-z0-9_]")
_IN_PLACE = "/ filters by any text"


class Kind(Enum):
    """Where a field stands, and so how Loki is asked for it."""

    LABEL = "label"  # of the stream
    META = "metadata"  # beside the line: structured metadata, or what the query's own parser found
    JSON = "json"
    LOGFMT = "logfmt"


@dataclass(frozen=True, slots=True)
class Field:
    """A name as it is shown, and the value exactly as the line has it: hostile, never to be shown as it is."""

    name: str
    value: str
    kind: Kind


class Asked(Protocol):
    """What Loki is asked."""

    async def validate(self, query: str) -> None: ...

    async def count(self, query: str, from_ns: int, to_ns: int) -> int: ...


# ── the fields of a line ─────────────────────────────────────────────────────────────────────────────────────────────


def parsed_fields(line: Line) -> dict[str, Field]:
    """By the name shown, what Loki's parsers find in a line too: no lists, no nulls, nothing deeper than is shown."""
    kind = folded(line.raw).kind
    if kind == "json":
        try:
            whole = json.loads(line.raw, parse_int=str, parse_float=str)  # a number is compared as it is written
        except (ValueError, RecursionError):
            return {}
        return (
            {name: Field(name, value, Kind.JSON) for name, value in _leaves(whole)} if isinstance(whole, dict) else {}
        )
    if kind != "logfmt":
        return {}
    found = list(PAIR.finditer(line.raw.decode("utf-8", "replace")))[:MOST]
    return {it[1]: Field(it[1], _unquoted(it[2]), Kind.LOGFMT) for it in found}


def message_field(line: Line) -> Field | None:
    """The field that the message is the value of; None where the line itself is it."""
    fields, message = parsed_fields(line), folded(line.raw).message
    return next((fields[it] for it in MESSAGE if it in fields and clean(fields[it].value) == message), None)


def _leaves(value: Mapping[str, Any], prefix: str = "", depth: int = 1) -> Iterator[tuple[str, str]]:
    for key, inner in value.items():
        name = clean(f"{prefix}{key}")
        if isinstance(inner, bool):
            yield name, "true" if inner else "false"
        elif isinstance(inner, str):
            yield name, inner
        elif isinstance(inner, dict) and depth < DEEPEST:
            yield from _leaves(inner, f"{name}.", depth + 1)


def _unquoted(value: str) -> str:
    if value[:1] != '"':
        return value
    try:
        return str(json.loads(value, strict=False))
    except ValueError:
        return value.strip('"')


# ── the query ────────────────────────────────────────────────────────────────────────────────────────────────────────


def narrowed(query: str, field: Field, line: Line, *, excluded: bool) -> str:
    """`query` with one condition more, by a field of `line`, which it gave.

    Raises:
        UsageError: the value must not or cannot be put into a query, or the query has the condition.
    """
    _check_value(field)
    begin, end = _selector(query)
    bare = _bare(query)
    if field.kind is Kind.LABEL and not any(it[1] == "label_format" for it in _WORD.finditer(bare, end)):
        return _in_selector(query, begin, end, field, excluded=excluded)
    name = field.name if field.kind in (Kind.LABEL, Kind.META) else _label(field, line)
    if field.kind in (Kind.JSON, Kind.LOGFMT) and line.meta.get(name) != field.value:
        query = query if _parses(bare, end, field.kind.value) else _stage(query, f"| {field.kind.value}")
    if any(with_label("", name, field.value, excluded=it).strip() in query for it in (False, True)):
        raise UsageError("the query has that field already", remedy="u takes the last step back")
    return with_label(query, name, field.value, excluded=excluded)


def _check_value(field: Field) -> None:
    value = field.value
    if redact(f"{field.name}={value}") != f"{field.name}={value}":
        raise UsageError(f"{clean_line(field.name, 40)} looks like a secret: it is put into no query")
    if not value:
        raise UsageError("an empty value is no condition: Loki cannot tell it from none", remedy=_IN_PLACE)
    if len(value) > _LONGEST:
        raise UsageError(f"a value of more than {_LONGEST} characters is put into no query", remedy=_IN_PLACE)
    if "\ufffd" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise UsageError("this value is no valid UTF-8: no query can name it", remedy=_IN_PLACE)


def _label(field: Field, line: Line) -> str:
    """What Loki's parsers call a field: `request.method` is `request_method`; one named as a label is has a suffix."""
    name = _UNFIT.sub("_", field.name.strip())
    name = f"_{name}" if name[:1].isdigit() else name
    if line.meta.get(name) == field.value:
        return name
    return f"{name}_extracted" if name in line.meta or name in dict(line.labels) else name


def _in_selector(query: str, begin: int, end: int, field: Field, *, excluded: bool) -> str:
    """`{a="b"}` with one matcher more; `a=~".+"` has nothing to say beside `a="b"`."""
    wanted = matcher(field.name, [field.value])
    opposite = f"{field.name}!={wanted.removeprefix(f'{field.name}=')}"
    known = [query[begin + 1 + start : begin + 1 + stop].strip() for start, stop in _between(query[begin + 1 : end])]
    if wanted in known or opposite in known:
        raise UsageError("the query has that label already", remedy="u takes the last step back")
    kept = [it for it in known if excluded or it != f'{field.name}=~".+"']
    inside = ", ".join([*kept, opposite if excluded else wanted])
    if "#" in inside:  # a comment would take in what follows
        inside = query[begin + 1 : end].rstrip() + f"\n, {opposite if excluded else wanted}"
    return f"{query[: begin + 1]}{inside}{query[end:]}"


def _selector(query: str) -> tuple[int, int]:
    """The places of its braces. UsageError where it has none."""
    bare = _bare(query)
    begin = bare.find("{")
    end = bare.find("}", begin)
    if begin < 0 or end < 0:
        raise UsageError("the query has no selector to narrow")
    return begin, end


def _bare(query: str) -> str:
    """The query with blanks for its strings and comments: of the same length, and only its grammar is left."""
    return "".join(" " * len(found[0]) if found[0][0] in '#"`' else found[0] for found in _TOKEN.finditer(query))


def _between(text: str) -> Iterator[tuple[int, int]]:
    """Begin and end of each part of `text` between its commas."""
    start = 0
    bare = _bare(text)
    while (comma := bare.find(",", start)) >= 0:
        yield start, comma
        start = comma + 1
    yield start, len(text)


def _parses(bare: str, start: int, parser: str) -> bool:
    """Whether the stages find all fields by `parser`, and nothing behind it changes line or labels."""
    found = False
    for word in _WORD.finditer(bare, start):
        if word[1] == parser:
            flags = _FLAGS.match(bare, word.end())
            rest = bare[flags.end() if flags else word.end() :]
            found = found or not rest or rest[0] in "|!"
        elif word[1] in _RESHAPES:
            found = False
    return found


def _stage(query: str, stage: str) -> str:
    """One more stage: on a line of its own where a comment might take it in."""
    return f"{query}\n{stage}" if "#" in query else f"{query} {stage}"


async def check(loki: Asked, wanted: str, included: str, line: Line) -> None:
    """Asks Loki whether the query can be, and whether it finds the field in this line as it is shown.

    Raises:
        OperatorError: it does not; LokiError with its own words where the query is wrong.
    """
    await loki.validate(wanted)
    if not await loki.count(included, line.ns, line.ns + 1):
        raise OperatorError("Loki itself does not find this field in this line: nothing was changed", remedy=_IN_PLACE)


# ── without Loki ─────────────────────────────────────────────────────────────────────────────────────────────────────


def in_place(field: Field, line: Line) -> str:
    """A regular expression that finds the field as the line has it written. UsageError where there is none."""
    _check_value(field)
    text = line.raw.decode("utf-8", "replace")
    if field.kind is Kind.LOGFMT:
        for found in PAIR.finditer(text):
            if found[1] == field.name and _unquoted(found[2]) == field.value:
                return rf"(?:^|\s){re.escape(found[0])}(?:\s|$)"
    if field.kind is Kind.JSON:
        key = re.escape(json.dumps(field.name.rpartition(".")[2], ensure_ascii=False))
        for found in re.finditer(rf'{key}\s*:\s*("(?:\\.|[^"\\])*+"|[^\s,"{{}}\[\]]++)', text):
            if _unquoted(found[1]) == field.value:
                return re.escape(found[0]) + ("" if found[1][0] == '"' else r"(?:[^\w.]|$)")
    raise UsageError("Loki is not asked here, and all lines are of one container", remedy=_IN_PLACE)
