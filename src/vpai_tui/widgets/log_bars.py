"""The histogram above a log: how many lines there were, by time, what is bad at the bottom of each bar.

It says whose count each part is: Loki's own, of lines that are not here, or the cockpit's, of those that are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from vpai_tui.clock import duration
from vpai_tui.logs.histogram import Bar
from vpai_tui.logs.model import SECOND_NS, Level
from vpai_tui.widgets import paint
from vpai_tui.widgets.canvas import SafeStatic
from vpai_tui.widgets.log_style import Times, when
from vpai_tui.widgets.paint import Line, Span, spread

HEIGHT = 3
SIDE = 1  # cells left and right
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_BY_LOKI, _HERE = "counted by Loki", "counted here"
_KEYS = (("enter", "there"), ("↑↓", "span"), ("esc", "log"))


class LogBars(SafeStatic, can_focus=True):
    """Bars; a click on one goes to its time. Focused, they are walked, and enter goes to the one chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "walk(-1)", "Earlier", show=False),
        Binding("right", "walk(1)", "Later", show=False),
        Binding("home", "walk(-10000)", "First", show=False),
        Binding("end", "walk(10000)", "Last", show=False),
        Binding("up", "span(1)", "A wider span", show=False),
        Binding("down", "span(-1)", "A narrower span", show=False),
        Binding("enter", "choose", "Go there", show=False),
    ]

    class Chosen(Message):
        """The operator wants to be at a bar's time."""

        def __init__(self, bar: Bar) -> None:
            super().__init__()
            self.bar = bar

    class Span(Message):
        """A wider span (1) or a narrower one (-1) is wanted."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.bars: list[Bar] = []
        self._at_ns: int | None = None  # a time of the bar that is walked on; None: the last one
        self._drawn: tuple[Times, int, str] = (Times.LOCAL, 80, "")

    @property
    def at(self) -> int | None:
        """The place of the bar that is walked on; None when there is none."""
        if self._at_ns is None or not self.bars:
            return len(self.bars) - 1 if self.bars else None
        found = sum(bar.from_ns <= self._at_ns for bar in self.bars) - 1
        return max(found, 0)

    def draw(self, bars: Sequence[Bar], times: Times, width: int, note: str = "") -> None:
        """Draw `bars`; `note` is what is to be said of Loki's counts: that they are awaited, why there are none."""
        self.bars = list(bars)
        self._drawn = (times, width, note)
        self._redraw()

    def _redraw(self) -> None:
        times, width, note = self._drawn
        self.show(bar_lines(self.bars, times, width, note, at=self.at if self.has_focus else None))

    def action_walk(self, step: int) -> None:
        at = self.at
        if at is None:
            return
        if at + step < 0 and step == -1:
            self.post_message(self.Span(1))
            return
        at = min(max(at + step, 0), len(self.bars) - 1)
        self._at_ns = None if at == len(self.bars) - 1 else self.bars[at].from_ns
        self._redraw()

    def action_span(self, step: int) -> None:
        self.post_message(self.Span(step))

    def action_choose(self) -> None:
        if self.at is not None:
            self.post_message(self.Chosen(self.bars[self.at]))

    def on_focus(self) -> None:
        self._redraw()

    def on_blur(self) -> None:
        self._redraw()

    def on_click(self, event: events.Click) -> None:
        at = event.x - SIDE
        if 0 <= at < len(self.bars):
            self._at_ns = self.bars[at].from_ns
            self._redraw()
            self.post_message(self.Chosen(self.bars[at]))


def bar_lines(bars: Sequence[Bar], times: Times, width: int, note: str = "", *, at: int | None = None) -> list[Line]:
    """Rows of eighths, and the axis below: from when, to when, whose counts, the highest. `at`: the bar walked on,
    which a row more tells of."""
    if not bars:
        return []
    most = max(bar.total for bar in bars) or 1
    parts = [_parts(bar, most) for bar in bars]
    rows: list[Line] = []
    for row in range(HEIGHT - 1, -1, -1):
        spans: list[Span] = [(" " * SIDE, "")]
        for tops in parts:
            glyph = _EIGHTHS[max(0, min(tops[-1][0] - 8 * row, 8))]
            role = next((role for top, role in tops if top > 8 * row), "")
            if len(spans) > 1 and spans[-1][1] == role:
                spans[-1] = (spans[-1][0] + glyph, role)
            else:
                spans.append((glyph, role))
        rows.append(tuple(spans))
    rows.append(_axis(bars, most, times, width, note, at))
    if at is not None:
        rows.append(_chosen(bars[at], times, width))
    return rows


