"""Dialogs of the VPN: lists to choose from, routes to approve, a key that is shown once, a diff to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Button

from vpai_tui.vpn.dns.changes import Diff
from vpai_tui.vpn.model import Node
from vpai_tui.vpn.nodes import NewKey
from vpai_tui.widgets import paint
from vpai_tui.widgets.canvas import LineView, SafeStatic
from vpai_tui.widgets.dialogs import Choice, Dialog, button, wrap
from vpai_tui.widgets.dns_rows import diff_yaml_lines
from vpai_tui.widgets.node_rows import route_words
from vpai_tui.widgets.paint import Line
from vpai_tui.widgets.safe_table import Column, Row, SafeTable

_ROWS = 10  # of a table in a dialog at 80x24
_LINE = 58  # cells of a piece of the line to type on the new machine


class ListDialog(Dialog[tuple[str, str]]):
    """A table and what can be done to its row; dismisses with (answer, key of the row)."""

    def __init__(
        self, title: str, columns: Sequence[Column], rows: Sequence[Row], choices: Sequence[Choice], empty: str
    ) -> None:
        super().__init__(title, ())
        self._columns, self._rows, self._choices, self._empty = columns, rows, choices, empty

    def controls(self) -> ComposeResult:
        table = SafeTable(self._columns, id="rows")
        table.empty_line = ((f" {self._empty}", "dim"),)
        yield table
        with Horizontal(classes="dialog-buttons"):
            yield button("Close", id="cancel")
            for choice in self._choices:
                yield button(choice.label, id=f"answer-{choice.answer}", variant=choice.variant)

    def on_mount(self) -> None:
        self.query_one(".dialog").add_class("-wide")
        table = self.query_one(SafeTable)
        table.show(self._rows)
        table.styles.height = max(2, min(len(self._rows), _ROWS) + 1)
        table.focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        name, key = event.button.id or "", self.query_one(SafeTable).cursor_key or ""
        self.dismiss((name.removeprefix("answer-"), key) if name.startswith("answer-") else None)


class RoutesDialog(Dialog[tuple[tuple[str, ...], tuple[str, ...]]]):
    """Which routes are approved; dismisses with (approve, reject) against now. Exit routes go together."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter", "turn", "Approve or reject", show=False),
    ]

    def __init__(self, node: Node) -> None:
        hint: Line = (("space", "key"), (" approves or rejects the route under the cursor", "dim"))
        super().__init__(f"Routes of {node.name}", [hint])
        self._node = node
        self._approved = set(node.approved)

    def controls(self) -> ComposeResult:
        yield SafeTable((Column("prefix", "route", 18), Column("will", "will be", 10), Column("now", "now")), id="rows")
        with Horizontal(classes="dialog-buttons"):
            yield button("Cancel", id="cancel")
            yield button("Go on", id="go", variant="warning")

    def on_mount(self) -> None:
        self.query_one(".dialog").add_class("-wide")
        self.query_one(SafeTable).styles.height = min(len(self._node.routes), _ROWS) + 1
        self._draw()
        self.query_one(SafeTable).focus()

    def _draw(self) -> None:
        rows = []
        for route in self._node.routes:
            on_ = route.prefix in self._approved
            will = (f"{paint.OK} approved", "ok") if on_ else (f"{paint.OFF} rejected", "dim")
            name = f"{route.prefix} (exit)" if route.exit else route.prefix
            rows.append(Row(route.prefix, {"prefix": (name, ""), "will": will, "now": (route_words(route), "dim")}))
        self.query_one(SafeTable).show(rows)
        self.query_one("#go", Button).disabled = self._approved == set(self._node.approved)

    def action_turn(self) -> None:
        key = self.query_one(SafeTable).cursor_key
        route = self._node.route(key) if key else None
        if route is not None:
            together = {it.prefix for it in self._node.routes if it.exit} if route.exit else {route.prefix}
            self._approved = self._approved - together if route.prefix in self._approved else self._approved | together
            self._draw()

    @on(SafeTable.Chosen)
    def _chosen(self) -> None:
        self.action_turn()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        before = set(self._node.approved)
        decided = (tuple(sorted(self._approved - before)), tuple(sorted(before - self._approved)))
        self.dismiss(decided if event.button.id == "go" else None)


class KeyDialog(Dialog[None]):
    """The line for the new machine: masked; shown once when asked, copied with `c`; gone when the dialog closes."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("c", "copy", "Copy the line", show=False)]

    def __init__(self, made: NewKey, facts: Sequence[Line]) -> None:
        super().__init__("The key is made", [*facts, (), (("Type this on the new machine:", ""),)])
        self._made = made
        self._shown = False

    def controls(self) -> ComposeResult:
        yield SafeStatic(_pieces(self._made.masked), id="line")
        yield SafeStatic([(("It cannot be shown again after this dialog is closed.", "warn"),)], id="left")
        with Horizontal(classes="dialog-buttons"):
            yield button("Close", id="cancel")
            yield button("Show it", id="show")
            yield button("Copy (c)", id="copy", variant="primary")

    def on_mount(self) -> None:
        self.query_one("#copy").focus()

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self._made.line)
        self.query_one("#left", SafeStatic).show([((f"{paint.OK} copied; it is in the terminal's clipboard", "ok"),)])

    def _show(self) -> None:
        if not self._shown:
            self._shown = True
            self.query_one("#line", SafeStatic).show(_pieces(self._made.line))
            self.query_one("#show", Button).disabled = True

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        match event.button.id:
            case "copy":
                self.action_copy()
            case "show":
                self._show()
            case _:
                self.dismiss(None)


def _pieces(text: str) -> list[Line]:
    return [((f"  {row}", "accent"),) for row in wrap(text, _LINE)]


class DiffDialog(Dialog[str]):
    """What an apply would change, as records and as YAML; dismisses with `apply`, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("d,q", "close", "Close", show=False)]

    def __init__(self, diff: Diff, conflicts: Sequence[str], *, may_apply: bool) -> None:
        super().__init__("What an apply would change", ())
        self._rows = diff_lines(diff, conflicts)
        self._may_apply = may_apply and not conflicts and not diff.empty

    def controls(self) -> ComposeResult:
        yield LineView(id="diff-lines")
        with Horizontal(classes="dialog-buttons"):
            yield button("Close", id="cancel")
            if self._may_apply:
                yield button("Apply …", id="apply", variant="warning")

    def on_mount(self) -> None:
        self.query_one(".dialog").add_class("-wide")
        view = self.query_one(LineView)
        view.styles.height = min(len(self._rows), max(6, self.app.size.height - 12))
        view.show(self._rows)
        view.focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss("apply" if event.button.id == "apply" else None)


def diff_lines(diff: Diff, conflicts: Sequence[str]) -> list[Line]:
    """Records first, then the file."""
    rows: list[Line] = [((f"✖ does not fit any more: {it}", "error"),) for it in conflicts]
    rows += [((f"+ {it}", "add"),) for it in diff.added]
    rows += [((f"- {it}", "del"),) for it in diff.removed]
    rows += [
        ((f"~ {old} ", "warn"), (f"→ {new.value if new.name == old.name else new}", "add")) for old, new in diff.changed
    ]
    if diff.empty:
        return rows or [(("nothing: the file says so already", "dim"),)]
    rows += [(), (("the file", "head"),), *diff_yaml_lines(diff.yaml), ()]
    restart = "one restart of Headscale" if diff.restart_needed else "no restart: Headscale watches this file"
    told: list[Line] = [((piece, "warn"),) for it in diff.warnings for piece in wrap(f"▲ {it}", 64)]
    return [*rows, ((restart, "dim"),), *told]
