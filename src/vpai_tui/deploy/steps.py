"""The changes of a plan → the runner's steps there and back. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vpai_tui.deploy.bundle import Bundle
from vpai_tui.deploy.facts import HostFacts
from vpai_tui.deploy.told import told_of
from vpai_tui.fleet.operation import Change, Effect
from vpai_tui.text import clean


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the runner's `steps`: what is done to a service (or a comma-joined group), and how it is gated.

    `command` is that of a reload; on the way back `after=SERVICE,…` names what must be gone before an `up`.
    """

    verb: str  # up, restart, reload, rm
    service: str
    kind: str  # service or oneshot
    timeout_s: int
    command: str = "-"

    def line(self) -> str:
        return "\t".join((self.verb, self.service, self.kind, str(self.timeout_s), self.command))


def steps_for(
    changes: Sequence[Change], facts: HostFacts, one_shots: Sequence[str], timeout_s: int, bundle: Bundle
) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """The runner's steps, and the way back for exactly the same services.

    There: ups in start-up order, each behind the removal of what it replaces, then the other removals. Back: what was
    created is removed, then what ran comes back in the order of the release that it is of.
    """
    touched = [change for change in changes if change.effect is not Effect.NONE]
    ups = [
        _step(change, "oneshot" if change.service in one_shots else "service", timeout_s, bundle)
        for change in touched
        if change.effect is not Effect.REMOVE
    ]
    replaced = {change.service: change.replaces for change in touched}
    removed = [change.service for change in touched if change.effect is Effect.REMOVE]
    there: list[Step] = []
    for step in _grouped(ups, facts):
        olds = (old for service in step.service.split(",") for old in replaced.get(service, ()))
        there += [Step("rm", old, "service", timeout_s) for old in dict.fromkeys(olds) if old in removed]
        removed = [name for name in removed if all(done.service != name for done in there)]
        there.append(step)
    there += [Step("rm", name, "service", timeout_s) for name in removed]
    return tuple(there), _back(touched, facts, one_shots, timeout_s)


def _step(change: Change, kind: str, timeout_s: int, bundle: Bundle) -> Step:
    if change.effect is Effect.RELOAD:
        mounted = bundle.files_of.get(change.service, ())
        command = next(item.reload for item in bundle.files if item.reload and item.path in mounted)
        return Step("reload", change.service, kind, timeout_s, command)
    if change.effect is Effect.RESTART and change.causes[0].kind == "files":
        return Step("restart", change.service, kind, timeout_s)
    return Step("up", change.service, kind, timeout_s)


def _back(touched: Sequence[Change], facts: HostFacts, one_shots: Sequence[str], timeout_s: int) -> tuple[Step, ...]:
    base = clean(facts.blobs.get("base.services", b"")).split()
    place = {name: at for at, name in enumerate(base)}
    removed_last = sorted(touched, key=lambda item: item.effect is Effect.REMOVE)
    in_order = sorted(removed_last, key=lambda item: place.get(item.service, len(base)))
    once = {*one_shots, *(told_of(facts.blobs.get("base.bundle.json")).one_shots or ())}
    steps = [step for change in in_order for step in _step_back(change, touched, facts, once, timeout_s)]
    return _grouped(sorted(steps, key=lambda step: step.verb != "rm"), facts)


def _step_back(
    change: Change, touched: Sequence[Change], facts: HostFacts, once: set[str], timeout_s: int
) -> Iterator[Step]:
    name, kind = change.service, "oneshot" if change.service in once else "service"
    if all(item.service != name for item in facts.containers):
        yield Step("rm", name, kind, timeout_s)
    elif change.effect in (Effect.RELOAD, Effect.RESTART) and change.causes[0].kind == "files":
        yield Step("restart", name, kind, timeout_s)
    elif kind == "service":
        there = {item.service for item in facts.containers}
        news = [item.service for item in touched if name in item.replaces and item.service not in there]
        yield Step("up", name, kind, timeout_s, f"after={','.join(news)}" if news else "-")


def _grouped(steps: Sequence[Step], facts: HostFacts) -> tuple[Step, ...]:
    """A service that shares another's network is brought up in one step with it."""
    found: dict[str, Step] = {}
    for step in steps:
        parent = facts.netns.get(step.service)
        if step.verb == "up" and parent in found and found[parent].verb == "up":
            owner = found[parent]
            waits = [command for command in (owner.command, step.command) if command != "-"]
            command = ",".join(waits).replace(",after=", ",") or "-"
            found[parent] = replace(owner, service=f"{owner.service},{step.service}", command=command)
        else:
            found[step.service] = step
    return tuple(found.values())
