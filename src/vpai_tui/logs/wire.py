"""Loki's JSON and its plain-text errors, as our types. Nothing is trusted to have the right shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import msgspec

from vpai_tui.errors import OperatorError
from vpai_tui.logs.model import LATEST_NS, Entry, Labels
from vpai_tui.text import clean, clean_line

SHARD = "__stream_shard__"
_PLACE = re.compile(r"parse error at line (\d+), col (\d+): ")
_LONGEST_TOLD = 500
_STREAMS_KNOWN = 20_000
_NOTHING: Mapping[str, str] = {}


class LokiError(OperatorError):
    """Loki refused: `status` is its HTTP code (None where it closed a tail), `caret` the query with the place."""

    def __init__(
        self, message: str, *, status: int | None = None, host: str | None = None, caret: str = "", remedy: str = ""
    ) -> None:
        super().__init__(message, host=host, step="loki", output=caret, remedy=remedy)
        self.status = status
        self.caret = caret

    @property
    def query_is_wrong(self) -> bool:
        """Whether asking again cannot help."""
        return self.status is not None and 400 <= self.status < 500 and self.status not in (408, 429, 499)


class Strange(OperatorError):
    """An answer that is not Loki's."""


class _Value(msgspec.Struct, array_like=True, gc=False):
    """`[ns, line]`, or with `categorize-labels` `[ns, line, metadata]`."""

    ns: str
    line: str
    meta: msgspec.Raw = msgspec.Raw()


class _Stream(msgspec.Struct):
    stream: dict[str, str] = {}
    values: list[_Value] = []


class _Meta(msgspec.Struct):
    structured: Any = msgspec.field(name="structuredMetadata", default=None)
    parsed: Any = None


class _Drop(msgspec.Struct):
    timestamp: Any = None


class _Frame(msgspec.Struct):
    streams: list[_Stream] | None = None
    dropped_entries: list[_Drop] | None = None


class _Data(msgspec.Struct):
    kind: str = msgspec.field(name="resultType", default="")
    result: msgspec.Raw = msgspec.Raw(b"[]")
    stats: Any = None


class _Answer(msgspec.Struct):
    data: _Data = msgspec.field(default_factory=_Data)


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of a tail: its entries, and how many the server admits to have dropped before it."""

    entries: list[Entry]
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """What a query cost the server, by its own account."""

    bytes: int = 0
    lines: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Lines:
    """The entries of one page, stream by stream as Loki sent them, and what they cost."""

    entries: list[Entry]
    cost: Cost


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a metric query: its labels and its points, seconds → value."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


class Reader:
    """Decodes answers. Labels are interned: a stream's tuple is made once, however many lines it has."""

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[str, str], ...], Labels] = {}
        self._metas: dict[bytes, Mapping[str, str]] = {}
        self._frame = msgspec.json.Decoder(_Frame)
        self._answer = msgspec.json.Decoder(_Answer)
        self._streams = msgspec.json.Decoder(list[_Stream])
        self._meta = msgspec.json.Decoder(_Meta)

    def frame(self, raw: str | bytes) -> Frame:
        """A tail's message. Raises Strange."""
        frame = _decoded(self._frame.decode, raw, "the tail")
        return Frame(self._entries(frame.streams or []), len(frame.dropped_entries or []))

    def lines(self, raw: bytes) -> Lines:
        """The answer of a log query. Raises Strange."""
        data = _decoded(self._answer.decode, raw, "the query").data
        if data.kind != "streams":
            raise Strange("the query gives numbers, not lines", step="loki", remedy="leave the counting functions out")
        return Lines(self._entries(_decoded(self._streams.decode, bytes(data.result), "the query")), cost(data.stats))

    def labels(self, stream: dict[str, str]) -> Labels:
        """The labels of a stream as identity has them."""
        key = tuple(stream.items())
        known = self._known.get(key)
        if known is None:
            if len(self._known) > _STREAMS_KNOWN:  # a server that puts trace ids into labels
                self._known.clear()
            known = self._known[key] = tuple(sorted((name, it) for name, it in key if name != SHARD))
        return known

    def _entries(self, streams: list[_Stream]) -> list[Entry]:
        found: list[Entry] = []
        add, labels_of = found.append, self.labels
        try:
            for stream in streams:
                labels = labels_of(stream.stream)
                for value in stream.values:
                    meta = self._metadata(bytes(value.meta)) if value.meta else _NOTHING
                    ns = int(value.ns)
                    if not 0 <= ns <= LATEST_NS:  # no array holds it
                        raise ValueError(value.ns)
                    add(Entry(ns, labels, value.line.encode("utf-8", "surrogatepass"), meta))
        except ValueError as error:
            raise Strange(f"a line without a time: {clean_line(str(error), 80)}", step="loki") from error
        return found

    def _metadata(self, key: bytes) -> Mapping[str, str]:
        """Structured metadata and parsed fields; the same bytes give the same object (most are one level)."""
        known = self._metas.get(key)
        if known is None:
            known = self._read_metadata(key)
            if len(self._metas) > 4096:  # trace ids: no use in keeping them all
                self._metas.clear()
            self._metas[key] = known
        return known

    def _read_metadata(self, raw: bytes) -> Mapping[str, str]:
        try:
            meta = self._meta.decode(raw)
        except msgspec.DecodeError:
            return _NOTHING
        found = {**_texts(meta.structured), **_texts(meta.parsed)}
        return found or _NOTHING


