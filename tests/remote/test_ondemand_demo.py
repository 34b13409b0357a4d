"""OpenCut on the demo fleet, as an operator types it, through the real runner and the real watcher."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import import_module
from typing import Any

import pytest
import pytest_asyncio

from vpai_tui.cli import _complain
from vpai_tui.errors import OperatorError
from vpai_tui.verbs.arguments import parse
from vpai_tui.verbs.run import _HOMES
from vpai_tui.world import World, open_world

from .studio_kit import Pi

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("ondemand-demo")]

Run = Callable[..., Awaitable[tuple[int, Any]]]
SERVICES = ["opencut", "opencut-db", "opencut-srh", "opencut-valkey"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One demo for all of them."""
    args = parse(["opencut", "status", "--demo-dir", str(tmp_path_factory.mktemp("ondemand"))])
    async with open_world(args) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def run(world: World, capsys: pytest.CaptureFixture[str]) -> Run:
    """`await run("opencut", "status")` → exit code and the JSON that was printed (a list where lines were)."""

    async def call(*words: str) -> tuple[int, Any]:
        args = parse([*words, "--json"])
        home = next(name for name, verbs in _HOMES.items() if args.verb in verbs)
        try:
            code = await import_module(f"vpai_tui.verbs.{home}").VERBS[args.verb](world, args)
        except OperatorError as error:
            code = error.exit_code
            _complain(error, code, as_json=True)
        out = capsys.readouterr().out
        return code, json.loads(out) if out.startswith("{\n") else [json.loads(line) for line in out.splitlines()]

    return call


@pytest_asyncio.fixture(loop_scope="module")
async def pi(world: World) -> AsyncIterator[Pi]:
    assert world.demo is not None
    found = Pi(world.demo.folder)
    yield found
    found.end_watchers()


def error(lines: Any) -> dict[str, Any]:
    found: dict[str, Any] = lines[-1]["error"]
    return found


@pytest_asyncio.fixture(loop_scope="module")
async def stopped(run: Run, pi: Pi) -> Pi:
    assert (await run("opencut", "stop", "--yes", "--confirm", "pi/opencut"))[0] == 0
    assert pi.running() == []
    return pi


@pytest_asyncio.fixture(loop_scope="module")
async def started(run: Run, pi: Pi) -> Pi:
    code, lines = await run("opencut", "start", "--yes")
    assert code == 0, lines
    return pi


async def test_a_stop_frees_all_of_it_and_keeps_its_data(run: Run, pi: Pi) -> None:
    code, before = await run("opencut", "status")
    assert (code, before["state"], before["url"]) == (0, "healthy", "https://cut.ewutelo.cloud")
    assert before["memory_bytes"] > 0 and before["uptime_s"] > 0
    volumes = pi.volumes
    code, lines = await run("opencut", "stop", "--yes")
    assert (code, lines[0]["event"], lines[0]["frees_bytes"]) == (
        0,
        "planned",
        pytest.approx(before["memory_bytes"], rel=0.2),
    )
    assert lines[-1]["outcome"] == "committed"
    assert [line["service"] for line in lines if line["event"] == "service_removed"] == [
        "opencut", "opencut-srh", "opencut-valkey", "opencut-db",
    ], "what others stand on goes last"  # fmt: skip
    assert (pi.running(), pi.volumes) == ([], volumes)
    code, after = await run("opencut", "status")
    assert (after["state"], after["memory_bytes"], after["uptime_s"]) == ("stopped", 0, None)
    assert (await run("opencut", "stop", "--yes"))[1][-1]["outcome"] == "unchanged"


async def test_a_start_brings_what_was_deployed_and_makes_no_release(run: Run, stopped: Pi) -> None:
    before = stopped.releases
    code, lines = await run("opencut", "start", "--yes")
    assert (code, lines[-1]["outcome"]) == (0, "committed")
    planned = lines[0]
    assert (planned["kind"], planned["wanted_bytes"]) == ("start", 1536 << 20)
    assert [line["service"] for line in lines if line["event"] == "service_healthy"] == [
        "opencut-db", "opencut-valkey", "opencut-srh", "opencut",
    ]  # fmt: skip
    assert [line["detail"] for line in lines if line["event"] == "verified"] == [""]
    assert (stopped.running(), stopped.releases) == (SERVICES, before)
    assert (await run("opencut", "status"))[1]["state"] == "healthy"
    code, again = await run("ondemand", "pi/opencut", "start", "--yes")
    assert (code, again[-1]["outcome"], again[-1]["reason"]) == (0, "unchanged", "all of it runs already")
    assert (await run("plan", "opencut", "--exit-code"))[0] == 0, "it is what the files say"


