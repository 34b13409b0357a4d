"""Mode 6: a stack on demand in each of its states, its start and stop, its idle stop, and what works beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vpai_tui.errors import HostUnreachable, LockHeld, OperatorError, PreflightRefused, UsageError
from vpai_tui.fleet.model import Health
from vpai_tui.fleet.operation import Cause, Finished, Outcome
from vpai_tui.screens.studio import StudioScreen

from . import fake_studio as studio
from .conftest import TALL, Cockpit, OpenCockpit
from .fake_backend import FakeBackend
from .fake_studio import FakeStudio
from .vpn_kit import BOTH, Picture, Size, command, without_toasts

UP = Health.HEALTHY


def on(found: FakeStudio) -> FakeBackend:
    backend = FakeBackend(found.fleet)
    backend.fake_studio = found
    found.clock = backend.clock
    return backend


def screen_of(at: Cockpit) -> StudioScreen:
    screen = at.app.cockpit
    assert isinstance(screen, StudioScreen)
    return screen


def shown(at: Cockpit, *columns: str) -> list[str]:
    rows = screen_of(at).table.rows
    return [" ".join(row.cells[column][0] for column in columns if column in row.cells).strip() for row in rows]


def did(found: FakeStudio, *names: str) -> list[tuple[object, ...]]:
    return [asked for asked in found.asked if asked[0] in names]


def opened(found: FakeStudio, cockpit: OpenCockpit, **options: object):  # type: ignore[no-untyped-def]
    return cockpit(backend=on(found), **options)


async def enter(at: Cockpit, found: FakeStudio) -> None:
    """The cockpit's clock is the studio's."""
    found.clock = at.clock
    await at.press("6")


# -- states ---------------------------------------------------------------------------------------------------------


@BOTH
async def test_stopped_is_its_normal_state(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeStudio(studio.fleet(studio.own(Health.STOPPED)))
    async with opened(found, cockpit, size=size) as at:
        await enter(at, found)
        text = at.text()
        assert "■ stopped" in text
        assert "https://cut.ewutelo.cloud, once it is healthy" in text
        assert "0B held   9.8G of 16.0G left on pi" in text
        assert "no idle stop is set" in text
        assert "beside it on pi" in text
        assert shown(at, "service", "memory", "note")[-3:] == [
            "creative/comfyui 2.8G idle",
            "creative/remotion 310M idle, the last one: completed",
            "edge/caddy 36M",
        ]
        picture(at, "stopped")


@BOTH
async def test_healthy_with_its_memory_uptime_and_idle_stop(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeStudio(studio.fleet(studio.own(UP)), studio.look(idle=studio.WATCHED, queues=studio.RENDERS))
    async with opened(found, cockpit, size=size) as at:
        await enter(at, found)
        text = at.text()
        assert "✔ healthy   up 1h05" in text
        assert "612M held" in text
        assert "after 30 min without network bytes, 22m left  set by ann@lap" in text
        assert "comfyui, remotion render: a stop asks for the name of the stack" in text
        assert "1 running, 2 pending" in shown(at, "note")
        assert "1 running 42%" in shown(at, "note")
        await at.press("c")
        assert at.app.clipboard == studio.URL
        await without_toasts(at)
        picture(at, "healthy")
        at.clock.passed_s = 5 * 60.0
        await at.press("j")
        assert "✔ healthy" in at.text()


@BOTH
async def test_failing_says_what_and_why(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    health = {"opencut-db": UP, "opencut-valkey": UP, "opencut-srh": Health.RUNNING, "opencut": Health.DOWN}
    dead = {"opencut": {"exit_code": 137, "oom_killed": True, "restarts": 5, "state": "exited"}}
    found = FakeStudio(studio.fleet(studio.own(health, **dead)), studio.look(queues=studio.SILENT))
    async with opened(found, cockpit, size=size) as at:
        await enter(at, found)
        assert "▲ failing" in at.text()
        assert "opencut ended (exit 137) for want of memory, restarted 5 times" in at.text()
        assert "S stops it, U starts what is off" in " ".join(at.text().split())
        assert "◌ no answer within 10 s" in shown(at, "note")
        assert "◌ /health answers HTTP 502" in shown(at, "note")
        picture(at, "failing")


async def test_half_of_it_is_failing_and_named(cockpit: OpenCockpit) -> None:
    health = {"opencut-db": UP, "opencut-valkey": UP}
    found = FakeStudio(studio.fleet(studio.own(health)))
    async with opened(found, cockpit, size=TALL) as at:
        await enter(at, found)
        assert "▲ failing" in at.text()
        assert "opencut-srh, opencut do not run" in at.text()


@BOTH
async def test_starting_by_somebody_else_is_seen(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    health = {"opencut-db": UP, "opencut-valkey": Health.STARTING}
    looked = studio.look(owner="pid=4711 start opencut by ben@desk since 2026-02-26T23:03:41Z")
    found = FakeStudio(studio.fleet(studio.own(health)), looked)
    async with opened(found, cockpit, size=size) as at:
        await enter(at, found)
        assert "… starting" in at.text()
        assert "start by ben@desk, 2 of 4 up" in at.text()
        picture(at, "starting-elsewhere")


@pytest.mark.parametrize(
    ("owner", "state"),
    [
        ("pid=1 stop opencut by ann@lap since now", "… stopping"),
        ("pid=1 apply opencut by ann@lap since now", "… starting"),
        ("pid=1 apply creative by ann@lap since now", "✔ healthy"),
        ("pid=1 stop opencut by idle stop (30 min, set by ann@lap) since now", "… stopping"),
        ("budget keep by ann@lap", "✔ healthy"),
        ("\x1b[31m[bold]", "✔ healthy"),
    ],
)
async def test_who_holds_the_lock_tells_what_is_done(cockpit: OpenCockpit, owner: str, state: str) -> None:
    found = FakeStudio(studio.fleet(studio.own(UP)), studio.look(owner=owner))
    async with opened(found, cockpit, size=TALL) as at:
        await enter(at, found)
        assert state in at.text()
        if "healthy" in state:
            assert "the lock of pi is held" in at.text()


async def test_telegrams_start_is_seen_without_a_lock(cockpit: OpenCockpit) -> None:
    health = {name: Health.STARTING if name == "opencut" else UP for name in studio.LIMITS}
    found = FakeStudio(studio.fleet(studio.own(health)))
    async with opened(found, cockpit, size=TALL) as at:
        await enter(at, found)
        assert "… starting" in at.text()
        assert "waiting for the health of opencut" in at.text()


@BOTH
async def test_a_host_that_is_away_keeps_its_last_values(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeStudio(studio.away(studio.fleet(studio.own(UP))))
    async with opened(found, cockpit, size=size) as at:
        await enter(at, found)
        text = at.text()
        assert "◌ healthy" in text
        assert "pi is away" in text
        assert "✔ healthy" not in text
        assert did(found, "look") == [], "nobody is asked who is not there"
        assert all(row.dim for row in screen_of(at).table.rows if row.cells.get("health"))
        picture(at, "away")


async def test_a_host_that_was_never_heard_is_unknown(cockpit: OpenCockpit) -> None:
    silent = studio.away(studio.fleet(studio.own(Health.UNKNOWN)))
    pi = replace(silent.host("pi"), containers=None, metrics=None, seen_boot_s=None)
    found = FakeStudio(replace(silent, hosts=(*silent.hosts[:2], pi)))
    async with opened(found, cockpit, size=TALL) as at:
        await enter(at, found)
        assert "◌ unknown" in at.text()
        assert "pi: not known" in at.text()


@BOTH
async def test_an_idle_stop_that_a_reboot_has_ended(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeStudio(studio.fleet(studio.own(UP)), studio.look(idle=studio.REBOOTED))
    async with opened(found, cockpit, size=size) as at:
        await enter(at, found)
        assert "▲ gone: its host was started anew" in at.text()
        picture(at, "idle-rebooted")


async def test_an_idle_stop_that_has_done_its_work(cockpit: OpenCockpit) -> None:
    found = FakeStudio(studio.fleet(studio.own(Health.STOPPED)), studio.look(idle=studio.STOPPED_IT))
    async with opened(found, cockpit, size=TALL) as at:
        await enter(at, found)
        assert "· it stopped it at 2026-02-26T23:04:00Z  30 min without network bytes; set by ann@lap" in at.text()


async def test_what_could_not_be_asked_is_said_and_the_rest_shown(cockpit: OpenCockpit, picture: Picture) -> None:
    wrong = OperatorError("the answer is cut", host="pi", step="look", remedy="ctrl+r asks again")
    found = FakeStudio(studio.fleet(studio.own(UP)), wrong)
    async with opened(found, cockpit) as at:
        await enter(at, found)
        assert "✔ healthy" in at.text()
        assert "◌ not asked yet" in at.text()
        assert "lock, idle stop and queues: pi: look: the answer is cut" in at.text()
        picture(at, "look-failed")


async def test_a_fleet_without_any(cockpit: OpenCockpit, picture: Picture) -> None:
    found = FakeStudio(studio.fleet(()), stacks=())
    async with opened(found, cockpit) as at:
        await enter(at, found)
        assert "no stack of the fleet is on demand" in at.text()
        await at.press("U")
        assert at.toasts()[-1] == "no stack of the fleet is on demand"
        await without_toasts(at)
        picture(at, "none")


async def test_the_next_stack(cockpit: OpenCockpit) -> None:
    other = replace(studio.OPENCUT, id="pi/sdxl", name="sdxl", title="SDXL", services=("sdxl",), url=None)
    found = FakeStudio(studio.fleet(studio.own(UP)), stacks=(studio.OPENCUT, other))
    async with opened(found, cockpit) as at:
        await enter(at, found)
        await at.press("tab")
        assert "SDXL" in at.text()
        assert "none: no service of it has a subdomain" in at.text()
        await at.press("tab")
        assert "OpenCut (video editor)" in at.text()


async def test_it_looks_every_ten_seconds_and_when_asked(cockpit: OpenCockpit) -> None:
    found = FakeStudio(studio.fleet(studio.own(UP)))
    async with opened(found, cockpit) as at:
        await enter(at, found)
        await at.press("j", "k")
        assert len(did(found, "look")) == 1
        at.clock.passed_s = 11
        await at.press("j")
        await at.settle()
        assert len(did(found, "look")) == 2
        await at.press("ctrl+r")
        assert len(did(found, "look")) == 3


@BOTH
async def test_all_that_is_known_of_a_row_and_of_the_stack(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeStudio(studio.fleet(studio.own(UP)), studio.look(idle=studio.WATCHED, queues=studio.RENDERS))
    async with opened(found, cockpit, size=size) as at:
        await enter(at, found)
        await at.press("j", "j", "j", "j", "j", "enter")
        picture(at, "describe")
        text = " ".join(screen_of(at)._detail.text.split())
        assert f"job {studio.JOB}" in text
        assert "at most 1.5G" in text
        assert "lock free" in text
        await at.press("escape")
        assert not screen_of(at)._detail.display


async def test_without_colours_it_reads_the_same(
    cockpit: OpenCockpit, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    found = FakeStudio(studio.fleet(studio.own(UP)), studio.look(idle=studio.WATCHED, queues=studio.RENDERS))
    async with opened(found, cockpit) as at:
        await enter(at, found)
        assert "✔ healthy" in at.text()
        picture(at, "healthy-no-color")


# -- start ----------------------------------------------------------------------------------------------------------


@BOTH
async def test_a_start_says_what_it_takes_then_shows_its_progress(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    found = FakeStudio(studio.fleet(studio.own(Health.STOPPED)))
    found.script = studio.HALF_WAY
    async with opened(found, cockpit, size=size) as at:
        await enter(at, found)
        await at.press("U")
        assert at.screen == "Confirm"
        assert "at most 1.5G of 9.8G left" in at.text()
        assert "pi/creative/comfyui" in at.text()
        picture(at, "start-question")
        await at.press("enter")
        assert did(found, "start") == [], "Enter stands on Cancel"
        await at.press("U", "right", "enter")
        assert at.screen == "StudioRunScreen"
        assert "… waiting for the health of opencut-srh   2 of 4" in at.text()
        picture(at, "starting")
        await at.press("escape")
        assert "… starting" in at.text()
        assert "by this cockpit" in at.text()
        await at.press("w")
        assert at.screen == "StudioRunScreen"


async def test_a_start_that_worked_gives_the_way_in(cockpit: OpenCockpit, picture: Picture) -> None:
    found = FakeStudio(studio.fleet(studio.own(Health.STOPPED)))
    async with opened(found, cockpit) as at:
        await enter(at, found)
        await at.press("U", "right", "enter")
        assert "✔ started" in at.text()
        assert f"{studio.URL}   copied to the clipboard" in at.text()
        assert at.app.clipboard == studio.URL
        assert len(did(found, "look")) == 2, "the host is looked at again"
        picture(at, "started")


@BOTH
async def test_a_start_that_fails_shows_who_and_its_last_lines(
    cockpit: OpenCockpit, picture: Picture, size: Size
) -> None:
    found = FakeStudio(studio.fleet(studio.own(Health.STOPPED)))
    found.script = studio.FAILED
    async with opened(found, cockpit, size=size) as at:
        await enter(at, found)
        await at.press("U", "right", "enter")
        text = at.text()
        assert "▲ reverted" in text
        assert "opencut: restarts again and again (exit 1)" in text
        assert "Error: DATABASE_URL is not set" in text
        assert "nothing of it is left up" in text
        assert at.app.clipboard == ""
        picture(at, "start-failed")


@BOTH
async def test_without_the_memory_it_says_who_has_it(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeStudio(studio.fleet(studio.own(Health.STOPPED), free_gib=1.1, others=studio.beside(12_400)))
    found.planned = PreflightRefused(
        "OpenCut (video editor) may take 1.5G, and pi has 1.1G left (256M of it stay with the host)",
        host="pi",
        step="memory",
        output="pi/creative/comfyui holds 12.1G\npi/creative/remotion holds 310M\npi/edge/caddy holds 36M",
        remedy="nothing was started; stop what is not needed, such as `vpai-tui stop pi/creative/comfyui`, then start "
        "again",
    )
    async with opened(found, cockpit, size=size) as at:
        await enter(at, found)
        await at.press("U")
        assert at.screen == "ErrorDialog"
        assert "pi/creative/comfyui holds 12.1G" in at.text()
        picture(at, "no-memory")


async def test_a_start_while_a_deploy_runs_names_who(cockpit: OpenCockpit) -> None:
    found = FakeStudio(studio.fleet(studio.own(Health.STOPPED)))
    found.planned = LockHeld("something runs on this host: apply creative by ben@desk", host="pi", step="start")
    async with opened(found, cockpit) as at:
        await enter(at, found)
        await at.press("U")
        assert "apply creative by ben@desk" in at.text()
        assert did(found, "start") == []


async def test_a_start_of_what_runs_is_none(cockpit: OpenCockpit) -> None:
    found = FakeStudio(studio.fleet(studio.own(UP)))
    found.planned = studio.plan(())
    async with opened(found, cockpit) as at:
        await enter(at, found)
        await at.press("U")
        assert at.toasts()[-1] == "pi/opencut: all of it runs already"


async def test_more_than_a_start_takes_the_name(cockpit: OpenCockpit, picture: Picture) -> None:
    found = FakeStudio(studio.fleet(studio.own(Health.STOPPED)))
    danger = Cause("ancestry", "your checkout is 2 commits behind what runs", danger=True)
    found.planned, found.word = studio.plan(kind="deploy", dangers=(danger,)), "pi/opencut"
    found.notes = ("memory: no limit is set for opencut-srh, so they are not counted",)
    async with opened(found, cockpit) as at:
        await enter(at, found)
        await at.press("U")
        assert "your checkout is 2 commits behind what runs" in at.text()
        picture(at, "start-word")
        await at.type("pi/opencut")
        await at.press("enter")
        assert did(found, "start") == [("start", "pi/opencut", "pi/opencut")]


# -- stop -----------------------------------------------------------------------------------------------------------


@BOTH
async def test_a_stop_says_what_it_frees_and_keeps(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeStudio(studio.fleet(studio.own(UP)))
    found.script = studio.STOPPING
    async with opened(found, cockpit, size=size) as at:
        await enter(at, found)
        await at.press("S")
        assert "612M" in at.text()
        assert "stays: no volume is touched" in at.text()
        picture(at, "stop-question")
        await at.press("right", "enter")
        assert "… stopping opencut-srh" in at.text()
        picture(at, "stopping")
        await at.press("escape")
        assert "… stopping" in at.text()


async def test_a_stop_while_something_renders_takes_the_name(cockpit: OpenCockpit, picture: Picture) -> None:
    found = FakeStudio(studio.fleet(studio.own(UP)), studio.look(queues=studio.RENDERS))
    found.script = studio.STOPPED
    async with opened(found, cockpit) as at:
        await enter(at, found)
        await at.press("S")
        assert "comfyui renders: 1 running, 2 pending" in at.text()
        picture(at, "stop-renders")
        await at.press("enter")
        assert did(found, "stop") == []
        await at.type("pi/opencut")
        await at.press("enter")
        assert did(found, "stop") == [("stop", "pi/opencut", "pi/opencut")]
        assert "✔ stopped" in at.text()
        assert "its data stays" in at.text()


async def test_a_stop_without_an_answer_of_the_queues_says_so(cockpit: OpenCockpit) -> None:
    found = FakeStudio(studio.fleet(studio.own(UP)), studio.look(queues=studio.SILENT))
    async with opened(found, cockpit, size=TALL) as at:
        await enter(at, found)
        await at.press("S")
        assert "whether comfyui renders is not known: no answer within 10 s" in at.text()


async def test_a_stop_that_leaves_something(cockpit: OpenCockpit) -> None:
    found = FakeStudio(studio.fleet(studio.own(UP)))
    found.script = (*studio.BEGUN, Finished(studio.AT, Outcome.FAILED, "x", "still there: opencut-db"))
    async with opened(found, cockpit) as at:
        await enter(at, found)
        await at.press("S", "right", "enter")
        assert "still there: opencut-db" in at.text()
        assert "S tries again" in at.text()


async def test_one_thing_at_a_time_on_a_host(cockpit: OpenCockpit) -> None:
    found = FakeStudio(studio.fleet(studio.own(Health.STOPPED)))
    found.script = studio.HALF_WAY
    async with opened(found, cockpit) as at:
        await enter(at, found)
        await at.press("U", "right", "enter", "escape", "S")
        assert at.toasts()[-1] == "start pi/opencut is still running on pi"
        assert did(found, "plan_stop") == []


# -- the idle stop --------------------------------------------------------------------------------------------------


@BOTH
async def test_an_idle_stop_is_asked_for_set_and_cancelled(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeStudio(studio.fleet(studio.own(UP)), studio.look(idle=studio.WATCHED))
    async with opened(found, cockpit, size=size) as at:
        await enter(at, found)
        await at.press("I")
        assert "the network bytes of opencut" in at.text()
        picture(at, "idle-form")
        await at.type("45")
        await at.press("enter")
        await command(at, "ondemand idle off")
        assert did(found, "set_idle") == [("set_idle", "pi/opencut", 45), ("set_idle", "pi/opencut", None)]
        assert at.toasts()[-1] == "pi/opencut: no idle stop any more"


async def test_minutes_that_are_none_come_back_with_the_reason(cockpit: OpenCockpit) -> None:
    found = FakeStudio(studio.fleet(studio.own(UP)))
    async with opened(found, cockpit, size=TALL) as at:
        await enter(at, found)
        await at.press("I")
        await at.type("soon")
        await at.press("enter")
        assert 'an idle stop after "soon" minutes' in at.text()
        assert did(found, "set_idle") == []


async def test_an_idle_stop_that_cannot_be_set_says_why(cockpit: OpenCockpit) -> None:
    found = FakeStudio(studio.fleet(studio.own(UP)))
    found.idle_fails = PreflightRefused("it does not run: there is nothing to watch", host="pi", step="idle")
    async with opened(found, cockpit) as at:
        await enter(at, found)
        await command(at, "ondemand idle 30")
        assert "it does not run: there is nothing to watch" in at.text()


# -- from elsewhere, and read-only ----------------------------------------------------------------------------------


async def test_from_any_screen_by_name(cockpit: OpenCockpit) -> None:
    found = FakeStudio(studio.fleet(studio.own(Health.STOPPED)))
    async with opened(found, cockpit) as at:
        found.clock = at.clock
        await command(at, "ondemand start pi/opencut")
        assert at.screen == "Confirm"
        await at.press("right", "enter")
        assert did(found, "start") == [("start", "pi/opencut", "")]
        await command(at, "ondemand stop sese/apps")
        assert at.toasts()[-1] == "sese/apps is not on demand"


@BOTH
async def test_read_only_shows_all_and_changes_nothing(cockpit: OpenCockpit, picture: Picture, size: Size) -> None:
    found = FakeStudio(studio.fleet(studio.own(UP)))
    async with opened(found, cockpit, size=size, read_only=True) as at:
        await enter(at, found)
        await at.press("S", "U", "I")
        assert at.screen == "StudioScreen"
        assert did(found, "plan_start", "plan_stop", "set_idle") == []
        await without_toasts(at)
        assert "U start" not in at.text()
        picture(at, "read-only")


async def test_a_plan_that_cannot_be_had_loses_nothing(cockpit: OpenCockpit) -> None:
    found = FakeStudio(studio.fleet(studio.own(Health.STOPPED)))
    for error in (HostUnreachable("no answer", host="pi"), UsageError("no such thing")):
        found.planned = error
        async with opened(found, cockpit) as at:
            await enter(at, found)
            await at.press("U")
            assert at.screen == "ErrorDialog"
            await at.press("escape")
            assert "■ stopped" in at.text()
