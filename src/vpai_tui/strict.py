"""YAML files into typed structs; every problem at once, with file, line, path, what was expected and what was found.

`msgspec.convert` stops at the first error; an operator who edits a file wants them all, so the types are walked here
(through `msgspec.inspect`) and `convert` only builds the result once nothing is wrong.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import inspect as shapes

from vpai_tui.errors import UsageError
from vpai_tui.text import clean_line

T = TypeVar("T")
Key = str | int
KeyPath = tuple[Key, ...]  # ("hosts", "sese", "addresses", 1)

_PLAIN_KEY = re.compile(r"^[\w/@+-]+$")
FILE_LIMIT = 1024 * 1024  # bytes; what people write has a hundredth of that
_NODES_LIMIT = 200_000  # values of one file with every alias written out


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where (file, 1-based line if known, dotted path) and what was expected and found."""

    file: Path
    path: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        where = str(self.file) if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (where, self.path, self.message) if part)


class ConfigError(UsageError):
    """All problems of the configuration, one line each in `message`; `problems` has them one by one."""

    def __init__(self, problems: Iterable[Problem], *, remedy: str = "") -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(clean_line(str(problem)) for problem in self.problems), remedy=remedy)


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed YAML file: its value, and the line of every key and item."""

    file: Path
    value: Any
    lines: Mapping[KeyPath, int] = field(default_factory=dict)

    def problem(self, path: KeyPath, message: str) -> Problem:
        """A problem at `path`, with the line of it or of the nearest thing around it."""
        near = path
        while near and near not in self.lines:
            near = near[:-1]
        return Problem(self.file, dotted(path), message, self.lines.get(near))


def dotted(path: KeyPath) -> str:
    """`hosts.sese.addresses[1]`; a key with other characters is quoted."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
            continue
        name = key if _PLAIN_KEY.match(key) else json.dumps(clean_line(key, 80), ensure_ascii=False)
        text += f".{name}" if text else name
    return text


