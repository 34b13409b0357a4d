"""How the flows of the VPN ask and tell: forms that keep what was typed, and a fresh look after each change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vpai_tui.errors import OperatorError, PreflightRefused, UsageError
from vpai_tui.screens.shell import Shell, Work
from vpai_tui.screens.vpn import VpnScreen
from vpai_tui.vpn.view import VpnSnapshot
from vpai_tui.widgets.form import Field, Form, refilled
from vpai_tui.widgets.operations import Operation
from vpai_tui.widgets.paint import Line

if TYPE_CHECKING:
    from vpai_tui.vpn.session import Vpn


@dataclass(frozen=True)
class Question:
    """A form and what is done with it. `run` returns what is said when it is done."""

    title: str
    body: Sequence[Line]
    fields: Sequence[Field]
    act: str
    doing: str
    run: Callable[[dict[str, str]], Awaitable[str]]


class VpnDesk:
    """Shared by the flows of nodes and of records. `work` runs what is slow, `show` follows an operation."""

    def __init__(self, shell: Shell, work: Work, show: Callable[[Operation], None]) -> None:
        self.app = shell
        self.context = shell.context
        self.show = show
        self._work = work

    @property
    def vpn(self) -> Vpn:
        """UsageError when the fleet has no hub or the cockpit no backend."""
        if self.context.backend is None:
            raise UsageError("the fleet is still being connected")
        return self.context.backend.vpn

    @property
    def screen(self) -> VpnScreen | None:
        screen = self.app.cockpit
        return screen if isinstance(screen, VpnScreen) else None

    @property
    def found(self) -> VpnSnapshot | None:
        return self.context.vpn.snapshot

    def ask(self, question: Question, problem: OperatorError | None = None) -> None:
        """Show the form; when what was typed is refused it comes back with the reason."""

        def answered(values: dict[str, str] | None) -> None:
            if values is not None:
                self._work(question.doing, lambda: self._try(question, values))

        self.app.push_screen(Form(question.title, question.body, question.fields, question.act, problem), answered)

    async def _try(self, question: Question, values: dict[str, str]) -> None:
        try:
            said = await question.run(values)
        except (UsageError, PreflightRefused) as error:
            fields = refilled(question.fields, values)
            self.ask(Question(question.title, question.body, fields, question.act, question.doing, question.run), error)
            return
        self.done(said)

    def go(self, doing: str, run: Callable[[], Awaitable[str]]) -> None:
        """Do it without a form; what it returns is said, and the screen looks again."""

        async def work() -> None:
            try:
                self.done(await run())
            finally:
                self.app.vpn_watch.again()

        self._work(doing, work)

    def look(self, doing: str, run: Callable[[], Awaitable[None]]) -> None:
        """Ask something that changes nothing."""
        self._work(doing, run)

    def done(self, said: str) -> None:
        """Say it, and have the screen look again."""
        if said:
            self.app.toast(said)
        self.app.vpn_watch.again()

    def warn(self, text: str) -> None:
        self.app.toast(text, severity="warning")
