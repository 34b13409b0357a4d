"""The question of `container-series` to the demo's VictoriaMetrics and to a real one: the same names come back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import httpx
import pytest

from vpai_tui.upkeep.series import QUERY, Seen, seen_of

from .edge_kit import demand
from .victoria_kit import PROGRAM, ours, started

# As Alloy of this fleet sends them, as cAdvisor names them itself, and the control groups that have no name.
_LINES = (
    'container_memory_working_set_bytes{host="sese",container="vpai-n8n-1",job="cadvisor"} 5',
    'container_memory_working_set_bytes{host="sese",container="vpai-redis-1",service="redis"} 7',
    'container_memory_working_set_bytes{name="javisi_caddy",id="/docker/ab"} 1',
    'container_memory_working_set_bytes{host="pi",id="/"} 9',
    'container_memory_working_set_bytes{host="pi",id="/system.slice"} 9',
    'container_cpu_usage_seconds_total{host="pi",container="never"} 9',
)
_SEEN = {
    "sese": Seen(frozenset({"vpai-n8n-1", "vpai-redis-1", "javisi_caddy"})),
    "pi": Seen(nameless=2),
}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if PROGRAM is None:
        demand("victoria-metrics is not installed")
    with started(tmp_path_factory.mktemp("series")) as url:
        yield url


async def asked(url: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        stamp = int((time.time() - 40) * 1000)
        rows = "\n".join(f"{line} {stamp}" for line in _LINES)
        assert (await client.post("/api/v1/import/prometheus", content=rows)).status_code == 204
        await client.get("/internal/force_flush")
        for _ in range(40):  # what came just now may not be found at once
            found = await client.get("/api/v1/query", params={"query": QUERY})
            if found.json().get("data", {}).get("result"):
                break
            await asyncio.sleep(0.25)
        assert (await client.get("/-/healthy")).status_code == 200
        return found


async def test_the_demo_s() -> None:
    async with ours() as url:
        found = await asked(url)
    assert found.status_code == 200
    assert seen_of(found.content, "sese") == _SEEN


async def test_a_real_one(real: str) -> None:
    found = await asked(real)
    assert found.status_code == 200
    assert seen_of(found.content, "sese") == _SEEN