def _decoded(decode: Callable[[Any], Any], raw: str | bytes, what: str) -> Any:
    try:
        return decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        if isinstance(raw, bytes):  # invalid UTF-8 inside a line is no reason to lose the page
            mended = raw.decode("utf-8", "replace").encode()
            if mended != raw:
                return _decoded(decode, mended, what)
        raise Strange(f"the answer to {what} is not Loki's: {clean_line(str(error), 120)}", step="loki") from error


def _texts(value: object) -> dict[str, str]:
    return {str(name): str(it) for name, it in value.items()} if isinstance(value, dict) else {}


# ── everything that is asked seldom ──────────────────────────────────────────────────────────────────────────────────


def load(raw: bytes, what: str) -> Any:
    """Any JSON answer. Raises Strange."""
    return _decoded(msgspec.json.decode, raw, what)


def names(raw: bytes, what: str) -> tuple[str, ...]:
    """`labels` and label values; Loki leaves `data` out when there are none."""
    return tuple(it for it in _listed(raw, what) if isinstance(it, str))


def series(raw: bytes) -> tuple[Mapping[str, str], ...]:
    """The streams of a selector, as their labels."""
    return tuple(_texts(it) for it in _listed(raw, "series") if isinstance(it, dict))


def _listed(raw: bytes, what: str) -> list[Any]:
    answer = load(raw, what)
    data = answer.get("data") if isinstance(answer, dict) else None
    return data if isinstance(data, list) else []


def numbers(raw: bytes) -> tuple[Series, ...]:
    """The answer of a metric query, vector or matrix alike. Raises Strange."""
    data = load(raw, "the count")
    data = data.get("data") if isinstance(data, dict) else None
    if not isinstance(data, dict) or data.get("resultType") not in ("vector", "matrix"):
        raise Strange("the answer to the count is not Loki's", step="loki")
    try:
        return tuple(_series(it) for it in data.get("result") or ())
    except (TypeError, ValueError, KeyError) as error:
        raise Strange("the answer to the count is not Loki's", step="loki") from error


def _series(raw: Mapping[str, Any]) -> Series:
    points = raw["values"] if "values" in raw else [raw["value"]]
    read = tuple((float(at), float(value)) for at, value in points)
    if not all(isfinite(number) for point in read for number in point):  # nothing is counted to NaN
        raise ValueError("no number")
    return Series(_texts(raw.get("metric")), read)


def cost(stats: object) -> Cost:
    """The `stats` of an answer; zeros where there are none."""
    summary = stats.get("summary") if isinstance(stats, dict) else None
    if not isinstance(summary, dict):
        return Cost()
    return Cost(
        whole(summary.get("totalBytesProcessed")),
        whole(summary.get("totalLinesProcessed")),
        float(summary["execTime"]) if isinstance(summary.get("execTime"), int | float) else 0.0,
    )


def whole(value: object) -> int:
    """A number of an answer without its fraction; 0 for anything else."""
    return int(value) if isinstance(value, int | float) else 0


def refused(status: int, body: bytes, query: str = "", host: str | None = None) -> LokiError:
    """The error that an answer which is not 2xx means; its body is plain text, whatever was asked."""
    text = clean(body[:4000]).strip() or f"HTTP {status}"
    return LokiError(
        clean_line(text, _LONGEST_TOLD), status=status, host=host, caret=caret(text, query), remedy=_remedy(text)
    )


def caret(message: str, query: str) -> str:
    """The line of `query` that a parse error names, with a caret below the column; empty where it names none."""
    place = _PLACE.search(message)
    if place is None or not query:
        return ""
    row, column = int(place[1]), int(place[2])
    rows = query.split("\n")
    if not 1 <= row <= len(rows):  # Loki says `line 0` of some
        return ""
    shown = clean(rows[row - 1]).replace("\t", " ")
    at = _column(rows[row - 1], column)
    return f"{shown}\n{' ' * at}^"


def _column(row: str, column: int) -> int:
    """Where Loki's column is in characters: it counts bytes, from one."""
    before = row.encode("utf-8", "replace")[: max(column - 1, 0)].decode("utf-8", "ignore")
    return len(clean(before))


_REMEDIES = (
    ("maximum number of series", "name fewer services, or a shorter time"),
    ("max_entries_limit", "a smaller --limit; pages are fetched one after the other"),
    ("query time range exceeds", "a shorter time"),
    ("exceeded maximum resolution", "a shorter time, or wider bars"),
    ("at least one regexp or equality matcher", 'name something: {container=~".+"} is everything'),
    ("request timed out", "a shorter time, or a narrower selector"),
    ("too many outstanding requests", "wait a moment; the server is busy"),
    ("not supported as an instant query", ""),
    ("parse error", 'a selector looks like {container="caddy"} |= "text"'),
)


def _remedy(text: str) -> str:
    return next((remedy for part, remedy in _REMEDIES if part in text), "")


def word(value: object) -> str:
    """A short text of an answer."""
    return clean_line(value, 80) if isinstance(value, str) else ""
