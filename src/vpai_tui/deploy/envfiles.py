"""The env files of a stack as its host has them: what they lack, and a plan to write what is missing.

Only names of files and keys, marks and verdicts come from the host; a value never does.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vpai_tui.deploy.builds import tar_of
from vpai_tui.deploy.bundle import below
from vpai_tui.deploy.envexample import Generate, SameAs
from vpai_tui.deploy.envwanted import WantedFile, WantedKey, wanted_files
from vpai_tui.deploy.facts import tsv
from vpai_tui.deploy.host import Place, in_folder, lines, place_of, script
from vpai_tui.errors import CommandFailed, OperatorError, UsageError
from vpai_tui.fleet.stacks import Stack
from vpai_tui.remote.connection import Connection
from vpai_tui.text import clean_line

_LINTS = {
    "junk": ("error", "is no KEY=VALUE; Compose refuses it or takes it for something else"),
    "o": ("error", "a quote is never closed: Compose refuses the file"),
    "t": ("error", "text behind the closing quote: Compose refuses the file"),
    "placeholder": ("error", "still has a value that only stands in for the real one"),
    "c": ("warn", "has only a comment for its value; Compose takes that for the value"),
    "d": ("warn", "has a $ that Compose substitutes: put the value in single quotes"),
    "h": ("warn", "is cut at its #: put the value in single quotes"),
    "r": ("warn", "ends with a carriage return (CRLF)"),
    "double": ("warn", "stands there twice; the last one counts"),
    "odd": ("warn", "has a name that is not shown, as it is unlike a variable's"),
    "link": ("warn", "the file is a link; init does not write through it"),
}


@dataclass(frozen=True, slots=True)
class EnvKey:
    """One key: `state` is set, empty or missing; `known`: the example has it."""

    name: str
    state: str
    required: bool
    known: bool
    lacking: bool  # required, and missing or empty
    comes_from: str = ""  # generated, `the same as …`, or nothing


@dataclass(frozen=True, slots=True)
class EnvProblem:
    """What is wrong. `severity` is error or warn; `key` may be empty, `line` 0 (the whole file). `code` is the lint of
    env.sh that found it, if one did."""

    severity: str
    message: str
    key: str = ""
    line: int = 0
    code: str = ""


@dataclass(frozen=True, slots=True)
class EnvFile:
    """One env file. `state`: present, missing, directory, link (to nothing), unreadable."""

    path: str
    services: tuple[str, ...]
    required: bool
    has_example: bool
    state: str
    mode: str
    owner: str
    keys: tuple[EnvKey, ...]
    problems: tuple[EnvProblem, ...]


@dataclass(frozen=True, slots=True)
class EnvReport:
    """All env files of one stack. `ran`: containers or volumes where the stack has run already, else empty."""

    stack: str
    files: tuple[EnvFile, ...]
    ran: str
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing that is required is missing and nothing is wrong beyond a warning."""
        return not any(problem.severity == "error" for file in self.files for problem in file.problems)


async def check(
    connection: Connection, stack: Stack, stacks: Sequence[Stack] = (), only: str | None = None
) -> EnvReport:
    """What the env files of `stack` lack. `stacks`: all of the fleet, for secrets shared with another one's files.

    Raises:
        UsageError: `only` (a path or a file's name) is none of them.
    """
    root = connection.host.root.rstrip("/")
    every = wanted_files(stack, root)
    files = [choose(every, only, stack.id)] if only else list(every)
    place = place_of(connection, stack.name, stack.project)
    rows = await run_script(connection, place, "check", (), _lists(stack, stacks, files, root))
    host = [file for other in stacks if other.host == stack.host for file in wanted_files(other, root)]
    return _report(stack, files, [*every, *host], rows, root)


def choose(files: Sequence[WantedFile], name: str, stack: str) -> WantedFile:
    """The file with this path or, where that is one only, with this name at its end. Raises UsageError."""
    fitting = [file for file in files if file.path == name] or [
        file for file in files if file.path.endswith(f"/{name.removeprefix('./')}")
    ]
    if len(fitting) != 1:
        what = "several env files" if fitting else "no env file"
        known = ", ".join(file.path for file in files) or "none"
        raise UsageError(f'{stack} has {what} "{clean_line(name)}"', remedy=f"it has: {known}")
    return fitting[0]


async def run_script(
    connection: Connection, place: Place, verb: str, args: Sequence[str], entries: Iterable[tuple[str, bytes, str]]
) -> list[list[str]]:
    """The records of `env.sh VERB` in a temporary directory of the host, gone afterwards; without the last, `end`."""
    parts = [(name, script(name), "600") for name in ("common.sh", "env.sh")]
    done = await connection.run(
        in_folder(f"{place.environment()} sh env.sh {shlex.join((verb, *args))}"),
        root=True,
        stdin=tar_of([*parts, *entries]),
        timeout_s=240,
        check=False,
        label=f"env {verb} {place.stack}",
    )
    rows = tsv(done.stdout)
    if not rows or rows[-1] != ["end"]:
        raise CommandFailed(
            f"env {verb} of {place.stack} did not come to its end",
            exit_status=done.exit_status,
            host=connection.name,
            remedy=f"vpai-tui env {place.stack} check   tells how the files stand",
        )
    return rows[:-1]


