"""The services' names asked on the demo: real TLS through the hosts' connections, faults made on purpose."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from vpai_tui import cli
from vpai_tui.demo import DemoFleet
from vpai_tui.demo.certificates import contexts
from vpai_tui.demo.edge import DAYS
from vpai_tui.demo.engine.store import Engine
from vpai_tui.fleet.doctor import CheckResult
from vpai_tui.remote import resolve
from vpai_tui.world import World, open_world

pytestmark = pytest.mark.xdist_group("endpoints-demo")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("endpoints") / "demo"


@pytest.fixture
async def world(folder: Path) -> AsyncIterator[World]:
    async with open_world(Namespace(demo=True, demo_dir=str(folder), demo_reset=False, config=None)) as opened:
        yield opened


def demo_of(world: World) -> DemoFleet:
    assert world.demo is not None
    return world.demo


async def asked(world: World, service: str) -> dict[str, CheckResult]:
    return {it.check: it async for it in world.questioner().of({service})}


async def turned(world: World, service: str, action: str) -> None:
    """Stop or start a container the way an operator would."""
    host, _, name = service.split("/")
    connection = await world.connection(host)
    await connection.run(
        ["sh", "-c", f"docker {action} $(docker ps -aq --filter label=com.docker.compose.service={name})"]
    )


async def test_a_name_that_leads_to_its_service(world: World) -> None:
    found = await asked(world, "sese/apps/n8n")
    assert [(name, it.ok) for name, it in found.items()] == [("dns", True), ("tls", True), ("http", True)]
    assert found["dns"].detail == "mayi.ewutelo.cloud → 100.64.0.14 (sese)"
    assert f"{DAYS} days" in found["tls"].detail or f"{DAYS - 1} days" in found["tls"].detail
    assert found["http"].detail == "mayi.ewutelo.cloud answers 200"
    assert await asked(world, "sese/infra/redis") == {}, "what has no name is not asked"


async def test_a_name_of_two_services_is_asked_once(world: World) -> None:
    both = {"sese/apps/kaneo-web", "sese/apps/kaneo-api"}
    assert [it.check async for it in world.questioner().of(both)] == ["dns", "tls", "http"]
    assert list(await asked(world, "sese/apps/kaneo-api")) == ["dns", "tls", "http"]


async def test_a_service_that_is_down_is_502_and_a_proxy_that_is_down_refuses(world: World) -> None:
    await turned(world, "sese/apps/n8n", "stop")
    try:
        found = (await asked(world, "sese/apps/n8n"))["http"]
        assert (found.ok, found.detail) == (False, "mayi.ewutelo.cloud answers 502: nothing answers behind the proxy")
        assert "vpai-tui logs sese/apps/n8n" in found.remedy
    finally:
        await turned(world, "sese/apps/n8n", "start")
    await turned(world, "sese/edge/caddy", "stop")
    try:
        found = (await asked(world, "sese/apps/n8n"))["https"]
        assert found.ok is False and "refused" in found.detail.lower()
    finally:
        await turned(world, "sese/edge/caddy", "start")
    assert (await asked(world, "sese/apps/n8n"))["http"].ok


async def test_an_on_demand_stack_may_be_stopped(world: World) -> None:
    await turned(world, "pi/opencut/opencut", "stop")
    found = (await asked(world, "pi/opencut/opencut"))["http"]
    assert found.ok and found.detail.endswith("answers 502: started on demand, it is stopped")


@pytest.mark.parametrize(
    ("days", "ok", "says"), [(9, None, "9 days"), (-3, False, "certificate has expired; it ends 20")]
)
async def test_a_certificate_near_or_past_its_end(world: World, days: int, ok: bool | None, says: str) -> None:
    edge, now = demo_of(world).edge, world.clock.now()
    edge._made = contexts("ewutelo.cloud", now + timedelta(hours=1), days)
    found = await asked(world, "sese/apps/n8n")
    assert (found["tls"].ok, found["http"].ok) == (ok, True)
    assert says in found["tls"].detail and found["tls"].remedy


async def test_a_certificate_of_another_name_or_authority(world: World) -> None:
    edge, now = demo_of(world).edge, world.clock.now()
    edge._made = contexts("example.org", now, 30)
    found = await asked(world, "sese/apps/n8n")
    assert found["tls"].ok is False and "mayi.ewutelo.cloud" in found["tls"].detail
    edge._made = (contexts("ewutelo.cloud", now, 30)[0], contexts("ewutelo.cloud", now, 30)[1])
    found = await asked(world, "sese/apps/n8n")
    assert found["tls"].ok is False and "the certificate does not hold" in found["tls"].detail


async def test_a_name_that_the_vpn_does_not_know_and_a_resolver_that_is_not_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = demo_of(world).stacks_dir / "sese/apps/stack.yaml"
    text = path.read_text()
    path.write_text(text.replace("subdomain: mayi", "subdomain: nowhere"))
    try:
        world.reread()
        found = await asked(world, "sese/apps/n8n")
        assert list(found) == ["dns"] and found["dns"].ok is False
        assert found["dns"].remedy == "vpai-tui dns add nowhere.ewutelo.cloud A ADDRESS"
    finally:
        path.write_text(text)
        world.reread()
    monkeypatch.setattr(resolve, "QUAD_100", "100.100.100.101")
    found = await asked(world, "sese/apps/n8n")
    assert found["dns"].ok is None and "the VPN's resolver cannot be asked from seko" in found["dns"].detail


async def test_hosts_that_cannot_ask_say_so(world: World) -> None:
    nobody = [it async for it in world.questioner(list).of({"sese/apps/n8n"})]
    assert [(it.ok, it.detail) for it in nobody] == [(None, "mayi.ewutelo.cloud: no host is connected that could ask")]
    await demo_of(world).cut("seko")
    try:
        found = await asked(world, "sese/apps/n8n")
        assert found["dns"].ok is None and "seko cannot ask" in found["dns"].detail
    finally:
        await demo_of(world).heal("seko")


def test_doctor_asks_only_for_what_is_deployed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def names() -> tuple[int, list[str]]:
        code = cli.main(["doctor", "--json", "--demo-dir", str(tmp_path / "demo"), "--demo"])
        checks = json.loads(capsys.readouterr().out)["checks"]
        return code, [row["detail"] for row in checks if row["check"] == "http"]

    code, told = names()
    assert code == 0 and any(detail.startswith("mayi.ewutelo.cloud answers 200") for detail in told)
    engine = Engine(tmp_path / "demo" / "sese")
    with engine.change() as state:
        gone = [
            key for key, it in state["containers"].items() if it["labels"].get("com.docker.compose.service") == "n8n"
        ]
        for key in gone:
            del state["containers"][key]
    code, left = names()
    assert gone and code == 0 and len(left) == len(told) - 1
    assert not any("mayi" in detail for detail in left)
