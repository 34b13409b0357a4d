"""Queries kept by name in the user's configuration: `queries.yaml`, a plain mapping that may be edited by hand."""

from __future__ import annotations

import os
import re
from pathlib import Path

import yaml

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.text import clean_line

FILE = "queries.yaml"
MOST = 200
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,39}\Z")
_LARGEST = 256 * 1024


class Saved:
    """The file. It is read anew each time: two cockpits may have it open."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, str]:
        """Name → LogQL, as the file has them; empty where there is none.

        Raises:
            UsageError: the file is no mapping of names to queries.
        """
        try:
            with self.path.open("rb") as file:
                content = file.read(_LARGEST + 1)
            if len(content) > _LARGEST:  # what was not read would be lost when the file is written again
                raise UsageError(f"{self.path} is larger than {_LARGEST >> 10} KiB", remedy="mend it, or move it away")
            raw = yaml.safe_load(content)
        except FileNotFoundError:
            return {}
        except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
            raise UsageError(f"{self.path} cannot be read: {clean_line(str(error), 200)}") from error
        if raw is None:
            return {}
        if not isinstance(raw, dict) or not all(isinstance(it, str) for pair in raw.items() for it in pair):
            raise UsageError(
                f"{self.path}: a mapping of names to queries is expected", remedy="mend it, or move it away"
            )
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

    def _write(self, queries: dict[str, str]) -> None:
        new = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        # PyYAML writes NEL and its like as they are, and reads a line break: where there is one, all is escaped.
        readable = "".join(queries.values()).replace("\n", "").isprintable()
        content = yaml.safe_dump(queries, allow_unicode=readable, sort_keys=True, width=1000).encode()
        if len(content) > _LARGEST:
            raise UsageError(f"the kept queries are more than {_LARGEST >> 10} KiB then", remedy="forget one first")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(content)
            new.replace(self.path)
        except OSError as error:
            raise OperatorError(f"{self.path} cannot be written: {error.strerror}") from error


def saved() -> Saved:
    """The user's own."""
    import platformdirs

    return Saved(platformdirs.user_config_path("vpai-tui", appauthor=False) / FILE)
