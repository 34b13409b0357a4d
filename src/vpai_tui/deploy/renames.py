"""What a stack calls otherwise than the release that runs: its project. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vpai_tui.deploy.facts import HostFacts, Occupant
from vpai_tui.fleet.operation import Cause, Plan
from vpai_tui.fleet.stacks import Stack
from vpai_tui.text import clean


def left_running(facts: HostFacts, project: str, services: Sequence[str], beside: Sequence[Stack]) -> list[Occupant]:
    """Containers of the stack's services, running or not, below another project that one of its releases had.

    What is a service of another stack of the host (`beside`) by now is that one's.
    """
    olds = {name for which in ("base", "bundle") if (name := facts.project_of(which)) and name != project}
    mine = {*services, *clean(facts.blobs.get("base.services", b"")).split()}
    taken = {(stack.project, service) for stack in beside for service in stack.services}
    return [
        item
        for item in facts.occupants
        if item.project in olds and item.service in mine and (item.project, item.service) not in taken
    ]


def project_moved(plan: Plan, facts: HostFacts, project: str) -> Plan:
    """`plan` with a danger where the release that runs is of another project: data may stay behind with its name."""
    was = facts.project_of("base")
    if not was or was == project:
        return plan
    text = f"project {was} → {project}: volumes that have no name of their own are new and empty"
    return replace(plan, dangers=(*plan.dangers, Cause("project", text, danger=True)), confirm_word=plan.stack)
