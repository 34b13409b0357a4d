"""What a host tells of a release it keeps (`bundle.json`): written by us once, but read from a machine like any."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from vpai_tui.errors import PreflightRefused
from vpai_tui.text import clean

_REMEDY = "choose another release (vpai-tui releases STACK), or deploy"


class ToldFile(msgspec.Struct, frozen=True, kw_only=True):
    """One shipped file as the release's description has it; see `bundle.ShippedFile`."""

    path: str
    mode: str = "644"
    on_change: str = "recreate"
    sha256: str = ""
    identity: str = ""
    reload: str = ""
    live_keys: tuple[str, ...] = ()


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The whole description. What a release of an older version does not tell is empty."""

    files: tuple[ToldFile, ...] = ()
    files_of: dict[str, tuple[str, ...]] = {}
    env_of: dict[str, tuple[str, ...]] = {}
    labels: dict[str, str] = {}
    one_shots: tuple[str, ...] | None = None
    data: tuple[str, ...] = ()


def told_of(description: bytes | None) -> Told:
    """The description of a release, cleaned; an empty one when there is none.

    Raises:
        PreflightRefused: it is not what we write.
    """
    try:
        told = msgspec.convert(_cleaned(msgspec.json.decode(description or b"{}")), Told)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise PreflightRefused(
            f"bundle.json of the release on the host cannot be read: {clean(str(error))}", remedy=_REMEDY
        ) from error
    for item in told.files:
        checked_path(item.path)
    return told


def checked_path(path: str) -> str:
    """`path` of a file of the release.

    Raises:
        PreflightRefused: it leads out of the release.
    """
    if path.startswith("/") or ".." in path.split("/") or not path.isprintable() or not path:
        raise PreflightRefused(f"the release on the host names a file outside of it: {path!r}", remedy=_REMEDY)
    return path


def digests_of(raw: bytes) -> dict[str, tuple[str, str]]:
    """`files.sha256` (lines of digest, mode, path) by path: digest and mode.

    Raises:
        PreflightRefused: a line is none of ours.
    """
    found = {}
    for line in clean(raw).split("\n"):
        if not line:
            continue
        digest, mode, path = [*line.split(" ", 2), "", ""][:3]
        if not re.fullmatch("[0-7]{3,4}", mode) or not path:
            raise PreflightRefused(
                f"files.sha256 of the release on the host has a bad line: {line[:200]}", remedy=_REMEDY
            )
        found[checked_path(path)] = (digest, mode)
    return found


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {clean(str(key)): _cleaned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    return clean(value) if isinstance(value, str) else value
