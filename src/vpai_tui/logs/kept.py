"""Small YAML files in the user's configuration that the cockpit writes and the operator may edit: one mapping each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.text import clean_line

LARGEST = 256 * 1024  # bytes
_MEND = "mend it, or move it away"


def user_file(name: str) -> Path:
    """The user's own file of that name."""
    import platformdirs

    return platformdirs.user_config_path("vpai-tui", appauthor=False) / name


def read_mapping(path: Path, expected: str) -> dict[str, Any]:
    """What the file maps, in its order; empty where there is none. `expected` says what it should be.

    Raises:
        UsageError: it cannot be read, is too large, or is no mapping whose keys are text.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:  # what was not read would be lost when the file is written again
            raise UsageError(f"{path} is larger than {LARGEST >> 10} KiB", remedy=_MEND)
        raw = yaml.safe_load(content)
    except FileNotFoundError:
        return {}
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read: {clean_line(str(error), 200)}", remedy=_MEND) from error
    if raw is None:
        return {}
    if not isinstance(raw, dict) or not all(isinstance(name, str) for name in raw):
        raise unlike(path, expected)
    return raw


def unlike(path: Path, expected: str) -> UsageError:
    """The file is something else than what was expected."""
    return UsageError(f"{path}: {expected} is expected", remedy=_MEND)


def write_mapping(path: Path, content: Mapping[str, Any], what: str, *, sort: bool = True) -> None:
    """Writes the file as a whole or not at all. `what` names its things.

    Raises:
        UsageError: it would be too large.
        OperatorError: it cannot be written.
    """
    written = _dumped(content, sort=sort, readable=True)
    # PyYAML writes NEL and its like as they are, and reads a line break: where there is one, all is escaped.
    if _loaded(written) != content:
        written = _dumped(content, sort=sort, readable=False)
    if len(written) > LARGEST:
        raise UsageError(f"the kept {what} are more than {LARGEST >> 10} KiB then", remedy="forget one first")
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(written)
        new.replace(path)
    except OSError as error:
        raise OperatorError(f"{path} cannot be written: {error.strerror}") from error


def _dumped(content: Mapping[str, Any], *, sort: bool, readable: bool) -> bytes:
    return yaml.safe_dump(dict(content), allow_unicode=readable, sort_keys=sort, width=1000).encode()


def _loaded(written: bytes) -> object:
    try:
        return yaml.safe_load(written)
    except yaml.YAMLError:
        return None
