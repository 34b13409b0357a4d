"""The command palette: any command by its words, with its argument; Enter runs, Tab completes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from vpai_tui.command_table import Arg, Command
from vpai_tui.commands import Situation, parse, refusal, suggestions
from vpai_tui.widgets.canvas import PAINT_CLASSES
from vpai_tui.widgets.line_input import LineInput
from vpai_tui.widgets.safe_table import Column, Row, SafeTable

_COLUMNS = (Column("words", "", 30), Column("key", "", 8), Column("help", ""))


class Palette(ModalScreen[tuple[str, str]]):
    """Dismisses with (command id, argument), or None."""

    COMPONENT_CLASSES: ClassVar[set[str]] = PAINT_CLASSES
    AUTO_FOCUS = "#palette-line"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close", show=False),
        Binding("down", "move(1)", "Next", show=False, priority=True),
        Binding("up", "move(-1)", "Previous", show=False, priority=True),
        Binding("tab", "complete", "Complete", show=False, priority=True),
    ]

    def __init__(self, arguments: Mapping[Arg, Sequence[str]], now: Situation, start: str = "") -> None:
        super().__init__()
        self._arguments = arguments
        self._now = now
        self._start = start
        self._found: list[tuple[Command, str]] = []

    def compose(self) -> ComposeResult:
        with Vertical(id="palette"):
            yield LineInput(self._start, placeholder="command, then its argument", id="palette-line")
            table = SafeTable(_COLUMNS, header=False, id="palette-hits")
            table.can_focus = False
            table.empty_line = ((" no such command", "dim"),)
            yield table

    def take_focus(self) -> None:
        """Type into the line from now on."""
        self.set_focus(self.query_one(Input))

    def on_mount(self) -> None:
        self._offer(self._start)

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        self._offer(event.value)

    def _offer(self, text: str) -> None:
        self._found = suggestions(text, self._arguments, self._now)
        table = self.query_one(SafeTable)
        rows = [self._row(at, command, argument) for at, (command, argument) in enumerate(self._found)]
        table.show(rows)
        table.action_edge(0)
        table.styles.height = max(1, min(len(rows), 12))

    def _row(self, at: int, command: Command, argument: str) -> Row:
        why = refusal(command, self._now)
        words = f"{command.words} {argument}".rstrip() + ("" if argument or command.arg is Arg.NONE else " …")
        return Row(
            f"{at}",
            {
                "words": (words, "dim" if why else "strong"),
                "key": (self._now.key_text(command), "key"),
                "help": (why or command.help, "dim"),
            },
        )

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        chosen = self._chosen()
        if chosen is None:
            return
        command, argument = chosen
        typed, rest = parse(event.value)
        self.dismiss(
            (command.id, argument or (rest if typed is command and not self._arguments.get(command.arg) else ""))
        )

    @on(SafeTable.Chosen)
    def _clicked(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            self.dismiss((chosen[0].id, chosen[1]))

    def action_move(self, step: int) -> None:
        self.query_one(SafeTable).action_move(step)

    def action_complete(self) -> None:
        """Put the highlighted command, and a space for its argument, on the line."""
        chosen = self._chosen()
        if chosen is None:
            return
        command, argument = chosen
        line = self.query_one(Input)
        line.value = f"{command.words} {argument}".rstrip() + (
            " " if command.arg is not Arg.NONE and not argument else ""
        )
        line.cursor_position = len(line.value)

    def action_close(self) -> None:
        self.dismiss(None)

    def _chosen(self) -> tuple[Command, str] | None:
        key = self.query_one(SafeTable).cursor_key
        return self._found[int(key)] if key is not None and self._found else None
