"""What this laptop's newest change of the budget changed, so that it can be taken back later."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from vpai_tui.budget.change import Change
from vpai_tui.text import clean

_LIMIT = 200  # characters of a value that somebody may have written into Redis


@dataclass(frozen=True, slots=True)
class Mark:
    """`was` and `now` are the values of Redis's key ("": not there), `file_was` of the file (None: not there, or none
    was written); `native`: it was LiteLLM's own cap, with a restart; `until`: when the key that was there would
    have gone by itself, in seconds since 1970."""

    kind: str
    was: str
    now: str
    file_was: str | None = None
    native: bool = False
    until: float | None = None


def mark_of(change: Change, now: datetime) -> Mark | None:
    """What a change leaves behind; None where there is nothing to take back."""
    order = change.order
    if order is None or order.empty:
        return None
    write, lasting = order.write, order.lasting[0] if order.lasting else None
    if write is None:
        return Mark(change.kind, "", "", lasting, native=True)
    until = None if write.was_life_s is None else now.timestamp() + write.was_life_s
    return Mark(change.kind, write.was[:_LIMIT], write.new, lasting, until=until)


class Marks:
    """The newest mark of one host, in the laptop's own folder."""

    def __init__(self, folder: Path, host: str) -> None:
        self.path = folder / "budget" / f"{host}.undo.json"

    def save(self, mark: Mark) -> str:
        """Why it could not be written, or an empty text: the change itself has happened already."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            new = self.path.with_suffix(".new")
            new.write_text(json.dumps(asdict(mark)) + "\n", encoding="utf-8")
            new.replace(self.path)
        except OSError as error:
            return f"{self.path} could not be written: {error.strerror}; `budget undo` does not know this change"
        return ""

    def load(self) -> Mark | None:
        """None where there is none, or one that cannot be read."""
        try:
            raw = json.loads(self.path.read_text(encoding="utf-8"))
            words = [raw[name] for name in ("kind", "was", "now")]
            file_was, native, until = raw["file_was"], raw["native"], raw["until"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        right = (
            all(isinstance(it, str) for it in words)
            and isinstance(file_was, str | None)
            and type(until) in (int, float, type(None))
        )
        if not right or words[0] not in ("cap", "mode") or not isinstance(native, bool):
            return None
        kind, was, now = (clean(it) for it in words)
        return Mark(kind, was, now, file_was, native, until)
