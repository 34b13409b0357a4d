"""Which services a restart of another one disturbs: those that wait for it, and those whose files name it.

Compose knows only what stands in `depends_on` of the same file. Across files a service is named where its own body, its
shipped files or its env file's example have it as a host: `HOST: redis`, `redis:6379`, `//redis`, `@redis`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vpai_tui.fleet.compose import dependencies, services_of
from vpai_tui.fleet.stacks import Stack

_MOST_BYTES = 512 * 1024  # of a file that is looked through
_HOST_KEY = re.compile(r"(?i)(?:host|hostname|addr|address|server)$")


@dataclass(frozen=True, slots=True)
class Dependent:
    """A service that stands on another one, and by what that is known."""

    service: str  # host/stack/service
    why: str


def dependents(stacks: Sequence[Stack], service_id: str) -> tuple[Dependent, ...]:
    """Those of `host/stack/service`, on its own host, in the order of the stacks."""
    host, _, name = service_id.split("/", 2)
    found = []
    for stack in stacks:
        if stack.host != host:
            continue
        for other in stack.services:
            if f"{stack.id}/{other}" == service_id:
                continue
            why = _waits(stack, other, service_id) or _names(stack, other, name)
            if why:
                found.append(Dependent(f"{stack.id}/{other}", why))
    return tuple(found)


def _waits(stack: Stack, other: str, service_id: str) -> str:
    if not service_id.startswith(f"{stack.id}/"):
        return ""
    wanted = dependencies(services_of(stack.compose)[other])
    return "waits for it" if service_id.rsplit("/", 1)[1] in wanted else ""


def _names(stack: Stack, other: str, name: str) -> str:
    """Where the files of a service name the host `name`; empty: nowhere."""
    # with a port, or behind the `//` or `@` of an address
    named = re.compile(rf"(?<![\w.-]){re.escape(name)}:\d|(?://|@){re.escape(name)}(?=[:/\s\"']|$)")
    for key, value in _scalars(services_of(stack.compose)[other]):
        if named.search(value) or _is_host(key, value, name):
            return "names it in compose.yaml"
    for path in _files(stack, other):
        for line in _text(path).splitlines():
            key, mark, value = line.partition("=")
            if not line.lstrip().startswith("#") and (named.search(line) or (mark and _is_host(key, value, name))):
                return f"names it in {path.relative_to(stack.dir).as_posix()}"
    return ""


def _is_host(key: str, value: str, name: str) -> bool:
    return value.strip().strip("\"'") == name and _HOST_KEY.search(key.strip()) is not None


def _scalars(body: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a service's body with the key that it stands behind; `KEY=value` of a list is one too."""
    if isinstance(body, Mapping):
        for name, value in body.items():
            if name not in ("depends_on", "image", "networks"):
                yield from _scalars(value, str(name))
    elif isinstance(body, list | tuple):
        for value in body:
            yield from _scalars(value, key)
    elif isinstance(body, str):
        before, mark, after = body.partition("=")
        yield (before, after) if mark and key == "environment" else (key, body)


def _files(stack: Stack, other: str) -> Iterator[Path]:
    """The shipped files that the service binds, and the examples of its env files."""
    for relative, path, _ in stack.shipped():
        if other in stack.services_of_file(relative):
            yield path
    for use in stack.env_uses:
        example = stack.env_example(use.path) if use.service == other else None
        if example is not None:
            yield example


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode(errors="replace")
    except OSError:
        return ""
