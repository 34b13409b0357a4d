"""config.yaml of Headscale: what it says, and a byte-for-byte edit of `dns.extra_records` alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from vpai_tui.errors import PreflightRefused
from vpai_tui.text import clean_line
from vpai_tui.vpn.model import Record

KEY = "extra_records"
_FIELDS = ("name", "type", "value")
_STR = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"


def refused(why: str, remedy: str = "edit the file by hand on the host, then look again") -> PreflightRefused:
    """Nothing was changed: the file is not one that can be edited safely."""
    return PreflightRefused(f"config.yaml: {why}", step="dns", remedy=remedy)


@dataclass(frozen=True)
class Document:
    """A parsed config.yaml. Positions in `text` are characters; `dns` and `value` are None where absent."""

    text: str
    root: MappingNode
    dns: MappingNode | None
    key: ScalarNode | None  # `extra_records`
    value: Node | None
    records: tuple[Record, ...]

    @property
    def line_end(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"


def parse(content: bytes) -> Document:
    """The document in `content`.

    Raises:
        PreflightRefused: no YAML that Headscale would read, or records that are no list of name, type, value.
    """
    try:
        text = content.decode()
        root = yaml.compose(text.removeprefix("\ufeff"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise refused(f"byte {error.start} is no UTF-8") from None
    except yaml.YAMLError as error:
        raise refused(f"not readable: {_why(error)}") from None
    except RecursionError:
        raise refused("nested too deep") from None
    if text.startswith("\ufeff"):
        raise refused("it begins with a byte order mark", "take the first three bytes out")
    if not isinstance(root, MappingNode):
        raise refused("it is no mapping")
    _no_double_keys(root)
    dns_key, dns = entry(root, "dns")
    if dns is not None and not isinstance(dns, MappingNode):
        return Document(text, root, None, None, None, ())
    if dns_key is not None and dns is not None and _elsewhere(dns_key, dns):
        raise refused("dns is an alias of something else")
    key, value = entry(dns, KEY)
    if key is not None and value is not None and _elsewhere(key, value):
        raise refused(f"dns.{KEY} is an alias of something else")
    return Document(text, root, dns, key, value, _records(value))


def _why(error: yaml.YAMLError) -> str:
    """What is wrong and where, without a piece of the file, which may hold secrets."""
    mark = getattr(error, "problem_mark", None)
    problem = clean_line(str(getattr(error, "problem", "") or "it holds a character that YAML does not allow"), 100)
    return f"{problem} at line {mark.line + 1}, column {mark.column + 1}" if mark else problem


def entry(mapping: Node | None, name: str) -> tuple[ScalarNode | None, Node | None]:
    """Key and value of `name` in a mapping; (None, None) when it is not there."""
    if isinstance(mapping, MappingNode):
        for key, value in mapping.value:
            if isinstance(key, ScalarNode) and key.value == name:
                return key, value
    return None, None


def plain(node: Node | None) -> Any:
    """A node as Python values, scalars as their text (None for YAML's null)."""
    if isinstance(node, MappingNode):
        return {key.value if isinstance(key, ScalarNode) else "": plain(value) for key, value in node.value}
    if isinstance(node, SequenceNode):
        return [plain(item) for item in node.value]
    if node is None or node.tag == "tag:yaml.org,2002:null":
        return None
    return node.value


def _no_double_keys(root: Node) -> None:
    """Go's YAML refuses a key that stands twice, PyYAML takes the last: such a file would not start."""
    todo, seen = [root], set()
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, SequenceNode):
            todo += node.value
        if isinstance(node, MappingNode):
            names = [key.value for key, _ in node.value if isinstance(key, ScalarNode) and key.tag != _MERGE]
            double = next((name for name in names if names.count(name) > 1), None)
            if double is not None:
                raise refused(f"the key {clean_line(double, 60)} stands twice")
            todo += [value for _, value in node.value]


def _elsewhere(key: Node, value: Node) -> bool:
    return bool(value.start_mark.index < key.end_mark.index)


def _records(value: Node | None) -> tuple[Record, ...]:
    if value is None or plain(value) is None:
        return ()
    if not isinstance(value, SequenceNode):
        raise refused(f"dns.{KEY} is no list", "make it a list of {name, type, value}")
    found = []
    for number, item in enumerate(value.value):
        fields = plain(item)
        if not isinstance(fields, dict) or not all(isinstance(fields.get(it), str | None) for it in _FIELDS):
            raise refused(f"record {number + 1} of dns.{KEY} is no mapping of name, type and value")
        found.append(Record(*(clean_line(fields.get(it) or "") for it in _FIELDS)))
    return tuple(found)


