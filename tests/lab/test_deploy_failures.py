"""Deploys that fail: what is refused before anything changes, and what the host takes back by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from deploy_kit import (
    CRASH,
    SICK,
    WEB,
    compose,
    container_id,
    current,
    environment,
    home,
    laptop,
    pending,
    push,
    running,
    service,
    wire,
)
from lab_host import LabHost
from lab_registry import Registry

from vpai_tui.errors import PreflightRefused
from vpai_tui.fleet.operation import Outcome, RevertStarted, StepFailed, StepStarted

pytestmark = pytest.mark.lab


@pytest.fixture(autouse=True)
def images(registry: Registry) -> None:
    push(registry, WEB, CRASH)


async def test_a_crash_loop_without_healthcheck_is_reverted_with_its_last_lines(seko: LabHost, tmp_path: Path) -> None:
    async with laptop(seko, tmp_path) as me:
        good = await me.committed()
        image = running(seko)["web-web-1"]
        me.write("seko/web", compose({"web": service(CRASH, healthcheck=None)}))
        end = await me.deploy()
        assert (end.outcome, end.exit_code) == (Outcome.REVERTED, 4)
        assert "cannot open the database: no such table" in end.output
        assert me.told(StepFailed)[0].service == "web"
        assert (current(seko), pending(seko), running(seko)["web-web-1"]) == (good, "", image)
        reverted = (await me.world.deployer().releases("web"))[0]
        assert (reverted.id, reverted.outcome, reverted.restorable) == (end.release, "reverted", False)
        me.write("seko/web", compose())
        assert (await me.plan()).empty


async def test_failing_health_takes_back_every_service_of_the_deploy(seko: LabHost, tmp_path: Path) -> None:
    async with laptop(seko, tmp_path) as me:
        me.write("seko/web", compose({"first": service(), "second": service(), "third": service()}))
        await me.committed()
        untouched = container_id(seko, "web-third-1")
        changed: dict[str, Any] = {"environment": {"V": "2"}}
        me.write(
            "seko/web",
            compose(
                {
                    "first": service(**changed),
                    "second": service(healthcheck=SICK, **changed),
                    "third": service(**changed),
                }
            ),
        )
        end = await me.deploy()
        assert (end.outcome, end.reason) == (Outcome.REVERTED, "second: unhealthy by its own check")
        assert [event.reason for event in me.told(RevertStarted)] == ["second: unhealthy by its own check"]
        assert "V" not in environment(seko, "web-first-1")
        assert "V" not in environment(seko, "web-second-1")
        assert container_id(seko, "web-third-1") == untouched
        names = [event.name for event in me.events]
        back = me.events[names.index("revert_started") :]
        assert [event.service for event in back if isinstance(event, StepStarted)] == ["first", "second"]


async def test_a_first_deploy_that_fails_leaves_nothing(seko: LabHost, tmp_path: Path) -> None:
    async with laptop(seko, tmp_path) as me:
        stack = compose(
            {"good": service(volumes=["./configs/web:/etc/conf:ro"]), "sick": service(healthcheck=SICK)},
            networks={"inner": {}},
        )
        me.write("seko/web", stack, {"files": [{"path": "configs/web/f"}]}, {"configs/web/f": "x\n"})
        end = await me.deploy()
        assert end.outcome is Outcome.REVERTED
        assert seko.sh("docker ps -aq; docker network ls -q --filter type=custom") == ""
        assert seko.sh(f"find {seko.root}/configs -type f") == ""
        assert (current(seko), pending(seko)) == ("", "")
        me.write("seko/web", compose())
        await me.committed()


async def test_a_base_that_is_sick_itself_is_taken_back_and_blocks_nothing(seko: LabHost, tmp_path: Path) -> None:
    async with laptop(seko, tmp_path) as me:
        sick_later = {**SICK, "test": ["CMD-SHELL", "test ! -e /etc/conf/sick"]}
        stack = {"healthcheck": sick_later, "volumes": ["./configs:/etc/conf:ro"]}
        me.write("seko/web", compose({"web": service(**stack)}))
        seko.sh(f"mkdir -p {seko.root}/configs")
        good = await me.committed()
        seko.sh(f"touch {seko.root}/configs/sick")
        me.write("seko/web", compose({"web": service(**stack, environment={"V": "2"})}))
        end = await me.deploy()
        assert (end.outcome, end.exit_code) == (Outcome.REVERT_FAILED, 1)
        assert "it was taken back, but then web: unhealthy" in end.reason
        assert (current(seko), pending(seko)) == (good, "")
        assert "V" not in environment(seko, "web-web-1")
        seko.sh(f"rm {seko.root}/configs/sick")
        await me.committed()


async def test_a_container_that_cannot_start_is_reverted(seko: LabHost, tmp_path: Path) -> None:
    """Compose has removed the old one by then: only the revert brings it back."""
    async with laptop(seko, tmp_path) as me:
        await me.committed()
        me.write("seko/web", compose({"web": service(entrypoint=["/no/such/program"])}))
        end = await me.deploy()
        assert end.outcome is Outcome.REVERTED
        assert "/no/such/program" in end.reason + end.output
        assert running(seko)["web-web-1"].endswith(" running")


async def test_everything_missing_is_refused_at_once_and_nothing_changes(seko: LabHost, tmp_path: Path) -> None:
    async with laptop(seko, tmp_path) as me:
        good = await me.committed()
        before = container_id(seko, "web-web-1")
        broken = service(
            env_file=["./configs/no.env"],
            volumes=["./configs/no.conf:/etc/no.conf:ro"],
            networks=["outer"],
        )
        me.write("seko/web", compose({"web": broken}, networks={"outer": {"external": True, "name": "not-there"}}))
        with pytest.raises(PreflightRefused) as caught:
            await me.deploy()
        assert caught.value.exit_code == 78
        for reason in (
            f"env file {seko.root}/configs/no.env is missing",
            f"bind source {seko.root}/configs/no.conf is missing",
            "network not-there does not exist",
        ):
            assert reason in caught.value.output
        assert (current(seko), container_id(seko, "web-web-1")) == (good, before)
        assert seko.sh(f"ls {home(seko)}/releases").split() == [good]
        assert seko.sh(f"ls {seko.root}").split() == ["deploy"]


@pytest.mark.parametrize(
    ("services", "reason"),
    [
        ({"web": service(environment={"A": "${WANTED:?say what}"})}, "WANTED"),
        ({"web": service(ports="many")}, "ports"),
    ],
)
async def test_what_compose_refuses_is_refused(
    seko: LabHost, tmp_path: Path, services: dict[str, Any], reason: str
) -> None:
    async with laptop(seko, tmp_path) as me:
        me.write("seko/web", compose(services))
        with pytest.raises(PreflightRefused) as caught:
            await me.plan()
        assert "compose refuses the files" in caught.value.message
        assert reason in caught.value.output
        assert seko.sh(f"ls {seko.root}") == ""


async def test_an_env_file_that_goes_between_plan_and_apply_is_refused_by_the_host(
    seko: LabHost, tmp_path: Path
) -> None:
    seko.sh(f"mkdir {seko.root}/configs; echo A=1 >{seko.root}/configs/web.env")
    async with laptop(seko, tmp_path) as me:
        me.write("seko/web", compose({"web": service(env_file=["./configs/web.env"])}))
        deployer = me.world.deployer()
        plan = await deployer.plan("web")
        seko.sh(f"rm {seko.root}/configs/web.env")
        end = await me.follow(deployer.apply(plan))
        assert (end.outcome, end.exit_code) == (Outcome.REFUSED, 78)
        assert end.reason == f"env file {seko.root}/configs/web.env is missing"
        assert (running(seko), current(seko), pending(seko)) == ({}, "", "")


async def test_a_variable_without_a_value_is_refused_and_never_deployed_blank(seko: LabHost, tmp_path: Path) -> None:
    seko.sh(f"mkdir {seko.root}/configs; echo 'PASSWORD=canary$part_of_it' >{seko.root}/configs/web.env")
    blank = service(environment={"V": "${NOT_THERE}"}, env_file=["./configs/web.env"])
    async with laptop(seko, tmp_path) as me:
        me.write("seko/web", compose({"web": blank}))
        with pytest.raises(PreflightRefused, match="variable NOT_THERE has no value") as caught:
            await me.plan()
        assert "part_of_it" not in caught.value.output
        seko.sh(f"echo NOT_THERE=there >{seko.root}/.env")
        deployer = me.world.deployer()
        plan = await deployer.plan("web")
        seko.sh(f"rm {seko.root}/.env")
        end = await me.follow(deployer.apply(plan))
        assert (end.exit_code, end.reason) == (78, "variables have no value on the host: NOT_THERE")
        assert running(seko) == {}
        seko.sh(f"echo NOT_THERE= >{seko.root}/.env")  # blank on purpose
        await me.committed()
        assert environment(seko, "web-web-1")["V"] == ""


async def test_a_failing_service_that_prints_its_secret_prints_it_to_nobody(seko: LabHost, tmp_path: Path) -> None:
    canary = "canary-Jk7Lm2Pq"
    seko.sh(f"mkdir {seko.root}/configs; echo DB_PASSWORD={canary} >{seko.root}/configs/web.env")
    async with laptop(seko, tmp_path) as me, wire() as heard:
        leaky = ["sh", "-c", "echo login as root with $$DB_PASSWORD failed; exit 1"]
        me.write(
            "seko/web",
            compose({"web": service(entrypoint=leaky, healthcheck=None, env_file=["./configs/web.env"])}),
        )
        end = await me.deploy()
        assert end.outcome is Outcome.REVERTED
        assert "login as root with ••• failed" in end.output
        assert canary not in str(me.events)
    assert canary.encode() not in bytes(heard)
    assert canary not in seko.sh(f"cat {home(seko)}/releases/*/journal {home(seko)}/releases/*/status")


PLUGIN = "/usr/libexec/docker/cli-plugins/docker-compose"
HIDE = "for tool in {tools}; do mv $(command -v $tool) /root/hidden-$tool; done"
SHOW = "cd /root; for hidden in hidden-*; do [ ! -e $hidden ] || mv $hidden /usr/bin/${hidden#hidden-}; done"


async def test_a_host_without_its_tools_or_docker_is_refused_with_their_names(seko: LabHost, tmp_path: Path) -> None:
    async with laptop(seko, tmp_path) as me:
        try:
            seko.sh(HIDE.format(tools="flock setsid"))
            with pytest.raises(PreflightRefused) as caught:
                await me.plan()
            assert "`flock` is not installed on the host\n`setsid` is not installed on the host" in caught.value.output
            seko.sh(SHOW)
            seko.sh(HIDE.format(tools="docker"))
            with pytest.raises(PreflightRefused, match="Docker does not answer"):
                await me.plan()
            seko.sh(SHOW)
            seko.sh(f"mv {PLUGIN} /root/hidden-compose")
            with pytest.raises(PreflightRefused, match="the Compose plugin does not answer"):
                await me.plan()
        finally:
            seko.sh(f"[ ! -e /root/hidden-compose ] || mv /root/hidden-compose {PLUGIN}")
            seko.sh(SHOW)
        assert seko.sh(f"ls {seko.root}") == ""


async def test_a_compose_that_is_too_old_is_refused(seko: LabHost, tmp_path: Path) -> None:
    wrapper = '#!/bin/sh\n[ "$*" = "compose version --short" ] && { echo 2.20.3; exit; }\nexec /usr/bin/docker "$@"\n'
    seko.sh("cat >/usr/local/bin/docker; chmod 755 /usr/local/bin/docker", stdin=wrapper.encode())
    try:
        async with laptop(seko, tmp_path) as me:
            with pytest.raises(PreflightRefused, match=r"Compose 2\.20\.3 is too old; 2\.21 or newer is needed"):
                await me.plan()
    finally:
        seko.sh("rm /usr/local/bin/docker")


async def test_a_compose_that_could_show_secrets_raw_is_not_asked_for_them(seko: LabHost, tmp_path: Path) -> None:
    wrapper = '#!/bin/sh\n[ "$*" = "compose version --short" ] && { echo 2.25.0; exit; }\nexec /usr/bin/docker "$@"\n'
    seko.sh("cat >/usr/local/bin/docker; chmod 755 /usr/local/bin/docker", stdin=wrapper.encode())
    try:
        async with laptop(seko, tmp_path) as me:
            plan = await me.plan()
            assert any("before 2.26 it could show values" in note for note in plan.notes)
            release = await me.committed()
            assert seko.sh(f"cat {home(seko)}/releases/{release}/structure.json") == "{}"
    finally:
        seko.sh("rm /usr/local/bin/docker")


async def test_hostile_output_of_a_service_reaches_nobody_as_it_is(seko: LabHost, tmp_path: Path) -> None:
    async with laptop(seko, tmp_path) as me:
        hostile = ["sh", "-c", r"printf '\033]0;pwned\007[red]\302\233\377 tail\n'; exit 1"]
        me.write("seko/web", compose({"web": service(entrypoint=hostile, healthcheck=None)}))
        end = await me.deploy()
        assert end.outcome is Outcome.REVERTED
        assert "]0;pwned[red]\ufffd tail" in end.output
        assert all(char.isprintable() or char == "\n" for char in end.output)
