"""`detected_fields`: what the lines of a query hold."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from vpai_tui.demo.loki.lexer import span_ns
from vpai_tui.demo.loki.stages import DETAILS, ERROR, Row, clean_name, pairs

_SIZE = re.compile(r"\d+(\.\d+)?\s?([kKMGT]i?)?B")


@dataclass(slots=True)
class Field:
    """One field, how it can be parsed (structured metadata: not at all), and its values in order of appearance."""

    label: str
    parsers: set[str] = field(default_factory=set)
    path: tuple[str, ...] = ()
    values: dict[str, None] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        kind = type_of(next(reversed(self.values), ""))
        found: dict[str, Any] = {"label": self.label, "type": kind, "cardinality": len(self.values)}
        found["parsers"] = sorted(self.parsers) or None
        if self.path:
            found["jsonPath"] = list(self.path)
        return found


class Value(NamedTuple):
    """One field of one line; `path` where it is JSON."""

    label: str
    value: str
    parser: str
    path: tuple[str, ...] = ()


def detected(rows: Sequence[Row], *, parsed: bool) -> list[Field]:
    """The fields of the rows. `parsed`: by the query's own parser, else by whichever fits the line."""
    found: dict[str, Field] = {}
    for row in rows:
        for name, value in row.meta.items():
            found.setdefault(name, Field(name)).values[value] = None
        for it in _parsed(row) if parsed else _tried(row.line):
            known = found.setdefault(it.label, Field(it.label))
            known.values[it.value] = None
            known.parsers.add(it.parser)
            known.path = known.path or it.path
    return list(found.values())


def _parsed(row: Row) -> list[Value]:
    """What the query found; where in the line, if that is JSON."""
    places = {it.label: it for it in _tried(row.line) if it.path}
    names = [name for name in row.parsed if name not in (ERROR, DETAILS)]
    parser = "json" if places else "logfmt"
    return [Value(name, row.parsed[name], parser, places[name].path if name in places else ()) for name in names]


def _tried(line: str) -> list[Value]:
    try:
        document = json.loads(line, parse_int=str, parse_float=str)
    except ValueError:
        document = None
    if isinstance(document, dict):
        return _leaves(document, ())
    return [Value(name, value, "logfmt") for name, value in pairs(line) if value]


def _leaves(document: dict[str, Any], before: tuple[str, ...]) -> list[Value]:
    found: list[Value] = []
    for key, value in document.items():
        path = (*before, key)
        if isinstance(value, dict):
            found += _leaves(value, path)
        elif not isinstance(value, list):
            text = {True: "true", False: "false", None: ""}[value] if value in (True, False, None) else value
            found.append(Value("_".join(clean_name(part) for part in path), str(text), "json", path))
    return found


def type_of(value: str) -> str:
    """As Loki guesses it."""
    if re.fullmatch(r"[+-]?\d+", value):
        return "int"
    try:
        float(value)
    except ValueError:
        pass
    else:
        return "float"
    if value in ("true", "false", "True", "False", "TRUE", "FALSE", "t", "f", "T", "F"):
        return "boolean"
    if span_ns(value) is not None:
        return "duration"
    return "bytes" if _SIZE.fullmatch(value) else "string"
