"""Start, stop and idle stop of a stack on demand: planned, shown, confirmed, followed to the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.operation import Outcome
from vpai_tui.screens.shell import Shell
from vpai_tui.screens.studio_run import START, STOP
from vpai_tui.widgets.dialogs import Choice, Confirm
from vpai_tui.widgets.form import Field, Form, refilled
from vpai_tui.widgets.ondemand_dialogs import idle_lines, start_lines, stop_lines
from vpai_tui.widgets.operations import Operation

if TYPE_CHECKING:
    from vpai_tui.ondemand.model import OnDemandStack, Start, Stop
    from vpai_tui.ondemand.session import Studio

Work = Callable[[str, Callable[[], Awaitable[None]]], None]
_IDLE = [Field("minutes", "minutes", "", "30, or off")]


class StudioFlows:
    """Flows of the studio. `work` runs what is slow, `show` follows an operation."""

    def __init__(self, shell: Shell, work: Work, show: Callable[[Operation], None]) -> None:
        self._app = shell
        self._context = shell.context
        self._work = work
        self._show = show
        self._followed: dict[int, OnDemandStack] = {}  # by the operation's number
        shell.context.operations.listen(self._moved)

    def _studio(self) -> Studio:
        studio = self._app.studio_watch.studio
        if studio is None:
            raise UsageError("the fleet is still being connected")
        return studio

    def _stack(self, name: str) -> OnDemandStack | None:
        """The stack of that name, or the one that is shown; says why there is none."""
        try:
            stack = self._studio().find(name) if name else self._app.studio_watch.stack
        except UsageError as error:
            self._app.toast(f"{error}", severity="warning")
            return None
        if stack is None:
            self._app.toast("no stack of the fleet is on demand", severity="warning")
        return stack

    def _in_the_way(self, stack: OnDemandStack) -> bool:
        running = self._context.operations.on_host(stack.host)
        if running is not None:
            self._app.toast(f"{running.title} is still running on {stack.host}", severity="warning")
        return running is not None

    # -- start ---------------------------------------------------------------------------------------------------

    def start(self, name: str = "") -> None:
        """Plan a start and ask; what keeps it from being one is shown in full."""
        stack = self._stack(name)
        if stack is None or self._in_the_way(stack):
            return

        async def plan() -> None:
            planned = await self._studio().plan_start(stack)
            if planned.empty:
                self._app.toast(f"{stack.id}: all of it runs already")
            else:
                self._ask_start(planned)

        self._work(f"planning a start of {stack.id}", plan)

    def _ask_start(self, planned: Start) -> None:
        stack = planned.stack
        choice = Choice("start", f"Start {stack.title}", "error" if planned.word else "warning")

        def answered(answer: str | None) -> None:
            if answer == "start" and not self._in_the_way(stack):
                events = self._studio().start(planned, typed=planned.word or "")
                self._follow(self._context.operations.start(START, stack.id, events, planned.plan), stack)

        self._app.push_screen(
            Confirm(f"Start {stack.title}?", start_lines(planned), [choice], word=planned.word), answered
        )

    # -- stop ----------------------------------------------------------------------------------------------------

    def stop(self, name: str = "") -> None:
        """Plan a stop and ask; while something renders the stack's name is typed."""
        stack = self._stack(name)
        if stack is None or self._in_the_way(stack):
            return

        async def plan() -> None:
            planned = await self._studio().plan_stop(stack)
            if planned.empty:
                self._app.toast(f"{stack.id}: nothing of it is there")
            else:
                self._ask_stop(planned)

        self._work(f"planning a stop of {stack.id}", plan)

    def _ask_stop(self, planned: Stop) -> None:
        stack = planned.stack
        choice = Choice("stop", f"Stop {stack.title}", "error")

        def answered(answer: str | None) -> None:
            if answer == "stop" and not self._in_the_way(stack):
                events = self._studio().stop(planned, typed=planned.word or "")
                self._follow(self._context.operations.start(STOP, stack.id, events), stack)

        self._app.push_screen(
            Confirm(f"Stop {stack.title}?", stop_lines(planned), [choice], word=planned.word), answered
        )

    def _follow(self, operation: Operation, stack: OnDemandStack) -> None:
        self._followed[operation.number] = stack
        self._context.studio.chosen = stack.id
        self._show(operation)

    def _moved(self, operation: Operation) -> None:
        """The end of one: the host is looked at again, and the way in goes to the clipboard."""
        if operation.running or (stack := self._followed.pop(operation.number, None)) is None:
            return
        good = operation.outcome in (Outcome.COMMITTED, Outcome.UNCHANGED)
        if operation.kind == START and good and stack.url:
            self._app.copy_to_clipboard(stack.url)
        self._app.studio_watch.again()

    # -- the idle stop -------------------------------------------------------------------------------------------

    def idle(self, argument: str = "") -> None:
        """`I`, or `ondemand idle 30`: without minutes they are asked for."""
        stack = self._stack("")
        if stack is None:
            return
        if argument:
            self._set_idle(stack, argument, None)
        else:
            self._ask_idle(stack, _IDLE, None)

    def _ask_idle(self, stack: OnDemandStack, fields: list[Field], problem: OperatorError | None) -> None:
        found = self._studio().snapshot(stack, self._context.studio.looks.get(stack.host))
        form = Form(f"Idle stop of {stack.title}", idle_lines(found), fields, "Set it", problem)

        def answered(values: dict[str, str] | None) -> None:
            if values is not None:
                self._set_idle(stack, values["minutes"], values)

        self._app.push_screen(form, answered)

    def _set_idle(self, stack: OnDemandStack, text: str, values: dict[str, str] | None) -> None:
        from vpai_tui.ondemand.idle import minutes_of

        try:
            minutes = minutes_of(text)
        except UsageError as error:
            self._ask_idle(stack, refilled(_IDLE, values or {"minutes": text}), error)
            return

        async def run() -> None:
            problem = await self._studio().set_idle(stack, minutes)
            done = "no idle stop any more" if minutes is None else f"stops after {minutes} min without network bytes"
            self._app.toast(f"{stack.id}: {done}")
            if problem:
                self._app.toast(problem, severity="warning")
            self._app.studio_watch.again()

        self._work(f"idle stop of {stack.id}", run)
