"""Parsed queries, and how `format_query` prints them."""

from __future__ import annotations

from dataclasses import dataclass, field

from vpai_tui.demo.loki.model import S, quoted

_UNITS = (("y", 31536000), ("w", 604800), ("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


@dataclass(frozen=True, slots=True)
class Matcher:
    """`name="value"` in a selector; `op` is one of = != =~ !~."""

    name: str
    op: str
    value: str

    def __str__(self) -> str:
        return f"{self.name}{self.op}{quoted(self.value)}"


@dataclass(frozen=True, slots=True)
class LineFilter:
    """`|= "a" or "b"`; `op` is one of |= != |~ !~."""

    op: str
    texts: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.op} " + " or ".join(quoted(text) for text in self.texts)


@dataclass(frozen=True, slots=True)
class Parser:
    """`| json` or `| logfmt`; `fields` are the labels to make and what of, empty for all."""

    kind: str
    flags: tuple[str, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        pairs = ",".join(f"{name}={quoted(path)}" for name, path in self.fields)
        return " ".join(part for part in (f"| {self.kind}", *self.flags, pairs) if part)


@dataclass(frozen=True, slots=True)
class Compared:
    """`status >= 500`; `kind` is what the value is: text, number, duration or bytes."""

    name: str
    op: str
    value: str | float
    kind: str
    source: str

    def __str__(self) -> str:
        return f"{self.name}{self.op}{self.source}"


@dataclass(frozen=True, slots=True)
class Joined:
    """Two label filters; `op` is `and` or `or`."""

    op: str
    left: Compared | Joined
    right: Compared | Joined

    def __str__(self) -> str:
        return f"( {self.left} {self.op} {self.right} )"


@dataclass(frozen=True, slots=True)
class LabelFilter:
    """`| status >= 500`"""

    test: Compared | Joined

    def __str__(self) -> str:
        return f"| {self.test}"


@dataclass(frozen=True, slots=True)
class LineFormat:
    """`| line_format "{{.msg}}"`"""

    template: str

    def __str__(self) -> str:
        return f"| line_format {quoted(self.template)}"


@dataclass(frozen=True, slots=True)
class Names:
    """`| drop a, b` or `| keep a, b`"""

    kind: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"| {self.kind} {','.join(self.names)}"


@dataclass(frozen=True, slots=True)
class Decolorize:
    """`| decolorize`"""

    def __str__(self) -> str:
        return "| decolorize"


Stage = LineFilter | Parser | LabelFilter | LineFormat | Names | Decolorize


@dataclass(frozen=True, slots=True)
class Log:
    """A log query: selector and pipeline."""

    matchers: tuple[Matcher, ...]
    stages: tuple[Stage, ...] = ()

    def __str__(self) -> str:
        return " ".join(["{" + ", ".join(map(str, self.matchers)) + "}", *map(str, self.stages)])


@dataclass(frozen=True, slots=True)
class Range:
    """`count_over_time(LOG[5m])`; times in nanoseconds."""

    function: str
    log: Log
    window: int
    offset: int = 0

    def __str__(self) -> str:
        offset = f" offset {duration(self.offset)}" if self.offset else ""
        return f"{self.function}({self.log}[{duration(self.window)}]{offset})"


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`sum by (a) (METRIC)`; without grouping `names` is empty."""

    function: str
    inner: Metric
    names: tuple[str, ...] = field(default=())
    without: bool = False

    def __str__(self) -> str:
        word = "without" if self.without else "by"
        grouping = f" {word} ({', '.join(self.names)})" if self.names or self.without else ""
        return f"{self.function}{grouping}({self.inner})"


Metric = Range | Aggregate
Query = Log | Range | Aggregate


def duration(nanoseconds: int) -> str:
    """`1h30m`, as Prometheus prints durations."""
    if nanoseconds % S:
        return f"{nanoseconds // 10**6}ms"
    rest, text = nanoseconds // S, ""
    for unit, seconds in _UNITS:
        if rest >= seconds and (unit not in ("y", "w", "d") or rest % seconds == 0):
            text, rest = f"{text}{rest // seconds}{unit}", rest % seconds
    return text or "0s"
