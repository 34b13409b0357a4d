"""The histogram of one logs screen: of the lines that are here, or of a wider span with Loki's counts for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.worker import Worker

from vpai_tui.errors import OperatorError
from vpai_tui.logs.histogram import Bar, counted, local, step_for
from vpai_tui.logs.model import SECOND_NS, Level
from vpai_tui.logs.query import span_s
from vpai_tui.widgets import paint
from vpai_tui.widgets.log_bars import SIDE, LogBars

if TYPE_CHECKING:
    from vpai_tui.logs.buffer import Buffer
    from vpai_tui.screens.logs import LogsScreen
    from vpai_tui.screens.shell import Shell

_SPANS_S = (900.0, 3600.0, 6 * 3600.0, 86400.0, 7 * 86400.0)
_EMPTY = (0,) * len(Level)


class LogBarsDesk:
    """Knows which span is wanted, and what Loki has counted of it; draws once a second."""

    def __init__(self, screen: LogsScreen) -> None:
        self._screen = screen
        self._wanted: bool | None = None  # None: where there is room
        self._span_s = 0.0  # up to now; 0: what is here
        self._key: tuple[str, int] = ("", 0)  # the query and the step of the counts
        self._counts: dict[int, Bar] = {}
        self._problem = ""
        self._asking: Worker[None] | None = None

    @property
    def _bars(self) -> LogBars:
        return self._screen.query_one(LogBars)

    # -- drawing -------------------------------------------------------------------------------------------------

    def draw(self) -> None:
        """They are made of all lines there are: once a second is often enough."""
        screen, bars = self._screen, self._bars
        look, beside = screen.context.logs, screen.side.now
        roomy = screen.has_class("-wide") and screen.has_class("-tall")
        shown = (roomy if self._wanted is None else self._wanted) and bool(look.buffer)
        bars.display = shown and (beside is None or beside.by_bar)
        if bars.display and look.buffer is not None:
            found = self._of(look.buffer, max(screen.size.width - 2 * SIDE, 10))
            bars.draw(found, screen.reading.times, screen.size.width, self._note())

    def _of(self, buffer: Buffer, room: int) -> list[Bar]:
        look = self._screen.context.logs
        windows = look.proof.incomplete() if look.proof is not None else ()
        oldest, newest = buffer.oldest_ns, buffer.newest_ns
        if oldest is None or newest is None:
            return []
        if not self._span_s:
            step_s = step_for(newest - oldest + SECOND_NS, room - 1)
            return local(buffer, oldest, newest + 1, step_s, windows)[-room:]
        span_ns = int(self._span_s * SECOND_NS)
        now_ns = max(int(self._screen.context.clock.now().timestamp()) * SECOND_NS, newest) + 1
        step_s = step_for(span_ns, room - 1)
        step = step_s * SECOND_NS
        first_ns = (now_ns - span_ns) // step * step
        query = look.choice.query if look.choice is not None else None
        here_ns = max(buffer.from_ns, buffer.floor_ns)  # from then on every line is here
        split_ns = first_ns if query is None else min(max(-(-here_ns // step) * step, first_ns), now_ns)
        theirs = self._theirs(query, first_ns, split_ns, step_s) if query is not None else []
        return theirs + local(buffer, split_ns, now_ns, step_s, windows)

    def _theirs(self, query: str, from_ns: int, to_ns: int, step_s: int) -> list[Bar]:
        """Loki's counts where they are known; the others are asked for."""
        if self._key != (query, step_s):
            self._key, self._counts, self._problem = (query, step_s), {}, ""
            if self._asking is not None:
                self._asking.cancel()
        step = step_s * SECOND_NS
        starts = range(from_ns, to_ns, step)
        lacking = [start for start in starts if start not in self._counts]
        if lacking and not self._problem and not self.busy:
            self._ask(query, lacking[0], lacking[-1] + step, step_s)
        return [self._counts.get(start) or Bar(start, start + step, _EMPTY, by_loki=True) for start in starts]

    def _note(self) -> str:
        if self.busy:
            return f"{paint.BUSY} Loki counts"
        return f"{paint.WARN} Loki did not count: {self._problem}" if self._problem else ""

    # -- counts --------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether Loki is asked for counts."""
        return self._asking is not None and not self._asking.is_finished

    def _ask(self, query: str, from_ns: int, to_ns: int, step_s: int) -> None:
        async def run() -> None:
            try:
                link = (await cast("Shell", self._screen.app).log_watch.logs()).link
                if not await self._screen.side.may_cost(query, from_ns, to_ns):
                    self._span_s = 0.0
                    return
                found = await counted(link, query, from_ns, to_ns, step_s)
                if self._key == (query, step_s):
                    self._counts.update((bar.from_ns, bar) for bar in found)
            except OperatorError as error:
                self._problem = str(error)
            finally:
                self._screen.call_later(self._screen.redraw)

        self._asking = self._screen.run_worker(
            run(), group="logs-bars", exclusive=True, exit_on_error=False, description="counting lines"
        )

    # -- commands ------------------------------------------------------------------------------------------------

    def run(self, argument: str) -> None:
        """Walk the bars, of a span where one is named; away with them when they are walked. UsageError: no span."""
        if argument:
            self._take(span_s(argument))
        elif self._bars.display and self._bars.has_focus:
            self._wanted = False
            self._screen.focus_main()
            return
        self._wanted = True
        self.draw()
        if self._bars.display:
            self._bars.focus()

    def step(self, step: int) -> None:
        """A wider span (1), or a narrower one; narrower than all of them is what is here."""
        buffer = self._screen.context.logs.buffer
        oldest, newest = (buffer.oldest_ns, buffer.newest_ns) if buffer is not None else (None, None)
        now_s = self._span_s or ((newest or 0) - (oldest or 0)) / SECOND_NS
        if step > 0:
            self._take(next((it for it in _SPANS_S if it > now_s), self._span_s))
        else:
            self._take(next((it for it in reversed(_SPANS_S) if it < self._span_s), 0.0))
        self.draw()

    def _take(self, span_s_: float) -> None:
        self._span_s, self._problem = span_s_, ""

    def go_to(self, bar: Bar) -> None:
        """The log at a bar's time: from Loki where its lines are not here."""
        screen = self._screen
        if bar.by_loki and not bar.total:
            screen.notify("Loki has no line of that time", timeout=3, markup=False)
        elif bar.by_loki:
            screen.side.moment(bar.from_ns, by_bar=True)
            screen.focus_main()
        else:
            if screen.side.now is not None:
                screen.side.back()
            screen.go_to(bar.from_ns)
            screen.focus_main()

    def back(self) -> bool:
        """From the bars to the log; says whether they had the focus. Counts that are awaited are given up."""
        if not self._bars.has_focus:
            return False
        if self._asking is not None and self.busy:
            self._asking.cancel()
            self._span_s = 0.0
        self._screen.focus_main()
        return True