def found(value: object) -> str:
    """`value` in a few words, for the end of a message."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str():
            return f'the text "{clean_line(value, 60)}"'
        case Mapping():
            return "a mapping" if value else "an empty mapping"
        case list() | tuple():
            return "a list" if value else "an empty list"
    return f"a {type(value).__name__}"


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@functools.cache
def _loader() -> Any:
    """PyYAML's safe loader (libyaml's where there is one) with the scalars of YAML 1.2, as Compose reads them.

    YAML 1.1 would make `on` a boolean, `22:22` the number 1342 and `2026-02-26` a date.
    """
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # chosen at run time
        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # PyYAML's own way to configure a loader

    for tag, pattern, first in (
        ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
        ("int", r"^(?:[-+]?(?:0|[1-9][0-9]*)|0[0-7]+|0x[0-9a-fA-F]+)$", "-+0123456789"),
        (
            "float",
            r"^(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.nan)$",
            "",
        ),
        ("merge", r"^<<$", "<"),
        ("null", r"^(?:~|null|Null|NULL|)$", "~nN\0"),
    ):
        starts: list[str | None] = ["", *first] if "\0" in first else list(first)
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), starts or list("-+.0123456789"))
    return Loader


def read_yaml(file: Path) -> tuple[Document, list[Problem]]:
    """The parsed `file` and what is wrong with it as YAML: unreadable, not UTF-8, syntax, duplicate keys.

    With problems the document's value is None where nothing could be read.
    """
    try:
        if file.exists() and not file.is_file():  # a pipe would never end
            return _nothing(file, "cannot be read: it is not a plain file")
        with file.open("rb") as source:
            content = source.read(FILE_LIMIT + 1)
        if len(content) > FILE_LIMIT:
            return _nothing(file, f"is larger than {FILE_LIMIT >> 20} MiB")
        raw = content.decode("utf-8")
    except FileNotFoundError:
        return _nothing(file, "no such file")
    except UnicodeDecodeError as error:
        return _nothing(file, f"expected UTF-8 text, found byte 0x{error.object[error.start]:02x} at {error.start}")
    except OSError as error:
        return _nothing(file, f"cannot be read: {error.strerror or error}")
    return parse_yaml(raw, file)


def parse_yaml(raw: str, file: Path) -> tuple[Document, list[Problem]]:
    """The text `raw` of `file` as `read_yaml` gives it."""
    import yaml

    loader = None
    try:
        loader = _loader()(raw)
        node = loader.get_single_node()
        if _expanded(node, {}) > _NODES_LIMIT:
            return _nothing(file, "an alias stands inside of itself, or aliases multiply beyond measure")
        lines: dict[KeyPath, int] = {}
        doubles: list[tuple[KeyPath, int]] = []
        _walk_nodes(node, (), lines, doubles, set())
        value = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = ", ".join(part for part in (error.context, error.problem) if part)
        line, column = (None, "") if mark is None else (mark.line + 1, f" (column {mark.column + 1})")
        return _nothing(file, f"not valid YAML: {clean_line(what)}{column}", line)
    except yaml.YAMLError as error:
        return _nothing(file, f"not valid YAML: {clean_line(str(error))}")
    except (RecursionError, ValueError) as error:  # nested too deeply; a number or a binary that is none
        return _nothing(file, f"not valid YAML: {clean_line(str(error))}")
    finally:
        if loader is not None:
            loader.dispose()
    document = Document(file, value, lines)
    problems = [
        Problem(file, dotted(path), f"this key is here twice (first in line {lines[path]})", line)
        for path, line in doubles
    ]
    return document, problems


def _nothing(file: Path, message: str, line: int | None = None) -> tuple[Document, list[Problem]]:
    return Document(file, None), [Problem(file, "", message, line)]


def _expanded(node: Any, known: dict[int, int]) -> int:
    """How many values `node` holds with every alias written out; one that holds itself has too many."""
    if node is None or node.id == "scalar":
        return 1
    if id(node) not in known:
        known[id(node)] = _NODES_LIMIT + 1  # until it is counted: whoever meets it inside of itself
        inside = (part for pair in node.value for part in pair) if node.id == "mapping" else iter(node.value)
        known[id(node)] = min(1 + sum(_expanded(part, known) for part in inside), _NODES_LIMIT + 1)
    return known[id(node)]


def _walk_nodes(
    node: Any, path: KeyPath, lines: dict[KeyPath, int], doubles: list[tuple[KeyPath, int]], seen: set[int]
) -> None:
    """Note the line of each path and the keys that stand twice; each node once, so that aliases cannot explode."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if node.id == "mapping":
        for key, value in node.value:
            if key.id != "scalar" or key.tag.endswith(":merge"):
                continue
            inner = (*path, key.value)
            line = key.start_mark.line + 1
            if inner in lines:
                doubles.append((inner, line))
            else:
                lines[inner] = line
                _walk_nodes(value, inner, lines, doubles, seen)
    elif node.id == "sequence":
        for index, item in enumerate(node.value):
            lines[(*path, index)] = item.start_mark.line + 1
            _walk_nodes(item, (*path, index), lines, doubles, seen)


# ── checking ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def build(kind: type[T], document: Document) -> tuple[T | None, list[Problem]]:
    """`document` as a `kind` (a msgspec Struct), or None and everything about its shape that is wrong."""
    problems: list[Problem] = []
    value = {} if document.value is None else document.value
    _check(shapes.type_info(kind), value, (), document, problems)
    if problems:
        return None, problems
    return msgspec.convert(value, kind), []


def _check(shape: shapes.Type, value: object, path: KeyPath, document: Document, problems: list[Problem]) -> None:
    inner = _bare(shape)
    if isinstance(inner, shapes.UnionType):
        inner = next((_bare(member) for member in inner.types if _fits(member, value)), inner)
    match inner:
        case shapes.StructType() if isinstance(value, dict):
            _check_struct(inner, value, path, document, problems)
        case shapes.DictType(key_type=keys, value_type=values) if isinstance(value, dict):
            for key, item in value.items():
                _check(keys, key, (*path, str(key)), document, problems)
                _check(values, item, (*path, str(key)), document, problems)
        case shapes.VarTupleType(item_type=items) if isinstance(value, list):
            for index, item in enumerate(value):
                _check(items, item, (*path, index), document, problems)
    if not _fits(shape, value):
        problems.append(document.problem(path, f"expected {_expected(shape)}, found {found(value)}"))


