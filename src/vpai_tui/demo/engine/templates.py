"""The part of Go's text/template that `--format` of the Docker CLI is used with.

`{{.A.B}}`, `{{index .A "k"}}`, `{{json .}}`, `if/else if/else/end`, `range`, `with`, variables, pipelines, `{{-` and
`-}}`, and the usual functions. A field that is not there is an error, as with the real CLI.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

_TOKEN = re.compile(
    r"""\s*("(?:\\.|[^"\\])*"|`[^`]*`|\(|\)|\||:=|=|,|\$?[A-Za-z_][\w]*(?:\.[\w]+)*|\$(?:\.[\w]+)*|(?:\.[\w]+)+|\.|-?\d+)"""
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}


class TemplateError(Exception):
    """The template is malformed or asks for what is not there."""


class Method:
    """A callable field, such as `.Label "k"` of `docker ps`."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call


Node = tuple[str, Any]


def render(template: str, data: Any) -> str:
    """`template` filled with `data` (dictionaries, lists, scalars, Method)."""
    nodes, rest, _ = _parse(list(_split(template)), 0, ())
    if rest != -1:
        raise TemplateError("template: unexpected {{end}}")
    out: list[str] = []
    _run(nodes, data, {"$": data}, out)
    return "".join(out)


def _split(template: str) -> Iterator[Node]:
    position = 0
    trim = False
    while (start := template.find("{{", position)) != -1:
        end = template.find("}}", start)
        if end == -1:
            raise TemplateError("template: unclosed action")
        text = template[position:start]
        action = template[start + 2 : end]
        if trim:
            text = text.lstrip()
        if action.startswith("- "):
            text, action = text.rstrip(), action[2:]
        trim = action.endswith(" -")
        action = action.removesuffix(" -")
        if text:
            yield "text", text
        if not action.strip().startswith("/*"):
            yield "action", action.strip()
        position = end + 2
    tail = template[position:]
    tail = tail.lstrip() if trim else tail
    if tail:
        yield "text", tail


def _parse(parts: list[Node], at: int, stops: tuple[str, ...]) -> tuple[list[Node], int, str]:
    """Nodes from `at` to one of `stops`; the index after it (-1 at the end) and the stopping action."""
    nodes: list[Node] = []
    while at < len(parts):
        kind, value = parts[at]
        at += 1
        if kind == "text":
            nodes.append((kind, value))
            continue
        word = value.split(None, 1)[0] if value else ""
        if word in stops:
            return nodes, at, value
        if word in ("if", "range", "with"):
            node, at = _block(word, value[len(word) :], parts, at)
            nodes.append(node)
        elif word in ("end", "else"):
            return nodes, at, value
        else:
            nodes.append(("show", _tokens(value)))
    if stops:
        raise TemplateError("template: unexpected EOF")
    return nodes, -1, ""


def _block(word: str, condition: str, parts: list[Node], at: int) -> tuple[Node, int]:
    body, at, stop = _parse(parts, at, ("else", "end"))
    other: list[Node] = []
    if stop.startswith("else"):
        rest = stop[4:].strip()
        inner = rest.split(None, 1)[0] if rest else ""
        if inner in ("if", "with"):
            node, at = _block(inner, rest[len(inner) :], parts, at)
            other = [node]
        else:
            other, at, _ = _parse(parts, at, ("end",))
    return (word, (_tokens(condition), body, other)), at


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match:
            raise TemplateError(f"template: unexpected {text[at:].strip()!r} in operand")
        tokens.append(match.group(1))
        at = match.end()
    return tokens


def _run(nodes: list[Node], dot: Any, variables: dict[str, Any], out: list[str]) -> None:
    for kind, value in nodes:
        if kind == "text":
            out.append(value)
        elif kind == "show":
            if not _assign(value, dot, variables):
                out.append(show(_pipeline(value, dot, variables)))
        else:
            _run_block(kind, value, dot, variables, out)


def _assign(tokens: list[str], dot: Any, variables: dict[str, Any]) -> bool:
    if len(tokens) > 2 and tokens[0].startswith("$") and tokens[1] in (":=", "="):
        variables[tokens[0]] = _pipeline(tokens[2:], dot, variables)
        return True
    return False


def _run_block(kind: str, value: Any, dot: Any, variables: dict[str, Any], out: list[str]) -> None:
    tokens, body, other = value
    names: list[str] = []
    if ":=" in tokens:
        cut = tokens.index(":=")
        names, tokens = [word for word in tokens[:cut] if word != ","], tokens[cut + 1 :]
    result = _pipeline(tokens, dot, variables)
    if not truth(result):
        _run(other, dot, variables, out)
        return
    if kind == "range":
        for key, item in _items(result):
            inner = dict(variables)
            inner.update(zip(names, (key, item) if len(names) == 2 else (item,), strict=False))
            _run(body, item, inner, out)
        return
    inner = dict(variables)
    inner.update(dict.fromkeys(names, result))
    _run(body, result if kind == "with" else dot, inner, out)


def _items(value: Any) -> list[tuple[Any, Any]]:
    return sorted(value.items()) if isinstance(value, dict) else list(enumerate(value))


def _pipeline(tokens: list[str], dot: Any, variables: dict[str, Any]) -> Any:
    stages: list[list[str]] = [[]]
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token, 0)
        if token == "|" and depth == 0:  # noqa: S105
            stages.append([])
        else:
            stages[-1].append(token)
    result: tuple[Any, ...] = ()
    for stage in stages:
        result = (_command(stage, dot, variables, result),)
    return result[0]


def _command(tokens: list[str], dot: Any, variables: dict[str, Any], piped: tuple[Any, ...]) -> Any:
    if not tokens:
        raise TemplateError("template: missing value for command")
    head, at = tokens[0], 1
    if head in FUNCTIONS:
        return FUNCTIONS[head](*_arguments(tokens, at, dot, variables), *piped)
    value, at = _operand(tokens, 0, dot, variables)
    arguments = [*_arguments(tokens, at, dot, variables), *piped]
    if isinstance(value, Method):
        return value.call(*arguments)
    if arguments:
        raise TemplateError(f"template: can't give argument to non-function {head}")
    return value


def _arguments(tokens: list[str], at: int, dot: Any, variables: dict[str, Any]) -> list[Any]:
    values = []
    while at < len(tokens):
        value, at = _operand(tokens, at, dot, variables)
        values.append(value)
    return values


def _operand(tokens: list[str], at: int, dot: Any, variables: dict[str, Any]) -> tuple[Any, int]:
    token = tokens[at]
    if token == "(":  # noqa: S105
        depth, end = 1, at + 1
        while depth and end < len(tokens):
            depth += {"(": 1, ")": -1}.get(tokens[end], 0)
            end += 1
        return _pipeline(tokens[at + 1 : end - 1], dot, variables), end
    if token[0] in '"`':
        body = token[1:-1]
        return (body if token[0] == "`" else re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), body)), at + 1
    if token.lstrip("-").isdigit():
        return int(token), at + 1
    if token in ("true", "false", "nil"):
        return {"true": True, "false": False, "nil": None}[token], at + 1
    if token.startswith("$"):
        name, *path = token.split(".")
        if name not in variables:
            raise TemplateError(f'template: undefined variable "{name}"')
        return _walk(variables[name], path), at + 1
    if token.startswith("."):
        return _walk(dot, [part for part in token.split(".") if part]), at + 1
    raise TemplateError(f'template: function "{token}" not defined')


def _walk(value: Any, path: list[str]) -> Any:
    for part in path:
        if isinstance(value, Method):
            value = value.call()
        if value is None:
            raise TemplateError(f"nil data; no entry for key {part!r}")
        if not isinstance(value, dict) or part not in value:
            raise TemplateError(f"can't evaluate field {part}: map has no entry for key {part!r}")
        value = value[part]
    return value


def truth(value: Any) -> bool:
    """Go's idea of a non-empty value."""
    return bool(value)


