"""The outcomes of the matrix as a table: `python tests/lab/fault_table.py` prints what the last run kept."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from faults import FAULTS, POINTS
from lab_machines import Lab

_NONE = "–"


def kept(lab: Lab) -> Path:
    """One JSON line a cell: point, fault, how, outcome, host."""
    return lab.state / "matrix.jsonl"


def rows(lines: Iterable[str]) -> dict[tuple[str, str], list[str]]:
    """Outcomes by point and fault, each once, in the order they came."""
    found: dict[tuple[str, str], list[str]] = {}
    for line in lines:
        told: Mapping[str, str] = json.loads(line)
        cell = found.setdefault((told["point"], told["fault"]), [])
        if told["outcome"] not in cell:
            cell.append(told["outcome"])
    return found


def table(found: Mapping[tuple[str, str], list[str]]) -> str:
    """Markdown: a line a point, a column a fault."""
    head = ["step", *(fault.name for fault in FAULTS)]
    out = [head, ["---"] * len(head)]
    out += [[point.name, *(_cell(found.get((point.name, f.name), [])) for f in FAULTS)] for point in POINTS]
    return "\n".join(f"| {' | '.join(line)} |" for line in out)


def _cell(outcomes: list[str]) -> str:
    ways = [outcome.removeprefix("interrupted, ") for outcome in outcomes]
    if ways == outcomes:
        return "; ".join(outcomes) or _NONE
    return "INTERRUPTED: " + ", ".join(ways)


def main() -> int:
    path = kept(Lab())
    if not path.exists():
        print("no run of the matrix was kept here: make matrix", file=sys.stderr)
        return 1
    print(table(rows(path.read_text().splitlines())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
