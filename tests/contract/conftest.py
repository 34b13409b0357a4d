"""The hosts the contract is checked on: `demo`, a simulated one, and `lab`, a real one."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import ModuleType

import pytest
import pytest_asyncio
import yaml

from .hosts import BROKEN, OTHER, UNHEALTHY, WEB, ContractHost, demo_host, lab_host

_LAB = Path(__file__).parents[1] / "lab"


def _lab_conftest() -> ModuleType:
    """The lab's own fixtures; a conftest of another folder is not importable by its name."""
    if str(_LAB) not in sys.path:
        sys.path.append(str(_LAB))
    spec = importlib.util.spec_from_file_location("lab_conftest", _LAB / "conftest.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_lab = _lab_conftest()
lab = _lab.lab
registry = _lab.registry

BOTH = [
    pytest.param("demo", marks=pytest.mark.xdist_group("contract-demo")),
    pytest.param("lab", marks=[pytest.mark.lab, pytest.mark.xdist_group("lab")]),
]


@pytest_asyncio.fixture(scope="package", loop_scope="package", params=BOTH)
async def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ContractHost]:
    """One host for all tests of this folder, with the images pulled; each test has a project of its own on it."""
    async with AsyncExitStack() as stack:
        if request.param == "demo":
            found = await stack.enter_async_context(demo_host(tmp_path_factory.mktemp("demo")))
        else:
            running, bits = request.getfixturevalue("lab"), request.getfixturevalue("registry")
            stack.enter_context(_lab._locked(running.state / "sese.lock"))
            await asyncio.to_thread(running.settle, "sese")
            await asyncio.to_thread(running.clean, "sese")
            stack.callback(running.clean, "sese")
            fleet = yaml.safe_load((running.state / "fleet.yaml").read_text())
            found = await stack.enter_async_context(lab_host(fleet, bits))
        for reference, version in ((WEB, "1"), (OTHER, "2"), (BROKEN, "1"), (UNHEALTHY, "1")):
            await found.bits.publish(reference, version)
        pulls = (found.run("docker", "pull", "-q", reference) for reference in (WEB, OTHER, BROKEN, UNHEALTHY))
        await asyncio.gather(*pulls)
        yield found
