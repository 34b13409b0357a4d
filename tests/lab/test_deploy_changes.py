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


async def test_first_deploy_from_nothing(pi: LabHost, tmp_path: Path) -> None:
    async with laptop(pi, tmp_path) as me:
        plan = await me.plan()
        assert effects(plan) == {"web": Effect.CREATE}
        assert not plan.empty
        release = await me.committed()
        assert [event.service for event in me.told(ServiceHealthy)] == ["web"]
        assert current(pi) == release
        assert list(running(pi)) == ["web-web-1"]
        assert pi.sh(f"stat -c %a {pi.root}/deploy").strip() == "700"
        (known,) = await me.world.deployer().releases("web")
        assert (known.id, known.outcome, known.current) == (release, "ok", True)


async def test_nothing_changed_is_an_empty_plan_and_no_release(pi: LabHost, tmp_path: Path) -> None:
    async with laptop(pi, tmp_path) as me:
        release = await me.committed()
        before = container_id(pi, "web-web-1")
        plan = await me.plan()
        assert plan.empty
        assert effects(plan) == {"web": Effect.NONE}
        assert (await me.deploy()).outcome is Outcome.UNCHANGED
        assert (current(pi), container_id(pi, "web-web-1")) == (release, before)


async def test_a_changed_environment_recreates_and_names_the_key(pi: LabHost, tmp_path: Path) -> None:
    async with laptop(pi, tmp_path) as me:
        await me.committed()
        me.write("pi/web", compose({"web": service(environment={"MODE": "new"})}))
        plan = await me.plan()
        assert effects(plan) == {"web": Effect.RECREATE}
        assert causes(plan) == {"config": "environment"}
        assert plan.changes[0].interruption_s == pytest.approx(1.2)
        await me.committed()
        assert environment(pi, "web-web-1")["MODE"] == "new"
        assert (await me.plan()).empty


async def test_an_env_key_changed_on_the_host_is_named_and_its_value_stays_there(pi: LabHost, tmp_path: Path) -> None:
    canary, other = "canary-Zq8-before", "canary-Xw3-after"
    path = f"{pi.root}/configs/web.env"
    pi.sh(f"mkdir -p {pi.root}/configs; printf 'DB_PASSWORD={canary}\\nSAME=1\\nGONE=2\\n' >{path}; chmod 600 {path}")
    async with laptop(pi, tmp_path) as me, wire() as heard:
        me.write("pi/web", compose({"web": service(env_file=["./configs/web.env"])}))
        await me.committed()
        assert (await me.plan()).empty
        pi.sh(f"printf 'DB_PASSWORD={other}\\nSAME=1\\nNEW=3\\n' >{path}")
        plan = await me.plan()
        details = {cause.detail for cause in plan.changes[0].causes if cause.kind == "env"}
        assert details == {f"~ DB_PASSWORD in {path}", f"+ NEW in {path}", f"- GONE in {path}"}
        await me.committed()
        assert environment(pi, "web-web-1")["DB_PASSWORD"] == other
        await me.world.deployer().releases("web")
        assert len(heard) > 5000
    for secret in (canary, other):
        assert secret.encode() not in bytes(heard)
        assert not any(secret.encode() in content for content in whole(tmp_path))


async def test_a_shipped_file_recreates_restarts_reloads_or_only_lies_there(pi: LabHost, tmp_path: Path) -> None:
    """One service per policy; each sees the new content, and only the recreated one is another container."""
    policies: dict[str, dict[str, str]] = {
        "recreated": {},
        "restarted": {"on_change": "restart"},
        "reloaded": {"reload": "sh -c 'cat /etc/conf/f >/reloaded'"},
        "left": {"on_change": "none"},
    }
    stack = compose({name: service(volumes=[f"./configs/{name}:/etc/conf:ro"]) for name in policies})
    spec = {"files": [{"path": f"configs/{name}/f", **policy} for name, policy in policies.items()]}
    # a reload needs the directory mounted: after the rename a single bind still shows the old inode
    async with laptop(pi, tmp_path) as me:
        me.write("pi/web", stack, spec, {f"configs/{name}/f": "one\n" for name in policies})
        await me.committed()
        before = {name: container_id(pi, f"web-{name}-1") for name in policies}
        started = pi.sh("docker inspect -f '{{.State.StartedAt}}' web-restarted-1")
        me.write("pi/web", stack, spec, {f"configs/{name}/f": "two\n" for name in policies})
        plan = await me.plan()
        assert effects(plan) == {
            "recreated": Effect.RECREATE,
            "restarted": Effect.RESTART,
            "reloaded": Effect.RELOAD,
            "left": Effect.NONE,
        }
        assert causes(plan, "recreated") == {"files": "configs/recreated/f"}
        await me.committed()
        after = {name: container_id(pi, f"web-{name}-1") for name in policies}
        assert [name for name in policies if before[name] != after[name]] == ["recreated"]
        assert pi.sh("docker inspect -f '{{.State.StartedAt}}' web-restarted-1") != started
        assert pi.sh("docker exec web-reloaded-1 cat /reloaded") == "two\n"
        for name in policies:
            assert pi.sh(f"docker exec web-{name}-1 cat /etc/conf/f") == "two\n", name
        assert (await me.plan()).empty


