"""The Textual app: modes, theme, palette; owns the running operations and the backend."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Input
from textual.worker import Worker, WorkerState

from vpai_tui.clock import Clock, SystemClock
from vpai_tui.commands import OPENERS, check_keymap
from vpai_tui.config import Fleet
from vpai_tui.errors import OperatorError
from vpai_tui.screens.fleet import FleetScreen
from vpai_tui.screens.messages import ApplyWanted, Failed, SettleWanted, TargetWanted
from vpai_tui.screens.shell import Shell
from vpai_tui.widgets.backend import BackendFactory
from vpai_tui.widgets.context import Context, first_snapshot
from vpai_tui.widgets.operations import Operation, Operations
from vpai_tui.widgets.themes import THEME_NAMES, THEMES

if TYPE_CHECKING:
    from vpai_tui.screens.dispatch import Dispatcher

_REDRAW_S = 0.1  # progress is drawn at most this often


class CockpitApp(Shell):
    """The cockpit. `factory` is called after the first frame and may import what is slow."""

    TITLE = "vpai-tui"
    # The first screen's styles are read with the app's: a screen's own file has everything parsed a second time.
    CSS_PATH: ClassVar[list[str | PurePath]] = ["app.tcss", "screens/fleet.tcss"]
    DEFAULT_MODE = "fleet"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[Any]] = []

    def __init__(
        self,
        fleet: Fleet,
        factory: BackendFactory,
        *,
        clock: Clock | None = None,
        read_only: bool = False,
        theme: str = "",
        keymap: Mapping[str, str] | None = None,
    ) -> None:
        clock = clock or SystemClock()
        operations = Operations(clock)
        super().__init__(Context(fleet, clock, read_only, operations, first_snapshot(fleet, clock.boot_s())))
        self._factory = factory
        self._dispatcher: Dispatcher | None = None
        self._soon_timer: Timer | None = None
        self.context.keymap = dict(keymap or {})
        check_keymap(self.context.keymap, "keymap")
        self.add_mode("fleet", lambda: FleetScreen(self.context))
        self.add_mode("deploy", self._deploy_screen)
        self.add_mode("budget", self._budget_screen)
        self.add_mode("logs", self._logs_screen)
        self.add_mode("vpn", self._vpn_screen)
        self.add_mode("studio", self._studio_screen)
        for item in THEMES:
            self.register_theme(item)
        wanted = theme if theme in THEME_NAMES else "mono" if os.environ.get("NO_COLOR") else "dark"
        self.set_reactive(CockpitApp.theme, wanted)  # unwatched yet: the styles are read once, and with it
        self.stylesheet.set_variables(self.get_css_variables())
        operations.listen(self._operation_moved)

    @property
    def crash(self) -> Exception | None:
        """What nobody foresaw and ended the app."""
        return self._exception

    def _deploy_screen(self) -> Screen[Any]:
        from vpai_tui.screens.deploy import DeployScreen  # not needed for the first frame

        return DeployScreen(self.context)

    def _budget_screen(self) -> Screen[Any]:
        from vpai_tui.screens.budget import BudgetScreen

        return BudgetScreen(self.context)

    def _logs_screen(self) -> Screen[Any]:
        from vpai_tui.screens.logs import LogsScreen

        return LogsScreen(self.context)

    def _vpn_screen(self) -> Screen[Any]:
        from vpai_tui.screens.vpn import VpnScreen

        return VpnScreen(self.context)

    def _studio_screen(self) -> Screen[Any]:
        from vpai_tui.screens.studio import StudioScreen

        return StudioScreen(self.context)

    def _fatal_error(self) -> None:
        """Textual would print a traceback with the values of all variables, secrets among them. The error itself goes
        on to whoever opened the cockpit, after the terminal is the operator's again: there it is one line."""
        self.bell()
        self._close_messages_no_wait()

    # -- life ----------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        if self.context.keymap:
            self.set_keymap(dict(self.context.keymap))
        self._soon_timer = self.set_interval(_REDRAW_S, self.redraw, pause=True)
        self.call_after_refresh(self._bring_up)

    def _bring_up(self) -> None:
        self.run_worker(self._live(), group="fleet", exit_on_error=False, description="the fleet")

    async def _live(self) -> None:
        """Build the backend, start it, and take every snapshot it gives until the app ends."""
        try:
            backend = await self._factory(self)
            self.context.backend = backend
            backend.command_log.subscribe(lambda _record: self._soon())
            await backend.start()
            async for snapshot in backend.watch():
                self.context.take(snapshot)
                self.vpn_watch.for_alerts()
                self.budget_watch.for_alerts()
                self.update_watch.due()
                self.upkeep_watch.due()
                self.redraw()
        except OperatorError as error:
            self.context.failure = str(error)
            self.redraw()
            self.dispatcher.flows.problem(error, "Connecting the fleet")

    async def on_unmount(self) -> None:
        await self.context.operations.stop()
        if self.context.backend is not None and self.context.heard:
            await asyncio.to_thread(self.context.backend.keep_look)
        if self.context.backend is not None:
            await self.context.backend.stop()

    # -- drawing -------------------------------------------------------------------------------------------------

    def _soon(self) -> None:
        """Called from tasks that are not Textual's too (a connection's), where no timer could be made."""
        self._redraw_due = True
        if self._soon_timer is not None:
            self._soon_timer.resume()

    def redraw(self) -> None:
        """Draw the screen that is seen."""
        if self._soon_timer is not None:
            self._soon_timer.pause()
        super().redraw()

    def _operation_moved(self, operation: Operation) -> None:
        self._soon()
        if operation.running or operation.outcome is None:
            return
        if not self.cockpit.watches(operation):
            good = operation.outcome.value in ("committed", "unchanged")
            self.toast(f"{operation.title}: {operation.outcome.value}", severity="information" if good else "error")
        if not self.app_focus:
            self.bell()

    # -- questions of the connection -----------------------------------------------------------------------------

    async def accept_host_key(self, host: str, address: str, fingerprint: str, key_type: str) -> bool:
        """Ask whether a key never seen before is the host's."""
        from vpai_tui.widgets.dialogs import Choice, Confirm, named

        body = [
            named("host", host, f"at {address}"),
            named("key", key_type),
            named("fingerprint", fingerprint),
            (("Compare it with the host's own console before you trust it.", "dim"),),
        ]
        dialog = Confirm(f"Unknown host key of {host}", body, [Choice("trust", f"Trust it for {host}", "warning")])
        return await self._answer(dialog) == "trust"

    async def passphrase(self, key_path: str) -> str | None:
        """Ask for the passphrase of an encrypted key."""
        from vpai_tui.widgets.dialogs import AskPassphrase

        answer = await self._answer(AskPassphrase(key_path))
        return answer if isinstance(answer, str) else None

    async def _answer(self, dialog: Screen[Any]) -> object:
        """Show a dialog and wait for its answer, from any task."""
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()

        def done(value: object) -> None:
            if not answer.done():
                answer.set_result(value)

        self.call_later(self.push_screen, dialog, done)
        return await answer

    # -- commands ------------------------------------------------------------------------------------------------

    @property
    def dispatcher(self) -> Dispatcher:
        """What runs commands, imported when first wanted: the first frame does without it."""
        if self._dispatcher is None:
            from vpai_tui.screens.dispatch import Dispatcher

            self._dispatcher = Dispatcher(self)
        return self._dispatcher

    async def action_quit(self) -> None:
        """ctrl+q, from anywhere."""
        self.dispatcher.run_command("quit")

    async def action_command(self, name: str) -> None:
        """A key was pressed. What it opens is there before the next key is looked at."""
        self.context.upkeep.touched = True
        opened = self.dispatcher.run_command(name)
        if opened is not None:
            await opened
            from vpai_tui.widgets.palette import Palette

            if isinstance(self.screen, Palette):
                self.screen.take_focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that open something are letters like others where something is being typed."""
        if action == "command" and parameters and parameters[0] in OPENERS:
            return not isinstance(self.focused, Input)
        return super().check_action(action, parameters)

    @on(TargetWanted)
    def _target_wanted(self, event: TargetWanted) -> None:
        self.dispatcher.target(event.target)

    @on(ApplyWanted)
    def _apply_wanted(self, event: ApplyWanted) -> None:
        self.dispatcher.flows.apply(event.plan)

    @on(SettleWanted)
    def _settle_wanted(self, event: SettleWanted) -> None:
        self.dispatcher.flows.settle(event.stack)

    @on(Failed)
    def _failed(self, event: Failed) -> None:
        self.dispatcher.flows.problem(event.error, event.doing)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """An error nobody expected still reaches the operator, as one."""
        if event.state is WorkerState.ERROR:
            self.post_message(Failed.unexpected(event.worker))
