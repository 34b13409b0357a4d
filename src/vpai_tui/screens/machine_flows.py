"""A unit restarted, a ban lifted: planned from what is shown, asked, seen to have taken effect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.operation import Finished, Outcome
from vpai_tui.screens.machine import MachineScreen
from vpai_tui.screens.shell import Shell
from vpai_tui.widgets.dialogs import Choice, Confirm
from vpai_tui.widgets.machine_rows import restart_lines, unban_lines

if TYPE_CHECKING:
    from vpai_tui.upkeep.machine import Machine, Machines, Restart, Unban

Work = Callable[[str, Callable[[], Awaitable[None]]], None]


class MachineFlows:
    """Flows of one host beside Docker. `work` runs what is slow and shows its error."""

    def __init__(self, shell: Shell, work: Work) -> None:
        self._app = shell
        self._context = shell.context
        self._work = work

    @property
    def _machines(self) -> Machines:
        if self._context.backend is None:
            raise UsageError("the fleet is still being connected")
        return self._context.backend.machines

    def open(self, host: str) -> None:
        """The screen of one host."""
        cockpit = self._app.cockpit
        if isinstance(cockpit, MachineScreen):
            if cockpit.host == host:
                return
            self._app.pop_screen()
        self._app.push_screen(MachineScreen(self._context, host))

    def _seen(self, kind: str, argument: str) -> tuple[Machine, str] | None:
        """What is shown, and the row that is meant; says so where there is none."""
        screen = self._app.cockpit
        if not isinstance(screen, MachineScreen) or screen.machine is None:
            self._app.toast("look at a host first: guard HOST", severity="warning")
            return None
        found, name = screen.chosen
        if not argument and found != kind:
            self._app.toast(f"this row is no {kind}", severity="warning")
            return None
        return screen.machine, argument or name

    def restart(self, argument: str = "") -> None:
        """Ask, then restart the unit under the cursor."""
        if (seen := self._seen("unit", argument)) is None:
            return

        async def plan() -> None:
            self._ask_restart(self._machines.plan_restart(*seen))

        self._work(f"planning a restart of {seen[1]}", plan)

    def _ask_restart(self, plan: Restart) -> None:
        async def run() -> None:
            async for event in self._machines.restart(plan, typed=plan.word or ""):
                if isinstance(event, Finished):
                    self._again()
                    if event.outcome is not Outcome.COMMITTED:
                        raise OperatorError(event.reason, host=plan.host, step="units")
                    self._app.toast(event.reason)

        def answered(answer: str | None) -> None:
            if answer == "restart":
                self._work(f"restarting {plan.unit}", run)

        choice = Choice("restart", f"Restart {plan.unit}", "error" if plan.word else "warning")
        title = f"Restart {plan.unit} on {plan.host}?"
        self._app.push_screen(Confirm(title, restart_lines(plan), [choice], word=plan.word), answered)

    def unban(self, argument: str = "") -> None:
        """Ask, then let the address under the cursor in again."""
        if (seen := self._seen("ban", argument)) is None:
            return

        async def plan() -> None:
            self._ask_unban(self._machines.plan_unban(*seen))

        self._work(f"planning to let {seen[1]} in", plan)

    def _ask_unban(self, plan: Unban) -> None:
        async def run() -> None:
            try:
                await self._machines.unban(plan)
            finally:
                self._again()
            self._app.toast(f"{plan.address} may come again")

        def answered(answer: str | None) -> None:
            if answer == "unban":
                self._work(f"letting {plan.address} in", run)

        choice = Choice("unban", f"Let {plan.address} in", "warning")
        self._app.push_screen(Confirm(f"Let {plan.address} in again?", unban_lines(plan), [choice]), answered)

    def _again(self) -> None:
        if isinstance(screen := self._app.cockpit, MachineScreen):
            screen.again()
