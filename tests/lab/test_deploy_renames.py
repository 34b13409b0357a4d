"""A database whose service or project got another name, on a real host: never two of them on one volume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from deploy_kit import WEB, change_of, compose, container_id, effects, laptop, push, running, service
from lab_host import LabHost
from lab_registry import Registry

from vpai_tui.errors import PreflightRefused
from vpai_tui.fleet.operation import Effect, Outcome, ServiceRemoved, StepStarted

pytestmark = pytest.mark.lab


def infra(database: str) -> dict[str, Any]:
    """One database on a named volume and one service that has nothing to do with it."""
    return compose(
        {database: service(volumes=["data:/var/lib/postgresql"]), "redis": service()},
        volumes={"data": {"name": "infra_data"}},
    )


async def test_a_renamed_database_takes_over_after_the_old_one_is_gone(
    sese: LabHost, registry: Registry, tmp_path: Path
) -> None:
    push(registry, WEB)
    async with laptop(sese, tmp_path, ["sese/infra"]) as me:
        me.write("sese/infra", infra("postgresql"), {"project": "infra", "data": ["postgresql"]})
        await me.committed("infra")
        place = sese.sh("docker volume inspect -f '{{.Mountpoint}}' infra_data").strip()
        sese.sh(f"echo kept >{place}/marker")
        redis = container_id(sese, "infra-redis-1")

        me.write("sese/infra", infra("postgresql"), {"project": "infrax", "data": ["postgresql"]})
        with pytest.raises(PreflightRefused) as refused:
            await me.plan("infra")
        assert "its project was infra and is infrax now" in refused.value.output
        assert set(running(sese)) == {"infra-postgresql-1", "infra-redis-1"}

        me.write("sese/infra", infra("postgres"), {"project": "infra", "data": ["postgres"]})
        plan = await me.plan("infra")
        assert effects(plan) == {"postgres": Effect.CREATE, "redis": Effect.NONE, "postgresql": Effect.REMOVE}
        assert plan.confirm_word == "sese/infra"
        assert [danger.kind for danger in plan.dangers] == ["replaces"]
        assert "replaces" in {cause.kind for cause in change_of(plan, "postgres").causes}
        assert (await me.deploy("infra")).outcome is Outcome.COMMITTED
        order = [event.service for event in me.events if isinstance(event, ServiceRemoved | StepStarted)]
        assert order.index("postgresql") < order.index("postgres")
        assert set(running(sese)) == {"infra-postgres-1", "infra-redis-1"}

        assert (await me.rollback(None, "infra")).outcome is Outcome.COMMITTED
        assert set(running(sese)) == {"infra-postgresql-1", "infra-redis-1"}
        assert container_id(sese, "infra-redis-1") == redis
        assert sese.sh(f"cat {place}/marker").strip() == "kept"
