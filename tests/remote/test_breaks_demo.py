"""Each signal: well on the healthy demo, broken on purpose → shown, with its line; mended → well again.

`pytest -rP` prints the lines. What can be broken is the table in `demo/breaks.py`.
"""

from __future__ import annotations

import asyncio
import re
from argparse import Namespace
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import pytest
import pytest_asyncio

from vpai_tui.checkup import sources
from vpai_tui.demo import DemoFleet
from vpai_tui.demo.breaks import BREAKS
from vpai_tui.errors import UsageError
from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.fleet.watch import FleetWatch
from vpai_tui.upkeep.examiner import Examiner
from vpai_tui.upkeep.surface import Surface
from vpai_tui.upkeep.table import BY_ID, CHECKS
from vpai_tui.world import open_world

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("breaks-demo")]

WITHIN_S = 15.0  # until the fleet as it is watched has followed
BROKEN = [check.id for check in CHECKS if check.id in BREAKS]
# Of those that are told here: host, subject and what the line must say.
LINES = {
    "pg-dump": ("sese", "n8n", "0 bytes, less than 500"),
    "pg-coverage": ("sese", "twenty", "no dump covers this database"),
    "backup-steps": ("sese", "redis/redis", "Could not connect to Redis"),
    "backup-growth": ("sese", "backups/openclaw", "old, kept for 3 days"),
    "restore-test": ("sese", "n8n", "the last one failed: the dump does not restore"),
    "heartbeat": ("sese", "", "not configured for the last run .* ago: HEARTBEAT_URL was not set then"),
    "containers": ("sese", "kaneo-web", "has no container"),
    "watcher": ("sese", "Grafana", "does not watch: /api/health answers 502"),
    "container-series": ("sese", "", r"0 of \d+ running containers are measured by name; 1 series have no name"),
    "alert-rules": ("sese", "Memory short", "cannot be evaluated: .*no such host"),
    "health-check-spend": ("sese", "litellm-internal-health-check", r"\$0\.44 since yesterday"),
    "effective-cap": ("sese", "", r"\$10\.00 a day is in force, by the key in Redis; .*\$5\.00, .*laptop says \$5\.00"),
    "eco-acts": ("sese", "", r"a cap of \$5\.00, and nothing holds it"),
    "provider-credit": ("sese", "openrouter", "requires more credits"),
    "telegram-channel": ("sese", "Telegram plugin", "the plugin is disabled"),
    "api-probes": ("sese", "openclaw", "a WebSocket at port 18789 answers 200, not 101"),
    "vpn-names": ("pi", "studio.ewutelo.cloud", "the VPN knows no such name"),
    "node-seen": ("pi", "workstation-pi", "offline; last seen 6h30 ago"),
    "control-plane": ("seko", "", "singa.ewutelo.cloud/health, asked from sese: answers 502"),
    "open-ports": ("sese", "6379/tcp", "open to all by redis-server, and nothing declares it"),
    "sshd-listen": ("seko", "100.64.0.99", "is on no interface"),
    "stale-code": ("sese", "vpai-n8n-1", r"n8n\.env was changed \d+d\w+ after the container was made"),
    "disk-unaccounted": ("pi", "containerd", r"containerd holds 22\.0 GiB that the engine does not account for"),
    "units": ("pi", "node_exporter.service", r"failed \(failed\)"),
    "guard": ("sese", "UFW", "down: status: inactive"),
    "certificates": ("sese", "9 names", r"in [12] days?, asked from seko: .*javisi"),
}


@dataclass
class Morning:
    """A demo that is watched, and looks at it."""

    demo: DemoFleet
    surface: Surface

    async def look(self, check: str) -> list[Finding]:
        """What the check's own sources find now; they are made anew, so that nothing is remembered."""
        asked = [it for it in sources(self.surface) if check in it.checks]
        report = await Examiner(asked, self.surface.clock).look()
        return [it for it in report.findings if it.check == check]

    async def until(self, check: str, wanted: Callable[[Sequence[Finding]], bool]) -> list[Finding]:
        """Looks until it is so, or for `WITHIN_S`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + WITHIN_S
        found = await self.look(check)
        while not wanted(found) and loop.time() < until:
            await asyncio.sleep(0.3)
            found = await self.look(check)
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def morning(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Morning]:
    folder = tmp_path_factory.mktemp("breaks") / "demo"
    async with open_world(Namespace(demo=True, demo_dir=str(folder), demo_reset=False, config=None)) as world:
        watch = FleetWatch(world.fleet, world.stacks, clock=world.clock)
        await watch.start()
        try:
            await watch.settled()
            assert world.demo is not None
            yield Morning(world.demo, world.upkeep(watch))
        finally:
            await watch.stop()


def bad(found: Sequence[Finding]) -> list[Finding]:
    return [it for it in found if it.bad]


def well(found: Sequence[Finding]) -> bool:
    """Nothing bad, and at least one thing was really looked at."""
    return not bad(found) and any(it.standing is Standing.OK for it in found)


@pytest.mark.parametrize("check", BROKEN)
async def test_broken_on_purpose_it_is_shown(morning: Morning, check: str) -> None:
    before = await morning.until(check, well)
    assert well(before), before
    morning.demo.break_(check)
    try:
        found = bad(await morning.until(check, lambda it: bool(bad(it))))
    finally:
        morning.demo.mend(check)
    print(f"{BY_ID[check].title} ({check}): {BREAKS[check].told}")
    for it in found:
        print(f"  {it.standing.value} {it.host} {it.subject}: {it.detail} → {it.remedy}")
    assert found, "broken, and nothing bad is shown"
    assert all(it.remedy for it in found), "each says what to do"
    if check in LINES:
        host, subject, said = LINES[check]
        assert [it for it in found if (it.host, it.subject) == (host, subject) and re.search(said, it.detail)], found
    after = await morning.until(check, well)
    assert well(after), after


async def test_only_what_the_table_has_can_be_broken(morning: Morning) -> None:
    assert set(BREAKS) <= set(BY_ID)
    with pytest.raises(UsageError, match="demo break nothing"):
        morning.demo.break_("nothing")