def _lists(
    stack: Stack, stacks: Sequence[Stack], files: Sequence[WantedFile], root: str
) -> list[tuple[str, bytes, str]]:
    ours = [file.path for file in files]
    others = {below(root, path) for other in stacks if other.host == stack.host for path in other.env_files}
    table = [(file.path, key) for file in files for key in file.keys]
    volumes = stack.compose.get("volumes") or {}
    lists = {
        "files": lines(ours),
        "others": lines(sorted(others - set(ours))),
        "names": _table((path, key.name) for path, key in table),
        "defaults": _table((path, key.name, key.default) for path, key in table if key.default),
        "services": lines(stack.services),
        "volumes": lines(_volume(stack, name, spec) for name, spec in volumes.items()),
    }
    return [(name, content, "600") for name, content in lists.items()]


def _volume(stack: Stack, key: str, spec: Any) -> str:
    return str((spec or {}).get("name") or f"{stack.project}_{key}")


def _table(rows: Iterable[tuple[str, ...]]) -> bytes:
    """TSV lines; a cell cannot hold a tab, as it comes from one line of a file and is a path, a key or a value."""
    return b"".join("\t".join(cell.replace("\t", " ") for cell in row).encode() + b"\n" for row in rows)


# ── the report ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _report(
    stack: Stack, files: Sequence[WantedFile], every: Sequence[WantedFile], rows: list[list[str]], root: str
) -> EnvReport:
    """`files` are those asked about, `every` all of the host: what one copies from another shall be equal."""
    try:
        found = [_file(file, rows, root, stack.id) for file in files]
        twins = _declared(every, root)
        for _, path, key, other, other_key in (row for row in rows if row[0] == "same"):
            if frozenset({(path, key), (other, other_key)}) not in twins:
                message = f"has the value of {other_key} in {other}: what leaks from one opens both"
                found = [_with(file, EnvProblem("warn", message, key)) if file.path == path else file for file in found]
        ran = next((row[1] for row in rows if row[0] == "ran"), "")
    except (IndexError, KeyError, ValueError, StopIteration) as error:
        raise OperatorError("the answer about env files is not what was asked for", host=stack.host) from error
    notes = tuple(problem for file in files for problem in file.problems)
    return EnvReport(stack.id, tuple(found), ran, notes)


def _with(file: EnvFile, problem: EnvProblem) -> EnvFile:
    return replace(file, problems=(*file.problems, problem))


def _declared(files: Sequence[WantedFile], root: str) -> set[frozenset[tuple[str, str]]]:
    """Pairs of keys that shall have one value: what a key is the same as, and what is the same as that too."""
    groups: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for file in files:
        for key in file.keys:
            if isinstance(key.source, SameAs):
                source = (below(root, key.source.path), key.source.key)
                groups.setdefault(source, {source}).add((file.path, key.name))
    return {frozenset({a, b}) for group in groups.values() for a in group for b in group}


def _file(wanted: WantedFile, rows: list[list[str]], root: str, stack: str) -> EnvFile:
    state, mode, owner = next(row[2:5] for row in rows if row[0] == "file" and row[1] == wanted.path)
    states = {row[2]: row[3] for row in rows if row[0] == "key" and row[1] == wanted.path}
    keys = tuple(_key(wanted, name, states.get(name, "missing"), root) for name in _names(wanted, states))
    problems = [*_of_file(wanted, state, mode, owner, stack)]
    if state == "present":
        problems += [
            EnvProblem("error", f"is {key.state}{f' ({key.comes_from})' if key.comes_from else ''}", key.name)
            for key in keys
            if key.lacking
        ]
    for _, _, line, key, lint in (row for row in rows if row[0] == "lint" and row[1] == wanted.path):
        severity, message = _LINTS[lint]
        problems.append(EnvProblem(severity, message, "" if key == "-" else key, int(line), lint))
    return EnvFile(
        wanted.path,
        wanted.services,
        wanted.required,
        wanted.has_example,
        state,
        "" if mode == "-" else mode,
        "" if owner == "-" else owner,
        keys,
        tuple(problems),
    )


def _names(wanted: WantedFile, states: Mapping[str, str]) -> list[str]:
    """The wanted keys, then the others; those of the `.env` may be another stack's and are left out."""
    names = [key.name for key in wanted.keys]
    return [*names, *(name for name in states if name not in names and wanted.services)]


def _key(wanted: WantedFile, name: str, state: str, root: str) -> EnvKey:
    key = wanted.key(name)
    if key is None:
        return EnvKey(name, state, required=False, known=False, lacking=False)
    bad = ("missing",) if key.may_be_empty else ("missing", "empty")
    return EnvKey(name, state, key.required, True, key.required and state in bad, comes_from(key, root))


def comes_from(key: WantedKey, root: str) -> str:
    """Where init takes a key's value from, in words; empty when the operator gives it."""
    if isinstance(key.source, Generate):
        return "init generates it"
    if isinstance(key.source, SameAs):
        return f"init takes it from {key.source.key} in {below(root, key.source.path)}"
    return "init writes the example's value" if key.default else ""


def _of_file(wanted: WantedFile, state: str, mode: str, owner: str, stack: str) -> Iterable[EnvProblem]:
    if state == "missing":
        if wanted.required:
            yield EnvProblem("error", "the file is missing")
        return
    if state != "present":
        yield EnvProblem("error", f"is no readable file: {state}")
        return
    if int(mode, 8) & 0o007:
        yield EnvProblem("error", f"everyone on the host may open it (mode {mode}); 600 is right")
    elif int(mode, 8) != 0o600:
        yield EnvProblem("warn", f"has mode {mode}; 600 is right")
    if owner != "root":
        yield EnvProblem("warn", f"belongs to {owner}; root is right")
    if not wanted.has_example and wanted.services:
        yield EnvProblem("warn", f"has no example in stacks/{stack}, so nothing tells which keys it needs")
