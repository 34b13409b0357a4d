"""The last day of every host, by VictoriaMetrics: load, memory, the fullest disk."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from vpai_tui.commands import bindings_of
from vpai_tui.screens.base import CockpitScreen
from vpai_tui.widgets.canvas import LineView
from vpai_tui.widgets.context import Context
from vpai_tui.widgets.figures import HOST, past_lines
from vpai_tui.widgets.paint import Line

if TYPE_CHECKING:
    from vpai_tui.fleet.trend import Past

_ROOM = 44  # cells beside a sparkline
_AGAIN_S = 120.0


class TrendsScreen(CockpitScreen):
    """Asked once, again on ctrl+r, and now and then while it is looked at."""

    KIND = "trends"
    CSS_PATH = "trends.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("trends")]

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._past: dict[str, Past] = {}
        self._asked: tuple[int, float] | None = None

    def body(self) -> Iterable[Widget]:
        yield LineView(id="main-table")

    def draw(self) -> None:
        self._ask()
        cells = min(72, max(8, self.size.width - _ROOM))
        now_s = self.context.clock.now().timestamp()
        rows: list[Line] = []
        for host in self._hosts():
            title = self.context.fleet.hosts[host].title if host in self.context.fleet.hosts else ""
            rows += [
                ((f" {host}", "head"), (f"  {title}", "dim")),
                *past_lines(self._past.get(host), HOST, now_s, cells),
            ]
            rows.append(())
        self.query_one(LineView).show(rows)

    def _hosts(self) -> list[str]:
        return [it.name for it in self.context.snapshot.hosts if self.context.scope in (None, it.name)]

    def _ask(self) -> None:
        now, backend = self.context.clock.boot_s(), self.context.backend
        if backend is None:
            return
        if self._asked is not None and self._asked[0] == self.context.refreshes and now - self._asked[1] < _AGAIN_S:
            return
        self._asked = (self.context.refreshes, now)
        self.run_worker(self._fetch(), group="trends", exclusive=True, exit_on_error=False, description="the last day")

    async def _fetch(self) -> None:
        backend = self.context.backend
        for host in [it.name for it in self.context.snapshot.hosts] if backend is not None else ():
            assert backend is not None  # noqa: S101 (told to mypy: the loop above is empty then)
            self._past[host] = await backend.trends.of_host(host)
            self.redraw()

    def crumbs(self) -> tuple[str, ...]:
        return ("trends", self.context.scope or "all hosts")

    def copy_text(self) -> str:
        return self.query_one(LineView).text
