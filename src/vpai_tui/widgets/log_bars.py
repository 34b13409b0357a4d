"""The histogram above a log: how many lines there were, by time, what is bad at the bottom of each bar."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.message import Message

from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.histogram import Bar, local, step_for
from vpai_tui.logs.model import SECOND_NS, Level, Window
from vpai_tui.widgets.canvas import SafeStatic
from vpai_tui.widgets.log_style import Times, when
from vpai_tui.widgets.paint import Line, Span, spread

HEIGHT = 3
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_SIDE = 1  # cells left and right


class LogBars(SafeStatic):
    """Bars over the lines that are here; a click on one goes to its time."""

    class Chosen(Message):
        """A bar was clicked."""

        def __init__(self, from_ns: int) -> None:
            super().__init__()
            self.from_ns = from_ns

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.bars: list[Bar] = []

    def draw(self, buffer: Buffer | None, windows: Sequence[Window], times: Times, width: int) -> None:
        """Bars of everything in `buffer`; `windows` tell what is known to be missing."""
        self.bars = []
        oldest, newest = (None, None) if buffer is None else (buffer.oldest_ns, buffer.newest_ns)
        if buffer is not None and oldest is not None and newest is not None:
            room = max(width - 2 * _SIDE, 10)
            step_s = step_for(newest - oldest + SECOND_NS, room - 1)
            self.bars = local(buffer, oldest, newest + 1, step_s, windows)[-room:]
        self.show(bar_lines(self.bars, times, width))

    def on_click(self, event: events.Click) -> None:
        at = event.x - _SIDE
        if 0 <= at < len(self.bars):
            self.post_message(self.Chosen(self.bars[at].from_ns))


def bar_lines(bars: Sequence[Bar], times: Times, width: int) -> list[Line]:
    """Rows of eighths, and the axis below: from when, to when, the highest."""
    if not bars:
        return []
    most = max(bar.total for bar in bars) or 1
    parts = [_parts(bar, most) for bar in bars]
    rows: list[Line] = []
    for row in range(HEIGHT - 1, -1, -1):
        spans: list[Span] = [(" " * _SIDE, "")]
        for tops in parts:
            glyph = _EIGHTHS[max(0, min(tops[-1][0] - 8 * row, 8))]
            role = next((role for top, role in tops if top > 8 * row), "")
            if len(spans) > 1 and spans[-1][1] == role:
                spans[-1] = (spans[-1][0] + glyph, role)
            else:
                spans.append((glyph, role))
        rows.append(tuple(spans))
    step_s = (bars[0].to_ns - bars[0].from_ns) // SECOND_NS
    zone = Times.UTC if times is Times.UTC else Times.LOCAL
    first, last = (f"{when(ns, zone):%H:%M:%S}" for ns in (bars[0].from_ns, bars[-1].to_ns))
    axis = f"{first}{last:>{len(bars) - len(first)}}" if len(bars) > 2 * len(first) else f"{first} – {last}"
    right: Line = ((f"at most {most} in {step_s} s ", "dim"),)
    return [*rows, spread(((f"{' ' * _SIDE}{axis}", "dim"),), right, width)]


def _parts(bar: Bar, most: int) -> list[tuple[int, str]]:
    """Where each part of a bar ends, in eighths from below: what is worst stands at the bottom, where it is seen."""
    bad = bar.missing + sum(bar.counts[Level.ERROR :])
    warned = bad + bar.counts[Level.WARN]
    shares = ((bad, "error"), (warned, "warn"), (bar.total, "accent"))
    return [(-(-count * HEIGHT * 8 // most), role) for count, role in shares]
