"""The corpus of broken and hostile inputs: `tests/corpus/*.yaml` as cases, and what every answer to one must be."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vpai_tui.text import clean

FOLDER = Path(__file__).parent / "corpus"
NONE = "none"  # `error:` of a case that is harmless where it is read


@dataclass(frozen=True)
class Case:
    """One broken input. `raw` are its bytes; `more` whatever else the group's file says of it."""

    group: str
    name: str
    raw: bytes
    error: str
    exit: int
    says: str
    more: Mapping[str, Any]


def cases(group: str) -> list[Case]:
    """The cases of `corpus/<group>.yaml`, their group's defaults filled in."""
    document = yaml.safe_load((FOLDER / f"{group}.yaml").read_text(encoding="utf-8"))
    return [_case(group, {**document.get("defaults", {}), **entry}) for entry in document["cases"]]


def names(found: list[Case]) -> list[str]:
    return [case.name for case in found]


def _case(group: str, entry: dict[str, Any]) -> Case:
    more = {key: value for key, value in entry.items() if key not in ("name", "error", "exit", "says")}
    error, exit_code = str(entry.get("error", NONE)), int(entry.get("exit", 0))
    return Case(group, str(entry["name"]), _bytes(entry), error, exit_code, str(entry.get("says", "")), more)


def _bytes(entry: Mapping[str, Any]) -> bytes:
    if "make" in entry:
        return MADE[entry["make"]]().encode()
    if "latin1" in entry:
        return str(entry["latin1"]).encode("latin-1")
    middle = str(entry["repeat"]) * int(entry["times"]) if "repeat" in entry else str(entry.get("text", ""))
    return f"{entry.get('before', '')}{middle}{entry.get('after', '')}".encode("utf-8", "surrogateescape")


# ── inputs too long to be written down ───────────────────────────────────────────────────────────────────────────────


def _laughs(levels: int = 9) -> str:
    rows = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    rows += [f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 10)}]" for at in range(1, levels)]
    return "\n".join(rows) + "\n"


def _merges(levels: int = 9) -> str:
    rows = ["a0: &a0 {a: 1}"]
    rows += [f"a{at}: &a{at} {{<<: [{', '.join([f'*a{at - 1}'] * 10)}]}}" for at in range(1, levels)]
    return "\n".join(rows) + "\n"


def _services(count: int, *, closed: bool) -> str:
    """Each waits for the one after it: the worst order to sort."""
    last = "depends_on: [s0], " if closed else ""
    rows = [f"  s{at}: {{depends_on: [s{at + 1}], image: x}}" for at in range(count - 1)]
    return "services:\n" + "\n".join([*rows, f"  s{count - 1}: {{{last}image: x}}"]) + "\n"


def _crowd() -> str:
    return "services:\n" + "".join(f"  s{at}: {{image: {'x' * 200}}}\n" for at in range(10_000))


MADE: dict[str, Callable[[], str]] = {
    "laughs": _laughs,
    "merges": _merges,
    "chain": lambda: _services(1500, closed=False),
    "circle": lambda: _services(1500, closed=True),
    "crowd": _crowd,
}


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def lay(case: Case, root: Path) -> Path:
    """Puts the case's file, and what it wants beside it, below `root`."""
    path = root / case.more["file"]
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.unlink()
    place = {"loop": _loop, "directory": Path.mkdir, "pipe": os.mkfifo, "unreadable": _unreadable, "missing": _nothing}
    if "place" in case.more:
        place[case.more["place"]](path)
    else:
        path.write_bytes(case.raw)
    for name, content in case.more.get("with", {}).items():
        beside = path.parent / name
        beside.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(content)
    for name, target in case.more.get("links", {}).items():
        (path.parent / name).parent.mkdir(exist_ok=True)
        (path.parent / name).symlink_to(target)
    for name in case.more.get("pipes", ()):
        (path.parent / name).parent.mkdir(exist_ok=True)
        os.mkfifo(path.parent / name)
    return path


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _unreadable(path: Path) -> None:
    path.symlink_to("/proc/self/mem")  # gives an error to everybody, root included


def _nothing(_path: Path) -> None:
    return


def tree(root: Path) -> dict[str, object]:
    """What lies below `root`: to see that nothing was changed."""
    found: dict[str, object] = {}
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = Path(folder) / name
            plain = path.is_file() and not path.is_symlink()
            found[str(path.relative_to(root))] = path.read_bytes() if plain else path.lstat().st_mode
    return found


# ── what must hold ───────────────────────────────────────────────────────────────────────────────────────────────────


def is_safe(shown: str) -> bool:
    """Nothing in it drives a terminal or reorders text."""
    return clean(shown) == shown


def check_complaint(shown: str, *, code: int, case: Case) -> None:
    """A complaint for people: the right exit code, what and where, no traceback, nothing that a terminal obeys."""
    assert "Traceback" not in shown, shown
    assert "internal error" not in shown, shown
    assert is_safe(shown), repr(shown)
    assert code == case.exit, shown
    assert case.says in shown
    assert shown.startswith("vpai-tui: ")
