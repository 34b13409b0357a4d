"""Data across a deploy: commands around it, the dumps there are, and new major versions of databases. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from vpai_tui.deploy.bundle import Bundle
from vpai_tui.deploy.compare import ImageTarget
from vpai_tui.deploy.facts import HostFacts, RunningContainer, tsv
from vpai_tui.errors import PreflightRefused
from vpai_tui.fleet.operation import Cause, Command, Dump
from vpai_tui.fleet.stackspec import Hook, StackSpec
from vpai_tui.redact import redact
from vpai_tui.text import clean_line

_POSTGRES = re.compile(r"(?<![A-Za-z])pg([0-9]+)")  # in the tag of an extension's image, whose own version comes first
_MAJOR = re.compile(r"v?([0-9]+)(?=[.\-_+]|$)")


@dataclass(slots=True)
class Around:
    """What a plan says of data, and the flat files that its runner works with."""

    before: tuple[Command, ...] = ()
    after: tuple[Command, ...] = ()
    dumps: tuple[Dump, ...] = ()
    files: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    dangers: list[Cause] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Move:
    """A database's image changes: from one reference to another. Majors are None where its tag does not tell."""

    service: str
    before: str
    after: str
    major_before: int | None
    major_after: int | None

    @property
    def unknown(self) -> bool:
        return self.major_before is None or self.major_after is None or _name(self.before) != _name(self.after)

    @property
    def told(self) -> str:
        """Of an unknown move."""
        moved = f"{self.before or '?'} → {self.after}"
        return f"whether {self.service} changes its major version cannot be told from {moved}: it may not read its data"


def around(
    spec: StackSpec,
    bundle: Bundle,
    data: Iterable[str],
    facts: HostFacts,
    targets: Mapping[str, ImageTarget],
    *,
    touched: bool,
    rollback: bool,
) -> Around:
    """Commands run only where something is changed, and never those of a release that is gone back to."""
    found = Around(dumps=dumps_of(sorted(data), bundle.dumps, facts, spec))
    moves = list(moves_of(sorted(data), facts, targets))
    found.dangers += [Cause("data", move.told, danger=True) for move in moves if move.unknown]
    majors = [move for move in moves if not move.unknown and move.major_before != move.major_after]
    if rollback:
        _back(found, spec, majors, data)
        return found
    if touched:
        found.before, found.after = commands(spec.before, "before", facts), commands(spec.after, "after", facts)
        found.files["hooks"] = hook_file(spec)
    found.files["majors"] = "".join(f"{it.service}\t{it.major_before}\t{it.major_after}\n" for it in majors).encode()
    found.refusals += list(_refusals(spec, majors, found.before, facts))
    return found


def refuse_unfit(stack: str, refusals: Sequence[str]) -> None:
    """A plan that would put data at risk is refused, where a comparison alone (`sync`) may be made of it.

    Raises:
        PreflightRefused: with every reason.
    """
    if refusals:
        raise PreflightRefused(
            f"{stack} cannot be deployed: {refusals[0]}",
            host=stack.partition("/")[0],
            step="preflight",
            output="\n".join(refusals),
            remedy="nothing was changed; see before and fresh in docs/configuration.md",
        )


def _back(found: Around, spec: StackSpec, majors: Sequence[Move], data: Iterable[str]) -> None:
    if data:
        found.notes.append("data stays as it is: a rollback touches no volume")
    if spec.before or spec.after:
        found.notes.append("before and after commands are not run by a rollback")
    for move in majors:
        text = (
            f"{move.service} goes from version {move.major_before} to {move.major_after}, and its data stays as it is:"
            f" {move.major_after} may not read what {move.major_before} wrote"
        )
        found.dangers.append(Cause("data", text, danger=True))


def _refusals(spec: StackSpec, majors: Sequence[Move], before: Sequence[Command], facts: HostFacts) -> Iterator[str]:
    dumped = {item.dump_of for item in spec.fresh}
    for move in majors:
        what = f"{move.service} goes from version {move.major_before} to {move.major_after}"
        if move.service not in dumped:
            yield f"{what}, and no dump of it is declared (fresh: dump_of: {move.service})"
        elif not before:
            yield f"{what}, and no before command makes a dump of it"
    moved = sorted(name for name, text in changed_networks(facts).items() if text)
    if moved and any(command.container == "new" for command in before):
        yield (
            f"network {moved[0]} changes its definition, so Compose would stop what is on it for a before command in a "
            "new container: deploy that change without the command first"
        )