def _check_struct(
    shape: shapes.StructType, value: dict[Any, Any], path: KeyPath, document: Document, problems: list[Problem]
) -> None:
    fields = {item.encode_name: item for item in shape.fields}
    for key, item in value.items():
        if key in fields:
            _check(fields[key].type, item, (*path, key), document, problems)
        else:
            problems.append(document.problem((*path, str(key)), _unknown(str(key), fields)))
    for name, wanted in fields.items():
        if wanted.required and name not in value:
            problems.append(document.problem((*path, name), f"missing; expected {_expected(wanted.type)}"))


def _unknown(key: str, fields: Iterable[str]) -> str:
    import difflib

    names = list(fields)
    near = difflib.get_close_matches(key, names, n=1)
    return f'unknown key; did you mean "{near[0]}"?' if near else f"unknown key; expected one of {', '.join(names)}"


def _bare(shape: shapes.Type) -> shapes.Type:
    return shape.type if isinstance(shape, shapes.Metadata) else shape


def _fits(shape: shapes.Type, value: object) -> bool:
    """Whether `value` has this shape at its top (its members are checked on their own)."""
    match _bare(shape):
        case shapes.UnionType(types=types):
            return any(_fits(member, value) for member in types)
        case shapes.LiteralType(values=values):
            return isinstance(value, str) and value in values
        case shapes.StructType():
            return isinstance(value, dict)
        case shapes.DictType(min_length=least):
            return isinstance(value, dict) and len(value) >= (least or 0)
        case shapes.VarTupleType(min_length=least):
            return isinstance(value, list) and len(value) >= (least or 0)
    return _scalar_fits(_bare(shape), value)


def _scalar_fits(shape: shapes.Type, value: object) -> bool:
    match shape:
        case shapes.NoneType():
            return value is None
        case shapes.BoolType():
            return isinstance(value, bool)
        case shapes.IntType():
            return isinstance(value, int) and not isinstance(value, bool) and _in_range(shape, value)
        case shapes.FloatType():
            return isinstance(value, int | float) and not isinstance(value, bool) and _in_range(shape, value)
        case shapes.StrType():
            return isinstance(value, str) and _text_fits(shape, value)
    raise TypeError(f"a configuration type may not hold {shape}")


def _in_range(shape: shapes.IntType | shapes.FloatType, value: float) -> bool:
    low = shape.ge is None or value >= shape.ge
    above = shape.gt is None or value > shape.gt
    return low and above and (shape.le is None or value <= shape.le)


def _text_fits(shape: shapes.StrType, value: str) -> bool:
    if len(value) < (shape.min_length or 0):
        return False
    # `$` alone would let a line break follow.
    return shape.pattern is None or ("\n" not in value and bool(re.search(shape.pattern, value)))


def _expected(shape: shapes.Type) -> str:
    """What a value of this shape looks like, in words: the type's own description if it has one."""
    match shape:
        case shapes.Metadata(extra_json_schema={"description": words}):
            return str(words)
        case shapes.Metadata(type=inner):
            return _expected(inner)
        case shapes.UnionType(types=types):
            return " or ".join(_expected(member) for member in types if not isinstance(member, shapes.NoneType))
        case shapes.LiteralType(values=values):
            return "one of " + ", ".join(str(value) for value in values)
        case shapes.StructType(fields=fields):
            return "a mapping with " + ", ".join(item.encode_name for item in fields)
        case shapes.DictType(min_length=int()):
            return "a mapping with at least one entry"
        case shapes.DictType():
            return "a mapping"
        case shapes.VarTupleType(item_type=item):
            one = "mapping" if isinstance(_bare(item), shapes.StructType) else "text"
            return f"a list of at least one {one}" if shape.min_length else f"a list of {one}s"
    return _expected_scalar(shape)


def _expected_scalar(shape: shapes.Type) -> str:
    match shape:
        case shapes.BoolType():
            return "true or false"
        case shapes.IntType():
            return "a whole number" + _range(shape)
        case shapes.FloatType():
            return "a number" + _range(shape)
        case shapes.StrType(pattern=str(pattern)):
            return f"text that matches {pattern}"
        case shapes.StrType(min_length=int()):
            return "text that is not empty"
        case shapes.StrType():
            return "text"
    return "nothing"


def _range(shape: shapes.IntType | shapes.FloatType) -> str:
    if shape.ge is not None and shape.le is not None:
        return f" from {shape.ge} to {shape.le}"
    if shape.ge is not None:
        return f", at least {shape.ge}"
    return f" above {shape.gt}" if shape.gt is not None else ""
