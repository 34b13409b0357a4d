"""One value of `litellm_config.yaml`, edited as text: its scalar alone changes, every other byte stays."""

from __future__ import annotations

from dataclasses import dataclass

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from vpai_tui.errors import PreflightRefused
from vpai_tui.text import clean_line

Key = tuple[str, str]  # section, key
GENERAL: Key = ("general_settings", "max_budget")  # what the callback reads; LiteLLM ignores it there
NATIVE: Key = ("litellm_settings", "max_budget")  # LiteLLM's own
NATIVE_SPAN: Key = ("litellm_settings", "budget_duration")  # without it LiteLLM does not start with the one before

_NULL = "tag:yaml.org,2002:null"
_BY_HAND = "edit the file by hand on the host, then look again"


def refused(why: str) -> PreflightRefused:
    """Nothing was changed: the file is not one that can be edited safely."""
    return PreflightRefused(f"litellm_config.yaml: {why}", step="budget", remedy=_BY_HAND)


@dataclass(frozen=True)
class _Place:
    """Where a key stands. `section` and `value` None: not there. Positions in `text` are characters."""

    text: str
    key: Key
    root: MappingNode
    section_key: ScalarNode | None
    section: Node | None
    value: Node | None


def value_of(content: bytes, key: Key) -> str | None:
    """The scalar that a file has at `key`, as written; None when it has none, or null.

    Raises:
        PreflightRefused: the file is no YAML that LiteLLM would read, or has something else there.
    """
    value = _find(content, key).value
    return None if value is None or value.tag == _NULL else clean_line(str(value.value), 60)


def edited(content: bytes, key: Key, scalar: str) -> bytes:
    """`content` that has `scalar` (a plain one, such as `3.00`) at `key`; what comes out is parsed and compared.

    Raises:
        PreflightRefused: the file cannot be read, or cannot be edited so that nothing else changes.
    """
    place = _find(content, key)
    if isinstance(place.value, ScalarNode) and place.value.tag != _NULL and place.value.value == scalar:
        return content
    for way in (_with, _on_top):
        new = way(place, scalar)
        if new is not None and _proved(place, new, scalar):
            return new.encode()
    raise refused(f"{'.'.join(key)} is written in a way that cannot be edited safely")


def removed(content: bytes, key: Key) -> bytes:
    """`content` without the line of `key`; as it is where the file has none.

    Raises:
        PreflightRefused: as `edited` does.
    """
    place = _find(content, key)
    if place.value is None or place.value.tag == _NULL:
        return content
    new = _cut(place, place.value)
    if new is None or not _lacks(place, new):
        raise refused(f"{'.'.join(key)} is written in a way that cannot be edited safely")
    return new.encode()


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _root(text: str) -> MappingNode:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise refused(f"not readable: {_why(error)}") from None
    except RecursionError:
        raise refused("nested too deep") from None
    if not isinstance(root, MappingNode):
        raise refused("it is no mapping")
    return root


def _why(error: yaml.YAMLError) -> str:
    """What is wrong and where, without a piece of the file, which may hold secrets."""
    mark = getattr(error, "problem_mark", None)
    problem = clean_line(str(getattr(error, "problem", "") or "it holds a character that YAML does not allow"), 100)
    return f"{problem} at line {mark.line + 1}, column {mark.column + 1}" if mark else problem


def _child(mapping: Node | None, name: str) -> tuple[ScalarNode | None, Node | None]:
    """Key and value of `name`. PreflightRefused where it stands twice: YAML readers differ on which one counts."""
    pairs = mapping.value if isinstance(mapping, MappingNode) else []
    found = [(key, value) for key, value in pairs if isinstance(key, ScalarNode) and key.value == name]
    if len(found) > 1:
        raise refused(f"the key {name} stands twice")
    return found[0] if found else (None, None)


def _find(content: bytes, key: Key) -> _Place:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise refused(f"byte {error.start} is no UTF-8") from None
    root = _root(text)
    section_key, section = _child(root, key[0])
    if section_key is None or section is None:
        return _Place(text, key, root, None, None, None)
    if section.start_mark.index < section_key.end_mark.index:
        raise refused(f"{key[0]} is an alias of something else")
    if not isinstance(section, MappingNode) and section.tag != _NULL:
        raise refused(f"{key[0]} is no mapping")
    name, value = _child(section, key[1])
    if name is not None and value is not None:
        if value.start_mark.index < name.end_mark.index:
            raise refused(f"{'.'.join(key)} is an alias of something else")
        if not isinstance(value, ScalarNode):
            raise refused(f"{'.'.join(key)} is no single value")
    if _uses(root, section) > 1 or (value is not None and _uses(root, value) > 1):
        raise refused(f"{'.'.join(key)} is used elsewhere too, by an anchor")
    return _Place(text, key, root, section_key, section, value)


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []


def _uses(root: Node, wanted: Node) -> int:
    """How often a node is there: an alias is the very node that its anchor names."""
    count, seen, todo = 0, {id(root)}, [root]
    while todo:
        for child in _children(todo.pop()):
            count += child is wanted
            if id(child) not in seen:
                seen.add(id(child))
                todo.append(child)
    return count


