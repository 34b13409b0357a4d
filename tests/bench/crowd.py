"""The cockpit on a simulated fleet of any size: `python tests/bench/crowd.py HOSTS SERVICES`.

Every host brings a new sample every five seconds, as real ones do, and each is folded as the real watch folds it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent.parent), str(HERE.parent / "unit")]

from fleet_things import container, host, metrics, stack  # noqa: E402
from tests.ui.fake_backend import FakeBackend  # noqa: E402

from vpai_tui.app import CockpitApp  # noqa: E402
from vpai_tui.clock import SystemClock  # noqa: E402
from vpai_tui.config import Fleet, Host, Ssh  # noqa: E402
from vpai_tui.fleet.fold import Folder  # noqa: E402
from vpai_tui.fleet.model import FleetSnapshot, HostSnapshot, HostState, Sync, Usage  # noqa: E402
from vpai_tui.fleet.watch import MIN_INTERVAL_S  # noqa: E402
from vpai_tui.remote.prompts import Prompts  # noqa: E402
from vpai_tui.widgets.backend import Backend  # noqa: E402

SAMPLE_EVERY_S = 5.0


class Crowd:
    """A fleet whose hosts bring samples in turn."""

    def __init__(self, hosts: int, services: int) -> None:
        self.clock, self.folder = SystemClock(), Folder()
        each, self.names = services // hosts, [f"host-{number:02}" for number in range(hosts)]
        words = [f"service-{number:03}" for number in range(each)]
        self.stacks = [stack("apps", *words, host=name) for name in self.names]
        self.syncs = {it.id: dict.fromkeys(words, Sync.IN_SYNC) for it in self.stacks}
        self.hosts = [self._host(name, words) for name in self.names]

    def _host(self, name: str, words: list[str]) -> HostSnapshot:
        found = [replace(container(word), id=f"{name}-{word}".ljust(64, "0"), restarts=0) for word in words]
        snapshot = host(name, HostState.READY, *found)
        usage = {it.id: Usage(50 << 20, 1.0) for it in found}
        return replace(snapshot, usage=usage, link=replace(snapshot.link, rtt_s=0.02, address="127.0.0.1"))

    def fleet(self) -> Fleet:
        ssh = Ssh(user="nobody")
        return Fleet(hosts={name: Host(title=name, addresses=("127.0.0.1",), ssh=ssh) for name in self.names})

    def sample(self, number: int) -> FleetSnapshot:
        """One more sample of one host, folded into the whole."""
        at, now = number % len(self.hosts), self.clock.boot_s()
        old = self.hosts[at]
        load = 0.5 + number % 7 / 10
        usage = {key: Usage(it.memory_bytes + (number % 5 << 20), load) for key, it in old.usage.items()}
        fresh = metrics(at_boot_s=now, load1=load)
        self.hosts[at] = replace(old, metrics=fresh, usage=usage, seen_boot_s=now, containers_at_boot_s=now)
        return self.folder.fold(self.hosts, self.stacks, self.syncs, at_boot_s=now, now=self.clock.now())


class CrowdBackend(FakeBackend):
    """Its watch never ends."""

    def __init__(self, crowd: Crowd) -> None:
        super().__init__()
        self.crowd = crowd

    async def watch(self) -> AsyncIterator[FleetSnapshot]:
        number = 0
        for number in range(len(self.crowd.hosts)):
            self.crowd.sample(number)
        while True:
            number += 1
            yield self.crowd.sample(number)
            await asyncio.sleep(max(MIN_INTERVAL_S, SAMPLE_EVERY_S / len(self.crowd.hosts)))


def main() -> None:
    crowd = Crowd(int(sys.argv[1]), int(sys.argv[2]))
    backend = CrowdBackend(crowd)

    async def factory(_prompts: Prompts) -> Backend:
        return backend

    asyncio.run(CockpitApp(crowd.fleet(), factory, clock=crowd.clock).run_async())


if __name__ == "__main__":
    main()
