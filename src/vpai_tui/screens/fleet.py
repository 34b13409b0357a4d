"""Mode 1: what needs the operator, and every service of every host in one table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.widget import Widget

from vpai_tui.commands import bindings_of
from vpai_tui.errors import OperatorError
from vpai_tui.screens.base import CockpitScreen
from vpai_tui.screens.messages import TargetWanted
from vpai_tui.widgets import detail
from vpai_tui.widgets.backend import Backend
from vpai_tui.widgets.context import Context
from vpai_tui.widgets.detail import DetailPane
from vpai_tui.widgets.filter_row import FilterRow
from vpai_tui.widgets.paint import Line
from vpai_tui.widgets.safe_table import SafeTable
from vpai_tui.widgets.service_rows import (
    SORTS,
    ServiceRows,
    alert_columns,
    alert_rows,
    news_rows,
    pick,
    service_columns,
)

if TYPE_CHECKING:
    from vpai_tui.screens.fleet_detail import Told

LOG_LINES = 200
_ALERTS_SHORT, _ALERTS_TALL = 4, 7
_SETTLE_S = 0.15  # the detail follows the cursor when it rests


class FleetScreen(CockpitScreen):
    """Alerts, services, and the detail of the service under the cursor."""

    KIND = "fleet"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings_of("fleet"),
        ("left", "turn(-1)", "Previous view"),
        ("right", "turn(1)", "Next view"),
    ]

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.order = SORTS[0]
        self.marks: frozenset[str] = frozenset()
        self._told: Told | None = None
        self._rows = ServiceRows()

    def body(self) -> Iterable[Widget]:
        alerts = SafeTable(alert_columns(()), header=False, quiet=True, id="alerts")
        table = SafeTable(service_columns(()), id="main-table")
        pane = DetailPane(id="detail")
        pane.display = False
        yield alerts
        yield Container(Vertical(table, FilterRow(id="filter"), id="list"), pane, id="panes")

    # -- drawing -------------------------------------------------------------------------------------------------

    def draw(self) -> None:
        context = self.context
        self._draw_alerts()
        now = context.clock.now()
        needle = self.query_one(FilterRow).text
        services = pick(context.snapshot, context.scope, needle, self.order, now, context.moved)
        rows = self._rows.rows(services, now, context.moved)
        table = self.query_one("#main-table", SafeTable)
        table.set_columns(service_columns(rows))
        table.empty_line = self._empty(needle)
        table.sorted_by = self.order
        table.show(rows)
        known = {service.id for service in context.snapshot.services}
        self.marks &= known
        table.set_marks(self.marks)
        pane = self.query_one(DetailPane)
        if pane.display and pane.view == "events":
            pane.fill(detail.event_lines(context.seen, pane.subject), top=False)
        self._draw_described(pane)

    def _draw_alerts(self) -> None:
        alerts = self.query_one("#alerts", SafeTable)
        news = news_rows(self.context.upkeep, self.context.scope)
        rows = [*alert_rows(self.context.alerts, self.context.scope), *news]
        alerts.empty_line = (
            ((" ✔ ", "ok"), ("nothing needs you", "dim"))
            if self.context.heard
            else ((" … ", "busy"), ("asking the hosts", "dim"))
        )
        alerts.can_focus = bool(rows)
        alerts.set_columns(alert_columns(rows))
        most = _ALERTS_TALL if self.size.height >= 32 else _ALERTS_SHORT
        alerts.styles.height = max(1, min(len(rows), most))
        alerts.show(rows)

    def _empty(self, needle: str) -> Line:
        if needle:
            return ((f" no service holds “{needle}”", "dim"),)
        if not self.context.heard:
            return ((f" {self.context.failure}" if self.context.failure else " connecting …", "dim"),)
        return ((" no service here", "dim"),)

    def hint(self) -> str:
        parts = []
        if self.marks:
            parts.append(f"{len(self.marks)} marked")
        if self.order != SORTS[0]:
            parts.append(f"by {self.order}")
        alerts = len(self.context.alerts)
        if alerts > _ALERTS_SHORT:
            parts.append(f"{alerts} alerts")
        if news := len(self.context.upkeep.news):
            parts.append(f"◆{news}")
        return " · ".join(parts)

    # -- what a command means here -------------------------------------------------------------------------------

    def target_services(self) -> list[str]:
        if self.marks:
            return [service.id for service in self.context.snapshot.services if service.id in self.marks]
        key = self.query_one("#main-table", SafeTable).cursor_key
        return [key] if key else []

    def target_stack(self) -> str | None:
        key = self.query_one("#main-table", SafeTable).cursor_key
        service = self.context.service(key) if key else None
        return f"{service.host}/{service.stack}" if service and service.stack else None

    def copy_text(self) -> str:
        pane = self.query_one(DetailPane)
        if pane.display and pane.has_focus_within:
            return pane.text
        return "\n".join(self.target_services())

    def view(self, command: str, argument: str) -> bool:
        table = self.query_one("#main-table", SafeTable)
        match command:
            case "describe" if self.query_one("#alerts").has_focus and not argument:
                self._jump()
            case "describe" | "yaml" | "logs" | "events":
                if argument:
                    self.reveal(argument)
                self._open_detail(command)
            case "sort":
                self.order = SORTS[(SORTS.index(self.order) + 1) % len(SORTS)] if self.order in SORTS else SORTS[0]
            case "mark":
                self._mark(table)
            case "filter":
                self.query_one(FilterRow).open(argument or None)
            case _:
                return False
        self.redraw()
        return True

    def reveal(self, service_id: str) -> None:
        """Put the cursor on a service, whatever filter hides it now."""
        table = self.query_one("#main-table", SafeTable)
        if not table.select(service_id):
            self.query_one(FilterRow).clear()
            self.draw()
            table.select(service_id)
        table.focus()

    def go_back(self) -> bool:
        if super().go_back():
            return True
        if self.query_one(FilterRow).clear():
            self.focus_main()
        elif self.marks:
            self.marks = frozenset()
        elif self.query_one(DetailPane).display:
            self.query_one(DetailPane).display = False
            self.remove_class("-detail")
            self.focus_main()
        else:
            return False
        self.redraw()
        return True

    def _mark(self, table: SafeTable) -> None:
        key = table.cursor_key
        if key:
            self.marks ^= {key}
            table.action_move(1)

    def _jump(self) -> None:
        key = self.query_one("#alerts", SafeTable).cursor_key
        if key:
            self.post_message(TargetWanted(key.partition(":")[2]))

    # -- detail --------------------------------------------------------------------------------------------------

    def action_turn(self, step: int) -> None:
        """The detail's next or previous view."""
        pane = self.query_one(DetailPane)
        if pane.display:
            views = detail.VIEWS
            self._open_detail(views[(views.index(pane.view) + step) % len(views)])

    def _open_detail(self, view: str) -> None:
        pane = self.query_one(DetailPane)
        key = self.query_one("#main-table", SafeTable).cursor_key
        if key is None:
            return
        pane.display = True
        self.add_class("-detail")
        fresh = pane.open(key, view)
        self._load(pane, fresh=fresh, after_s=0.0)

    @on(SafeTable.Moved, "#main-table")
    def _follow(self, event: SafeTable.Moved) -> None:
        pane = self.query_one(DetailPane)
        if pane.display and event.key and pane.open(event.key, pane.view):
            self._load(pane, fresh=True, after_s=_SETTLE_S)

    def _load(self, pane: DetailPane, *, fresh: bool, after_s: float) -> None:
        if fresh:
            pane.fill([((" …", "busy"),)], top=True)
        self.run_worker(
            self._fill(pane, pane.subject, pane.view, fresh, after_s),
            group="detail",
            exclusive=True,
            exit_on_error=False,
            description=f"{pane.view} of a service",
        )

    async def _fill(self, pane: DetailPane, subject: str, view: str, fresh: bool, after_s: float) -> None:
        from asyncio import sleep

        if after_s:
            await sleep(after_s)
        backend = self.context.backend
        if backend is None:
            return
        if view == "describe":
            await self._describe(pane, backend, subject, fresh)
            return
        try:
            rows = await self._detail_lines(backend, subject, view)
        except OperatorError as error:
            rows = _trouble(error)
        pane.fill(rows, top=fresh)
        if view == "logs":
            pane.scroll_to_end()

    async def _describe(self, pane: DetailPane, backend: Backend, subject: str, fresh: bool) -> None:
        """What is known of the service, then how its names fare and what it used: line by line, as it is known."""
        from vpai_tui.screens.fleet_detail import Told  # not needed for the first frame

        def draw() -> None:
            self._draw_described(pane)

        try:
            told = await backend.describe(subject)
            self._told = Told(subject, told, limit_bytes=told.limit_bytes, asking=bool(told.names))
            pane.fill(self._told.lines(self.context, pane.size.width), top=fresh)
            await self._told.ask(backend, self.context, draw)
        except OperatorError as error:
            self._told = None
            pane.fill(_trouble(error), top=fresh)

    def _draw_described(self, pane: DetailPane) -> None:
        """The figures move with every snapshot."""
        told = self._told
        if told is not None and pane.display and (pane.subject, pane.view) == (told.subject, "describe"):
            pane.fill(told.lines(self.context, pane.size.width), top=False)

    async def _detail_lines(self, backend: Backend, subject: str, view: str) -> list[Line]:
        match view:
            case "yaml":
                return detail.yaml_lines(await backend.inspect_yaml(subject))
            case "logs":
                return detail.log_lines(await backend.logs(subject, LOG_LINES))
        return detail.event_lines(self.context.seen, subject)

    # -- messages ------------------------------------------------------------------------------------------------

    @on(FilterRow.Changed)
    def _filtered(self) -> None:
        self.redraw()

    @on(SafeTable.Chosen, "#main-table")
    def _chosen(self) -> None:
        self.view("describe", "")

    @on(SafeTable.Chosen, "#alerts")
    def _alert_chosen(self) -> None:
        self._jump()

    @on(SafeTable.HeaderClicked, "#main-table")
    def _header_clicked(self, event: SafeTable.HeaderClicked) -> None:
        self.order = event.column if event.column in (*SORTS, "host") else SORTS[0]
        self.redraw()


def _trouble(error: OperatorError) -> list[Line]:
    from vpai_tui.widgets.dialogs import error_lines  # not needed for the first frame

    return [((" ", ""), *row) for row in error_lines(error)]
