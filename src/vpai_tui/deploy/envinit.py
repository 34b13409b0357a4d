"""Writing what a stack's env files lack, on the host: generated values are drawn there and nowhere else seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vpai_tui.deploy.bundle import below
from vpai_tui.deploy.envexample import SETS, ExampleKey, Generate, SameAs
from vpai_tui.deploy.envfiles import EnvFile, EnvReport, choose, run_script
from vpai_tui.deploy.envwanted import WantedFile, WantedKey, wanted_files
from vpai_tui.deploy.host import place_of
from vpai_tui.errors import LockHeld, OperatorError, PreflightRefused, StalePlan, UsageError
from vpai_tui.fleet.stacks import Stack
from vpai_tui.remote.connection import Connection


@dataclass(frozen=True, slots=True)
class EnvStep:
    """What happens to one file: keys by where their values come from. `todo` is what the host's script reads."""

    path: str
    create: bool
    tighten: bool  # becomes root's, mode 0600
    generated: tuple[str, ...]
    copied: tuple[str, ...]
    defaults: tuple[str, ...]
    blank: tuple[str, ...]  # written without a value: the operator fills them in
    todo: bytes


@dataclass(frozen=True, slots=True)
class EnvPlan:
    """What `init` would write. `confirm_word`: the name that must be typed, None: `yes` is enough."""

    stack: str
    host: str
    steps: tuple[EnvStep, ...]
    ran: str
    confirm_word: str | None

    @property
    def empty(self) -> bool:
        return not self.steps


@dataclass(frozen=True, slots=True)
class EnvDone:
    """What `init` wrote. `made`: (path, key, how); `left`: (path, key) that still have no value."""

    stack: str
    wrote: tuple[str, ...]
    made: tuple[tuple[str, str, str], ...]
    left: tuple[tuple[str, str], ...]


def plan_init(report: EnvReport, stack: Stack, root: str, only: str | None = None) -> EnvPlan:
    """What must be written so that nothing is missing but what only the operator can give.

    An optional file is left out unless `only` names it.

    Raises:
        UsageError: an example cannot be understood.
        PreflightRefused: something in the way is no file that could be added to.
    """
    if report.notes:
        raise UsageError("\n".join(report.notes), remedy="mend the example's marks (docs/configuration.md)")
    every = wanted_files(stack, root)
    wanted = [choose(every, only, stack.id)] if only else [file for file in every if file.required]
    found = {file.path: file for file in report.files}
    refused = [f"{file.path}: {why}" for file in wanted if (why := _in_the_way(found[file.path]))]
    if refused:
        raise PreflightRefused(
            f"{stack.id}: {refused[0]}", host=stack.host, output="\n".join(refused), remedy="nothing was written"
        )
    steps = [step for file in wanted if (step := _step(file, found[file.path], root)) is not None]
    generates = any(step.generated for step in steps)
    word = stack.id if report.ran and generates else None
    return EnvPlan(stack.id, stack.host, tuple(steps), report.ran, word)


def _in_the_way(file: EnvFile) -> str:
    if file.state not in ("present", "missing"):
        return f"is no file: {file.state}"
    bad = [problem for problem in file.problems if problem.code in ("o", "link")]
    return bad[0].message if bad else ""


def _step(wanted: WantedFile, found: EnvFile, root: str) -> EnvStep | None:
    create = found.state == "missing"
    tighten = not create and (found.mode != "600" or found.owner != "root")
    states = {key.name: key.state for key in found.keys}
    ways: list[tuple[str, str]] = []  # key, how
    rows: list[tuple[str, ...]] = []
    for line in wanted.lines:
        rows += _rows(line, wanted, None if create else states, root, ways)
    if not (create or tighten or ways):
        return None
    header = (wanted.path, "missing" if create else "present")
    todo = b"".join("\t".join(row).encode() + b"\n" for row in (header, *rows))
    named = {how: tuple(key for key, way in ways if way == how) for how in ("generate", "same", "default", "blank")}
    return EnvStep(
        wanted.path, create, tighten, named["generate"], named["same"], named["default"], named["blank"], todo
    )


def _rows(
    line: str | ExampleKey,
    wanted: WantedFile,
    states: dict[str, str] | None,
    root: str,
    ways: list[tuple[str, str]],
) -> Iterator[tuple[str, ...]]:
    """The script's lines for one line of the example; `states` is None for a file that is made anew."""
    if isinstance(line, str):
        if states is None:
            yield ("add", "text", f".{line}")
        return
    key = wanted.key(line.name)
    if key is None:
        return
    how, *words = _way(key, root)
    if states is None:
        if how == "blank" and not key.required:
            yield ("add", "text", f".#{key.name}=")
            return
        ways.append((key.name, how))
        yield ("add", how, key.name, *words)
    elif key.required and states[key.name] == "missing":
        ways.append((key.name, how))
        yield from (("add", "text", f".{comment}") for comment in line.comments)
        yield ("add", how, key.name, *words)
    elif key.required and states[key.name] == "empty" and not key.may_be_empty and how != "blank":
        ways.append((key.name, how))
        yield ("fill", how, key.name, *words)


def _way(key: WantedKey, root: str) -> tuple[str, ...]:
    """How the script comes by a value, and its words; texts that may be empty begin with a dot."""
    match key.source:
        case Generate(length, alphabet, prefix):
            return ("generate", str(length), SETS[alphabet], f".{prefix}")
        case SameAs(path, name, before, behind):
            return ("same", below(root, path), name, f".{before}", f".{behind}")
    return ("default", f".{key.default}") if key.default else ("blank",)


async def init(connection: Connection, stack: Stack, plan: EnvPlan, by: str) -> EnvDone:
    """Carries `plan` out under the host's lock, file by file; each file is the old one or the new one.

    Raises:
        LockHeld: somebody deploys there. StalePlan: a file came or went since. Nothing was written then.
        OperatorError: a file could not be written; those before it are.
        LinkLost: it is not known how far it came; doing it again is safe.
    """
    place = place_of(connection, stack.name, stack.project)
    entries = [(f"todo/{number:03}", step.todo, "600") for number, step in enumerate(plan.steps)]
    rows = await run_script(connection, place, "init", (by,), entries)
    told = {row[0]: row for row in rows if row[0] in ("held", "stale", "failed")}
    wrote = tuple(row[1] for row in rows if row[0] == "wrote")
    if "held" in told:
        raise LockHeld(f"another deploy holds the lock: {told['held'][1]}", host=plan.host, remedy="try again later")
    if "stale" in told:
        raise StalePlan(
            f"{told['stale'][1]} is not as it was; nothing was written", host=plan.host, remedy="look again"
        )
    if "failed" in told:
        _, path, why = told["failed"]
        before = f"; written before: {', '.join(wrote)}" if wrote else "; nothing was written"
        raise OperatorError(f"{path}: {why}{before}", host=plan.host, remedy="mend it, then the same command again")
    made = tuple((row[1], row[2], row[3]) for row in rows if row[0] == "made")
    left = tuple((row[1], row[2]) for row in rows if row[0] == "left")
    return EnvDone(plan.stack, wrote, made, left)


def still_to_fill(done: EnvDone) -> Sequence[str]:
    """Keys that only the operator can give, as `KEY in path`."""
    return [f"{key} in {path}" for path, key in done.left]
