"""docs/bring-up.md names commands that exist, and every stack in the fleet's own order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from vpai_tui.config import load_fleet
from vpai_tui.fleet.stacks import load_stacks
from vpai_tui.verbs.arguments import build_parser

TOP = Path(__file__).parents[2]
FLEET = load_fleet(TOP / "config/fleet.yaml")
LINES = re.findall(r"(?m)^vpai-tui (.+)$", (TOP / "docs/bring-up.md").read_text())


def of(*words: str) -> list[str]:
    """The stacks of the commands that begin and end like this, in the document's order."""
    found = (shlex.split(line) for line in LINES)
    return [line[1] for line in found if line[0] == words[0] and (len(words) == 1 or words[1] in line)]


@pytest.mark.parametrize("line", LINES)
def test_a_command_is_one(line: str) -> None:
    build_parser().parse_args(shlex.split(line))


def test_every_stack_is_deployed_once_and_in_the_fleets_order_on_each_host() -> None:
    deployed = of("deploy")
    assert sorted(deployed) == sorted(FLEET.stacks)
    for host in FLEET.hosts:
        own = [stack for stack in FLEET.stacks if stack.startswith(f"{host}/")]
        assert [stack for stack in deployed if stack in own] == own


def test_the_env_files_of_every_stack_that_has_some_are_made_before_it() -> None:
    stacks = load_stacks(TOP / "stacks", FLEET)
    want = {stack.id for stack in stacks if any(stack.env_example(path) for path in stack.env_files)}
    assert want <= set(of("env", "init"))
    lines = [shlex.split(line) for line in LINES]
    for stack in want:
        assert lines.index(["env", stack, "init", "--yes"]) < next(
            number for number, line in enumerate(lines) if line[:2] == ["deploy", stack]
        )
