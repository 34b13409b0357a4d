"""Services whose image is built on the host: what of `build:` is understood, and the context that is sent."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vpai_tui.errors import UsageError
from vpai_tui.fleet.stacks import Stack

_KEYS = ("context", "dockerfile", "args", "target")


@dataclass(frozen=True, slots=True)
class Build:
    """A service whose image is built on the host. `tag` is content-addressed: the same context gives the same tag."""

    service: str
    tag: str
    dockerfile: str
    args: tuple[tuple[str, str], ...]
    context: bytes  # a tar; empty for a remote context
    remote: str = ""
    target: str = ""


def builds_of(stack: Stack) -> Iterable[Build]:
    """The builds of a stack, in the order of its services.

    Raises:
        UsageError: a key or a variable that only Compose itself could make sense of, or no context.
    """
    for name, service in stack.compose["services"].items():
        if service.get("build") is not None:
            yield _build(stack, name, service["build"])


def tar_of(entries: Iterable[tuple[str, bytes, str]]) -> bytes:
    """A tar of (path, content, octal mode), owned by root, with no time in it: equal input gives equal bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, content, mode in entries:
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(content), int(mode, 8)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _build(stack: Stack, name: str, raw: Any) -> Build:
    spec: dict[str, Any] = {"context": raw} if isinstance(raw, str) else dict(raw)
    where = f"{stack.id}: services.{name}.build"
    if unknown := [key for key in spec if key not in _KEYS]:
        raise UsageError(f"{where}: {', '.join(unknown)} is not supported", remedy=f"there are {', '.join(_KEYS)}")
    context, dockerfile = str(spec.get("context", ".")), str(spec.get("dockerfile", "Dockerfile"))
    arguments, target = _arguments(spec.get("args") or {}), str(spec.get("target") or "")
    for text in (context, dockerfile, target, *(value for _, value in arguments)):
        if "$" in text:
            raise UsageError(f"{where}: a variable cannot be used in it: {text}", remedy="write the value itself")
    remote = context if "://" in context or context.startswith("git@") else ""
    tar = b"" if remote else _context_tar(stack.dir / context, dockerfile)
    content = json.dumps([remote, dockerfile, arguments, target]).encode() + tar
    digest = hashlib.sha256(content).hexdigest()[:12]
    return Build(name, f"vpai.build/{stack.name}-{name}:{digest}", dockerfile, arguments, tar, remote, target)


def _arguments(raw: Mapping[str, Any] | list[Any]) -> tuple[tuple[str, str], ...]:
    """As Compose gives them: one without a value would be its environment's, and that is empty on the host."""
    if isinstance(raw, list):
        pairs = (str(item).partition("=") for item in raw)
        return tuple((key, value) for key, given, value in pairs if given)
    return tuple((str(key), _word(value)) for key, value in raw.items() if value is not None)


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _context_tar(folder: Path, dockerfile: str) -> bytes:
    if not folder.is_dir():
        raise UsageError(f"{folder}: the build context does not exist")
    paths = (folder / name for name in sorted(_sent(folder, dockerfile)))
    files = [path for path in paths if path.is_file()]
    return tar_of(
        (path.relative_to(folder).as_posix(), path.read_bytes(), "755" if path.stat().st_mode & 0o100 else "644")
        for path in files
    )


def _sent(folder: Path, dockerfile: str) -> Iterable[str]:
    """What of the context is sent: everything that its .dockerignore leaves."""
    ignore = folder / ".dockerignore"
    if not ignore.is_file():
        return [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
    from docker.utils.build import exclude_paths

    lines = (line.strip() for line in ignore.read_text(errors="replace").splitlines())
    patterns = [line for line in lines if line and not line.startswith("#")]
    return [str(path) for path in exclude_paths(str(folder), patterns, dockerfile=dockerfile)]
