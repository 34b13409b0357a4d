"""docs/bring-up.md names commands that exist, and every stack in the fleet's own order."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from bring_up_steps import LAPTOP, steps
from vpai_tui.config import load_fleet
from vpai_tui.fleet.stacks import load_stacks
from vpai_tui.verbs.arguments import build_parser

TOP = Path(__file__).parents[2]
FLEET = load_fleet(TOP / "config/fleet.yaml")
LINES = [step.words for step in steps() if step.words]


def of(*words: str) -> list[str]:
    """The stacks of the commands that begin and end like this, in the document's order, each once."""
    found = (line[1] for line in LINES if line[0] == words[0] and (len(words) == 1 or words[1] in line))
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("line", LINES, ids=shlex.join)
def test_a_command_is_one(line: list[str]) -> None:
    build_parser().parse_args(line)


def test_every_stack_is_deployed_and_in_the_fleets_order_on_each_host() -> None:
    deployed = of("deploy")
    assert sorted(deployed) == sorted(FLEET.stacks)
    for host in FLEET.hosts:
        own = [stack for stack in FLEET.stacks if stack.startswith(f"{host}/")]
        assert [stack for stack in deployed if stack in own] == own


def test_the_env_files_of_every_stack_that_has_some_are_made_before_it_and_looked_at() -> None:
    stacks = load_stacks(TOP / "stacks", FLEET)
    want = {stack.id for stack in stacks if any(stack.env_example(path) for path in stack.env_files)}
    assert want <= set(of("env", "init"))
    for stack in want:
        assert LINES.index(["env", stack, "init", "--yes"]) < next(
            number for number, line in enumerate(LINES) if line[:2] == ["deploy", stack]
        )
    by_operator = {stack.id for stack in stacks if stack.spec.source}
    assert want - by_operator <= set(of("env", "check"))


def test_hosts_are_called_at_the_addresses_of_the_fleet() -> None:
    called = [step.line for step in steps() if "ssh " in step.line and step.places == (LAPTOP,)]
    at = {host.addresses[-1]: host for host in FLEET.hosts.values()}
    assert len(called) == len(at)
    for line in called:
        words = line.replace('"', " ").split()
        user, _, address = next(word for word in words if "@" in word).partition("@")
        host = at.pop(address)
        assert user == host.ssh.user
        assert int(words[words.index("-p") + 1] if "-p" in words else 22) == host.ssh.port


def test_a_place_nobody_knows_is_an_error() -> None:
    with pytest.raises(ValueError, match="where is this"):
        steps("```sh\n# on the moon, as root\nls\n```\n")
