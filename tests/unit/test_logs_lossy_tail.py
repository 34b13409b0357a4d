"""The heart of the logs: whatever the tail does, the buffer ends as what Loki stored, and what is called proven is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from sim_loki import Entry, SimLoki, in_virtual_time
from sim_loki import entry as line_at

from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.live import Following
from vpai_tui.logs.model import Event, Gap, Line, LinesCame, Window
from vpai_tui.logs.pace import Pace
from vpai_tui.logs.way import End, TailEnd

_STALE_S = 1.0  # a line stored while an answer is on its way is in the next one


@dataclass
class Pushed:
    """One line: when it is stored, how old it is then, and what the tail makes of it."""

    at_s: float
    age_s: float
    stream: int
    text: int
    ns: int
    fate: str  # shown, lost, twice, later
    delay_s: float

    @property
    def entry(self) -> Entry:
        return line_at(round(self.at_s - self.age_s, 1), f"text {self.text}", self.stream, self.ns)


@dataclass
class Trouble:
    """Something that happens to the tail, or to everything, and for how long."""

    at_s: float
    kind: str
    for_s: float


pushes = st.builds(
    Pushed,
    at_s=st.floats(0, 120),
    age_s=st.sampled_from([0.0, 0.0, 0.0, 0.1, 0.5, 3.0, 12.0, 40.0, 100.0]),
    stream=st.integers(0, 2),
    text=st.integers(0, 2),
    ns=st.integers(0, 1),
    fate=st.sampled_from(["shown", "shown", "lost", "lost silently", "twice", "later"]),
    delay_s=st.floats(0.1, 30),
)
troubles = st.builds(
    Trouble,
    at_s=st.floats(0.5, 120),  # what fails before it has begun is an error, not an outage
    kind=st.sampled_from(["1006", "hour", "ingesters", "link", "slots", "restart"]),
    for_s=st.floats(0.1, 40),
)


class Watched(Following):
    """Looks at every claim at the moment it is made."""

    def __init__(self, loki: SimLoki, buffer: Buffer, pace: Pace) -> None:
        super().__init__(loki, "{}", buffer, pace)
        self.sim = loki
        self.windows: dict[tuple[int, int], Window] = {}
        self.told: list[Line] = []
        self.gaps: list[Gap] = []

    def say(self, event: Event) -> None:
        if isinstance(event, Window):
            self._check(event)
        elif isinstance(event, LinesCame):
            self.told += event.lines
        elif isinstance(event, Gap):
            self.gaps.append(event)
        super().say(event)

    def _check(self, window: Window) -> None:
        self.windows[window.from_ns, window.to_ns] = window
        before = asyncio.get_running_loop().time() - _STALE_S
        stored = self.sim.found(window.from_ns, window.to_ns)
        old = [it for it in stored if self.sim.stored[it] <= before]
        here = {line.identity for line in self.buffer.between(window.from_ns, window.to_ns)}
        assert window.proven <= window.expected
        assert len(old) <= window.expected <= len(stored)
        if window.complete:
            assert here >= set(old)
        else:
            assert not here >= set(stored)


@dataclass
class Scene:
    lines: list[Pushed] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    page: int = 5000
    until_s: float = 330.0
    pace: dict[str, float] = field(default_factory=dict)

    async def play(self) -> Watched:
        sim = SimLoki(most=self.page)
        following = Watched(sim, Buffer(), Pace(page=self.page, **self.pace))  # type: ignore[arg-type]
        sim.push([it.entry for it in self.lines if it.at_s == 0])
        work = [asyncio.create_task(self._push(sim, it)) for it in self.lines if it.at_s > 0]
        work += [asyncio.create_task(self._trouble(sim, it)) for it in self.troubles if it.at_s > 0]
        await following.begin(1000, 3600.0)
        draining = asyncio.create_task(_drain(following))
        try:
            await asyncio.sleep(self.until_s)
            assert not draining.done()
        finally:
            draining.cancel()
            await following.end()
            await asyncio.gather(*work, draining, return_exceptions=True)
        return following

    async def _push(self, sim: SimLoki, it: Pushed) -> None:
        await asyncio.sleep(it.at_s)
        sim.push([it.entry])
        if it.fate == "later":
            await asyncio.sleep(it.delay_s)
        if it.fate.startswith("lost"):
            if it.fate == "lost":
                sim.show([], dropped=1)
            return
        sim.show([it.entry] * (2 if it.fate == "twice" else 1))

    async def _trouble(self, sim: SimLoki, it: Trouble) -> None:
        await asyncio.sleep(it.at_s)
        if it.kind == "hour":
            sim.end_tails(TailEnd(End.ROLLOVER, "reached tail max duration limit", 1011))
        elif it.kind == "ingesters":
            sim.end_tails(TailEnd(End.LOST, "all ingesters closed the connection", 1011))
        elif it.kind == "1006":
            sim.end_tails(TailEnd(End.LOST, "", 1006))
        elif it.kind == "slots":
            sim.no_slots = True
            sim.end_tails(TailEnd(End.LOST, "", 1006))
            await asyncio.sleep(it.for_s)
            sim.no_slots = False
        elif it.kind == "link":
            sim.down = True
            sim.end_tails(TailEnd(End.UNREACHABLE, "", 1006))
            await asyncio.sleep(it.for_s)
            sim.down = False
        else:
            sim.refused = True
            sim.end_tails(TailEnd(End.LOST, "", 1006))
            await asyncio.sleep(it.for_s)
            sim.refused = False


async def _drain(following: Following) -> None:
    while True:
        await following.next()


def check(following: Watched) -> None:
    """The buffer is what Loki stored, in order, each once; everything that was told is in it, once; all is proven."""
    buffer, sim = following.buffer, following.sim
    lines = list(buffer)
    stored = {it for it in sim.stored if it[0] >= buffer.from_ns}
    assert {line.identity for line in lines} == stored
    assert len(lines) == len(stored)
    assert [line.ns for line in lines] == sorted(line.ns for line in lines)
    assert sorted(line.identity for line in following.told) == sorted(line.identity for line in lines)
    assert all(window.complete for window in following.windows.values())
    for one, other in zip(sorted(following.windows), sorted(following.windows)[1:], strict=False):
        assert one[1] == other[0]  # no stretch is left out, none counted twice


@given(
    lines=st.lists(pushes, max_size=40),
    troubles=st.lists(troubles, max_size=5),
    page=st.sampled_from([5000, 5000, 12, 10]),  # one nanosecond holds up to nine lines
)
def test_any_interleaving_ends_as_what_was_stored(lines: list[Pushed], troubles: list[Trouble], page: int) -> None:
    check(in_virtual_time(Scene(lines, troubles, page).play()))
