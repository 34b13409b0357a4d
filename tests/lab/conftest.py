"""The lab for tests: found running or started once per session; each test gets its hosts empty and for itself.

`VPAI_LAB=require` turns a missing lab from a skip into an error, `VPAI_LAB=off` leaves it out.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn

import lab_wan
import pytest
from lab_host import LabHost
from lab_machines import MACHINES, Lab, missing
from lab_registry import Registry


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # a host has one test at a time: under xdist its tests are one worker's, beside those of the other hosts. They start
    # first as they take longest.
    for item in items:
        if item.get_closest_marker("lab") and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(_group(getattr(item, "fixturenames", ()))))
    items.sort(key=lambda item: item.get_closest_marker("lab") is None)


def _group(fixtures: Iterable[str]) -> str:
    """`lab-HOST` of a test of one host; `lab` of one that needs several, or changes what they share."""
    own = {machine.name for machine in MACHINES} & set(fixtures)
    return f"lab-{own.pop()}" if len(own) == 1 and "rtt" not in fixtures else "lab"


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The running lab. One that was found running, or that another test run uses by now, is left running."""
    if reason := "VPAI_LAB=off" if os.environ.get("VPAI_LAB") == "off" else missing():
        _do_without(reason)
    lab = Lab()
    lab.state.mkdir(parents=True, exist_ok=True)
    with (lab.state / "used.lock").open("w") as used:
        found = _up(lab, used)
        yield lab
        with _locked(lab.state / "up.lock"):
            if not found and _alone(used):
                lab_wan.stop(lab)
                lab.down()


def _up(lab: Lab, used: IO[str]) -> bool:
    """Start the lab and count as one of its users; returns whether it was there already."""
    with _locked(lab.state / "up.lock"):
        fcntl.flock(used, fcntl.LOCK_SH)
        found = lab.exists()
        if not lab.running():
            try:
                lab.up()
            except LookupError as error:
                _do_without(str(error))
        lab_wan.start(lab)
    return found


def _alone(used: IO[str]) -> bool:
    try:
        fcntl.flock(used, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _do_without(reason: str) -> NoReturn:
    if os.environ.get("VPAI_LAB") == "require":
        pytest.fail(f"VPAI_LAB=require, but {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def registry(lab: Lab) -> Registry:
    """The registry that every image reference in the lab leads to."""
    return Registry(lab)


@pytest.fixture
def sese(lab: Lab) -> Iterator[LabHost]:
    yield from _host(lab, "sese")


@pytest.fixture
def seko(lab: Lab) -> Iterator[LabHost]:
    yield from _host(lab, "seko")


@pytest.fixture
def pi(lab: Lab) -> Iterator[LabHost]:
    yield from _host(lab, "pi")


@pytest.fixture
def hosts(sese: LabHost, seko: LabHost, pi: LabHost) -> dict[str, LabHost]:
    """All three, by name."""
    return {host.name: host for host in (sese, seko, pi)}


@pytest.fixture
def rtt(lab: Lab) -> Iterator[object]:
    """`rtt(50)` sets the round-trip time of the far addresses in ms; 0 again after the test."""

    def set_rtt(milliseconds: float) -> None:
        lab_wan.set_delay(lab, milliseconds)

    yield set_rtt
    lab_wan.set_delay(lab, 0)


def _host(lab: Lab, name: str) -> Iterator[LabHost]:
    with _locked(lab.state / f"{name}.lock"):
        lab.settle(name)
        lab.clean(name)
        yield LabHost(lab, next(machine for machine in MACHINES if machine.name == name))
        lab.settle(name)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two test runs on one machine share the lab: each host belongs to one test at a time."""
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
