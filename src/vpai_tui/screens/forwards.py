"""The ports of services on this laptop: who leads where, who uses it; closed one by one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widget import Widget

from vpai_tui.commands import bindings_of
from vpai_tui.screens.base import CockpitScreen
from vpai_tui.widgets.canvas import SafeStatic
from vpai_tui.widgets.forward_rows import forward_columns, forward_detail, forward_head, forward_rows
from vpai_tui.widgets.safe_table import SafeTable

if TYPE_CHECKING:
    from vpai_tui.fleet.forward import Forward


class ForwardsScreen(CockpitScreen):
    """Drawn every second: the figures are those of now."""

    KIND = "forwards"
    CSS_PATH = "forwards.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("forwards")]

    def body(self) -> Iterable[Widget]:
        yield SafeStatic(id="reach")
        yield Vertical(SafeTable(forward_columns(()), id="main-table"), id="list")
        yield SafeStatic(id="line")

    def draw(self) -> None:
        running = self.listening
        rows = forward_rows(running, self.context.clock.boot_s())
        table = self.query_one("#main-table", SafeTable)
        table.set_columns(forward_columns(rows))
        table.empty_line = ((" none", "dim"),)
        table.show(rows)
        self.query_one("#reach", SafeStatic).show([forward_head(running)])
        self.query_one("#line", SafeStatic).show(forward_detail(self.chosen()))

    @property
    def listening(self) -> tuple[Forward, ...]:
        """All there are."""
        return self.context.backend.forwards.running if self.context.backend is not None else ()

    def chosen(self) -> Forward | None:
        """The one under the cursor."""
        key = self.query_one("#main-table", SafeTable).cursor_key
        return next((it for it in self.listening if str(it.id) == key), None)

    def target_services(self) -> list[str]:
        chosen = self.chosen()
        return [chosen.service] if chosen is not None and self.context.service(chosen.service) is not None else []

    def crumbs(self) -> tuple[str, ...]:
        return ("forwards", "this laptop")

    def copy_text(self) -> str:
        chosen = self.chosen()
        return f"127.0.0.1:{chosen.local_port}" if chosen is not None else ""

    @on(SafeTable.Moved, "#main-table")
    def _moved(self) -> None:
        self.redraw()