# ── editing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _with(place: _Place, scalar: str) -> str | None:
    """The new text; None where there is no way."""
    text, section, value = place.text, place.section, place.value
    if section is None:
        return _new_section(place, scalar)
    if value is not None:
        return _replaced(text, value, scalar)
    if not isinstance(section, MappingNode):
        return _first_key(place, section, scalar)
    if section.flow_style:
        at = section.end_mark.index - 1
        inside = text[section.start_mark.index + 1 : at].rstrip()
        comma = "" if not section.value or inside.endswith(",") else ","
        space = " " if section.value and text[at - 1] not in " \t\n" else ""
        return f"{text[:at]}{comma}{space or ' ' * bool(comma)}{place.key[1]}: {scalar}{text[at:]}"
    first = section.value[0][0]
    at = _line_end(text, _last(section))
    indent = " " * first.start_mark.column
    return _inserted(text, at, f"{indent}{place.key[1]}: {scalar}")


def _on_top(place: _Place, scalar: str) -> str | None:
    """Before the section's first key: where behind the last one is no place (an alias, a text without an end)."""
    section = place.section
    if place.value is not None or not isinstance(section, MappingNode) or section.flow_style or not section.value:
        return None
    first = section.value[0][0].start_mark
    at = place.text.rfind("\n", 0, first.index) + 1
    return _inserted(place.text, at, f"{' ' * first.column}{place.key[1]}: {scalar}")


def _replaced(text: str, value: Node, scalar: str) -> str | None:
    start, end = value.start_mark.index, value.end_mark.index
    written = text[start:end]
    if written[:1] in ("&", "!", "|", ">"):
        return None  # an anchor, a tag, a block: not a plain amount, and nobody knows why
    space = " " if text[start - 1 : start] == ":" else ""  # `max_budget:` with nothing behind it
    return f"{text[:start]}{space}{scalar}{text[end:]}"


def _cut(place: _Place, value: Node) -> str | None:
    """Without the line; None where it has more in it than the key and its value."""
    text, at = place.text, value.start_mark
    begin = text.rfind("\n", 0, at.index) + 1
    if text[begin : at.index].strip() != f"{place.key[1]}:":
        return None
    return text[:begin] + text[_line_end(text, value.end_mark.index) :]


def _first_key(place: _Place, section: Node, scalar: str) -> str | None:
    """A section with nothing in it: `general_settings:`."""
    if section.start_mark.index != section.end_mark.index:
        return None  # null written out, or with an anchor
    at = _line_end(place.text, section.start_mark.index)
    column = place.section_key.start_mark.column if place.section_key else 0
    return _inserted(place.text, at, f"{' ' * column}  {place.key[1]}: {scalar}")


def _new_section(place: _Place, scalar: str) -> str | None:
    root = place.root
    if root.flow_style or not root.value:
        return None
    end = _break(place.text)
    indent = " " * root.value[0][0].start_mark.column
    lines = f"{indent}{place.key[0]}:{end}{indent}  {place.key[1]}: {scalar}"
    return _inserted(place.text, _line_end(place.text, _last(root)), lines)


def _inserted(text: str, at: int, line: str) -> str:
    """`line` as a line of its own at the beginning of a line, or behind a last one that does not end."""
    end = _break(text)
    gap = "" if not at or text[at - 1] == "\n" else end
    return f"{text[:at]}{gap}{line}{'' if gap else end}{text[at:]}"


def _break(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _line_end(text: str, index: int) -> int:
    """Behind the line break of the line that `index` is in (an index at a line's start ends the line before)."""
    if index and text[index - 1] == "\n":
        return index
    found = text.find("\n", index)
    return len(text) if found < 0 else found + 1


def _last(node: Node) -> int:
    """The end of the deepest last part: a block collection's own end lies behind comments that are not its."""
    while isinstance(node, MappingNode | SequenceNode) and not node.flow_style and node.value:
        last = node.value[-1]
        if isinstance(last, tuple) and last[1].start_mark.index < last[0].end_mark.index:
            return int(last[0].end_mark.index)  # an alias: its value stands elsewhere
        node = last[1] if isinstance(last, tuple) else last
    return int(node.end_mark.index)


# ── proving ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _proved(old: _Place, text: str, scalar: str) -> bool:
    """Whether `text` has `scalar` at the key, and means the same everywhere else."""
    try:
        new = _find(text.encode(), old.key)
    except PreflightRefused:
        return False
    value = new.value
    if not isinstance(value, ScalarNode) or value.value != scalar or value.style is not None:
        return False
    return _same(_without(old), _without(new))


def _lacks(old: _Place, text: str) -> bool:
    """Whether `text` has no value at the key, and means the same everywhere else."""
    try:
        new = _find(text.encode(), old.key)
    except PreflightRefused:
        return False
    return new.value is None and _same(_without(old), _without(new))


def _without(place: _Place) -> list[Node | None]:
    """The document's parts but for the key: the root's other pairs, and behind None the section's."""
    section = place.section.value if isinstance(place.section, MappingNode) else []
    others = [pair for pair in place.root.value if pair[1] is not place.section]
    inside = [pair for pair in section if pair[1] is not place.value]
    return [*(part for pair in others for part in pair), None, *(part for pair in inside for part in pair)]


def _same(one: list[Node | None], other: list[Node | None]) -> bool:
    """Whether two lists of nodes mean the same; a pair is compared once, so that aliases cannot multiply."""
    if len(one) != len(other):
        return False
    todo = list(zip(one, other, strict=True))
    seen: set[tuple[int, int]] = set()
    while todo:
        left, right = todo.pop()
        if left is None or right is None:
            if left is not right:
                return False
            continue
        if (id(left), id(right)) in seen:
            continue
        seen.add((id(left), id(right)))
        parts = _children(left), _children(right)
        if left.tag != right.tag or type(left) is not type(right) or len(parts[0]) != len(parts[1]):
            return False
        if isinstance(left, ScalarNode) and left.value != right.value:
            return False
        todo += zip(*parts, strict=True)
    return True
