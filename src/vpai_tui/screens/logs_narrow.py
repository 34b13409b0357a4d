"""The log narrowed by the field under the cursor: asked of Loki first, opened then, taken back step by step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.text import clean
from vpai_tui.widgets import paint
from vpai_tui.widgets.filter_row import FilterRow
from vpai_tui.widgets.paint import Line as Spans

if TYPE_CHECKING:
    from vpai_tui.logs.model import Line
    from vpai_tui.logs.narrow import Field
    from vpai_tui.screens.logs import LogsScreen
    from vpai_tui.screens.shell import Shell

_BACK = "u takes it back "


class LogNarrow:
    """Knows what was followed before each step, as long as nobody follows something else."""

    def __init__(self, screen: LogsScreen) -> None:
        self._screen = screen
        self._trail: list[str] = []
        self._asked = ""  # what was opened last from here
        self.name = ""  # of what was narrowed; empty where nothing is

    def run(self, command: str) -> None:
        """`include` or `exclude` the field under the cursor, or go `back` a step. UsageError where that is nothing."""
        if command == "back":
            self._back()
            return
        detail = self._screen.detail.pane
        line = self._screen.log_view.cursor
        if not detail.has_focus or line is None:
            self._screen.detail.enter()
            raise UsageError("walk to a field first", remedy="= keeps the lines that have it, ! drops them")
        if detail.field is None:
            raise UsageError("no field stands here", remedy="j and k go to one")
        self._narrow(detail.field, line, excluded=command == "exclude")

    def _narrow(self, field: Field, line: Line, *, excluded: bool) -> None:
        from vpai_tui.logs.narrow import check, in_place, narrowed

        choice, side = self._screen.context.logs.choice, self._screen.side.now
        if choice is None:
            raise UsageError("nothing is followed")
        if choice.query is None:
            pattern = in_place(field, line)
            self._screen.query_one(FilterRow).open(f"{'!' if excluded else ''}{pattern}")
            self._screen.focus_main()
            self._say("Loki is not asked here: filtered in place")
            return
        span = side if side is not None and side.line is None else None
        query = span.query if span is not None else choice.query
        included = narrowed(query, field, line, excluded=False)
        wanted = narrowed(query, field, line, excluded=True) if excluded else included

        async def work() -> None:
            await check((await self._shell.log_watch.logs()).link, wanted, included, line)
            if self._screen.context.logs.choice is not choice:
                return  # something else is followed by now
            if span is not None:
                await self._screen.side.narrow(span, wanted)
            else:
                self._open(wanted)

        self._work(work)

    def _open(self, wanted: str) -> None:
        look = self._screen.context.logs
        if look.asked != self._asked or not self._trail:
            self._trail = []
            self.name = look.choice.target.name if look.choice else look.asked
        self._trail.append(look.asked)
        self._follow(wanted)

    def _back(self) -> None:
        if self._screen.side.widen():
            self._screen.redraw()
            return
        if not self._trail:
            raise UsageError("nothing was narrowed", remedy="= or ! on a field of a line's detail")
        before = self._trail.pop()
        self.name = self.name if self._trail else ""
        self._follow(before)

    def _follow(self, text: str) -> None:
        self._asked = text
        self._screen.detail.close()
        self._shell.log_watch.open(text)
        self._screen.redraw()

    def keep_to(self, asked: str) -> None:
        """What was narrowed is forgotten when another log is opened."""
        if asked != self._asked:
            self._trail, self.name, self._asked = [], "", ""

    def note(self, width: int) -> list[Spans]:
        """Which query runs now, where it is a narrowed one: in two rows at most, its end is always seen."""
        choice, side = self._screen.context.logs.choice, self._screen.side.now
        query = choice.query if choice is not None and self._trail and side is None else None
        if side is not None and side.before is not None:
            query = side.query
        if query is None:
            return []
        text = paint.safe(" ".join(clean(query).split("\n")))
        room = max(width - len(_BACK) - 3, 20)
        keys: Spans = (("u", "key"), (_BACK[1:], "dim"))
        if len(text) <= room:
            return [paint.spread(((f" {text}", "accent"),), keys, width)]
        first, rest = text[: width - 2], text[width - 2 :]
        rest = rest if len(rest) <= room else f"…{rest[1 - room :]}"
        return [((f" {first}", "accent"),), paint.spread(((f" {rest}", "accent"),), keys, width)]

    def _work(self, work: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            try:
                await work()
            except OperatorError as error:
                told = f"{error}: {error.remedy}" if error.remedy else str(error)
                self._screen.notify(told, severity="warning", markup=False)

        self._screen.run_worker(
            run(), group="logs-narrow", exclusive=True, exit_on_error=False, description="narrowing a query"
        )

    @property
    def _shell(self) -> Shell:
        return cast("Shell", self._screen.app)

    def _say(self, text: str) -> None:
        self._screen.notify(text, markup=False)
