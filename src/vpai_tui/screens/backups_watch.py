"""Asks for backups, has one made, tries a restore: as workers of the app, so that leaving the screen ends nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

from vpai_tui.errors import OperatorError
from vpai_tui.text import clean_line
from vpai_tui.widgets.dialogs import Choice, Confirm, ErrorDialog
from vpai_tui.widgets.paint import Line

if TYPE_CHECKING:
    from vpai_tui.screens.shell import Shell
    from vpai_tui.upkeep.backups.session import Backups, Event

Work = Callable[[str, Callable[[], Awaitable[None]]], None]
_RUN: tuple[Line, ...] = (
    (("Everything is copied again, beside the copies there are.", ""),),
    (("Nothing is stopped. Laptop and link may go meanwhile.", "dim"),),
)


class BackupsWatch:
    """One question, and one thing that is done, at a time."""

    def __init__(self, shell: Shell) -> None:
        self._app = shell

    def again(self) -> None:
        """Ask every host, unless they are being asked."""
        look = self._app.context.backups
        if look.asking or self._app.context.backend is None:
            return
        look.asking = True
        self._app.run_worker(self._look(), group="backups", exit_on_error=False, description="asking for backups")

    async def _look(self) -> None:
        context = self._app.context
        look = context.backups
        try:
            if context.backend is not None:
                look.found = await context.backend.backups.look_all()
                look.taken_boot_s, look.error = context.clock.boot_s(), ""
        except OperatorError as error:  # what was known stays, and says how old it is
            look.error = clean_line(error.message, 200)
        finally:
            look.asking = False
        self._app.redraw()

    # ── acting ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self, work: Work) -> None:
        """A backup now, behind a question."""

        async def ask() -> None:
            backups = self._backups()
            found = await backups.refuse_unfit()
            self._confirm(f"Back up {found.host} now?", _RUN, Choice("go", "Back up", "warning"), "backup", backups.run)

        if not self._busy():
            work("looking at the backups", ask)

    def restore_test(self, database: str, work: Work) -> None:
        """A restore of the newest dump into a database that is thrown away, behind a question."""

        async def ask() -> None:
            backups = self._backups()
            found = await backups.refuse_unfit(database)
            test = found.restores.get(database)
            last = f"The last one: {test.result}, {test.at}." if test else "It was never tried."
            lines: tuple[Line, ...] = (
                (("The newest dump goes into a database of its own,", ""),),
                (("which is counted and dropped again.", ""),),
                (("No other database is written to.", "dim"),),
                ((last, "dim"),),
            )
            title, choice = f"Try a restore of {database}?", Choice("go", "Try it", "warning")
            self._confirm(title, lines, choice, f"restore test of {database}", lambda: backups.restore_test(database))

        if not database:
            self._app.toast("put the cursor on a database, or name one", severity="warning")
        elif not self._busy():
            work("looking at the backups", ask)

    def _backups(self) -> Backups:
        backend = self._app.context.backend
        if backend is None:
            raise OperatorError("the fleet is still being connected")
        return backend.backups

    def _busy(self) -> bool:
        doing = self._app.context.backups.doing
        if doing:
            self._app.toast(f"the {doing} has not ended yet", severity="warning")
        return bool(doing)

    def _confirm(
        self, title: str, lines: tuple[Line, ...], choice: Choice, doing: str, begin: Callable[[], AsyncIterator[Event]]
    ) -> None:
        def answered(answer: str | None) -> None:
            if answer == "go" and not self._busy():
                look = self._app.context.backups
                look.doing, look.events = doing, []
                follow = self._follow(doing, begin())
                self._app.run_worker(follow, group="backup", exit_on_error=False, description=doing)

        self._app.push_screen(Confirm(title, lines, [choice]), answered)

    async def _follow(self, doing: str, events: AsyncIterator[Event]) -> None:
        from vpai_tui.upkeep.backups.session import JobEnded

        look = self._app.context.backups
        try:
            async with aclosing(events) as told:  # type: ignore[type-var]
                async for event in told:
                    look.events.append(event)
                    if isinstance(event, JobEnded):
                        said = f"{doing}: {'done' if event.ok else event.reason or 'failed'}"
                        self._app.toast(said, severity="information" if event.ok else "error")
                    self._app.redraw()
        except OperatorError as error:
            self._app.push_screen(ErrorDialog(error, doing))
        finally:
            look.doing = ""
        self.again()
