"""Queries kept by name in the user's configuration: `queries.yaml`, a plain mapping that may be edited by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from vpai_tui.errors import UsageError
from vpai_tui.logs.kept import read_mapping, unlike, user_file, write_mapping
from vpai_tui.text import clean_line

FILE = "queries.yaml"
MOST = 200
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,39}\Z")
_EXPECTED = "a mapping of names to queries"


class Saved:
    """The file. It is read anew each time: two cockpits may have it open."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, str]:
        """Name → LogQL, as the file has them; empty where there is none.

        Raises:
            UsageError: the file is no mapping of names to queries.
        """
        raw = read_mapping(self.path, _EXPECTED)
        if not all(isinstance(it, str) for it in raw.values()):
            raise unlike(self.path, _EXPECTED)
        return {clean_line(name, 40): query for name, query in raw.items()}

    def keep(self, name: str, query: str) -> None:
        """Keeps `query` under `name`, in place of what had it.

        Raises:
            UsageError: the name is none, or there are too many already, or too long ones.
            OperatorError: the file cannot be written.
        """
        if _NAME.match(name) is None:
            raise UsageError(
                f"{clean_line(name, 40)!r} is no name", remedy="letters, digits, blanks and _ . -, at most 40"
            )
        known = self.read()
        if name not in known and len(known) >= MOST:
            raise UsageError(f"{MOST} queries are kept already", remedy="forget one first")
        self._write({**known, name: query})

    def forget(self, name: str) -> bool:
        """Whether there was one of that name."""
        known = self.read()
        if known.pop(name, None) is None:
            return False
        self._write(known)
        return True

    def _write(self, queries: Mapping[str, str]) -> None:
        write_mapping(self.path, queries, "queries")


def saved() -> Saved:
    """The user's own."""
    return Saved(user_file(FILE))