async def test_the_history_has_both_from_any_laptop(run: Run, stopped: Pi, started: Pi) -> None:
    assert stopped is started
    lines = (await run("history", "--host", "pi"))[1]["entries"]
    mine = [it for it in lines if it["what"] in ("start", "stop") and it["result"] == "committed"]
    assert {it["what"] for it in mine} == {"start", "stop"}
    ids = [it["detail"].split()[0] for it in mine]
    assert len(set(ids)) == len(ids), "what host and laptop both tell is told once"


async def test_nobody_is_asked_without_a_terminal(run: Run, started: Pi) -> None:
    code, lines = await run("opencut", "stop")
    assert (code, error(lines)["remedy"]) == (2, "give --yes")
    assert started.running() == SERVICES


async def test_a_service_that_does_not_come_up_leaves_nothing_half_up(run: Run, stopped: Pi) -> None:
    stopped.behave("opencut", "crash")
    try:
        code, lines = await run("opencut", "start", "--yes")
    finally:
        stopped.behave("opencut", "")
    end = lines[-1]
    assert (code, end["outcome"]) == (4, "reverted")
    assert end["reason"].startswith("opencut: ")
    assert "last lines of opencut" in end["output"] and "panic: exit status 1" in end["output"]
    assert stopped.running() == []
    assert (await run("opencut", "status"))[1]["state"] == "stopped"
    assert (await run("opencut", "start", "--yes"))[0] == 0, "and the next one works"


async def test_an_unhealthy_one_is_no_start_either(run: Run, stopped: Pi) -> None:
    stopped.behave("opencut-db", "unhealthy")
    try:
        code, lines = await run("opencut", "start", "--yes")
    finally:
        stopped.behave("opencut-db", "")
    assert (code, lines[-1]["reason"]) == (4, "opencut-db: unhealthy by its own check")
    assert stopped.running() == []


async def test_what_ran_before_stays_when_a_start_fails(run: Run, started: Pi) -> None:
    assert started.sh("docker rm -f $(docker ps -q --filter label=com.docker.compose.service=opencut)").returncode == 0
    assert (await run("opencut", "status"))[1]["state"] == "failing"
    started.behave("opencut", "crash")
    try:
        assert (await run("opencut", "start", "--yes"))[0] == 4
    finally:
        started.behave("opencut", "")
    assert started.running() == ["opencut-db", "opencut-srh", "opencut-valkey"]
    assert (await run("opencut", "start", "--yes"))[0] == 0
    assert started.running() == SERVICES


# -- refusals -------------------------------------------------------------------------------------------------------


async def test_without_the_memory_it_names_who_has_it(run: Run, stopped: Pi) -> None:
    stopped.beside()
    stopped.play("full")
    await stopped.figures()
    try:
        code, lines = await run("opencut", "start", "--yes")
    finally:
        stopped.play("usual")
    told = error(lines)
    assert (code, told["step"]) == (78, "memory")
    assert "comfyui holds 12.4G" in told["output"].splitlines()[0]
    assert stopped.running() == []


async def test_a_key_that_is_missing_is_named(run: Run, stopped: Pi) -> None:
    env = stopped.root / "configs/opencut/opencut.env"
    before = env.read_text()
    lacks = next(line.split("=")[0] for line in before.splitlines() if "=" in line and not line.startswith("#"))
    env.write_text("".join(f"{line}\n" for line in before.splitlines() if not line.startswith(f"{lacks}=")))
    try:
        code, lines = await run("opencut", "start", "--yes")
    finally:
        env.write_text(before)
    assert code == 78
    assert lacks in error(lines)["output"]
    assert "vpai-tui env pi/opencut init" in error(lines)["remedy"]
    assert stopped.running() == []


async def test_an_env_file_that_is_gone_is_named(run: Run, stopped: Pi) -> None:
    env = stopped.root / "configs/opencut-db/opencut-db.env"
    before = env.read_text()
    env.unlink()
    try:
        code, lines = await run("opencut", "start", "--yes")
    finally:
        env.write_text(before)
        env.chmod(0o600)
    assert code == 78
    assert "opencut-db.env" in error(lines)["output"]
    assert stopped.running() == []


async def test_an_image_for_another_machine_is_refused_before_anything(run: Run, stopped: Pi) -> None:
    volumes = stopped.volumes
    with stopped.made_for("opencut-srh", "amd64"):
        code, lines = await run("opencut", "start", "--yes")
    assert code == 78
    assert error(lines)["message"].startswith("the host is arm64, and ")
    assert error(lines)["message"].endswith(" of opencut-srh is made for amd64")
    assert (stopped.running(), stopped.volumes) == ([], volumes)


