"""Whether a program that a stack ships can be read: one that cannot would only show when its service fails."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from vpai_tui.deploy.bundle import ShippedFile
from vpai_tui.text import clean_line


def broken_programs(files: Iterable[ShippedFile]) -> Iterator[str]:
    """A sentence for each Python file with a syntax error, by the grammar of the Python that runs here."""
    for item in files:
        if not item.path.endswith(".py") or item.content is None:
            continue
        try:
            ast.parse(item.content)
        except SyntaxError as error:
            yield f"{item.path}:{error.lineno or 1}: {clean_line(error.msg)}"
        except (ValueError, RecursionError, MemoryError):
            yield f"{item.path}: this is no Python program"
