"""The fault matrix: a deploy disturbed at every step, on three hosts. See docs/faults.md.

CI runs a sample of it; `make matrix` (VPAI_MATRIX=whole) every point with every fault, settled both ways.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import faults
import pytest
from fault_cell import Cell, run_cell
from fault_subject import Subject, small_disk
from fault_table import kept
from faults import BY_NAME, FAULTS, POINTS, Fault, Point
from lab_host import LabHost
from lab_registry import Registry

from vpai_tui.remote import login

pytestmark = pytest.mark.lab
HOSTS = ("sese", "pi", "seko")
WHOLE = os.environ.get("VPAI_MATRIX") == "whole"
Wanted = tuple[Point, Fault, str]

# Every step once and every fault twice; host → (name of the point, fault, how it is settled).
SAMPLE = {
    "sese": (
        ("1 plan is read", "client killed", "revert"),
        ("5 after pending", "runner killed", "resume"),
        ("7 in a recreate", "runner and compose killed", "revert"),
        ("10 before the commit", "power lost", "resume"),
        ("3 runner starts", "link cut", "revert"),
    ),
    "pi": (
        ("4 preflight", "engine restarted", "revert"),
        ("6 file is put in place", "runner killed", "revert"),
        ("9 confirmation", "link cut", "revert"),
        ("7 at the gate", "client killed", "resume"),
        ("10 before pending goes", "runner and compose killed", "resume"),
    ),
    "seko": (
        ("2 release gets its name", "power lost", "revert"),
        ("8 a service is removed", "engine restarted", "revert"),
    ),
}
SAMPLE_ON_A_FULL_DISK = (
    ("6 file is put in place", "disk full", "revert"),
    ("10 before the commit", "disk full", "revert"),
)


@pytest.fixture(autouse=True)
def watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead link is noticed in 2 s instead of 8 (which test_remote_lab measures)."""
    monkeypatch.setattr(login, "KEEPALIVE_INTERVAL_S", 0.5)


def on(host: str, cells: Sequence[tuple[str, str, str]]) -> object:
    """Parameters of a test that runs `cells` on a host, beside the tests of the other hosts."""
    points = {point.name: point for point in POINTS}
    wanted = [(points[point], BY_NAME[fault], how) for point, fault, how in cells]
    return pytest.param(host, wanted, marks=pytest.mark.xdist_group(f"lab-{host}"), id=f"{host}-{cells[0][0]}")


def sampled() -> Iterator[object]:
    yield from (on(host, cells) for host, cells in SAMPLE.items())
    yield on("seko", SAMPLE_ON_A_FULL_DISK)


def whole() -> Iterator[object]:
    """One test a point and kind of disk, spread over the hosts."""
    for number, point in enumerate(POINTS):
        for small in (False, True):
            cells = [(point.name, f.name, how) for f in FAULTS if f.small is small for how in ("resume", "revert")]
            yield on(HOSTS[number % len(HOSTS)], cells)


@asynccontextmanager
async def prepared(host: LabHost, registry: Registry, folder: Path, *, small: bool) -> AsyncIterator[Subject]:
    """Version 1 of the stack runs on the host, and the stand-ins are in place."""
    subject = Subject(host, registry, folder)
    faults.install(host)
    try:
        if small:
            with small_disk(host):
                await subject.start()
                yield subject
        else:
            await subject.start()
            yield subject
    finally:
        host.lab.settle(host.name)
        faults.remove(host)


@pytest.mark.parametrize(("name", "wanted"), list(whole() if WHOLE else sampled()))
async def test_a_disturbed_deploy_ends_new_old_or_interrupted_and_is_settled(
    name: str, wanted: list[Wanted], request: pytest.FixtureRequest, registry: Registry, tmp_path: Path
) -> None:
    host: LabHost = request.getfixturevalue(name)
    violations: list[str] = []
    left = list(wanted)
    while left:
        async with prepared(host, registry, tmp_path / str(len(left)), small=left[0][1].small) as subject:
            while left:
                point, fault, how = left.pop(0)
                try:
                    cell = await run_cell(subject, point, fault, how)
                except Exception as error:  # the next cell gets a new stack on an empty host
                    violations.append(f"{point.name} × {fault.name}, {how}: {type(error).__name__}: {error}")
                    keep(subject, Cell(name, point.name, fault.name, how, "VIOLATED"))
                    break
                keep(subject, cell)
                if not cell.settled and left and left[0][:2] == (point, fault):
                    left.pop(0)  # nothing was left to settle the other way
        host.lab.clean(name)
    assert not violations, "\n".join(violations)


def keep(subject: Subject, cell: Cell) -> None:
    told = {"host": cell.host, "point": cell.point, "fault": cell.fault, "how": cell.how, "outcome": cell.outcome}
    with kept(subject.host.lab).open("a") as out:
        out.write(json.dumps(told) + "\n")
