"""What a stack calls otherwise than the release that runs does: its project, a service. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vpai_tui.deploy.claims import LIVE, address, said, same_port, shared_data
from vpai_tui.deploy.compare import interruption_of
from vpai_tui.deploy.facts import HostFacts, Occupant
from vpai_tui.fleet.operation import Cause, Change, Effect, Plan
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


def replacing(plan: Plan, facts: HostFacts, project: str) -> Plan:
    """`plan` in which a service knows which removed ones it takes data, a port or the name over from.

    A database under another name is a danger of the plan: the stack's name is to be typed.
    """
    removed = {change.service: change for change in plan.changes if change.effect is Effect.REMOVE}
    olds = [item for item in facts.occupants if item.project == project and item.service in removed]
    changes, dangers = [], []
    for change in plan.changes:
        taken = _taken_over(change, olds, facts, project)
        data = {old for old in taken if change.has_data or removed[old].has_data}
        causes = tuple(_cause(old, words, danger=old in data) for old, words in taken.items())
        dangers += [
            replace(cause, detail=f"{change.service} replaces {cause.detail}") for cause in causes if cause.danger
        ]
        pauses = [pause for old in taken if (pause := interruption_of(facts, change.service, old)) is not None]
        changes.append(
            replace(
                change,
                causes=(*change.causes, *causes),
                replaces=tuple(taken),
                interruption_s=max(pauses, default=change.interruption_s),
            )
        )
    word = plan.stack if dangers else plan.confirm_word
    return replace(plan, changes=tuple(changes), dangers=(*plan.dangers, *dangers), confirm_word=word)


def _cause(old: str, words: Sequence[str], *, danger: bool) -> Cause:
    return Cause("replaces", f"{old}, which is stopped and removed first: {', '.join(words)}", danger=danger)


def _taken_over(change: Change, olds: Sequence[Occupant], facts: HostFacts, project: str) -> dict[str, list[str]]:
    """By removed service: what of it the changed one wants and does not hold itself yet."""
    found: dict[str, list[str]] = {}
    if change.effect not in (Effect.CREATE, Effect.RECREATE):
        return found
    mine = [item for item in facts.occupants if item.project == project and item.service == change.service]
    held = {mount.source for item in mine for mount in item.mounts if mount.writable}
    for old in olds:
        words = [said(mount) for mount in shared_data(change.service, old, facts) if mount.source not in held]
        if old.state in LIVE:
            wanted = facts.published.get(change.service, ())
            words += [f"port {address(port)}" for port in wanted if any(same_port(port, it) for it in old.ports)]
        if facts.named.get(change.service) == old.name:
            words.append(f"the name {old.name}")
        if words:
            found[old.service] = words
    return found
