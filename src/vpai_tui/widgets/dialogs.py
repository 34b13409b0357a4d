"""Dialogs: a question with its target named, an error with its remedy, a word or a passphrase to type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input

from vpai_tui.command_table import DIGIT_KEYS
from vpai_tui.errors import Interrupted, LockHeld, OperatorError, PreflightRefused, StalePlan, UsageError
from vpai_tui.widgets import paint
from vpai_tui.widgets.canvas import PAINT_CLASSES, SafeStatic
from vpai_tui.widgets.line_input import LineInput
from vpai_tui.widgets.paint import Line

Result = TypeVar("Result")
_OUTPUT_LINES = 12
_WIDTH = 68
_REFUSALS = (UsageError, LockHeld, Interrupted, StalePlan, PreflightRefused)


@dataclass(frozen=True, slots=True)
class Choice:
    """One button: what it answers and how grave it is (`default`, `primary`, `warning`, `error`)."""

    answer: str
    label: str
    variant: str = "default"


def button(label: str, *, id: str, variant: str = "default", disabled: bool = False) -> Button:
    """A button whose label is never read as markup."""
    made = Button(Content(paint.safe(label)), id=id, compact=True, disabled=disabled)
    made.add_class(f"-{variant}")
    return made


def wrap(text: str, width: int = _WIDTH - 6) -> list[str]:
    """Words of `text` in lines of at most `width` characters; a longer word is cut into pieces."""
    rows: list[str] = []
    for paragraph in text.split("\n"):
        row = ""
        for word in paragraph.split(" "):
            while len(word) > width:
                rows += [row] if row else []
                row, (piece, word) = "", (word[:width], word[width:])
                rows.append(piece)
            if row and len(row) + 1 + len(word) > width:
                rows.append(row)
                row = word
            else:
                row = f"{row} {word}" if row else word
        rows.append(row)
    return rows


class Dialog(ModalScreen[Result], Generic[Result]):
    """A box in the middle; esc closes it with nothing done."""

    COMPONENT_CLASSES: ClassVar[set[str]] = PAINT_CLASSES
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close", show=False),
        Binding("left,up", "app.focus_previous", "Previous", show=False),
        Binding("right,down", "app.focus_next", "Next", show=False),
        Binding("pageup", "scroll_text(-1)", "Up", show=False),
        Binding("pagedown", "scroll_text(1)", "Down", show=False),
    ]

    def __init__(self, title: str, body: Sequence[Line]) -> None:
        super().__init__()
        self.heading = title
        self.body_lines = tuple(body)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield SafeStatic([((self.heading, "strong"),)], classes="dialog-title")
            with VerticalScroll(classes="dialog-text", can_focus=False):
                yield SafeStatic(self.body_lines, classes="dialog-body")
            yield from self.controls()

    def controls(self) -> ComposeResult:
        """The widgets below the text."""
        yield from ()

    def on_resize(self) -> None:
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        """The text gets what the controls leave of the screen, and scrolls: what must be answered is always there."""
        for box in self.query(".dialog"):
            others = [item for item in box.children if not item.has_class("dialog-text")]
            taken = sum(item.outer_size.height + item.styles.margin.height for item in others) + box.gutter.height
            self.query_one(".dialog-text").styles.max_height = max(3, self.size.height * 9 // 10 - taken)

    def action_scroll_text(self, pages: int) -> None:
        text = self.query_one(".dialog-text")
        text.scroll_relative(y=pages * max(1, text.size.height - 1), animate=False)

    def action_close(self) -> None:
        self.dismiss(None)


class Confirm(Dialog[str]):
    """A question with buttons; the focus is on Cancel, and Enter answers what is focused.

    With `word`, the choice that acts stays disabled until the word is typed, and Enter in the field takes it
    (or goes on to the buttons, where there are several).
    Dismisses with the answer, or None.
    """

    def __init__(self, title: str, body: Sequence[Line], choices: Sequence[Choice], *, word: str | None = None) -> None:
        super().__init__(title, body)
        self.choices = tuple(choices)
        self.word = word

    def controls(self) -> ComposeResult:
        if self.word is not None:
            yield SafeStatic([(("Type ", ""), (self.word, "strong"), (" to go on", ""))], classes="dialog-word")
            yield LineInput(id="word")
        with Horizontal(classes="dialog-buttons"):
            yield button("Cancel" if self.choices else "Close", id="cancel")
            for choice in self.choices:
                yield button(
                    choice.label, id=f"answer-{choice.answer}", variant=choice.variant, disabled=self.word is not None
                )

    def on_mount(self) -> None:
        self.query_one("#word" if self.word is not None else "#cancel").focus()

    @on(Input.Changed, "#word")
    def _typed(self, event: Input.Changed) -> None:
        for choice in self.choices:
            self.query_one(f"#answer-{choice.answer}", Button).disabled = event.value != self.word

    @on(Input.Submitted, "#word")
    def _submitted(self, event: Input.Submitted) -> None:
        if event.value != self.word or not self.choices:
            return
        if len(self.choices) == 1:
            self.dismiss(self.choices[0].answer)
        else:  # which of them is meant has not been said
            self.query_one(f"#answer-{self.choices[0].answer}").focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        name = event.button.id or ""
        self.dismiss(name.removeprefix("answer-") if name.startswith("answer-") else None)


class ErrorDialog(Dialog[None]):
    """All parts of an OperatorError: what, where, at which step, the last lines of output, what to do next."""

    def __init__(self, error: OperatorError, doing: str) -> None:
        super().__init__(headline(error, doing), error_lines(error))

    def controls(self) -> ComposeResult:
        with Horizontal(classes="dialog-buttons"):
            yield button("Close", id="close")

    @on(Button.Pressed)
    def _pressed(self) -> None:
        self.dismiss(None)


def headline(error: OperatorError, doing: str) -> str:
    """What came of it: a refusal is no failure, nothing was begun."""
    return f"✖ {doing}: refused" if isinstance(error, _REFUSALS) else f"✖ {doing} failed"


def error_lines(error: OperatorError) -> list[Line]:
    """An error as lines: nothing in it is left out but older output."""
    rows: list[Line] = [((row, "error"),) for row in wrap(error.message)]
    if error.host or error.step:
        rows.append((("host ", "dim"), (error.host or "–", ""), ("  step ", "dim"), (error.step or "–", "")))
    if error.output:
        rows.append(())
        tail = error.output.splitlines()[-_OUTPUT_LINES:]
        rows += [(("│ ", "track"), (piece, "dim")) for row in tail for piece in wrap(row, _WIDTH - 8)]
    if error.remedy:
        rows.append(())
        rows += [(("→ " if not at else "  ", "accent"), (row, "")) for at, row in enumerate(wrap(error.remedy))]
    return rows


class AskPassphrase(Dialog[str]):
    """A passphrase, never shown; dismisses with it, or None."""

    def __init__(self, key_path: str) -> None:
        body = [(("key ", "dim"), (key_path, "")), (("It stays in memory until the cockpit ends.", "dim"),)]
        super().__init__("Passphrase of a private key", body)

    def controls(self) -> ComposeResult:
        yield LineInput(password=True, id="passphrase")

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value)


class AskLine(Dialog[str]):
    """A line to type before something is done; dismisses with it, or None. Nothing is done without one."""

    def __init__(self, title: str, body: Sequence[Line], asks: str, act: str) -> None:
        super().__init__(title, body)
        self._asks = asks
        self._act = act

    def controls(self) -> ComposeResult:
        yield LineInput(placeholder=self._asks, id="line")
        with Horizontal(classes="dialog-buttons"):
            yield button("Cancel", id="cancel")
            yield button(self._act, id="act", variant="warning", disabled=True)

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self.query_one("#act", Button).disabled = not event.value.strip()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        if event.value.strip():
            self.dismiss(event.value.strip())

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(self.query_one(Input).value.strip() if event.button.id == "act" else None)


class ScopePrompt(ModalScreen[str]):
    """`h` then a digit: one row at the bottom that names the hosts. Dismisses with a host, `all`, or None."""

    COMPONENT_CLASSES: ClassVar[set[str]] = PAINT_CLASSES
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "pick(-1)", "Close", show=False),
        *(Binding(",".join(keys), f"pick({digit})", "Host", show=False) for digit, keys in DIGIT_KEYS.items()),
    ]

    def __init__(self, hosts: Sequence[str], scope: str | None) -> None:
        super().__init__()
        self._hosts = tuple(hosts)
        self._scope = scope

    def compose(self) -> ComposeResult:
        spans = [(" show ", "dim")]
        for digit, name in enumerate(("all", *self._hosts)):
            here = name == (self._scope or "all")
            spans += [(str(digit), "key"), (f" {name}  ", "strong" if here else "")]
        yield SafeStatic([tuple(spans), ()][:1], id="scope-row")

    def action_pick(self, digit: int) -> None:
        names = ("all", *self._hosts)
        if digit < 0:
            self.dismiss(None)
        elif digit < len(names):
            self.dismiss(names[digit])


def named(label: str, value: str, note: str = "") -> Line:
    """A row of a dialog: a dim label and its value."""
    return ((paint.fit(label, 12), "dim"), (value, ""), (f"  {note}" if note else "", "dim"))
