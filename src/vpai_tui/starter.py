"""`init`: a starter `config/` and `stacks/`, written where there is none yet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vpai_tui.errors import OperatorError, UsageError

FOLDERS = ("config", "stacks")


@dataclass(frozen=True, slots=True)
class StarterWritten:
    """What `init` did in `directory`; paths are relative to it, sorted. `kept` were there already, untouched."""

    directory: Path
    written: tuple[Path, ...]
    kept: tuple[Path, ...]


def find_starter() -> Path:
    """The folder that holds the shipped `config/` and `stacks/`: inside an installed wheel, else the source tree."""
    here = Path(__file__).parent
    for place in (here / "starter", here.parent.parent):
        if all((place / folder).is_dir() for folder in FOLDERS) and (place / "config" / "fleet.yaml").is_file():
            return place
    raise OperatorError(
        "the starter files are not in this installation", step="init", remedy="Install vpai-tui again, from its wheel."
    )


def write_starter(directory: Path) -> StarterWritten:
    """Copy the starter files into `directory` (made if missing); a file that is there stays as it is.

    Raises UsageError where a folder cannot be made or a file cannot be written; what was written before stays.
    """
    source = find_starter()
    written: list[Path] = []
    kept: list[Path] = []
    for path in _shipped(source):
        target = directory / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            (written if _write_new(source / path, target) else kept).append(path)
        except OSError as error:
            raise UsageError(
                f"{target}: cannot be written: {error.strerror or error}",
                step="init",
                remedy=f"{len(written)} files were written before; a second `init` goes on from there.",
            ) from error
    return StarterWritten(directory, tuple(written), tuple(kept))


def _shipped(source: Path) -> Iterator[Path]:
    """The starter's files, relative and sorted; never an env file, should one lie about in a source tree."""
    for folder in FOLDERS:
        for path in sorted((source / folder).rglob("*")):
            if path.is_file() and path.suffix not in (".env", ".pyc") and path.name != ".DS_Store":
                yield path.relative_to(source)


def _write_new(source: Path, target: Path) -> bool:
    """Copy one file unless the target exists in any form (a broken link included); whether it was copied."""
    mode = 0o755 if os.access(source, os.X_OK) else 0o644
    try:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        return False
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(source.read_bytes())
    except OSError:
        target.unlink()  # half a file would be kept by the next run
        raise
    return True
