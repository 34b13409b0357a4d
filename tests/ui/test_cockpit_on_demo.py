"""The whole way with nothing scripted: keys, screens, SSH, the runner's sh, on the demo fleet."""

from __future__ import annotations

import asyncio
import time
from argparse import Namespace
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from vpai_tui.app import CockpitApp
from vpai_tui.backend import LiveBackend
from vpai_tui.errors import HostUnreachable, LinkLost, OperatorError, UsageError
from vpai_tui.fleet.model import FleetSnapshot, HostState, Service, Sync
from vpai_tui.fleet.operation import Event, Outcome
from vpai_tui.remote.prompts import Prompts
from vpai_tui.verbs.ask import TerminalPrompts
from vpai_tui.world import World, open_world

PATIENCE_S = 60


@asynccontextmanager
async def cockpit(folder: Path) -> AsyncIterator[tuple[CockpitApp, Pilot[None], World]]:
    args = Namespace(demo=True, demo_dir=folder, demo_reset=False, config=None)
    async with AsyncExitStack() as exits:
        world = await exits.enter_async_context(open_world(args))

        async def factory(prompts: Prompts) -> LiveBackend:
            return LiveBackend(world, prompts)

        app = CockpitApp(world.fleet, factory)
        async with app.run_test(size=(120, 40)) as pilot:
            yield app, pilot, world


async def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(0.2)


def seen(app: CockpitApp) -> FleetSnapshot:
    return app.context.snapshot


def sync_of(app: CockpitApp, stack: str) -> Sync:
    return next(item.sync for item in seen(app).stacks if item.id == stack)


async def carry_out(app: CockpitApp, pilot: Pilot[None], key: str, kind: str) -> None:
    """The plan's key, its question answered, the end awaited; back on the stacks."""

    def shows(screen: str) -> bool:
        return type(app.screen).__name__ == screen

    await pilot.press(key)
    await until(lambda: shows("PlanScreen"), f"the plan of the {kind}")
    await pilot.press("A")
    await until(lambda: shows("Confirm"), "the question")
    before = len(app.context.operations.all)
    await pilot.press("right", "enter")
    await until(lambda: len(app.context.operations.all) > before, f"the {kind}")
    operation = app.context.operations.all[-1]
    await until(lambda: not operation.running, f"the end of the {kind}")
    assert (operation.kind, operation.error, operation.outcome) == (kind, None, Outcome.COMMITTED)
    await pilot.press("escape")
    await until(lambda: shows("DeployScreen"), "the stacks again")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cockpit-demo")


async def test_a_deploy_and_the_way_back_from_the_keyboard(folder: Path) -> None:
    async with cockpit(folder) as (app, pilot, world):
        await until(lambda: all(host.link.state is HostState.READY for host in seen(app).hosts), "three hosts ready")
        await until(lambda: sync_of(app, "sese/apps") is Sync.DRIFTED, "the pending change is seen")

        await pilot.press("2", "j")  # the deploy screen, from infra to apps
        for key, kind in (("D", "deploy"), ("B", "rollback")):
            await carry_out(app, pilot, key, kind)
        entries, _ = world.history.read()
        assert [entry.what for entry in entries] == ["deploy", "rollback"]
        assert any("probe plan" in record.command for record in app.context.backend.command_log.records())  # type: ignore[union-attr]


async def test_a_host_is_cut_and_comes_back_and_the_others_do_not_notice(folder: Path) -> None:
    async with cockpit(folder) as (app, _, world):
        await until(lambda: all(host.metrics and host.containers for host in seen(app).hosts), "three hosts known")
        demo = world.demo
        assert demo is not None
        await demo.cut("pi")
        await until(lambda: not seen(app).host("pi").live, "pi is gone")
        assert seen(app).host("pi").metrics is not None  # its last values stay
        assert seen(app).host("sese").link.state is HostState.READY
        await demo.heal("pi")
        app.context.backend.reconnect("pi")  # type: ignore[union-attr]
        await until(lambda: seen(app).host("pi").link.state is HostState.READY, "pi is back")


