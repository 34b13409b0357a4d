"""What of the demo is broken on purpose: one file each in the demo's folder, made by hand or by `demo break ID`."""

from __future__ import annotations

from pathlib import Path

FOLDER = "breaks"


def broken(folder: Path, check: str) -> bool:
    """Whether what `check` looks at is broken now."""
    return (folder / FOLDER / check).exists()


def set_broken(folder: Path, check: str, *, on: bool) -> None:
    path = folder / FOLDER / check
    if on:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    else:
        path.unlink(missing_ok=True)
