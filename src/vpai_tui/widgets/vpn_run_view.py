"""An apply of DNS records as lines: its steps in order, what came of it, and what clients notice."""

from __future__ import annotations

from vpai_tui.fleet.operation import Outcome
from vpai_tui.widgets import paint
from vpai_tui.widgets.operations import Operation
from vpai_tui.widgets.paint import Line

_STEPS = (
    ("begin", "the host has the lock"),
    ("checked", "the file is the one that was read"),
    ("tested", "Headscale itself accepts the new file"),
    ("relays", "the relay map is to be had, which a start needs"),
    ("kept", "a copy of the file before"),
    ("installed", "the new file is in place"),
    ("restarted", "one restart"),
    ("healthy", "Headscale answers, with its nodes"),
    ("verified", "read again: it is what was applied"),
)
_BACK = ("restored", "the file before is back")


def run_lines(operation: Operation) -> list[Line]:
    """The steps: done, under way, to come."""
    told, outcome = operation.progress.told, operation.progress.outcome
    ended = outcome is not None
    rows: list[Line] = []
    reached = max((at for at, (name, _) in enumerate(_STEPS) if name in told), default=-1)
    for at, (name, words) in enumerate(_STEPS):
        if name in told:
            rows.append(_row(paint.OK, "ok", name, told[name] or words))
        elif at < reached:
            continue  # without a restart there is no such step
        elif at == reached + 1 and not ended:
            rows.append(_row(paint.BUSY, "busy", name, words))
        elif not ended:
            rows.append(_row("·", "dim", name, words))
    if _BACK[0] in told:
        rows.append(_row("↩", "warn", _BACK[0], told[_BACK[0]] or _BACK[1]))
    return rows


def _row(glyph: str, role: str, name: str, words: str) -> Line:
    return ((f" {glyph} ", role), (paint.fit(name, 11), ""), (words, "dim"))


def run_outcome(operation: Operation, width: int) -> list[Line]:
    """What came of it, and what to expect or to do next."""
    from vpai_tui.widgets.dialogs import wrap

    progress = operation.progress
    if progress.outcome is None:
        text = "the host does it by itself now: laptop and link may go" if progress.on_host else "nothing changed yet"
        return [((f" {text}", "dim"),)]
    rows: list[Line] = [((f" {piece}", ""),) for piece in wrap(progress.reason, max(20, width - 2)) if piece]
    rows += [(("   │ ", "track"), (row, "dim")) for row in progress.output.splitlines()[-6:]]
    return [*rows, ((f" {_NEXT[progress.outcome]}", "dim"),)]


_NEXT = {
    Outcome.COMMITTED: "clients are back after 5 to 10 s; they keep old answers for up to 600 s",
    Outcome.UNCHANGED: "the file said so already",
    Outcome.REVERTED: "the records before are in place; what was staged is staged still: d, e, u",
    Outcome.REVERT_FAILED: "Headscale does not come back: look at it on its host; the copy of the file is kept there",
    Outcome.FAILED: "it ended in the middle: `:dns settle` takes it back; what was staged is staged still",
    Outcome.REFUSED: "nothing was changed; what was staged is staged still",
    Outcome.UNKNOWN: "the host goes on by itself; the next look says how it ended",
}
