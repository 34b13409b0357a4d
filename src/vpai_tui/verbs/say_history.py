"""What is said of the journal."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from vpai_tui.fleet.history import Entry
from vpai_tui.verbs.say import document, table


def history(entries: Sequence[Entry], bad: int, *, as_json: bool) -> None:
    """Oldest first."""
    if as_json:
        names = ("at", "by", "host", "what", "subject", "result", "detail")
        document({"entries": [{name: getattr(it, name) for name in names} for it in entries], "unreadable": bad})
        return
    table(
        ("AT", "BY", "HOST", "WHAT", "SUBJECT", "RESULT", ""),
        [(e.at, e.by, e.host, e.what, e.subject, e.result, e.detail) for e in entries],
    )
    if bad:
        print(f"{bad} lines could not be read", file=sys.stderr)
