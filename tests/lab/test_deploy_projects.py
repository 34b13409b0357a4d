"""Stacks beside others: taken over from plain compose, sharing a project, several in one command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy_kit import (
    SICK,
    WEB,
    causes,
    compose,
    container_id,
    current,
    effects,
    environment,
    laptop,
    push,
    running,
    service,
)
from lab_host import LabHost
from lab_registry import Registry

from vpai_tui.errors import PreflightRefused
from vpai_tui.fleet.operation import Effect, Outcome

pytestmark = pytest.mark.lab

R0 = "00000000T000000-r0"


@pytest.fixture(autouse=True)
def images(registry: Registry) -> None:
    push(registry, WEB)


def by_hand(host: LabHost, stack: dict[str, Any], *, project: str = "web", name: str = "docker-compose.yml") -> None:
    """As it was before us: one file below the root and `docker compose up`."""
    host.sh(f"cat >{host.root}/{name}", stdin=yaml.safe_dump(stack, sort_keys=False).encode())
    host.sh(f"cd {host.root} && docker compose -p {project} -f {name} up -d 2>&1")


async def test_what_ran_before_us_is_adopted_and_can_be_gone_back_to(sese: LabHost, tmp_path: Path) -> None:
    mounted = {"volumes": ["./configs/same:/etc/conf:ro"]}
    edited = {"volumes": ["./configs/edited:/etc/conf:ro"]}
    sese.sh(f"cd {sese.root}; mkdir -p configs/same configs/edited; echo s >configs/same/f; echo old >configs/edited/f")
    old = compose({"same": service(**mounted), "edited": service(**edited), "other": service()})
    by_hand(sese, old)
    before = {name: container_id(sese, name) for name in running(sese)}
    async with laptop(sese, tmp_path) as me:
        new = compose(
            {"same": service(**mounted), "edited": service(**edited), "other": service(environment={"V": "2"})}
        )
        spec = {"files": [{"path": "configs/same/f"}, {"path": "configs/edited/f", "on_change": "restart"}]}
        me.write("sese/web", new, spec, {"configs/same/f": "s\n", "configs/edited/f": "new\n"})
        plan = await me.plan()
        assert (plan.adopts, plan.notes) == (True, ())
        assert effects(plan) == {"same": Effect.NONE, "edited": Effect.RESTART, "other": Effect.RECREATE}
        assert causes(plan, "edited") == {"files": "configs/edited/f"}
        await me.committed()
        assert sese.sh("docker exec web-edited-1 cat /etc/conf/f") == "new\n"
        after = {name: container_id(sese, name) for name in running(sese)}
        assert [name for name in before if before[name] != after[name]] == ["web-other-1"]
        assert (await me.plan()).empty
        known = (await me.world.deployer().releases("web"))[-1]
        assert (known.id, known.outcome, known.restorable) == (R0, "adopted", True)
        plan = await me.world.deployer().plan_rollback("web", R0)
        assert effects(plan) == {"same": Effect.NONE, "edited": Effect.RESTART, "other": Effect.RECREATE}
        await me.rollback(R0)
        assert "V" not in environment(sese, "web-other-1")
        assert sese.sh("docker exec web-edited-1 cat /etc/conf/f") == "old\n"
        # plain compose sees nothing to do: what runs is what ran
        ids = {name: container_id(sese, name) for name in running(sese)}
        by_hand(sese, old)
        assert {name: container_id(sese, name) for name in running(sese)} == ids


async def test_a_way_back_that_is_not_exact_any_more_is_told(sese: LabHost, tmp_path: Path) -> None:
    by_hand(sese, compose({"web": service(), "other": service()}))
    changed = compose({"web": service(), "other": service(labels=["later=1"])})  # and never brought up
    sese.sh(f"cat >{sese.root}/docker-compose.yml", stdin=yaml.safe_dump(changed).encode())
    async with laptop(sese, tmp_path) as me:
        me.write("sese/web", compose({"web": service(), "other": service(environment={"V": "2"})}))
        plan = await me.plan()
        assert plan.notes == (
            "the way back to what runs is not exact for other: its compose file was changed after it was started",
        )
        await me.committed()
        assert (await me.plan()).notes == ()
        assert effects(await me.world.deployer().plan_rollback("web", R0))["other"] is Effect.RECREATE


async def test_adopting_what_is_as_the_laptop_has_it_touches_nothing(sese: LabHost, tmp_path: Path) -> None:
    sese.sh(f"mkdir -p {sese.root}/configs/web; echo x >{sese.root}/configs/web/f")
    stack = compose({"web": service(volumes=["./configs/web:/etc/conf:ro"])})
    by_hand(sese, stack)
    before = container_id(sese, "web-web-1")
    async with laptop(sese, tmp_path) as me:
        me.write("sese/web", stack, {"files": [{"path": "configs/web"}]}, {"configs/web/f": "x\n"})
        plan = await me.plan()
        assert plan.summary == "nothing to change, recorded as a release"
        await me.committed()
        assert container_id(sese, "web-web-1") == before
        assert (await me.plan()).empty


async def test_a_failed_first_deploy_over_a_running_stack_brings_back_what_ran(sese: LabHost, tmp_path: Path) -> None:
    by_hand(sese, compose())
    async with laptop(sese, tmp_path) as me:
        me.write("sese/web", compose({"web": service(healthcheck=SICK), "added": service()}))
        end = await me.deploy()
        assert end.outcome is Outcome.REVERTED
        assert list(running(sese)) == ["web-web-1"]
        assert json.loads(sese.sh("docker inspect web-web-1"))[0]["Config"]["Healthcheck"]["Test"] == ["CMD", "true"]
        assert current(sese) == R0


async def test_without_the_files_it_was_made_from_nothing_is_adopted(sese: LabHost, tmp_path: Path) -> None:
    by_hand(sese, compose())
    sese.sh(f"rm {sese.root}/docker-compose.yml")
    async with laptop(sese, tmp_path) as me:
        me.write("sese/web", compose({"web": service(environment={"V": "2"})}))
        end = await me.deploy()
        assert (end.outcome, end.exit_code) == (Outcome.REFUSED, 78)
        assert "not on the host: no way back" in end.reason
        assert "V" not in environment(sese, "web-web-1")
        assert current(sese) == ""


async def test_two_stacks_of_one_project_and_a_strangers_service_leave_each_other_alone(
    sese: LabHost, tmp_path: Path
) -> None:
    by_hand(sese, compose({"stranger": service()}), project="shared")
    async with laptop(sese, tmp_path, ["sese/one", "sese/two"]) as me:
        shared = {"project": "shared"}
        me.write("sese/one", compose({"a": service(), "b": service()}), shared)
        me.write("sese/two", compose({"c": service()}), shared)
        await me.committed("one")
        await me.committed("two")
        others = ("shared-c-1", "shared-stranger-1")
        before = [container_id(sese, name) for name in others]
        me.write("sese/one", compose({"a": service(environment={"V": "2"})}), shared)
        assert effects(await me.plan("one")) == {"b": Effect.REMOVE, "a": Effect.RECREATE}
        await me.committed("one")
        assert [container_id(sese, name) for name in others] == before
        assert sorted(running(sese)) == ["shared-a-1", *others]
        assert (await me.plan("two")).empty
        me.write("sese/one", compose({"a": service(healthcheck=SICK), "new": service()}), shared)
        assert (await me.deploy("one")).outcome is Outcome.REVERTED
        assert sorted(running(sese)) == ["shared-a-1", *others]
        assert [container_id(sese, name) for name in others] == before


async def test_a_network_of_the_stack_deployed_just_before_counts_as_there(sese: LabHost, tmp_path: Path) -> None:
    async with laptop(sese, tmp_path, ["sese/one", "sese/two"]) as me:
        me.write("sese/one", compose({"a": service(networks=["inner"])}, networks={"inner": {"name": "backbone"}}))
        outside = {"backbone": {"external": True}}
        me.write("sese/two", compose({"c": service(networks=["backbone"])}, networks=outside))
        with pytest.raises(PreflightRefused, match="network backbone does not exist"):
            await me.plan("two")
        code, out, err = await me.run_cli("deploy", "one", "two", "--yes", "--json")
        assert code == 0, out + err
        ends = [json.loads(line) for line in out.splitlines() if '"finished"' in line]
        assert [end["outcome"] for end in ends] == ["committed", "committed"]
        assert sorted(running(sese)) == ["one-a-1", "two-c-1"]
        assert (await me.run_cli("plan", "one", "two", "--exit-code"))[0] == 0


@pytest.mark.parametrize("take_back", [True, False])
async def test_several_stacks_stop_at_the_first_failure(sese: LabHost, tmp_path: Path, take_back: bool) -> None:
    async with laptop(sese, tmp_path, ["sese/one", "sese/two", "sese/three"]) as me:
        await me.committed("one")
        first = current(sese, "one")
        me.write("sese/one", compose({"web": service(environment={"V": "2"})}))
        me.write("sese/two", compose({"web": service(healthcheck=SICK)}))
        extra = ["--take-back"] if take_back else []
        code, out, err = await me.run_cli("deploy", "one", "two", "three", "--yes", *extra)
        assert code == 4, out + err
        assert list(running(sese)) == ["one-web-1"]
        if take_back:
            assert "V" not in environment(sese, "one-web-1")
        else:
            assert environment(sese, "one-web-1")["V"] == "2"
            assert f"vpai-tui rollback sese/one --to {first}" in err
        assert (current(sese, "two"), current(sese, "three")) == ("", "")
        history = (await me.run_cli("history", "--json"))[1]
        assert '"reverted"' in history


async def test_a_changed_host_key_is_refused_before_anything(sese: LabHost, tmp_path: Path) -> None:
    async with laptop(sese, tmp_path) as me:
        sese.lab.new_host_key("sese")
        code, out, err = await me.run_cli("deploy", "web", "--yes")
        assert (code, out) == (1, "")
        assert "has changed" in err
        assert f"remove {sese.lab.known_hosts}:" in err  # with the line's number
        assert sese.sh(f"ls {sese.root}") == ""
