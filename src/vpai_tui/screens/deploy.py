"""Mode 2: stacks by host, their releases, and the ways forward and back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from textual import on
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.widget import Widget

from vpai_tui.commands import Situation, bindings_of
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.model import StackStatus
from vpai_tui.fleet.operation import Release
from vpai_tui.screens.base import CockpitScreen
from vpai_tui.screens.messages import SettleWanted
from vpai_tui.widgets.canvas import LineView, SafeStatic
from vpai_tui.widgets.context import Context
from vpai_tui.widgets.dialogs import error_lines
from vpai_tui.widgets.filter_row import FilterRow
from vpai_tui.widgets.safe_table import SafeTable
from vpai_tui.widgets.stack_rows import (
    STACK_SORTS,
    hold_lines,
    pick_stacks,
    release_columns,
    release_head,
    release_rows,
    settle_lines,
    stack_columns,
    stack_rows,
)

_SETTLE_S = 0.15


class DeployScreen(CockpitScreen):
    """Stacks above, the releases of the one under the cursor below."""

    KIND = "deploy"
    CSS_PATH = "deploy.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("deploy")]

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.order = STACK_SORTS[0]
        self.releases: dict[str, tuple[Release, ...]] = {}
        self._asked: tuple[object, ...] | None = None

    def body(self) -> Iterable[Widget]:
        stacks = SafeTable(stack_columns(()), id="main-table")
        releases = SafeTable(release_columns(()), id="releases")
        trouble = LineView(id="trouble")
        trouble.display = False
        yield Container(
            Vertical(stacks, FilterRow(id="filter"), id="list"),
            Vertical(SafeStatic(id="settle"), SafeStatic(id="release-head"), releases, trouble, id="history"),
            id="panes",
        )

    # -- drawing -------------------------------------------------------------------------------------------------

    def draw(self) -> None:
        context = self.context
        needle = self.query_one(FilterRow).text
        stacks = pick_stacks(context.snapshot, context.scope, needle, self.order)
        rows = stack_rows(context.snapshot, stacks, context.operations, context.clock.boot_s())
        table = self.query_one("#main-table", SafeTable)
        table.set_columns(stack_columns(rows))
        table.empty_line = ((" no stack here" if context.heard else " connecting …", "dim"),)
        table.sorted_by = self.order
        table.show(rows)
        self.query_one("#list").styles.max_height = max(4, len(rows) + 3)
        self._draw_history()

    def _draw_history(self) -> None:
        stack = self._stack()
        known = self.releases.get(stack.id, ()) if stack else ()
        held = hold_lines(self.context.snapshot.host(stack.host)) if stack else []
        self.query_one("#settle", SafeStatic).show([*held, *(settle_lines(stack) if stack else [])])
        self.query_one("#release-head", SafeStatic).show(
            [release_head(stack, len(known), newer=any(item.data_newer for item in known))]
        )
        table = self.query_one("#releases", SafeTable)
        rows = release_rows(known)
        table.set_columns(release_columns(rows))
        table.show(rows)
        if stack is not None:
            self._ask(stack, after_s=_SETTLE_S if self._asked else 0.0)

    def _stack(self) -> StackStatus | None:
        key = self.query_one("#main-table", SafeTable).cursor_key
        return next((stack for stack in self.context.snapshot.stacks if stack.id == key), None)

    # -- releases ------------------------------------------------------------------------------------------------

    def _ask(self, stack: StackStatus, *, after_s: float) -> None:
        """Fetch a stack's releases when it is another one, when something ended on it, or on ctrl+r."""
        ended = sum(1 for item in self.context.operations.all if item.stack == stack.id and not item.running)
        want = (stack.id, stack.current, stack.pending, ended, self.context.refreshes)
        if want == self._asked or self.context.backend is None:
            return
        self._asked = want
        self.run_worker(
            self._fetch(stack.id, after_s),
            group="releases",
            exclusive=True,
            exit_on_error=False,
            description="releases of a stack",
        )

    async def _fetch(self, stack: str, after_s: float) -> None:
        from asyncio import sleep

        if after_s:
            await sleep(after_s)
        backend = self.context.backend
        if backend is None:
            return
        table = self.query_one("#releases", SafeTable)
        trouble = self.query_one("#trouble", LineView)
        try:
            self.releases[stack] = tuple(await backend.releases(stack))
        except OperatorError as error:
            trouble.show([((" ", ""), *row) for row in error_lines(error)], top=True)
            table.display, trouble.display = False, True
            return
        table.display, trouble.display = True, False
        table.empty_line = ((" never deployed from here: the first deploy records what runs as r0", "dim"),)
        self._draw_history()

    # -- what a command means here -------------------------------------------------------------------------------

    def crumbs(self) -> tuple[str, ...]:
        return ("deploy", self.context.scope or "all hosts")

    def situation(self) -> Situation:
        stack = self._stack()
        operation = self.context.operations.of(stack.id) if stack else None
        return replace(super().situation(), watchable=bool(stack and (stack.busy or operation is not None)))

    def target_stack(self) -> str | None:
        return self.query_one("#main-table", SafeTable).cursor_key

    def target_release(self) -> str | None:
        """The release under the cursor when the operator stands in the list of releases."""
        table = self.query_one("#releases", SafeTable)
        return table.cursor_key if table.has_focus else None

    def copy_text(self) -> str:
        return self.target_release() or self.target_stack() or ""

    def hint(self) -> str:
        return f"by {self.order}" if self.order != STACK_SORTS[0] else ""

    def reveal(self, stack_id: str) -> None:
        """Put the cursor on a stack."""
        self.query_one("#main-table", SafeTable).select(stack_id)
        self.focus_main()

    def view(self, command: str, argument: str) -> bool:
        match command:
            case "describe":
                self._describe()
            case "sort":
                self.order = STACK_SORTS[(STACK_SORTS.index(self.order) + 1) % len(STACK_SORTS)]
            case "filter":
                self.query_one(FilterRow).open(argument or None)
            case _:
                return False
        self.redraw()
        return True

    def _describe(self) -> None:
        stack = self._stack()
        if stack is not None and stack.interrupted and not self.context.read_only:
            self.post_message(SettleWanted(stack.id))
        else:
            self.query_one("#releases").focus()

    def go_back(self) -> bool:
        if super().go_back():
            return True
        if self.query_one(FilterRow).clear() or not self.query_one("#main-table").has_focus:
            self.focus_main()
            self.redraw()
            return True
        return False

    # -- messages ------------------------------------------------------------------------------------------------

    @on(SafeTable.Moved, "#main-table")
    def _moved(self) -> None:
        self.redraw()

    @on(SafeTable.Chosen, "#main-table")
    def _chosen(self) -> None:
        self._describe()

    @on(SafeTable.HeaderClicked, "#main-table")
    def _header_clicked(self, event: SafeTable.HeaderClicked) -> None:
        self.order = event.column if event.column in STACK_SORTS else STACK_SORTS[0]
        self.redraw()

    @on(FilterRow.Changed)
    def _filtered(self) -> None:
        self.redraw()
