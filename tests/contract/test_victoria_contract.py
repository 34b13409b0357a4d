"""One suite for the demo's VictoriaMetrics and a real one: what the cockpit asks, and what it makes of the answer."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import httpx
import pytest

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.trend import Series, ask

from .edge_kit import demand
from .victoria_kit import PROGRAM, ours, started

STEP = 60


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if PROGRAM is None:
        demand("victoria-metrics is not installed")
    with started(tmp_path_factory.mktemp("victoria")) as url:
        yield url


class Server:
    """One of the two, and figures of this test alone."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.mark = f"t{uuid4().hex[:10]}"
        self.start = int((time.time() - 3 * 3600) // STEP) * STEP
        self.end = self.start + 3600

    async def push(self, *lines: tuple[str, float, float]) -> None:
        """Selectors, times and values; `@` stands for what only this test has."""
        rows = [f"{text.replace('@', self.mark)} {value} {int(at * 1000)}" for text, at, value in lines]
        done = await self.client.post("/api/v1/import/prometheus", content="\n".join(rows))
        assert done.status_code == 204
        await self.client.get("/internal/force_flush")

    async def hour(self, selector: str, *values: float) -> None:
        """A sample a minute for an hour, at the values one after the other; the last stays."""
        rows = [(selector, self.start + at * STEP, values[min(at, len(values) - 1)]) for at in range(61)]
        await self.push(*rows)

    async def ask(self, query: str, step: float = STEP) -> tuple[Series, ...]:
        return await ask(self.client, query.replace("@", self.mark), self.start, self.end, step, host="sese")


@pytest.fixture(params=["ours", "real"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    if request.param == "real":
        async with httpx.AsyncClient(base_url=request.getfixturevalue("real"), trust_env=False) as client:
            yield Server(client)
        return
    async with ours() as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        yield Server(client)


async def test_a_figure_comes_back_at_every_step(server: Server) -> None:
    await server.hour('load{host="sese",run="@"}', *range(61))
    (found,) = await server.ask('load{run="@"}')
    assert found.labels == {"__name__": "load", "host": "sese", "run": server.mark}
    assert [point.at_s for point in found.points] == [server.start + at * STEP for at in range(61)]
    assert found.values == tuple(range(61))
    assert (found.least, found.mean, found.most) == (0, 30, 60)


async def test_a_step_takes_the_last_value_there(server: Server) -> None:
    await server.hour('load{run="@"}', *range(61))
    (found,) = await server.ask('load{run="@"}', step=300)
    for at_s, value in found.points:
        assert at_s % 300 == 0
        assert 0 <= at_s - (server.start + value * STEP) < STEP


async def test_a_counter_becomes_a_rate_and_a_fall_is_a_fresh_start(server: Server) -> None:
    grown = [*(30 * at for at in range(30)), *(30 * at for at in range(31))]
    await server.hour('container_cpu_usage_seconds_total{cpu="total",container="db",run="@"}', *grown)
    (found,) = await server.ask('100 * sum(rate(container_cpu_usage_seconds_total{run="@"}[5m]))')
    assert not found.labels
    settled = [value for at_s, value in found.points if at_s >= server.start + 6 * STEP]
    assert max(settled) == pytest.approx(50)
    assert min(settled) >= 39  # one interval of five has no growth
    assert settled[-1] == pytest.approx(50)


async def test_matchers_and_sums_by_labels(server: Server) -> None:
    await server.hour('mem{host="sese",container="a",run="@"}', 3)
    await server.hour('mem{host="sese",container="b",run="@"}', 4)
    await server.hour('mem{host="pi",container="a",run="@"}', 10)
    (sese,) = await server.ask('sum(mem{host="sese",run="@"})')
    assert set(sese.values) == {7}
    assert len(await server.ask('mem{container!="b",run="@"}')) == 2
    assert len(await server.ask('mem{host=~"s.*",container=~"a|b",run="@"}')) == 2
    by_host = {it.labels["host"]: it.values[0] for it in await server.ask('max by (host) (mem{run="@"})')}
    assert by_host == {"sese": 4, "pi": 10}


async def test_one_figure_against_another(server: Server) -> None:
    labels = '{host="sese",mountpoint="/",fstype="ext4",run="@"}'
    await server.hour(f"avail{labels}", 25)
    await server.hour(f"size{labels}", 100)
    picked = '{host="sese",fstype=~"ext4|xfs|btrfs",run="@"}'
    (found,) = await server.ask(f"100 * max(1 - avail{picked} / size{picked})")
    assert set(found.values) == {75}
    (found,) = await server.ask(f"1 - avail{picked} / size{picked}")
    assert "__name__" not in found.labels
    assert found.labels["mountpoint"] == "/"


async def test_what_is_not_there_is_no_series_and_a_gap_is_no_zero(server: Server) -> None:
    assert await server.ask('mem{run="@"}') == ()
    minutes = [*range(10), *range(40, 61)]
    await server.push(*(('mem{run="@"}', server.start + at * STEP, 5.0) for at in minutes))
    (found,) = await server.ask('mem{run="@"}')
    seen = {int(at_s - server.start) // STEP for at_s, _ in found.points}
    assert set(minutes) <= seen
    assert not seen & set(range(20, 40))


@pytest.mark.parametrize("query", ["mem{", "rate(mem[5m]", "", "mem mem"])
async def test_a_wrong_query_is_refused_with_its_reason(server: Server, query: str) -> None:
    with pytest.raises(OperatorError, match=r"VictoriaMetrics: HTTP 4\d\d: ."):
        await server.ask(query)


async def test_an_unknown_path_is_told(server: Server) -> None:
    assert (await server.client.get("/api/v1/nothing")).status_code in (400, 404)
