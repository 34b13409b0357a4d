"""Lines out of the cockpit: as text or one JSON document a line, with nanoseconds and labels, secrets masked."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vpai_tui.errors import OperatorError
from vpai_tui.logs.fields import folded
from vpai_tui.logs.model import Labels, Line, Source, rfc3339_ns
from vpai_tui.redact import MASK, redact
from vpai_tui.text import clean

SourceOf = Callable[[Labels], Source]

_BEGIN = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?![\s\S]*-----END)")
_END = "-----END"
_KEY_ROW = re.compile(
    r"(?:.{0,80}\s)?[A-Za-z0-9+/]{20,}={0,2}|[A-Za-z0-9+/]+={0,2}|[A-Z][A-Za-z-]{2,20}: [\w, -]{1,80}|"
)
_KEY_ROWS = 200  # of one key
_COUNTED = 20_000  # lines left out that are still counted


class Masker:
    """Takes one line after the other. A private key that a program writes row by row is known by its first row."""

    def __init__(self) -> None:
        self._inside: dict[Labels, int] = {}  # rows of a key that may still come, by stream

    def text(self, line: Line) -> str:
        """The line, cleaned and masked."""
        text = line.text
        left = self._inside.pop(line.labels, 0)
        if left and _END in text:
            return MASK
        if left and _KEY_ROW.fullmatch(text.strip()):
            self._inside[line.labels] = left - 1
            return MASK
        if "PRIVATE KEY" in text and _BEGIN.search(text):
            self._inside[line.labels] = _KEY_ROWS
        return redact(text)


def document(line: Line, source: Source, masker: Masker | None = None) -> dict[str, Any]:
    """A line as `--json` and a saved buffer have it (docs/json.md). All text is cleaned and redacted."""
    found = folded(line.raw)
    return {
        "schema": 1,
        "ts": rfc3339_ns(line.ns),
        "ts_ns": str(line.ns),
        "host": source.host,
        "stack": source.stack.partition("/")[2] if source.stack else None,  # as in `status`: the host stands beside it
        "service": source.service,
        "level": line.level.word,
        "line": (masker or Masker()).text(line),
        "labels": _safe(dict(line.labels)),
        "fields": _safe({name: it for name, it in {**line.meta, **found.fields}.items() if name != "detected_level"}),
        "mark": line.mark.word,
    }


def _safe(fields: dict[str, str]) -> dict[str, str]:
    """Cleaned, with the whole values of secret-looking names masked: a value alone does not say what it is."""
    safe = {}
    for raw_name, raw_value in fields.items():
        name, value = clean(raw_name), clean(raw_value)
        secret = redact(f"{name}={value}").startswith(f"{name}={MASK}")
        safe[name] = MASK if secret else redact(value)
    return safe


def as_json(lines: Iterable[Line], source_of: SourceOf) -> Iterator[str]:
    """Each line as one document."""
    masker = Masker()
    return (json.dumps(document(line, source_of(line.labels), masker), ensure_ascii=False) for line in lines)


def as_text(lines: Iterable[Line]) -> Iterator[str]:
    """Each line as it came, cleaned and masked."""
    masker = Masker()
    return (masker.text(line) for line in lines)


def save(path: Path, lines: Iterable[Line], source_of: SourceOf) -> int:
    """Writes lines to a new file that only this user may read; how many they were.

    Raises:
        OperatorError: there is such a file already, or it cannot be written.
    """
    count = 0
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w", encoding="utf-8", errors="replace", newline="\n") as file:  # noqa: PTH123 - a descriptor
            for told in as_json(lines, source_of):
                file.write(told + "\n")
                count += 1
    except FileExistsError as error:
        raise OperatorError(f"{path} is there already", remedy="another name") from error
    except OSError as error:
        raise OperatorError(f"{path} cannot be written: {error.strerror}") from error
    return count


@dataclass(frozen=True, slots=True)
class Taken:
    """As many whole lines as there was room for, and how many were left out (`more`: at least)."""

    text: str
    lines: int
    left: int = 0
    more: bool = False


def capped(texts: Iterable[str], limit_bytes: int) -> Taken:
    """The first of `texts`, one below the other, that fit into so many bytes: whole ones only."""
    kept: list[str] = []
    size = 0
    it = iter(texts)
    for text in it:
        size += len(text.encode("utf-8", "replace")) + bool(kept)
        if size > limit_bytes:
            left = 1 + sum(1 for _ in zip(range(_COUNTED), it, strict=False))
            return Taken("\n".join(kept), len(kept), min(left, _COUNTED), left > _COUNTED)
        kept.append(text)
    return Taken("\n".join(kept), len(kept))
