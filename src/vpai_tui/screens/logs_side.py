"""Lines beside the log that is followed: those around one line, those of a span. The tail goes on meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from textual.worker import Worker

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.logs.happenings import Happening
from vpai_tui.logs.model import Level, Line
from vpai_tui.widgets import paint
from vpai_tui.widgets.dialogs import Choice, Confirm
from vpai_tui.widgets.log_head import count, mark_row
from vpai_tui.widgets.log_layout import Aside, Place
from vpai_tui.widgets.log_look import LogLook
from vpai_tui.widgets.log_style import Times, when
from vpai_tui.widgets.paint import Line as Spans

if TYPE_CHECKING:
    from vpai_tui.logs.buffer import Buffer
    from vpai_tui.screens.logs import LogsScreen
    from vpai_tui.screens.shell import Shell

_AROUND = 200  # lines before and after one
_OLDER = 1000
_MOST = 5000  # lines of a span that are read at once; older ones are paged


@dataclass(frozen=True, slots=True)
class Side:
    """What is shown instead of the log that is followed. `line`: they lie around it, and no filter hides any."""

    title: str
    query: str  # what Loki was asked
    buffer: Buffer
    told: Spans  # how many, and whether all
    line: Line | None = None
    levels: Sequence[int] = ()  # how many of each
    before: Side | None = None  # what it was narrowed from
    by_bar: bool = False  # a bar was chosen: the bars stay
    mark: Happening | None = None  # what happened at the moment that is looked at


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

    def span(self, from_ns: int, to_ns: int) -> None:
        """The lines of a span, of what is followed. UsageError where Loki is not asked for it."""
        choice = self._screen.context.logs.choice
        if choice is None or choice.query is None:
            raise UsageError("past lines are Loki's to give")
        query = choice.query
        self._read("past lines", lambda: self._span(query, from_ns, to_ns))

    async def _span(self, query: str, from_ns: int, to_ns: int) -> None:
        from vpai_tui.logs.buffer import Buffer
        from vpai_tui.logs.past import read

        link = (await self._shell.log_watch.logs()).link
        if not await self.may_cost(query, from_ns, to_ns):
            return
        buffer = Buffer()
        found = await read(link, query, from_ns, to_ns, _MOST, buffer)
        title = self._between(from_ns, to_ns)
        if not len(buffer):
            raise OperatorError(f"Loki has no line of {title}")
        told: Spans = ((f"{paint.WARN} the newest {count(len(buffer))} of {_many(found.expected)} ", "warn"),)
        if found.proven:
            told = ((f"{paint.OK} all {count(len(buffer))} lines ", "ok"),)
        elif found.complete:
            told = ((f"{paint.WARN} {count(len(buffer))} lines, not proven ", "warn"),)
        self._show(Side(title, query, buffer, told, levels=_levels(buffer)))

    async def may_cost(self, query: str, from_ns: int, to_ns: int) -> bool:
        """What a wide span costs is said first, and where that is much the operator decides."""
        from vpai_tui.logs.past import price, worth_asking

        if not worth_asking(from_ns, to_ns):
            return True
        cost = await price((await self._shell.log_watch.logs()).link, query, from_ns, to_ns)
        told = f"Loki reads {cost.bytes / 1e6:,.0f} MB: {count(cost.entries)} lines of {cost.streams} streams"
        if not cost.dear:
            self._say(told)
            return True
        rows: list[Spans] = [((told, "warn"),), (("It may take a while; esc gives up.", ""),)]
        if cost.young:
            rows.insert(1, (("What it has in memory comes to that.", "dim"),))
        dialog = Confirm(f"Read {self._between(from_ns, to_ns)}?", rows, [Choice("read", "Read", "primary")])
        return await self._shell.push_screen_wait(dialog) == "read"

    def _between(self, from_ns: int, to_ns: int) -> str:
        zone = Times.UTC if self._screen.reading.times is Times.UTC else Times.LOCAL
        first, last = when(from_ns, zone), when(to_ns, zone)
        if first.date() == last.date():
            return f"{first:%H:%M:%S} – {last:%H:%M:%S}"
        return f"{first:%d %b %H:%M} – {last:%d %b %H:%M}"

    async def narrow(self, side: Side, query: str) -> None:
        """The lines of a narrower query, of the time whose lines are shown. Raises OperatorError."""
        from vpai_tui.logs.buffer import Buffer
        from vpai_tui.logs.past import read

        first, last = side.buffer.oldest_ns, side.buffer.newest_ns
        if first is None or last is None:
            return
        buffer = Buffer()
        found = await read((await self._shell.log_watch.logs()).link, query, first, last + 1, _MOST, buffer)
        if not len(buffer):
            raise OperatorError("none of these lines is left: nothing was changed")
        told: Spans = ((f"{count(len(buffer))} lines, not proven ", "warn"),)
        if found.proven:
            told = ((f"{paint.OK} all {count(len(buffer))} lines ", "ok"),)
        if self.now is side:
            self.now = Side(
                side.title, query, buffer, told, levels=_levels(buffer), before=side, by_bar=side.by_bar, mark=side.mark
            )
            self._screen.detail.close()
            self._screen.refilter()

    def widen(self) -> bool:
        """Take the last narrowing back; says whether there was one."""
        if self.now is None or self.now.before is None:
            return False
        self.now = self.now.before
        self._screen.detail.close()
        self._screen.refilter()
        return True

    # -- a moment ------------------------------------------------------------------------------------------------

    def at(self, ns: int) -> None:
        """To the line of a time: here, where all lines since then are, else as Loki has them."""
        look, beside = self._screen.context.logs, self.now
        buffer = look.buffer if beside is None else beside.buffer
        oldest = None if buffer is None else buffer.oldest_ns
        newest = None if buffer is None else buffer.newest_ns
        asked = look.choice is not None and look.choice.query is not None
        if buffer is None or oldest is None or newest is None:
            return
        from_ns = max(buffer.from_ns, buffer.floor_ns)
        if not asked or (from_ns <= ns and (beside is None or ns <= newest)):
            self._screen.go_to(ns)
        else:
            self.moment(ns)

    def moment(self, ns: int, *, by_bar: bool = False, mark: Happening | None = None) -> None:
        """The lines around a moment, as Loki has them. UsageError where it is not asked."""
        choice = self._screen.context.logs.choice
        if choice is None or choice.query is None:
            raise UsageError("past lines are Loki's to give")
        query = choice.query
        self._read("the lines around a moment", lambda: self._moment(query, ns, by_bar=by_bar, mark=mark))

    async def _moment(self, query: str, ns: int, *, by_bar: bool, mark: Happening | None) -> None:
        from vpai_tui.logs.buffer import Buffer
        from vpai_tui.logs.moment import around_moment

        buffer = Buffer()
        found = await around_moment((await self._shell.log_watch.logs()).link, query, ns, buffer)
        at = self._clock(ns)
        if not len(buffer):
            raise OperatorError(f"Loki has no line within an hour of {at}")
        lines = f"{count(found.count)} line{'' if found.count == 1 else 's'}"
        told: Spans = ((f"{paint.WARN} {lines}, not proven ", "warn"),)
        if found.proven:
            told = ((f"{paint.OK} all {lines} {self._clock(found.from_ns)} – {self._clock(found.to_ns)} ", "ok"),)
        title = f"failed {at}" if mark is not None else f"at {at}"
        self._show(Side(title, query, buffer, told, levels=_levels(buffer), by_bar=by_bar, mark=mark))
        view = self._screen.lines
        if view is not None and len(view):
            place = view.index_at(ns + 1) - 1 if mark is not None else view.index_at(ns)
            self._screen.log_view.centre(view[min(max(place, 0), len(view) - 1)])

    @property
    def asides(self) -> Sequence[Aside]:
        """What is drawn between the lines shown: what happened at the moment that is looked at."""
        mark = self.now.mark if self.now is not None else None
        return () if mark is None else (mark_row(mark, self._screen.reading.times),)

    def newer(self) -> None:
        """A page after the newest of the lines shown."""
        side = self.now
        if side is not None:
            self._read("newer lines", lambda: self._newer(side))

    async def _newer(self, side: Side) -> None:
        from vpai_tui.logs.live import AHEAD_NS
        from vpai_tui.logs.past import newer

        link = (await self._shell.log_watch.logs()).link
        came = await newer(link, side.query, side.buffer, link.now_ns() + AHEAD_NS, _OLDER)
        self._came(side, came, "newer")

    def _came(self, side: Side, came: int, word: str) -> None:
        self._say(f"{came} {word} lines" if came else f"there is no {word} line")
        if came and self.now is side:
            told: Spans = ((f"{count(len(side.buffer))} lines, {word} ones too ", "dim"),)
            self.now = replace(side, told=told, levels=_levels(side.buffer))
        self._screen.redraw()

    def _clock(self, ns: int) -> str:
        zone = Times.UTC if self._screen.reading.times is Times.UTC else Times.LOCAL
        at, now = when(ns, zone), when(int(self._screen.context.clock.now().timestamp() * 1e9), zone)
        return f"{at:%H:%M:%S}" if at.date() == now.date() else f"{at:%d %b %H:%M:%S}"

    def older(self) -> None:
        """A page before the oldest of the lines shown."""
        side = self.now
        if side is not None:
            self._read("older lines", lambda: self._older(side))

    async def _older(self, side: Side) -> None:
        from vpai_tui.logs.past import older

        link = (await self._shell.log_watch.logs()).link
        self._came(side, await older(link, side.query, side.buffer, _OLDER), "older")

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

    def keep_to(self, look: LogLook) -> None:
        """What lies beside a log goes when another one is opened; where it was opened for a moment, that is shown."""
        if look.asked != self._asked:
            if self._reading is not None:
                self._reading.cancel()
            self._asked, self.now, self._left = look.asked, None, None
        mark = look.moment
        if mark is not None and look.choice is not None and look.buffer is not None:
            look.moment = None
            if look.choice.query is None:
                self._say("past lines are Loki's to give")
            else:
                self.moment(mark.ns, mark=mark)

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


def _levels(buffer: Buffer) -> list[int]:
    found = [0] * len(Level)
    for chunk in buffer.chunks:
        for bits in chunk.bits:
            found[bits & 7] += 1
    return found


def _many(expected: int | None) -> str:
    return "many" if expected is None else count(expected)


def side_line(name: str, side: Side | None, *, busy: bool, width: int) -> Spans:
    """The first row while other lines are shown, or asked for."""
    state: Spans = ((f"{paint.BUSY} asking Loki, esc gives up", "busy"),) if busy else (("esc goes back", "dim"),)
    title: Spans = () if side is None else ((f" {side.title} ", "chip"),)
    told: Spans = () if side is None else side.told
    left = (*title, (" ", ""), *state)
    room = max(width - paint.width_of(left) - paint.width_of(told) - 2, 8)
    return paint.spread(((paint.fit(f" {paint.safe(name)}", min(room, len(name) + 2)), "strong"), *left), told, width)
