"""A change of the budget as lines: what was done so far, what came of it, and what to do next."""

from __future__ import annotations

from vpai_tui.fleet.operation import Outcome
from vpai_tui.widgets import paint
from vpai_tui.widgets.dialogs import wrap
from vpai_tui.widgets.operations import Operation
from vpai_tui.widgets.paint import Line

_LABEL = 12


def run_lines(operation: Operation, width: int) -> list[Line]:
    """What was told, in order; the last one may still be under way."""
    told = operation.progress.told
    ended = operation.progress.outcome is not None
    rows: list[Line] = []
    for at, (name, detail) in enumerate(told.items()):
        busy = not ended and at == len(told) - 1
        for piece_at, piece in enumerate(wrap(detail, max(20, width - _LABEL - 4)) or [""]):
            glyph = (paint.BUSY, "busy") if busy else (paint.OK, "ok")
            first = piece_at == 0
            rows.append(
                (
                    (f" {glyph[0] if first else ' '} ", glyph[1]),
                    (paint.fit(name.replace("_", " ") if first else "", _LABEL), ""),
                    (piece, "dim"),
                )
            )
    return rows or [((f" {paint.BUSY} begins", "busy"),)]


def run_outcome(operation: Operation, width: int) -> list[Line]:
    """What came of it, and what to expect or to do next."""
    progress = operation.progress
    if progress.outcome is None:
        return [((" leaving this screen changes nothing: it goes on", "dim"),)]
    rows: list[Line] = [((f" {piece}", ""),) for piece in wrap(progress.reason, max(20, width - 2)) if piece]
    rows += [(("   │ ", "track"), (row, "dim")) for row in progress.output.splitlines()[-6:]]
    return [*rows, _NEXT[progress.outcome]]


_NEXT: dict[Outcome, Line] = {
    Outcome.COMMITTED: (
        (" way back: ", "dim"),
        ("u", "key"),
        (" on the budget", "dim"),
    ),
    Outcome.UNCHANGED: ((" it was so already", "dim"),),
    Outcome.REVERTED: ((" what was before is in force again", "dim"),),
    Outcome.REVERT_FAILED: ((" what was before could not be put back: look at cap and mode on the budget", "error"),),
    Outcome.FAILED: (
        (" what of it was done is told above; ", "dim"),
        ("ctrl+r", "key"),
        (" on the budget looks", "dim"),
    ),
    Outcome.REFUSED: ((" nothing was changed", "dim"),),
    Outcome.UNKNOWN: ((" the link was lost: the next look at the budget says what is so", "dim"),),
}
