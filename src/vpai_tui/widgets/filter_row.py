"""The `/` row: keeps rows that hold some words, stays visible while it does."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input

from vpai_tui.widgets.canvas import SafeStatic
from vpai_tui.widgets.line_input import LineInput


class FilterRow(Horizontal):
    """One row with a `/` and a field. Enter keeps the filter and leaves the field, esc clears it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "clear", "Clear", show=False)]

    class Changed(Message):
        """The words differ."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Left(Message):
        """The operator is done typing."""

    def compose(self) -> ComposeResult:
        yield SafeStatic([((" /", "key"),)], classes="filter-sign")
        yield LineInput(id="filter-line", placeholder="words that a row must hold")

    def on_mount(self) -> None:
        self.display = False

    @property
    def text(self) -> str:
        return self.query_one(Input).value if self.is_mounted else ""

    def open(self, text: str | None = None) -> None:
        """Show the row; with `text`, filter by it at once."""
        self.display = True
        line = self.query_one(Input)
        if text is not None:
            line.value = text
        self.screen.set_focus(line)  # at once: the next key may be waiting already

    def clear(self) -> bool:
        """Drop the filter and hide the row; says whether there was one."""
        was = self.display
        self.query_one(Input).value = ""
        self.display = False
        return bool(was)

    def action_clear(self) -> None:
        self.clear()
        self.post_message(self.Left())

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Changed(event.value))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if not event.value:
            self.display = False
        self.post_message(self.Left())
