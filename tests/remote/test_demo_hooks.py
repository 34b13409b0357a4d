"""Commands around a deploy, and dumps, on the demo fleet: the runner is the shipped one, the engine is simulated."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from vpai_tui import demo
from vpai_tui.demo import DemoFleet
from vpai_tui.errors import PreflightRefused
from vpai_tui.fleet.operation import Event, Finished, HookDone, Journaled, Outcome

from .test_demo_deploy import deployer


def edit(fleet: DemoFleet, path: str, change: Callable[[str], str]) -> None:
    file = fleet.stacks_dir / path
    file.write_text(change(file.read_text()))


def without_hooks(text: str) -> str:
    """A stack.yaml without the commands that it has itself."""
    return re.sub(r"(?m)^(?:before|after):\n(?:  .*\n)+", "", text)


async def deployed(fleet: DemoFleet, stack: str) -> tuple[Finished, list[Event]]:
    """With the laptop's files as they are now."""
    async with deployer(fleet) as deploys:
        events = [event async for event in deploys.apply(await deploys.plan(stack))]
    assert isinstance(events[-1], Finished)
    return events[-1], events


async def test_commands_run_in_new_and_running_containers_and_on_the_host(tmp_path: Path) -> None:
    hooks = """
before:
  - {run: cat /etc/image, service: n8n}
  - {run: cat /etc/image, service: n8n, container: running}
  - {run: echo no disk; test -e ready}
after:
  - {run: "echo $STACK >after"}
"""
    async with demo.start(tmp_path) as fleet:
        root = Path(fleet.root("sese"))
        edit(fleet, "sese/apps/stack.yaml", lambda text: without_hooks(text) + hooks)
        end, _ = await deployed(fleet, "sese/apps")
        assert (end.outcome, end.exit_code) == (Outcome.REVERTED, 4)
        assert end.reason == "before 3 on the host: exit 1: no disk; no container was touched"
        (root / "ready").touch()
        before = next(it for it in fleet.engine("sese").read()["containers"].values() if it["name"] == "vpai-n8n-1")
        end, events = await deployed(fleet, "sese/apps")
        assert end.outcome is Outcome.COMMITTED
        assert [it.hook for it in events if isinstance(it, HookDone)] == ["before 1", "before 2", "before 3", "after 1"]
        assert (root / "after").read_text() == "apps\n"
        now = {it["name"]: it for it in fleet.engine("sese").read()["containers"].values()}
        said = (root / f"deploy/stacks/apps/releases/{end.release}/out.log").read_text().splitlines()
        images = [now["vpai-n8n-1"]["image"], before["image"]]
        assert [line for line in said if line in images] == images
        assert not [name for name in now if "-run-" in name]
        async with deployer(fleet) as deploys:
            plan = await deploys.plan("sese/apps")
            assert plan.empty and plan.before == plan.after == ()
            back = await deploys.plan_rollback("sese/apps")
            assert back.before == back.after == ()
            assert "before and after commands are not run by a rollback" in back.notes


async def test_a_new_major_version_of_a_database_wants_a_dump(tmp_path: Path) -> None:
    def older(text: str) -> str:
        return re.sub(r"postgres:18\.[\w.-]+", "postgres:17.6", text)

    def dumps(text: str) -> str:
        return f"{text}\nbefore: [{{run: $DOCKER exec vpai-postgresql-1 pg_dump >backups/pg_dump/now.dump}}]\n"

    async with demo.start(tmp_path) as fleet:
        async with deployer(fleet) as deploys:
            told = {it.service: it.told for it in (await deploys.plan("sese/infra")).dumps}
            assert re.match(r"newest dump \S+ old, 5\.\d MB: \S+/backups/pg_dump/sure-", told["postgresql"])
            assert re.match(r"newest dump \S+ old, 2\.\d MB: \S+/backups/redis/dump-", told["redis"])
        edit(fleet, "sese/infra/compose.yaml", older)
        with pytest.raises(PreflightRefused, match="from version 18 to 17, and no before command makes a dump of it"):
            await deployed(fleet, "sese/infra")
        edit(fleet, "sese/infra/stack.yaml", dumps)
        end, events = await deployed(fleet, "sese/infra")
        assert end.outcome is Outcome.COMMITTED
        made = next(it.detail for it in events if isinstance(it, Journaled) and it.what == "dump_made")
        assert re.match(r"postgresql \S+/now\.dump \(\d+ bytes\)", made)
        async with deployer(fleet) as deploys:
            found = await deploys.releases("sese/infra")
            assert [(it.current, it.data_newer) for it in found][:2] == [(True, False), (False, True)]
            assert dict(found[0].dumps)["postgresql"].endswith("/now.dump")
            back = await deploys.plan_rollback("sese/infra")
            assert [it.detail.split(",")[0] for it in back.dangers] == ["postgresql goes from version 17 to 18"]
