"""A small option parser: argparse costs more than a whole call of the shim may take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class CliError(Exception):
    """A wrong command line; the message goes to stderr and the exit status is `status`."""

    def __init__(self, message: str, status: int = 125) -> None:
        super().__init__(message)
        self.status = status


class Parsed(NamedTuple):
    """Options by their long name (every value given, in order; flags have "") and what is left."""

    options: dict[str, list[str]]
    rest: list[str]

    def has(self, name: str) -> bool:
        return self.options.get(name, ["false"])[-1] not in ("false", "0")

    def one(self, name: str, default: str = "") -> str:
        return self.options.get(name, [default])[-1]

    def all(self, name: str) -> list[str]:
        return self.options.get(name, [])


def parse(argv: Sequence[str], names: Mapping[str, str], *, interspersed: bool = True) -> Parsed:
    """Split `argv`. `names` maps every option as written to its long name, with `=` at the end when it takes a value.

    Without `interspersed` the first argument that is no option ends the options.
    """
    options: dict[str, list[str]] = {}
    rest: list[str] = []
    at = 0
    while at < len(argv):
        word = argv[at]
        at += 1
        if word == "--":
            rest += argv[at:]
            break
        if not word.startswith("-") or word == "-":
            if not interspersed:
                rest += argv[at - 1 :]
                break
            rest.append(word)
            continue
        head, equals, value = word.partition("=")
        if not word.startswith("--") and head not in names and len(word) > 2:
            argv = [*argv[: at - 1], *_spread(word, names), *argv[at:]]
            at -= 1
            continue
        if head not in names:
            raise CliError(f"unknown flag: {head}" if head.startswith("--") else f"unknown shorthand flag: {head}")
        long = names[head]
        if long.endswith("="):
            if not equals:
                if at >= len(argv):
                    raise CliError(f"flag needs an argument: {head}")
                value, at = argv[at], at + 1
            options.setdefault(long[:-1], []).append(value)
        else:
            options.setdefault(long, []).append(value or "")
    return Parsed(options, rest)


def _spread(word: str, names: Mapping[str, str]) -> list[str]:
    """`-aq` as `-a -q`, `-n5` as `-n 5`."""
    first, others = word[:2], word[2:]
    if first not in names:
        raise CliError(f"unknown shorthand flag: {first[1:]!r} in {word}")
    return [first, others.removeprefix("=")] if names[first].endswith("=") else [first, "-" + others]
