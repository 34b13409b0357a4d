"""Deploys that go well: what a plan says of each kind of change, and what the host runs afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from deploy_kit import (
    WEB,
    causes,
    compose,
    container_id,
    current,
    effects,
    environment,
    home,
    laptop,
    push,
    running,
    service,
    whole,
    wire,
)
from lab_host import LabHost
from lab_registry import Registry

from vpai_tui.fleet.operation import Effect, Outcome, ServiceHealthy

pytestmark = pytest.mark.lab


@pytest.fixture(autouse=True)
def images(registry: Registry) -> None:
    push(registry, WEB)


async def test_first_deploy_from_nothing(sese: LabHost, tmp_path: Path) -> None:
    async with laptop(sese, tmp_path) as me:
        plan = await me.plan()
        assert effects(plan) == {"web": Effect.CREATE}
        assert not plan.empty
        release = await me.committed()
        assert [event.service for event in me.told(ServiceHealthy)] == ["web"]
        assert current(sese) == release
        assert list(running(sese)) == ["web-web-1"]
        assert sese.sh(f"stat -c %a {sese.root}/deploy").strip() == "700"
        (known,) = await me.world.deployer().releases("web")
        assert (known.id, known.outcome, known.current) == (release, "ok", True)


async def test_nothing_changed_is_an_empty_plan_and_no_release(sese: LabHost, tmp_path: Path) -> None:
    async with laptop(sese, tmp_path) as me:
        release = await me.committed()
        before = container_id(sese, "web-web-1")
        plan = await me.plan()
        assert plan.empty
        assert effects(plan) == {"web": Effect.NONE}
        assert (await me.deploy()).outcome is Outcome.UNCHANGED
        assert (current(sese), container_id(sese, "web-web-1")) == (release, before)