async def test_a_port_that_is_taken_is_named(run: Run, stopped: Pi) -> None:
    from vpai_tui.demo.engine import containers

    with stopped.engine.change() as state:
        image = next(iter(state["images"].values()))
        port = {"host_ip": "127.0.0.1", "host_port": 3100, "container_port": 80, "protocol": "tcp"}
        made = containers.create(state, stopped.engine.now(), "squatter", image["id"], ports=[port], behaviour="")
        containers.start(state, stopped.engine.now(), made)
    try:
        code, lines = await run("opencut", "start", "--yes")
    finally:
        assert stopped.sh("docker rm -f squatter").returncode == 0
    assert code == 78
    assert "port 127.0.0.1:3100 is one of the container squatter" in error(lines)["message"]
    assert stopped.running() == []


@pytest.mark.parametrize("action", ["start", "stop"])
async def test_while_a_deploy_runs_it_says_whose(run: Run, pi: Pi, action: str) -> None:
    if action == "start":
        await run("opencut", "stop", "--yes")
    else:
        await run("opencut", "start", "--yes")
    before = pi.running()
    with pi.locked("pid=4711 apply creative by ben@desk since 2026-02-26T23:03:41Z"):
        code, lines = await run("opencut", action, "--yes")
        assert (await run("opencut", "status"))[1][
            "lock"
        ] == "pid=4711 apply creative by ben@desk since 2026-02-26T23:03:41Z"
    assert code == 75
    assert "apply creative by ben@desk" in error(lines)["message"]
    assert pi.running() == before


async def test_an_interrupted_deploy_is_settled_first(run: Run, stopped: Pi) -> None:
    pending = stopped.deploy / "stacks/opencut/pending"
    pending.symlink_to(f"releases/{stopped.releases[0]}")
    try:
        assert (await run("opencut", "start", "--yes"))[0] == 76
        code, lines = await run("opencut", "stop", "--yes")
    finally:
        pending.unlink()
    assert (code, lines[-1]["outcome"]) == (0, "unchanged"), "nothing of it is there to be stopped"


async def test_deploys_that_are_held_hold_a_start_too(run: Run, stopped: Pi) -> None:
    assert (await run("hold", "pi", "--why", "kernel upgrade"))[0] == 0
    try:
        code, lines = await run("opencut", "start", "--yes")
    finally:
        assert (await run("hold", "pi", "--off"))[0] == 0
    assert code == 78
    assert "kernel upgrade" in error(lines)["message"]
    assert stopped.running() == []


async def test_what_is_not_on_demand_is_none_of_it(run: Run) -> None:
    code, lines = await run("ondemand", "sese/apps", "start", "--yes")
    assert code == 2
    assert "sese/apps is not on demand" in error(lines)["message"]


async def test_read_only_looks_and_changes_nothing(run: Run, started: Pi) -> None:
    assert (await run("--read-only", "opencut", "status"))[0] == 0
    assert (await run("--read-only", "opencut", "stop", "--yes"))[0] == 2
    assert started.running() == SERVICES


# -- the other side, and what works beside it -----------------------------------------------------------------------


async def healthy(run: Run) -> None:
    for _ in range(60):
        if (await run("opencut", "status"))[1]["state"] == "healthy":
            return
    raise AssertionError("it did not become healthy")


BY_HAND = (
    "cd deploy/stacks/opencut/current/compose && docker compose -p opencut --project-directory {root} "
    "$(printf ' -f %s' \"$PWD\"/*.yaml) {what}"
)


async def test_what_telegram_starts_is_ours_and_the_other_way_round(run: Run, stopped: Pi) -> None:
    done = stopped.sh(BY_HAND.format(root=stopped.root, what="up -d"))
    assert done.returncode == 0, done.stderr
    await healthy(run)
    assert (await run("opencut", "start", "--yes"))[1][-1]["outcome"] == "unchanged"
    assert (await run("plan", "opencut", "--exit-code"))[0] == 0
    assert (await run("opencut", "stop", "--yes"))[0] == 0
    assert (await run("opencut", "start", "--yes"))[0] == 0
    done = stopped.sh(BY_HAND.format(root=stopped.root, what="down"))
    assert done.returncode == 0, done.stderr
    assert (await run("opencut", "status"))[1]["state"] == "stopped"
    assert "opencut_db" in stopped.volumes