def _parts(bar: Bar, most: int) -> list[tuple[int, str]]:
    """Where each part of a bar ends, in eighths from below: what is worst stands at the bottom, where it is seen."""
    bad = bar.missing + sum(bar.counts[Level.ERROR :])
    warned = bad + bar.counts[Level.WARN]
    shares = ((bad, "error"), (warned, "warn"), (bar.total, "stale" if bar.by_loki else "accent"))
    return [(-(-count * HEIGHT * 8 // most), role) for count, role in shares]


def _axis(bars: Sequence[Bar], most: int, times: Times, width: int, note: str, at: int | None) -> Line:
    """The ruler, and beside it what had no room on it, and the highest bar; or `note`."""
    ruler, whose = _ruler(bars, times, at)
    left: Line = ((" " * SIDE, ""), (ruler, "dim"))
    if at is not None:
        left = (left[0], (ruler[:at], "dim"), ("▲", "key"), (ruler[at + 1 :], "dim"))
    elif len(bars) < 2 * len(_clock(bars[0].from_ns, bars, times)) + 1:
        left = ((f"{' ' * SIDE}{_clock(bars[0].from_ns, bars, times)} – {_clock(bars[-1].to_ns, bars, times)}", "dim"),)
    if note:
        return spread(left, ((f" {note} ", "warn"),), width)
    highest = f"at most {most} in {duration((bars[0].to_ns - bars[0].from_ns) / SECOND_NS)}"
    room = width - paint.width_of(left)
    for told in (", ".join([*whose, highest]), ", ".join(whose) or highest, highest):
        if len(told) + 2 <= room:
            return spread(left, ((f" {told} ", "dim"),), width)
    return left


def _ruler(bars: Sequence[Bar], times: Times, at: int | None) -> tuple[str, list[str]]:
    """A line below the bars, dotted where the counts are Loki's; and the words for which there is no room on it."""
    size, split = len(bars), sum(bar.by_loki for bar in bars)
    ruler, whose = ["╌"] * split + ["─"] * (size - split), []
    first, last = _clock(bars[0].from_ns, bars, times), _clock(bars[-1].to_ns, bars, times)
    for start, words in ((0, first), (size - len(last), last)):
        if at is None or not start - 1 <= at <= start + len(words):
            _write(ruler, start, words)
    for start, end, words in ((0, split, _BY_LOKI), (split, size, _HERE)):
        low, high = max(start, len(first) + 1), min(end, size - len(last) - 1)
        if start < end and high - low >= len(words) + 2:
            _write(ruler, (low + high - len(words)) // 2 - 1, f" {words} ")
        elif start < end:
            whose.append(words)
    return "".join(ruler), whose


def _write(ruler: list[str], at: int, words: str) -> None:
    if at >= 0 and at + len(words) <= len(ruler):
        ruler[at : at + len(words)] = words


def _clock(ns: int, bars: Sequence[Bar], times: Times) -> str:
    """With its day where the bars are of more than one."""
    zone = Times.UTC if times is Times.UTC else Times.LOCAL
    first, last, at = (when(it, zone) for it in (bars[0].from_ns, bars[-1].to_ns, ns))
    if first.date() == last.date():
        return f"{at:%H:%M:%S}"
    return f"{at:%d %b %H:%M}"


def _chosen(bar: Bar, times: Times, width: int) -> Line:
    """How many lines a bar has, how many of them are bad, who counted them; and what the keys do."""
    bad, warned = sum(bar.counts[Level.ERROR :]), bar.counts[Level.WARN]
    zone = Times.UTC if times is Times.UTC else Times.LOCAL
    first, last = when(bar.from_ns, zone), when(bar.to_ns, zone)
    spans: list[Span] = [
        (f" {first:%H:%M:%S} – {last:%H:%M:%S} ", "chip"),
        (f"  {bar.total} line{'' if bar.total == 1 else 's'}", "strong"),
        (f" {_BY_LOKI if bar.by_loki else _HERE}", "dim"),
    ]
    spans += [(f" {paint.DOWN} {bad} error{'' if bad == 1 else 's'}", "error")] if bad else []
    spans += [(f" {paint.WARN} {warned} warn", "warn")] if warned else []
    spans += [(f" {paint.DOWN} {bar.missing} missing", "error")] if bar.missing else []
    keys: list[Span] = []
    for key, does in _KEYS:
        more: Line = ((f" {key}", "key"), (f" {does} ", "dim"))
        if paint.width_of((*spans, *keys, *more)) < width:
            keys += more
    return spread(tuple(spans), tuple(keys), width)
