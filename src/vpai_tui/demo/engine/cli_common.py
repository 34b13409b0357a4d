"""What the commands of the simulated `docker` share: output through templates, filters, going on after a refusal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

from vpai_tui.demo.engine.arguments import CliError, Parsed
from vpai_tui.demo.engine.store import Doc, Engine, EngineError
from vpai_tui.demo.engine.templates import render, to_json

Command = Callable[[Engine, list[str]], int]
FORMAT = {"-f": "format=", "--format": "format="}


def formatted(form: str, rows: Iterable[Doc]) -> None:
    """Print each row through a template; `json` is a document per line."""
    for row in rows:
        if form == "json":
            print(to_json({key: value for key, value in row.items() if key != "Label"}))
        else:
            print(render(form.replace("\\t", "\t").replace("\\n", "\n"), row))


def filters_of(parsed: Parsed) -> dict[str, list[str]]:
    """`--filter K=V` by kind."""
    found: dict[str, list[str]] = {}
    for text in parsed.all("filter"):
        kind, equals, value = text.partition("=")
        if not equals:
            raise CliError(f'invalid argument "{text}" for "-f, --filter" flag: invalid filter', 125)
        found.setdefault(kind, []).append(value)
    return found


def print_each(form: str, documents: list[Doc], shown: list[Doc], missing: list[str], kind: str) -> int:
    if form and form != "json":
        formatted(form, documents)
    else:
        print(json.dumps(shown, indent=4, ensure_ascii=False))
    for name in missing:
        sys.stderr.write(
            f"Error: No such {kind}: {name}\n" if kind == "object" else f"Error response from daemon: {name}\n"
        )
    return 1 if missing else 0


def each(names: list[str], work: Callable[[str], Any]) -> int:
    """Run `work` for every name, go on after a refusal, as the CLI does."""
    status = 0
    for name in names:
        try:
            work(name)
        except EngineError as error:
            sys.stderr.write(f"Error response from daemon: {error.message}\n")
            status = 1
    return status
