"""Deploys that are disturbed: clients, runners and links that die, and operators who meet."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from deploy_kit import (
    CHECK,
    WEB,
    Laptop,
    compose,
    current,
    environment,
    home,
    laptop,
    pending,
    push,
    running,
    service,
    until,
)
from lab_host import LabHost
from lab_registry import Registry

from vpai_tui.clock import SystemClock
from vpai_tui.deploy import apply
from vpai_tui.deploy.host import place_of
from vpai_tui.errors import Interrupted, LockHeld, UsageError
from vpai_tui.fleet.operation import Confirmed, Event, Finished, Journaled, Outcome, RevertStarted, ServiceStarted
from vpai_tui.remote import login

pytestmark = pytest.mark.lab


@pytest.fixture(autouse=True)
def images(registry: Registry) -> None:
    push(registry, WEB)


def waiting(number: str) -> dict[str, Any]:
    """A stack that becomes healthy when the test lets it: the file `go` on the host."""
    check = {**CHECK, "test": ["CMD-SHELL", f"test -e /etc/gate/{number}"]}
    return compose({"web": service(environment={"V": number}, healthcheck=check, volumes=["./gate:/etc/gate:ro"])})


def let_go(host: LabHost, number: str) -> None:
    host.sh(f"touch {host.root}/gate/{number}")


async def first(host: LabHost, me: Laptop) -> str:
    """Version 1 runs; version 2 is written and will wait."""
    host.sh(f"mkdir -p {host.root}/gate; touch {host.root}/gate/1")
    me.write("sese/web", waiting("1"))
    release = await me.committed()
    me.write("sese/web", waiting("2"))
    return release


async def at_gate(events: AsyncIterator[Event]) -> list[Event]:
    """Follows until the service is up and not yet healthy."""
    seen = []
    async for event in events:
        seen.append(event)
        if isinstance(event, ServiceStarted):
            return seen
    raise AssertionError(seen)


async def rest(events: AsyncIterator[Event]) -> Finished:
    last = [event async for event in events][-1]
    assert isinstance(last, Finished)
    return last


async def status(me: Laptop) -> tuple[str | None, list[str]]:
    """What `vpai-tui status` tells of the stack: its pending release, and alerts of an interrupted one."""
    code, out, err = await me.run_cli("status", "--json")
    assert code == 0, err
    told = json.loads(out)
    alerts = [alert["message"] for alert in told["alerts"] if "interrupted" in alert["message"]]
    return told["stacks"][0]["pending"], alerts


def kill_runner(host: LabHost) -> None:
    host.sh(f"kill -KILL $(sed -n 's/^pid=\\([0-9]*\\).*/\\1/p' {host.root}/deploy/owner)")


async def test_the_host_commits_alone_when_the_client_is_killed(sese: LabHost, tmp_path: Path) -> None:
    async with laptop(sese, tmp_path) as me:
        await first(sese, me)
        client = await asyncio.create_subprocess_exec(
            *me.cli("deploy", "web", "--yes"), stdout=asyncio.subprocess.DEVNULL
        )
        await until(sese, f"test -L {home(sese)}/pending && docker inspect web-web-1 | grep -q '\"V=2\"'")
        client.kill()
        await client.wait()
        release = pending(sese)
        assert await status(me) == (release, [])
        let_go(sese, "2")
        await until(sese, f"test $(basename $(readlink {home(sese)}/current)) = {release}")
        code, out, _ = await me.run_cli("releases", "web", "--json")
        told = json.loads(out)
        newest = told["releases"][0]
        assert (code, told["current"], newest["id"], newest["outcome"]) == (0, release, release, "ok")


@pytest.mark.parametrize("how", ["revert", "resume"])
async def test_a_killed_runner_is_found_refused_and_settled(sese: LabHost, tmp_path: Path, how: str) -> None:
    async with laptop(sese, tmp_path) as me:
        good = await first(sese, me)
        deployer = me.world.deployer()
        async with aclosing(deployer.apply(await deployer.plan("web"))) as events:
            await at_gate(events)
            kill_runner(sese)
            end = await rest(events)
        assert (end.outcome, end.exit_code) == (Outcome.FAILED, 1)
        assert "interrupted: resume or revert it" in end.reason
        with pytest.raises(Interrupted) as caught:
            await me.plan()
        assert caught.value.exit_code == 76
        assert "vpai-tui revert" in caught.value.remedy
        code, _, told = await me.run_cli("deploy", "web", "--yes")
        assert (code, "was interrupted" in told) == (76, True)
        release, alerts = await status(me)
        assert release == end.release
        assert alerts == [f"the deploy of {release} was interrupted; the way back is {good}"]
        let_go(sese, "2")
        end = await me.settle(how)
        expected = {
            "revert": (Outcome.REVERTED, good, "1"),
            "resume": (Outcome.COMMITTED, end.release, "2"),
        }
        assert (end.outcome, current(sese), environment(sese, "web-web-1")["V"]) == expected[how]
        assert pending(sese) == ""
        with pytest.raises(UsageError, match="no deploy of it was interrupted"):
            await me.settle(how)
        assert (await me.plan()).empty is (how == "resume")


@pytest.mark.parametrize(("how", "model"), [("revert", "small"), ("resume", "large")])
async def test_a_value_edited_while_a_deploy_lay_interrupted_survives_its_settling(
    sese: LabHost, tmp_path: Path, how: str, model: str
) -> None:
    path = "configs/litellm/config.yaml"
    spec = {"files": [{"path": path}], "live": [{"file": path, "keys": ["max_budget"]}]}

    def stack(number: str) -> dict[str, Any]:
        made = waiting(number)
        made["services"]["web"]["volumes"].append("./configs/litellm:/etc/litellm:ro")
        return made

    async with laptop(sese, tmp_path) as me:
        sese.sh(f"mkdir -p {sese.root}/gate; touch {sese.root}/gate/1")
        me.write("sese/web", stack("1"), spec, {path: "# money\nmax_budget: 10\nmodel: small\n"})
        await me.committed()
        me.write("sese/web", stack("2"), spec, {path: "# money\nmax_budget: 10\nmodel: large\n"})
        deployer = me.world.deployer()
        async with aclosing(deployer.apply(await deployer.plan("web"))) as events:
            await at_gate(events)
            kill_runner(sese)
            await rest(events)
        sese.sh(f"sed -i 's/max_budget: 10/max_budget: 99/' {sese.root}/{path}")
        let_go(sese, "2")
        await me.settle(how)
        assert sese.sh(f"cat {sese.root}/{path}") == f"# money\nmax_budget: 99\nmodel: {model}\n"
        assert sese.sh(f"stat -c '%a %U' {sese.root}/{path}") == "644 root\n"
        assert sese.sh("docker exec web-web-1 cat /etc/litellm/config.yaml").endswith(f"99\nmodel: {model}\n")
        assert pending(sese) == ""


async def test_runner_and_compose_killed_in_the_middle_of_a_recreate(sese: LabHost, tmp_path: Path) -> None:
    """Compose leaves `<12 hex>_name` behind and no service running; nothing of it is left after the revert."""
    async with laptop(sese, tmp_path) as me:
        stubborn = {"entrypoint": ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"], "stop_grace_period": "4s"}
        me.write("sese/web", compose({"web": service(**stubborn, environment={"V": "1"}, container_name="front")}))
        good = await me.committed()
        me.write("sese/web", compose({"web": service(**stubborn, environment={"V": "2"}, container_name="front")}))
        deploying = asyncio.create_task(me.deploy())
        await until(sese, "docker ps -a --format '{{.Names}}' | grep -qE '^[0-9a-f]{12}_front$'")
        sese.sh(f"pkill -KILL -s $(sed -n 's/^pid=\\([0-9]*\\).*/\\1/p' {sese.root}/deploy/owner)")
        assert (await deploying).outcome is Outcome.FAILED
        await until(sese, f"flock -n {sese.root}/deploy/lock true")
        end = await me.settle("revert")
        assert end.outcome is Outcome.REVERTED, end
        assert list(running(sese)) == ["front"]
        assert running(sese)["front"].endswith(" running")
        assert environment(sese, "front")["V"] == "1"
        assert (current(sese), pending(sese)) == (good, "")


async def test_a_host_that_lost_power_is_settled_afterwards(sese: LabHost, tmp_path: Path) -> None:
    async with laptop(sese, tmp_path) as me:
        good = await first(sese, me)
        deployer = me.world.deployer()
        async with aclosing(deployer.apply(await deployer.plan("web"))) as events:
            await at_gate(events)
            await asyncio.to_thread(sese.lab.crash, "sese")
            await asyncio.to_thread(sese.lab.boot, "sese")
            end = await rest(events)
        assert (end.outcome, "interrupted" in end.reason) == (Outcome.FAILED, True)
        end = await me.settle("revert")
        assert (end.outcome, current(sese)) == (Outcome.REVERTED, good)
        assert environment(sese, "web-web-1")["V"] == "1"


@pytest.fixture
def watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead link is noticed in 2 s instead of 8 (which test_remote_lab measures)."""
    monkeypatch.setattr(login, "KEEPALIVE_INTERVAL_S", 0.5)


