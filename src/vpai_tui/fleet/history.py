"""The laptop's journal: who did what, when, where, with what result. JSON lines; secrets never get in."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from vpai_tui.redact import redact
from vpai_tui.text import clean_line


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. `at` is RFC 3339 UTC; `result` an outcome or an error in one line."""

    at: str
    by: str
    host: str
    what: str  # the verb: deploy, rollback, restart, …
    subject: str  # stack or service
    result: str
    detail: str = ""


class History:
    """Appends whole lines (one write each, so that two cockpits do not mix theirs) and reads them back."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, entry: Entry) -> None:
        """One more line; the folder is made when it is missing."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        safe = {key: redact(clean_line(str(value), 500)) for key, value in asdict(entry).items()}
        line = (json.dumps(safe, ensure_ascii=False) + "\n").encode()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

    def read(self, limit: int = 200) -> tuple[list[Entry], int]:
        """The last `limit` entries, oldest first, and how many lines could not be read (a cut disk, an editor)."""
        if not self.path.exists():
            return [], 0
        found, bad = [], 0
        for line in self.path.read_bytes().splitlines():
            try:
                raw = json.loads(line)
                found.append(Entry(**{key: clean_line(str(value)) for key, value in raw.items()}))
            except (ValueError, TypeError, AttributeError):
                bad += 1
        return found[-limit:], bad
