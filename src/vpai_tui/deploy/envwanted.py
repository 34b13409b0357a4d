"""Which env files a stack reads on its host, and which keys each should have: all from the laptop's files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vpai_tui.deploy.bundle import Bundle, below
from vpai_tui.deploy.envexample import Example, ExampleKey, Generate, SameAs, read_example
from vpai_tui.deploy.facts import HostFacts
from vpai_tui.fleet.compose import services_of
from vpai_tui.fleet.stacks import EXAMPLE_SUFFIX, Stack

_VARIABLE = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)((?::?[-+?])?)[^}]*\}|([A-Za-z_][A-Za-z0-9_]*))")
_FIXED = frozenset({"PATH", "HOME", "LC_ALL", "ROOT", "STACK", "PROJECT", "DOCKER", "WHO"})  # what the scripts set


@dataclass(frozen=True, slots=True)
class WantedKey:
    """One key an env file should have."""

    name: str
    required: bool
    may_be_empty: bool = False
    source: Generate | SameAs | None = None
    default: str = ""


@dataclass(frozen=True, slots=True)
class WantedFile:
    """One env file. `path` is absolute on the host; `lines` is what a new one is made of."""

    path: str
    services: tuple[str, ...]  # who reads it; empty for the `.env` of variables
    required: bool
    has_example: bool
    keys: tuple[WantedKey, ...]
    lines: tuple[str | ExampleKey, ...]
    problems: tuple[str, ...]  # of the example

    def key(self, name: str) -> WantedKey | None:
        return next((key for key in self.keys if key.name == name), None)


def wanted_files(stack: Stack, root: str) -> tuple[WantedFile, ...]:
    """The env files of `stack` below `root`, each once, those whose values others copy first.

    The `.env` below the root is one of them where compose.yaml has variables or the stack an example of it.
    """
    services: dict[str, list[str]] = {}
    required: set[str] = set()
    for use in stack.env_uses:
        services.setdefault(use.path, []).append(use.service)
        if use.required:
            required.add(use.path)
    files = [_file(stack, root, path, tuple(users), path in required) for path, users in services.items()]
    if (variables := _dotenv(stack, root)) is not None:
        files.append(variables)
    return tuple(_sources_first(files, root))


def required_keys(stack: Stack, root: str) -> tuple[tuple[str, str], ...]:
    """(key, absolute path) of what a deploy needs in the files that exist; the `.env` is Compose's own to judge."""
    return tuple(
        (key.name, file.path)
        for file in wanted_files(stack, root)
        if file.services
        for key in file.keys
        if key.required
    )


def env_problems(facts: HostFacts, bundle: Bundle) -> list[str]:
    """Env files that are missing, and keys that their examples require and that have no value."""
    way = f"`vpai-tui env {bundle.stack} init` writes it, `edit` opens it"
    missing = [f"env file {path} is missing; {way}" for path in bundle.envs if facts.envs.get(path) == "missing"]
    return missing + [f"{key} in {path} is {state}; {way}" for path, key, state in facts.env_lacks]


def _file(stack: Stack, root: str, path: str, services: tuple[str, ...], required: bool) -> WantedFile:
    place = stack.env_example(path)
    example = read_example(place) if place else Example({}, ())
    given = _given(stack, services)
    keys = tuple(
        WantedKey(key.name, key.required and key.name not in given, False, key.source, key.default)
        for key in example.keys.values()
    )
    return WantedFile(below(root, path), services, required, place is not None, keys, example.lines, example.problems)


def _given(stack: Stack, services: Iterable[str]) -> frozenset[str]:
    """Keys that compose.yaml itself gives to every one of these services."""
    bodies = services_of(stack.compose)
    names = [frozenset(_environment(bodies[name])) for name in services]
    return frozenset.intersection(*names) if names else frozenset()


def _environment(body: Mapping[str, Any]) -> Iterator[str]:
    raw = body.get("environment") or ()
    if isinstance(raw, dict):
        yield from (str(name) for name, value in raw.items() if value is not None)
    elif isinstance(raw, list):
        yield from (item.partition("=")[0] for item in raw if isinstance(item, str) and "=" in item)


def _dotenv(stack: Stack, root: str) -> WantedFile | None:
    """The `.env` that Compose takes variables from: it belongs to all stacks of the host."""
    variables = variables_of(stack.compose)
    place = stack.dir / EXAMPLE_SUFFIX
    example = read_example(place) if place.is_file() else Example({}, ())
    if not variables and not example.keys:
        return None
    keys = {
        name: WantedKey(key.name, key.required, False, key.source, key.default) for name, key in example.keys.items()
    }
    lines = list(example.lines)
    for name, (required, may_be_empty) in variables.items():
        if name not in keys:
            keys[name] = WantedKey(name, required, may_be_empty)
            if required:
                lines.append(ExampleKey(name, "", required, None, ()))
    needed = any(key.required for key in keys.values())
    there = place.is_file()
    return WantedFile(below(root, ".env"), (), needed, there, tuple(keys.values()), tuple(lines), example.problems)


def variables_of(compose: object) -> dict[str, tuple[bool, bool]]:
    """Variables of a parsed compose file: name → (needed, may be empty). One with a default is not needed."""
    found: dict[str, tuple[bool, bool]] = {}
    for text in _texts(compose):
        for match in _VARIABLE.finditer(text):
            name, operator = match[1] or match[3], match[2] or ""
            if name is None or name in _FIXED:
                continue
            needed, may_be_empty = operator[-1:] not in ("-", "+"), operator != ":?"
            before = found.get(name, (False, True))
            found[name] = (before[0] or needed, before[1] and may_be_empty)
    return found


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _sources_first(files: list[WantedFile], root: str) -> Iterator[WantedFile]:
    """Each after the files it copies from; of a circle whichever comes first."""
    left = list(files)
    while left:
        paths = {file.path for file in left}
        ready = next((file for file in left if not (_copied_from(file, root) & (paths - {file.path}))), left[0])
        left.remove(ready)
        yield ready


def _copied_from(file: WantedFile, root: str) -> set[str]:
    return {below(root, key.source.path) for key in file.keys if isinstance(key.source, SameAs)}
