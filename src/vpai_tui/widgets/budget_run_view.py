"""A change of the budget as lines: its steps, what came of it, and what to do next."""

from __future__ import annotations

from vpai_tui.clock import duration
from vpai_tui.fleet.operation import Outcome
from vpai_tui.widgets import paint
from vpai_tui.widgets.dialogs import wrap
from vpai_tui.widgets.operation_view import outcome_span
from vpai_tui.widgets.operations import Operation
from vpai_tui.widgets.paint import Line, Span

_LABEL = 11
# What is under way after each step that was told, by its name.
_THEN: dict[str, tuple[str, str]] = {
    "": ("begins", "looks whether all of it can be done"),
    "set": ("enforced", "the heartbeat must say so, within 15 s"),
    "enforced": ("kept", "one line of the file, a copy of it before is kept"),
    "kept": ("installed", "the new file is put in place"),
    "installed": ("restarting", "LiteLLM reads the file at its start alone"),
    "restarting": ("restarted", "nothing is answered for 6 to 22 s"),
    "restarted": ("ready", "LiteLLM must answer, within 120 s"),
    "ready": ("verified", "LiteLLM says itself which cap is in force"),
    "link_lost": ("again", "the host goes on; a new connection is made"),
    "restored": ("restarted", "with the file that was before"),
}
_WORDS = {"restarting": "with the new file", "restarted": "the container is up", "ready": "LiteLLM answers"}


def run_headline(operation: Operation, now_boot_s: float, width: int) -> Line:
    """`budget cap on sese   … enforced        12s`."""
    progress = operation.progress
    host, _, what = operation.stack.partition("/")
    state: Span = (
        outcome_span(progress.outcome) if progress.outcome else (f"{paint.BUSY} {_under_way(operation)[0]}", "busy")
    )
    left: Line = ((f" budget {what}", "strong"), (f" on {host}   ", "dim"), state)
    return paint.spread(left, ((f"{duration(operation.elapsed_s(now_boot_s))} ", "strong"),), width)


def run_lines(operation: Operation, width: int) -> list[Line]:
    """The steps: done, and the one under way."""
    room = max(20, width - _LABEL - 4)
    rows: list[Line] = []
    for name, detail in operation.progress.told.items():
        rows += _rows(paint.OK, "ok", name, detail or _WORDS.get(name, ""), room)
    if operation.progress.outcome is None:
        rows += _rows(paint.BUSY, "busy", *_under_way(operation), room)
    return rows or _rows("·", "dim", "nothing", "no step was begun", room)


def _under_way(operation: Operation) -> tuple[str, str]:
    last = next(reversed(operation.progress.told), "")
    return _THEN.get(last, ("goes on", "until it is told how it ended"))


def _rows(glyph: str, role: str, name: str, text: str, room: int) -> list[Line]:
    """A step, its words on as many rows as they need."""
    rows: list[Line] = []
    for at, piece in enumerate(wrap(text, room)):
        mark, label = (glyph, name.replace("_", " ")) if not at else (" ", "")
        rows.append(((f" {mark} ", role), (paint.fit(paint.safe(label), _LABEL), ""), (piece, "dim")))
    return rows


def run_outcome(operation: Operation, width: int) -> list[Line]:
    """What came of it, and what to expect or to do next."""
    progress = operation.progress
    if progress.outcome is None:
        return [((" leaving this screen changes nothing: it goes on", "dim"),)]
    role = "" if progress.outcome in (Outcome.COMMITTED, Outcome.UNCHANGED) else "error"
    rows: list[Line] = [((f" {piece}", role),) for piece in wrap(progress.reason, max(20, width - 2)) if piece]
    rows += [(("   │ ", "track"), (row, "dim")) for row in progress.output.splitlines()[-6:]]
    return [*rows, _NEXT[progress.outcome]]


_BACK: Line = ((" way back: ", "dim"), ("u", "key"), (" on the budget", "dim"))
_NEXT: dict[Outcome, Line] = {
    Outcome.COMMITTED: _BACK,
    Outcome.UNCHANGED: ((" nothing had to be done", "dim"),),
    Outcome.REVERTED: ((" what was before is in force again", "dim"),),
    Outcome.REVERT_FAILED: ((" LiteLLM does not come back: look at it on its host", "error"),),
    Outcome.FAILED: _BACK,
    Outcome.REFUSED: ((" nothing was changed", "dim"),),
    Outcome.UNKNOWN: ((" the next look at the budget says what is so", "dim"),),
}
