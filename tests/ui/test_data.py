"""What concerns data: commands around a deploy, dumps, releases whose data is newer, and a revert that failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from vpai_tui.fleet.operation import Command, Dump, Finished, HookDone, HookFailed, HookStarted, Outcome, RunnerStarted
from vpai_tui.screens.deploy import DeployScreen
from vpai_tui.widgets.safe_table import SafeTable

from . import fake_answers as answers
from . import fake_fleet as fake
from .conftest import SHORT, TALL, Cockpit, OpenCockpit
from .fake_backend import FakeBackend

Picture = Callable[[Cockpit, str], None]
BOTH = pytest.mark.parametrize("size", [SHORT, TALL], ids=["80x24", "120x40"])
TO_APPS = ("2", "j")
AT = "2026-02-26T23:04:00Z"
DUMP = "/opt/vpai/backups/pg_dump/n8n-20260226.dump"
PLAN = answers.make_plan(
    before=(
        Command("pg_dump -U postgres -Fc n8n >/backups/n8n.dump", "postgresql", "running", 600),
        Command("n8n migrate", "n8n", "new", 120),
    ),
    after=(Command("curl -fsS http://127.0.0.1:5678/healthz", None, None, 20),),
    dumps=(Dump("postgresql", DUMP, 25_500, 12_400_000), Dump("redis", problem="no dump of it is declared")),
)


def with_plan() -> FakeBackend:
    backend = FakeBackend(fake.troubled())
    backend.plan_made = PLAN
    return backend


@BOTH
async def test_a_plan_shows_its_commands_and_the_dumps(
    cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]
) -> None:
    async with cockpit(backend=with_plan(), size=size) as at:
        await at.press(*TO_APPS, "D")
        await at.press("tab", "G")
        picture(at, "plan-data")
        await at.press("A")
        shown = at.text()
        assert "in the running postgresql: pg_dump" in shown
        assert "redis: no dump of it is declared" in shown
        picture(at, "plan-data-confirm")


@BOTH
async def test_a_failed_revert_is_red_and_says_what_to_do(
    cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]
) -> None:
    backend = FakeBackend(fake.revert_failed())
    backend.release_list = [
        replace(item, data_newer=not item.current and item.outcome != "reverted", dumps=(("postgresql", DUMP),))
        for item in answers.RELEASES
    ]
    async with cockpit(backend=backend, size=size) as at:
        await at.press(*TO_APPS)
        shown = at.text()
        assert "✖ revert failed" in shown
        assert "neither r13 nor r12 is whole" in shown
        assert "/opt/vpai/deploy/stacks/apps/releases/r13/failure.log" in shown
        screen = at.app.screen
        assert isinstance(screen, DeployScreen)
        rows = screen.query_one("#releases", SafeTable).rows
        assert [row.cells["mark"][0] for row in rows] == ["●", "○", "◐", "○", "◐", "◐"]
        assert rows[4].cells["note"][0] == "data newer; dump: n8n-20260226.dump"
        picture(at, "deploy-revert-failed")


@BOTH
async def test_the_end_of_a_failed_revert_names_the_next_step(
    cockpit: OpenCockpit, picture: Picture, size: tuple[int, int]
) -> None:
    backend = with_plan()
    reason = "after 1 on the host: exit 22; then the revert failed: an image of it is gone"
    backend.script = [
        RunnerStarted(AT, "r13"),
        HookStarted(AT, "before 1", "in the running postgresql: pg_dump -U postgres -Fc n8n >/backups/n8n.dump"),
        HookDone(AT, "before 1", "14 s"),
        HookStarted(AT, "after 1", "on the host: curl -fsS http://127.0.0.1:5678/healthz"),
        HookFailed(AT, "after 1", "on the host: exit 22"),
        Finished(AT, Outcome.REVERT_FAILED, "r13", reason, "curl: (22) The requested URL returned error: 503"),
    ]
    async with cockpit(backend=backend, size=size) as at:
        await at.press(*TO_APPS, "D", "A")
        await at.press("right", "enter")
        shown = at.text()
        assert "✖ revert failed" in shown
        assert "vpai-tui revert sese/apps" in shown
        assert "after 1 failed" in shown
        picture(at, "apply-revert-failed")
