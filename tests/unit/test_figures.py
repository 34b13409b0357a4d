"""Rings of what services use, and how figures are drawn over time."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.fleet.model import FleetSnapshot, Health, HostSnapshot, HostState, Link, Service, Sync, Usage
from vpai_tui.fleet.trend import DAY_S, Past, Point, Series
from vpai_tui.widgets.figures import HOST, KEPT, Figures, by_time, load_lines, past_lines, spark


def snapshot(at: float, **usage: int) -> FleetSnapshot:
    services = tuple(
        Service("sese", "apps", name, Sync.IN_SYNC, Health.HEALTHY, None, usage=Usage(memory, 5.0))
        for name, memory in usage.items()
    )
    host = HostSnapshot("sese", "", Link(HostState.READY, 0.0))
    return FleetSnapshot(at, (host,), (), services, ())


def test_a_ring_is_bounded_and_only_what_is_new_goes_in() -> None:
    figures, before = Figures(), snapshot(0.0, n8n=1)
    for at in range(KEPT + 50):
        made = snapshot(float(at), n8n=at, redis=1)
        figures.take({it.id: it for it in before.services}, made)
        before = made
    assert len(figures.of("sese/apps/n8n")) == KEPT
    assert figures.of("sese/apps/n8n")[-1].memory_bytes == KEPT + 49
    same = {it.id: it for it in before.services}
    figures.take(same, before)  # nothing was told since
    assert len(figures.of("sese/apps/redis")) == KEPT
    stale = replace(before, services=tuple(replace(it, stale=True) for it in before.services))
    figures.take(same, stale)
    assert figures.of("sese/apps/redis")[-1].at_boot_s == KEPT + 49
    figures.take(same, snapshot(999.0, n8n=3))
    assert figures.of("sese/apps/redis") == ()


def test_a_chart_has_its_own_roof_and_shows_gaps() -> None:
    assert spark([0, 25, 50, 75, 100], 5, 100) == "▁▂▄▆█"
    assert spark([None, 1, None], 3, 100) == " ▁ "
    assert spark([1, 100, 1, 1], 2, 100) == "█▁"  # the highest of each share
    assert spark([5, 5], 4, 0) == "▁▁▁▁"
    series = Series({}, (Point(1000 - DAY_S, 1.0), Point(1000, 9.0), Point(999, 3.0), Point(1000 - DAY_S / 2, 5.0)))
    assert by_time(series, 1000, 4) == [1.0, None, 5.0, 3.0]


@given(
    st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False, width=32), max_size=40), st.integers(1, 80)
)
def test_any_values_fill_the_width(values: list[float | None], width: int) -> None:
    drawn = spark(values, width, max((it for it in values if it is not None), default=0.0)) if values else ""
    assert len(drawn) == (width if values else 0)


def text(rows: list[tuple[tuple[str, str], ...]]) -> str:
    return "\n".join("".join(part for part, _ in row) for row in rows)


def test_what_is_not_known_is_said() -> None:
    assert "asking VictoriaMetrics" in text(past_lines(None, HOST, 0.0, 10))
    assert "no history: sese: it is down" in text(past_lines(Past({}, "sese: it is down"), HOST, 0.0, 10))
    some = Past({"load": Series({}, (Point(0.0, 1.5),))})
    told = text(past_lines(some, HOST, 0.0, 10))
    assert "1.5 – 1.5, mean 1.5" in told
    assert told.count("no history of it") == 2
    service = snapshot(0.0, n8n=5).services[0]
    assert "no figures" not in text(load_lines(service, (), None, None, 0.0, 80))  # it has no container
