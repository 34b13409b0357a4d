"""What the stages of a log query make of an entry."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from vpai_tui.demo.engine.templates import TemplateError, render
from vpai_tui.demo.loki import syntax
from vpai_tui.demo.loki.lexer import span_ns
from vpai_tui.demo.loki.model import Entry, Labels, Match, Refused
from vpai_tui.demo.loki.patterns import compiled

ERROR, DETAILS = "__error__", "__error_details__"
_NOT_JSON = "Value looks like object, but can't find closing '}' symbol"
_PAIR = re.compile(r'([^\s="]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*)))?')
_UNFIT = re.compile(r"[^A-Za-z0-9_]")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_PATH = re.compile(r'\.?([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]')


@dataclass(slots=True)
class Row:
    """An entry on its way through the stages; its labels by where they come from."""

    ts: int
    line: str
    stream: Labels
    meta: Labels
    parsed: Labels

    def labels(self) -> Labels:
        """All of them, as one stream carries them where they are not kept apart."""
        return {**self.stream, **self.meta, **self.parsed}

    def get(self, name: str) -> str | None:
        for place in (self.parsed, self.meta, self.stream):
            if name in place:
                return place[name]
        return None

    def add(self, name: str, value: str) -> None:
        """A label that a parser found; one of the stream's or metadata's name gets another."""
        taken = name in self.stream or name in self.meta
        self.parsed[f"{name}_extracted" if taken else name] = value

    def fail(self, what: str, details: str) -> None:
        self.parsed[ERROR], self.parsed[DETAILS] = what, details


Step = Callable[[Row], bool]  # false: the entry is filtered out


def matches(matchers: tuple[syntax.Matcher, ...]) -> Match:
    """Whether a stream is selected."""
    tests = [(it.name, _test(it.op, it.value)) for it in matchers]
    return lambda labels: all(test(labels.get(name, "")) for name, test in tests)


class Pipeline:
    """The stages of a log query, ready to run. Refused(400) for a bad expression or template in one."""

    def __init__(self, stages: tuple[syntax.Stage, ...]) -> None:
        self._steps = [_step(stage) for stage in stages]
        self.parses = any(isinstance(stage, syntax.Parser) for stage in stages)

    def run(self, stream: Labels, entry: Entry) -> Row | None:
        row = Row(entry.ts, entry.line, stream, dict(entry.meta), {})
        return row if all(step(row) for step in self._steps) else None


def _step(stage: syntax.Stage) -> Step:
    if isinstance(stage, syntax.LineFilter):
        return _line_filter(stage)
    if isinstance(stage, syntax.LabelFilter):
        return _label_filter(stage.test)
    if isinstance(stage, syntax.Parser):
        fields = [(name, _path(path, stage)) for name, path in stage.fields]
        if stage.kind == "json":
            return lambda row: _json(row, fields)
        wanted = {path: name for name, path in stage.fields}
        empty = "--keep-empty" in stage.flags
        return lambda row: _logfmt(row, wanted, empty=empty)
    if isinstance(stage, syntax.LineFormat):
        return _line_format(stage)
    if isinstance(stage, syntax.Names):
        return lambda row: _names(row, stage.names, drop=stage.kind == "drop")
    return _decolorize


def _test(op: str, value: str) -> Callable[[str], bool]:
    if "~" in op:
        pattern = compiled(value)
        return lambda text: (pattern.fullmatch(text) is not None) == (op == "=~")
    return lambda text: (text == value) == (op == "=")


# ── lines ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _line_filter(stage: syntax.LineFilter) -> Step:
    wanted = stage.op.startswith("|")
    if "~" in stage.op:
        patterns = [compiled(text, f"parse error : stage '{stage}' : ") for text in stage.texts]
        return lambda row: any(pattern.search(row.line) for pattern in patterns) == wanted
    return lambda row: any(text in row.line for text in stage.texts) == wanted


def _decolorize(row: Row) -> bool:
    row.line = _ANSI.sub("", row.line)
    return True


def _line_format(stage: syntax.LineFormat) -> Step:
    template = stage.template
    try:
        render(template, _Fields({}))
    except TemplateError as error:
        told = str(error).replace("template: ", "template: line:1: ")
        raise Refused(400, f"parse error : stage '{stage}' : invalid line template: {told}") from None

    def step(row: Row) -> bool:
        try:
            row.line = render(template, _Fields(row.labels()))
        except (TemplateError, TypeError, ValueError) as error:
            row.fail("TemplateFormatErr", str(error))
        return True

    return step


class _Fields(dict[str, Any]):
    """Labels for a template: one that is not there is empty."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> str:
        return ""


