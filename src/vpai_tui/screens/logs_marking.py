"""Lines marked on the logs screen, and out of it: as text, as JSON lines, masked, as much as a clipboard takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from vpai_tui.errors import UsageError
from vpai_tui.logs.model import Line
from vpai_tui.widgets.log_detail import belonging
from vpai_tui.widgets.log_head import count
from vpai_tui.widgets.log_marks import SIGN
from vpai_tui.widgets.paint import Line as Spans

if TYPE_CHECKING:
    from vpai_tui.screens.logs import LogsScreen

_LIMIT = 74_000  # bytes: terminals drop longer clipboard sequences


class LogMarking:
    """What is copied: the lines that are marked, else the one under the cursor with what is folded into it."""

    def __init__(self, screen: LogsScreen) -> None:
        self._screen = screen

    @property
    def active(self) -> bool:
        return self._screen.log_view.marks is not None

    def toggle(self) -> None:
        """Begin to mark at the cursor, or mark nothing any more."""
        log = self._screen.log_view
        if not log.mark(not self.active):
            raise UsageError("no line to mark here")

    def drop(self) -> bool:
        """Mark nothing any more; says whether anything was marked."""
        return self._screen.log_view.mark(False)

    def lines(self) -> Iterable[Line]:
        """What is marked, else what the cursor is on."""
        screen = self._screen
        line, buffer = screen.log_view.cursor, screen.buffer
        if self.active:
            return screen.log_view.marked_lines()
        return [] if line is None or buffer is None else [line, *belonging(buffer, line)]

    def copy(self, *, json: bool) -> None:
        """Put the lines into the clipboard. UsageError where there is none, or none that fits."""
        from vpai_tui.logs.save import as_json, as_text, capped

        screen, source_of = self._screen, self._screen.context.logs.source_of
        lines = self.lines()
        if source_of is None:
            raise UsageError("nothing to copy here")
        taken = capped(as_json(lines, source_of) if json else as_text(lines), _LIMIT)
        if not taken.lines:
            if taken.left:
                raise UsageError("too much for the terminal's clipboard", remedy=":save FILE")
            raise UsageError("nothing of what is marked is shown" if self.active else "nothing to copy here")
        screen.app.copy_to_clipboard(taken.text)
        told = "copied as JSON" if json else "copied"
        if not taken.left:
            first = taken.text.split("\n", 1)[0][:60]
            more = f"{count(taken.lines)} lines" if taken.lines > 1 else "" if json else first
            screen.notify(f"{told} {more}".rstrip(), markup=False)
            return
        left = f"{'more than ' if taken.more else ''}{count(taken.left)}"
        screen.notify(
            f"{told} the first {count(taken.lines)} lines; {left} did not fit into the clipboard: save FILE has all",
            severity="warning",
            markup=False,
        )

    def note(self) -> list[Spans]:
        """What is marked, and what can be done with it; nothing where nothing is."""
        if not self.active:
            return []
        places = self._screen.log_view.marked
        many = 0 if places is None else places[1] - places[0] + 1
        told = (
            f" {SIGN} {count(many)} line{'' if many == 1 else 's'} marked" if many else f" {SIGN} none of it is shown"
        )
        keys = [("c", "copy"), ("m", "as JSON"), ("r", "pager"), ("esc", "drop")]
        row: list[tuple[str, str]] = [(f"{told}   ", "accent")]
        for key, does in keys:
            row += [(key, "key"), (f" {does}  ", "dim")]
        return [tuple(row)]
