"""The lines shown, or marked, in the operator's pager; the tail goes on meanwhile."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.logs.model import SECOND_NS, Labels, Line, Source
from vpai_tui.screens.away import away
from vpai_tui.widgets.canvas import SafeStatic
from vpai_tui.widgets.log_head import asides, count
from vpai_tui.widgets.log_layout import Aside
from vpai_tui.widgets.log_style import MARKS, Times, level_span, source_name, when

if TYPE_CHECKING:
    from vpai_tui.screens.logs import LogsScreen

MOST = 100_000  # lines that are given to a pager


class LogPager:
    """Opens it beside the screen: what is shown is taken at once, written in a thread."""

    def __init__(self, screen: LogsScreen) -> None:
        self._screen = screen

    def open(self) -> None:
        """UsageError where there is no line to page, or no pager."""
        from vpai_tui.logs.pager import command

        words = command(os.environ)
        lines, told = self._lines()
        if not lines:
            raise UsageError("no line to page")
        pages = _Pages(self._screen, lines, told)
        self._screen.run_worker(
            self._run(words, pages), group="logs-pager", exclusive=True, exit_on_error=False, description="the pager"
        )

    def _lines(self) -> tuple[Sequence[Line], str]:
        """What is marked, else the newest lines of what is shown; and what was left out."""
        marking, shown = self._screen.marking, self._screen.lines
        if marking.active:
            marked = list(islice(marking.lines(), MOST + 1))
            cut = f"only the first {count(MOST)} of what is marked" if len(marked) > MOST else ""
            return marked[:MOST], cut
        if shown is None:
            return (), ""
        many = len(shown)
        cut = f"only the newest {count(MOST)} of {count(many)} lines" if many > MOST else ""
        return [shown[at] for at in range(max(many - MOST, 0), many)], cut

    async def _run(self, words: list[str], pages: _Pages) -> None:
        from vpai_tui.logs.pager import ending, paper, run

        try:
            with await asyncio.to_thread(paper, pages.rows()) as file:
                told = ending(await away(self._screen.app, lambda: run(words, file), "save FILE writes the lines"))
            if told:
                self._screen.notify(f"{told}; the log is as it was", severity="warning", markup=False)
        except OperatorError as error:
            told = f"{error}: {error.remedy}" if error.remedy else str(error)
            self._screen.notify(told, severity="warning", markup=False)


class _Pages:
    """Rows of text as they will be paged; made on the screen, read in a thread."""

    def __init__(self, screen: LogsScreen, lines: Sequence[Line], cut: str) -> None:
        look, reading = screen.context.logs, screen.reading
        self._lines = lines
        self._times = reading.times if reading.times in (Times.UTC, Times.OFF) else Times.LOCAL
        self._sources: dict[Labels, Source] = {it: look.source(it) for it in {line.labels for line in lines}}
        self._with_host = len({it.host for it in self._sources.values()}) > 1
        self._asides: Sequence[Aside] = (
            asides(look, screen.context.seen, self._times) if screen.side.now is None else ()
        )
        heads = (screen.query_one(f"#{name}", SafeStatic).text for name in ("log-head", "log-chips"))
        self._head = [f"— {' '.join(head.split())}" for head in heads if head.strip()]
        self._head += [f"— {cut}: save FILE writes all"] if cut else []

    def rows(self) -> Iterator[str]:
        """What was above the log, then each line, masked; gaps and starts of containers between them."""
        from vpai_tui.logs.save import Masker

        masker = Masker()
        first = self._lines[0].ns
        between = [it for it in self._asides if it.ns >= first]
        yield from self._head
        for line in self._lines:
            while between and between[0].ns <= line.ns:
                yield "".join(text for text, _ in between.pop(0).spans).strip()
            yield self._row(line, masker.text(line))
        for aside in between:
            yield "".join(text for text, _ in aside.spans).strip()

    def _row(self, line: Line, text: str) -> str:
        stamp = ""
        if self._times is not Times.OFF:
            at = when(line.ns, self._times)
            stamp = f"{at:%Y-%m-%d %H:%M:%S}.{line.ns % SECOND_NS // 1_000_000:03d} "
        name = source_name(self._sources[line.labels], with_host=self._with_host)
        sign = f"{MARKS[line.mark][0]}{stamp}{level_span(line.level)[0]}{name}  "
        return sign + text.replace("\n", "\n    ")