# ── labels ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _json(row: Row, fields: list[tuple[str, tuple[str | int, ...]]]) -> bool:
    try:
        document = json.loads(row.line, parse_int=str, parse_float=str)
        if not isinstance(document, dict):
            raise ValueError
    except (ValueError, RecursionError):
        row.fail("JSONParserErr", _NOT_JSON)
        return True
    if not fields:
        _flatten(row, document, "")
    for name, path in fields:
        row.add(name, _text(_below(document, path)))
    return True


def _flatten(row: Row, document: dict[str, Any], before: str) -> None:
    for key, value in document.items():
        name = before + clean_name(key)
        if isinstance(value, dict):
            _flatten(row, value, name + "_")
        elif not isinstance(value, list):
            row.add(name, _text(value))


def clean_name(key: str) -> str:
    """A key as a label's name."""
    name = _UNFIT.sub("_", key.strip())
    return "_" + name if name[:1].isdigit() else name


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _path(path: str, stage: syntax.Parser) -> tuple[str | int, ...]:
    """The steps of `request.headers["User-Agent"][0]`."""
    found: list[str | int] = []
    at = 0
    while at < len(path):
        match = _PATH.match(path, at)
        if match is None:
            told = f"cannot parse expression [{path}]: syntax error: unexpected $end, expecting STRING or INDEX"
            raise Refused(400, f"parse error : stage '{stage}' : {told}")
        found.append(int(match[2]) if match[2] else match[1] or match[3])
        at = match.end()
    return tuple(found)


def _below(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def pairs(line: str) -> list[tuple[str, str]]:
    """The keys and values of a logfmt line; a bare word is a key without value."""
    found = []
    for name, quoted, bare in _PAIR.findall(line):
        value = bare
        if quoted:
            try:
                value = json.loads(f'"{quoted}"')
            except ValueError:
                value = quoted
        found.append((clean_name(name), value))
    return found


def _logfmt(row: Row, wanted: dict[str, str], *, empty: bool) -> bool:
    for name, value in pairs(row.line):
        if value or empty:
            if not wanted:
                row.add(name, value)
            elif name in wanted:
                row.add(wanted[name], value)
    return True


def _names(row: Row, names: tuple[str, ...], *, drop: bool) -> bool:
    for place in ("stream", "meta", "parsed"):
        kept = {name: value for name, value in getattr(row, place).items() if (name in names) != drop}
        setattr(row, place, kept)
    return True


def _label_filter(test: syntax.Compared | syntax.Joined) -> Step:
    if isinstance(test, syntax.Joined):
        left, right = _label_filter(test.left), _label_filter(test.right)
        if test.op == "and":
            return lambda row: left(row) and right(row)
        return lambda row: left(row) or right(row)
    if test.kind == "text":
        holds = _test(test.op, str(test.value))
        return lambda row: holds(row.get(test.name) or "")
    return lambda row: _compare(row, test)


def _compare(row: Row, test: syntax.Compared) -> bool:
    """A label's value as a number; one that is none marks the line with an error and lets it pass."""
    text = row.get(test.name)
    if text is None:
        return False
    found = _number(text, test.kind)
    if found is None:
        what = {"number": f'strconv.ParseFloat: parsing "{text}": invalid syntax'}
        row.fail("LabelFilterErr", what.get(test.kind, f'time: invalid duration "{text}"'))
        return True
    value = Decimal(test.value)
    answers = {"=": found == value, "==": found == value, "!=": found != value, ">": found > value}
    answers |= {">=": found >= value, "<": found < value, "<=": found <= value}
    return answers[test.op]


def _number(text: str, kind: str) -> Decimal | None:
    if kind == "duration":
        span = span_ns(text)
        return None if span is None else Decimal(span)
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
