"""The two knobs, cap and eco mode, and the way back: asked, planned, shown, confirmed, followed to the proof."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from vpai_tui.budget.model import BudgetSnapshot
from vpai_tui.errors import OperatorError, PreflightRefused, UsageError
from vpai_tui.screens.budget_run import BUDGET
from vpai_tui.screens.shell import Shell
from vpai_tui.widgets.budget_dialogs import MODES, ChangeDialog, ModeDialog, mode_word, state_lines
from vpai_tui.widgets.dialogs import Choice, Confirm, named, wrap
from vpai_tui.widgets.form import Field, Form, refilled
from vpai_tui.widgets.operations import Operation
from vpai_tui.widgets.paint import Line

if TYPE_CHECKING:
    from vpai_tui.budget.change import Change
    from vpai_tui.budget.prove import Question
    from vpai_tui.budget.session import Budget

Work = Callable[[str, Callable[[], Awaitable[None]]], None]
_CAP = [Field("cap", "new cap", "", "dollars a day, such as 3 or 4.50")]


class BudgetFlows:
    """Flows of the budget. `work` runs what is slow, `show` follows an operation."""

    def __init__(self, shell: Shell, work: Work, show: Callable[[Operation], None]) -> None:
        self._app = shell
        self._context = shell.context
        self._work = work
        self._show = show
        self._followed: Operation | None = None
        shell.context.operations.listen(self._moved)

    @property
    def _budget(self) -> Budget:
        """UsageError when the cockpit has no backend yet."""
        if self._context.backend is None:
            raise UsageError("the fleet is still being connected")
        return self._context.backend.budget

    @property
    def _found(self) -> BudgetSnapshot | None:
        return self._context.budget.snapshot

    # -- the knobs -----------------------------------------------------------------------------------------------

    def cap(self, argument: str) -> None:
        """`M`, or `budget set 3`: without an amount it is asked for."""
        if argument:
            self._plan_cap(argument)
        else:
            self._ask_cap(_CAP, None)

    def _ask_cap(self, fields: list[Field], problem: OperatorError | None) -> None:
        """The form; what is refused comes back in it with the reason."""

        def answered(values: dict[str, str] | None) -> None:
            if values is not None:
                self._plan_cap(values["cap"], refilled(fields, values))

        form = Form("Cap of a day", state_lines(self._found), fields, "Show what it does", problem)
        self._app.push_screen(form, answered)

    def _plan_cap(self, text: str, fields: list[Field] | None = None) -> None:
        async def plan() -> None:
            try:
                self._ask(await self._budget.plan_cap(text))
            except (UsageError, PreflightRefused) as error:
                if fields is None:
                    raise
                self._ask_cap(fields, error)

        self._work(f"budget set {text}", plan)

    def eco(self, argument: str) -> None:
        """`E`, or `budget eco on`: without a word it is chosen from the four."""
        if argument:
            self._plan_mode(argument)
            return
        dialog = ModeDialog(state_lines(self._found), mode_word(self._found))
        self._app.push_screen(dialog, lambda word: self._plan_mode(word) if word else None)

    def _plan_mode(self, word: str) -> None:
        if word not in dict(MODES):
            self._app.toast(f"budget eco: one of {', '.join(dict(MODES))}", severity="warning")
            return

        async def plan() -> None:
            self._ask(await self._budget.plan_mode(word))

        self._work(f"budget eco {word}", plan)

    def undo(self) -> None:
        """Back to what was before the newest change of this laptop."""

        async def plan() -> None:
            change = await self._budget.plan_undo()
            if change is None:
                self._app.toast("this laptop has changed nothing of the budget that could be undone")
            else:
                self._ask(change)

        self._work("budget undo", plan)

    def prove(self, argument: str) -> None:
        """A live call that shows which model answers; what it costs is said before."""

        async def look() -> None:
            self._ask_live(await self._budget.question(argument or None))

        self._work("budget prove", look)

    def _ask_live(self, question: Question) -> None:
        rows = [
            named("model", question.alias),
            named("does", "one call through LiteLLM, one token long"),
            *_wrapped("costs" if question.costs else "cost", question.why, "warn" if question.costs else ""),
        ]

        async def run() -> None:
            proof = await self._budget.prove(question.alias)
            role = "warn" if proof.refused else "ok" if proof.good else "error"
            told = [named("mode", proof.mode.value)] if proof.mode else []
            title = f"{question.alias}: who answers"
            self._app.push_screen(Confirm(title, [*(((row, role),) for row in wrap(proof.told)), *told], []))
            self._app.budget_watch.again()

        def answered(answer: str | None) -> None:
            if answer == "ask":
                self._work(f"asking {question.alias}", run)

        choice = Choice("ask", f"Ask {question.alias}", "warning" if question.costs else "primary")
        self._app.push_screen(Confirm(f"Ask {question.alias} once?", rows, [choice]), answered)

    # -- asking and doing ----------------------------------------------------------------------------------------

    def _ask(self, change: Change) -> None:
        """All of the change, then the question; Enter stands on Cancel."""
        if change.empty:
            self._app.toast(f"{change.title}: it is so already")
            return
        host = self._budget.host
        running = self._context.operations.on_host(host)
        if running is not None:
            self._app.toast(f"{running.title} is still running on {host}", severity="warning")
            return
        title = change.title[:1].upper() + change.title[1:]
        choice = Choice("apply", title, "error" if change.word else "warning")

        def answered(answer: str | None) -> None:
            if answer == "apply":
                self._apply(change, host)

        self._app.push_screen(ChangeDialog(change, choice, self._app.size.width), answered)

    def _apply(self, change: Change, host: str) -> None:
        events = self._budget.apply(change, typed=change.word or "")
        self._followed = self._context.operations.start(BUDGET, f"{host}/{change.kind}", events)
        self._show(self._followed)

    def _moved(self, operation: Operation) -> None:
        """The end of a change: what is shown of the budget is old now."""
        if operation is self._followed and not operation.running:
            self._followed = None
            self._context.budget.changed += 1
            self._app.budget_watch.again()


def _wrapped(label: str, text: str, role: str) -> list[Line]:
    return [(*named(label if not at else "", "")[:1], (piece, role)) for at, piece in enumerate(wrap(text, 50))]
