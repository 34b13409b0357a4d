"""What fills the disks of one host: rows with bars, when it will be full, and the plan that frees it behind `X`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widget import Widget

from vpai_tui.clock import duration
from vpai_tui.commands import bindings_of
from vpai_tui.errors import OperatorError
from vpai_tui.screens.base import CockpitScreen
from vpai_tui.screens.messages import Failed
from vpai_tui.widgets import paint
from vpai_tui.widgets.canvas import SafeStatic
from vpai_tui.widgets.context import Context
from vpai_tui.widgets.disk_rows import COLUMNS, disk_lines, part_lines, part_rows
from vpai_tui.widgets.paint import Line
from vpai_tui.widgets.safe_table import SafeTable

if TYPE_CHECKING:
    from vpai_tui.upkeep.disk.model import Usage
    from vpai_tui.upkeep.disk.sums import Part
    from vpai_tui.upkeep.disk.trend import Forecast


class DiskScreen(CockpitScreen):
    """It is measured once, and again on ctrl+r: that takes the host a while."""

    KIND = "disk"
    CSS_PATH = "disk.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("disk")]

    def __init__(self, context: Context, host: str) -> None:
        super().__init__(context)
        self.host = host
        self.usage: Usage | None = None
        self._trends: Mapping[str, Forecast] = {}
        self._seen_boot_s: float | None = None
        self._asked = -1
        self._problem: OperatorError | None = None

    def body(self) -> Iterable[Widget]:
        yield SafeStatic(id="disks")
        yield Vertical(SafeTable(COLUMNS, id="main-table"), id="list")
        yield SafeStatic(id="line")

    def draw(self) -> None:
        self._ask()
        usage, table = self.usage, self.query_one("#main-table", SafeTable)
        found = self._parts()
        whole = usage.docker_disk.size_bytes if usage is not None and usage.docker_disk is not None else 0
        words = f" … {self.host} is measured; that may take a minute" if self._problem is None else f" {self._problem}"
        table.empty_line = ((words, "dim" if self._problem is None else "error"),)
        table.show(part_rows(found, whole))
        self.query_one("#disks", SafeStatic).show(self._head())
        shown = next((part for part in found if part.id == table.cursor_key), None)
        self.query_one("#line", SafeStatic).show(part_lines(shown, usage, self.size.width) if usage else [])

    def _parts(self) -> tuple[Part, ...]:
        from vpai_tui.upkeep.disk.sums import parts

        return parts(self.usage) if self.usage is not None else ()

    def _head(self) -> list[Line]:
        if self.usage is None:
            return [((f" {paint.BUSY} {self.host}", "busy"),)] if self._problem is None else []
        rows = disk_lines(self.usage.disks, self._trends, self.size.width)
        age = self.context.clock.boot_s() - self._seen_boot_s if self._seen_boot_s is not None else None
        host = self.context.snapshot.host(self.host)
        if not host.live:
            why = host.link.error or host.link.state.value
            rows.append(((f" {paint.STALE} {self.host} is gone ({why}); this is {duration(age)} old", "stale"),))
        elif age is not None and age >= 60:
            rows.append(((f" measured {duration(age)} ago; ctrl+r measures again", "dim"),))
        return rows

    def _ask(self) -> None:
        """Once, and again on ctrl+r."""
        if self._asked == self.context.refreshes or self.context.backend is None:
            return
        self._asked = self.context.refreshes
        self.run_worker(self._fetch(), group="disk", exclusive=True, exit_on_error=False, description="the disks")

    async def _fetch(self) -> None:
        backend = self.context.backend
        if backend is None:
            return
        try:
            self.usage = await backend.disks.look(self.host)
            self._seen_boot_s, self._problem = self.context.clock.boot_s(), None
            self.redraw()
            self._trends = await backend.disks.forecasts(self.host, self.usage.disks)
        except OperatorError as error:
            self._problem = error
            self.post_message(Failed(error, f"Looking at the disks of {self.host}"))
        self.redraw()

    def again(self) -> None:
        """Measure once more."""
        self._asked = -1
        self.redraw()

    def crumbs(self) -> tuple[str, ...]:
        return ("disk", self.host)

    def copy_text(self) -> str:
        return self.query_one("#line", SafeStatic).text

    @on(SafeTable.Moved, "#main-table")
    def _moved(self) -> None:
        self.redraw()
