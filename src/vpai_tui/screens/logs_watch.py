"""Follows one log for the whole cockpit: the tail belongs to the app, whichever screen is seen; never two at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from importlib import import_module
from typing import TYPE_CHECKING

from textual.worker import Worker, WorkerError

from vpai_tui.errors import OperatorError, UsageError

if TYPE_CHECKING:
    from vpai_tui.logs.happenings import Happening
    from vpai_tui.logs.session import Logs
    from vpai_tui.screens.shell import Shell

RETRY_S = 10.0
_OPENS = 2000  # lines of the last hour


class LogWatch:
    """Opens, follows, gives up. What it learns is in `context.logs`; the screen draws from there."""

    def __init__(self, shell: Shell) -> None:
        self._app = shell
        self._worker: Worker[None] | None = None

    def open(self, text: str, moment: Happening | None = None) -> None:
        """Follow what `text` names instead of what is followed now; `moment`: show its lines of then first."""
        before, self._worker = self._worker, None
        if before is not None:
            before.cancel()
        self._app.context.logs.begin(text)
        self._app.context.logs.moment = moment
        self._worker = self._app.run_worker(
            self._run(text, before), group="logs", exit_on_error=False, description="following a log"
        )

    def again(self) -> None:
        """Ask anew: Loki may be there by now."""
        if asked := self._app.context.logs.asked:
            self.open(asked)

    def stop(self) -> None:
        """Follow nothing any more; the lines stay."""
        if self._worker is not None:
            self._worker.cancel()
            self._worker = None
            self._app.context.logs.stopped()

    def older(self, said: Callable[[str], None]) -> None:
        """One page before the oldest line into the buffer; `said` is told when there is none, or why not."""
        look = self._app.context.logs
        if look.choice is None or look.choice.query is None or look.buffer is None:
            said("older lines are Loki's to give")
        elif not look.paging:
            look.paging = True
            self._app.run_worker(
                self._older(said), group="logs-older", exit_on_error=False, description="reading older lines"
            )

    async def _older(self, said: Callable[[str], None]) -> None:
        from vpai_tui.logs.past import older

        look = self._app.context.logs
        choice, buffer = look.choice, look.buffer
        try:
            if choice is not None and choice.query is not None and buffer is not None:
                came = await older((await self.logs()).link, choice.query, buffer, _OPENS)
                said(f"{came} older lines" if came else "there is no older line")
        except OperatorError as error:
            said(str(error))
        finally:
            look.paging = False
            if look.buffer is buffer:
                look.recount()

    def find(self, text: str, known: Callable[[], None], unknown: Callable[[OperatorError], None]) -> None:
        """Says whether `text` names something whose lines can be asked for, once the fleet is connected."""
        self._app.run_worker(
            self._find(text, known, unknown), group="logs-find", exit_on_error=False, description="looking for a log"
        )

    async def _find(self, text: str, known: Callable[[], None], unknown: Callable[[OperatorError], None]) -> None:
        try:
            (await self.logs()).target(text)
        except OperatorError as error:
            unknown(error)
        else:
            known()

    async def logs(self) -> Logs:
        """The fleet's logs. OperatorError before it is connected."""
        backend = self._app.context.backend
        if backend is None:
            raise OperatorError("the fleet is still being connected", remedy="it is tried again by itself")
        await asyncio.to_thread(import_module, "vpai_tui.logs.session")  # slow the first time
        return backend.loki

    async def _run(self, text: str, before: Worker[None] | None) -> None:
        """Follows until cancelled, or until asking again cannot help."""
        if before is not None:
            with suppress(WorkerError):  # the old tail is closed before the new one is opened
                await before.wait()
        look = self._app.context.logs
        while True:
            try:
                await self._follow(text)
            except OperatorError as error:
                look.fail(error)
                self._app.redraw()
                if isinstance(error, UsageError) or getattr(error, "query_is_wrong", False):
                    return
            await asyncio.sleep(RETRY_S)

    async def _follow(self, text: str) -> None:
        from vpai_tui.logs.buffer import Buffer

        logs, look = await self.logs(), self._app.context.logs
        choice = await logs.choose(logs.target(text))
        buffer = Buffer()
        look.begin(text)
        look.chosen(choice, buffer, logs.source, logs.host)
        async with aclosing(logs.follow(choice, buffer, lines=_OPENS)) as events:
            async for event in events:
                look.take(event)
