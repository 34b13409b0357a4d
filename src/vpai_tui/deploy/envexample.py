"""`*.env.example`: which keys an env file has, which of them are needed, and where their values come from.

A key's comments are the lines right above it. Three of them are more than comments:

    # optional                      the key may be missing or empty
    # generate 48 hex               the host makes the value: so many characters (8-512; default 32) of hex, alnum (the
                                    default) or base64, behind a prefix where a third word gives one
    # same as PATH KEY              the value of another env file of the host, whose path is below the host's root;
                                    with ` in TEXT` it takes the place of `{}` in TEXT
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vpai_tui.text import clean

SETS = {"hex": "0-9a-f", "alnum": "A-Za-z0-9", "base64": "A-Za-z0-9+/"}
_KEY = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=[ \t]*(.*?)\s*$")
_MARK = re.compile(r"^#\s*(generate|same as|optional)\b\s*(.*?)\s*$")
_GENERATE = re.compile(r"^(?:(\d{1,3})(?:\s+(hex|alnum|base64)(?:\s+([A-Za-z0-9._-]{1,32}))?)?)?\Z")
_SAME = re.compile(r"^([A-Za-z0-9_.@+/-]+)\s+([A-Za-z_][A-Za-z0-9_.-]*)(?:\s+in\s+([^\s'\"$#\\]*\{\}[^\s'\"$#\\]*))?\Z")


@dataclass(frozen=True, slots=True)
class Generate:
    """The host draws `length` characters of `alphabet` (a key of `SETS`) and puts `prefix` before them."""

    length: int = 32
    alphabet: str = "alnum"
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class SameAs:
    """The value that `key` has in another env file (`path` below the host's root), between two pieces of text."""

    path: str
    key: str
    before: str = ""
    behind: str = ""


@dataclass(frozen=True, slots=True)
class ExampleKey:
    """One key of an example. `default` is the raw text behind `=`; no secret, as it lies on the laptop."""

    name: str
    default: str
    required: bool
    source: Generate | SameAs | None
    comments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """One example file: its keys by name, and its lines with the keys in their places."""

    keys: dict[str, ExampleKey]
    lines: tuple[str | ExampleKey, ...]
    problems: tuple[str, ...] = ()  # marks that cannot be understood, as `file:line: …`


def read_example(path: Path) -> Example:
    """The example at `path`; unreadable marks are told in `problems` and count as comments."""
    return parse_example(clean(path.read_bytes().replace(b"\r\n", b"\n")), str(path))


def parse_example(text: str, name: str) -> Example:
    """As `read_example`; `name` is what problems call the file."""
    keys: dict[str, ExampleKey] = {}
    lines: list[str | ExampleKey] = []
    problems: list[str] = []
    above: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        found = None if line.lstrip().startswith("#") else _KEY.match(line)
        if found is None:
            above = [*above, line.strip()] if line.lstrip().startswith("#") else []
            lines.append(line)
            continue
        required, source, wrong = _marks(above)
        problems += [f"{name}:{number - len(above)}: {what}" for what in wrong]
        key = ExampleKey(found[1], _bare(found[2]), required, source, tuple(above))
        if key.name in keys:
            problems.append(f"{name}:{number}: {key.name} stands here twice")
        keys[key.name] = key
        lines.append(key)
        above = []
    while lines and lines[-1] == "":
        lines.pop()
    return Example(keys, tuple(lines), tuple(problems))


def _bare(raw: str) -> str:
    """The text behind `=` without a comment behind an unquoted value."""
    return raw if raw[:1] in ("'", '"') else re.split(r"(?:^|\s)#", raw, maxsplit=1)[0].rstrip()


def _marks(comments: list[str]) -> tuple[bool, Generate | SameAs | None, list[str]]:
    required, source, wrong = True, None, []
    for kind, words in _found(comments):
        if kind == "optional":
            required = False
        elif (made := _generate(words) if kind == "generate" else _same(words)) is None:
            wrong.append(f'expected {_FORMS[kind]}, found "# {kind} {words}"')
        else:
            source = made
    return required, source, wrong


_FORMS = {
    "generate": '"# generate LENGTH hex|alnum|base64 PREFIX" (8 to 512; of base64 a multiple of 4)',
    "same as": '"# same as PATH KEY" or "# same as PATH KEY in TEXT" with {} in it',
}


def _found(comments: list[str]) -> Iterator[tuple[str, str]]:
    for comment in comments:
        if mark := _MARK.match(comment):
            yield mark[1], mark[2]


def _generate(words: str) -> Generate | None:
    found = _GENERATE.match(words)
    if found is None:
        return None
    length, alphabet = int(found[1] or 32), found[2] or "alnum"
    if not 8 <= length <= 512 or (alphabet == "base64" and length % 4):
        return None
    return Generate(length, alphabet, found[3] or "")


def _same(words: str) -> SameAs | None:
    found = _SAME.match(words)
    if found is None or found[1].startswith("/") or ".." in found[1].split("/"):
        return None
    before, _, behind = (found[3] or "{}").partition("{}")
    return SameAs(found[1].removeprefix("./"), found[2], before, behind)
