"""A program for `logs_screen_bench`: `logs_flood.py cockpit|richlog RATE` shows RATE new lines a second until it ends.

`cockpit` is the whole cockpit on a fleet that stands still; its log takes Loki's own frames, decodes them and puts them
in order. `richlog` is a Textual program with the stock RichLog, which is given the text of the same lines. In both `k`
is the key that is measured: in the log it stops the following, `f` begins it again; in the other it counts.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import ClassVar

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

from logs_bench import LEVELS, LINE, frames  # noqa: E402
from textual.app import App, ComposeResult  # noqa: E402
from textual.binding import Binding  # noqa: E402
from textual.widgets import RichLog, Static  # noqa: E402

from ui import fake_fleet  # noqa: E402
from ui.fake_backend import FakeBackend  # noqa: E402
from ui.fake_logs import FakeLogs, entries  # noqa: E402
from vpai_tui.app import CockpitApp  # noqa: E402
from vpai_tui.clock import SystemClock  # noqa: E402
from vpai_tui.logs.buffer import Buffer  # noqa: E402
from vpai_tui.logs.model import Backfilled, Event, LinesCame, TailOpened  # noqa: E402
from vpai_tui.logs.session import Choice  # noqa: E402
from vpai_tui.logs.wire import Reader  # noqa: E402

BATCHES = 50  # a second: as a tail brings them


async def paced(rate: int) -> AsyncGenerator[None, None]:
    """`BATCHES` times a second, never later because one took long; with a rate of 0 never."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while rate:
        due += 1 / BATCHES
        await asyncio.sleep(max(0.0, due - loop.time()))
        yield
    await asyncio.Event().wait()


class Flood(FakeLogs):
    """A log to which lines come in Loki's frames."""

    def __init__(self, rate: int) -> None:
        super().__init__(entries())
        self._rate = rate

    async def follow(
        self, choice: Choice, buffer: Buffer, *, lines: int = 1000, since_s: float = 3600.0
    ) -> AsyncGenerator[Event, None]:
        came = buffer.add(self.entries)
        yield LinesCame(tuple(came))
        yield Backfilled(len(came), self.now_ns(), self.now_ns(), True)
        yield TailOpened(self.now_ns())
        reader, each = Reader(), self._rate // BATCHES
        sent = frames(10**9, each=each)
        async for _ in paced(self._rate):
            yield LinesCame(tuple(buffer.add(reader.frame(next(sent)).entries)))


class Stock(App[None]):
    """The stock RichLog, with the same lines as text."""

    BINDINGS: ClassVar = [Binding("k", "count")]

    def __init__(self, rate: int) -> None:
        super().__init__()
        self._rate = rate
        self._pressed = 0

    def compose(self) -> ComposeResult:
        yield Static("ready", id="count")
        yield RichLog(max_lines=1_000_000)

    def on_mount(self) -> None:
        self.run_worker(self._write())

    def action_count(self) -> None:
        self._pressed += 1
        self.query_one("#count", Static).update(f"pressed {self._pressed} times")

    async def _write(self) -> None:
        log, lines = self.query_one(RichLog), _texts()
        async for _ in paced(self._rate):
            for _ in range(self._rate // BATCHES):
                log.write(next(lines))


def _texts() -> Iterator[str]:
    number = 0
    while True:
        yield LINE.format(number, LEVELS[number % 3], number * 7919 % 10007, number % 977)
        number += 1


def main() -> None:
    which, rate = sys.argv[1], int(sys.argv[2])
    if which == "richlog":
        Stock(rate).run()
        return
    backend = FakeBackend(fake_fleet.calm())
    backend.fake_logs = Flood(rate)

    async def start(_: object) -> FakeBackend:
        gc.freeze()  # as the cockpit does when its first frame is there
        return backend

    CockpitApp(fake_fleet.make_fleet(), start, clock=SystemClock()).run()


if __name__ == "__main__":
    main()
