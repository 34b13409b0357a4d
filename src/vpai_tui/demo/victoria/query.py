"""A small part of PromQL: selectors, `rate`, sums by labels, arithmetic. Anything else is refused, never guessed."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

from vpai_tui.demo.victoria.tracks import Labels, Match, Store, Track

NAME = "__name__"
Key = tuple[tuple[str, str], ...]
Row = list[float | None]
Vector = dict[Key, Row]
Value = float | Vector

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:e[+-]?\d+)?)(?![a-z])|(?P<span>\d+[smhd])|(?P<word>[a-zA-Z_:][\w:]*)"
    r'|(?P<text>"(?:[^"\\]|\\.)*")|(?P<mark>!=|=~|!~|[-+*/(){}\[\],=]))'
)
_SPANS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {
    "sum": sum,
    "max": max,
    "min": min,
    "avg": lambda values: sum(values) / len(values),
    "count": lambda values: float(len(values)),
}
_OPERATORS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda left, right: left / right if right else float("nan"),
}


class Refused(Exception):
    """The query is wrong, or not one this server knows."""


class Selector:
    """`name{label="value"}`."""

    def __init__(self, name: str, matchers: Sequence[tuple[str, str, str]]) -> None:
        self.matchers = [*matchers, *([(NAME, "=", name)] if name else [])]
        self._tests = [(label, _test(how, value)) for label, how, value in self.matchers]
        self.match: Match = lambda labels: all(test(labels.get(label, "")) for label, test in self._tests)

    @property
    def labels(self) -> dict[str, str]:
        """Those that are told exactly: of a line that is sent in, all of them."""
        return {label: value for label, how, value in self.matchers if how == "="}


def _test(how: str, value: str) -> Callable[[str], bool]:
    if how in ("=", "!="):
        return lambda text: (text == value) is (how == "=")
    try:
        pattern = re.compile(value)
    except re.error as error:
        raise Refused(f"cannot parse regexp {value!r}: {error}") from error
    return lambda text: (pattern.fullmatch(text) is not None) is (how == "=~")


class _Reader:
    """Reads and computes in one go; `times` are the columns."""

    def __init__(self, text: str, store: Store, times: Sequence[float]) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._store, self._times = store, times

    def whole(self) -> Value:
        value = self._sum()
        if self._at < len(self._tokens):
            raise Refused(f"unparsed data left: {self._tokens[self._at][1]!r}")
        return value

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _take(self, *wanted: str) -> str:
        kind, text = self._peek()
        if wanted and text not in wanted and kind not in wanted:
            raise Refused(f"unexpected {text or 'end of the query'!r}; want {' or '.join(wanted)}")
        self._at += 1
        return text

    def _sum(self) -> Value:
        value = self._product()
        while self._peek()[1] in ("+", "-"):
            value = _combined(self._take(), value, self._product())
        return value

    def _product(self) -> Value:
        value = self._item()
        while self._peek()[1] in ("*", "/"):
            value = _combined(self._take(), value, self._item())
        return value

    def _item(self) -> Value:
        kind, text = self._peek()
        if text == "-":
            self._take()
            return _combined("-", 0.0, self._item())
        if text == "(":
            self._take()
            value = self._sum()
            self._take(")")
            return value
        if kind == "number":
            return float(self._take())
        if text in _AGGREGATES:
            return self._aggregate(self._take())
        if text == "rate" and self._tokens[self._at + 1 : self._at + 2] == [("mark", "(")]:
            return self._rate()
        return self._columns(self.selector(), lambda track, time: track.at(time), keep=True)

    def _rate(self) -> Vector:
        self._take("rate")
        self._take("(")
        picked = self.selector()
        self._take("[")
        span = self._take("span")
        self._take("]")
        self._take(")")
        window = float(span[:-1]) * _SPANS[span[-1]]
        return self._columns(picked, lambda track, time: track.rate(time, window), keep=False)

    def _columns(self, picked: Selector, read: Callable[[Track, float], float | None], *, keep: bool) -> Vector:
        found: Vector = {}
        for track in self._store.select(picked.match):
            row = [read(track, time) for time in self._times]
            if any(value is not None for value in row):
                found[_key(track.labels, name=keep)] = row
        return found

    def _aggregate(self, how: str) -> Vector:
        by = self._by()
        self._take("(")
        value = self._sum()
        self._take(")")
        by = by or self._by()
        if not isinstance(value, dict):
            raise Refused(f"{how} of a number")
        groups: dict[Key, list[Row]] = {}
        for key, row in value.items():
            groups.setdefault(tuple(it for it in key if it[0] in by), []).append(row)
        return {key: _folded(_AGGREGATES[how], rows) for key, rows in groups.items()}

    def _by(self) -> list[str]:
        found: list[str] = []
        if self._peek()[1] == "by":
            self._take()
            self._take("(")
            while self._peek()[1] != ")":
                found.append(self._take("word"))
                if self._peek()[1] != ")":
                    self._take(",")
            self._take(")")
        return found

    def selector(self) -> Selector:
        name = self._take("word") if self._peek()[0] == "word" else ""
        matchers: list[tuple[str, str, str]] = []
        if not name or self._peek()[1] == "{":
            self._take("{")
            while self._peek()[1] != "}":
                label, how, value = self._take("word"), self._take("=", "!=", "=~", "!~"), self._take("text")
                matchers.append((label, how, json.loads(value)))
                if self._peek()[1] != "}":
                    self._take(",")
            self._take("}")
        return Selector(name, matchers)


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at, text = [], 0, text.rstrip()
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise Refused(f"cannot parse {text[at : at + 20]!r}")
        found.append((str(token.lastgroup), token[str(token.lastgroup)]))
        at = token.end()
    return found


def _key(labels: Labels, *, name: bool) -> Key:
    return tuple(sorted(it for it in labels.items() if name or it[0] != NAME))


def _folded(how: Callable[[Sequence[float]], float], rows: Sequence[Row]) -> Row:
    columns = ([value for value in column if value is not None] for column in zip(*rows, strict=True))
    return [how(values) if values else None for values in columns]


def _combined(mark: str, left: Value, right: Value) -> Value:
    compute = _OPERATORS[mark]

    def one(a: float | None, b: float | None) -> float | None:
        return None if a is None or b is None else compute(a, b)

    if isinstance(left, dict) and isinstance(right, dict):
        others = {_key(dict(key), name=False): row for key, row in right.items()}
        pairs = [(_key(dict(key), name=False), row) for key, row in left.items()]
        return {key: list(map(one, row, others[key])) for key, row in pairs if key in others}
    if isinstance(left, dict):
        return {_key(dict(key), name=False): [one(value, right) for value in row] for key, row in left.items()}  # type: ignore[arg-type]
    if isinstance(right, dict):
        return {_key(dict(key), name=False): [one(left, value) for value in row] for key, row in right.items()}
    return compute(left, right)


def evaluate(text: str, store: Store, times: Sequence[float]) -> Vector:
    """The rows of `text` at `times`. Refused where it is wrong."""
    value: Any = _Reader(text, store, times).whole()
    return value if isinstance(value, dict) else {(): [value] * len(times)}


def selector(text: str) -> Selector:
    """A selector alone, as a line that is sent in begins."""

    class Nothing:
        def select(self, match: Match) -> list[Track]:
            return []

    return _Reader(text, Nothing(), ()).selector()