async def test_a_stop_while_something_renders_takes_the_name(run: Run, started: Pi) -> None:
    started.beside()
    started.play("render")
    try:
        queues = {it["service"].rpartition("/")[2]: it["queue"] for it in (await run("opencut", "status"))[1]["beside"]}
        comfyui = next(it for name, it in queues.items() if "comfyui" in name)
        remotion = next(it for name, it in queues.items() if "remotion" in name)
        assert (comfyui["running"], comfyui["pending"], comfyui["error"]) == (1, 2, None)
        assert (remotion["running"], remotion["pending"], remotion["error"]) == (1, None, None)
        assert 0 <= remotion["progress"] < 1
        code, lines = await run("opencut", "stop", "--yes")
        assert (code, error(lines)["remedy"]) == (2, "give --confirm pi/opencut")
        assert started.running() == SERVICES
        code, lines = await run("opencut", "stop", "--confirm", "pi/opencut")
        assert (code, len(lines[0]["renders"])) == (0, 2)
    finally:
        started.play("idle")
    assert started.running() == []


# -- the idle stop --------------------------------------------------------------------------------------------------


async def test_an_idle_stop_is_set_changed_shown_and_cancelled(run: Run, started: Pi) -> None:
    code, found = await run("opencut", "idle", "30")
    assert (code, found["idle"]["state"], found["idle"]["minutes"]) == (0, "watching", 30)
    (first,) = started.watchers()
    assert (await run("opencut", "idle", "45"))[1]["idle"]["minutes"] == 45
    await started.until(lambda: first not in started.watchers())
    assert len(started.watchers()) == 1
    shown = (await run("opencut", "status"))[1]
    assert (shown["idle_stop_s"], shown["idle"]["left_s"]) == (2700, pytest.approx(2700, abs=60))
    assert (await run("opencut", "idle", "off"))[1]["idle"] is None
    await started.until(lambda: not started.watchers())
    assert started.running() == SERVICES


async def test_it_stops_what_nobody_uses(run: Run, started: Pi) -> None:
    started.play("unused")
    with started.quick():
        assert (await run("opencut", "idle", "2"))[0] == 0
        await started.until(lambda: not started.running(), 60)
        await started.until(lambda: not started.watchers())
    shown = (await run("opencut", "status"))[1]
    assert (shown["state"], shown["idle"]["state"]) == ("stopped", "stopped")
    assert shown["idle"]["why"] == "2 min without network bytes"
    assert "opencut_db" in started.volumes
    (line,) = [it for it in (await run("history", "--host", "pi"))[1]["entries"] if "idle stop (2 min" in it["by"]]
    assert (line["what"], line["subject"], line["result"]) == ("stop", "pi/opencut", "committed")


async def test_it_waits_while_something_holds_the_lock(run: Run, started: Pi) -> None:
    started.play("unused")
    with started.quick():
        assert (await run("opencut", "idle", "1"))[0] == 0
        with started.locked("pid=4711 apply creative by ben@desk since now"):
            record = started.deploy / "idle/opencut"
            await started.until(lambda: "waits for what holds the lock" in record.read_text(), 60)
            assert started.running() == SERVICES
        await started.until(lambda: not started.running(), 60)


async def test_it_is_refused_for_what_does_not_run(run: Run, stopped: Pi) -> None:
    code, lines = await run("opencut", "idle", "30")
    assert (code, error(lines)["message"]) == (78, "it does not run: there is nothing to watch")
    assert stopped.watchers() == []


@pytest.mark.parametrize("minutes", ["0", "soon", "1.5", "10081"])
async def test_minutes_that_are_none_are_refused_before_anything_is_asked(run: Run, minutes: str) -> None:
    assert (await run("opencut", "idle", minutes))[0] == 2


async def test_a_reboot_ends_it_and_that_is_shown(run: Run, started: Pi) -> None:
    assert (await run("opencut", "idle", "30"))[0] == 0
    started.play("reboot")
    await started.figures()
    shown = (await run("opencut", "status"))[1]
    assert (shown["idle"]["state"], shown["idle_stop_s"]) == ("rebooted", None)
    assert shown["state"] == "stopped", "what is wanted on demand does not come back by itself"


async def test_one_that_was_killed_is_gone(run: Run, started: Pi) -> None:
    assert (await run("opencut", "idle", "30"))[0] == 0
    (watcher,) = started.watchers()
    os.kill(watcher, signal.SIGKILL)
    await started.until(lambda: not started.watchers())
    assert (await run("opencut", "status"))[1]["idle"]["state"] == "gone"
