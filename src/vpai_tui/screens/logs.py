"""Mode 3: the log of a service, a stack, a host, of everything or of any LogQL, live, with the proof of its lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events, on
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.timer import Timer
from textual.widget import Widget

from vpai_tui.commands import Situation, bindings_of
from vpai_tui.errors import UsageError
from vpai_tui.logs.model import Labels, Level, Source
from vpai_tui.logs.view import Filter, GivenUp, View
from vpai_tui.screens.base import CockpitScreen
from vpai_tui.screens.logs_bars import LogBarsDesk
from vpai_tui.screens.logs_desk import LogDesk
from vpai_tui.screens.logs_detail import LogDetail
from vpai_tui.screens.logs_highlight import LogHighlights
from vpai_tui.screens.logs_marking import LogMarking
from vpai_tui.screens.logs_narrow import LogNarrow
from vpai_tui.screens.logs_pager import LogPager
from vpai_tui.screens.logs_side import LogSide, side_line
from vpai_tui.screens.logs_watch import LogWatch
from vpai_tui.screens.shell import Shell
from vpai_tui.widgets.canvas import PAINT_CLASSES, SafeStatic
from vpai_tui.widgets.context import Context
from vpai_tui.widgets.filter_row import FilterRow
from vpai_tui.widgets.log_bars import LogBars
from vpai_tui.widgets.log_fields import FieldView
from vpai_tui.widgets.log_head import (
    Reading,
    asides,
    banner_lines,
    chip_at,
    chips_line,
    empty_line,
    failure_lines,
    head_line,
)
from vpai_tui.widgets.log_layout import pattern_of
from vpai_tui.widgets.log_names import Names
from vpai_tui.widgets.log_style import RULE_ROLES, SOURCE_ROLES, Style, Times
from vpai_tui.widgets.log_view import LogView

if TYPE_CHECKING:
    from vpai_tui.logs.buffer import Buffer

_NEWS_S = 0.1  # lines are drawn at most this often
_WIDEST = (18, 28)  # cells of a source's name, narrow and wide


class ChipRow(SafeStatic):
    """The levels; a click chooses one."""

    reading = Reading()

    def on_click(self, event: events.Click) -> None:
        cast("LogsScreen", self.screen).chip_clicked(event.x)


class LogsScreen(CockpitScreen):
    """Draws what the watch has gathered; leaving it ends nothing."""

    KIND = "logs"
    CSS_PATH = "logs.tcss"
    AUTO_FOCUS = "#log"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *PAINT_CLASSES,
        "paint--hit",
        *(f"paint--{it}" for it in (*SOURCE_ROLES, *RULE_ROLES)),
    }
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("logs")]

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.reading = Reading()
        self.lines: View | None = None
        self.side = LogSide(self)
        self.detail = LogDetail(self)
        self.narrow = LogNarrow(self)
        self.highlights = LogHighlights(self)
        self.marking = LogMarking(self)
        self.pager = LogPager(self)
        self._desk = LogDesk(self)
        self._bars = LogBarsDesk(self)
        self._names = Names()
        self._drawn = -1  # the look's version that is on the screen
        self._news_timer: Timer | None = None

    def body(self) -> Iterable[Widget]:
        detail, failure = FieldView(id="detail"), SafeStatic(id="log-failure")
        detail.display = failure.display = False
        yield SafeStatic(id="log-head")
        yield SafeStatic(id="log-note")
        yield ChipRow(id="log-chips")
        yield LogBars(id="log-bars")
        yield SafeStatic(id="banner")
        yield Container(Vertical(LogView(id="log"), failure, FilterRow(id="filter"), id="list"), detail, id="panes")

    def on_mount(self) -> None:
        self._news_timer = self.set_interval(_NEWS_S, self._news)
        self._desk.read_kept()
        self.highlights.read()

    def on_screen_resume(self) -> None:
        if self._news_timer is not None:
            self._news_timer.resume()

    def on_screen_suspend(self) -> None:
        if self._news_timer is not None:
            self._news_timer.pause()

    # -- drawing -------------------------------------------------------------------------------------------------

    def _news(self) -> None:
        if self.context.logs.version != self._drawn and self._ready:
            self._draw_all()

    def draw(self) -> None:
        self._bars.draw()
        self._draw_all()

    def _draw_all(self) -> None:
        look = self.context.logs
        if not look.asked and self.context.connected:
            self._watch.open(self.context.scope or "all")
        self._drawn = look.version
        self.side.keep_to(look)
        self.narrow.keep_to(look.asked)
        self._refresh_view()
        held = bool(look.buffer is not None and len(look.buffer))
        failure, log = self.query_one("#log-failure", SafeStatic), self.log_view
        failure.display = look.failure is not None and not held
        log.display = not failure.display
        if look.failure is not None and failure.display:
            failure.show(failure_lines(look.failure, self.query_one("#list").size.width))
        self.query_one("#banner", SafeStatic).show(banner_lines(look, lines=held, width=self.size.width))
        self._draw_log()
        self._draw_head()
        self.detail.draw(top=False)

    @property
    def buffer(self) -> Buffer | None:
        """The lines that are read: those followed, or what lies beside them."""
        return self.context.logs.buffer if self.side.now is None else self.side.now.buffer

    @property
    def levels(self) -> Sequence[int]:
        """How many lines that are read are of each level."""
        return self.context.logs.levels if self.side.now is None else self.side.now.levels

    def _refresh_view(self) -> None:
        """The view of the buffer there is now, through the filter there is now."""
        buffer = self.buffer
        if buffer is None:
            self.lines = None
        elif self.lines is None or self.lines.buffer is not buffer:
            self.lines = View(buffer, self._filter())
        try:
            if self.lines is not None:
                self.lines.refresh()
        except GivenUp as error:
            self.reading = replace(self.reading, problem=str(error), given_up=True)
            self.lines = View(self.lines.buffer, self._filter()) if self.lines is not None else None
            self._refresh_view()

    def _filter(self) -> Filter:
        reading = self.reading
        if self.side.now is not None and self.side.now.line is not None:
            return Filter()  # what is around a line is around it whatever it says
        levels = frozenset(it for it in Level if it >= reading.least)
        pattern = "" if reading.around or reading.given_up else reading.pattern
        return Filter(pattern, reading.inverted and bool(pattern), levels)

    def refilter(self) -> None:
        """Another filter, or other lines to filter."""
        buffer = self.buffer
        self.reading = replace(self.reading, given_up=False)
        try:
            self.lines = View(buffer, self._filter()) if buffer is not None else None
            self.reading = replace(self.reading, problem="")
        except UsageError as error:
            self.reading = replace(self.reading, problem=str(error))
        self.draw()

    def _draw_log(self) -> None:
        look, reading = self.context.logs, self.reading
        now = self.context.clock.now()
        style = self._style()
        if reading.times is Times.RELATIVE:
            style = replace(style, now_ns=int(now.timestamp()) * 1_000_000_000)
        self.log_view.show(
            self.lines,
            style,
            self._source if look.source_of is not None else None,
            asides(look, self.context.seen, reading.times) if self.side.now is None else self.side.asides,
            empty_line(look, self.buffer, reading, self.context.failure),
            fold=not reading.pattern,
        )

    def _source(self, labels: Labels) -> Source:
        return self.context.logs.source(labels)

    def _style(self) -> Style:
        """Sources are named where there is more than one, hosts where there is more than one."""
        look, wide = self.context.logs, self.has_class("-wide")
        width, with_host = self._names.of(self.buffer, look.source_of, _WIDEST[wide])
        highlighted = self.reading.pattern if self.reading.around or not self.reading.inverted else ""
        rules = look.rules.rules if look.rules is not None else ()
        return Style(self.reading.times, self.reading.wrap, wide, width, with_host, pattern_of(highlighted), rules)

    def _draw_head(self) -> None:
        look, log = self.context.logs, self.log_view
        self.reading = replace(
            self.reading,
            following=log.following,
            new=log.new_count,
            shown=len(self.lines) if self.lines is not None else 0,
            offset=log.offset_cells,
            name=self.narrow.name,
        )
        head = head_line(look, self.reading, self.size.width)
        if self.side.now is not None or self.side.busy:
            name = self.narrow.name or (look.choice.target.name if look.choice else look.asked)
            head = side_line(name, self.side.now, busy=self.side.busy, width=self.size.width)
        self.query_one("#log-head", SafeStatic).show([head])
        note = self.query_one("#log-note", SafeStatic)
        note.show([*self.narrow.note(self.size.width), *self.marking.note()])
        note.display = bool(note.rows)
        chips = self.query_one("#log-chips", SafeStatic)
        chips.show([chips_line(self.levels, self.reading, self.size.width)])
        around = self.side.now is not None and self.side.now.line is not None
        chips.display = not around and (bool(sum(self.levels)) or bool(self.reading.pattern))

    @property
    def log_view(self) -> LogView:
        return self.query_one("#log", LogView)

    def go_to(self, ns: int) -> None:
        """To the first line that is not older."""
        self.log_view.go_to(ns)

    @property
    def _watch(self) -> LogWatch:
        return cast("Shell", self.app).log_watch

    def hint(self) -> str:
        look = self.context.logs
        if self.detail.read:
            return "= ! by this field"
        return f"Loki on {look.host}" if look.choice is not None and look.choice.query is not None else ""

    def crumbs(self) -> tuple[str, ...]:
        look = self.context.logs
        return ("logs", self.narrow.name or (look.choice.target.name if look.choice else look.asked or "–"))

    # -- what a command means here -------------------------------------------------------------------------------

    def situation(self) -> Situation:
        look = self.context.logs
        cannot = {} if look.choice is not None and look.choice.query else {"logs.push": "Loki is not asked here"}
        return replace(super().situation(), cannot=cannot)

    def copy_text(self) -> str:
        """The detail where that is read; lines are copied by the desk."""
        return self.detail.text if self.detail.read else ""

    def view(self, command: str, argument: str) -> bool:
        match command:
            case "describe":
                self.detail.open()
            case "filter":
                self.query_one(FilterRow).open(argument or None)
            case "copy" if not self.detail.read:
                self._desk.run("copy", "")
            case _ if command.startswith("logs."):
                self._view_log(command.removeprefix("logs."), argument)
            case _:
                return False
        self.redraw()
        return True

    def _view_log(self, command: str, argument: str) -> None:
        reading = self.reading
        match command:
            case "follow":
                self.log_view.follow(not self.log_view.following)
            case "wrap":
                self.reading = replace(reading, wrap=not reading.wrap)
            case "times":
                self.reading = replace(reading, times=reading.times.next)
            case "around":
                self.reading = replace(reading, around=not reading.around)
                self.refilter()
            case "next" | "previous":
                self._desk.find(1 if command == "next" else -1)
            case "bars":
                self._desk.guarded(lambda: self._bars.run(argument))
            case _:
                self._ask(command, argument)

    def _ask(self, command: str, argument: str) -> None:
        match command:
            case "stop":
                self._watch.stop()
            case _:
                self._desk.run(command, argument)

    def unfilter(self) -> None:
        """Drop the filter of what is here."""
        self.query_one(FilterRow).clear()

    def chip_clicked(self, x: int) -> None:
        least = chip_at(self.levels, self.reading, x)
        if least is not None:
            self.least(least)

    def least(self, least: Level) -> None:
        """Show lines that bad, or worse."""
        self.reading = replace(self.reading, least=least)
        self.refilter()

    def go_back(self) -> bool:
        if super().go_back():
            return True
        if self._bars.back() or self.detail.back():
            pass
        elif (
            (self.side.busy and self.side.back())
            or self.query_one(FilterRow).clear()
            or self.marking.drop()
            or self.side.back()
        ):
            self.focus_main()
        elif self.reading.least:
            self.least(Level.UNKNOWN)
        else:
            return False
        self.redraw()
        return True

    def focus_main(self) -> None:
        self.log_view.focus()

    # -- messages ------------------------------------------------------------------------------------------------

    @on(LogView.Moved)
    def _moved(self) -> None:
        self._draw_head()
        self.detail.draw(top=True)

    @on(LogView.AtTop)
    def _at_top(self) -> None:
        if self.side.now is not None:
            self.side.older()
            return
        self._watch.older(lambda told: self.notify(told, timeout=3, markup=False))

    @on(LogView.AtBottom)
    def _at_bottom(self) -> None:
        self.side.newer()

    @on(LogBars.Chosen)
    def _bar_chosen(self, event: LogBars.Chosen) -> None:
        self._desk.guarded(lambda: self._bars.go_to(event.bar))
        self.redraw()

    @on(LogBars.Span)
    def _bar_span(self, event: LogBars.Span) -> None:
        self._bars.step(event.step)

    @on(LogView.Chosen)
    def _chosen(self) -> None:
        self.view("describe", "")

    @on(FilterRow.Changed)
    def _filtered(self, event: FilterRow.Changed) -> None:
        text = event.text
        inverted = text.startswith("!")
        self.reading = replace(self.reading, pattern=text.removeprefix("!"), inverted=inverted)
        self.refilter()
