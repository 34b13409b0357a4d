"""Lines beside the log that is followed: those around one line as Loki has them. The tail goes on meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from textual.worker import Worker

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.logs.model import Line
from vpai_tui.widgets import paint
from vpai_tui.widgets.log_style import Times, when
from vpai_tui.widgets.log_view import Place
from vpai_tui.widgets.paint import Line as Spans

if TYPE_CHECKING:
    from vpai_tui.logs.buffer import Buffer
    from vpai_tui.screens.logs import LogsScreen
    from vpai_tui.screens.shell import Shell

_AROUND = 200  # lines before and after one
_OLDER = 1000


@dataclass(frozen=True, slots=True)
class Side:
    """What is shown instead of the log that is followed. `line`: they lie around it, and no filter hides any."""

    title: str
    query: str  # what Loki was asked
    buffer: Buffer
    told: Spans  # how many, and whether all
    line: Line | None = None


class LogSide:
    """Reads such lines, and gives the log back as it was left."""

    def __init__(self, screen: LogsScreen) -> None:
        self._screen = screen
        self.now: Side | None = None
        self._asked = ""  # the log that it lies beside
        self._left: Place | None = None  # where the log was left
        self._reading: Worker[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether Loki is being asked."""
        return self._reading is not None and not self._reading.is_finished

    def context(self) -> None:
        """What Loki has around the line under the cursor, in its own stream. UsageError where there is none."""
        look, line = self._screen.context.logs, self._screen.log_view.cursor
        if line is None:
            raise UsageError("no line to look around")
        if look.choice is None or look.choice.query is None:
            raise UsageError("the lines around one are Loki's to give")
        self._read("the lines around one", lambda: self._context(line))

    async def _context(self, line: Line) -> None:
        from vpai_tui.logs.buffer import Buffer
        from vpai_tui.logs.past import around, stream_selector

        link = (await self._shell.log_watch.logs()).link
        found, place = await around(link, line.identity, before=_AROUND, after=_AROUND)
        if not any(it.identity == line.identity for it in found):
            raise OperatorError("Loki does not have this line any more")
        buffer = Buffer()
        buffer.add(found)
        at = f"{when(line.ns, Times.UTC if self._screen.reading.times is Times.UTC else Times.LOCAL):%H:%M:%S}"
        told: Spans = ((f"{place} before, {len(found) - place - 1} after, of its stream ", "dim"),)
        self._show(Side(f"around {at}", stream_selector(line.labels), buffer, told, line))

    def older(self) -> None:
        """A page before the oldest of the lines shown."""
        side = self.now
        if side is not None:
            self._read("older lines", lambda: self._older(side))

    async def _older(self, side: Side) -> None:
        from vpai_tui.logs.past import older

        link = (await self._shell.log_watch.logs()).link
        came = await older(link, side.query, side.buffer, _OLDER)
        self._say(f"{came} older lines" if came else "there is no older line")
        self._screen.redraw()

    def back(self) -> bool:
        """Give up what is asked, else the log that is followed again; says whether there was anything to leave."""
        if self._reading is not None and self.busy:
            self._reading.cancel()
            self._say("given up")
            return True
        if self.now is None:
            return False
        self.now = None
        self._screen.refilter()
        if self._left is not None:
            self._screen.log_view.restore(self._left)
        return True

    def keep_to(self, asked: str) -> None:
        """What lies beside a log goes when another one is opened."""
        if asked != self._asked:
            if self._reading is not None:
                self._reading.cancel()
            self._asked, self.now, self._left = asked, None, None

    def _show(self, side: Side) -> None:
        if self.now is None:
            self._left = self._screen.log_view.place
        self.now = side
        self._screen.refilter()
        if side.line is not None:
            self._screen.log_view.centre(side.line)

    def _read(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            try:
                await work()
            except OperatorError as error:
                self._screen.notify(str(error), severity="warning", markup=False)
            finally:
                self._screen.call_later(self._screen.redraw)

        self._reading = self._screen.run_worker(
            run(), group="logs-side", exclusive=True, exit_on_error=False, description=f"reading {what}"
        )

    @property
    def _shell(self) -> Shell:
        return cast("Shell", self._screen.app)

    def _say(self, text: str) -> None:
        self._screen.notify(text, timeout=3, markup=False)


def side_line(name: str, side: Side | None, *, busy: bool, width: int) -> Spans:
    """The first row while other lines are shown, or asked for."""
    state: Spans = ((f"{paint.BUSY} asking Loki, esc gives up", "busy"),) if busy else (("esc goes back", "dim"),)
    title: Spans = () if side is None else ((f" {side.title} ", "chip"),)
    told: Spans = () if side is None else side.told
    left = (*title, (" ", ""), *state)
    room = max(width - paint.width_of(left) - paint.width_of(told) - 2, 8)
    return paint.spread(((paint.fit(f" {paint.safe(name)}", min(room, len(name) + 2)), "strong"), *left), told, width)
