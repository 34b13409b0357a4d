"""A file of a stack in the operator's own editor, on the laptop; and whether anything is another than before."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vpai_tui.clock import Clock, rfc3339
from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.history import Entry, History, who
from vpai_tui.fleet.stacks import COMPOSE_FILE
from vpai_tui.remote.program import run_program
from vpai_tui.text import clean_line

_DEFAULTS = ("nano", "vim", "vi")
_INSTEAD = "export EDITOR=nano"
_NAMED = 12
_LARGEST = 2000  # files of a stack that are looked at


@dataclass(frozen=True, slots=True)
class Edited:
    """What came of it."""

    stack: str
    path: Path
    changed: tuple[str, ...]  # files of the stack, relative to its folder


@dataclass(frozen=True, slots=True)
class Folder:
    """A stack's folder on the laptop, whether what is in it holds or not."""

    id: str  # host/stack
    dir: Path

    @property
    def host(self) -> str:
        return self.id.partition("/")[0]


def folder_of(stacks_dir: Path, known: Sequence[str], name: str) -> Folder:
    """The folder of the stack that `name` means, of those fleet.yaml knows. UsageError when not one fits."""
    fits = [it for it in known if it == name] or [it for it in known if it.rpartition("/")[2] == name]
    if len(fits) != 1:
        what = f'"{clean_line(name, 80)}" may be {" or ".join(fits)}' if fits else f'no stack "{clean_line(name, 80)}"'
        raise UsageError(what, remedy=f"known: {', '.join(known)}")
    folder = stacks_dir / fits[0]
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder", remedy=f"vpai-tui pull {fits[0]}")
    return Folder(fits[0], folder)


def editor(environ: Mapping[str, str]) -> list[str]:
    """The words of `$VISUAL`, else of `$EDITOR`, without a shell; where neither is set, nano, vim or vi.

    Raises:
        UsageError: they are none, or name no program of this machine.
    """
    name = next((name for name in ("VISUAL", "EDITOR") if environ.get(name, "").strip()), "")
    for told in (environ[name],) if name else _DEFAULTS:
        try:
            words = shlex.split(told)
        except ValueError as error:
            raise UsageError(f"${name} is {clean_line(told, 80)!r}: {error}", remedy=_INSTEAD) from error
        if words and shutil.which(words[0], path=environ.get("PATH")):
            return words
    if name:
        raise UsageError(f"${name} names no program: {clean_line(environ[name], 80)}", remedy=_INSTEAD)
    raise UsageError(f"there is no editor: neither $VISUAL, $EDITOR nor {', '.join(_DEFAULTS)}", remedy=_INSTEAD)


def file_of(stack: Folder, name: str) -> Path:
    """The file that `name` means: compose.yaml where it is empty, else a path below the stack's folder, or its end.

    Raises:
        UsageError: there is none, or more than one.
    """
    known = {str(path.relative_to(stack.dir)): path for path in _files(stack.dir)}
    name = name or COMPOSE_FILE
    fits = [name] if name in known else [it for it in known if it.endswith(f"/{name}")]
    if len(fits) == 1:
        return known[fits[0]]
    shown = ", ".join([*sorted(fits or known)][:_NAMED]) + (" …" if len(fits or known) > _NAMED else "")
    what = "may be" if fits else "is no file of it; there are"
    raise UsageError(f"{stack.id}: {clean_line(name, 80)} {what} {shown}", remedy=f"vpai-tui edit {stack.id} FILE")


async def edit(stack: Folder, name: str, clock: Clock, history: History) -> Edited:
    """Opens a file of the stack on this process's terminal; noted in the journal when something was changed.

    Raises:
        UsageError: no such file, no editor, or no terminal.
        OperatorError: the editor did not end well. What it saved stays.
    """
    from vpai_tui.remote.terminal import need_terminal

    path, words = file_of(stack, name), editor(os.environ)
    need_terminal()
    before = _stamps(stack.dir)
    status = await run_program([*words, str(path)], remedy=_INSTEAD)
    after = _stamps(stack.dir)
    changed = tuple(sorted(it for it in {*before, *after} if before.get(it) != after.get(it)))
    if changed:
        at = rfc3339(clock.now())
        history.append(Entry(at, who(), stack.host, "edit", stack.id, "done", ", ".join(changed[:_NAMED])))
    if status:
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        raise OperatorError(f"the editor {how}", step="edit", remedy="what it saved stays")
    return Edited(stack.id, path, changed)


def _files(folder: Path) -> list[Path]:
    """The files of a stack, inside of its folder alone; editors' own are left out."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    kept = [path for path in found if not path.name.endswith(("~", ".swp")) and "__pycache__" not in path.parts]
    return kept[:_LARGEST]


def _stamps(folder: Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for path in _files(folder):
        stat = path.stat()
        found[str(path.relative_to(folder))] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    return found