async def test_a_cut_link_is_taken_up_again(sese: LabHost, tmp_path: Path, watchful: None) -> None:
    async with laptop(sese, tmp_path) as me:
        await first(sese, me)
        deployer = me.world.deployer()
        async with aclosing(deployer.apply(await deployer.plan("web"))) as events:
            await at_gate(events)
            await asyncio.to_thread(sese.cut)
            async for event in events:
                if isinstance(event, Journaled) and event.what == "link_lost":
                    break
            let_go(sese, "2")
            await asyncio.to_thread(sese.heal)
            end = await rest(events)
        assert end.outcome is Outcome.COMMITTED
        assert current(sese) == end.release


async def test_a_link_that_stays_cut_leaves_the_outcome_unknown_and_the_host_commits(
    sese: LabHost, tmp_path: Path, watchful: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "RECONNECT_WITHIN_S", 0.5)
    async with laptop(sese, tmp_path) as me:
        await first(sese, me)
        deployer = me.world.deployer()
        async with aclosing(deployer.apply(await deployer.plan("web"))) as events:
            await at_gate(events)
            await asyncio.to_thread(sese.cut)
            let_go(sese, "2")
            end = await rest(events)
        assert (end.outcome, end.exit_code) == (Outcome.UNKNOWN, 79)
        await until(sese, f"test ! -L {home(sese)}/pending")
        await asyncio.to_thread(sese.heal)
        assert current(sese) == end.release
        assert (await me.plan()).empty


