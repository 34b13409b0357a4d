"""A dialog with several fields; what was typed comes back with the reason when it was refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Button, Input

from vpai_tui.errors import OperatorError
from vpai_tui.widgets.canvas import SafeStatic
from vpai_tui.widgets.dialogs import Dialog, button, error_lines
from vpai_tui.widgets.line_input import LineInput
from vpai_tui.widgets.paint import Line


@dataclass(frozen=True, slots=True)
class Field:
    """One line to type. `hint` stands in it while it is empty; a `needed` one must not stay so."""

    id: str
    label: str
    value: str = ""
    hint: str = ""
    needed: bool = True


class Form(Dialog[dict[str, str]]):
    """Dismisses with the fields by id, stripped, or None. Enter goes to the next field, and acts in the last."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "app.focus_previous", "Previous", show=False),
        Binding("down", "app.focus_next", "Next", show=False),
    ]

    def __init__(
        self, title: str, body: Sequence[Line], fields: Sequence[Field], act: str, problem: OperatorError | None = None
    ) -> None:
        super().__init__(title, [*body, *([(), *error_lines(problem)] if problem else [])])
        self._fields = tuple(fields)
        self._act = act

    def controls(self) -> ComposeResult:
        for field in self._fields:
            with Horizontal(classes="form-row"):
                yield SafeStatic([((field.label, "dim"),)], classes="form-label")
                yield LineInput(field.value, placeholder=field.hint, id=f"field-{field.id}")
        with Horizontal(classes="dialog-buttons"):
            yield button("Cancel", id="cancel")
            yield button(self._act, id="act", variant="warning")

    def on_mount(self) -> None:
        empty = next((it for it in self._fields if it.needed and not it.value), self._fields[0])
        line = self._line(empty)
        line.focus()
        line.cursor_position = len(line.value)
        self._check()

    def _line(self, field: Field) -> Input:
        return self.query_one(f"#field-{field.id}", Input)

    @property
    def values(self) -> dict[str, str]:
        return {field.id: self._line(field).value.strip() for field in self._fields}

    @property
    def _ready(self) -> bool:
        values = self.values
        return all(values[field.id] for field in self._fields if field.needed)

    @on(Input.Changed)
    def _check(self) -> None:
        self.query_one("#act", Button).disabled = not self._ready

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        if event.input is not self._line(self._fields[-1]):
            self.app.action_focus_next()
        elif self._ready:
            self.dismiss(self.values)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(self.values if event.button.id == "act" else None)


def refilled(fields: Sequence[Field], values: Mapping[str, str]) -> list[Field]:
    """The fields as they were typed."""
    return [Field(it.id, it.label, values.get(it.id, it.value), it.hint, it.needed) for it in fields]
