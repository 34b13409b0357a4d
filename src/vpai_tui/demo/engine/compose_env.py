"""Variables of Compose files: `.env` and `env_file` syntax, and `${…}` interpolation."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Lookup = Callable[[str], str | None]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*[=:]\s*(.*)$")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class ComposeError(Exception):
    """What Compose prints before it ends with a non-zero status."""


class MissingVariable(Exception):
    """A variable that `:?` or `?` requires."""


class BadTemplate(Exception):
    """A `$` that starts nothing known."""


def interpolate(text: str, lookup: Lookup, missing: list[str]) -> str:
    """`text` with its variables replaced; names that are not set are added to `missing`."""
    out: list[str] = []
    at = 0
    while (dollar := text.find("$", at)) != -1:
        out.append(text[at:dollar])
        value, at = _one(text, dollar + 1, lookup, missing)
        out.append(value)
    out.append(text[at:])
    return "".join(out)


def _one(text: str, at: int, lookup: Lookup, missing: list[str]) -> tuple[str, int]:
    if text[at : at + 1] == "$":
        return "$", at + 1
    if text[at : at + 1] == "{":
        end = _closing(text, at + 1)
        return _braced(text[at + 1 : end], lookup, missing), end + 1
    match = _NAME.match(text, at)
    if not match:
        raise BadTemplate
    return _plain(match[0], lookup, missing), match.end()


def _closing(text: str, at: int) -> int:
    depth = 1
    while at < len(text):
        if text.startswith("${", at):
            depth += 1
        elif text[at] == "}":
            depth -= 1
            if not depth:
                return at
        at += 1
    raise BadTemplate


def _plain(name: str, lookup: Lookup, missing: list[str]) -> str:
    value = lookup(name)
    if value is None:
        missing.append(name)
        return ""
    return value


def _braced(body: str, lookup: Lookup, missing: list[str]) -> str:
    match = _NAME.match(body)
    if not match:
        raise BadTemplate
    name, rest = match[0], body[match.end() :]
    if not rest:
        return _plain(name, lookup, missing)
    operator = rest[:2] if rest[:1] == ":" else rest[:1]
    word = rest[len(operator) :]
    value = lookup(name)
    set_ = bool(value) if operator.startswith(":") else value is not None
    if operator[-1:] == "-":
        return str(value) if set_ else interpolate(word, lookup, missing)
    if operator[-1:] == "+":
        return interpolate(word, lookup, missing) if set_ else ""
    if operator[-1:] == "?":
        if not set_:
            raise MissingVariable(f"required variable {name} is missing a value: {interpolate(word, lookup, missing)}")
        return str(value)
    raise BadTemplate


def interpolate_tree(value: Any, lookup: Lookup, missing: list[str], path: str = "") -> Any:
    """Every string of a YAML tree interpolated; ComposeError names the path of what failed."""
    if isinstance(value, dict):
        return {
            key: interpolate_tree(item, lookup, missing, f"{path}.{key}" if path else str(key))
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [interpolate_tree(item, lookup, missing, f"{path}[{i}]") for i, item in enumerate(value)]
    if not isinstance(value, str) or "$" not in value:
        return value
    try:
        return interpolate(value, lookup, missing)
    except MissingVariable as error:
        raise ComposeError(f"error while interpolating {path}: {error}") from None
    except BadTemplate:
        raise ComposeError(
            f'invalid interpolation format for {path}.\nYou may need to escape any $ with another $.\n"{value}"'
        ) from None


def escape_tree(value: Any) -> Any:
    """Every `$` doubled, so that reading the tree again gives the same strings."""
    if isinstance(value, dict):
        return {key: escape_tree(item) for key, item in value.items()}
    if isinstance(value, list):
        return [escape_tree(item) for item in value]
    return value.replace("$", "$$") if isinstance(value, str) else value


def parse_env(text: str, outer: Mapping[str, str]) -> dict[str, str]:
    """The assignments of a `.env` or `env_file`; later lines see earlier ones, `outer` comes before both."""
    found: dict[str, str] = {}

    def lookup(name: str) -> str | None:
        return outer.get(name, found.get(name))

    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _ASSIGNMENT.match(line)
        if match:
            found[match[1]] = _value(match[2].strip(), lookup)
            continue
        name = line.strip()
        if _NAME.fullmatch(name) and name in outer:
            found[name] = outer[name]
    return found


def _value(raw: str, lookup: Lookup) -> str:
    if raw[:1] == "'":
        end = raw.find("'", 1)
        return raw[1:end] if end > 0 else raw[1:]
    if raw[:1] == '"':
        end = 1
        while end < len(raw) and raw[end] != '"':
            end += 2 if raw[end] == "\\" else 1
        body = re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), raw[1:end])
        return _expanded(body, lookup)
    return _expanded(re.split(r"\s+#", raw, maxsplit=1)[0].rstrip(), lookup)


def _expanded(text: str, lookup: Lookup) -> str:
    try:
        return interpolate(text, lookup, [])
    except BadTemplate:
        return text
    except MissingVariable as error:
        raise ComposeError(str(error)) from None


def read_env(path: Path, outer: Mapping[str, str]) -> dict[str, str]:
    """As `parse_env`, from a file; ComposeError in Compose's words when it is not there."""
    try:
        return parse_env(path.read_text(errors="replace"), outer)
    except OSError:
        raise ComposeError(f"env file {path} not found: stat {path}: no such file or directory") from None
