"""The operator's highlight rules on the logs screen: read, added, listed, removed; drawn as soon as they are known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.text import clean_line
from vpai_tui.widgets import paint
from vpai_tui.widgets.dialogs import Confirm, wrap
from vpai_tui.widgets.paint import Line as Spans

if TYPE_CHECKING:
    from vpai_tui.logs.highlight import Rules
    from vpai_tui.logs.highlights import Highlights
    from vpai_tui.screens.logs import LogsScreen

_NAME, _STYLE, _PATTERN = 20, 8, 32  # cells of a row of the list


class LogHighlights:
    """Works on the file beside the screen; what it holds is in `context.logs.rules` afterwards."""

    def __init__(self, screen: LogsScreen) -> None:
        self._screen = screen

    def read(self) -> None:
        """Learn the rules. What is wrong in the file is told, each mistake by itself."""
        self._work(lambda file: None, lambda: self._warn(self._rules.problems))

    def run(self, command: str, argument: str) -> None:
        """`highlight` adds, or lists where it has no words; `unhighlight` removes. UsageError for bad words."""
        if command == "unhighlight":
            self._remove(argument)
        elif command == "highlight" and argument:
            self._add(argument)
        else:
            self._work(lambda file: None, self._list)

    def _add(self, words: str) -> None:
        from vpai_tui.logs.highlight import told

        made = told(words)
        self._work(
            lambda file: file.add(made),
            lambda: self._say(f"highlighted as {made.name}: {made.pattern} in {made.style}"),
        )

    def _remove(self, name: str) -> None:
        if not name:
            known = ", ".join(it.name for it in self._rules.rules) or "there is none"
            raise UsageError("highlight remove NAME", remedy=known)

        def remove(file: Highlights) -> None:
            if not file.remove(name):
                known = ", ".join(it.name for it in file.read().rules) or "there is none"
                raise UsageError(f"no rule is called {clean_line(name, 40)}: {known}")

        self._work(remove, lambda: self._say(f"{name} is highlighted no more"))

    def _list(self) -> None:
        from vpai_tui.logs.highlights import highlights

        rows: list[Spans] = []
        for it in self._rules.rules:
            first, *rest = wrap(it.pattern, _PATTERN)
            head = ((paint.fit(it.name, _NAME), "strong"), (paint.fit(it.style, _STYLE), ""))
            rows.append((*head, (paint.safe(first), it.style)))
            rows += [((" " * (_NAME + _STYLE), ""), (paint.safe(piece), it.style)) for piece in rest]
        rows = rows or [(("No rule yet.", ""),)]
        for problem in self._rules.problems:
            rows += [(), *(((piece, "warn"),) for piece in wrap(f"{paint.WARN} {problem}"))]
        rows += [(), (("highlight NAME [STYLE] PATTERN  adds one", "dim"),)]
        rows += [((piece, "dim"),) for piece in wrap(f"in {highlights().path}")]
        self._screen.app.push_screen(Confirm("Highlight rules, the first one wins", rows, ()))

    @property
    def _rules(self) -> Rules:
        from vpai_tui.logs.highlight import Rules

        return self._screen.context.logs.rules or Rules()

    def _work(self, work: Callable[[Highlights], None], then: Callable[[], None]) -> None:
        """`work` on the file and all of it read anew, beside the screen; `then` on the screen."""

        def look() -> Rules:
            from vpai_tui.logs.highlights import highlights

            file = highlights()
            work(file)
            return file.read()

        async def run() -> None:
            try:
                rules = await asyncio.to_thread(look)
            except OperatorError as error:
                self._warn([f"{error}: {error.remedy}" if error.remedy else str(error)])
            else:
                self._screen.context.logs.rules = rules
                self._screen.redraw()
                then()

        self._screen.run_worker(run(), group="logs-rules", exit_on_error=False, description="highlight rules")

    def _warn(self, problems: tuple[str, ...] | list[str]) -> None:
        for problem in problems[:3]:
            self._screen.notify(problem, severity="warning", markup=False)

    def _say(self, text: str) -> None:
        self._screen.notify(text, markup=False)