def show(value: Any) -> str:
    """As Go's `%v` prints it."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{show(item)}" for key, item in sorted(value.items())) + "]"
    if isinstance(value, list | tuple):
        return "[" + " ".join(show(item) for item in value) + "]"
    return str(value)


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if value is None:
            raise TemplateError("error calling index: index of untyped nil")
        value = value.get(key, "") if isinstance(value, dict) else value[key]
    return value


def _printf(form: str, *arguments: Any) -> str:
    values = iter(arguments)

    def one(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        value = next(values)
        if match[2] == "q":
            return json.dumps(show(value))
        return f"%{match[1]}s" % show(value) if match[2] in "vs" else f"%{match[1]}{match[2]}" % value

    return re.sub(r"%([-0-9.]*)([vsdqxf%])", one, form)


def to_json(value: Any) -> str:
    """Compact, as Go writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _and(*values: Any) -> Any:
    return next((value for value in values if not truth(value)), values[-1])


def _or(*values: Any) -> Any:
    return next((value for value in values if truth(value)), values[-1])


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "index": _index,
    "json": to_json,
    "printf": _printf,
    "print": lambda *values: "".join(show(value) for value in values),
    "println": lambda *values: " ".join(show(value) for value in values) + "\n",
    "len": len,
    "not": lambda value: not truth(value),
    "and": _and,
    "or": _or,
    "eq": lambda first, *others: any(first == other for other in others),
    "ne": lambda first, second: first != second,
    "lt": lambda first, second: first < second,
    "le": lambda first, second: first <= second,
    "gt": lambda first, second: first > second,
    "ge": lambda first, second: first >= second,
    "join": lambda items, by: by.join(show(item) for item in items),
    "split": lambda text, by: text.split(by),
    "upper": lambda text: text.upper(),
    "lower": lambda text: text.lower(),
    "title": lambda text: text.title(),
    "slice": lambda value, *bounds: value[slice(*bounds)],
    "truncate": lambda text, count: text[:count],
}
