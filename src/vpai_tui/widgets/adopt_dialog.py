"""Which container is which service, as a table to correct: enter picks another, space takes it away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Button

from vpai_tui.widgets.canvas import SafeStatic
from vpai_tui.widgets.dialogs import Dialog, button
from vpai_tui.widgets.paint import Line
from vpai_tui.widgets.safe_table import Column, Row, SafeTable, widest

if TYPE_CHECKING:
    from vpai_tui.deploy.survey import Match, Survey

_ROWS = 12  # of a table in a dialog
NOBODY = "-"


class AdoptDialog(Dialog["Survey"]):
    """Dismisses with the survey as it was decided, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "pick", "Another container", show=False),
        Binding("space", "leave_out", "No container", show=False),
    ]

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        hint: Line = (
            ("enter", "key"),
            (" picks another container   ", "dim"),
            ("space", "key"),
            (" leaves the service out", "dim"),
        )
        super().__init__(f"Take over what runs on {survey.host}", [hint])

    def controls(self) -> ComposeResult:
        yield SafeTable((), id="mapping")
        yield SafeStatic(id="left")
        with Horizontal(classes="dialog-buttons"):
            yield button("Cancel", id="cancel")
            yield button("Go on", id="go", variant="warning")

    def on_mount(self) -> None:
        self.query_one(".dialog").add_class("-wide")
        self._draw()
        self.query_one(SafeTable).focus()

    def _draw(self) -> None:
        table, rows = self.query_one(SafeTable), [_row(match) for match in self.survey.matches]
        table.set_columns(_columns(rows))
        table.styles.height = min(len(rows), _ROWS) + 1
        table.show(rows)
        self.query_one("#left", SafeStatic).show(_left(self.survey))
        self.query_one("#go", Button).disabled = bool(self.survey.undecided) or not any(
            match.choice for match in self.survey.matches
        )

    def action_pick(self) -> None:
        match = self._match()
        if match is not None:
            self.app.push_screen(PickContainer(self.survey, match), self._picked)

    def action_leave_out(self) -> None:
        self._picked(NOBODY)

    def _picked(self, container: str | None) -> None:
        match = self._match()
        if match is not None and container:
            self.survey = self.survey.choose(match.id, None if container == NOBODY else container)
            self._draw()

    def _match(self) -> Match | None:
        key = self.query_one(SafeTable).cursor_key
        return next((match for match in self.survey.matches if match.id == key), None)

    @on(SafeTable.Chosen)
    def _chosen(self) -> None:
        self.action_pick()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(self.survey if event.button.id == "go" else None)


class PickContainer(Dialog[str]):
    """The containers of the host, those that fit first; dismisses with a name, `-` for none, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "pick", "This one", show=False)]

    def __init__(self, survey: Survey, match: Match) -> None:
        super().__init__(f"Which container is {match.id}?", ())
        self._survey = survey
        self._fitting = match

    def controls(self) -> ComposeResult:
        yield SafeTable((), id="containers")

    def on_mount(self) -> None:
        self.query_one(".dialog").add_class("-wide")
        fitting = {item.found.name: ", ".join(item.evidence) for item in self._fitting.candidates}
        others = [item.name for item in self._survey.containers if item.name not in fitting]
        rows = [Row(name, _cells(name, words)) for name, words in fitting.items()]
        rows.append(Row(NOBODY, _cells("none: leave it out", "")))
        rows += [Row(name, _cells(name, "")) for name in others]
        table = self.query_one(SafeTable)
        table.set_columns((Column("container", "CONTAINER", _width(rows, "container", 40)), Column("why", "EVIDENCE")))
        table.styles.height = min(len(rows), _ROWS) + 1
        table.show(rows)
        table.focus()

    def action_pick(self) -> None:
        self.dismiss(self.query_one(SafeTable).cursor_key)

    @on(SafeTable.Chosen)
    def _chosen(self, event: SafeTable.Chosen) -> None:
        self.dismiss(event.key)


def _cells(name: str, words: str) -> dict[str, tuple[str, str]]:
    return {"container": (name, ""), "why": (words, "dim")}


def _width(rows: Sequence[Row], column: str, most: int) -> int:
    return max(9, min(most, widest(rows, column)))


def _columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    return (
        Column("service", "SERVICE", _width(rows, "service", 28)),
        Column("container", "CONTAINER", _width(rows, "container", 28)),
        Column("project", "PROJECT", _width(rows, "project", 14), drop=2),
        Column("why", "EVIDENCE", least=22),
    )


def _row(match: Match) -> Row:
    _, _, name = match.id.partition("/")
    if match.undecided:
        names = " or ".join(item.found.name for item in match.candidates)
        return Row(match.id, {"service": (name, ""), "container": ("▲ say which", "warn"), "why": (names, "warn")})
    if match.choice is None:
        return Row(match.id, {"service": (name, ""), "container": ("– none", "dim"), "why": ("", "")})
    found = match.choice.found
    return Row(
        match.id,
        {
            "service": (name, ""),
            "container": (found.name, "strong"),
            "project": (found.project or "by hand", "dim"),
            "why": (", ".join(match.choice.evidence), "dim"),
        },
    )


def _left(survey: Survey) -> list[Line]:
    rows: list[Line] = []
    if survey.undecided:
        rows.append(((f"▲ {len(survey.undecided)} to be decided before it goes on", "warn"),))
    names = [item.name for item in survey.unclaimed]
    if names:
        more = f" and {len(names) - 3} more" if names[3:] else ""
        rows.append((("no service of ours: ", "dim"), (", ".join(names[:3]) + more, "")))
    return rows or [()]
