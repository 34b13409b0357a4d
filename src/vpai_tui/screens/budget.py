"""Mode 4: what AI costs today against the cap, whether the cap acts, and the two knobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.widget import Widget

from vpai_tui.budget.model import BudgetSnapshot
from vpai_tui.commands import bindings_of
from vpai_tui.errors import OperatorError
from vpai_tui.screens.budget_watch import SCREEN_EVERY_S
from vpai_tui.screens.detailed import DetailedScreen
from vpai_tui.widgets import budget_detail as detail
from vpai_tui.widgets import budget_rows as rows
from vpai_tui.widgets.backend import Description, Section
from vpai_tui.widgets.budget_banner import banner_lines
from vpai_tui.widgets.budget_chart import chart_lines
from vpai_tui.widgets.budget_head import count_line, head_lines, tile_lines
from vpai_tui.widgets.budget_side import side_lines
from vpai_tui.widgets.canvas import LineView, SafeStatic
from vpai_tui.widgets.context import Context
from vpai_tui.widgets.detail import description_lines
from vpai_tui.widgets.filter_row import FilterRow
from vpai_tui.widgets.paint import Line, Span
from vpai_tui.widgets.safe_table import Row, SafeTable

if TYPE_CHECKING:
    from vpai_tui.deploy.chronicle import Told
    from vpai_tui.screens.shell import Shell

_SIDE = 46  # cells of the pane beside the table
_DETAIL = 60


class BudgetScreen(DetailedScreen):
    """Numbers above, one of five tables below, what is known of its row beside it."""

    KIND = "budget"
    CSS_PATH = "budget.tcss"
    AUTO_FOCUS = "#main-table"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("budget")]

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.part = rows.PARTS[0]
        self.orders = {part: sorts[0] for part, sorts in rows.SORTS.items()}
        self.changes: Sequence[Told] | None = None
        self.changes_failed = ""
        self._asked_changes: tuple[int, int] | None = None

    def body(self) -> Iterable[Widget]:
        pane = LineView(id="detail")
        pane.display = False
        yield SafeStatic(id="head")
        yield SafeStatic(id="tiles")
        yield SafeStatic(id="banner")
        yield SafeStatic(id="charts")
        table = SafeTable((), id="main-table")
        yield Container(
            Vertical(SafeStatic(id="parts"), table, FilterRow(id="filter"), SafeStatic(id="counts"), id="list"),
            SafeStatic(id="side"),
            pane,
            id="panes",
        )

    # -- drawing -------------------------------------------------------------------------------------------------

    @property
    def wide(self) -> bool:
        return self.has_class("-wide")

    @property
    def tall(self) -> bool:
        return self.has_class("-tall")

    def draw(self) -> None:
        cast("Shell", self.app).budget_watch.due(SCREEN_EVERY_S)
        look, now, width = self.context.budget, self.context.clock.boot_s(), self.size.width
        squeezed = self._detail.display and not self.tall  # the pane has what the banner says, and the rows are few
        banner = banner_lines(look, now, width, 6 if self.tall else 2)
        self.query_one("#head", SafeStatic).show(head_lines(look, now, width))
        self.query_one("#tiles", SafeStatic).show(tile_lines(look, now, width))
        shown = self.query_one("#banner", SafeStatic)
        shown.show(banner)
        shown.display = bool(banner) and not squeezed
        charts = self.query_one("#charts", SafeStatic)
        charts.show(chart_lines(look, now, width, 5 if self.tall else 3))
        charts.display = bool(look.snapshot) and not squeezed
        self.query_one("#parts", SafeStatic).show([self._chips()])
        counts = self.query_one("#counts", SafeStatic)
        counts.show([count_line(look, now, self.query_one("#list").size.width)])
        counts.display = not self.wide and look.snapshot is not None and not squeezed
        self._draw_table(look.snapshot, stale=look.stale(now))
        self._draw_side(look.snapshot)
        self.draw_detail(top=False)
        if self.part == "changes" or self.wide:
            self._ask_changes()

    def _chips(self) -> Line:
        spans: list[Span] = [(" ", "")]
        for name in rows.PARTS:
            spans += [(f" {name} ", "chip" if name == self.part else "dim"), (" ", "")]
        return tuple(spans)

    def _draw_table(self, found: BudgetSnapshot | None, *, stale: bool) -> None:
        table, needle, order = self.table, self.query_one(FilterRow).text, self.orders[self.part]
        made = self._rows(found, needle, order, stale=stale)
        table.set_columns(rows.columns_of(self.part, made))
        table.sorted_by = {"model": "name", "key": "name", "plan": "target"}.get(order, order)
        table.empty_line = self._empty(found, needle)
        table.show(made)

    def _rows(self, found: BudgetSnapshot | None, needle: str, order: str, *, stale: bool) -> list[Row]:
        if self.part == "changes":
            return rows.change_rows(self.changes or (), needle)
        if found is None:
            return []
        match self.part:
            case "models":
                return [rows.model_row(it, stale=stale) for it in rows.pick_models(found, needle, order)]
            case "keys":
                return rows.key_rows(found, needle, order, stale=stale)
        return [rows.piece_row(it, stale=stale) for it in rows.pick_pieces(found.spend, self.part, needle, order)]

    def _empty(self, found: BudgetSnapshot | None, needle: str) -> Line:
        if needle:
            return ((f" none holds “{needle}”", "dim"),)
        if self.part == "changes":
            if self.changes_failed:
                return ((f" ◌ not known: {self.changes_failed}", "stale"),)
            return ((" … asking the hosts", "busy"),) if self.changes is None else ((" none is known", "dim"),)
        if found is None:
            if self.context.budget.failure is not None:
                return ((" ◌ not known", "stale"),)
            return ((f" {self.context.failure}" if self.context.failure else " … asking", "busy"),)
        if found.spend is None or (self.part == "keys" and found.spend.keys is None):
            return ((" ◌ not known; the notes say why", "stale"),)
        return ((" nothing was used today", "dim"),)

    def _draw_side(self, found: BudgetSnapshot | None) -> None:
        side = self.query_one("#side", SafeStatic)
        side.display = self.wide and self.tall and not self._detail.display and found is not None
        if side.display and found is not None:
            height = max(4, self.query_one("#panes").size.height)
            changes = () if self.changes_failed else self.changes
            side.show(side_lines(found, changes, self.part, _SIDE, height))

    def draw_detail(self, *, top: bool) -> None:
        if not self._detail.display:
            return
        now = self.context.clock.boot_s()
        room = (_DETAIL if self.wide else self.size.width) - 2
        found = self.context.budget.snapshot
        sections: list[Section] = [*self._row_sections(found, room)]
        sections += detail.budget_sections(self.context.budget, now, room)
        self._detail.show(description_lines(Description("", tuple(sections))), top=top)

    def _row_sections(self, found: BudgetSnapshot | None, room: int) -> list[Section]:
        """What is known of the row under the cursor."""
        key = self.table.cursor_key
        if key is None:
            return []
        if self.part == "changes":
            return [detail.change_section(self.changes[int(key)], room)] if self.changes else []
        if found is None:
            return []
        match self.part:
            case "models":
                models = rows.pick_models(found, "", "")
                return [detail.model_section(it, found, room) for it in models if it.model == key]
            case "keys":
                return [detail.key_section(key, found, room)]
        pieces = rows.pieces(found.spend, self.part)
        return [detail.piece_section(it, self.part, room) for it in pieces if it.name == key]

    def hint(self) -> str:
        parts = []
        if self.orders[self.part] != rows.SORTS[self.part][0]:
            parts.append(f"by {self.orders[self.part]}")
        if self._detail.display and not self._detail.has_focus:
            parts.append("↵ scrolls")
        return " · ".join(parts)

    def crumbs(self) -> tuple[str, ...]:
        found = self.context.budget.snapshot
        return ("budget", found.service, self.part) if found else ("budget", self.part)

    # -- the history ---------------------------------------------------------------------------------------------

    def _ask_changes(self) -> None:
        """Once, again on ctrl+r, and after each change: every host is asked for it."""
        wanted = (self.context.refreshes, self.context.budget.changed)
        if self._asked_changes == wanted or self.context.backend is None:
            return
        self._asked_changes = wanted
        self.run_worker(
            self._fetch_changes(), group="changes", exclusive=True, exit_on_error=False, description="the history"
        )

    async def _fetch_changes(self) -> None:
        backend = self.context.backend
        if backend is None:
            return
        try:
            found = await backend.history()
            self.changes, self.changes_failed = rows.budget_changes(found.lines), ""
        except OperatorError as error:
            self.changes_failed = str(error)
        self.redraw()

    # -- what a command means here -------------------------------------------------------------------------------

    def copy_text(self) -> str:
        if self._detail.display and self._detail.has_focus:
            return self._detail.text
        key, table = self.table.cursor_key, self.table
        row = next((it for it in table.rows if it.key == key), None)
        cells = [row.cells[name][0] for name in row.cells if name != "bar"] if row else []
        return "  ".join(cell for cell in cells if cell)

    def view(self, command: str, argument: str) -> bool:
        match command:
            case "describe":
                self.describe()
            case "budget.part":
                self.show_part(argument)
            case "sort":
                sorts = rows.SORTS[self.part]
                self.orders[self.part] = sorts[(sorts.index(self.orders[self.part]) + 1) % len(sorts)]
            case "filter":
                self.query_one(FilterRow).open(argument or None)
            case _:
                return False
        self.redraw()
        return True

    def show_part(self, part: str) -> None:
        """Turn to this table, or to the next one."""
        names = rows.PARTS
        if part and part not in names:
            self.notify(f"view: one of {', '.join(names)}", severity="warning", markup=False)
            return
        self.part = part or names[(names.index(self.part) + 1) % len(names)]
        self.query_one(FilterRow).clear()
        self.table.action_edge(0)
        self.focus_main()

    # -- messages ------------------------------------------------------------------------------------------------

    @on(SafeTable.HeaderClicked)
    def _header_clicked(self, event: SafeTable.HeaderClicked) -> None:
        wanted = {"name": {"models": "model", "keys": "key"}.get(self.part, ""), "target": "plan"}
        order = wanted.get(event.column, event.column)
        if order in rows.SORTS[self.part]:
            self.orders[self.part] = order
        self.redraw()

    @on(FilterRow.Changed)
    def _filtered(self) -> None:
        self.redraw()
