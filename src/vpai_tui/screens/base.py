"""The frame every screen stands in: title, hosts, its own body, command log, footer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.worker import Worker, WorkerState

from vpai_tui.commands import Situation
from vpai_tui.screens.messages import Failed
from vpai_tui.widgets.canvas import PAINT_CLASSES, SafeStatic
from vpai_tui.widgets.command_log import CommandLogPane
from vpai_tui.widgets.context import Context
from vpai_tui.widgets.filter_row import FilterRow
from vpai_tui.widgets.frame import FooterBar, TitleBar
from vpai_tui.widgets.host_strip import HostStrip
from vpai_tui.widgets.operations import Operation
from vpai_tui.widgets.you import you_cell

if TYPE_CHECKING:
    from vpai_tui.logs.happenings import Happening

_TICK_S = 1.0
_TOO_SMALL = (((" vpai-tui needs 60×16; 80×24 is comfortable.", ""),), ((" ctrl+q quits.", "dim"),))


class CockpitScreen(Screen[None]):
    """A screen of the cockpit. Subclasses give `body`, `draw` and, where they have rows, what those stand for."""

    COMPONENT_CLASSES: ClassVar[set[str]] = PAINT_CLASSES
    KIND: ClassVar[str] = "fleet"
    AUTO_FOCUS = "#main-table"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (110, "-wide")]
        self.VERTICAL_BREAKPOINTS = [(0, "-flat"), (16, "-short"), (32, "-tall")]
        self.context = context
        self._ticker: Timer | None = None
        self._ready = False  # its widgets exist

    # -- frame ---------------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        yield TitleBar(id="title")
        yield HostStrip(id="hosts")
        with Vertical(id="body"):
            yield from self.body()
        log = CommandLogPane(id="command-log")
        log.display = False
        yield log
        yield FooterBar(id="footer")
        yield SafeStatic(_TOO_SMALL, id="too-small")

    def body(self) -> Iterable[Widget]:
        """The widgets between the host strip and the footer."""
        return ()

    def on_mount(self) -> None:
        self._ready = True
        self._ticker = self.set_interval(_TICK_S, self.redraw)

    def on_unmount(self) -> None:
        self._ready = False

    def on_screen_resume(self) -> None:
        """Timers run only on the screen that is seen."""
        if self._ticker is not None:
            self._ticker.resume()
        self.call_after_refresh(self.redraw)

    def on_screen_suspend(self) -> None:
        if self._ticker is not None:
            self._ticker.pause()

    def on_resize(self) -> None:
        self.call_after_refresh(self.redraw)

    def redraw(self) -> None:
        """Draw what the context holds now; only what differs is painted."""
        if not self._ready or not self.is_attached:
            return
        now = self.context.clock.boot_s()
        self.query_one(TitleBar).draw(self.crumbs(), self.context)
        laptop = self.context.upkeep.laptop
        you = you_cell(laptop, self.context.clock.now()) if laptop else ()
        self.query_one(HostStrip).show_fleet(self.context.snapshot, self.context.scope, now, you)
        self.draw()
        self.query_one(FooterBar).draw(self.situation(), self.hint())
        log = self.query_one(CommandLogPane)
        if log.display and self.context.backend is not None:
            log.draw(self.context.backend.command_log.records())

    def draw(self) -> None:
        """Draw the body."""

    # -- what the app asks ---------------------------------------------------------------------------------------

    def crumbs(self) -> tuple[str, ...]:
        return (self.KIND, self.context.scope or "all hosts")

    def hint(self) -> str:
        """A few words at the right of the footer."""
        return ""

    def situation(self) -> Situation:
        """What decides which commands may run here now."""
        backend = self.context.backend
        return Situation(
            self.KIND,
            connected=backend is not None,
            read_only=self.context.read_only,
            demo=backend is not None and backend.demo is not None,
            keymap=self.context.keymap,
        )

    def target_services(self) -> list[str]:
        """Ids of the services a command without an argument means."""
        return []

    def target_stack(self) -> str | None:
        """The stack a command without an argument means."""
        return None

    def target_moment(self) -> Happening | None:
        """The moment whose log is wanted where something failed: its `subject` is the service or stack."""
        return None

    def watches(self, operation: Operation) -> bool:
        """Whether the screen shows this operation already."""
        return False

    def copy_text(self) -> str:
        """What `c` copies."""
        return ""

    def view(self, command: str, argument: str) -> bool:
        """Do a command that only concerns this screen; says whether it was one."""
        return False

    def go_back(self) -> bool:
        """Undo one thing esc undoes; says whether there was one."""
        return self.close_log()

    def toggle_log(self) -> None:
        log = self.query_one(CommandLogPane)
        if self.close_log():
            return
        log.display = True
        self.redraw()
        log.focus()

    def close_log(self) -> bool:
        """Close the command log; says whether it was open."""
        log = self.query_one(CommandLogPane)
        if not log.display:
            return False
        log.display = False
        self.focus_main()
        return True

    def focus_main(self) -> None:
        for widget in self.query("#main-table"):
            widget.focus()

    @on(FilterRow.Left)
    def _filter_left(self) -> None:
        self.focus_main()
        self.redraw()

    @on(FooterBar.KeyClicked)
    async def _key_clicked(self, event: FooterBar.KeyClicked) -> None:
        await self.run_action(f"app.command('{event.command.id}')")

    @on(TitleBar.OperationClicked)
    async def _chip_clicked(self) -> None:
        await self.run_action("app.command('watch')")

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """An error nobody expected still reaches the operator, as one."""
        if event.state is WorkerState.ERROR:
            self.post_message(Failed.unexpected(event.worker))