async def test_another_operator_may_watch_and_is_refused_a_deploy_of_his_own(sese: LabHost, tmp_path: Path) -> None:
    async with laptop(sese, tmp_path / "a") as me, laptop(sese, tmp_path / "b") as other:
        await first(sese, me)
        other.write("sese/web", compose({"web": service(environment={"V": "3"})}))
        deployer = me.world.deployer()
        async with aclosing(deployer.apply(await deployer.plan("web"))) as events:
            seen = await at_gate(events)
            theirs = other.world.deployer()
            plan = await theirs.plan("web")
            assert any("another deploy runs on this host: pid=" in note for note in plan.notes)
            end = await other.follow(theirs.apply(plan))
            assert (end.outcome, end.exit_code) == (Outcome.REFUSED, 75)
            assert "another deploy holds the lock: pid=" in end.reason
            assert "apply web by " in end.reason
            with pytest.raises(LockHeld, match="a deploy is running"):
                await other.settle("revert")
            let_go(sese, "2")
            watched, end = await asyncio.gather(other.follow(other.world.deployer().attach("web")), rest(events))
        assert (watched.outcome, end.outcome) == (Outcome.COMMITTED, Outcome.COMMITTED)
        journal = [event for event in seen if isinstance(event, Journaled)]
        assert other.events[: len(journal)] == journal
        assert current(sese) == end.release


