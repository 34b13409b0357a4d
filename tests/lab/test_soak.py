"""Races, kills at any millisecond, a random walk: a sample in CI, all with `make soak` and `make chaos`."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import faults
import pytest
from fault_subject import Subject
from lab_host import LabHost
from lab_registry import Registry
from soak import VICTIMS, WAYS, Walk, killed, race

from vpai_tui.remote import login

pytestmark = pytest.mark.lab
HOSTS = ("sese", "pi", "seko")


def count(name: str, otherwise: int) -> int:
    return int(os.environ.get(name) or otherwise)


SEED = count("SEED", 4)
RACES, KILLS, MINUTES = count("RACES", 3), count("KILLS", 3), count("MINUTES", 15)


def shares(total: int) -> list[object]:
    """`total` spread over the hosts, whose tests run beside each other."""
    each = [(name, total // len(HOSTS) + (number < total % len(HOSTS))) for number, name in enumerate(HOSTS)]
    return [
        pytest.param(name, some, marks=pytest.mark.xdist_group(f"lab-{name}"), id=f"{name}-{some}")
        for name, some in each
        if some
    ]


@pytest.fixture(autouse=True)
def watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    # Three unanswered ones are a lost link: quickly noticed, and a machine that is busy for a second is none.
    monkeypatch.setattr(login, "KEEPALIVE_INTERVAL_S", 2.0)


@pytest.fixture
def host(name: str, request: pytest.FixtureRequest) -> Iterator[LabHost]:
    found: LabHost = request.getfixturevalue(name)
    yield found
    found.lab.settle(name)
    faults.remove(found)


def lasted_ms(subject: Subject) -> int:
    """From the first to the last line of the current release's journal: a whole run on this machine at this time."""
    lines = subject.host.sh(f"cut -f 1 {subject.home}/current/journal").split()
    first, last = (datetime.fromisoformat(line) for line in (lines[0], lines[-1]))
    return int((last - first).total_seconds() * 1000)


@pytest.mark.parametrize(("name", "races"), shares(RACES))
async def test_of_two_deployers_one_wins_and_the_other_is_told_who(
    host: LabHost, races: int, registry: Registry, tmp_path: Path
) -> None:
    """In turn on the same stack and on two stacks of the host."""
    host.sh(f"mkdir -p {host.root}/gate; touch {host.root}/gate/go")
    web = Subject(host, registry, tmp_path / "a")
    other = Subject(host, registry, tmp_path / "b", stack="other")
    await web.start()
    if races > 1 or host.name == HOSTS[1]:
        await other.start()
    winners: Counter[str] = Counter()
    first = HOSTS.index(host.name)
    for number in range(first, first + races):
        second = web if number % 2 == 0 else other
        async with web.laptop("anna") as anna, second.laptop("berta") as berta:
            winners[await race((web, anna, "anna@north"), (second, berta, "berta@south"))] += 1
    assert winners.total() == races
    print(f"{host.name}: {races} races, won by {dict(winners)}")


@pytest.mark.parametrize(("name", "kills"), shares(KILLS))
async def test_a_kill_at_any_millisecond_loses_nothing(
    host: LabHost, kills: int, registry: Registry, tmp_path: Path
) -> None:
    dice = random.Random(f"{SEED} {host.name}")
    subject = Subject(host, registry, tmp_path)
    await subject.start()
    span_ms = lasted_ms(subject)
    ends: Counter[str] = Counter()
    first = HOSTS.index(host.name)
    for number in range(first, first + kills):
        victim, after_ms, how = VICTIMS[number % len(VICTIMS)], dice.randrange(span_ms), dice.choice(WAYS)
        try:
            ends[await killed(subject, victim, after_ms, how)] += 1
        except Exception as error:
            error.add_note(f"seed {SEED}, kill {number}: {victim} after {after_ms} ms, {how}; until then {dict(ends)}")
            raise
    assert ends.total() == kills
    print(f"{host.name}, seed {SEED}: {kills} kills within {span_ms} ms: {dict(ends)}")


@pytest.mark.soak
@pytest.mark.parametrize(("name", "share"), shares(len(HOSTS)))
async def test_a_random_walk_never_leaves_the_ground(
    host: LabHost, share: int, registry: Registry, tmp_path: Path
) -> None:
    subject = Subject(host, registry, tmp_path)
    faults.install(host)
    await subject.start()
    walk = Walk(subject, random.Random(f"{SEED} {host.name}"))
    until = time.monotonic() + MINUTES * 60
    try:
        while time.monotonic() < until:
            await walk.move()
    except Exception as error:
        error.add_note("\n".join([f"seed {SEED}, {host.name}; the trail:", *walk.trail]))
        raise
    finally:
        print(
            f"{host.name}, seed {SEED}: {len(walk.trail)} moves: {Counter(move.split(':')[0] for move in walk.trail)}"
        )
    assert walk.trail
