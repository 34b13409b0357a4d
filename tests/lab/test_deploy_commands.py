"""`before` and `after` commands with a real Compose: the right image, nothing changed by a failure, dumps."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from deploy_kit import (
    Laptop,
    compose,
    container_id,
    current,
    environment,
    laptop,
    pending,
    running,
    service,
    until,
)
from lab_host import LabHost
from lab_registry import Registry

from vpai_tui.errors import PreflightRefused
from vpai_tui.fleet.operation import HookDone, HookFailed, HookStarted, Outcome, StepStarted

pytestmark = pytest.mark.lab

DB = "docker.io/lab/hook-db"
DUMP = {"run": "head -c 2000 /dev/zero >/srv/$(cat /etc/version).dump", "service": "db", "container": "running"}
FRESH = {"glob": "srv/*.dump", "max_age_s": 3600, "min_size_bytes": 1000, "dump_of": "db"}


@pytest.fixture(autouse=True)
def images(registry: Registry) -> None:
    for version in ("17.6", "18.0"):
        registry.push(f"{DB}:{version}", version, megabytes=(1,))


def database(version: str, **keys: Any) -> dict[str, Any]:
    """Everything that would be in the way of a second container: a name, a port, a volume."""
    ours = {"container_name": "the-db", "ports": ["18080:8080"], "volumes": ["./srv:/srv", "data:/data"]}
    return compose({"db": service(f"{DB}:{version}", **ours, **keys)}, volumes={"data": {}})


async def first(host: LabHost, me: Laptop) -> str:
    host.sh(f"mkdir -p {host.root}/srv")
    me.write("pi/web", database("17.6"), {"data": ["db"]})
    return await me.committed()


def ran(host: LabHost) -> list[str]:
    return host.sh(f"cat {host.root}/srv/ran").splitlines()


def hooked(host: LabHost) -> str:
    """One-off containers of commands that are still there."""
    return host.sh("docker ps -aq --filter label=vpai.hook").strip()


async def test_a_new_major_version_waits_for_a_dump_and_each_command_has_its_image(pi: LabHost, tmp_path: Path) -> None:
    said = "echo $(cat /etc/version) >>/srv/ran"
    old, new = {"run": said, "service": "db", "container": "running"}, {"run": said, "service": "db"}
    host = {"run": 'echo "$STACK $(stat -c %a deploy)" >>srv/ran'}
    async with laptop(pi, tmp_path, ["pi/web"]) as me:
        good = await first(pi, me)
        before = container_id(pi, "the-db")
        me.write("pi/web", database("18.0"), {"data": ["db"], "before": [old]})
        with pytest.raises(PreflightRefused, match=r"db goes from version 17 to 18, and no dump of it is declared"):
            await me.plan()
        me.write("pi/web", database("18.0"), {"data": ["db"], "fresh": [FRESH], "before": [old, new, host]})
        end = await me.deploy()
        assert (end.outcome, end.exit_code) == (Outcome.REFUSED, 78)
        assert end.reason.startswith("db goes from version 17 to 18, and no dump of it was made")
        assert ran(pi) == ["17.6", "18.0", "web 700"]
        assert (container_id(pi, "the-db"), current(pi), pending(pi), hooked(pi)) == (before, good, "", "")
        spec = {"data": ["db"], "fresh": [FRESH], "before": [DUMP], "after": [new]}
        me.write("pi/web", database("18.0"), spec)
        plan = await me.plan()
        assert [(item.service, item.path, item.problem) for item in plan.dumps] == [("db", None, "no dump found")]
        assert [item.where for item in (*plan.before, *plan.after)] == ["in the running db", "in the running db"]
        newest = await me.committed()
        assert [event.hook for event in me.told(HookDone)] == ["before 1", "after 1"]
        assert ran(pi)[3:] == ["18.0"]
        (dump,) = (await me.plan()).dumps
        assert (dump.path, dump.size_bytes) == (f"{pi.root}/srv/17.6.dump", 2000)
        assert dump.age_s is not None and 0 <= dump.age_s < 60
        found = {item.id: item for item in await me.world.deployer().releases("web")}
        assert (found[newest].data_newer, found[good].data_newer, found[good].restorable) == (False, True, True)
        assert dict(found[newest].dumps) == {"db": f"{pi.root}/srv/17.6.dump"}
        back = await me.world.deployer().plan_rollback("web")
        assert "db goes from version 18 to 17" in back.dangers[0].detail
        assert back.before == back.after == ()
        assert (await me.rollback()).outcome is Outcome.COMMITTED
        assert len(ran(pi)) == 4


async def test_commands_that_fail_or_do_not_end_change_nothing(pi: LabHost, tmp_path: Path) -> None:
    # Long enough for a container to start on a machine that has much to do.
    endless = {"run": "echo waits for the lock; sleep 600", "service": "db", "timeout_s": 8}
    async with laptop(pi, tmp_path, ["pi/web"]) as me:
        good = await first(pi, me)
        before = container_id(pi, "the-db")
        me.write("pi/web", database("17.6", environment={"V": "2"}), {"before": [endless]})
        end = await me.deploy()
        assert (end.outcome, end.exit_code) == (Outcome.REVERTED, 4)
        told = "before 1 in a container of the new db: not done after 8 s: waits for the lock; no container was touched"
        assert end.reason == told
        assert "waits for the lock" in end.output
        assert me.told(HookFailed) and not me.told(StepStarted)
        me.write("pi/web", database("17.6", environment={"V": "2"}), {"before": [{**endless, "container": "running"}]})
        assert (await me.deploy()).outcome is Outcome.REVERTED
        assert "sleep 600" not in pi.sh("docker top the-db")
        assert (container_id(pi, "the-db"), current(pi), pending(pi), hooked(pi)) == (before, good, "", "")
        broken = {"run": "echo no such table: users >&2; exit 2", "service": "db"}
        me.write("pi/web", database("17.6", environment={"V": "2"}), {"after": [broken]})
        end = await me.deploy()
        assert (end.outcome, end.reason) == (
            Outcome.REVERTED,
            "after 1 in the running db: exit 2: no such table: users",
        )
        assert "V" not in environment(pi, "the-db")


async def test_a_kill_in_a_command_leaves_no_container_and_is_settled(pi: LabHost, tmp_path: Path) -> None:
    wait = {"run": "echo begun >>/srv/ran; [ -e /srv/go ] || sleep 600", "service": "db", "timeout_s": 900}
    once = {"run": "echo once >>srv/ran"}
    async with laptop(pi, tmp_path, ["pi/web"]) as me:
        await first(pi, me)
        me.write("pi/web", database("17.6", environment={"V": "2"}), {"before": [once, wait]})
        deploying = asyncio.create_task(me.deploy())
        await until(pi, f"grep -q begun {pi.root}/srv/ran")
        pi.sh(f"pkill -KILL -s $(sed -n 's/^pid=\\([0-9]*\\).*/\\1/p' {pi.root}/deploy/owner)")
        end = await deploying
        assert (end.outcome, pending(pi)) == (Outcome.FAILED, end.release)
        assert [event.hook for event in me.told(HookStarted)] == ["before 1", "before 2"]
        assert hooked(pi)
        pi.sh(f"touch {pi.root}/srv/go; flock -w 10 {pi.root}/deploy/lock true")
        end = await me.settle("resume")
        assert (end.outcome, ran(pi), current(pi)) == (Outcome.COMMITTED, ["once", "begun", "begun"], end.release)
        assert (hooked(pi), pending(pi), list(running(pi))) == ("", "", ["the-db"])
        assert environment(pi, "the-db")["V"] == "2"
