"""The command log: every command run on a host, how long it took and how it ended. Secrets are redacted before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vpai_tui.clock import duration
from vpai_tui.widgets.paint import BUSY, DOWN, OK, STALE, Span
from vpai_tui.widgets.safe_table import Column, Row, SafeTable

if TYPE_CHECKING:
    from vpai_tui.remote.command_log import CommandRecord

_COLUMNS = (
    Column("at", "time", 8, drop=2),
    Column("host", "host", 5),
    Column("end", "end", 5),
    Column("took", "took", 6, right=True),
    Column("command", "command"),
)
_SHOWN = 300


class CommandLogPane(SafeTable):
    """A pane at the bottom of a screen, newest command first."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(_COLUMNS, id=id)
        self.empty_line = ((" no command was run yet", "dim"),)

    def draw(self, records: Sequence[CommandRecord]) -> int:
        """Draw the records, oldest first as given; returns how many rows were redrawn."""
        first = max(0, len(records) - _SHOWN)
        rows = [_row(record) for record in records[first:]]
        at_top = self.cursor_key is None or (self.rows and self.cursor_key == self.rows[0].key)
        count = self.show(rows[::-1])
        if at_top:
            self.action_edge(0)
        return count


def _row(record: CommandRecord) -> Row:
    return Row(
        str(record.id),
        {
            "at": (record.at.strftime("%H:%M:%S"), "dim"),
            "host": (record.host, "strong"),
            "end": _end(record),
            "took": _took(record.duration_s),
            "command": (record.command, ""),
        },
    )


def _end(record: CommandRecord) -> Span:
    if record.running:
        return (BUSY, "busy")
    if record.exit_status is None:
        return (f"{STALE} ?", "stale")
    return (f"{OK} 0", "ok") if record.exit_status == 0 else (f"{DOWN} {record.exit_status}", "error")


def _took(seconds: float | None) -> Span:
    if seconds is None:
        return ("–", "dim")
    return (
        f"{seconds * 1000:.0f}ms" if seconds < 1 else f"{seconds:.1f}s" if seconds < 60 else duration(seconds),
        "dim",
    )
