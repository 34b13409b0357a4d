"""What every verb prints with: one JSON document (docs/json.md), or aligned lines for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def document(body: dict[str, Any]) -> None:
    """One JSON document on stdout."""
    print(json.dumps({"schema": 1, **body}, ensure_ascii=False, indent=2))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns without borders."""
    widths = [max(len(row[index]) for row in [head, *rows]) for index in range(len(head))]
    for row in [head, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
