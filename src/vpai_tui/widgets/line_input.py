"""A one-line field with a steady cursor: nothing blinks, so an idle screen costs nothing."""

from __future__ import annotations

from textual.widgets import Input


class LineInput(Input):
    """Input without blinking and without borders."""

    def __init__(
        self, value: str = "", *, placeholder: str = "", password: bool = False, id: str | None = None
    ) -> None:
        super().__init__(value, placeholder=placeholder, password=password, id=id, compact=True, select_on_focus=False)
        self.cursor_blink = False