# ── editing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def edit(content: bytes, wanted: Sequence[Record]) -> bytes:
    """`content` with `dns.extra_records` equal to `wanted`; every other byte, comments too, is the same.

    Single lines are edited where that is possible; what comes out is parsed again and compared before it is believed.

    Raises:
        PreflightRefused: the file cannot be read, or cannot be edited so.
    """
    document = parse(content)
    if document.dns is None:
        raise refused(
            "it has no dns section", "add one by hand: magic_dns, base_domain and nameservers belong there too"
        )
    if plain(entry(document.dns, "extra_records_path")[1]):
        raise refused(
            "extra_records_path is set: the records live in that file, and with both Headscale does not start"
        )
    if document.records == tuple(wanted):
        return content
    for way in (_lines, _whole):
        new = way(document, tuple(wanted))
        if new is not None and _proved(document, new, tuple(wanted)):
            return new.encode()
    raise refused(f"dns.{KEY} is written in a way that cannot be edited safely (anchors, odd nesting)")


def _proved(old: Document, text: str, wanted: tuple[Record, ...]) -> bool:
    """Whether `text` says `wanted`, and nothing else differs: neither meaning nor bytes outside the list."""
    try:
        new = parse(text.encode())
    except PreflightRefused:
        return False
    start, end = _region(old)
    same = text.startswith(old.text[:start]) and text.endswith(old.text[end:])
    same = same and len(text) >= start + len(old.text) - end
    return same and new.records == wanted and _rest(new) == _rest(old)


def _rest(document: Document) -> Any:
    """The document without the records, as comparable values."""

    def walk(node: Node, depth: int) -> Any:
        if depth > 60:
            raise refused("nested too deep, or an alias of itself")
        if isinstance(node, MappingNode):
            return [(walk(key, depth + 1), walk(value, depth + 1)) for key, value in node.value]
        if isinstance(node, SequenceNode):
            return [walk(item, depth + 1) for item in node.value]
        return node.tag, node.value

    others = [(key, value) for key, value in document.root.value if value is not document.dns or key.value != "dns"]
    inside = document.dns.value if document.dns is not None else []
    kept = [(key, value) for key, value in inside if key is not document.key]
    return [[(walk(key, 0), walk(value, 0)) for key, value in pairs] for pairs in (others, kept)]


def _region(document: Document) -> tuple[int, int]:
    """Where bytes may differ: behind the key to the end of the last record's line; without a key, where it goes."""
    dns = document.dns
    if document.key is None or document.value is None:
        at = _insertion(document)
        return at, at
    if dns is not None and dns.flow_style:
        return document.key.end_mark.index, document.value.end_mark.index
    return document.key.end_mark.index, _line_end(document.text, _last(document.value))


