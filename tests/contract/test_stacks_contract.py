"""Every stack that is shipped, read by Compose: the demo's and, in the lab, the real one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vpai_tui.config import load_fleet
from vpai_tui.demo.seed import invented
from vpai_tui.fleet import sources
from vpai_tui.fleet.stacks import load_stack

from .hosts import ContractHost

pytestmark = pytest.mark.asyncio(loop_scope="package")

ROOT = Path(__file__).parents[2]
STACKS = load_fleet(ROOT / "config/fleet.yaml").stacks


@pytest.mark.parametrize("name", STACKS)
async def test_compose_reads_what_is_shipped(host: ContractHost, name: str) -> None:
    stack = load_stack(ROOT / "stacks", name)
    texts = {"compose": stack.compose_path.read_text()}
    if given := sources.override(stack.spec.source):
        texts["source"] = given.decode()
    project = await host.project(**texts).prepare()
    examples = {path: stack.env_example(path) for path in stack.env_files}
    assert None not in examples.values()
    await project.write({path: invented(it.read_text(), 1) for path, it in examples.items() if it is not None})
    done = await project.sh("dc config --format json")
    found = json.loads(done.stdout)["services"]
    assert set(found) == set(stack.services)  # what is off is in no profile that anybody asks for
    for service, body in found.items():
        given_keys = body.get("environment") or {}
        empty = [key for key, value in given_keys.items() if value in (None, "")]
        assert not empty, (service, empty)
