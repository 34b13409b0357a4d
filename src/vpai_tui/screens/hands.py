"""Hands on: a shell and an editor that the terminal is given to, and ports of services on this laptop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vpai_tui.errors import UsageError
from vpai_tui.screens.away import away
from vpai_tui.screens.forwards import ForwardsScreen
from vpai_tui.screens.shell import Shell, Work
from vpai_tui.widgets.backend import Backend
from vpai_tui.widgets.dialogs import Choice, Confirm, named, wrap
from vpai_tui.widgets.paint import Line

if TYPE_CHECKING:
    from vpai_tui.fleet.forward import Forward
    from vpai_tui.fleet.operation import Plan

_ROWS = 9  # of a dialog at 80x24


class HandsFlows:
    """`work` runs something slow and shows its error, `show_plan` a plan."""

    def __init__(self, shell: Shell, work: Work, show_plan: Callable[[Plan], None]) -> None:
        self._app = shell
        self._context = shell.context
        self._work = work
        self._show_plan = show_plan

    def shell(self, place: str) -> None:
        """A shell in a service or on a host; the cockpit goes on behind it and comes back after it."""
        backend = self._context.backend
        if backend is not None and not self._context.read_only:
            self._work(f"a shell in {place}", lambda: self._shell(backend, place))

    async def _shell(self, backend: Backend, place: str) -> None:
        status = await away(self._app, lambda: backend.shell(place), f"vpai-tui shell {place}")
        if status:
            self._app.toast(f"the shell in {place} ended with status {status}", severity="warning")

    # -- a stack's files -----------------------------------------------------------------------------------------

    def edit(self, stack: str, file: str) -> None:
        """A file of a stack in the laptop's editor; then the stacks are read again and what would change is shown."""
        backend = self._context.backend
        if backend is not None and not self._context.read_only:
            self._work(f"editing {stack}", lambda: self._edit(backend, stack, file))

    async def _edit(self, backend: Backend, stack: str, file: str) -> None:
        changed: tuple[str, ...] = ()

        async def run() -> int:
            nonlocal changed
            changed = await backend.edit_stack(stack, file)
            return 0

        await away(self._app, run, f"vpai-tui edit {stack}")
        await self._reread(backend, stack, file, changed)

    async def _reread(self, backend: Backend, stack: str, file: str, changed: tuple[str, ...]) -> None:
        try:
            await backend.reread()
        except UsageError as error:
            self._wrong(error, stack, file)
            return
        if not changed:
            self._app.toast(f"{stack}: nothing was changed")
            return
        plan = await backend.plan(stack)
        if plan.empty:
            self._app.toast(f"{stack}: {', '.join(changed)} changed, and a deploy would change nothing")
        else:
            self._show_plan(plan)

    def _wrong(self, error: UsageError, stack: str, file: str) -> None:
        """What does not hold, and the way back into the editor; until then all is as it was read before."""
        rows: list[Line] = [((piece, "error"),) for line in error.message.splitlines() for piece in wrap(line, 60)]
        rows = [*rows[:_ROWS], ((f"… {len(rows) - _ROWS} more lines", "dim"),)] if len(rows) > _ROWS else rows
        rows += [(), (("The cockpit goes on with the stacks as they were read before.", "dim"),)]
        dialog = Confirm(f"{stack} does not hold any more", rows, [Choice("again", "Edit again")])

        def answered(answer: str | None) -> None:
            if answer == "again":
                self.edit(stack, file)

        self._app.push_screen(dialog, answered)

    # -- forwards ------------------------------------------------------------------------------------------------

    def forward(self, service: str, port: int | None) -> None:
        """A service's port on this laptop; then all of them are shown."""
        backend = self._context.backend
        if backend is not None and not self._context.read_only:
            self._work(f"forwarding {service}", lambda: self._forward(backend, service, port))

    async def _forward(self, backend: Backend, service: str, port: int | None) -> None:
        made = await backend.forwards.open(service, port)
        self._app.toast(f"127.0.0.1:{made.local_port} leads to {made.service} port {made.port}")
        self.forwards()

    def forwards(self) -> None:
        """The running ones."""
        if not isinstance(self._app.cockpit, ForwardsScreen):
            self._app.push_screen(ForwardsScreen(self._context))

    def shut(self) -> None:
        """End the one under the cursor, after a dialog that says what it carries."""
        screen, backend = self._app.cockpit, self._context.backend
        forward = screen.chosen() if isinstance(screen, ForwardsScreen) else None
        if backend is None or forward is None:
            self._app.toast("close forward: none here", severity="warning")
            return
        body = [
            named("port", f"127.0.0.1:{forward.local_port}"),
            named("leads to", f"{forward.service} port {forward.port}"),
            named("open", f"{forward.open} connections, cut off"),
        ]
        dialog = Confirm(f"Close 127.0.0.1:{forward.local_port}?", body, [Choice("shut", "Close it", "warning")])

        def answered(answer: str | None) -> None:
            if answer == "shut":
                self._work("closing a forward", lambda: self._shut(backend, forward))

        self._app.push_screen(dialog, answered)

    async def _shut(self, backend: Backend, forward: Forward) -> None:
        await backend.forwards.shut(forward)
        self._app.redraw()