def _last(node: Node) -> int:
    """The end of the deepest last part: a block collection's own end lies behind comments that are not its."""
    if isinstance(node, MappingNode | SequenceNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _line_end(text: str, index: int) -> int:
    """Behind the line break of the line that `index` is in (an index at a line's start ends the line before)."""
    if index and text[index - 1] == "\n":
        return index
    found = text.find("\n", index)
    return len(text) if found < 0 else found + 1


def _line_start(text: str, index: int) -> int:
    return text.rfind("\n", 0, index) + 1


def _insertion(document: Document) -> int:
    dns = document.dns
    if dns is None:
        return len(document.text)
    return dns.end_mark.index - 1 if dns.flow_style else _line_end(document.text, _last(dns))


def _scalar(text: str) -> str:
    """Plain where that is read back as this very text, else in double quotes."""
    safe = text and all(char.isalnum() or char in "._-" for char in text) and text.isascii() and text[0] not in "-."
    if safe and _implicit(text) == _STR:
        return text
    return '"' + "".join(f"\\{char}" if char in '"\\' else char for char in text) + '"'


def _implicit(text: str) -> Any:
    """The tag a plain scalar gets: a date, a number or a word for true is no text."""
    return yaml.SafeLoader("").resolve(ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]


def _flow(record: Record) -> str:
    fields = zip(_FIELDS, (record.name, record.type, record.value), strict=True)
    return "{" + ", ".join(f"{name}: {_scalar(value)}" for name, value in fields) + "}"


def _whole(document: Document, wanted: tuple[Record, ...]) -> str | None:
    """The list written anew: as one flow list where the file has it so, else one line per record."""
    text, dns, value, end = document.text, document.dns, document.value, document.line_end
    if dns is None:
        return None
    if dns.flow_style or (isinstance(value, SequenceNode) and value.flow_style and value.value):
        listed = "[" + ", ".join(_flow(record) for record in wanted) + "]"
        if value is not None:
            start = value.start_mark.index
            space = "" if text[start - 1 : start] in (" ", "\t", "\n") else " "
            return text[:start] + space + listed + text[value.end_mark.index :]
        at = _insertion(document)
        comma = ", " if dns.value else ""
        return f"{text[:at]}{comma}{KEY}: {listed}{text[at:]}"
    indent = " " * dns.value[0][0].start_mark.column if dns.value else "  "
    lines = "".join(f"{indent}  - {_flow(record)}{end}" for record in wanted)
    if value is None or document.key is None:
        at = _insertion(document)
        gap = "" if not at or text[at - 1] == "\n" else end
        return f"{text[:at]}{gap}{indent}{KEY}:{end if wanted else ' []' + end}{lines}{text[at:]}"
    return _in_place(document, value, lines, wanted)


def _in_place(document: Document, value: Node, lines: str, wanted: tuple[Record, ...]) -> str:
    """A block list, an empty list or nothing behind the key: replaced by `lines`, a comment behind the key kept."""
    text, key, end = document.text, document.key, document.line_end
    assert key is not None  # noqa: S101 (told to mypy: there is a value)
    if isinstance(value, SequenceNode) and value.value:
        first, last = _line_start(text, value.value[0].start_mark.index), _line_end(text, _last(value))
        head = text[:first]
        colon = text.index(":", key.end_mark.index) + 1
        return (head if wanted else head[:colon] + " []" + head[colon:]) + lines + text[last:]
    start, stop = value.start_mark.index, value.end_mark.index
    line = _line_end(text, stop)
    tail = text[stop:line]
    gap = "" if tail.endswith("\n") else end
    return text[:start].rstrip(" ") + tail + gap + lines + text[line:] if wanted else text


# ── line by line ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _lines(document: Document, wanted: tuple[Record, ...]) -> str | None:
    """Only the lines of records that differ; None where the list is not one record after the other on own lines."""
    value, text = document.value, document.text
    if not isinstance(value, SequenceNode) or value.flow_style or not value.value:
        return None
    spans = [_span(text, item) for item in value.value]
    if None in spans:
        return None
    places = [span for span in spans if span is not None]
    pieces, at = [], 0
    matcher = SequenceMatcher(a=document.records, b=wanted, autojunk=False)
    for what, a1, a2, b1, b2 in matcher.get_opcodes():
        if what == "equal":
            continue
        paired = min(a2 - a1, b2 - b1)
        for step in range(a2 - a1):
            start, end, _ = places[a1 + step]
            pieces.append(text[at:start])
            at = end
            if step < paired:
                pieces.append(_rewritten(text, value.value[a1 + step], (start, end), wanted[b1 + step]))
        if b2 - b1 > paired:
            place = places[max(0, a2 - 1)]
            before = a2 == 0
            here = place[0] if before else place[1]
            pieces.append(text[at:here])
            at = here
            gap = "" if not here or text[here - 1] == "\n" else document.line_end
            new = "".join(f"{place[2]}{_flow(it)}{document.line_end}" for it in wanted[b1 + paired : b2])
            pieces.append(gap + new)
    left = "".join([*pieces, text[at:]])
    if wanted or document.key is None:
        return left
    colon = left.index(":", document.key.end_mark.index) + 1  # without records it must say so; comments stay
    return f"{left[:colon]} []{left[colon:]}"


def _span(text: str, item: Node) -> tuple[int, int, str] | None:
    """First and last position of a record's lines and what stands before it; None when it shares a line."""
    start = _line_start(text, item.start_mark.index)
    lead = text[start : item.start_mark.index]
    if lead.strip(" ") != "-" or not isinstance(item, MappingNode):
        return None
    return start, _line_end(text, _last(item)), lead


def _rewritten(text: str, item: Node, span: tuple[int, int], record: Record) -> str:
    """A record's lines with other values: the spelling, the order of the fields and a comment behind stay."""
    parts, at = [], span[0]
    found = {key.value: node for key, node in item.value if isinstance(key, ScalarNode)}
    new = dict(zip(_FIELDS, (record.name, record.type, record.value), strict=True))
    if set(_FIELDS) <= set(found) and all(isinstance(found[name], ScalarNode) for name in _FIELDS):
        for name in sorted(_FIELDS, key=lambda name: int(found[name].start_mark.index)):
            node = found[name]
            if node.value == new[name]:
                continue
            parts.append(text[at : node.start_mark.index] + _scalar(new[name]))
            at = node.end_mark.index
        return "".join([*parts, text[at : span[1]]])
    lead = text[span[0] : item.start_mark.index]
    return f"{lead}{_flow(record)}" + ("\r\n" if text[: span[1]].endswith("\r\n") else "\n")
