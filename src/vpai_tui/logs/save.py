"""Lines out of the cockpit: one JSON document a line, with nanoseconds and labels, secrets masked."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from vpai_tui.errors import OperatorError
from vpai_tui.logs.fields import folded
from vpai_tui.logs.model import Labels, Line, Source, rfc3339_ns
from vpai_tui.redact import MASK, redact
from vpai_tui.text import clean

SourceOf = Callable[[Labels], Source]


def document(line: Line, source: Source) -> dict[str, Any]:
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
        "line": redact(line.text),
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


def save(path: Path, lines: Iterable[Line], source_of: SourceOf) -> int:
    """Writes lines to a new file that only this user may read; how many they were.

    Raises:
        OperatorError: there is such a file already, or it cannot be written.
    """
    count = 0
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w", encoding="utf-8", errors="replace", newline="\n") as file:  # noqa: PTH123 - a descriptor
            for line in lines:
                file.write(json.dumps(document(line, source_of(line.labels)), ensure_ascii=False) + "\n")
                count += 1
    except FileExistsError as error:
        raise OperatorError(f"{path} is there already", remedy="another name") from error
    except OSError as error:
        raise OperatorError(f"{path} cannot be written: {error.strerror}") from error
    return count


def jsonl(lines: Iterable[Line], source_of: SourceOf) -> str:
    """Lines as a saved buffer has them: one document a line."""
    return "\n".join(json.dumps(document(it, source_of(it.labels)), ensure_ascii=False) for it in lines)


def plain(lines: Iterable[Line], limit: int = 100_000) -> str:
    """Lines as text to copy: redacted, at most `limit` characters, the rest told of."""
    out: list[str] = []
    size = 0
    for line in lines:
        text = redact(line.text)
        size += len(text) + 1
        if size > limit:
            out.append("… cut: too much to copy")
            break
        out.append(text)
    return "\n".join(out)
