"""Dialogs of the budget: the modes to choose from, and what a change will do before it is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Button

from vpai_tui.budget.model import BudgetSnapshot, Mode
from vpai_tui.widgets import budget_words as words
from vpai_tui.widgets import paint
from vpai_tui.widgets.canvas import SafeStatic
from vpai_tui.widgets.dialogs import Choice, Confirm, Dialog, button, named, wrap
from vpai_tui.widgets.paint import Line
from vpai_tui.widgets.safe_table import Column, Row, SafeTable

if TYPE_CHECKING:
    from vpai_tui.budget.change import Change

_LABEL = 12  # cells of a label in a dialog
_WIDEST = 100  # cells of a wide dialog, and what of them its frame takes
_FRAME = 9
_UNDO = "vpai-tui budget undo"  # as plans name the way back
MODES = (
    ("auto", "eco by itself at 100 % of the cap"),
    ("on", "eco now: a free model answers paid requests"),
    ("off", "normal now; refused while the cap is reached"),
    ("block", "paid requests are refused, free models answer"),
)


def mode_word(found: BudgetSnapshot | None) -> str:
    """Which of `MODES` is on; empty while nobody knows."""
    if found is None or found.manual is None:
        return ""
    return {Mode.ECO: "on", Mode.BLOCKED: "block", Mode.NORMAL: "auto"}[found.manual]


class ModeDialog(Dialog[str]):
    """The four words of `budget eco`, the one that is on marked; dismisses with the one chosen, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "take", "Choose", show=False)]

    def __init__(self, facts: Sequence[Line], now: str) -> None:
        super().__init__("Eco mode", facts)
        self._now = now

    def controls(self) -> ComposeResult:
        yield SafeTable((Column("on", "", 5), Column("word", "", 6), Column("what", "")), header=False, id="rows")
        yield SafeStatic([(("enter", "key"), ("  shows what it would change and asks", "dim"))], id="left")
        with Horizontal(classes="dialog-buttons"):
            yield button("Cancel", id="cancel")

    def on_mount(self) -> None:
        table = self.query_one(SafeTable)
        rows = []
        for word, what in MODES:
            here = word == self._now
            sign = (f"{paint.OK} now", "ok") if here else ("", "")
            rows.append(Row(word, {"on": sign, "word": (word, "strong"), "what": (what, "" if here else "dim")}))
        table.styles.height = len(rows)
        table.show(rows)
        table.select(self._now)
        table.focus()

    def action_take(self) -> None:
        self.dismiss(self.query_one(SafeTable).cursor_key)

    @on(SafeTable.Chosen)
    def _chosen(self, event: SafeTable.Chosen) -> None:
        self.dismiss(event.key)

    @on(Button.Pressed)
    def _pressed(self) -> None:
        self.dismiss(None)


def state_lines(found: BudgetSnapshot | None) -> list[Line]:
    """What is so now: the first rows of both knobs."""
    if found is None:
        return [(("nothing is known of the budget yet", "stale"),)]
    spent = found.spend.spend_usd if found.spend else None
    used = f"{words.share(found.used)} of it" if found.used is not None else ""
    source = {"redis": "set by hand", "none": ""}.get(found.cap_source, f"from {found.cap_source}")
    return [
        named("cap now", f"{words.usd(found.cap_usd)} a day" if found.cap_usd else "none, or not known", source),
        named("spent today", words.usd(spent), used),
        named("mode now", words.mode_span(found, stale=False)[0]),
    ]


class ChangeDialog(Confirm):
    """The question before a change, as wide as the screen lets it: what it says must be seen without scrolling."""

    def __init__(self, change: Change, choice: Choice, screen_width: int) -> None:
        wide = min(_WIDEST, screen_width * 96 // 100) - _FRAME - _LABEL
        super().__init__(f"{choice.label}?", change_lines(change, wide), [choice], word=change.word)

    def on_mount(self) -> None:
        self.query_one(".dialog").add_class("-wide")
        super().on_mount()


def change_lines(change: Change, wide: int) -> list[Line]:
    """All of a change, before it is done: from what to what, its effects, where, until when, the way back."""
    before, after = _amount(change.before), _amount(change.after)
    rows: list[Line] = [((paint.fit("from", _LABEL), "dim"), (before, "del"), ("  →  ", "dim"), (after, "add"))]
    rows += _listed("does", change.effects, wide)
    for text in change.warnings:
        marked = [f"{paint.WARN if not at else ' '} {piece}" for at, piece in enumerate(wrap(text, wide - 2))]
        rows += [((" " * _LABEL, ""), (piece, "warn")) for piece in marked]
    rows += _listed("where", change.where, wide)
    rows += _listed("ends", (change.ends,), wide)
    way = change.undo.replace(_UNDO, "u, or `budget undo`", 1)
    return rows + _listed("way back", (way,), wide)


def _amount(text: str) -> str:
    """Caps are told as plain numbers."""
    return f"${text}" if text[:1].isdigit() else text


def _listed(label: str, texts: Sequence[str], wide: int) -> list[Line]:
    """Each text below the other, the label at the first."""
    rows: list[Line] = []
    for piece in (piece for text in filter(None, texts) for piece in wrap(text, wide)):
        rows.append(named(label if not rows else "", piece))
    return rows
