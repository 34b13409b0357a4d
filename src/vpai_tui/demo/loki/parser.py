"""The part of LogQL this Loki understands.

Selectors (`=`, `!=`, `=~`, `!~`), line filters (`|=`, `!=`, `|~`, `!~`, with `or`), `| json`, `| logfmt`, label
filters, `| line_format`, `| drop`, `| keep`, `| decolorize`; `count_over_time`, `rate`, `bytes_over_time` and
`bytes_rate`, and over them `sum`, `min`, `max`, `avg`, `count` with `by` or `without`. All else is refused as a word
that is not expected there.
"""

from __future__ import annotations

from vpai_tui.demo.loki import syntax
from vpai_tui.demo.loki.lexer import END, Token, error, tokens
from vpai_tui.demo.loki.model import Refused, quoted
from vpai_tui.demo.loki.patterns import compiled

_RANGES = ("COUNT_OVER_TIME", "RATE", "BYTES_OVER_TIME", "BYTES_RATE")
_AGGREGATIONS = ("SUM", "MIN", "MAX", "AVG", "COUNT")
_MATCH_OPS = ("=", "=~", "!~", "!=")
_FILTER_OPS = ("|=", "|~", "!~", "!=")
_TEXT_OPS = ("=", "!=", "=~", "!~")
_NUMBER_OPS = ("=", "==", "!=", ">", ">=", "<", "<=")
_TOO_WIDE = (
    "queries require at least one regexp or equality matcher that does not have an empty-compatible value. "
    'For instance, app=~".*" does not meet this requirement, but app=~".+" will'
)


def parse(query: str) -> syntax.Query:
    """The query. Refused(400) with Loki's text when it is none, or has more than this Loki understands."""
    words = _Words(tokens(query))
    found: syntax.Query = words.log() if words.kind == "{" else words.metric()
    words.expect(END, told=False)
    log = log_of(found)
    for matcher in log.matchers:
        if "~" in matcher.op:
            compiled(matcher.value, "parse error : ")
    if not any(_narrows(matcher) for matcher in log.matchers):
        raise error(_TOO_WIDE)
    return found


def selector(query: str, *, any_stream: bool = False) -> tuple[syntax.Matcher, ...]:
    """The matchers of a query that may have nothing else; `{}` is all streams where `any_stream`."""
    words = _Words(tokens(query))
    if any_stream and (words.kind == END or query.replace(" ", "") == "{}"):
        return ()
    found = parse(query)
    if not isinstance(found, syntax.Log) or found.stages:
        raise Refused(400, "only label matchers are supported")
    return found.matchers


def log_of(query: syntax.Query) -> syntax.Log:
    """The log query inside a metric query."""
    while not isinstance(query, syntax.Log):
        query = query.log if isinstance(query, syntax.Range) else query.inner
    return query


def _narrows(matcher: syntax.Matcher) -> bool:
    """Whether it does not hold for a stream that lacks the label."""
    if matcher.op == "=":
        return matcher.value != ""
    return matcher.op == "=~" and compiled(matcher.value).fullmatch("") is None