async def test_a_file_edited_on_the_host_is_drift_and_put_right(pi: LabHost, tmp_path: Path) -> None:
    async with laptop(pi, tmp_path) as me:
        stack = compose({"web": service(volumes=["./configs/web:/etc/conf:ro"])})
        me.write("pi/web", stack, {"files": [{"path": "configs/web/f"}]}, {"configs/web/f": "ours\n"})
        await me.committed()
        pi.sh(f"echo theirs >{pi.root}/configs/web/f")
        plan = await me.plan()
        assert (effects(plan), plan.installs) == ({"web": Effect.RESTART}, ("configs/web/f",))
        await me.committed()
        assert pi.sh("docker exec web-web-1 cat /etc/conf/f") == "ours\n"


async def test_a_stopped_service_is_started(pi: LabHost, tmp_path: Path) -> None:
    async with laptop(pi, tmp_path) as me:
        await me.committed()
        before = container_id(pi, "web-web-1")
        pi.sh("docker stop web-web-1")
        plan = await me.plan()
        assert causes(plan) == {"state": "its container is exited: it is started"}
        await me.committed()
        assert running(pi)["web-web-1"].endswith(" running")
        assert container_id(pi, "web-web-1") == before


async def test_a_removed_service_goes_and_comes_back_with_a_rollback(pi: LabHost, tmp_path: Path) -> None:
    async with laptop(pi, tmp_path) as me:
        me.write("pi/web", compose({"web": service(), "extra": service()}))
        await me.committed()
        me.write("pi/web", compose())
        plan = await me.plan()
        assert effects(plan) == {"extra": Effect.REMOVE, "web": Effect.NONE}
        await me.committed()
        assert list(running(pi)) == ["web-web-1"]
        assert (await me.rollback()).outcome is Outcome.COMMITTED
        assert sorted(running(pi)) == ["web-extra-1", "web-web-1"]


async def test_one_shots_run_to_their_end_and_again_only_as_the_plan_says(pi: LabHost, tmp_path: Path) -> None:
    async with laptop(pi, tmp_path) as me:
        init = service(entrypoint=["sh", "-c", "exit 0"], restart="no", healthcheck=None)
        waits = {"init": {"condition": "service_completed_successfully"}}
        me.write("pi/web", compose({"web": service(depends_on=waits), "init": init}), {"one_shots": ["init"]})
        await me.committed()
        assert [event.service for event in me.told(ServiceHealthy)] == ["init", "web"]
        ended = "docker inspect -f '{{.State.ExitCode}} {{.State.FinishedAt}}' web-init-1"
        once = pi.sh(ended)
        assert once.startswith("0 ")
        assert (await me.plan()).empty
        me.write(
            "pi/web",
            compose({"web": service(depends_on=waits, environment={"A": "1"}), "init": init}),
            {"one_shots": ["init"]},
        )
        plan = await me.plan()
        assert effects(plan) == {"init": Effect.NONE, "web": Effect.RECREATE}
        await me.committed()
        again = any(note.startswith("init runs once more: Compose 2.") for note in plan.notes)
        assert (pi.sh(ended) != once) is again  # as the plan says; Compose 2.29.3 and newer need not


async def test_a_service_in_anothers_network_follows_its_parent(pi: LabHost, tmp_path: Path) -> None:
    async with laptop(pi, tmp_path) as me:
        side = service(network_mode="service:web", entrypoint=["sleep", "1000"], stop_grace_period="0s")
        me.write("pi/web", compose({"web": service(), "side": side}))
        await me.committed()
        assert (await me.plan()).empty
        me.write("pi/web", compose({"web": service(environment={"A": "1"}), "side": side}))
        plan = await me.plan()
        assert effects(plan) == {"web": Effect.RECREATE, "side": Effect.RECREATE}
        await me.committed()
        parent = container_id(pi, "web-web-1")
        mode = pi.sh("docker inspect -f '{{.HostConfig.NetworkMode}}' web-side-1").strip()
        assert mode == f"container:{parent}"
        assert (await me.plan()).empty


async def test_the_scripts_mean_the_same_to_bash(pi: LabHost, tmp_path: Path) -> None:
    """The host's own sh is dash; here it is bash for a deploy, a change and a revert."""
    pi.sh("ln -sf /bin/bash /usr/local/bin/sh")
    pi.sh(f"mkdir -p {pi.root}/configs; echo DB_PASSWORD=one >{pi.root}/configs/web.env")
    try:
        async with laptop(pi, tmp_path) as me:
            keys = {"env_file": ["./configs/web.env"], "volumes": ["./configs/conf:/etc/conf:ro"]}
            spec = {"files": [{"path": "configs/conf"}]}
            me.write("pi/web", compose({"web": service(**keys)}), spec, {"configs/conf/a b.conf": "x\n"})
            await me.committed()
            assert (await me.plan()).empty
            pi.sh(f"echo DB_PASSWORD=two >{pi.root}/configs/web.env")
            assert causes(await me.plan()) == {"env": f"~ DB_PASSWORD in {pi.root}/configs/web.env"}
            leaky = ["sh", "-c", "echo $$DB_PASSWORD-; exit 1"]
            me.write("pi/web", compose({"web": service(**keys, entrypoint=leaky, healthcheck=None)}), spec)
            pi.sh(f"echo DB_PASSWORD=canary >{pi.root}/configs/web.env")
            end = await me.deploy()
            assert (end.outcome, "•••-" in end.output) == (Outcome.REVERTED, True)
            assert running(pi)["web-web-1"].endswith(" running")
    finally:
        pi.sh("rm -f /usr/local/bin/sh")
