"""Edits staged on the laptop until they are applied: one small file per hub, with undo."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.text import clean, clean_line
from vpai_tui.vpn.model import Record

FORMAT = 1
Kind = Literal["add", "remove", "change"]


@dataclass(frozen=True, slots=True)
class Edit:
    """One staged edit: `old` is None when a record is added, `new` when it is removed."""

    old: Record | None
    new: Record | None

    @property
    def kind(self) -> Kind:
        return "add" if self.old is None else "remove" if self.new is None else "change"

    def __str__(self) -> str:
        if self.old is None or self.new is None:
            return f"{self.kind} {self.new or self.old}"
        return f"change {self.old} → {self.new}"


@dataclass(frozen=True, slots=True)
class Staged:
    """What is staged. A step is what one command did: undo takes the last back. `base` is the file's sha256 then.

    `warnings` are of the step just staged, in words; they are not kept.
    """

    base: str = ""
    steps: tuple[tuple[Edit, ...], ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def edits(self) -> tuple[Edit, ...]:
        return tuple(edit for step in self.steps for edit in step)

    @property
    def empty(self) -> bool:
        return not self.steps

    def plus(self, base: str, edits: Sequence[Edit]) -> Staged:
        """With one more step; `base` counts only for the first."""
        return Staged(self.base if self.steps else base, (*self.steps, tuple(edits)))

    def undone(self) -> Staged:
        """Without the last step."""
        return replace(self, steps=self.steps[:-1])


@dataclass(frozen=True, slots=True)
class Merged:
    """Staged edits laid over the present records. `conflicts`: edits that do not fit any more, in words."""

    records: tuple[Record, ...]
    conflicts: tuple[str, ...] = ()


def merge(present: Sequence[Record], edits: Sequence[Edit]) -> Merged:
    """The records as they would be."""
    records, conflicts = list(present), []
    for edit in edits:
        if edit.old is None:
            if edit.new is not None and edit.new not in records:
                records.append(edit.new)
        elif edit.old not in records:
            if edit.new is None or edit.new not in records:  # somebody else has done the same meanwhile
                conflicts.append(f"{edit}: the record is not there any more")
        elif edit.new is None:
            records.remove(edit.old)
        else:
            records[records.index(edit.old)] = edit.new
    return Merged(tuple(records), tuple(conflicts))


@dataclass(frozen=True, slots=True)
class Diff:
    """What an apply would change. `yaml` is a unified diff of the file, of its lines with records only.

    `warnings`: what the restart may do to whoever applies it.
    """

    added: tuple[Record, ...]
    removed: tuple[Record, ...]
    changed: tuple[tuple[Record, Record], ...]
    yaml: str
    restart_needed: bool
    warnings: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        return not (self.added or self.removed or self.changed)


def compare(before: Sequence[Record], after: Sequence[Record], files: tuple[bytes, bytes], *, restart: bool) -> Diff:
    """Records compared as sets, those with the same name and type paired as changed."""
    added = [it for it in after if it not in before]
    removed = [it for it in before if it not in after]
    changed = []
    for old in list(removed):
        new = next((it for it in added if (it.name, it.type) == (old.name, old.type)), None)
        if new is not None:
            changed.append((old, new))
            removed.remove(old)
            added.remove(new)
    was, will = (content.decode("utf-8", errors="replace").splitlines() for content in files)
    diff = [clean(line)[:400] for line in list(difflib.unified_diff(was, will, n=1, lineterm=""))[2:]]
    return Diff(
        tuple(added), tuple(removed), tuple(changed), "\n".join(diff), restart and bool(added or removed or changed)
    )


class Store:
    """The staged edits of one hub on the laptop: read whole, written whole."""

    def __init__(self, folder: Path, host: str) -> None:
        self.path = folder / "dns" / f"{host}.json"

    def load(self) -> Staged:
        """What is staged; nothing when there is no file.

        Raises:
            OperatorError: the file cannot be read.
        """
        try:
            raw = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return Staged()
        except (OSError, ValueError) as error:
            raise self._bad(error) from error
        try:
            if raw["format"] != FORMAT:
                raise ValueError(f"format {raw['format']}")
            steps = tuple(tuple(Edit(_record(it["old"]), _record(it["new"])) for it in step) for step in raw["steps"])
            return Staged(str(raw["base"]), steps)
        except (KeyError, TypeError, ValueError) as error:
            raise self._bad(error) from error

    def save(self, staged: Staged) -> None:
        """Keeps it; without edits the file goes away."""
        if staged.empty:
            self.path.unlink(missing_ok=True)
            return
        steps = [[{"old": _raw(it.old), "new": _raw(it.new)} for it in step] for step in staged.steps]
        body = json.dumps({"format": FORMAT, "base": staged.base, "steps": steps}, ensure_ascii=False, indent=1)
        fresh = self.path.with_suffix(f".{os.getpid()}.new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh.write_text(body)
            fresh.replace(self.path)
        except OSError as error:
            raise OperatorError(f"{self.path} could not be written: {error.strerror}", step="stage") from error

    def _bad(self, error: Exception) -> OperatorError:
        return UsageError(
            f"the staged edits in {self.path} cannot be read: {clean_line(str(error), 100)}",
            step="stage",
            remedy="vpai-tui dns discard",
        )


def _raw(record: Record | None) -> dict[str, Any] | None:
    return None if record is None else asdict(record)


def _record(raw: Any) -> Record | None:
    return None if raw is None else Record(*(clean_line(str(raw[name])) for name in ("name", "type", "value")))
