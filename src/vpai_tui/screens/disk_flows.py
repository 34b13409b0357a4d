"""Freeing a disk: planned from what was just seen, asked, followed; the host is looked at again afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

from vpai_tui.errors import UsageError
from vpai_tui.fleet.operation import Event, Journaled
from vpai_tui.screens.disk import DiskScreen
from vpai_tui.screens.disk_run import DISK
from vpai_tui.screens.shell import Shell
from vpai_tui.widgets.dialogs import Choice, Confirm
from vpai_tui.widgets.disk_rows import prune_lines
from vpai_tui.widgets.operations import Operation
from vpai_tui.widgets.paint import size

if TYPE_CHECKING:
    from vpai_tui.upkeep.disk.plan import Prune
    from vpai_tui.upkeep.disk.session import Disks

Work = Callable[[str, Callable[[], Awaitable[None]]], None]


class DiskFlows:
    """Flows of the disks. `work` runs what is slow, `show` follows an operation."""

    def __init__(self, shell: Shell, work: Work, show: Callable[[Operation], None]) -> None:
        self._app = shell
        self._context = shell.context
        self._work = work
        self._show = show
        self._context.operations.listen(self._moved)

    @property
    def _disks(self) -> Disks:
        if self._context.backend is None:
            raise UsageError("the fleet is still being connected")
        return self._context.backend.disks

    def open(self, host: str) -> None:
        """The screen of one host."""
        cockpit = self._app.cockpit
        if isinstance(cockpit, DiskScreen):
            if cockpit.host == host:
                return
            self._app.pop_screen()
        self._app.push_screen(DiskScreen(self._context, host))

    def prune(self, host: str) -> None:
        """Look (quickly: nothing that a plan does not need is measured), plan and ask."""
        running = self._context.operations.on_host(host)
        if running is not None:
            self._app.toast(f"{running.title} is still running on {host}", severity="warning")
            return

        async def plan() -> None:
            disks = self._disks
            prune = disks.plan(await disks.look(host, deep=False))
            if prune.empty:
                self._app.toast(f"{host}: {prune.notes[-1] if prune.notes else 'nobody leaves anything to free'}")
            else:
                self._ask(prune)

        self._work(f"planning what {host} could free", plan)

    def _ask(self, prune: Prune) -> None:
        choice = Choice("prune", f"Free {prune.host}", "error" if prune.word else "warning")

        def answered(answer: str | None) -> None:
            if answer == "prune" and self._context.operations.on_host(prune.host) is None:
                events = told(self._disks.prune(prune, typed=prune.word or ""))
                self._show(self._context.operations.start(DISK, prune.host, events))

        title = f"Free the disk of {prune.host}?"
        self._app.push_screen(Confirm(title, prune_lines(prune), [choice], word=prune.word), answered)

    def _moved(self, operation: Operation) -> None:
        """The end of one: what is shown below it is measured again."""
        if operation.kind == DISK and not operation.running:
            for screen in self._app.screen_stack:
                if isinstance(screen, DiskScreen) and screen.host == operation.stack:
                    screen.again()


async def told(events: AsyncIterator[Event]) -> AsyncIterator[Event]:
    """The events of a prune in words that every screen of an operation knows."""
    from vpai_tui.upkeep.disk.run import Freed, Removed, Skipped

    async with aclosing(events) as several:  # type: ignore[type-var]
        async for event in several:
            match event:
                case Removed():
                    yield Journaled(event.at, "removed", event.subject)
                case Skipped():
                    yield Journaled(event.at, "stays:", f"{event.subject}: {event.reason}")
                case Freed():
                    said = f"{size(event.before_bytes)} left before, {size(event.after_bytes)} now"
                    yield Journaled(event.at, "measured:", said)
                case _:
                    yield event
