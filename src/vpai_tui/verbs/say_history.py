"""What is said of the journal."""

from __future__ import annotations

import sys

from vpai_tui.deploy.chronicle import Chronicle
from vpai_tui.verbs.say import document, table

_NAMES = ("at", "by", "host", "what", "subject", "result", "detail", "source")


def history(found: Chronicle, limit: int, *, as_json: bool) -> None:
    """The last `limit` lines, oldest first."""
    lines = found.lines[-limit:]
    if as_json:
        rows = [{name: getattr(it, name) for name in _NAMES} | {"release": it.release or None} for it in lines]
        notes = [f"{host}: {why}" for host, why in found.unreached]
        document({"entries": rows, "unreadable": found.unreadable, "notes": notes})
        return
    table(
        ("AT", "BY", "HOST", "WHAT", "SUBJECT", "RESULT", ""),
        [(it.at or "–", it.by, it.host, it.what, it.subject, it.result, it.detail) for it in lines],
    )
    if found.unreadable:
        print(f"{found.unreadable} lines could not be read", file=sys.stderr)
    for host, why in found.unreached:
        print(f"{host} did not answer, what others did there is missing: {why}", file=sys.stderr)