class _Words:
    """The words from where the parser is."""

    def __init__(self, words: list[Token]) -> None:
        self._words = words
        self._at = 0

    @property
    def _now(self) -> Token:
        return self._words[self._at]

    @property
    def kind(self) -> str:
        return self._now.kind

    def take(self) -> Token:
        token = self._now
        self._at += 1
        return token

    def wrong(self, *expected: str) -> Exception:
        """Loki names what it expects only where that is at most four things."""
        wanted = f", expecting {' or '.join(expected)}" if expected else ""
        return error(f"syntax error: unexpected {self.kind}{wanted}", self._now.line, self._now.column)

    def expect(self, *kinds: str, told: bool = True) -> Token:
        if self.kind not in kinds:
            raise self.wrong(*(kinds if told else ()))
        return self.take()

    # ── log queries ──────────────────────────────────────────────────────────────────────────────────────────────

    def log(self) -> syntax.Log:
        return syntax.Log(self._selector(), self._stages())

    def _selector(self) -> tuple[syntax.Matcher, ...]:
        self.expect("{", told=False)
        found: list[syntax.Matcher] = []
        if self.kind != "}":
            if self.kind != "IDENTIFIER":
                raise self.wrong("IDENTIFIER", "}")
            found.append(self._matcher())
            while self.kind == ",":
                self.take()
                found.append(self._matcher())
        self.expect("}", *((",",) if found else ()))
        return tuple(found)

    def expect_name(self, *expected: str) -> Token:
        if self.kind != "IDENTIFIER":
            raise self.wrong(*expected)
        return self.take()

    def _matcher(self) -> syntax.Matcher:
        name = self.expect_name("IDENTIFIER")
        op = self.expect(*_MATCH_OPS)
        return syntax.Matcher(name.value, op.value, self.expect("STRING").value)

    def _stages(self) -> tuple[syntax.Stage, ...]:
        found: list[syntax.Stage] = []
        while True:
            if self.kind in _FILTER_OPS:
                found.append(self._line_filter())
            elif self.kind == "|":
                self.take()
                found.append(self._stage())
            else:
                return tuple(found)

    def _line_filter(self) -> syntax.LineFilter:
        op = self.take().value
        if self.kind != "STRING":
            raise self.wrong("STRING", "ip")
        texts = [self.take().value]
        while self.kind == "or":
            self.take()
            texts.append(self.expect("STRING").value)
        return syntax.LineFilter(op, tuple(texts))

    def _stage(self) -> syntax.Stage:
        kind = self.kind
        if kind in ("json", "logfmt"):
            return self._parser()
        if kind == "line_format":
            self.take()
            return syntax.LineFormat(self.expect("STRING").value)
        if kind in ("drop", "keep"):
            self.take()
            return syntax.Names(kind, self._names())
        if kind == "decolorize":
            self.take()
            return syntax.Decolorize()
        return syntax.LabelFilter(self._or())

    def _parser(self) -> syntax.Parser:
        kind = self.take().kind
        flags = []
        while kind == "logfmt" and self.kind == "FUNCTION_FLAG":
            flags.append(self.take().value)
        fields = []
        while self.kind == "IDENTIFIER":
            name = self.take().value
            path = name
            if self.kind == "=":
                self.take()
                path = self.expect("STRING").value
            fields.append((name, path))
            if self.kind != ",":
                break
            self.take()
        return syntax.Parser(kind, tuple(flags), tuple(fields))

    def _names(self) -> tuple[str, ...]:
        found = [self.expect_name("IDENTIFIER").value]
        while self.kind == ",":
            self.take()
            found.append(self.expect_name("IDENTIFIER").value)
        return tuple(found)

    # ── label filters ────────────────────────────────────────────────────────────────────────────────────────────

    def _or(self) -> syntax.Compared | syntax.Joined:
        found = self._and()
        while self.kind == "or":
            self.take()
            found = syntax.Joined("or", found, self._and())
        return found

    def _and(self) -> syntax.Compared | syntax.Joined:
        found = self._unit()
        while self.kind in ("and", ",", "IDENTIFIER", "("):
            if self.kind in ("and", ","):
                self.take()
            found = syntax.Joined("and", found, self._unit())
        return found

    def _unit(self) -> syntax.Compared | syntax.Joined:
        if self.kind == "(":
            self.take()
            found = self._or()
            self.expect(")", told=False)
            return found
        name = self.expect_name().value
        op = self.expect(*_NUMBER_OPS, "=~", "!~", told=False).value
        if self.kind == "STRING" and op in _TEXT_OPS:
            text = self.take().value
            return syntax.Compared(name, op, text, "text", quoted(text))
        if op not in _NUMBER_OPS:
            raise self.wrong()
        value = self.expect("NUMBER", "DURATION", "BYTES", told=False)
        return syntax.Compared(name, op, value.number, value.kind.lower(), value.value)

    # ── metric queries ───────────────────────────────────────────────────────────────────────────────────────────

    def metric(self) -> syntax.Metric:
        if self.kind in _RANGES:
            return self._range()
        if self.kind == "{":  # lines where numbers are wanted: what is wrong is what follows them
            self.log()
            raise self.wrong()
        function = self.expect(*_AGGREGATIONS, told=False).value
        without, names = self._grouping()
        self.expect("(", told=False)
        inner = self.metric()
        self.expect(")", told=False)
        if not names and not without:
            without, names = self._grouping()
        return syntax.Aggregate(function, inner, names, without)

    def _grouping(self) -> tuple[bool, tuple[str, ...]]:
        if self.kind not in ("by", "without"):
            return False, ()
        without = self.take().kind == "without"
        self.expect("(")
        if self.kind not in ("IDENTIFIER", ")"):
            raise self.wrong("IDENTIFIER", ")")
        names = () if self.kind == ")" else self._names()
        self.expect(")", ",")
        return without, names

    def _range(self) -> syntax.Range:
        function = self.take().value
        self.expect("(")
        matchers = self._selector()
        window = self.take() if self.kind == "RANGE" else None
        stages = self._stages()
        if window is None:
            window = self.expect("RANGE", told=False)
        offset = 0
        if self.kind == "offset":
            self.take()
            offset = int(self.expect("DURATION").number)
        self.expect(")", told=False)
        return syntax.Range(function, syntax.Log(matchers, stages), int(window.number), offset)
