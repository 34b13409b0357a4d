"""Mode 6: a stack on demand, its state and memory, its idle stop, and what works beside it on the same host."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import BindingType
from textual.containers import Container
from textual.widget import Widget

from vpai_tui.commands import Situation, bindings_of
from vpai_tui.screens.detailed import DetailedScreen
from vpai_tui.widgets.backend import Description, Section
from vpai_tui.widgets.canvas import LineView, SafeStatic
from vpai_tui.widgets.context import Context
from vpai_tui.widgets.detail import description_lines
from vpai_tui.widgets.ondemand_detail import stack_sections
from vpai_tui.widgets.ondemand_head import banner_lines, head_lines
from vpai_tui.widgets.ondemand_rows import COLUMNS, row_section, rows_of
from vpai_tui.widgets.paint import Line
from vpai_tui.widgets.safe_table import SafeTable

if TYPE_CHECKING:
    from vpai_tui.ondemand.model import OnDemandSnapshot, OnDemandStack
    from vpai_tui.screens.shell import Shell

_DETAIL = 56


class StudioScreen(DetailedScreen):
    """State above, services and neighbours below, what is known of a row beside them."""

    KIND = "studio"
    CSS_PATH = "studio.tcss"
    AUTO_FOCUS = "#main-table"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("studio")]

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._found: OnDemandSnapshot | None = None

    def body(self) -> Iterable[Widget]:
        pane = LineView(id="detail")
        pane.display = False
        yield SafeStatic(id="head")
        yield SafeStatic(id="banner")
        yield Container(SafeTable(COLUMNS, id="main-table"), pane, id="panes")

    # -- drawing -------------------------------------------------------------------------------------------------

    def draw(self) -> None:
        self._shell.studio_watch.due()
        found, now, width = self._look(), self.context.clock.boot_s(), self.size.width
        self._found = found
        banner = self.query_one("#banner", SafeStatic)
        table = self.query_one("#main-table", SafeTable)
        if found is None:
            self.query_one("#head", SafeStatic).show(self._nothing())
            banner.display = False
            table.show([])
            return
        tall = self.has_class("-tall")
        rows = banner_lines(found, self.context.studio, now, width, 6 if tall else 3)
        self.query_one("#head", SafeStatic).show(head_lines(found, width))
        banner.show(rows)
        banner.display = bool(rows)
        table.show(rows_of(found))
        self.draw_detail(top=False)

    def _nothing(self) -> list[Line]:
        if self.context.backend is None:
            return [((f" {self.context.failure}" if self.context.failure else " … connecting", "busy"),), (), (), ()]
        return [
            ((" no stack of the fleet is on demand", "dim"),),
            ((" one is, when its stack.yaml says on_demand: true (docs/ondemand.md)", "dim"),),
            (),
            (),
        ]

    def _look(self) -> OnDemandSnapshot | None:
        stack, studio = self.stack, self._shell.studio_watch.studio
        if stack is None or studio is None:
            return None
        operation = self.context.operations.of(stack.id)
        acting = ("stop" if operation.kind == "stop" else "start") if operation and operation.running else ""
        return studio.snapshot(stack, self.context.studio.looks.get(stack.host), acting)

    def draw_detail(self, *, top: bool) -> None:
        found = self._found
        if not self._detail.display or found is None:
            return
        key = self.table.cursor_key
        row = row_section(key, found) if key is not None else None
        room = (_DETAIL if self.has_class("-wide") else self.size.width) - 2
        sections: list[Section] = [*([row] if row else []), *stack_sections(found, room)]
        self._detail.show(description_lines(Description("", tuple(sections))), top=top)

    @property
    def _shell(self) -> Shell:
        return cast("Shell", self.app)

    @property
    def stack(self) -> OnDemandStack | None:
        """The stack that is shown."""
        return self._shell.studio_watch.stack

    def crumbs(self) -> tuple[str, ...]:
        stack = self.stack
        return ("studio", stack.id) if stack is not None else ("studio",)

    def situation(self) -> Situation:
        stack = self.stack
        operation = self.context.operations.of(stack.id) if stack is not None else None
        return replace(super().situation(), watchable=operation is not None and operation.running)

    def hint(self) -> str:
        studio = self._shell.studio_watch.studio
        many = studio is not None and len(studio.stacks) > 1
        return "tab: the next stack" if many else ""

    # -- what a command means here -------------------------------------------------------------------------------

    def target_stack(self) -> str | None:
        return self.stack.id if self.stack is not None else None

    def target_services(self) -> list[str]:
        key = self.table.cursor_key
        return [key] if key is not None and key.count("/") == 2 else []

    def copy_text(self) -> str:
        """The way in; where the details are read, those."""
        if self._detail.display and self._detail.has_focus:
            return self._detail.text
        return (self.stack.url or "") if self.stack is not None else ""

    def view(self, command: str, argument: str) -> bool:
        match command:
            case "describe" if not argument:
                self.describe()
            case "studio.next":
                self._next()
            case _:
                return False
        self.redraw()
        return True

    def _next(self) -> None:
        studio, stack = self._shell.studio_watch.studio, self.stack
        if studio is None or stack is None:
            return
        ids = [it.id for it in studio.stacks]
        self.context.studio.chosen = ids[(ids.index(stack.id) + 1) % len(ids)]
        self.table.action_edge(0)
