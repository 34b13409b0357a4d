"""Files of a host's release written into `stacks/`: nothing that differs is overwritten unasked, nothing is lost."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vpai_tui.clock import Clock
from vpai_tui.deploy.pull import Kept
from vpai_tui.errors import PreflightRefused, UsageError
from vpai_tui.fleet.compose import services_of
from vpai_tui.fleet.stacks import COMPOSE_FILE, load_stack
from vpai_tui.strict import ConfigError, read_yaml
from vpai_tui.text import clean_line


@dataclass(frozen=True, slots=True)
class Local:
    """How the files of a release compare with those of a folder; paths below it, sorted."""

    new: tuple[str, ...]
    same: tuple[str, ...]
    differing: tuple[str, ...]


def check(kept: Kept, stack_id: str) -> list[str]:
    """Whether the files are a stack, before one is written; what is still missing for it, as sentences.

    A stack of an adopted host runs under names that only the file in `adopted/` has.

    Raises:
        PreflightRefused: they are none; the output has all that is wrong.
    """
    with tempfile.TemporaryDirectory(prefix="vpai-pull-") as place:
        folder = Path(place) / stack_id
        for path in kept.files:
            _write(folder, path, kept)
        missing = list(_contexts(folder))
        for context in missing:
            (folder / context).mkdir(parents=True)
        try:
            project = load_stack(Path(place), stack_id).project
        except ConfigError as error:
            raise PreflightRefused(
                f"the files of release {kept.release} are no stack that can be loaded here",
                host=stack_id.partition("/")[0],
                step="pull",
                output=str(error).replace(f"{place}/", ""),
                remedy="nothing was written; get the stack's files from git",
            ) from error
    missing = [
        f"{context}/ is built from, and a release does not keep it: put that folder there" for context in missing
    ]
    if kept.project in ("", project):
        return missing
    names = f"it runs under the names of an adopted host (project {clean_line(kept.project, 80)})"
    return [f"{names}: adopted/{stack_id.partition('/')[0]}.yaml must lie beside fleet.yaml here too", *missing]


def _contexts(folder: Path) -> Iterator[str]:
    """Build contexts inside the folder that are not there."""
    document, _ = read_yaml(folder / COMPOSE_FILE)
    body = document.value if isinstance(document.value, dict) else {}
    services = services_of(body) if isinstance(body.get("services"), dict) else {}
    for service in services.values():
        build = service.get("build") if isinstance(service, dict) else None
        context = build.get("context", ".") if isinstance(build, dict) else build
        if not isinstance(context, str) or "://" in context or "$" in context:
            continue
        target = (folder / context).resolve()
        if target.is_relative_to(folder.resolve()) and not target.exists():
            yield target.relative_to(folder.resolve()).as_posix()


def compare(folder: Path, kept: Kept) -> Local:
    """Which files of the release the folder has not, has the same, or has others.

    Raises:
        UsageError: something is in the way: a link that leads out of the folder, or a folder where a file belongs.
    """
    found: dict[str, list[str]] = {"new": [], "same": [], "differing": []}
    for path in sorted(kept.files):
        target = folder / path
        if not target.resolve().is_relative_to(folder.resolve()) or (target.exists() and not target.is_file()):
            raise UsageError(
                f"{target} is in the way: no plain file of this folder", step="pull", remedy="move it away"
            )
        if not target.exists():
            found["new"].append(path)
        else:
            found["same" if _is(target, *kept.files[path]) else "differing"].append(path)
    return Local(**{name: tuple(paths) for name, paths in found.items()})


def _is(target: Path, content: bytes, mode: int) -> bool:
    return target.read_bytes() == content and bool(target.stat().st_mode & 0o100) == bool(mode & 0o100)


def write(folder: Path, kept: Kept, local: Local, clock: Clock) -> Path | None:
    """Writes what is new or differs; the files that differ are moved aside first, into the folder that is returned.

    Raises:
        UsageError: a file cannot be written; those moved aside stay there.
    """
    aside = folder.with_name(f"{folder.name}.before-{clock.now():%Y%m%dT%H%M%S}") if local.differing else None
    try:
        for path in local.differing:
            assert aside is not None  # noqa: S101 - made just above
            (aside / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).replace(aside / path)
        for path in (*local.new, *local.differing):
            _write(folder, path, kept)
    except OSError as error:
        where = f"the files that differ lie in {aside}" if aside else "nothing was lost"
        raise UsageError(f"{folder}: {error.strerror or error}", step="pull", remedy=where) from error
    return aside


def only_here(stacks_dir: Path, stack_id: str, kept: Kept) -> list[str]:
    """Files that the next deploy would send and the release does not have."""
    with suppress(ConfigError):
        stack = load_stack(stacks_dir, stack_id)
        return [path for path, _, _ in stack.shipped() if path not in kept.files]
    return []


def _write(folder: Path, path: str, kept: Kept) -> None:
    content, mode = kept.files[path]
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".pull-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(name).chmod(mode)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
