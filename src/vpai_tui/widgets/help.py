"""The help of a screen, made from the command registry: nothing in it is written twice."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from vpai_tui.command_table import COMMANDS, Arg, Command, Danger
from vpai_tui.commands import Situation, commands_of, key_text, refusal, visible
from vpai_tui.widgets.canvas import PAINT_CLASSES, LineView, SafeStatic
from vpai_tui.widgets.paint import Line, fit

_MOVES = (
    ("j k ↓ ↑", "move"),
    ("g G", "first, last row"),
    ("← →", "the detail's other views"),
    ("tab", "the next pane"),
)
_DANGER = {Danger.LOOK: "", Danger.FORM: "form", Danger.PLAN: "plan", Danger.CHANGE: "asks"}


class Help(ModalScreen[None]):
    """Keys and commands of one screen; what may not run now says why."""

    COMPONENT_CLASSES: ClassVar[set[str]] = PAINT_CLASSES
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark", "close", "Close", show=False)]

    def __init__(self, now: Situation) -> None:
        super().__init__()
        self._now = now

    def compose(self) -> ComposeResult:
        with Vertical(id="help"):
            yield SafeStatic([((f" {self._now.screen}: keys and commands", "strong"),)], id="help-title")
            yield LineView(id="help-lines")

    def on_mount(self) -> None:
        view = self.query_one(LineView)
        view.show(help_lines(self._now))
        view.focus()

    def action_close(self) -> None:
        self.dismiss(None)


def help_lines(now: Situation) -> list[Line]:
    """Keys of the screen, then how the cursor moves, then the commands that have no key here."""
    here = [command for command in commands_of(now.screen) if command.keys and visible(command, now)]
    rows = [_row(command, " ".join(key_text(key) for key in _shown(command, now)), now) for command in here]
    rows += [(), *(((fit(f" {keys}", 11), "key"), (text, "dim")) for keys, text in _MOVES)]
    others = [c for c in COMMANDS if c not in here and c.in_palette and visible(c, now)]
    rows += [(), ((" in the palette (: or ctrl+p)", "head"),)]
    rows += [_row(command, "", now) for command in others]
    lacking = [command for command in COMMANDS if command.id in now.cannot]
    if lacking:
        rows += [(), ((" this server cannot", "head"),), *(_row(command, "", now) for command in lacking)]
    return rows


def _shown(command: Command, now: Situation) -> tuple[str, ...]:
    """Keys worth printing: not the AZERTY twins of a digit."""
    keys = now.keys(command)
    return keys[:1] if command.id.startswith("go.") else keys


def _row(command: Command, keys: str, now: Situation) -> Line:
    words = command.words + (f" {command.arg.value.upper()}" if command.arg is not Arg.NONE else "")
    why = refusal(command, now)
    return (
        (fit(f" {keys}", 11), "key"),
        (fit(words, 17), "dim" if why else ""),
        (fit(_DANGER[command.danger], 5), "warn"),
        (why or command.help, "dim"),
    )