async def test_a_read_only_cockpit_changes_nothing_whoever_asks(folder: Path) -> None:
    args = Namespace(demo=True, demo_dir=folder, demo_reset=False, config=None)
    async with open_world(args) as world:
        backend = LiveBackend(world, TerminalPrompts(Namespace(json=False)), read_only=True)
        await backend.start()
        try:
            await until(lambda: all(host.live for host in backend.snapshot().hosts), "three hosts ready")
            plan = await backend.plan("sese/apps")
            with pytest.raises(UsageError):
                backend.apply(plan)
            with pytest.raises(UsageError):
                backend.settle("sese/apps", "revert")
            with pytest.raises(UsageError):
                await backend.act("sese/apps/litellm", "stop")
        finally:
            await backend.stop()


def has_engine(backend: LiveBackend, host: str) -> bool:
    """Whether the engine answers on the new connection, which comes a moment after it."""
    try:
        return backend.upkeep.docker(host) is not None
    except HostUnreachable:
        return False


async def test_an_adopted_host_is_watched_under_its_names_at_once(tmp_path: Path) -> None:
    args = Namespace(demo=True, demo_dir=tmp_path, demo_reset=False, demo_foreign="pi", config=None)
    async with open_world(args) as world:
        backend = LiveBackend(world, TerminalPrompts(Namespace(json=False)))
        await backend.start()
        try:
            pi = lambda: backend.snapshot().host("pi")  # noqa: E731
            await until(lambda: bool(of_opencut(backend)) and pi().live and pi().containers_at_boot_s, "pi is there")
            assert not [service for service in of_opencut(backend) if service.container]
            proposal = await backend.propose(await backend.survey("pi"))
            before = backend.vpn
            assert await backend.adopt(proposal) == ""
            assert backend.vpn is not before  # it knew the stacks by their names of then
            await until(lambda: all(service.container for service in of_opencut(backend)), "opencut is known")
            assert {service.container.name for service in of_opencut(backend) if service.container} == {
                f"javisi_{name}" for name in ("opencut", "opencut-db", "opencut-valkey", "opencut-srh")
            }
            await until(lambda: backend.snapshot().host("pi").live and has_engine(backend, "pi"), "pi is back")
            assert (await backend.plan("pi/opencut")).base == "00000000T000000-r0"
        finally:
            await backend.stop()


@pytest.mark.parametrize("breaks", [False, True])
async def test_an_adoption_that_fails_half_way_is_told_and_its_names_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks: bool
) -> None:
    args = Namespace(demo=True, demo_dir=tmp_path, demo_reset=False, demo_foreign="pi", config=None)
    async with open_world(args) as world:
        backend = LiveBackend(world, TerminalPrompts(Namespace(json=False)))
        await backend.start()
        try:
            pi = lambda: backend.snapshot().host("pi")  # noqa: E731
            await until(lambda: bool(of_opencut(backend)) and pi().live and pi().containers_at_boot_s, "pi is there")
            proposal = await backend.propose(await backend.survey("pi"))
            (Path(world.fleet.hosts["pi"].root) / "docker-compose-opencut.yml").unlink()
            if breaks:
                monkeypatch.setattr("vpai_tui.deploy.adopt.Run.start", broken)
            with pytest.raises(OperatorError) as caught:
                await backend.adopt(proposal)
            (entry,) = [entry for entry in world.history.read()[0] if entry.what == "adopt"]
            if breaks:
                assert (entry.result, entry.detail) == ("failed", "the link was lost")
            else:
                assert caught.value.output.endswith("docker-compose-opencut.yml, which is not on the host: no way back")
                assert entry.result == "refused"
            await until(lambda: all(service.container for service in of_opencut(backend)), "the names hold")
        finally:
            await backend.stop()


async def broken(*_: object) -> AsyncIterator[Event]:
    raise LinkLost("the link was lost", host="pi")
    yield


def of_opencut(backend: LiveBackend) -> list[Service]:
    return [service for service in backend.snapshot().services if service.stack == "opencut"]
