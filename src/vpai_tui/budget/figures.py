"""Numbers and words as others wrote them: whatever is none is None, never an error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from typing import Any

from vpai_tui.text import clean_line

_MOST_USD = 1e9  # more is no amount of ours
_MOST_COUNT = 10**15
_NAME_LIMIT = 120


def money(value: object) -> float | None:
    """Dollars, from a number or the text of one; None for what is none, negative or absurd."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found + 0.0 if math.isfinite(found) and 0 <= found <= _MOST_USD else None


def count(value: object) -> int | None:
    """A whole number from 0 on, from a number or the text of one; None for anything else."""
    found = money(value) if not isinstance(value, int) or isinstance(value, bool) else value
    return int(found) if found is not None and 0 <= found <= _MOST_COUNT else None


def name(value: object) -> str:
    """A name as it may be shown; empty for what is no text."""
    return clean_line(value, _NAME_LIMIT) if isinstance(value, str) else ""


def calendar_day(value: object) -> date | None:
    """The day that a text such as `2026-11-28` says; None for anything else."""
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def mapping(value: object) -> Mapping[str, Any]:
    """`value` where it is a mapping, without keys that are no text; else an empty one."""
    return {key: item for key, item in value.items() if isinstance(key, str)} if isinstance(value, dict) else {}


def rows(value: object) -> list[Mapping[str, Any]]:
    """The mappings of a list; none where it is no list."""
    return [mapping(item) for item in value if isinstance(item, dict)] if isinstance(value, list) else []
