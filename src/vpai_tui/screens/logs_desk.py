"""What is done with a log beside reading it: a time looked up, a filter given to Loki, lines saved, queries kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.logs.model import Level, Line
from vpai_tui.logs.query import containing, least_level, time_ns
from vpai_tui.logs.save import save
from vpai_tui.logs.view import Filter
from vpai_tui.widgets.log_head import LEAST

if TYPE_CHECKING:
    from vpai_tui.screens.logs import LogsScreen
    from vpai_tui.screens.shell import Shell


class LogDesk:
    """Runs the commands of one logs screen that need words or a file."""

    def __init__(self, screen: LogsScreen) -> None:
        self._screen = screen

    def run(self, command: str, argument: str) -> None:
        """Do `command`, without its `logs.`; a refusal is said."""
        self.guarded(lambda: self._run(command, argument))

    def _run(self, command: str, argument: str) -> None:
        match command:
            case "at":
                self._screen.side.at(time_ns(argument, self._screen.context.clock))
                self._screen.redraw()
            case "push":
                self._push()
            case "save":
                self._save(argument)
            case "keep":
                self._keep(argument)
            case "kept":
                self._kept(argument)
            case _:
                self._look(command, argument)

    def guarded(self, work: Callable[[], None]) -> None:
        """Do something; a refusal is said."""
        try:
            work()
        except UsageError as error:
            self._say(f"{error}: {error.remedy}" if error.remedy else str(error), "warning")
        except OperatorError as error:
            self._say(str(error), "error")

    def _look(self, command: str, argument: str) -> None:
        match command:
            case "level":
                self._level(argument)
            case "context":
                self._screen.side.context()
                self._screen.redraw()
            case "since":
                self._since(argument)
            case "copy" | "json":
                self._screen.marking.copy(json=command == "json")
            case "include" | "exclude" | "back":
                self._screen.narrow.run(command)
            case "pager":
                self._screen.pager.open()
            case "mark":
                self._screen.marking.toggle()
            case "highlight" | "highlights" | "unhighlight":
                self._screen.highlights.run(command, argument)

    def _level(self, argument: str) -> None:
        if argument:
            self._screen.least(Level.UNKNOWN if argument == "all" else least_level(argument))
        else:
            least = self._screen.reading.least
            at = LEAST.index(least) if least in LEAST else -1
            self._screen.least(LEAST[(at + 1) % len(LEAST)])

    def find(self, step: int) -> None:
        """The next line that fits the filter, or the next error."""
        reading, pattern = self._screen.reading, None
        if reading.pattern and not reading.inverted:
            with suppress(UsageError):
                pattern = Filter(reading.pattern).compiled()
        if not self._screen.log_view.find(pattern, step):
            what = f"/{reading.pattern}/" if pattern is not None else "error"
            self._say(f"no {what} {'below' if step > 0 else 'above'}", "warning")

    def _since(self, argument: str) -> None:
        """Lines of a span: the one end is now where it is not given."""
        begin, _, end = (it.strip() for it in argument.partition(" until "))
        clock = self._screen.context.clock
        from_ns, to_ns = time_ns(begin, clock), time_ns(end or "now", clock)
        if from_ns >= to_ns:
            raise UsageError(f"{begin} is not before {end or 'now'}")
        self._screen.side.span(from_ns, to_ns)
        self._screen.redraw()

    def _push(self) -> None:
        """Let Loki filter: what is older than the buffer, or was never here, comes too."""
        look, reading = self._screen.context.logs, self._screen.reading
        if not reading.pattern or (reading.problem and not reading.given_up):
            raise UsageError("type a filter first", remedy="/")
        if look.choice is not None and look.choice.query is not None:
            query = containing(look.choice.query, reading.pattern, inverted=reading.inverted)
            self._screen.unfilter()
            self._open(query)

    def _save(self, argument: str) -> None:
        lines: Iterable[Line] | None = self._screen.lines
        look, marking = self._screen.context.logs, self._screen.marking
        if marking.active:
            lines = list(marking.lines())
        if look.source_of is None or not lines:
            raise UsageError("no line to save")
        name = argument or f"vpai-logs-{self._screen.context.clock.now():%Y%m%dT%H%M%SZ}.jsonl"
        path = Path(name).expanduser()
        self._say(f"{save(path, lines, look.source_of)} lines, secrets masked, in {path}")

    # -- queries by name -----------------------------------------------------------------------------------------

    def read_kept(self) -> None:
        """Learn the names, for the palette."""
        self._work(self._names, lambda names: None)

    def _names(self) -> dict[str, str]:
        from vpai_tui.logs.saved import saved

        return saved().read()

    def _keep(self, name: str) -> None:
        look = self._screen.context.logs
        query = look.choice.query if look.choice is not None else None
        if query is None or not name:
            raise UsageError("keep query NAME", remedy="it keeps what Loki is asked now")

        def keep() -> dict[str, str]:
            from vpai_tui.logs.saved import saved

            saved().keep(name, query)
            return saved().read()

        self._work(keep, lambda _: self._say(f"kept as {name}: {query}"))

    def _kept(self, name: str) -> None:
        query = self._screen.context.logs.kept.get(name)
        if query is None:
            known = ", ".join(self._screen.context.logs.kept) or "none is kept yet"
            raise UsageError(f"no query is kept as {name}" if name else "kept query NAME", remedy=known)
        self._open(query)

    def _work(self, work: Callable[[], dict[str, str]], then: Callable[[dict[str, str]], None]) -> None:
        """Reads or writes the file beside the screen; what it holds is known afterwards."""

        async def run() -> None:
            try:
                names = await asyncio.to_thread(work)
            except OperatorError as error:
                self._say(str(error), "error")
            else:
                self._screen.context.logs.kept = names
                then(names)

        self._screen.run_worker(run(), group="logs-kept", exit_on_error=False, description="queries kept by name")

    def _open(self, query: str) -> None:
        cast("Shell", self._screen.app).log_watch.open(query)

    def _say(self, text: str, severity: Literal["information", "warning", "error"] = "information") -> None:
        self._screen.notify(text, severity=severity, markup=False)
