"""The laptop's journal: who did what, when, where, with what result. JSON lines; secrets never get in."""

from __future__ import annotations

import getpass
import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from vpai_tui.errors import UsageError
from vpai_tui.redact import redact
from vpai_tui.text import clean_line


def who() -> str:
    """`user@laptop`, as journals and the lock's owner name it."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no such user in this container, and no $USER
        user = str(os.getuid())
    return clean_line(f"{user}@{socket.gethostname()}", 200)


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
        self.problem = ""  # why the last line could not be written

    def append(self, entry: Entry) -> str:
        """One more line; the folder is made when it is missing.

        What the line tells has happened already, so a full disk is no error of it: `problem` and the answer say why
        the line could not be written; both are empty when it was.
        """
        safe = {key: redact(clean_line(str(value), 500)) for key, value in asdict(entry).items()}
        try:
            self._write((json.dumps(safe, ensure_ascii=False) + "\n").encode())
            self.problem = ""
        except OSError as error:
            self.problem = f"{self.path} could not be written: {clean_line(error.strerror or str(error))}"
        return self.problem

    def _write(self, line: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

    def read(self, limit: int = 200) -> tuple[list[Entry], int]:
        """The last `limit` entries, oldest first, and how many lines could not be read (a cut disk, an editor)."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return [], 0
        except OSError as error:
            raise UsageError(
                f"{self.path} cannot be read: {clean_line(error.strerror or str(error))}", remedy="move it away"
            ) from error
        found, bad = [], 0
        for line in content.splitlines():
            try:
                raw = json.loads(line)
                found.append(Entry(**{key: clean_line(str(value)) for key, value in raw.items()}))
            except (ValueError, TypeError, AttributeError, RecursionError):
                bad += 1
        return found[-limit:], bad