def changed_networks(facts: HostFacts) -> dict[str, bool]:
    """By name of the networks that the base release and this one define: whether the definitions differ."""
    old, new = facts.base_json().get("networks") or {}, facts.structure.get("networks") or {}
    return {name: old[name] != new[name] for name in new if name in old}


# -- commands ----------------------------------------------------------------------------------------------------------


def container_of(hook: Hook, when: str) -> str | None:
    """`new`, `running`, or None on the host."""
    return None if hook.service is None else hook.container or ("new" if when == "before" else "running")


def commands(hooks: Sequence[Hook], when: str, facts: HostFacts) -> tuple[Command, ...]:
    """As a plan tells them."""
    there = {item.service for item in facts.containers}
    return tuple(
        Command(
            run=redact(clean_line(hook.run)),
            service=hook.service,
            container=(container := container_of(hook, when)),
            timeout_s=hook.timeout_s,
            skipped=when == "before" and container == "running" and hook.service not in there,
        )
        for hook in hooks
    )


def hook_file(spec: StackSpec) -> bytes:
    """One command a line, as `hooks.sh` reads them."""
    rows = []
    for when, hooks in (("before", spec.before), ("after", spec.after)):
        for number, hook in enumerate(hooks, 1):
            place = (hook.service or "-", container_of(hook, when) or "-", str(math.ceil(hook.timeout_s)))
            rows.append("\t".join((when, str(number), *place, hook.run)))
    return "".join(f"{row}\n" for row in rows).encode()


# -- dumps -------------------------------------------------------------------------------------------------------------


def dumps_of(data: Sequence[str], declared: Sequence[str], facts: HostFacts, spec: StackSpec) -> tuple[Dump, ...]:
    """The newest dump of each service that holds data, or what is wrong."""
    known = {line.split(" ", 1)[0] for line in declared}
    limits = {item.dump_of: item.max_age_s for item in spec.fresh if item.dump_of}
    return tuple(_dump(service, known, facts, limits.get(service)) for service in data)


def _dump(service: str, declared: set[str], facts: HostFacts, max_age_s: float | None) -> Dump:
    if service not in declared:
        return Dump(service, problem="no dump of it is declared")
    if service not in facts.dumps:
        return Dump(service, problem="no dump found")
    path, age_s, size = facts.dumps[service]
    old = max_age_s is not None and age_s > max_age_s
    return Dump(service, path, age_s, size, "older than it may be" if old else "")


# -- major versions ----------------------------------------------------------------------------------------------------


def moves_of(data: Sequence[str], facts: HostFacts, targets: Mapping[str, ImageTarget]) -> Iterator[Move]:
    """Databases that run and would get another image."""
    running = {item.service: item for item in facts.containers}
    for service in data:
        container, target = running.get(service), targets.get(service)
        if container is None or target is None or target.id == container.image_id:
            continue
        before = _reference(container, target, facts)
        yield Move(service, before, target.ref, major_of(before), major_of(target.ref))


def _reference(container: RunningContainer, target: ImageTarget, facts: HostFacts) -> str:
    """What the running image is called: by the release that runs, by its container, or by a tag the image still has."""
    for row in tsv(facts.blobs.get("base.images.lock", b"")):
        if len(row) > 2 and row[0] == container.service and row[2] == container.image_id:
            return row[1]
    if major_of(container.image) is not None:
        return container.image
    tags = [tag for image in facts.images if image.id == container.image_id for tag in image.tags]
    return next((tag for tag in tags if _name(tag) == _name(target.ref)), container.image)


def major_of(ref: str) -> int | None:
    """The version a reference's tag begins with (`17.2-bookworm`, `v2.7`), or that of PostgreSQL in it (`0.8.0-pg17`).

    None where it tells none.
    """
    tag = ref.split("@", 1)[0].rpartition("/")[2].partition(":")[2]
    found = _POSTGRES.search(tag) or _MAJOR.match(tag)
    return int(found[1]) if found else None


def _name(ref: str) -> str:
    """The last part of the repository: a mirror's image is the same software."""
    return ref.split("@", 1)[0].rpartition("/")[2].partition(":")[0]
