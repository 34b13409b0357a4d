"""The apply of DNS records on a real host with a stand-in for Headscale: cut and killed at every step."""

from __future__ import annotations

import asyncio
import hashlib
import shlex
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from deploy_kit import WEB, Laptop, container_id, laptop, push, until
from lab_host import LabHost
from lab_registry import Registry

from vpai_tui.clock import SystemClock
from vpai_tui.fleet.operation import Event, Finished, Journaled, Outcome, RevertStarted
from vpai_tui.remote import login
from vpai_tui.vpn.dns import apply
from vpai_tui.vpn.dns.apply import Order, Run, interrupted
from vpai_tui.vpn.hub import Hub

pytestmark = pytest.mark.lab

# What it refuses to start with passes configtest, as with the real one.
STAND_IN = r"""#!/bin/sh
config=/etc/headscale/config.yaml
case "$1 $2" in
  "serve ") rm -f /loaded; grep -q 192.0.2.66 $config && { echo "FTL cannot open the database"; exit 1; }
    cp $config /loaded; trap 'exit 0' TERM; while :; do sleep 0.2; done ;;
  "configtest "*) grep -q 192.0.2.77 "$3" && { echo "FTL bad nameserver" >&2; exit 1; }; exit 0 ;;
  "nodes list") [ -e /loaded ] || exit 1; printf '[{\n"machine_key": "a"\n},{\n"machine_key": "b"\n}]\n' ;;
esac
"""
# A docker that can be held at its Nth call, before the call is made or after it.
HELD = """#!/bin/sh
n=$(($(cat /run/held/count) + 1)); echo $n >/run/held/count
while [ -e /run/held/before.$n ]; do : >/run/held/at; sleep 0.05; done
docker "$@"; code=$?
while [ -e /run/held/after.$n ]; do : >/run/held/at; sleep 0.05; done
exit $code
"""
OLD = "# ours\ndns:\n  extra_records:\n    - {name: a.b, type: A, value: 100.64.0.1}\n"
NEW = OLD + "    - {name: c.d, type: A, value: 100.64.0.2}\n"
CALLS = {
    1: "running?",
    2: "nodes before",
    3: "address",
    4: "configtest",
    5: "restart",
    6: "restarts",
    7: "running again?",
    8: "nodes",
}


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Desk:
    """The host with its stand-in, and a laptop that applies."""

    host: LabHost
    me: Laptop
    container: str

    @property
    def file(self) -> str:
        return f"{self.host.root}/headscale/config/config.yaml"

    @property
    def killing(self) -> str:
        """sh that kills the script and its group."""
        return f"pid=$(sed -n 's/^pid=\\([0-9]*\\).*/\\1/p' {self.host.root}/deploy/owner); kill -9 -$pid"

    def order(self, content: str, base: str = OLD) -> Order:
        hub = Hub(self.host.name, None, self.container, "headscale", True, None, "/etc/headscale/config.yaml")
        return Order(hub, self.file, hub.inside, content.encode(), sha(base), restart=True)

    async def run(self) -> Run:
        connection = await self.me.world.connection(self.host.name)
        connection.host = msgspec.structs.replace(connection.host, docker="/usr/local/bin/held-docker")
        clock = SystemClock()
        return Run(connection, apply.new_id(clock), "me@laptop", clock, lambda: self.me.world.fresh(self.host.name))

    async def apply(self, content: str, base: str = OLD) -> tuple[Finished, list[Event]]:
        run = await self.run()
        events = [event async for event in run.apply(self.order(content, base))]
        assert isinstance(events[-1], Finished)
        return events[-1], events

    def reset(self, *holds: str) -> None:
        """The old file, loaded; nothing held but `holds`."""
        marks = "".join(f": >/run/held/{hold};" for hold in holds)
        self.host.sh(
            f"rm -f /run/held/*; echo 0 >/run/held/count; {marks}"
            f"printf %s {shlex.quote(OLD)} | cmp -s - {self.file} || {{ printf %s {shlex.quote(OLD)} >{self.file}; "
            f"docker restart -t 5 {self.container} >/dev/null; }}"
        )

    def state(self) -> tuple[str, str]:
        """The file, and what the stand-in has loaded."""
        loaded = f"docker exec {self.container} cat /loaded"
        return self.host.sh(f"cat {self.file}"), self.host.sh(f"{loaded} || true")


