"""The deploy screen: stacks, releases, plan, apply, what came of it, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from vpai_tui.errors import CommandFailed, LinkLost, OperatorError, StalePlan
from vpai_tui.fleet.operation import (
    Effect,
    Event,
    Finished,
    ImagePulled,
    Journaled,
    LayerPulled,
    Outcome,
    ReleaseUploaded,
    RevertStarted,
    RunnerStarted,
    ServiceHealthy,
    ServiceStarted,
    StepFailed,
    StepStarted,
)
from vpai_tui.screens.deploy import DeployScreen
from vpai_tui.screens.operation import OperationScreen
from vpai_tui.widgets.safe_table import SafeTable

from . import fake_answers as answers
from . import fake_fleet as fake
from .conftest import SHORT, TALL, Cockpit, OpenCockpit
from .fake_backend import FakeBackend
from .fake_fleet import MIB

Picture = Callable[[Cockpit, str], None]
BOTH = pytest.mark.parametrize("size", [SHORT, TALL], ids=["80x24", "120x40"])
TO_APPS = ("2", "j")
IMAGE = "docker.n8n.io/n8nio/n8n:2.7.3"


def at_second(second: int) -> str:
    return f"2026-02-26T23:04:{second:02d}Z"


PULLING: list[Event] = [
    LayerPulled(at_second(0), IMAGE, "4f4fb700ef54", "Downloading", 20 * MIB, 30 * MIB),
    LayerPulled(at_second(1), IMAGE, "aa4fb700ef54", "Downloading", 3 * MIB, 60 * MIB),
    LayerPulled(at_second(2), IMAGE, "bb4fb700ef54", "Pull complete", 30 * MIB, 30 * MIB, True),
]
ON_HOST: list[Event] = [
    *PULLING,
    ImagePulled(at_second(3), IMAGE, "sha256:abc"),
    ReleaseUploaded(at_second(4), "r13", 18_000),
    RunnerStarted(at_second(5), "r13"),
    Journaled(at_second(5), "files_installed", "2"),
    StepStarted(at_second(6), "n8n", "recreate"),
    ServiceStarted(at_second(9), "n8n"),
    ServiceHealthy(at_second(20), "n8n", "healthy after 11s"),
    StepStarted(at_second(20), "litellm", "restart"),
    ServiceStarted(at_second(21), "litellm"),
]
COMMITTED: list[Event] = [
    *ON_HOST,
    ServiceHealthy(at_second(26), "litellm"),
    Finished(at_second(27), Outcome.COMMITTED, "r13"),
]
REVERTED: list[Event] = [
    *ON_HOST,
    StepFailed(at_second(40), "litellm", "restarted 3 times in 10 s", "config.yaml: unknown key num_retriez"),
    RevertStarted(at_second(41), "r12", "the gate failed for litellm"),
    Finished(at_second(55), Outcome.REVERTED, "r12", "litellm did not become healthy"),
]


def scripted(script: list[Event], *, ends: bool, then: OperatorError | None = None) -> FakeBackend:
    backend = FakeBackend(fake.troubled())
    backend.script = script
    backend.then = then
    if ends:
        backend.gate.set()
    return backend


async def apply(at: Cockpit) -> None:
    await at.press(*TO_APPS)
    await at.press("D")
    await at.press("A")
    await at.press("right", "enter")


@BOTH
async def test_stacks_and_their_releases(cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]) -> None:
    async with cockpit(fake.troubled(), size) as at:
        await at.press(*TO_APPS)
        screen = at.app.screen
        assert isinstance(screen, DeployScreen)
        assert [row.key for row in screen.query_one("#main-table", SafeTable).rows][:2] == ["sese/infra", "sese/apps"]
        releases = screen.query_one("#releases", SafeTable).rows
        assert [row.cells["mark"][0] for row in releases] == ["●", "○", "●", "○", "●", "●"]
        assert releases[0].cells["note"][0] == "◀ current"
        picture(at, "deploy-stacks")


async def test_releases_are_asked_for_again_after_an_end_and_on_refresh(cockpit: OpenCockpit) -> None:
    backend = scripted(REVERTED, ends=False)
    async with cockpit(backend=backend) as at:
        await apply(at)
        backend.release_list = [replace(answers.RELEASES[0], id="r99"), *answers.RELEASES]
        backend.gate.set()
        await at.press("escape")
        assert " r99 " in at.text()
        backend.release_list = answers.RELEASES
        await at.press("ctrl+r")
        assert " r99 " not in at.text()


async def test_releases_that_cannot_be_had_say_why(cockpit: OpenCockpit) -> None:
    backend = FakeBackend(fake.troubled())
    backend.release_list = CommandFailed("find ended with 1", exit_status=1, host="sese", remedy="doctor checks sudo")
    async with cockpit(backend=backend) as at:
        await at.press(*TO_APPS)
        assert "find ended with 1" in at.text()
        assert "doctor checks sudo" in at.text()


@BOTH
async def test_d_shows_the_plan_and_changes_nothing(
    cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]
) -> None:
    async with cockpit(fake.troubled(), size) as at:
        await at.press(*TO_APPS)
        await at.press("D")
        assert at.screen == "PlanScreen"
        assert ("plan", "sese/apps") in at.backend.asked
        shown = at.text()
        assert "r12 → r13" in shown
        assert "± recreate" in shown
        assert "nothing has happened yet" in shown
        assert not [item for item in at.backend.asked if item[0] == "apply"]
        picture(at, "plan")


async def test_the_difference_follows_the_cursor(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled(), TALL) as at:
        await at.press(*TO_APPS)
        await at.press("D")
        assert "+     image: docker.n8n.io/n8nio/n8n:2.7.3" in at.text()
        await at.press("j", "j", "j")
        assert "+   - model_name: deep" in at.text()
        assert "kept configs/litellm/config.yaml: max_budget" in at.text()


async def test_a_plan_names_the_files_it_installs(cockpit: OpenCockpit) -> None:
    backend = FakeBackend(fake.troubled())
    backend.plan_made = answers.make_plan(installs=("configs/n8n/n8n.conf", "configs/litellm/config.yaml"))
    async with cockpit(backend=backend, size=TALL) as at:
        await at.press(*TO_APPS)
        await at.press("D")
        await at.press("j", "j", "j", "j")
        assert "installs 2 files: configs/n8n/n8n.conf, configs/litellm/config.yaml" in at.text()


async def test_settling_a_stack_with_data_needs_its_name_typed(cockpit: OpenCockpit) -> None:
    fleet = fake.interrupted()
    data = tuple(replace(item, holds_data=True) if item.stack == "apps" else item for item in fleet.stacks)
    async with cockpit(backend=FakeBackend(replace(fleet, stacks=data))) as at:
        await at.press(*TO_APPS)
        await at.press("D")
        await at.press("right", "right", "enter")
        assert not [item for item in at.backend.asked if item[0] == "settle"]
        await at.type("sese/apps")
        await at.press("enter")
        assert not [item for item in at.backend.asked if item[0] == "settle"]  # which of the two is not said yet
        assert at.app.focused is not None
        assert at.app.focused.id == "answer-resume"
        await at.press("right", "enter")
        assert ("settle", "sese/apps", "revert") in at.backend.asked


async def test_the_dialog_names_its_target_and_cancel_is_the_default(cockpit: OpenCockpit, picture: Picture) -> None:
    async with cockpit(fake.troubled()) as at:
        await at.press(*TO_APPS)
        await at.press("D")
        await at.press("A")
        assert "Deploy sese/apps?" in at.text()
        assert "rollback to r12" in at.text()
        picture(at, "plan-confirm")
        await at.press("enter")
        assert at.screen == "PlanScreen"
        assert not [item for item in at.backend.asked if item[0] == "apply"]


async def test_a_stack_with_data_needs_its_name_typed(cockpit: OpenCockpit, picture: Picture) -> None:
    backend = FakeBackend(fake.troubled())
    backend.plan_made = answers.make_plan(confirm_word="apps")
    async with cockpit(backend=backend) as at:
        await at.press(*TO_APPS)
        await at.press("D")
        await at.press("A")
        await at.type("app")
        await at.press("enter")
        assert at.screen == "Confirm"
        picture(at, "plan-typed")
        await at.type("s")
        await at.press("enter")
        assert ("apply", "r13") in at.backend.asked


async def test_an_empty_plan_applies_nothing(cockpit: OpenCockpit) -> None:
    backend = FakeBackend(fake.troubled())
    plan = answers.make_plan()
    backend.plan_made = replace(plan, changes=tuple(replace(c, effect=Effect.NONE, causes=()) for c in plan.changes))
    async with cockpit(backend=backend) as at:
        await at.press(*TO_APPS)
        await at.press("D")
        assert "nothing to change" in at.text()
        await at.press("A")
        assert at.toasts() == ["sese/apps: nothing to apply"]


@BOTH
async def test_pulls_show_each_layer(cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]) -> None:
    async with cockpit(size=size, backend=scripted(PULLING, ends=False)) as at:
        await apply(at)
        shown = at.text()
        assert "53M/120M  1/3 layers" in shown
        assert "20M/30M" in shown
        assert "the runner has not started" in shown
        picture(at, "apply-pulling")


@BOTH
async def test_the_gate_and_the_journal_are_live(cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]) -> None:
    async with cockpit(size=size, backend=scripted(ON_HOST, ends=False)) as at:
        await apply(at)
        at.clock.passed_s = 21
        await at.settle()
        shown = at.text()
        assert "… gate: litellm" in shown
        assert "healthy after 11s" in shown
        assert "23:04:21 litellm started, gate watches" in shown
        picture(at, "apply-gate")


async def test_a_deploy_survives_leaving_its_screen(cockpit: OpenCockpit, picture: Picture) -> None:
    backend = scripted(ON_HOST, ends=False)
    async with cockpit(backend=backend) as at:
        await apply(at)
        await at.press("escape")
        await at.press("1")
        assert at.screen == "FleetScreen"
        assert "… deploy sese/apps 0s" in at.text()
        picture(at, "fleet-while-deploying")
        assert len(at.app.context.operations.running) == 1
        await at.press("2", "w")
        assert at.screen == "OperationScreen"
        await at.press("1")
        backend.script = []
        backend.gate.set()
        await at.settle()
        assert not at.app.context.operations.running


async def test_one_host_does_one_deploy_at_a_time(cockpit: OpenCockpit) -> None:
    async with cockpit(backend=scripted(ON_HOST, ends=False)) as at:
        await apply(at)
        await at.press("escape", "k", "D")
        assert at.toasts() == ["deploy sese/apps is still running on sese: w follows it"]
        assert [item for item in at.backend.asked if item[0] == "plan"] == [("plan", "sese/apps")]


@BOTH
async def test_committed_shows_the_way_back(cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]) -> None:
    async with cockpit(size=size, backend=scripted(COMMITTED, ends=True)) as at:
        await apply(at)
        assert "✔ committed" in at.text()
        assert "way back: B rolls back to r12" in at.text()
        picture(at, "apply-committed")
        await at.press("B")
        assert ("plan_rollback", "sese/apps", None) in at.backend.asked


@BOTH
async def test_reverted_says_why_and_what_runs(cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]) -> None:
    async with cockpit(size=size, backend=scripted(REVERTED, ends=True)) as at:
        await apply(at)
        shown = at.text()
        assert "▲ reverted" in shown
        assert "litellm did not become healthy" in shown
        assert "sese/apps runs r12, as before" in shown
        picture(at, "apply-reverted")


async def test_a_lost_link_is_unknown_never_success(cockpit: OpenCockpit) -> None:
    lost = LinkLost("the connection ended", host="sese", step="journal")
    async with cockpit(backend=scripted(ON_HOST, ends=True, then=lost)) as at:
        await apply(at)
        shown = at.text()
        assert "◌ unknown" in shown
        assert "sese: journal: the connection ended" in shown
        assert "the host goes on by itself" in shown


async def test_a_stale_plan_is_refused_with_nothing_changed(cockpit: OpenCockpit) -> None:
    stale = StalePlan("the host changed since the plan", host="sese", remedy="Plan again.")
    async with cockpit(backend=scripted([], ends=True, then=stale)) as at:
        await apply(at)
        shown = at.text()
        assert "✖ failed" in shown
        assert "the host changed since the plan" in shown
        assert "nothing was changed on the host" in shown


async def test_b_rolls_back_to_the_release_under_the_cursor(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled()) as at:
        await at.press(*TO_APPS)
        await at.press("enter", "j", "j", "B")
        assert ("plan_rollback", "sese/apps", "r10") in at.backend.asked
        assert at.screen == "PlanScreen"


async def test_d_on_a_service_plans_its_stack(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled()) as at:
        await at.press("j", "j", "j", "D")
        assert ("plan", "sese/apps") in at.backend.asked
        assert at.screen == "PlanScreen"
        await at.press("escape")
        assert at.screen == "DeployScreen"


async def test_a_container_of_no_stack_cannot_be_deployed(cockpit: OpenCockpit) -> None:
    async with cockpit(fake.troubled()) as at:
        await at.press("G", "D")
        assert at.toasts() == ["deploy: this row belongs to no stack of ours"]


async def test_a_plan_that_fails_shows_the_whole_error(cockpit: OpenCockpit, picture: Picture) -> None:
    backend = FakeBackend(fake.troubled())
    backend.plan_made = CommandFailed(
        "docker compose config ended with 15",
        exit_status=15,
        host="sese",
        output="error while interpolating services.n8n.environment.N8N_HOST: required variable N8N_HOST is missing",
        remedy="Set it with `vpai-tui env sese/apps edit`.",
    )
    async with cockpit(backend=backend) as at:
        await at.press(*TO_APPS)
        await at.press("D")
        assert at.screen == "ErrorDialog"
        picture(at, "plan-error")


async def test_an_interrupted_stack_must_be_settled_first(cockpit: OpenCockpit, picture: Picture) -> None:
    backend = FakeBackend(fake.interrupted())
    async with cockpit(backend=backend) as at:
        await at.press(*TO_APPS)
        assert "▲ interrupted r13" in at.text()
        picture(at, "deploy-interrupted")
        await at.press("D")
        assert at.screen == "Confirm"
        assert not [item for item in at.backend.asked if item[0] == "plan"]
        assert at.app.focused is not None
        assert at.app.focused.id == "cancel"
        picture(at, "deploy-settle")
        await at.press("right", "right", "enter")
        assert ("settle", "sese/apps", "revert") in at.backend.asked
        assert isinstance(at.app.screen, OperationScreen)


async def test_a_deploy_of_somebody_else_can_be_followed(cockpit: OpenCockpit) -> None:
    fleet = fake.troubled()
    busy = tuple(replace(s, busy=True, owner="ana@desk") if s.stack == "apps" else s for s in fleet.stacks)
    backend = FakeBackend(replace(fleet, stacks=busy))
    backend.script = ON_HOST
    async with cockpit(backend=backend) as at:
        await at.press(*TO_APPS)
        assert "… busy ana@desk" in at.text()
        await at.press("w")
        assert ("attach", "sese/apps") in at.backend.asked
        assert at.screen == "OperationScreen"