async def test_a_deploy_right_after_another_waits_while_the_first_tidies_up(sese: LabHost, tmp_path: Path) -> None:
    async with laptop(sese, tmp_path) as me:
        await me.committed()
        await until(sese, f"flock -n {sese.root}/deploy/lock true")
        sese.sh(
            f"cd {sese.root}/deploy; echo 'pid=1 tidies up after web since now' >owner;"
            "(exec 9>>lock; flock 9; sleep 5) >/dev/null 2>&1 &"
        )
        me.write("sese/web", compose({"web": service(environment={"V": "2"})}))
        plan = await me.plan()
        assert plan.notes == ()
        await me.committed()


async def test_a_host_that_changed_since_the_plan_is_not_touched(sese: LabHost, tmp_path: Path) -> None:
    async with laptop(sese, tmp_path) as me:
        good = await me.committed()
        me.write("sese/web", compose({"web": service(environment={"V": "2"})}))
        deployer = me.world.deployer()
        plan = await deployer.plan("web")
        sese.sh("docker rm -f web-web-1")
        end = await me.follow(deployer.apply(plan))
        assert (end.outcome, end.exit_code) == (Outcome.REFUSED, 77)
        assert end.reason == "the host changed since the plan was made"
        assert (running(sese), current(sese), pending(sese)) == ({}, good, "")
        assert all(item.id != end.release for item in await me.world.deployer().releases("web"))


async def test_settling_what_was_settled_is_refused_and_leaves_the_release_as_it_is(
    sese: LabHost, tmp_path: Path
) -> None:
    async with laptop(sese, tmp_path) as me:
        release = await me.committed()
        connection = await me.world.connection("sese")
        place = place_of(connection, "web", "web")
        run = apply.Run(connection, place, release, "test", SystemClock(), lambda: me.world.fresh("sese"))
        run.skip(int(sese.sh(f"wc -l <{home(sese)}/releases/{release}/journal")))
        end = await rest(run.start("revert", b""))
        assert (end.outcome, end.exit_code) == (Outcome.REFUSED, 77)
        (known,) = await me.world.deployer().releases("web")
        assert (known.outcome, known.current) == ("ok", True)


# ── the hub: confirmed over a new connection, or taken back ──────────────────────────────────────────────────────────


async def test_the_hub_commits_when_a_new_connection_confirms(seko: LabHost, tmp_path: Path) -> None:
    async with laptop(seko, tmp_path, ["seko/web"]) as me:
        plan = await me.plan()
        assert plan.confirm_word == "seko/web"
        await me.committed()
        assert me.told(Confirmed)
        assert current(seko) != ""


async def test_the_hub_reverts_when_nobody_can_reach_it_any_more(seko: LabHost, tmp_path: Path) -> None:
    async with laptop(seko, tmp_path, ["seko/web"]) as me:
        me.write("seko/web", compose(), {"confirm_timeout_s": 10})
        good = await me.committed()
        me.write("seko/web", compose({"web": service(environment={"V": "2"})}), {"confirm_timeout_s": 3})
        deployer = me.world.deployer()
        plan = await deployer.plan("web")
        # connections that exist go on, new ones find nobody: what a broken VPN or firewall looks like
        seko.sh("iptables -I INPUT 1 -i eth0 -p tcp --dport 22 --syn -m comment --comment lab-cut -j DROP")
        end = await me.follow(deployer.apply(plan))
        assert (end.outcome, end.reason) == (Outcome.REVERTED, "nobody confirmed")
        assert [event.reason for event in me.told(RevertStarted)] == ["nobody confirmed"]
        assert "V" not in environment(seko, "web-web-1")
        assert current(seko) == good