@pytest.fixture
async def desk(
    seko: LabHost, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Desk]:
    monkeypatch.setattr(login, "KEEPALIVE_INTERVAL_S", 1)
    push(registry, WEB)
    folder = f"{seko.root}/headscale/config"
    seko.sh(f"mkdir -p {folder} /run/held; cat >/usr/local/bin/held-docker; chmod 755 /usr/local/bin/held-docker",
            stdin=HELD.encode())  # fmt: skip
    seko.sh(f"cat >{seko.root}/headscale/stand-in; chmod 755 {seko.root}/headscale/stand-in", stdin=STAND_IN.encode())
    seko.sh(f"cat >{folder}/config.yaml", stdin=OLD.encode())
    seko.sh(
        f"docker run -d --name headscale --restart unless-stopped -v {folder}:/etc/headscale:ro "
        f"-v {seko.root}/headscale/stand-in:/bin/headscale:ro --entrypoint headscale {WEB} serve"
    )
    async with laptop(seko, tmp_path) as me:
        yield Desk(seko, me, container_id(seko, "headscale"))


async def test_applied_reverted_and_refused(desk: Desk) -> None:
    desk.reset()
    end, events = await desk.apply(NEW)
    assert end.outcome is Outcome.COMMITTED, events
    told = [event.what for event in events if isinstance(event, Journaled)]
    assert told == ["begin", "checked", "tested", "kept", "installed", "restarting", "restarted", "healthy"]
    assert desk.state() == (NEW, NEW)

    desk.reset()
    end, events = await desk.apply(OLD.replace("100.64.0.1", "192.0.2.66"))
    assert end.outcome is Outcome.REVERTED and end.exit_code == 4
    assert any(isinstance(event, RevertStarted) for event in events)
    assert "cannot open the database" in end.output
    assert desk.state() == (OLD, OLD)

    for content, base, code in ((NEW.replace("100.64.0.2", "192.0.2.77"), OLD, 78), (NEW, NEW, 77)):
        desk.reset()
        end, events = await desk.apply(content, base)
        assert (end.outcome, end.code) == (Outcome.REFUSED, code), events
        assert desk.state() == (OLD, OLD)
    desk.host.sh(f"cd {desk.host.root}/deploy; sh -c 'exec 9>>lock; flock 9; sleep 6' >/dev/null 2>&1 & sleep 0.2")
    end, _ = await desk.apply(NEW)
    assert (end.outcome, end.code) == (Outcome.REFUSED, 75)
    leftovers = desk.host.sh(f"ls -A {desk.host.root}/headscale/config").split()
    assert leftovers == ["config.yaml"]


HOLDS = [*(f"before.{number}" for number in CALLS), "after.4", "after.5", "after.8"]


async def test_killed_at_every_step(desk: Desk) -> None:
    """The script and what it had started are killed; what guards it puts the old file back and lets it start."""
    for hold in HOLDS:
        desk.reset(hold)
        run = await desk.run()
        going = asyncio.create_task(_all(run, desk.order(NEW)))
        await until(desk.host, "[ -e /run/held/at ]")
        desk.host.sh(f"{desk.killing}; rm -f /run/held/[ab]*")
        end = (await asyncio.wait_for(going, 40))[-1]
        assert isinstance(end, Finished) and end.outcome in (Outcome.REVERTED, Outcome.FAILED), (hold, end)
        assert await interrupted(await desk.me.world.connection(desk.host.name)) is None, hold
        assert desk.state() == (OLD, OLD), hold
    desk.reset()
    assert (await desk.apply(NEW))[0].outcome is Outcome.COMMITTED


async def test_killed_while_docker_restarts_it(desk: Desk) -> None:
    desk.reset("before.5")
    run = await desk.run()
    going = asyncio.create_task(_all(run, desk.order(NEW)))
    await until(desk.host, "[ -e /run/held/at ]")
    desk.host.sh("rm -f /run/held/before.5")
    desk.host.sh(f"sleep 0.3; {desk.killing} || true")
    end = (await asyncio.wait_for(going, 40))[-1]
    assert isinstance(end, Finished)
    file, loaded = desk.state()
    assert file == loaded


async def test_a_cut_link_changes_nothing_for_the_host(desk: Desk) -> None:
    desk.reset("before.5")
    run = await desk.run()
    connection = await desk.me.world.connection(desk.host.name)
    going = asyncio.create_task(_all(run, desk.order(NEW)))
    await until(desk.host, "[ -e /run/held/at ]")
    desk.host.cut()
    desk.host.sh("rm -f /run/held/before.5")
    await until(desk.host, f"[ -e {run.directory}/status ]", 30)
    await asyncio.wait_for(connection.wait_closed(), 30)  # the laptop has noticed, however soon the host was done
    desk.host.heal()
    events = await asyncio.wait_for(going, 60)
    assert isinstance(events[-1], Finished) and events[-1].outcome is Outcome.COMMITTED, events
    assert any(isinstance(event, Journaled) and event.what == "link_lost" for event in events)
    assert desk.state() == (NEW, NEW)


async def _all(run: Run, order: Order) -> list[Event]:
    return [event async for event in run.apply(order)]
