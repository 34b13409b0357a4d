"""`constraints.txt` pins what is installed: all that pyproject.toml needs, in its version, and no other."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def pins(text: str) -> dict[str, str]:
    """Distribution → version; only `name==version` lines and comments may stand there."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    found = [re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.!+]+)", line) for line in lines]
    assert all(found), [line for line, match in zip(lines, found, strict=True) if not match]
    return {canonicalize_name(match[1]): match[2] for match in found if match}


def wanted() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [Requirement(text) for text in (*project["dependencies"], *project["optional-dependencies"]["dev"])]


def closure(first: list[Requirement]) -> Iterator[tuple[str, str]]:
    """Every distribution that is needed here, with its installed version."""
    queue, seen = [(item, extra) for item in first for extra in ("", *item.extras)], set()
    while queue:
        item, extra = queue.pop()
        if (key := (canonicalize_name(item.name), extra)) in seen or not applies(item, ""):
            continue
        seen.add(key)
        try:
            found = distribution(item.name)
        except PackageNotFoundError:
            raise AssertionError(f"{item} is needed and not installed") from None
        assert item.specifier.contains(found.version, prereleases=True), f"{item}, installed is {found.version}"
        yield key[0], found.version
        for text in found.requires or ():
            inner = Requirement(text)
            if applies(inner, extra):
                inner.marker = None
                queue += [(inner, more) for more in ("", *inner.extras)]


def applies(item: Requirement, extra: str) -> bool:
    return item.marker is None or item.marker.evaluate({"extra": extra})


def test_constraints_pin_exactly_what_is_installed() -> None:
    assert dict(closure(wanted())) == pins((ROOT / "constraints.txt").read_text())
